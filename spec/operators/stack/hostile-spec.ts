import { expect } from 'chai';
import * as fc from 'fast-check';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { config } from 'rxjs';
import { type CaptureRecord, LinkType, readCapture } from '../../../lib/capture/index.js';
import {
  type IpAddress,
  type IpVersion,
  Ipv4Address,
  isGroupMac,
  MacAddress,
  parseIp,
} from '../../../lib/core/address.js';
import { SeededRandom } from '../../../lib/core/random.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { readMac, writeMac } from '../../../lib/wire/ethernet.js';
import { HOP_BY_HOP, IpProtocol } from '../../../lib/wire/ip.js';
import { readIpv6 } from '../../../lib/wire/ipv6.js';
import { NdpRedirect, RouterAdvertisement } from '../../../lib/wire/ndp.js';
import type { NdpOption } from '../../../lib/wire/ndp-options.js';
import { TcpFlag } from '../../../lib/wire/tcp.js';
import { pattern } from '../l3/packets.js';
import { chained, echo6, echo6Message, ether6, icmp6Packet, ip6, ndpPacket } from '../l3/packets6.js';
import { type IpIn, ipOf, repair, Target, tellLength } from './hostile.js';

const FOLDER = fileURLToPath(new URL('../../../../shared/captures/', import.meta.url));

/** One thing that is done to a frame; positions are taken modulo its length. */
interface Mutation {
  readonly kind: 'truncate' | 'flip' | 'byte' | 'word' | 'extend' | 'insert';
  readonly at: number;
  readonly value: number;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('truncate', 'flip', 'byte', 'word', 'extend', 'insert'),
  // Headers are more interesting than what they carry.
  at: fc.oneof(fc.nat(80), fc.nat(2000)),
  value: fc.oneof(fc.constantFrom(0, 1, 0xff, 0xffff, 0x7fff, 0x8000, 0x2000), fc.nat(0xffff)),
});

function mutate(bytes: Uint8Array, { kind, at, value }: Mutation): Uint8Array {
  if (bytes.length === 0) return bytes;
  const from = at % bytes.length;
  const changed = Uint8Array.from(bytes);
  if (kind === 'truncate') return changed.subarray(0, from);
  if (kind === 'extend') return Uint8Array.from([...changed, ...new Uint8Array(value % 200).fill(value)]);
  if (kind === 'insert') {
    return Uint8Array.from([
      ...changed.subarray(0, from),
      ...new Uint8Array(value % 9).fill(at),
      ...changed.subarray(from),
    ]);
  }
  if (kind === 'flip') changed[from] = (changed[from] ?? 0) ^ (1 << (value & 7));
  else changed[from] = value & 0xff;
  if (kind === 'word') changed[from + 1 < changed.length ? from + 1 : from] = value >>> 8;
  return changed;
}

/** Runs `test` and fails if anything threw within a stream, which RxJS would otherwise throw out of nowhere later. */
async function withoutThrowing(test: () => void): Promise<void> {
  const thrown: unknown[] = [];
  const { onUnhandledError } = config;
  config.onUnhandledError = (error) => void thrown.push(error);
  try {
    test();
    await new Promise((resolve) => setTimeout(resolve, 5));
  } finally {
    config.onUnhandledError = onUnhandledError;
  }
  if (thrown.length > 0) throw thrown[0];
}

const MAC = MacAddress.parse('02:00:00:00:00:01');
const PEER_MAC = 0x0200_0000_0002;

/** The frames of one IP version. */
interface Version {
  readonly name: string;
  readonly version: IpVersion;
  readonly options: { readonly addresses: readonly string[]; readonly ports: readonly number[] };
  readonly notation: PacketNotation;
  /** Frames that a host has something to do with, one of each kind. */
  readonly seeds: readonly Uint8Array[];
  /** How the peer makes itself known, and what a router says about a segment of ours. */
  readonly hello: string;
  readonly unreachable: string;
}

const TCP_LINES = [
  'udp 53 > 8080 (12)',
  'udp 53 > 9090 (12)',
  'S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>',
  '. 1:1(0) ack 1 win 65535',
  'P. 1:101(100) ack 1 win 65535',
  'F. 1:1(0) ack 1 win 65535',
  'R 1:1(0) win 0',
];

