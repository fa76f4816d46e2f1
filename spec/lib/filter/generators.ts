/** Rules and packets for the filter specs: few values in each field, so that rules and packets meet. */

import * as fc from 'fast-check';
import { Cidr, ipOf, type IpVersion } from '../../../lib/core/address.js';
import { type Device, NO_FEATURES } from '../../../lib/core/device.js';
import { Frame, type FlowState } from '../../../lib/core/frame.js';
import { networkOf } from '../../../lib/filter/build.js';
import type {
  Chain,
  Match,
  NamedSet,
  NumberField,
  Part,
  Range,
  Rule,
  RuleSet,
  Verdict,
} from '../../../lib/filter/model.js';

const ADDRESSES = {
  4: ['10.0.0.1', '10.0.0.2', '10.0.1.1', '10.1.0.1', '192.168.7.9', '255.255.255.255', '0.0.0.0', '10.0.0.3'],
  6: [
    'fd00::1',
    'fd00::2',
    'fd00:0:0:1::1',
    'fd01::1',
    '2001:db8::9',
    '::',
    'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
    '::ffff:10.0.0.1',
  ],
} as const;
const LENGTHS = { 4: [0, 8, 15, 16, 24, 31, 32], 6: [0, 15, 16, 64, 96, 127, 128] } as const;
const PORTS = [0, 22, 53, 80, 81, 443, 8080, 65_535];
const NAMES = ['eth0', 'eth1', 'veth7', 'lo'];
const PATTERNS = [...NAMES, 'eth*', 'v*', '*'];
const MACS = [0x0200_0000_0001, 0x0200_0000_0002, 0xffff_ffff_ffff];

/** Values that each field is asked for. */
const VALUES: Readonly<Record<NumberField, readonly number[]>> = {
  version: [4, 6],
  protocol: [1, 6, 17, 47, 58, 132],
  sport: PORTS,
  dport: PORTS,
  length: [20, 28, 40, 48, 60, 100],
  hoplimit: [0, 1, 64, 255],
  dscp: [0, 1, 8, 46, 63],
  'icmp-type': [0, 3, 8, 128, 129],
  'icmp-code': [0, 1, 3],
  mark: [0, 1, 2, 7, 0x8000_0000, 0xffff_ffff],
  hour: [0, 3599, 43_200, 86_399],
  day: [0, 1, 4, 6],
  'ether-source': MACS,
  'ether-destination': MACS,
};

const version = fc.constantFrom<IpVersion>(4, 6);
const not = fc.constantFrom({}, {}, { not: true as const });

const prefixOf = (of: IpVersion): fc.Arbitrary<Cidr> =>
  fc
    .tuple(fc.constantFrom(...ADDRESSES[of]), fc.constantFrom(...LENGTHS[of]))
    .map(([address, length]) => networkOf(new Cidr(ipOf(address), length)));

function rangesOf(field: NumberField): fc.Arbitrary<readonly Range[]> {
  const value = fc.constantFrom(...VALUES[field]);
  const range = fc
    .tuple(value, value, fc.boolean())
    .map(([a, b, isOne]): Range => (isOne || field === 'version' ? [a, a] : [Math.min(a, b), Math.max(a, b)]));
  return fc.array(range, { minLength: 1, maxLength: 3 });
}

/** Named sets that rules may ask for. */
export const SETS: readonly NamedSet[] = [
  { name: 'nets4', type: 'ipv4_addr', elements: ['10.0.0.0/24', '10.1.0.0/16'].map((text) => Cidr.parse(text)) },
  { name: 'nets6', type: 'ipv6_addr', elements: ['fd00::/64', 'fd01::1/128'].map((text) => Cidr.parse(text)) },
  {
    name: 'web',
    type: 'inet_service',
    elements: [
      [80, 81],
      [443, 443],
      [8080, 8090],
    ],
  },
  { name: 'inside', type: 'ifname', elements: ['eth1', 'veth*'] },
];

const FAMILIES: Partial<Readonly<Record<NumberField, readonly (4 | 6 | undefined)[]>>> = {
  'icmp-type': [4, 6],
  'icmp-code': [4, 6],
  hoplimit: [4, 6, undefined],
  dscp: [4, 6, undefined],
  protocol: [4, undefined, undefined],
};

