import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropReason } from '../../../lib/core/drops.js';
import { ChecksumState } from '../../../lib/core/frame.js';
import { Ipv4Packet, ipv4PseudoHeaderSum } from '../../../lib/wire/ipv4.js';
import { TCP_HEADER, TcpFlag, TcpSegment } from '../../../lib/wire/tcp.js';
import { TcpOptions } from '../../../lib/wire/tcp-options.js';
import { frameOf, frameWith, hexBytes, hexOf, readAll } from './frames.js';

const HEADER = '4500003c00000000400666ba0a0000020a000001';
const SYN = '9c4000500102030400000000a002ffff93660000020405b40402080a000000010000000001030307';

function packetOf(segment: string | Uint8Array): Ipv4Packet {
  const bytes = typeof segment === 'string' ? hexBytes(segment) : segment;
  const frame = frameOf(Uint8Array.from([...hexBytes(HEADER), ...bytes]));
  const packet = new Ipv4Packet(frame, frame.start);
  frame.start += 20;
  return packet;
}

const check = (segment: string | Uint8Array): DropReason | undefined => TcpSegment.check(packetOf(segment));
const pseudo = (length: number): number => ipv4PseudoHeaderSum(0x0a000002, 0x0a000001, 6, length);

describe('TcpSegment', () => {
  it('reads a SYN', () => {
    const { frame } = packetOf(SYN);
    expect(check(SYN)).to.equal(undefined);
    expect(new TcpSegment(frame, frame.start)).to.include({
      sourcePort: 40000,
      destinationPort: 80,
      sequence: 0x01020304,
      acknowledgment: 0,
      flags: TcpFlag.Syn,
      window: 65535,
      checksum: 0x9366,
      urgentPointer: 0,
      headerLength: 40,
      payload: frame.end,
    });
  });

  it('writes a SYN byte for byte', () => {
    const options = new TcpOptions();
    options.mss = 1460;
    options.sackPermitted = options.hasTimestamps = true;
    options.timestampValue = 1;
    options.windowScale = 7;
    const frame = frameWith(new Uint8Array(0));
    const fields = { sourcePort: 40000, destinationPort: 80, sequence: 0x01020304, acknowledgment: 0 };
    TcpSegment.emit(frame, { ...fields, flags: TcpFlag.Syn, window: 65535, urgentPointer: 0 }, options.length);
    options.write(frame.slab.view, frame.start + TCP_HEADER);
    TcpSegment.seal(frame, pseudo(frame.length));
    expect(hexOf(frame)).to.equal(SYN);
  });

  it('says what is wrong', () => {
    for (let length = 0; length < 20; length++) {
      expect(check(hexBytes(SYN).subarray(0, length))).to.equal(DropReason.TcpTruncated);
    }
    for (let length = 20; length < 40; length++) {
      expect(check(hexBytes(SYN).subarray(0, length))).to.equal(DropReason.TcpBadHeader);
    }
    expect(check(SYN.replace('a002', '4002'))).to.equal(DropReason.TcpBadHeader);
    expect(check(SYN.replace('9366', '9367'))).to.equal(DropReason.TcpBadChecksum);
  });

  it('trusts a device that verified the checksum, or that has yet to complete it', () => {
    for (const state of [ChecksumState.Valid, ChecksumState.Partial]) {
      const packet = packetOf(SYN.replace('9366', '9367'));
      packet.frame.checksum = state;
      expect(TcpSegment.check(packet)).to.equal(undefined);
    }
  });

  it('reads back what it emits, with a right checksum (MUST-2)', () => {
    const fields = fc.record({
      sourcePort: fc.nat(0xffff),
      destinationPort: fc.nat(0xffff),
      sequence: fc.nat(0xffff_ffff),
      acknowledgment: fc.nat(0xffff_ffff),
      flags: fc.nat(0x1ff),
      window: fc.nat(0xffff),
      urgentPointer: fc.nat(0xffff),
    });
    fc.assert(
      fc.property(fields, fc.uint8Array({ maxLength: 60 }), (values, payload) => {
        const frame = frameWith(payload);
        TcpSegment.emit(frame, values, 0);
        TcpSegment.seal(frame, pseudo(frame.length));
        const packet = packetOf(frame.bytes().slice());
        expect(TcpSegment.check(packet)).to.equal(undefined);
        const segment = new TcpSegment(packet.frame, packet.frame.start);
        expect(segment).to.include(values);
        expect(packet.frame.slab.bytes.subarray(segment.payload, packet.frame.end)).to.deep.equal(payload);
      }),
    );
  });

  it('takes of a field that is too large the bits that fit, and leaves its neighbours alone', () => {
    const own = { sourcePort: 40_000, destinationPort: 80, window: 7, urgentPointer: 3 };
    const rest = { sequence: 0x0102_0304, acknowledgment: 0x0506_0708, flags: TcpFlag.Ack | TcpFlag.Urg };
    for (const key of ['sourcePort', 'destinationPort', 'window', 'urgentPointer'] as const) {
      const frame = frameWith(new Uint8Array(0));
      TcpSegment.emit(frame, { ...rest, ...own, [key]: own[key] + 0x7_0000 }, 0);
      expect(new TcpSegment(frame, frame.start), key).to.include({ ...rest, ...own });
      expect(new TcpSegment(frame, frame.start), key).to.include({ checksum: 0, headerLength: TCP_HEADER });
    }
  });

  it('never throws, on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), fc.boolean(), (bytes, verified) => {
        const packet = packetOf(bytes);
        if (verified) packet.frame.checksum = ChecksumState.Valid;
        if (TcpSegment.check(packet) !== undefined) return;
        const segment = new TcpSegment(packet.frame, packet.frame.start);
        readAll(segment);
        new TcpOptions().read(packet.frame.slab.view, segment.offset + TCP_HEADER, segment.payload, true);
      }),
    );
  });
});