function frameOf(notation: PacketNotation, line: string): Uint8Array {
  return notation.build(line, '<').bytes().slice();
}

const notation4 = new PacketNotation({ local: '10.0.0.2', remote: '10.0.0.9' });
const notation6 = new PacketNotation({ local: 'fd00::2', remote: 'fd00::9' });
const SOLICITATION = 'icmpv6 neighbor_solicitation target fd00::2 lladdr 02:00:00:00:00:02';

const VERSIONS: readonly Version[] = [
  {
    name: 'IPv4',
    version: 4,
    options: { addresses: ['10.0.0.2/24'], ports: [8080] },
    notation: notation4,
    seeds: [
      'arp who-has 10.0.0.2 tell 10.0.0.9',
      'arp reply 10.0.0.9 is-at 02:00:00:00:00:02',
      'icmp echo_request id 7 seq 1 (56)',
      'icmp echo_request id 7 seq 1 (80) frag 0:32+',
      'icmp echo_request id 7 seq 1 (80) frag 32:88',
      ...TCP_LINES,
    ].map((line) => frameOf(notation4, line)),
    hello: 'arp who-has 10.0.0.2 tell 10.0.0.9',
    unreachable: 'icmp unreachable host [301:401(100)]',
  },
  {
    name: 'IPv6',
    version: 6,
    options: { addresses: ['fd00::2/64'], ports: [8080] },
    notation: notation6,
    seeds: [
      ...[
        SOLICITATION,
        'icmpv6 neighbor_advertisement target fd00::9 flags SO lladdr 02:00:00:00:00:02',
        'icmpv6 echo_request id 7 seq 1 (56)',
        'icmpv6 echo_request id 7 seq 1 (80) frag 0:32+',
        'icmpv6 echo_request id 7 seq 1 (80) frag 32:88',
        'icmpv6 unreachable port [udp 8080 > 53 (12)]',
        ...TCP_LINES,
      ].map((line) => frameOf(notation6, line)),
      ...discovery(),
      ...chains(),
    ],
    hello: SOLICITATION,
    unreachable: 'icmpv6 unreachable address [301:401(100)]',
  },
];

/** What routers say, and who asks for listeners. */
function discovery(): Uint8Array[] {
  const router = { source: ip6('fe80::99'), destination: ip6('ff02::1') };
  const options: readonly NdpOption[] = [
    { kind: 'source-link-address', mac: 0x0200_0000_0099 },
    { kind: 'mtu', mtu: 1400 },
    {
      kind: 'prefix',
      prefix: ip6('fd01::'),
      length: 64,
      onLink: true,
      autonomous: true,
      routerAddress: false,
      validLifetime: 300,
      preferredLifetime: 100,
    },
  ];
  const redirected: readonly NdpOption[] = [{ kind: 'redirected', packet: echo6() }];
  return [
    ndpPacket((frame) => RouterAdvertisement.emit(frame, { lifetime: 1800, hopLimit: 64 }, options), router),
    ndpPacket((frame) => NdpRedirect.emit(frame, ip6('fe80::98'), ip6('fd77::1'), redirected), {
      source: ip6('fe80::99'),
      destination: ip6('fd00::2'),
    }),
    icmp6Packet(130, 0, 0x03e8_0000, new Uint8Array(20), { ...router, hopLimit: 1 }),
  ].map((packet) => ether6(packet, 0x3333_0000_0001));
}

/** Extension headers in front of something that is answered. */
function chains(): Uint8Array[] {
  const ends = { source: ip6('fd00::9'), destination: ip6('fd00::2') };
  const nothing = [0, 1, 4, 0, 0, 0, 0] as const;
  const { DestinationOptions, Routing, Fragment, Ah, Icmpv6 } = IpProtocol;
  const headers: readonly Parameters<typeof chained>[0][] = [
    [
      [HOP_BY_HOP, [0, 5, 2, 0, 0, 1, 0]],
      [DestinationOptions, nothing],
    ],
    [
      [Routing, [0, 4, 0, 0, 0, 0, 0]],
      [Fragment, [0, 0, 0, 0, 0, 0, 1]],
      [DestinationOptions, nothing],
    ],
    [[DestinationOptions, [0, 0x9e, 4, 0, 0, 0, 0]]],
    [[Ah, [4, ...Array.from({ length: 22 }, () => 0)]]],
    Array.from({ length: 8 }, () => [DestinationOptions, nothing] as const),
  ];
  const message = echo6Message(pattern(20), ends);
  return headers.map((one) => ether6(chained(one, Icmpv6, message, ends), MAC.value));
}

