/** Packets and filters at random, from few values each, so that they often have to do with each other. */

import * as fc from 'fast-check';
import type { Arithmetic, FilterNode, Primitive } from '../../../../lib/filter/pcap-filter/index.js';
import { combined } from '../../../../lib/filter/pcap-filter/ast.js';

const MACS = [0x02_00_00_00_00_01, 0x02_00_00_00_00_02, 0x01_00_5e_00_00_01, 0xff_ff_ff_ff_ff_ff];
const ADDRESSES = [0x0a000001, 0x0a000002, 0x0a010203, 0xc0a80001, 0xe0000001, 0xffffffff, 0];
const WORDS: readonly (readonly [number, number, number, number])[] = [
  [0x20010db8, 0, 0, 1],
  [0x20010db8, 0, 0, 2],
  [0xfe800000, 0, 0, 1],
  [0xff020000, 0, 0, 1],
];
const PORTS = [0, 53, 80, 443, 1024, 65_535];
const PROTOCOLS = [1, 2, 6, 17, 44, 47, 51, 58, 103, 132];
const ETHER_TYPES = [0x0800, 0x0806, 0x8035, 0x86dd, 0x8100, 0x88a8, 0x9100, 0x42, 0xe0, 0xfe, 0x8137, 0x80f3, 0x809b];
const VLANS = [0, 1, 5, 100, 4095];

const one = <T>(values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);

function be(size: number, value: number): number[] {
  return Array.from({ length: size }, (_, i) => Math.floor(value / 256 ** (size - 1 - i)) % 256);
}

/** What is behind an IP header: two ports, or the fields of ICMP, and more. */
const payload = fc
  .tuple(one(PORTS), one(PORTS), fc.uint8Array({ maxLength: 30 }))
  .map(([source, destination, rest]) => [...be(2, source), ...be(2, destination), ...rest]);

const ipv4 = fc
  .record({
    options: fc.nat({ max: 3 }),
    fragment: one([0, 0, 0, 0x2000, 0x2005, 0x4000, 7]),
    protocol: one(PROTOCOLS),
    source: one(ADDRESSES),
    destination: one(ADDRESSES),
    payload,
  })
  .map(({ options, fragment, protocol, source, destination, payload }) => {
    const length = 20 + 4 * options + payload.length;
    const head = [0x45 + options, 0, ...be(2, length), 0, 7, ...be(2, fragment), 64, protocol, 0, 0];
    return [...head, ...be(4, source), ...be(4, destination), ...Array<number>(4 * options).fill(1), ...payload];
  });

const ipv6 = fc
  .record({
    fragment: fc.boolean(),
    protocol: one(PROTOCOLS),
    source: one(WORDS),
    destination: one(WORDS),
    payload,
  })
  .map(({ fragment, protocol, source, destination, payload }) => {
    const body = fragment ? [protocol, 0, 0, 1, 0, 0, 0, 9, ...payload] : payload;
    const addresses = [...source, ...destination].flatMap((word) => be(4, word));
    return [0x60, 0, 0, 0, ...be(2, body.length), fragment ? 44 : protocol, 64, ...addresses, ...body];
  });

const arp = fc
  .tuple(one(ADDRESSES), one(ADDRESSES))
  .map(([sender, target]) => [
    0,
    1,
    8,
    0,
    6,
    4,
    0,
    1,
    ...be(6, MACS[0] ?? 0),
    ...be(4, sender),
    ...be(6, 0),
    ...be(4, target),
  ]);

const llc = fc.constantFrom(
  [0x42, 0x42, 3],
  [0xfe, 0xfe, 3, 0x83],
  [0xe0, 0xe0, 3],
  [0xff, 0xff, 0],
  [0xf0, 0xf0, 3],
  [0xaa, 0xaa, 3, 0, 0, 0, 0x81, 0x37],
  [0xaa, 0xaa, 3, 0, 0, 0, 0x80, 0xf3],
  [0xaa, 0xaa, 3, 8, 0, 7, 0x80, 0x9b],
);

const typed: fc.Arbitrary<readonly [type: number, body: readonly number[]]> = fc.oneof(
  { weight: 6, arbitrary: ipv4.map((body) => [0x0800, body] as const) },
  { weight: 4, arbitrary: ipv6.map((body) => [0x86dd, body] as const) },
  { weight: 1, arbitrary: arp.map((body) => [0x0806, body] as const) },
  { weight: 1, arbitrary: arp.map((body) => [0x8035, body] as const) },
  { weight: 1, arbitrary: llc.map((body) => [body.length, body] as const) },
  {
    weight: 1,
    arbitrary: fc.tuple(
      one(ETHER_TYPES),
      fc.uint8Array({ maxLength: 60 }).map((body) => [...body]),
    ),
  },
);

/** A packet, and how long it was before it was cut. */
export interface AnyPacket {
  readonly bytes: Uint8Array;
  readonly length: number;
}

