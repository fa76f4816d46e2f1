import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropReason } from '../../../lib/core/drops.js';
import { ChecksumState } from '../../../lib/core/frame.js';
import {
  Icmpv6Message,
  Icmpv6Quote,
  Icmpv6Type,
  Icmpv6Unreachable,
  isIcmpv6Error,
  isMld,
  isNdp,
  pushIcmpv6Headers,
} from '../../../lib/wire/icmpv6.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv6Packet, ipv6PseudoHeaderSum } from '../../../lib/wire/ipv6.js';
import { emptyFrame, frameOf, frameWith, hexBytes, hexOf, readAll, truncations } from './frames.js';
import { address, enter } from './packets6.js';

const SOURCE = address('2001:db8::2');
const DESTINATION = address('2001:db8::1');
// An echo request with an odd number of bytes, and an error about a UDP datagram behind destination options.
const ECHO =
  '60000000000d3a40 20010db8000000000000000000000002 20010db8000000000000000000000001 80001e37000700010001020304'.replaceAll(
    ' ',
    '',
  );
const QUOTED =
  '6000000000153c40 20010db8000000000000000000000001 20010db8000000000000000000000002 1100010400000000 0400 0035 000d 0000 68656c6c6f'.replaceAll(
    ' ',
    '',
  );

function errorOf(quoted: string | Uint8Array, type: number = Icmpv6Type.DestinationUnreachable): Icmpv6Message {
  const frame = frameWith(typeof quoted === 'string' ? hexBytes(quoted) : quoted);
  Icmpv6Message.emit(frame, type, 0, 0, 0);
  return new Icmpv6Message(frame, frame.start);
}

