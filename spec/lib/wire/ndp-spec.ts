import { expect } from 'chai';
import * as fc from 'fast-check';
import type { Ipv6Address } from '../../../lib/core/address.js';
import { DropReason } from '../../../lib/core/drops.js';
import type { Frame } from '../../../lib/core/frame.js';
import { Icmpv6Message, Icmpv6Type, pushIcmpv6Headers } from '../../../lib/wire/icmpv6.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { FragmentHeader } from '../../../lib/wire/ipv6-extensions.js';
import {
  NdpMessage,
  NdpRedirect,
  NeighbourAdvertisement,
  NeighbourSolicitation,
  RouterAdvertisement,
  RouterSolicitation,
} from '../../../lib/wire/ndp.js';
import type { NdpOption } from '../../../lib/wire/ndp-options.js';
import { emptyFrame, frameOf, hexBytes, hexOf, readAll } from './frames.js';
import { address, anyUnicast, captured, enter } from './packets6.js';

// Captured from routers and hosts: tshark reads the same of them.
const SOLICITATION =
  '64006a5b8eb30c4de9c574dc86dd6000000000203afffe8000000000000004741ac9edbd7b3cfe8000000000000066006afffe5b8eb38700ccdb00000000fe8000000000000066006afffe5b8eb301010c4de9c574dc';
const ADVERTISEMENT =
  '64006a5b8eb3a860b60b27cd86dd6000000000203aff20010db800010000703a533247f31d2220010db80001000000000000000000038800b5346000000020010db800010000703a533247f31d220201a860b60b27cd';
const ROUTER =
  '33330000000164006a5b8eb386dd600be35100383afffe8000000000000066006afffe5b8eb3ff020000000000000000000000000001860084724018001e0000000000000000030440c000015180000038400000000020010db8000100000000000000000000010164006a5b8eb3';

const HOST = address('fe80::2');
const ROUTER_ADDRESS = address('fe80::1');
const ANY = address('::');
const GLOBAL = address('2001:db8::1');
const ALL_NODES = address('ff02::1');
const MAPPED = address('::ffff:10.0.0.1');

interface Sent {
  readonly source?: Ipv6Address;
  readonly destination?: Ipv6Address;
  readonly hopLimit?: number;
  /** Bytes of the ICMPv6 message to change. */
  readonly change?: Readonly<Record<number, number>>;
  readonly cut?: number;
}

/** The packet that carries what `write` writes. */
function sent(write: (frame: Frame) => void, options: Sent = {}): Ipv6Packet {
  const frame = emptyFrame();
  write(frame);
  for (const [at, value] of Object.entries(options.change ?? {})) frame.slab.bytes[frame.start + Number(at)] = value;
  frame.end -= options.cut ?? 0;
  const { source = HOST, destination = ROUTER_ADDRESS, hopLimit = 255 } = options;
  pushIcmpv6Headers(frame, { source, destination, hopLimit });
  const packet = enter(frame);
  expect(Icmpv6Message.check(packet)).to.equal(undefined);
  return packet;
}

const SLLA: NdpOption = { kind: 'source-link-address', mac: 0x0200_0000_00aa };
const solicitation = (frame: Frame) => NeighbourSolicitation.emit(frame, GLOBAL);
const named = (frame: Frame) => NeighbourSolicitation.emit(frame, GLOBAL, [SLLA]);
const answer = (frame: Frame) =>
  NeighbourAdvertisement.emit(frame, GLOBAL, { router: true, solicited: true, override: false });
const router = (frame: Frame) => RouterAdvertisement.emit(frame, { lifetime: 1800 }, [SLLA]);
const asked = (frame: Frame) => RouterSolicitation.emit(frame, [SLLA]);
const redirect = (frame: Frame) => NdpRedirect.emit(frame, ROUTER_ADDRESS, GLOBAL);