/**
 * Plays the peer of a connection that is open, has data under way, and ends; every frame of it goes through `spoil`. What it
 * acknowledges is whatever has come.
 */
function converse(
  { notation, version, hello, unreachable }: Version,
  target: Target,
  spoil: (bytes: Uint8Array, n: number) => Uint8Array,
): void {
  let next = 0;
  let n = 0;
  const send = (line: string): void => {
    const bytes = frameOf(notation, line);
    const view = new DataView(bytes.buffer);
    if (line.includes(' ack ')) view.setUint32(version === 4 ? 42 : 62, next);
    repair(bytes);
    target.feed(spoil(bytes, n++));
    for (const sent of target.sent.splice(0)) {
      const ip = ipOf(sent);
      if (ip?.protocol !== IpProtocol.Tcp) continue;
      const { payload, end, view: out } = ip;
      const header = (out.getUint8(payload + 12) >>> 4) * 4;
      const length = end - payload - header;
      const marks = out.getUint8(payload + 13) & (TcpFlag.Syn | TcpFlag.Fin) ? 1 : 0;
      next = (out.getUint32(payload + 4) + length + marks) >>> 0;
    }
    target.wait(30);
  };
  send(hello);
  send('S 0:0(0) win 65535 <mss 1460,sackOK>');
  send('. 1:1(0) ack 1 win 65535');
  send('P. 1:101(100) ack 1 win 65535');
  send('P. 301:401(100) ack 1 win 65535');
  send('P. 201:301(100) ack 1 win 65535');
  send('P. 101:201(100) ack 1 win 65535 urg 5');
  send('. 401:401(0) ack 1 win 0');
  send('. 401:401(0) ack 1 win 65535');
  send(unreachable);
  send('F. 401:401(0) ack 1 win 65535');
  send('. 402:402(0) ack 1 win 65535');
}

for (const one of VERSIONS) {
  describe(`a host that is fed with bad frames, ${one.name}`, () => {
    const { seeds, options } = one;

    it('tells the fate of each valid frame of every kind, once', () =>
      withoutThrowing(() => {
        const target = new Target(options, MAC);
        for (const bytes of seeds) target.feed(bytes);
        expect(target.sent.length).to.be.greaterThan(4);
        target.finish();
      }));

    it('survives every frame cut at every byte', () =>
      withoutThrowing(() => {
        const target = new Target(options, MAC);
        for (const bytes of seeds) {
          for (let length = 0; length < bytes.length; length++) {
            const cut = bytes.slice(0, length);
            target.feed(cut);
            // As long as it says it is.
            tellLength(cut);
            repair(cut);
            target.feed(cut);
          }
          target.wait(100);
        }
        target.finish();
      }));

    it('survives frames that were changed at random, with and without right checksums', () =>
      withoutThrowing(() => {
        const hostile = fc.record({
          seed: fc.constantFrom(...seeds),
          mutations: fc.array(mutation, { minLength: 1, maxLength: 5 }),
          repaired: fc.boolean(),
          wait: fc.constantFrom(0, 1, 500, 40_000),
        });
        fc.assert(
          fc.property(fc.array(hostile, { minLength: 10, maxLength: 30 }), (frames) => {
            const target = new Target(options, MAC);
            for (const { seed, mutations, repaired, wait } of frames) {
              const bytes = mutations.reduce(mutate, seed);
              if (repaired) repair(bytes);
              target.feed(bytes);
              target.wait(wait);
            }
            target.finish();
          }),
          { numRuns: 200 },
        );
      }));

    it('survives a connection of which any frames are spoilt, get lost, or come twice', () =>
      withoutThrowing(() => {
        const plan = fc.array(fc.record({ n: fc.nat(11), mutation, repaired: fc.boolean() }), { maxLength: 6 });
        let opened = 0;
        fc.assert(
          fc.property(plan, (spoilt) => {
            const target = new Target(options, MAC);
            converse(one, target, (bytes, n) =>
              spoilt
                .filter((spoil) => spoil.n === n)
                .reduce((changed, spoil) => {
                  const result = mutate(changed, spoil.mutation);
                  if (spoil.repaired) repair(result);
                  return result;
                }, bytes),
            );
            opened += target.host.tcp.counters.accepted;
            target.finish();
          }),
          { numRuns: 300 },
        );
        expect(opened, 'connections that were opened').to.be.greaterThan(100);
      }));

    it('plays a conversation to its end if nothing is spoilt', () =>
      withoutThrowing(() => {
        const target = new Target(options, MAC);
        converse(one, target, (bytes) => bytes);
        expect(target.host.tcp.counters).to.include({ accepted: 1, reset: 0, timedOut: 0 });
        expect(target.host.tcp.size).to.equal(0);
        target.finish();
      }));
  });
}

