import { expect } from 'chai';
import * as fc from 'fast-check';
import { hexdump } from '../../../lib/text/hexdump.js';
import { hexBytes } from '../wire/frames.js';

describe('hexdump', () => {
  it('looks as tcpdump -X does', () => {
    expect(hexdump(hexBytes('4500002112344000401114960a0000020a00000104000035000da3ca68656c6c6f'), '\t')).to.equal(
      [
        '\t0x0000:  4500 0021 1234 4000 4011 1496 0a00 0002  E..!.4@.@.......',
        '\t0x0010:  0a00 0001 0400 0035 000d a3ca 6865 6c6c  .......5....hell',
        '\t0x0020:  6f                                       o',
      ].join('\n'),
    );
  });

  it('is empty for nothing', () => {
    expect(hexdump(new Uint8Array(0))).to.equal('');
  });

  it('shows every byte once, and only printable characters', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 70 }), (bytes) => {
        const lines = hexdump(bytes).split('\n');
        const hex = lines.map((line) => line.slice(9, 48).replaceAll(' ', '')).join('');
        expect(hex).to.equal(Buffer.from(bytes).toString('hex'));
        for (const line of lines) expect(line).to.match(/^[\x20-\x7e]+$/);
      }),
    );
  });
});
