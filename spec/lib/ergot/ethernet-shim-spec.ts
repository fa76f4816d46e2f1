import { expect } from 'chai';
import { assert, property, uint8Array } from 'fast-check';
import { DropReason } from '../../../lib/core/drops.js';
import { Frame } from '../../../lib/core/frame.js';
import { ERGOT_SHIM, popErgotShim, pushErgotShim } from '../../../lib/ergot/ethernet-shim.js';
import { hex, unhex } from './bytes.js';

describe('shim between Ethernet and ergot', () => {
  it('says protocol, version and length', () => {
    const frame = Frame.from(unhex('85840483820407010f2a'));
    pushErgotShim(frame);
    expect(hex(frame.bytes())).to.equal('e701000a85840483820407010f2a');
  });

  it('gives back exactly the frame, whatever Ethernet appended', () => {
    assert(
      property(uint8Array({ maxLength: 300 }), uint8Array({ maxLength: 60 }), (bytes, padding) => {
        const frame = Frame.from(Uint8Array.of(...bytes, ...padding));
        frame.end -= padding.length;
        pushErgotShim(frame);
        frame.end += padding.length;
        expect(popErgotShim(frame)).to.equal(undefined);
        expect(hex(frame.bytes())).to.equal(hex(bytes));
      }),
    );
  });

  for (const [what, bytes, reason] of [
    ['nothing', '', DropReason.ErgotTruncated],
    ['half a shim', 'e70100', DropReason.ErgotTruncated],
    ['less than the length says', 'e7010003aabb', DropReason.ErgotTruncated],
    ['another protocol', 'e6010001aa', DropReason.EthernetUnknownType],
    ['another version', 'e7020001aa', DropReason.EthernetUnknownType],
  ] as const) {
    it(`takes no ${what}, and leaves the frame as it is`, () => {
      const frame = Frame.from(unhex(bytes));
      expect(popErgotShim(frame)).to.equal(reason);
      expect(hex(frame.bytes())).to.equal(bytes);
    });
  }

  it('never throws', () => {
    assert(
      property(uint8Array({ maxLength: 20 }), (bytes) => {
        const frame = Frame.from(bytes);
        const wrong = popErgotShim(frame);
        expect(frame.length).to.be.at.most(wrong === undefined ? bytes.length - ERGOT_SHIM : bytes.length);
      }),
    );
  });
});
