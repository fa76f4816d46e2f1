import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropReason } from '../../../lib/core/drops.js';
import { MAX_VNI, readVni, VXLAN_HEADER, VxlanHeader } from '../../../lib/wire/vxlan.js';
import { emptyFrame, frameOf, frameWith, hexOf, readAll, truncations } from './frames.js';

describe('VxlanHeader', () => {
  it('7348-1: reads the identifier of a header with nothing but that', () => {
    const frame = frameOf('08000000 00002a00 ffffffffffff');
    expect(VxlanHeader.check(frame, frame.start)).to.equal(undefined);
    const header = new VxlanHeader(frame, frame.start);
    expect(header.vni).to.equal(42);
    expect(header.payload).to.equal(frame.start + 8);
    readAll(header);
  });

  it('7348-1: writes every byte of the header', () => {
    const frame = emptyFrame();
    VxlanHeader.emit(frame, 0xabcdef);
    expect(hexOf(frame)).to.equal('08000000abcdef00');
  });

  it('7348-1: ignores what is reserved, and drops what has other flags or no identifier', () => {
    const check = (hex: string): number | undefined => {
      const frame = frameOf(hex);
      return VxlanHeader.check(frame, frame.start);
    };
    expect(check('08ffffff 00002aff')).to.equal(undefined);
    for (let flags = 0; flags < 256; flags++) {
      const hex = `${flags.toString(16).padStart(2, '0')}000000 00002a00`;
      expect(check(hex), hex).to.equal(flags === 8 ? undefined : DropReason.VxlanBadHeader);
    }
    expect(check('08000000 00000000')).to.equal(DropReason.VxlanBadHeader);
    expect(check('08000000 000000ff')).to.equal(DropReason.VxlanBadHeader);
  });

  it('drops what is cut short anywhere', () => {
    for (const frame of truncations(Uint8Array.of(8, 0, 0, 0, 0, 0, 42, 0))) {
      expect(VxlanHeader.check(frame, frame.start)).to.equal(DropReason.VxlanTruncated);
    }
  });

  it('reads what it wrote, whatever the payload', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_VNI }), fc.uint8Array({ maxLength: 50 }), (vni, payload) => {
        const frame = frameWith(payload);
        VxlanHeader.emit(frame, vni);
        expect(VxlanHeader.check(frame, frame.start)).to.equal(undefined);
        expect(readVni(frame.slab.view, frame.start)).to.equal(vni);
        expect([...frame.bytes().subarray(VXLAN_HEADER)]).to.deep.equal([...payload]);
      }),
    );
  });

  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
        const frame = frameOf(bytes);
        if (VxlanHeader.check(frame, frame.start) === undefined) readAll(new VxlanHeader(frame, frame.start));
      }),
    );
  });
});