const numberMatch: fc.Arbitrary<Match> = fc
  .constantFrom(...(Object.keys(VALUES) as NumberField[]), 'sport' as const, 'dport' as const, 'protocol' as const)
  .chain((field) =>
    fc
      .tuple(rangesOf(field), not, fc.constantFrom(...(FAMILIES[field] ?? [undefined])), fc.nat(5))
      .map((generated): Match => {
        const [ranges, negated, family, chance] = generated;
        const isPort = field === 'sport' || field === 'dport';
        return {
          kind: 'number',
          field,
          in: isPort && chance === 0 ? { set: 'web' } : ranges,
          ...(family === undefined ? {} : { family }),
          ...negated,
        };
      }),
  );

const addressMatch: fc.Arbitrary<Match> = version.chain((of) =>
  fc
    .tuple(
      fc.constantFrom<'source' | 'destination'>('source', 'destination'),
      fc.array(prefixOf(of), { minLength: 1, maxLength: 3 }),
      not,
      fc.nat(5),
      fc.boolean(),
    )
    .map(
      ([side, prefixes, negated, chance, hasFamily]): Match => ({
        kind: 'address',
        side,
        in: chance === 0 ? { set: `nets${of}` } : prefixes,
        ...(hasFamily ? { family: of } : {}),
        ...negated,
      }),
    ),
);

const flagsMatch: fc.Arbitrary<Match> = fc
  .tuple(fc.nat(0xff), fc.nat(0xff), not)
  .map(
    ([mask, value, negated]): Match => ({ kind: 'bits', field: 'tcp-flags', mask, value: value & mask, ...negated }),
  );

const markMatch: fc.Arbitrary<Match> = fc
  .tuple(fc.constantFrom(0, 1, 7, 0xffff_ffff), fc.constantFrom(...VALUES.mark), not)
  .map(
    ([mask, value, negated]): Match => ({ kind: 'bits', field: 'mark', mask, value: (value & mask) >>> 0, ...negated }),
  );

const interfaceMatch: fc.Arbitrary<Match> = fc
  .tuple(
    fc.constantFrom<'in' | 'out'>('in', 'out'),
    fc.array(fc.constantFrom(...PATTERNS), { minLength: 1, maxLength: 2 }),
    not,
    fc.nat(4),
  )
  .map(
    ([way, names, negated, chance]): Match => ({
      kind: 'interface',
      way,
      in: chance === 0 ? { set: 'inside' } : names,
      ...negated,
    }),
  );

const stateMatch: fc.Arbitrary<Match> = fc
  .tuple(
    fc.uniqueArray(fc.constantFrom('new', 'established', 'related', 'invalid', 'untracked'), {
      minLength: 1,
      maxLength: 2,
    }),
    not,
  )
  .map(([states, negated]): Match => ({ kind: 'state', states: states as never, ...negated }));

const directionMatch: fc.Arbitrary<Match> = fc
  .constantFrom<'original' | 'reply'>('original', 'reply')
  .map((direction): Match => ({ kind: 'direction', direction }));

const fragmentMatch: fc.Arbitrary<Match> = fc
  .tuple(fc.constantFrom<'any' | 'first' | 'later' | 'header'>('any', 'first', 'later', 'header'), not)
  .map(([which, negated]): Match => ({ kind: 'fragment', which, ...negated }));

const limitMatch: fc.Arbitrary<Match> = fc
  .record({
    rate: fc.integer({ min: 1, max: 5 }),
    per: fc.constantFrom<'second' | 'minute'>('second', 'minute'),
    burst: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    isBytes: fc.boolean(),
    isOver: fc.boolean(),
    by: fc.constantFrom<'source' | 'destination' | undefined>('source', 'destination', undefined, undefined),
  })
  .map(({ rate, per, burst, isBytes, isOver, by }): Match => {
    const scale = isBytes ? 50 : 1;
    return {
      kind: 'limit',
      rate: rate * scale,
      per,
      ...(burst === undefined ? {} : { burst: burst * scale }),
      ...(isBytes ? { unit: 'bytes' } : {}),
      ...(isOver ? { over: true } : {}),
      ...(by === undefined ? {} : { key: { by } }),
    };
  });

/** Predicates that rules call by name. */
export const PREDICATES: Readonly<Record<string, (frame: Frame) => boolean>> = {
  even: (frame) => frame.length % 2 === 0,
  marked: (frame) => frame.mark !== 0,
};

const predicateMatch: fc.Arbitrary<Match> = fc
  .tuple(fc.constantFrom('even', 'marked'), not)
  .map(([name, negated]): Match => ({ kind: 'predicate', name, ...negated }));

const match: fc.Arbitrary<Match> = fc.oneof(
  { weight: 12, arbitrary: numberMatch },
  { weight: 8, arbitrary: addressMatch },
  flagsMatch,
  markMatch,
  { weight: 2, arbitrary: interfaceMatch },
  { weight: 2, arbitrary: stateMatch },
  directionMatch,
  fragmentMatch,
  limitMatch,
  predicateMatch,
);

