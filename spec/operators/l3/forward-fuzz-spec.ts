/** Routers held to a naive reading of the rules, packet by packet, and to any bytes at all. */

import { expect } from 'chai';
import * as fc from 'fast-check';
import { Ipv4Address, Ipv6Address } from '../../../lib/core/address.js';
import { ETHERNET_HEADER, EtherType, EthernetFrame } from '../../../lib/wire/ethernet.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { bytesOf } from '../../lib/l2/fake-device.js';
import { pushBytes } from './packets.js';
import { RouterBench } from './router-bench.js';

const LEFT_MAC = 0x0200_0000_0001;
const CLIENT_MAC = 0x0200_0000_0002;

/** Addresses that rules speak of, and their neighbours. */
const ADDRESSES4 = [
  '0.0.0.0',
  '0.255.255.255',
  '1.0.0.0',
  '10.1.0.2',
  '10.1.0.1',
  '10.1.0.255',
  '10.2.0.2',
  '10.2.0.1',
  '10.2.0.255',
  '10.2.0.0',
  '127.0.0.1',
  '128.0.0.1',
  '169.253.255.255',
  '169.254.0.1',
  '169.255.0.0',
  '192.0.2.1',
  '198.51.100.7',
  '203.0.113.9',
  '223.255.255.255',
  '224.0.0.1',
  '239.1.2.3',
  '240.0.0.1',
  '255.255.255.254',
  '255.255.255.255',
];
const ADDRESSES6 = [
  '::',
  '::1',
  '::2',
  '::ffff:a02:2',
  'fd01::2',
  'fd01::1',
  'fd02::2',
  'fd02::1',
  'fe7f::1',
  'fe80::1',
  'febf::1',
  'fec0::1',
  'feff::1',
  'ff02::1',
  'ff0e::1',
  '2001:db8::1',
  '2001:db9::1',
  '2001:dba::1',
];
const ROUTES4 = [
  ['192.0.2.0', 24, 'right'],
  ['198.51.100.0', 24, 'left'],
  ['203.0.113.0', 24, 'blackhole'],
  ['10.1.0.0', 24, 'left'],
  ['10.2.0.0', 24, 'right'],
] as const;
const ROUTES6 = [
  ['2001:db8::', 32, 'right'],
  ['2001:db9::', 32, 'left'],
  ['2001:dba::', 32, 'blackhole'],
  ['fd01::', 64, 'left'],
  ['fd02::', 64, 'right'],
] as const;

/** The words of an address, the longest matching prefix of those routes: all written as simply as can be. */
function bits(address: Ipv4Address | Ipv6Address): string {
  const words = address.version === 4 ? [address.value] : [address.a, address.b, address.c, address.d];
  return words.map((word) => word.toString(2).padStart(32, '0')).join('');
}

function naiveRoute(to: Ipv4Address | Ipv6Address): 'left' | 'right' | 'blackhole' | undefined {
  const routes = to.version === 4 ? ROUTES4 : ROUTES6;
  const found = routes.find(([network, length]) => {
    const prefix = to.version === 4 ? Ipv4Address.parse(network) : Ipv6Address.parse(network);
    return bits(prefix).slice(0, length) === bits(to).slice(0, length);
  });
  return found?.[2];
}

function isIn(address: Ipv4Address | Ipv6Address, network: string, length: number): boolean {
  const prefix = address.version === 4 ? Ipv4Address.parse(network) : Ipv6Address.parse(network);
  return bits(prefix).slice(0, length) === bits(address).slice(0, length);
}

/** Whether nobody takes a packet to this destination further. */
function stays(to: Ipv4Address | Ipv6Address): boolean {
  const text = to.toString();
  if (to.version === 4) {
    const ours = ['10.1.0.1', '10.2.0.1', '10.1.0.255', '10.2.0.255'];
    return ours.includes(text) || isIn(to, '0.0.0.0', 8) || isIn(to, '127.0.0.0', 8) || isIn(to, '224.0.0.0', 3);
  }
  if (text === 'fd01::1' || text === 'fd02::1' || isIn(to, '::', 127)) return true;
  return isIn(to, 'fe80::', 10) || isIn(to, 'ff00::', 8) || isIn(to, '::ffff:0:0', 96);
}