describe('NdpMessage', () => {
  it('reads and writes a captured neighbour solicitation', () => {
    const packet = captured(SOLICITATION);
    expect(Icmpv6Message.check(packet)).to.equal(undefined);
    expect(NdpMessage.check(packet)).to.equal(undefined);
    const message = new NeighbourSolicitation(packet.frame, packet.frame.start);
    expect(message).to.include({
      type: 135,
      sourceLinkAddress: 0x0c4d_e9c5_74dc,
      targetLinkAddress: -1,
      nonceOffset: -1,
    });
    expect(message.target.toString()).to.equal('fe80::6600:6aff:fe5b:8eb3');
    const frame = emptyFrame();
    NeighbourSolicitation.emit(frame, message.target, message.options());
    pushIcmpv6Headers(frame, {
      source: packet.sourceAddress,
      destination: packet.destinationAddress,
      hopLimit: 255,
    });
    expect(hexOf(frame)).to.equal(SOLICITATION.slice(28));
  });

  it('reads and writes a captured neighbour advertisement', () => {
    const packet = captured(ADVERTISEMENT);
    expect(NdpMessage.check(packet)).to.equal(undefined);
    const message = new NeighbourAdvertisement(packet.frame, packet.frame.start);
    expect(message).to.include({ router: false, solicited: true, override: true, targetLinkAddress: 0xa860_b60b_27cd });
    const frame = emptyFrame();
    NeighbourAdvertisement.emit(frame, message.target, message, message.options());
    pushIcmpv6Headers(frame, {
      source: packet.sourceAddress,
      destination: packet.destinationAddress,
      hopLimit: 255,
    });
    expect(hexOf(frame)).to.equal(ADVERTISEMENT.slice(28));
  });

  it('reads and writes a captured router advertisement', () => {
    const packet = captured(ROUTER);
    expect(NdpMessage.check(packet)).to.equal(undefined);
    const message = new RouterAdvertisement(packet.frame, packet.frame.start);
    expect(message).to.include({ hopLimit: 64, lifetime: 30, preference: -1, managed: false, reachableTime: 0 });
    expect(message.options()).to.deep.equal([
      {
        kind: 'prefix',
        prefix: address('2001:db8:1::'),
        length: 64,
        onLink: true,
        autonomous: true,
        routerAddress: false,
        validLifetime: 86400,
        preferredLifetime: 14400,
      },
      { kind: 'source-link-address', mac: 0x6400_6a5b_8eb3 },
    ]);
    const frame = emptyFrame();
    RouterAdvertisement.emit(frame, message, message.options());
    pushIcmpv6Headers(frame, {
      source: packet.sourceAddress,
      destination: packet.destinationAddress,
      hopLimit: 255,
      flowLabel: packet.flowLabel,
    });
    expect(hexOf(frame)).to.equal(ROUTER.slice(28));
  });

  it('reads back redirects', () => {
    const packet = sent((frame) =>
      NdpRedirect.emit(frame, ROUTER_ADDRESS, GLOBAL, [{ kind: 'redirected', packet: new Uint8Array(48).fill(7) }]),
    );
    expect(NdpMessage.check(packet)).to.equal(undefined);
    const message = new NdpRedirect(packet.frame, packet.frame.start);
    expect([message.target, message.destination]).to.deep.equal([ROUTER_ADDRESS, GLOBAL]);
    expect(message.options()).to.deep.equal([{ kind: 'redirected', packet: new Uint8Array(48).fill(7) }]);
  });

  it('7527: finds the nonce of a probe', () => {
    const packet = sent((frame) =>
      NeighbourSolicitation.emit(frame, GLOBAL, [{ kind: 'nonce', nonce: hexBytes('010203040506') }]),
    );
    const message = new NeighbourSolicitation(packet.frame, packet.frame.start);
    expect(message.nonceOffset).to.equal(message.offset + 24);
  });

  // RFC 4861 6.1.1, 6.1.2, 7.1.1, 7.1.2, 8.1.
  const cases: readonly [string, (frame: Frame) => void, Sent, DropReason | undefined][] = [
    ['solicitation from an address', named, {}, undefined],
    ['solicitation for a multicast target', solicitation, { change: { 8: 0xff } }, DropReason.NdpBadTarget],
    [
      'probe to the solicited-node group',
      solicitation,
      { source: ANY, destination: address('ff02::1:ff00:1') },
      undefined,
    ],
    ['probe to an address', solicitation, { source: ANY, destination: GLOBAL }, DropReason.NdpBadDestination],
    ['probe to all nodes', solicitation, { source: ANY, destination: ALL_NODES }, DropReason.NdpBadDestination],
    [
      'probe that says where it lives',
      named,
      { source: ANY, destination: address('ff02::1:ff00:1') },
      DropReason.NdpBadOption,
    ],
    ['solicited advertisement', answer, {}, undefined],
    ['solicited advertisement to a group', answer, { destination: ALL_NODES }, DropReason.NdpBadDestination],
    ['unsolicited advertisement to a group', answer, { destination: ALL_NODES, change: { 4: 0x20 } }, undefined],
    ['advertisement of a multicast target', answer, { change: { 8: 0xff } }, DropReason.NdpBadTarget],
    [
      'advertisement of an IPv4-mapped target',
      (frame) => NeighbourAdvertisement.emit(frame, MAPPED, { router: false, solicited: false, override: true }),
      {},
      DropReason.NdpBadTarget,
    ],
    ['router solicitation', asked, {}, undefined],
    ['router solicitation from nowhere', (frame) => RouterSolicitation.emit(frame), { source: ANY }, undefined],
    ['router solicitation from nowhere that says where it lives', asked, { source: ANY }, DropReason.NdpBadOption],
    ['router advertisement', router, { source: ROUTER_ADDRESS }, undefined],
    ['router advertisement from a global address', router, { source: GLOBAL }, DropReason.NdpBadSource],
    ['redirect to a router', redirect, { source: ROUTER_ADDRESS }, undefined],
    ['redirect to the destination', (frame) => NdpRedirect.emit(frame, GLOBAL, GLOBAL), {}, undefined],
    ['redirect from a global address', redirect, { source: GLOBAL }, DropReason.NdpBadSource],
    ['redirect of a group', redirect, { change: { 24: 0xff } }, DropReason.NdpBadDestination],
    [
      'redirect of an IPv4-mapped address',
      (frame) => NdpRedirect.emit(frame, MAPPED, MAPPED),
      {},
      DropReason.NdpBadDestination,
    ],
    [
      'redirect to a global address',
      (frame) => NdpRedirect.emit(frame, GLOBAL, address('2001:db8::9')),
      {},
      DropReason.NdpBadTarget,
    ],
  ];
  for (const [name, write, options, verdict] of cases) {
    it(`4861-1: ${name}: ${verdict === undefined ? 'taken' : 'refused'}`, () => {
      expect(NdpMessage.check(sent(write, options))).to.equal(verdict);
    });
  }

  it('4861-1: refuses any hop limit but 255, any code but 0, and options of length 0, in every message', () => {
    for (const write of [named, answer, router, asked, redirect]) {
      expect(NdpMessage.check(sent(write))).to.equal(undefined);
      expect(NdpMessage.check(sent(write, { hopLimit: 254 }))).to.equal(DropReason.NdpBadHopLimit);
      expect(NdpMessage.check(sent(write, { change: { 1: 1 } }))).to.equal(DropReason.NdpBadCode);
      const empty = (frame: Frame) => {
        write(frame);
        frame.slab.bytes.fill(0, frame.put(8), frame.end);
      };
      expect(NdpMessage.check(sent(empty))).to.equal(DropReason.NdpBadOption);
    }
  });

  it('is truncated at every byte boundary', () => {
    for (const [write, fixed] of [
      [named, 24],
      [router, 16],
      [asked, 8],
    ] as const) {
      for (let cut = 1; ; cut++) {
        const { length } = sent(write).frame;
        if (length - cut < 8) break;
        const verdict = NdpMessage.check(sent(write, { cut }));
        if (length - cut < fixed) expect(verdict, `-${cut}`).to.equal(DropReason.NdpTruncated);
        else expect(verdict, `-${cut}`).to.equal(length - cut === fixed ? undefined : DropReason.NdpBadOption);
      }
    }
  });

  it('6980: refuses what came with a fragment header, even an atomic one', () => {
    const frame = emptyFrame();
    named(frame);
    pushIcmpv6Headers(frame, { source: HOST, destination: ROUTER_ADDRESS, hopLimit: 255 });
    frame.start += 40;
    const protocol = FragmentHeader.emit(frame, IpProtocol.Icmpv6, 0, false, 1);
    Ipv6Packet.emit(frame, { source: HOST, destination: ROUTER_ADDRESS, protocol, hopLimit: 255 });
    const packet = enter(frame);
    expect(Icmpv6Message.check(packet)).to.equal(undefined);
    expect(NdpMessage.check(packet)).to.equal(DropReason.NdpFragmented);
  });

  it('wants an empty frame to fill', () => {
    expect(() => RouterSolicitation.emit(frameOf('00')))
      .to.throw()
      .with.property('code', 'ERR_INVALID_STATE');
  });

  it('reads back router advertisements', () => {
    const fields = fc.record({
      hopLimit: fc.nat(255),
      managed: fc.boolean(),
      other: fc.boolean(),
      homeAgent: fc.boolean(),
      preference: fc.constantFrom(-1 as const, 0 as const, 1 as const),
      proxy: fc.boolean(),
      lifetime: fc.nat(0xffff),
      reachableTime: fc.nat(0xffff_ffff),
      retransmitTimer: fc.nat(0xffff_ffff),
    });
    fc.assert(
      fc.property(fields, (values) => {
        const packet = sent((frame) => RouterAdvertisement.emit(frame, values));
        expect(NdpMessage.check(packet)).to.equal(undefined);
        expect(new RouterAdvertisement(packet.frame, packet.frame.start)).to.include(values);
      }),
    );
  });

  it('reads back neighbour messages', () => {
    fc.assert(
      fc.property(anyUnicast, fc.boolean(), fc.boolean(), fc.boolean(), (target, routing, solicited, override) => {
        const flags = { router: routing, solicited, override };
        const packet = sent((frame) => NeighbourAdvertisement.emit(frame, target, flags));
        expect(NdpMessage.check(packet)).to.equal(undefined);
        const message = new NeighbourAdvertisement(packet.frame, packet.frame.start);
        expect(message).to.include(flags);
        expect(message.target).to.deep.equal(target);
      }),
    );
  });

  it('never throws, on any bytes', () => {
    const views = [RouterSolicitation, RouterAdvertisement, NeighbourSolicitation, NeighbourAdvertisement, NdpRedirect];
    const type = fc.integer({ min: Icmpv6Type.RouterSolicitation, max: Icmpv6Type.Redirect });
    const option = fc.tuple(
      fc.constantFrom(1, 2, 3, 4, 5, 14, 24, 25, 31, 99),
      fc.nat(5),
      fc.uint8Array({ minLength: 6, maxLength: 38 }),
    );
    const options = fc
      .array(option, { maxLength: 4 })
      .map((list) => list.flatMap(([kind, length, rest]) => [kind, length, ...rest]));
    const body = fc
      .tuple(fc.uint8Array({ minLength: 7, maxLength: 39 }), options)
      .map(([rest, tail]) => [...rest, ...tail]);
    const anything = fc.oneof(body, fc.uint8Array({ minLength: 7, maxLength: 80 }));
    fc.assert(
      fc.property(type, anything, fc.boolean(), (kind, rest, sane) => {
        const packet = sent((frame) => {
          frame.slab.bytes.set([kind, sane ? 0 : (rest[0] ?? 0), ...rest.slice(1), 0], frame.put(rest.length + 1));
        });
        if (NdpMessage.check(packet) !== undefined) return;
        const View = views[kind - Icmpv6Type.RouterSolicitation] ?? NdpMessage;
        const message = new View(packet.frame, packet.frame.start);
        readAll(message);
        message.options();
      }),
      { numRuns: 500 },
    );
  });
});