describe('Icmpv6Message', () => {
  it('reads and writes an echo with an odd number of bytes', () => {
    const packet = enter(frameOf(ECHO));
    expect(Icmpv6Message.check(packet)).to.equal(undefined);
    const message = new Icmpv6Message(packet.frame, packet.frame.start);
    expect(message).to.include({ type: Icmpv6Type.EchoRequest, code: 0, identifier: 7, sequence: 1, rest: 0x70001 });
    expect(message.payload).to.equal(message.offset + 8);
    const frame = frameWith(hexBytes('0001020304'));
    const sum = ipv6PseudoHeaderSum(SOURCE, DESTINATION, IpProtocol.Icmpv6, 13);
    Icmpv6Message.emit(frame, Icmpv6Type.EchoRequest, 0, 0x0007_0001, sum);
    expect(hexOf(frame)).to.equal(ECHO.slice(80));
    pushIcmpv6Headers(frame, { source: SOURCE, destination: DESTINATION });
    expect(hexOf(frame)).to.equal(ECHO);
  });

  it('reads MTUs and pointers of 32 bits', () => {
    const frame = frameWith(hexBytes(QUOTED));
    Icmpv6Message.emit(frame, Icmpv6Type.PacketTooBig, 0, 0xfffe_0001, 0);
    expect(new Icmpv6Message(frame, frame.start)).to.include({ mtu: 0xfffe_0001, pointer: 0xfffe_0001 });
  });

  it('shows the packet that an error quotes', () => {
    const { quoted } = errorOf(QUOTED);
    expect(quoted).to.include({ protocol: IpProtocol.Udp });
    expect(quoted?.transport).to.equal((quoted?.packet.offset ?? 0) + 48);
    expect(quoted?.packet.sourceAddress.toString()).to.equal('2001:db8::1');
    expect(quoted?.ports).to.deep.equal({ source: 1024, destination: 53 });
    expect(errorOf(QUOTED, Icmpv6Type.EchoRequest).quoted).to.equal(undefined);
    expect(errorOf(QUOTED, 100).quoted?.ports, 'an error of unknown type').to.deep.equal({
      source: 1024,
      destination: 53,
    });
  });

  it('shows no quote whose header is cut or of another version, and no transport behind a cut chain', () => {
    for (const frame of truncations(hexBytes(QUOTED).subarray(0, 40))) {
      expect(errorOf(frame.bytes()).quoted, `${frame.length} bytes`).to.equal(undefined);
    }
    expect(errorOf(`4${QUOTED.slice(1)}`).quoted).to.equal(undefined);
    for (let length = 40; length < 48; length++) {
      expect(errorOf(hexBytes(QUOTED).subarray(0, length)).quoted).to.include({ transport: -1, ports: undefined });
    }
    expect(errorOf(hexBytes(QUOTED).subarray(0, 51)).quoted?.ports).to.equal(undefined);
    expect(errorOf(hexBytes(QUOTED).subarray(0, 52)).quoted?.ports).to.deep.equal({ source: 1024, destination: 53 });
  });

  it('finds ports in a first fragment, and none in a later one', () => {
    const fragment = QUOTED.replace('3c40', '2c40');
    expect(errorOf(fragment.replace('1100010400000000', '1100000100000009')).quoted?.ports).to.include({
      source: 1024,
    });
    expect(errorOf(fragment.replace('1100010400000000', '1100000900000009')).quoted).to.include({
      transport: -1,
      ports: undefined,
    });
  });

  it('ends the quote where RFC 4884 extensions begin', () => {
    const bytes = new Uint8Array(128 + 12);
    bytes.set(hexBytes(QUOTED));
    const frame = frameWith(bytes);
    Icmpv6Message.emit(frame, Icmpv6Type.TimeExceeded, 0, 0x1000_0000, 0);
    const extended = new Icmpv6Message(frame, frame.start);
    expect(extended.quoted?.end).to.equal(extended.payload + 128);
    frame.slab.view.setUint8(frame.start + 4, 15);
    expect(extended.quoteEnd).to.equal(frame.end);
  });

  it('is truncated below its header', () => {
    for (const cut of truncations(hexBytes(ECHO).slice(40, 48))) {
      const frame = frameWith(cut.bytes());
      Ipv6Packet.emit(frame, { source: SOURCE, destination: DESTINATION, protocol: IpProtocol.Icmpv6 });
      expect(Icmpv6Message.check(enter(frame))).to.equal(DropReason.Icmpv6Truncated);
    }
  });

  it('has a bad checksum when any bit of it or of its addresses flips, unless a device verified it', () => {
    const covered = fc.oneof(fc.integer({ min: 8, max: 39 }), fc.integer({ min: 40, max: 52 }));
    fc.assert(
      fc.property(covered, fc.nat(7), (at, bit) => {
        const flipped = hexBytes(ECHO);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
        const packet = enter(frameOf(flipped));
        expect(Icmpv6Message.check(packet)).to.equal(DropReason.Icmpv6BadChecksum);
        packet.frame.checksum = ChecksumState.Valid;
        expect(Icmpv6Message.check(packet)).to.equal(undefined);
      }),
    );
  });

  it('sorts the types', () => {
    const types = Object.values(Icmpv6Type);
    expect(types.filter(isIcmpv6Error)).to.have.members([1, 2, 3, 4]);
    expect(types.filter(isNdp)).to.have.members([133, 134, 135, 136, 137]);
    expect(types.filter(isMld)).to.have.members([130, 131, 132, 143]);
    expect(Icmpv6Unreachable.Port).to.equal(4);
  });

  it('reads back what it emits and never throws, on any bytes', () => {
    const data = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.tuple(fc.nat(60), fc.nat(255)).map(([at, value]) => hexBytes(QUOTED).fill(value, at, at + 1)),
    );
    fc.assert(
      fc.property(fc.nat(255), fc.nat(255), fc.nat(0xffff_ffff), data, (type, code, rest, payload) => {
        const frame = emptyFrame();
        frame.slab.bytes.set(payload, frame.put(payload.length));
        const sum = ipv6PseudoHeaderSum(SOURCE, DESTINATION, IpProtocol.Icmpv6, payload.length + 8);
        Icmpv6Message.emit(frame, type, code, rest, sum);
        Ipv6Packet.emit(frame, { source: SOURCE, destination: DESTINATION, protocol: IpProtocol.Icmpv6 });
        const packet = enter(frame);
        expect(Icmpv6Message.check(packet)).to.equal(undefined);
        const message = new Icmpv6Message(frame, frame.start);
        expect(message).to.include({ type, code, rest });
        readAll(message);
        const quote = Icmpv6Quote.at(frame, frame.start, frame.end);
        if (quote !== undefined) readAll(quote);
        if (message.quoted !== undefined) readAll(message.quoted);
      }),
    );
  });
});
