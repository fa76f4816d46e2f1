import { expect } from 'chai';
import * as fc from 'fast-check';
import { decodeFloating, encodeFloating } from '../../../lib/wire/group-records.js';

describe('floating codes', () => {
  it('say what RFC 3376 4.1.1 and RFC 3810 5.1.3 say', () => {
    for (const [code, value] of [
      [0, 0],
      [127, 127],
      [0x80, 128],
      [0x8f, 248],
      [0x90, 256],
      [0xff, 31_744],
    ] as const) {
      expect(decodeFloating(code, 4)).to.equal(value);
      expect(encodeFloating(value, 4)).to.equal(code);
    }
    expect(decodeFloating(0x7fff, 12)).to.equal(0x7fff);
    expect(decodeFloating(0x8000, 12)).to.equal(0x8000);
    expect(decodeFloating(0xffff, 12)).to.equal(0x1fff << 10);
  });

  it('are all written back, grow with their values, and round down what they cannot say', () => {
    for (const bits of [4, 12] as const) {
      const last = bits === 4 ? 0xff : 0xffff;
      for (let code = 1; code <= last; code++) {
        const value = decodeFloating(code, bits);
        if (encodeFloating(value, bits) !== code || value <= decodeFloating(code - 1, bits))
          expect.fail(`code ${code}`);
        if (encodeFloating(value - 1, bits) !== code - 1) expect.fail(`below code ${code}`);
      }
      expect(encodeFloating(Number.MAX_SAFE_INTEGER, bits)).to.equal(last);
      expect(encodeFloating(-1, bits)).to.equal(0);
    }
    fc.assert(
      fc.property(fc.double({ min: 0, max: 40_000, noNaN: true }), (value) => {
        const said = decodeFloating(encodeFloating(value, 4), 4);
        expect(said).to.be.at.most(value);
        expect(Math.min(value, 31_744) - said).to.be.at.most(Math.max(1, said / 16));
      }),
    );
  });
});