function cut(packets: fc.Arbitrary<number[]>): fc.Arbitrary<AnyPacket> {
  return fc
    .tuple(
      packets,
      fc.oneof(
        { weight: 3, arbitrary: fc.constant(1) },
        { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
      ),
    )
    .map(([bytes, kept]) => ({
      bytes: Uint8Array.from(bytes.slice(0, Math.max(1, Math.ceil(bytes.length * kept)))),
      length: bytes.length,
    }));
}

/** Frames with up to two tags, some of them cut short. */
export const anyFrame: fc.Arbitrary<AnyPacket> = cut(
  fc
    .record({
      destination: one(MACS),
      source: one(MACS),
      tags: fc.array(fc.tuple(one([0x8100, 0x88a8, 0x9100]), one(VLANS)), { maxLength: 2 }),
      typed,
    })
    .map(({ destination, source, tags, typed: [type, body] }) => [
      ...be(6, destination),
      ...be(6, source),
      ...tags.flatMap(([tpid, id]) => [...be(2, tpid), ...be(2, 0x6000 + id)]),
      ...be(2, type),
      ...body,
    ]),
);

/** IP packets without a link header. */
export const anyIpPacket: fc.Arbitrary<AnyPacket> = cut(fc.oneof(ipv4, ipv6));

const direction = one(['src', 'dst', 'either', 'both'] as const);

const number: fc.Arbitrary<Arithmetic> = fc
  .oneof(fc.nat({ max: 64 }), one([2, 80, 0x45, 0x1fff, 0xffff_ffff]))
  .map((value) => ({ kind: 'number', value }));

const loads = ['ether', 'ip', 'ip6', 'arp', 'rarp', 'tcp', 'udp', 'sctp', 'icmp', 'igmp', 'pim', 'icmp6'];

const { arithmetic } = fc.letrec<{ arithmetic: Arithmetic; load: Arithmetic }>((tie) => ({
  arithmetic: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    number,
    fc.constant<Arithmetic>({ kind: 'length' }),
    tie('load'),
    fc
      .tuple(one(['+', '-', '*', '/', '%', '&', '|', '^', '<<', '>>'] as const), tie('arithmetic'), tie('arithmetic'))
      .map(([operator, left, right]): Arithmetic => {
        const isSafe = right.kind !== 'number' || (right.value > 0 && right.value < 32);
        return isSafe ? { kind: 'binary', operator, left, right } : { kind: 'binary', operator: '+', left, right };
      }),
    tie('arithmetic').map((operand): Arithmetic => ({ kind: 'negate', operand })),
  ),
  load: fc
    .tuple(one(loads), fc.oneof(number, number, tie('arithmetic')), one([1, 2, 4] as const))
    .map(([protocol, offset, size]): Arithmetic => ({ kind: 'load', protocol, offset, size })),
}));

/** Comparisons of numbers. */
export const comparison: fc.Arbitrary<Primitive> = fc
  .tuple(one(['=', '!=', '<', '<=', '>', '>='] as const), arithmetic, fc.oneof(number, arithmetic))
  .map(([relation, left, right]) => ({ kind: 'compare', relation, left, right }));

function maskOf(bits: number): number {
  return bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
}

const ports = fc.tuple(one([undefined, 'tcp', 'udp', 'sctp'] as const), direction, one(PORTS), one(PORTS));

/** Primitives, without `vlan`, which decides about those behind it. */
export const primitive: fc.Arbitrary<Primitive> = fc.oneof(
  fc
    .tuple(
      one([undefined, 'ip', 'arp', 'rarp'] as const),
      direction,
      one(ADDRESSES),
      one([32, 32, 24, 16, 8, 0]).map(maskOf),
    )
    .map(
      ([protocol, direction, address, mask]): Primitive => ({
        kind: 'ipv4',
        protocol,
        direction,
        address: (address & mask) >>> 0,
        mask,
      }),
    ),
  fc.tuple(direction, one(WORDS), one([128, 128, 64, 33, 0])).map(([direction, [a, b, c, d], bits]): Primitive => {
    const part = (word: number, i: number) => (word & maskOf(Math.min(32, Math.max(0, bits - 32 * i)))) >>> 0;
    return { kind: 'ipv6', direction, words: [part(a, 0), part(b, 1), part(c, 2), part(d, 3)], bits };
  }),
  fc.tuple(direction, one(MACS)).map(([direction, address]): Primitive => ({ kind: 'mac', direction, address })),
  ports.map(
    ([protocol, direction, a, b]): Primitive => ({
      kind: 'port',
      protocol,
      direction,
      low: Math.min(a, b),
      high: Math.max(a, b),
    }),
  ),
  ports.map(([protocol, direction, low]): Primitive => ({ kind: 'port', protocol, direction, low, high: low })),
  fc
    .tuple(one(['any', 'ip', 'ip6'] as const), one(PROTOCOLS))
    .map(([layer, number]): Primitive => ({ kind: 'protocol', layer, number })),
  one([...ETHER_TYPES, 0x100, 0xf0]).map((number): Primitive => ({ kind: 'protocol', layer: 'ether', number })),
  one([
    { kind: 'broadcast', layer: 'ether' },
    { kind: 'broadcast', layer: 'ip' },
    { kind: 'multicast', layer: 'ether' },
    { kind: 'multicast', layer: 'ip' },
    { kind: 'multicast', layer: 'ip6' },
  ] satisfies Primitive[]),
  comparison,
);

const vlan: fc.Arbitrary<Primitive> = one([undefined, ...VLANS]).map((id) => ({ kind: 'vlan', id }));

/** Whole filters. */
export const anyFilter: fc.Arbitrary<FilterNode> = fc.letrec<{ node: FilterNode }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    { weight: 8, arbitrary: primitive },
    { weight: 1, arbitrary: vlan },
    {
      weight: 5,
      arbitrary: fc
        .tuple(one(['and', 'or'] as const), tie('node'), tie('node'))
        .map(([kind, left, right]) => combined(kind, left, right)),
    },
    { weight: 2, arbitrary: tie('node').map((operand): FilterNode => ({ kind: 'not', operand })) },
  ),
})).node;