/** What becomes of a packet: the side that it leaves by, or the reason of its end; `here`, which is not for routers to say. */
function naive(from: Ipv4Address | Ipv6Address, to: Ipv4Address | Ipv6Address, hops: number): string {
  if (stays(to)) return 'here';
  const isLink = (one: Ipv4Address | Ipv6Address) =>
    one.version === 4 ? isIn(one, '169.254.0.0', 16) : isIn(one, 'fe80::', 10);
  const isMartian =
    from.version === 4
      ? isIn(from, '0.0.0.0', 8) || isIn(from, '127.0.0.0', 8) || isIn(from, '224.0.0.0', 3)
      : isIn(from, '::', 127) || isIn(from, 'ff00::', 8) || isIn(from, '::ffff:0:0', 96);
  if (isMartian || isLink(from) || isLink(to)) return 'forward-not-allowed';
  if (hops <= 1) return 'hop-limit-exceeded';
  const route = naiveRoute(to);
  if (route === undefined) return 'ip-no-route';
  return route === 'blackhole' ? 'route-blackhole' : route;
}

describe('forward, held to a naive reading of the rules', () => {
  for (const version of [4, 6] as const) {
    it(`takes each packet of IPv${version} where it says, with nothing changed but what has to be (1812-9)`, () => {
      const routes = version === 4 ? ROUTES4 : ROUTES6;
      const gateway = { left: version === 4 ? '10.1.0.2' : 'fd01::2', right: version === 4 ? '10.2.0.2' : 'fd02::2' };
      const bench = new RouterBench(version, {
        left: { redirects: false },
        routes: routes.slice(0, 3).map(([network, length, way]) => ({
          destination: `${network}/${length}`,
          ...(way === 'blackhole' ? { type: way } : { gateway: gateway[way], side: way }),
        })),
        icmpErrors: { rate: 0.001, burst: 1 },
      });
      const parse = (text: string): Ipv4Address | Ipv6Address =>
        version === 4 ? Ipv4Address.parse(text) : Ipv6Address.parse(text);
      const anyAddress = fc.constantFrom(...(version === 4 ? ADDRESSES4 : ADDRESSES6)).map(parse);
      const packets = fc.record({
        from: anyAddress,
        to: anyAddress,
        hops: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 255 })),
        tos: fc.integer({ min: 0, max: 255 }),
        protocol: fc.constantFrom(6, 17, 47, 50, 132, 253),
        payload: fc.uint8Array({ minLength: 20, maxLength: 100 }),
        more: fc.boolean(),
      });
      fc.assert(
        fc.property(packets, ({ from, to, hops, tos, protocol, payload, more }) => {
          const framed = bytesOf((frame) => {
            pushBytes(frame, payload);
            if (from.version === 4 && to.version === 4) {
              const ends = { source: from.value, destination: to.value };
              Ipv4Packet.emit(frame, { ...ends, protocol, ttl: hops, tos, dontFragment: more, identification: 7 });
            } else if (from.version === 6 && to.version === 6) {
              Ipv6Packet.emit(frame, { source: from, destination: to, protocol, hopLimit: hops, trafficClass: tos });
            }
            EthernetFrame.emit(frame, LEFT_MAC, CLIENT_MAC, version === 4 ? EtherType.Ipv4 : EtherType.Ipv6);
          });
          const expected = naive(from, to, hops);
          const fate = bench.receiveBytes('left', framed);
          const sent = { left: bench.left.sent.splice(0), right: bench.right.sent.splice(0) };
          if (expected === 'here') return;
          if (expected !== 'left' && expected !== 'right') {
            expect(fate, `${from.toString()} to ${to.toString()}`).to.equal(expected);
            return;
          }
          // Neighbours that are not known are asked for; what waits for them goes when the bench ends.
          const asks = (bytes: Uint8Array) => bytes[12] === 0x08 && bytes[13] === 0x06;
          const out = sent[expected].filter((bytes) => !asks(bytes) && !isSolicitation(bytes));
          if (naiveNextHopIsKnown(to)) expect(out, `${from.toString()} to ${to.toString()}`).to.have.length(1);
          const [bytes] = out;
          if (bytes === undefined) return;
          const wanted = framed.slice(ETHERNET_HEADER);
          if (version === 4) {
            wanted[8] = hops - 1;
            naiveChecksum(wanted);
          } else wanted[7] = hops - 1;
          expect(bytes.slice(ETHERNET_HEADER)).to.deep.equal(wanted);
        }),
        { numRuns: 3000 },
      );
      bench.env.scheduler.run();
      bench.left.sent.length = bench.right.sent.length = 0;
      bench.close();
    });
  }

  it('survives any bytes, and leaves nothing behind', () => {
    const bench = new RouterBench(4, { left: { clampMss: true, reversePath: 'loose', proxy: true } });
    const anything = fc.record({
      type: fc.constantFrom(0x0800, 0x86dd, 0x0806),
      first: fc.constantFrom(0x45, 0x46, 0x4f, 0x60, 0x44, 0x00),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 120 }),
      from: fc.constantFrom('10.1.0.2', '192.0.2.1'),
      isSound: fc.boolean(),
    });
    fc.assert(
      fc.property(anything, ({ type, first, bytes, isSound }) => {
        bytes[0] = first;
        if (isSound && first >>> 4 === 4 && bytes.length >= 20) makeSound(bytes);
        const framed = bytesOf((frame) => {
          pushBytes(frame, bytes);
          EthernetFrame.emit(frame, LEFT_MAC, CLIENT_MAC, type);
        });
        bench.receiveBytes('left', framed);
      }),
      { numRuns: 5000 },
    );
    expect(bench.env.drops.toJSON()).not.to.have.property('callback-threw');
    bench.env.scheduler.run();
    bench.left.sent.length = bench.right.sent.length = 0;
    bench.close();
  });
});