const markValue = fc.constantFrom(...VALUES.mark);
const statement: fc.Arbitrary<Part> = fc.oneof(
  fc.constant<Part>({ kind: 'count' }),
  fc.constantFrom<Part>({ kind: 'log' }, { kind: 'log', prefix: 'seen: ' }),
  fc.tuple(markValue, markValue).map(([and, xor]): Part => ({ kind: 'mark', and, xor })),
);

const ends: fc.Arbitrary<Verdict> = fc.constantFrom<Verdict>(
  { kind: 'accept' },
  { kind: 'accept' },
  { kind: 'drop' },
  { kind: 'drop' },
  { kind: 'reject', with: 'prohibited' },
  { kind: 'return' },
);

/** A rule that may lead to the chains that are named. */
function ruleTo(chains: readonly string[]): fc.Arbitrary<Rule> {
  const leads = chains.flatMap((chain): Verdict[] => [
    { kind: 'jump', chain },
    { kind: 'goto', chain },
  ]);
  const verdict = leads.length === 0 ? ends : fc.oneof(ends, fc.constantFrom(...leads));
  return fc
    .tuple(
      fc.array(fc.oneof({ weight: 9, arbitrary: match }, statement), { maxLength: 3 }),
      fc.option(verdict, { nil: undefined, freq: 6 }),
      fc.option(fc.constantFrom('ssh', 'two words'), { nil: undefined, freq: 3 }),
    )
    .map(([some, end, comment]) => ({
      parts: end === undefined ? (some.length === 0 ? [{ kind: 'count' as const }] : some) : [...some, end],
      ...(comment === undefined ? {} : { comment }),
    }));
}

const policy = fc.constantFrom<{ policy?: 'accept' | 'drop' }>({}, { policy: 'accept' }, { policy: 'drop' });

/** Rule sets: one or two base chains, and others that they jump to. @param most rules of a chain */
export function ruleSets(most: number): fc.Arbitrary<RuleSet> {
  const rules = (chains: readonly string[]) => fc.array(ruleTo(chains), { maxLength: most, size: 'max' });
  return fc
    .record({
      deep: rules([]),
      side: rules(['deep']),
      main: rules(['deep', 'side']),
      second: fc.option(rules(['side']), { nil: undefined, freq: 2 }),
      policy,
    })
    .map(({ deep, side, main, second, policy }): RuleSet => {
      const chains: Chain[] = [
        { name: 'deep', rules: deep },
        { name: 'side', rules: side },
        { name: 'main', base: { hook: 'forward', ...policy }, rules: main },
      ];
      if (second !== undefined)
        chains.push({ name: 'second', base: { hook: 'forward', priority: -10 }, rules: second });
      return { sets: SETS, chains };
    });
}

const DEVICES: readonly Device[] = NAMES.map(
  (name) => ({ name, medium: 'ethernet', features: NO_FEATURES }) as unknown as Device,
);

/** Bytes that are almost a transport header. */
const payload = fc.record({
  sport: fc.constantFrom(...PORTS),
  dport: fc.constantFrom(...PORTS),
  flags: fc.constantFrom(0x02, 0x10, 0x12, 0x04, 0x18, 0xff),
  dataOffset: fc.constantFrom(5, 5, 5, 5, 6, 4, 15),
  icmpType: fc.constantFrom(...VALUES['icmp-type']),
  icmpCode: fc.constantFrom(...VALUES['icmp-code']),
  length: fc.constantFrom(20, 20, 40, 8, 28, 7, 3, 0),
});

/** A packet, and what is known about it. */
export interface GeneratedPacket {
  readonly frame: () => Frame;
  /** Milliseconds since the packet before. */
  readonly after: number;
  readonly text: string;
}

const seldom = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