describe('a host that is fed with chains of extension headers', () => {
  const header = fc.tuple(
    fc.constantFrom(0, 43, 44, 51, 60, 135, 139, 140, 253),
    // Length fields that are right, and any.
    fc.oneof(fc.constantFrom(0, 1, 2), fc.nat(255)),
    fc.uint8Array({ minLength: 6, maxLength: 40 }),
  );

  it('tells one fate of each, whatever their number, order, lengths and contents', () =>
    withoutThrowing(() => {
      const fates = new Set<string>();
      fc.assert(
        fc.property(fc.array(header, { maxLength: 40 }), fc.constantFrom(6, 17, 58, 59, 253), (headers, last) => {
          const target = new Target({ addresses: ['fd00::2/64'], ports: [8080] }, MAC);
          const ends = { source: ip6('fd00::9'), destination: ip6('fd00::2') };
          const parts = headers.map(([kind, length, data]) => {
            const size = kind === 44 ? 8 : kind === 51 ? (length + 2) * 4 : (length + 1) * 8;
            const filled = Array.from({ length: Math.min(size, 60) - 2 }, (_, at) => data[at % data.length] ?? 0);
            return [kind, [length, ...filled]] as const;
          });
          const packet = chained(parts, last, echo6Message(pattern(20), ends), ends);
          const bytes = ether6(packet, MAC.value);
          target.feed(bytes);
          repair(bytes);
          target.feed(bytes);
          for (const name of Object.keys(target.env.drops.toJSON())) fates.add(name);
          if (target.env.drops.delivered > 0) fates.add('delivered');
          target.finish();
        }),
        {
          numRuns: 400,
          // Those fates that are asked for below are not left to chance.
          examples: [
            [[], IpProtocol.Icmpv6],
            [[[IpProtocol.DestinationOptions, 0, Uint8Array.of(0x5e, 4, 0, 0, 0, 0)]], IpProtocol.Icmpv6],
            [[[IpProtocol.DestinationOptions, 0, Uint8Array.of(1, 40, 0, 0, 0, 0)]], IpProtocol.Icmpv6],
          ],
        },
      );
      expect([...fates]).to.include.members(['ipv6-bad-extension', 'delivered', 'ipv6-unknown-option']);
    }));

  it('walks no more of them than it must: the longest chain that fits costs what eight headers cost', () =>
    withoutThrowing(() => {
      const target = new Target({ addresses: ['fd00::2/64'] }, MAC);
      const ends = { source: ip6('fd00::9'), destination: ip6('fd00::2') };
      const many = Array.from({ length: 8000 }, () => [IpProtocol.DestinationOptions, [0, 1, 4, 0, 0, 0, 0]] as const);
      target.feed(ether6(chained(many, IpProtocol.Icmpv6, echo6Message(pattern(20), ends), ends), MAC.value));
      expect(target.env.drops.toJSON()).to.deep.equal({ 'ipv6-bad-extension': 1 });
      target.finish();
    }));
});

