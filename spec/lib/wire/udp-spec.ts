import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropReason } from '../../../lib/core/drops.js';
import { ChecksumState } from '../../../lib/core/frame.js';
import { Ipv4Packet, ipv4PseudoHeaderSum } from '../../../lib/wire/ipv4.js';
import { UdpDatagram } from '../../../lib/wire/udp.js';
import { frameOf, frameWith, hexBytes, hexOf, readAll } from './frames.js';

const HEADER = '4500002100000000401166ca0a0000020a000001';
const HELLO = '04000035000da3ca68656c6c6f';

/** The datagram as IP hands it over: the frame's range is the payload of the IPv4 header in front. */
function packetOf(datagram: string | Uint8Array): Ipv4Packet {
  const bytes = typeof datagram === 'string' ? hexBytes(datagram) : datagram;
  const frame = frameOf(Uint8Array.from([...hexBytes(HEADER), ...bytes]));
  const packet = new Ipv4Packet(frame, frame.start);
  frame.start += 20;
  return packet;
}

const check = (datagram: string | Uint8Array): DropReason | undefined => UdpDatagram.check(packetOf(datagram));

describe('UdpDatagram', () => {
  it('reads a datagram', () => {
    const { frame } = packetOf(HELLO);
    const datagram = new UdpDatagram(frame, frame.start);
    expect(datagram).to.include({ sourcePort: 1024, destinationPort: 53, length: 13, checksum: 0xa3ca });
    expect(datagram.payload).to.equal(frame.start + 8);
    expect(check(HELLO)).to.equal(undefined);
  });

  it('writes a datagram byte for byte', () => {
    const frame = frameWith(hexBytes('68656c6c6f'));
    UdpDatagram.emit(frame, 1024, 53, ipv4PseudoHeaderSum(0x0a000002, 0x0a000001, 17, 13));
    expect(hexOf(frame)).to.equal(HELLO);
  });

  it('1122-U1: writes a checksum that comes out zero as all ones, and accepts it', () => {
    const frame = frameWith(hexBytes('e7a2'));
    UdpDatagram.emit(frame, 1024, 53, ipv4PseudoHeaderSum(0x0a000002, 0x0a000001, 17, 10));
    expect(hexOf(frame)).to.equal('04000035000affffe7a2');
    expect(check('04000035000affffe7a2')).to.equal(undefined);
  });

  it('1122-U1, 8200-6: accepts the absence of a checksum over IPv4 only', () => {
    const packet = packetOf(HELLO.replace('a3ca', '0000'));
    expect(UdpDatagram.check(packet)).to.equal(undefined);
    const overIpv6 = { version: 6, frame: packet.frame, pseudoHeaderSum: () => 0 } as never;
    expect(UdpDatagram.check(overIpv6)).to.equal(DropReason.UdpBadChecksum);
  });

  it('sums no more than its length, and tolerates padding', () => {
    expect(check(`${HELLO}ffff`)).to.equal(undefined);
  });

  it('says what is wrong', () => {
    for (let length = 0; length < 8; length++) {
      expect(check(hexBytes(HELLO).subarray(0, length))).to.equal(DropReason.UdpTruncated);
    }
    for (let length = 8; length < 13; length++) {
      expect(check(hexBytes(HELLO).subarray(0, length))).to.equal(DropReason.UdpBadLength);
    }
    expect(check(HELLO.replace('000d', '0007'))).to.equal(DropReason.UdpBadLength);
    expect(check(HELLO.replace('a3ca', 'a3cb'))).to.equal(DropReason.UdpBadChecksum);
  });

  it('trusts a device that verified the checksum', () => {
    const packet = packetOf(HELLO.replace('a3ca', 'a3cb'));
    packet.frame.checksum = ChecksumState.Valid;
    expect(UdpDatagram.check(packet)).to.equal(undefined);
  });

  it('reads back what it emits', () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffff), fc.uint8Array({ maxLength: 60 }), (source, destination, payload) => {
        const frame = frameWith(payload);
        UdpDatagram.emit(
          frame,
          source,
          destination,
          ipv4PseudoHeaderSum(0x0a000002, 0x0a000001, 17, payload.length + 8),
        );
        const packet = packetOf(frame.bytes().slice());
        expect(UdpDatagram.check(packet)).to.equal(undefined);
        const datagram = new UdpDatagram(packet.frame, packet.frame.start);
        expect(datagram).to.include({ sourcePort: source, destinationPort: destination, length: payload.length + 8 });
      }),
    );
  });

  it('never throws, on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const packet = packetOf(bytes);
        if (UdpDatagram.check(packet) === undefined) readAll(new UdpDatagram(packet.frame, packet.frame.start));
      }),
    );
  });
});