function naiveNextHopIsKnown(to: Ipv4Address | Ipv6Address): boolean {
  const known = ['10.1.0.2', '10.2.0.2', 'fd01::2', 'fd02::2'];
  const isRouted = to.version === 4 ? !isIn(to, '10.0.0.0', 8) : !isIn(to, 'fd00::', 8);
  return isRouted || known.includes(to.toString());
}

function isSolicitation(bytes: Uint8Array): boolean {
  return bytes[12] === 0x86 && bytes[ETHERNET_HEADER + 6] === 58 && bytes[ETHERNET_HEADER + 40] === 135;
}

/** The checksum of a header without options, word by word. */
function naiveChecksum(packet: Uint8Array): void {
  const length = ((packet[0] ?? 0) & 0xf) * 4;
  packet[10] = packet[11] = 0;
  let sum = 0;
  for (let i = 0; i < length; i += 2) sum += (packet[i] ?? 0) * 256 + (packet[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  packet[10] = (~sum >>> 8) & 0xff;
  packet[11] = ~sum & 0xff;
}

/** An IPv4 header that is right as far as lengths and checksum go, to a host on the right. */
function makeSound(bytes: Uint8Array): void {
  const headerLength = Math.min(((bytes[0] ?? 0) & 0xf) * 4, bytes.length & ~3);
  bytes[0] = 0x40 | (headerLength / 4);
  [bytes[2], bytes[3]] = [0, bytes.length];
  bytes.set([10, 1, 0, 2, 10, 2, 0, 2], 12);
  if (headerLength >= 20) naiveChecksum(bytes);
}