/** A host in the place of the ones, of each version, that most frames of a capture were sent to. */
function victimOf(records: readonly CaptureRecord[]): Target {
  const destinations = new Map<string, number>();
  const ports = new Set<number>();
  let mac = 0;
  for (const { data } of records) {
    const ip = ipOf(data);
    if (ip === undefined) continue;
    const { payload, view } = ip;
    const destination = destinationOf(ip);
    if (isForHosts(destination)) {
      destinations.set(destination.toString(), (destinations.get(destination.toString()) ?? 0) + 1);
    }
    if (!isGroupMac(readMac(view, 0))) mac ||= readMac(view, 0);
    if (payload + 4 <= data.length) ports.add(view.getUint16(payload + 2));
  }
  ports.delete(0);
  const sorted = [...destinations].sort((one, other) => other[1] - one[1]).map(([address]) => parseIp(address));
  const own = ([4, 6] as const).flatMap((version) => sorted.find((address) => address.version === version) ?? []);
  const addresses = own.map((address) => `${address.toString()}/${address.version === 4 ? 32 : 64}`);
  if (!addresses.some((address) => address.includes('.'))) addresses.push('10.0.0.2/32');
  return new Target({ addresses, ports: [...ports].slice(0, 20) }, mac === 0 ? MAC : new MacAddress(mac));
}

function destinationOf({ version, at, view }: IpIn): IpAddress {
  return version === 4 ? new Ipv4Address(view.getUint32(at + 16)) : readIpv6(view, at + 24);
}

function isForHosts(address: IpAddress): boolean {
  if (address.isMulticast || address.isLoopback || address.isUnspecified) return false;
  return address.version === 6 ? address.a !== 0 : address.value >>> 24 > 0 && address.value >>> 24 < 224;
}

/** The frame as if it were sent to the host, by another. */
function forUs(data: Uint8Array, target: Target): Uint8Array {
  const bytes = Uint8Array.from(data);
  const ip = ipOf(bytes);
  if (ip === undefined) return bytes;
  const { version, at, view } = ip;
  const { addresses, addresses6 } = target.host.tables;
  const [own] = version === 4 ? addresses.list() : addresses6.list();
  if (own === undefined) return bytes;
  const { address } = own.cidr;
  const [source, destination] = version === 4 ? [at + 12, at + 16] : [at + 8, at + 24];
  writeMac(view, 0, own.device.mac.value);
  writeMac(view, 6, PEER_MAC);
  address.write(view, destination);
  const last = destination - 1;
  const isOurs = version === 4 ? view.getUint32(source) === address.word(3) : readIpv6(view, source).equals(address);
  if (isOurs) view.setUint8(last, view.getUint8(last) ^ 1);
  repair(bytes);
  return bytes;
}

describe('a host that is fed with every shared capture', () => {
  const names = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => !/\.(json|md)$/.test(name)) : [];
  if (names.length === 0) {
    it('SKIPPED: ../shared/captures is not there, so no captured frame was fed');
    return;
  }
  let delivered = 0;
  let fed = 0;

  for (const name of names) {
    it(`tells the fate of each frame, once, and is left with nothing: ${name}`, () =>
      withoutThrowing(() => {
        const records = [...readCapture(readFileSync(FOLDER + name))];
        const random = new SeededRandom(name.length);
        const target = victimOf(records);
        for (const { data, linkType } of records) {
          // What is not Ethernet is fed as if it were: bytes are bytes.
          const ours = linkType === LinkType.Ethernet ? forUs(data, target) : data;
          target.feed(data);
          target.feed(ours);
          target.feed(ours.slice(0, random.below(ours.length + 1)));
          const changed = Uint8Array.from(ours);
          for (let i = random.below(4); i >= 0 && changed.length > 0; i--) {
            const at = random.below(Math.min(changed.length, 80));
            changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
          }
          target.feed(changed);
          const repaired = Uint8Array.from(changed);
          repair(repaired);
          target.feed(repaired);
          target.wait(random.below(50) === 0 ? 40_000 : random.float() * 20);
        }
        fed += target.fed;
        delivered += target.env.drops.delivered;
        target.finish();
      }));
  }

  it('has met frames of both fates', () => {
    expect(fed).to.be.greaterThan(1000);
    expect(delivered).to.be.greaterThan(100).and.lessThan(fed);
  });
});
