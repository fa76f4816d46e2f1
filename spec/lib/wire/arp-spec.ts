import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropReason } from '../../../lib/core/drops.js';
import { ArpOperation, ArpPacket } from '../../../lib/wire/arp.js';
import { emptyFrame, frameOf, hexBytes, hexOf, readAll, truncations } from './frames.js';

// Who has 10.0.0.1? Tell 10.0.0.2.
const REQUEST = '00010800060400010200000000020a0000020000000000000a000001';

describe('ArpPacket', () => {
  it('writes a request byte for byte', () => {
    const frame = emptyFrame();
    ArpPacket.emit(frame, {
      operation: ArpOperation.Request,
      senderMac: 0x0200_0000_0002,
      senderIp: 0x0a000002,
      targetMac: 0,
      targetIp: 0x0a000001,
    });
    expect(hexOf(frame)).to.equal(REQUEST);
  });

  it('is truncated at every byte boundary', () => {
    for (const frame of truncations(hexBytes(REQUEST))) {
      expect(ArpPacket.check(frame, frame.start)).to.equal(DropReason.ArpTruncated);
    }
  });

  it('supports only Ethernet, IPv4, and the two operations', () => {
    for (const [at, value] of [
      [1, 2],
      [3, 1],
      [4, 8],
      [5, 16],
      [7, 0],
      [7, 3],
    ] as const) {
      const bytes = hexBytes(REQUEST);
      bytes[at] = value;
      const frame = frameOf(bytes);
      expect(ArpPacket.check(frame, frame.start), `byte ${at}`).to.equal(DropReason.ArpUnsupported);
    }
  });

  it('reads back what it emits', () => {
    const mac = fc.maxSafeNat().map((n) => n % 0x1_0000_0000_0000);
    const ip = fc.nat(0xffff_ffff);
    const fields = fc.record({
      operation: fc.constantFrom(1, 2),
      senderMac: mac,
      senderIp: ip,
      targetMac: mac,
      targetIp: ip,
    });
    fc.assert(
      fc.property(fields, (values) => {
        const frame = emptyFrame();
        ArpPacket.emit(frame, values);
        expect(ArpPacket.check(frame, frame.start)).to.equal(undefined);
        expect(new ArpPacket(frame, frame.start)).to.include(values);
      }),
    );
  });

  it('never throws, on any bytes', () => {
    const mutated = fc.tuple(fc.nat(27), fc.nat(255)).map(([at, value]) => {
      const bytes = hexBytes(REQUEST);
      bytes[at] = value;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 40 })), (bytes) => {
        const frame = frameOf(bytes);
        if (ArpPacket.check(frame, frame.start) === undefined) readAll(new ArpPacket(frame, frame.start));
      }),
    );
  });
});
