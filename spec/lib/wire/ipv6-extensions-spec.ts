import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropReason } from '../../../lib/core/drops.js';
import { HOP_BY_HOP, IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import {
  type ExtensionProblem,
  findPayload,
  FragmentHeader,
  holdsAllHeaders,
  type Ipv6Option,
  MAX_EXTENSION_HEADERS,
  MAX_OPTIONS,
  pushIpv6Options,
  pushRouterAlert,
  readIpv6Options,
  walkExtensions,
} from '../../../lib/wire/ipv6-extensions.js';
import { frameWith, hexBytes, hexOf, readAll, truncations } from './frames.js';
import { address } from './packets6.js';

const { Udp, Tcp, DestinationOptions, Routing, Fragment, Ah, Esp, NoNext } = IpProtocol;

/** A packet of these headers, each in hex with its first byte left out: it names the next one. */
function packetOf(
  headers: readonly (readonly [protocol: number, hex: string])[],
  last: number,
  payload = '',
): Ipv6Packet {
  const protocols = [...headers.map(([protocol]) => protocol), last];
  const hex = headers.map(([, bytes], index) => (protocols[index + 1] ?? 0).toString(16).padStart(2, '0') + bytes);
  const frame = frameWith(hexBytes(hex.join('') + payload));
  Ipv6Packet.emit(frame, { source: address('::2'), destination: address('::1'), protocol: protocols[0] ?? last });
  return new Ipv6Packet(frame, frame.start);
}

const HOP = [HOP_BY_HOP, '00 0104 00000000'] as const;
const DEST = [DestinationOptions, '00 0104 00000000'] as const;
const ROUTE_DONE = [Routing, '00 0400 00000000'] as const;
const AUTH = [Ah, '04 0000 00000001 00000002 000000000000000000000000'] as const;
const ATOMIC = [Fragment, '00 0000 00000007'] as const;

function problemOf(packet: Ipv6Packet): ExtensionProblem | undefined {
  return walkExtensions(packet);
}

describe('walkExtensions', () => {
  it('leaves a packet without extension headers alone', () => {
    const packet = packetOf([], Udp);
    expect(walkExtensions(packet)).to.equal(undefined);
    expect(packet).to.include({
      protocol: Udp,
      protocolField: 6,
      headerLength: 40,
      fragmentHeader: 0,
      routerAlert: -1,
    });
  });

  it('steps over hop-by-hop, destination options, routing without segments left, AH and an atomic fragment header', () => {
    const packet = packetOf([HOP, DEST, ROUTE_DONE, ATOMIC, AUTH, DEST], Tcp, 'aabb');
    expect(walkExtensions(packet)).to.equal(undefined);
    expect(packet).to.include({
      protocol: Tcp,
      headerLength: 40 + 5 * 8 + 24,
      fragmentHeader: 40 + 24,
      isFragment: false,
    });
    expect(packet.protocolField).to.equal(packet.headerLength - 8);
    expect(walkExtensions(packet), 'again').to.equal(undefined);
    expect(packet.headerLength).to.equal(104);
  });

  it('hands ESP, "no next header" and whatever it does not know over as a payload', () => {
    for (const protocol of [Esp, NoNext, 135, 254]) {
      const packet = packetOf([DEST], protocol, '00');
      expect(walkExtensions(packet)).to.equal(undefined);
      // GP-08: a parameter problem about an unknown one points here.
      expect(packet).to.include({ protocol, headerLength: 48, protocolField: 40 });
    }
  });

  it('stops behind the header of a fragment', () => {
    const packet = packetOf([DEST, [Fragment, '00 0009 0000abcd'], HOP], Udp);
    expect(walkExtensions(packet)).to.equal(undefined);
    expect(packet).to.include({ protocol: HOP_BY_HOP, headerLength: 56, fragmentHeader: 48, isFragment: true });
    const header = new FragmentHeader(packet.frame, packet.offset + packet.fragmentHeader);
    expect(header).to.include({ nextHeader: 0, fragmentOffset: 8, moreFragments: true, identification: 0xabcd });
  });

  it('reads the router alert', () => {
    const packet = packetOf([[HOP_BY_HOP, '00 05020000 0100']], IpProtocol.Icmpv6);
    expect(walkExtensions(packet)).to.equal(undefined);
    expect(packet.routerAlert).to.equal(0);
    // In destination options it means nothing.
    const elsewhere = packetOf([[DestinationOptions, '00 05020000 0100']], IpProtocol.Icmpv6);
    expect(walkExtensions(elsewhere)).to.equal(undefined);
    expect(elsewhere.routerAlert).to.equal(-1);
  });

  // RFC 8200 4.2: the two highest bits of the option's type.
  for (const [type, action] of [
    ['1e', undefined],
    ['5e', 'discard'],
    ['9e', 'parameter-problem'],
    ['de', 'parameter-problem-unless-multicast'],
    // Jumbo payload (RFC 2675) and home address (RFC 6275) are unknown here.
    ['c2', 'parameter-problem-unless-multicast'],
    ['c9', 'parameter-problem-unless-multicast'],
  ] as const) {
    for (const kind of [HOP_BY_HOP, DestinationOptions] as const) {
      it(`GP-17 8200-2: an unknown option ${type} in header ${kind}: ${action ?? 'skip'}`, () => {
        const found = problemOf(packetOf([[kind, `00 ${type}0400000000`]], Udp));
        expect(found).to.deep.equal(
          action === undefined ? undefined : { reason: DropReason.Ipv6UnknownOption, action, code: 2, pointer: 42 },
        );
      });
    }
  }

  it('points at an option behind others', () => {
    const packet = packetOf([HOP, [DestinationOptions, '01 00 0100 1e021111 800100 0102 0000']], Udp);
    expect(problemOf(packet)).to.include({ action: 'parameter-problem', pointer: 40 + 8 + 2 + 1 + 2 + 4 });
  });

  it('8200-3 RFC 5095: refuses routes with segments left, of type 0 and any other', () => {
    for (const type of ['00', '02', '04', 'fe']) {
      const packet = packetOf([DEST, [Routing, `02 ${type}01 00000000 ${'00'.repeat(16)}`]], Udp);
      expect(problemOf(packet)).to.deep.equal({
        reason: DropReason.Ipv6SourceRouted,
        action: 'parameter-problem-unless-multicast',
        code: 0,
        pointer: 50,
      });
    }
  });

  it('8200-1: refuses hop-by-hop options anywhere but right behind the header', () => {
    expect(problemOf(packetOf([DEST, HOP], Udp))).to.deep.equal({
      reason: DropReason.Ipv6BadExtension,
      action: 'parameter-problem-unless-multicast',
      code: 1,
      pointer: 40,
    });
  });

  it('discards headers and options that end early', () => {
    const bad = { reason: DropReason.Ipv6BadExtension, action: 'discard' };
    expect(problemOf(packetOf([[DestinationOptions, '01 010400000000']], Udp))).to.include(bad);
    expect(problemOf(packetOf([[DestinationOptions, '00 010500000000']], Udp))).to.include(bad);
    expect(problemOf(packetOf([[DestinationOptions, '00 0000000000 1e']], Udp))).to.include(bad);
    const whole = packetOf([HOP, DEST, ROUTE_DONE, AUTH, ATOMIC], NoNext);
    for (const cut of truncations(whole.frame.bytes().slice(40))) {
      const frame = frameWith(cut.bytes());
      Ipv6Packet.emit(frame, { source: address('::2'), destination: address('::1'), protocol: HOP_BY_HOP });
      expect(problemOf(new Ipv6Packet(frame, frame.start)), `${cut.length} bytes`).to.include(bad);
    }
  });

  it('walks so many headers and options, and no more (RFC 8504 5.3)', () => {
    const headers = (count: number) =>
      packetOf(
        Array.from({ length: count }, () => DEST),
        Udp,
      );
    expect(problemOf(headers(MAX_EXTENSION_HEADERS))).to.equal(undefined);
    expect(problemOf(headers(MAX_EXTENSION_HEADERS + 1))).to.include({ reason: DropReason.Ipv6BadExtension });
    const options = (count: number) =>
      packetOf([[DestinationOptions, `02 ${'1e00'.repeat(count)}${'0000'.repeat(11 - count)}`]], Udp);
    expect(problemOf(options(MAX_OPTIONS))).to.equal(undefined);
    expect(problemOf(options(MAX_OPTIONS + 1))).to.include({ reason: DropReason.Ipv6BadExtension });
  });

  it('takes no longer for a packet full of headers or options', () => {
    const headers = packetOf(
      Array.from({ length: 8000 }, () => DEST),
      Udp,
    );
    const options = packetOf([[DestinationOptions, `ff ${'00'.repeat(2046)}`]], Udp);
    const before = process.cpuUsage().user;
    for (let i = 0; i < 2000; i++) {
      walkExtensions(headers);
      walkExtensions(options);
    }
    expect(process.cpuUsage().user - before, 'microseconds').to.be.below(1_500_000);
  });
});

describe('findPayload', () => {
  it('walks over options and routes that nobody would take', () => {
    const packet = packetOf(
      [
        [HOP_BY_HOP, '00 de0400000000'],
        [Routing, '00 0001 00000000'],
      ],
      Udp,
    );
    expect(findPayload(packet, packet.frame.end)).to.equal(true);
    expect(packet).to.include({ protocol: Udp, headerLength: 56 });
  });

  it('says where a chain is cut', () => {
    const packet = packetOf([HOP, DEST], Udp, '00');
    expect(findPayload(packet, packet.offset + 56)).to.equal(true);
    expect(findPayload(packet, packet.offset + 55)).to.equal(false);
    expect(packet).to.include({ protocol: DestinationOptions, headerLength: 48 });
  });
});

describe('extension headers', () => {
  it('are written byte for byte', () => {
    const frame = frameWith(hexBytes('aabb'));
    expect(pushRouterAlert(frame, 58)).to.equal(HOP_BY_HOP);
    expect(FragmentHeader.emit(frame, HOP_BY_HOP, 1480, true, 0x01020304)).to.equal(Fragment);
    expect(pushIpv6Options(frame, DestinationOptions, Fragment, [])).to.equal(DestinationOptions);
    expect(hexOf(frame)).to.equal('2c00010400000000000005c9010203043a00050200000100aabb');
  });

  it('read back the options that they are given', () => {
    const option = fc.record({ type: fc.integer({ min: 2, max: 0x3f }), data: fc.uint8Array({ maxLength: 20 }) });
    fc.assert(
      fc.property(fc.array(option, { maxLength: 8 }), (options: Ipv6Option[]) => {
        const frame = frameWith(hexBytes('aabb'));
        const protocol = pushIpv6Options(frame, DestinationOptions, Udp, options);
        expect(frame.length % 8).to.equal(2);
        expect(readIpv6Options(frame, frame.start, frame.end)).to.deep.equal(options);
        Ipv6Packet.emit(frame, { source: address('::2'), destination: address('::1'), protocol });
        const packet = new Ipv6Packet(frame, frame.start);
        expect(walkExtensions(packet)).to.equal(undefined);
        expect(packet).to.include({ protocol: Udp, headerLength: frame.length - 2 });
      }),
    );
  });

  it('read back a fragment header', () => {
    fc.assert(
      fc.property(fc.nat(255), fc.nat(0x1fff), fc.boolean(), fc.nat(0xffff_ffff), (next, units, more, id) => {
        const frame = frameWith(new Uint8Array(0));
        FragmentHeader.emit(frame, next, units * 8, more, id);
        expect(new FragmentHeader(frame, frame.start)).to.include({
          nextHeader: next,
          fragmentOffset: units * 8,
          moreFragments: more,
          identification: id,
        });
      }),
    );
  });

  it('never make a walk throw, on any bytes, and leave getters safe', () => {
    const extension = fc.constantFrom<number>(HOP_BY_HOP, Routing, Fragment, Ah, DestinationOptions, Udp, Esp);
    const piece = fc
      .tuple(extension, fc.nat(2), fc.uint8Array({ minLength: 6, maxLength: 30 }))
      .map(([next, units, rest]) => Uint8Array.from([next, units, ...rest]));
    const chain = fc
      .array(piece, { maxLength: 12 })
      .map((pieces) => Uint8Array.from(pieces.flatMap((bytes) => [...bytes])));
    fc.assert(
      fc.property(extension, fc.oneof(chain, fc.uint8Array({ maxLength: 80 })), (protocol, bytes) => {
        const frame = frameWith(bytes);
        Ipv6Packet.emit(frame, { source: address('::2'), destination: address('::1'), protocol });
        const packet = new Ipv6Packet(frame, frame.start);
        const problem = walkExtensions(packet);
        expect(packet.headerLength).to.be.within(40, packet.totalLength);
        readAll(packet);
        if (problem !== undefined) expect(problem.pointer).to.be.below(frame.length);
        findPayload(packet, frame.end);
        holdsAllHeaders(packet);
        readIpv6Options(frame, frame.start, frame.end);
        if (packet.fragmentHeader > 0) readAll(new FragmentHeader(frame, packet.offset + packet.fragmentHeader));
      }),
      { numRuns: 500 },
    );
  });
});

describe('holdsAllHeaders', () => {
  it('8200-4 RFC 7112: wants the whole chain in the first fragment', () => {
    const first = [Fragment, '00 0001 00000007'] as const;
    const whole = (packet: Ipv6Packet): boolean => {
      expect(walkExtensions(packet)).to.equal(undefined);
      return holdsAllHeaders(packet);
    };
    expect(whole(packetOf([first, DEST], Udp, '00'.repeat(8)))).to.equal(true);
    expect(whole(packetOf([first, DEST], Udp, '00'.repeat(7)))).to.equal(false);
    expect(whole(packetOf([first], Tcp, '00'.repeat(16)))).to.equal(false);
    expect(whole(packetOf([first, [DestinationOptions, '01 000000000000']], Udp))).to.equal(false);
    expect(whole(packetOf([first], NoNext))).to.equal(true);
  });
});