/** Packets of both versions: of all protocols, fragments, with extension headers, cut short, or with garbage in their headers. */
export const packets: fc.Arbitrary<GeneratedPacket> = fc
  .record({
    version,
    protocol: fc.constantFrom(6, 6, 6, 17, 17, 1, 58, 47, 132, 33, 136),
    source: fc.nat(7),
    destination: fc.nat(7),
    hopLimit: fc.constantFrom(...VALUES.hoplimit),
    trafficClass: fc.constantFrom(0, 0x20, 0xb8, 0xff),
    fragment: fc.constantFrom(0, 0, 0, 0, 0x2000, 0x0001, 0x2001, 0x4000),
    extensions: fc.array(fc.constantFrom<Extension>([0, 0], [43, 0], [60, 0], [51, 0], [44, 0], [44, 1], [44, 8]), {
      maxLength: 2,
    }),
    payload,
    mark: fc.constantFrom(...VALUES.mark),
    flowState: fc.constantFrom<FlowState>(0, 1, 2, 3, 4),
    flowReply: fc.boolean(),
    device: fc.nat(5),
    output: fc.nat(5),
    link: fc.boolean(),
    macs: fc.tuple(fc.nat(2), fc.nat(2)),
    damage: seldom(fc.tuple(fc.nat(60), fc.nat(255))),
    cut: seldom(fc.nat(60)),
    after: fc.constantFrom(0, 0, 1, 100, 1000, 60_000, 3_600_000),
  })
  .map((of) => {
    const transport = transportBytes(of.payload, of.protocol);
    const source = ipOf(ADDRESSES[of.version][of.source] ?? '');
    const destination = ipOf(ADDRESSES[of.version][of.destination] ?? '');
    const headers = of.version === 4 ? header4(of, transport.length) : header6(of, transport.length);
    const view = new DataView(headers.buffer);
    source.write(view, of.version === 4 ? 12 : 8);
    destination.write(view, of.version === 4 ? 16 : 24);
    const packet = Uint8Array.from([...headers, ...transport]);
    if (of.damage !== undefined && of.damage[0] < packet.length) packet[of.damage[0]] = of.damage[1];
    const whole = of.cut === undefined ? packet : packet.subarray(0, Math.max(1, packet.length - of.cut));
    const macs = of.macs.map((i) => (MACS[i] ?? 0).toString(16).padStart(12, '0')).join('');
    const bytes = Uint8Array.from([...Buffer.from(`${macs}0800`, 'hex'), ...whole]);
    const frame = (): Frame => {
      const made = Frame.from(bytes);
      if (of.link) made.link = made.start;
      made.start += 14;
      made.network = made.start;
      made.mark = of.mark;
      made.flowState = of.flowState;
      made.flowReply = of.flowReply;
      made.device = DEVICES[of.device];
      made.output = DEVICES[of.output];
      return made;
    };
    return { frame, after: of.after, text: `${Buffer.from(whole).toString('hex')} after ${of.after}` };
  });

/** An extension header: its number, and of fragments the word of offset and flags. */
type Extension = readonly [number, number];

interface Headers {
  readonly protocol: number;
  readonly hopLimit: number;
  readonly trafficClass: number;
  readonly fragment: number;
  readonly extensions: readonly Extension[];
}

function header4({ protocol, hopLimit, trafficClass, fragment }: Headers, payload: number): Uint8Array {
  const header = new Uint8Array(20);
  const view = new DataView(header.buffer);
  view.setUint8(0, 0x45);
  view.setUint8(1, trafficClass);
  view.setUint16(2, 20 + payload);
  view.setUint16(6, fragment);
  view.setUint8(8, hopLimit);
  view.setUint8(9, protocol);
  return header;
}

function header6({ protocol, hopLimit, trafficClass, fragment, extensions }: Headers, payload: number): Uint8Array {
  const isFragment = (fragment & 0x3fff) !== 0;
  const field = ((fragment & 0x1fff) << 3) | ((fragment & 0x2000) === 0 ? 0 : 1);
  const all: readonly Extension[] = isFragment ? [...extensions, [44, field]] : extensions;
  const header = new Uint8Array(40 + all.length * 8);
  const view = new DataView(header.buffer);
  view.setUint16(0, 0x6000 | (trafficClass << 4));
  view.setUint16(4, all.length * 8 + payload);
  view.setUint8(6, all[0]?.[0] ?? protocol);
  view.setUint8(7, hopLimit);
  for (const [i, [, word]] of all.entries()) {
    view.setUint8(40 + i * 8, all[i + 1]?.[0] ?? protocol);
    // Eight bytes: of an authentication header that is a length of 0.
    view.setUint16(42 + i * 8, word);
  }
  return header;
}

function transportBytes(of: { readonly [key: string]: number }, protocol: number): Uint8Array {
  const bytes = new Uint8Array(60);
  const view = new DataView(bytes.buffer);
  if (protocol === 1 || protocol === 58) {
    view.setUint8(0, of['icmpType'] ?? 0);
    view.setUint8(1, of['icmpCode'] ?? 0);
  } else {
    view.setUint16(0, of['sport'] ?? 0);
    view.setUint16(2, of['dport'] ?? 0);
    view.setUint8(12, (of['dataOffset'] ?? 0) << 4);
    view.setUint8(13, of['flags'] ?? 0);
  }
  return bytes.subarray(0, of['length'] ?? 0);
}
