/**
 * The oracle of the filter specs: a naive interpreter that goes through rules one after the other, reads packets from their bytes by itself, and
 * keeps limits in the plainest way.
 */

import { type Cidr, Ipv4Address, Ipv6Address, type IpAddress } from '../../../lib/core/address.js';
import type { Frame } from '../../../lib/core/frame.js';
import type { Chain, LimitMatch, Match, NamedSet, Part, Range, RuleSet } from '../../../lib/filter/model.js';

/** A packet as the oracle sees it; what it does not have is absent. */
export interface Seen {
  readonly version: 4 | 6;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly numbers: Readonly<Record<string, number | undefined>>;
  readonly flags: number | undefined;
  readonly fragment: 'none' | 'first' | 'later' | 'atomic';
  readonly inName: string | undefined;
  readonly outName: string | undefined;
  readonly state: string;
  readonly direction: string | undefined;
  readonly frame: Frame;
}

const STATES = ['untracked', 'new', 'established', 'related', 'invalid'];
const EXTENSIONS = new Set([0, 43, 44, 51, 60]);
const LEAST: Readonly<Record<number, number>> = { 6: 20, 17: 8, 136: 8, 1: 8, 58: 8, 33: 4, 132: 4 };

/** Reads a packet; `undefined` where it is not a sound one. */
export function see(frame: Frame, seconds: number): Seen | undefined {
  const bytes = frame.slab.bytes.subarray(frame.network, frame.end);
  const u8 = (at: number) => bytes[at] ?? 0;
  const u16 = (at: number) => u8(at) * 256 + u8(at + 1);
  const version = u8(0) >>> 4;
  if ((version !== 4 && version !== 6) || bytes.length < (version === 4 ? 20 : 40)) return undefined;
  const length = version === 4 ? u16(2) : 40 + u16(4);
  let at = version === 4 ? (u8(0) & 15) * 4 : 40;
  if (length > bytes.length || at > length || at < 20) return undefined;
  let protocol = version === 4 ? u8(9) : u8(6);
  let offset = version === 4 ? (u16(6) & 0x1fff) * 8 : 0;
  let more = version === 4 && (u16(6) & 0x2000) !== 0;
  const headers = version === 6 ? EXTENSIONS : new Set<number>();
  let hasHeader = false;
  let ends = offset > 0;
  for (let count = 0; headers.has(protocol) && !ends; count++) {
    const size = protocol === 44 ? 8 : protocol === 51 ? (u8(at + 1) + 2) * 4 : (u8(at + 1) + 1) * 8;
    if (count === 8 || at + 8 > length || at + size > length) return undefined;
    if (protocol === 44) {
      hasHeader = true;
      ends = (u16(at + 2) & 0xfff8) > 0;
      // What stands in a fragment says nothing of the fragment.
      if (!more) {
        offset = u16(at + 2) & 0xfff8;
        more = (u16(at + 2) & 1) !== 0;
      }
    }
    protocol = u8(at);
    at += size;
  }
  const room = length - at;
  const isTcp = protocol === 6;
  const data = isTcp ? (u8(at + 12) >>> 4) * 4 : 0;
  const whole = !ends && room >= (LEAST[protocol] ?? 0) && (!isTcp || (data >= 20 && data <= room));
  const ports = whole && [6, 17, 33, 132, 136].includes(protocol);
  const icmp = whole && protocol === (version === 4 ? 1 : 58);
  const words = (from: number) => [0, 4, 8, 12].map((i) => u16(from + i) * 65_536 + u16(from + i + 2));
  const address = (from: number): IpAddress => {
    const [a = 0, b = 0, c = 0, d = 0] = words(from);
    return version === 4 ? new Ipv4Address(a) : new Ipv6Address(a, b, c, d);
  };
  const link = frame.link >= 0 ? frame.slab.bytes.subarray(frame.link, frame.link + 12) : undefined;
  const mac = (from: number) => link?.subarray(from, from + 6).reduce((sum, byte) => sum * 256 + byte, 0);
  const date = new Date(seconds * 1000);
  const tracked = frame.flowState >= 1 && frame.flowState <= 3;
  const trafficClass = version === 4 ? u8(1) : (u16(0) >>> 4) & 0xff;
  return {
    version,
    source: address(version === 4 ? 12 : 8),
    destination: address(version === 4 ? 16 : 24),
    numbers: {
      version,
      protocol,
      sport: ports ? u16(at) : undefined,
      dport: ports ? u16(at + 2) : undefined,
      length,
      hoplimit: version === 4 ? u8(8) : u8(7),
      dscp: trafficClass >>> 2,
      'icmp-type': icmp ? u8(at) : undefined,
      'icmp-code': icmp ? u8(at + 1) : undefined,
      hour: date.getUTCHours() * 3600 + date.getUTCMinutes() * 60 + date.getUTCSeconds(),
      day: date.getUTCDay(),
      'ether-source': mac(6),
      'ether-destination': mac(0),
    },
    flags: whole && isTcp ? u8(at + 13) : undefined,
    fragment: offset > 0 ? 'later' : more ? 'first' : hasHeader ? 'atomic' : 'none',
    inName: frame.device?.name,
    outName: frame.output?.name,
    state: STATES[frame.flowState] ?? '',
    direction: tracked ? (frame.flowReply ? 'reply' : 'original') : undefined,
    frame,
  };
}

/** What became of a packet, and who said so. */
export interface Told {
  readonly verdict: 'accept' | 'drop' | 'reject';
  /** What rules counted and logged, in order. */
  readonly said: readonly string[];
}

/** Interprets rules. */
export class Interpreter {
  private readonly set: RuleSet;
  private readonly sets: ReadonlyMap<string, NamedSet>;
  private readonly used = new Map<Match, Map<string, { time: number; tokens: number }>>();
  private readonly predicates: Readonly<Record<string, (frame: Frame) => boolean>>;
  private said: string[] = [];
  /** Milliseconds. */
  now = 0;

  constructor(set: RuleSet, predicates: Readonly<Record<string, (frame: Frame) => boolean>>) {
    this.set = set;
    this.predicates = predicates;
    this.sets = new Map(set.sets.map((each) => [each.name, each]));
  }

  tell(packet: Seen): Told {
    this.said = [];
    const bases = this.set.chains.filter(({ base }) => base !== undefined);
    bases.sort((a, b) => (a.base?.priority ?? 0) - (b.base?.priority ?? 0));
    for (const base of bases) {
      const verdict = this.go(base, packet) ?? base.base?.policy ?? 'accept';
      if (verdict === 'drop' || verdict === 'reject') return { verdict, said: this.said };
    }
    return { verdict: 'accept', said: this.said };
  }

  private go(chain: Chain, packet: Seen): 'accept' | 'drop' | 'reject' | undefined {
    for (const [i, rule] of chain.rules.entries()) {
      const ending = this.apply(rule.parts, packet, `${chain.name} #${i + 1}`);
      if (ending === undefined) continue;
      if (ending.kind === 'return') return undefined;
      if (ending.kind !== 'jump' && ending.kind !== 'goto') return ending.kind;
      const target = this.set.chains.find(({ name }) => name === ending.chain);
      const inner = target === undefined ? undefined : this.go(target, packet);
      if (inner !== undefined || ending.kind === 'goto') return inner;
    }
    return undefined;
  }

  private apply(parts: readonly Part[], packet: Seen, name: string) {
    const countsAtEnd = !parts.some(({ kind }) => kind === 'count');
    for (const part of parts) {
      switch (part.kind) {
        case 'count':
          this.said.push(`${name} counts`);
          break;
        case 'log':
          this.said.push(`${name} logs ${part.prefix ?? ''}`);
          break;
        case 'mark':
          packet.frame.mark = Number((BigInt(packet.frame.mark >>> 0) & BigInt(part.and)) ^ BigInt(part.xor));
          break;
        case 'accept':
        case 'drop':
        case 'reject':
        case 'return':
        case 'jump':
        case 'goto':
          if (countsAtEnd) this.said.push(`${name} counts`);
          return part;
        case 'redirect':
        case 'masquerade':
        case 'dnat':
        case 'snat':
          throw new Error('not generated');
        default:
          if (!this.holds(part, packet)) return undefined;
      }
    }
    if (countsAtEnd) this.said.push(`${name} counts`);
    return undefined;
  }

  private holds(match: Match, packet: Seen): boolean {
    if (match.kind === 'limit') return this.limit(match, packet);
    if (match.kind === 'direction') return packet.direction === match.direction;
    const plain = this.plain(match, packet);
    return plain !== undefined && plain !== (match.not === true);
  }

  /** Whether it holds without its negation; `undefined` where the packet has not what it asks for. */
  private plain(match: Exclude<Match, { readonly kind: 'limit' | 'direction' }>, packet: Seen): boolean | undefined {
    switch (match.kind) {
      case 'number': {
        if (match.family !== undefined && match.family !== packet.version) return undefined;
        const value = match.field === 'mark' ? packet.frame.mark >>> 0 : packet.numbers[match.field];
        const ranges = 'set' in match.in ? (this.sets.get(match.in.set)?.elements as readonly Range[]) : match.in;
        return value === undefined ? undefined : ranges.some(([low, high]) => low <= value && value <= high);
      }
      case 'bits': {
        const value = match.field === 'mark' ? packet.frame.mark : packet.flags;
        return value === undefined ? undefined : ((value & match.mask) | 0) === (match.value | 0);
      }
      case 'address': {
        if (match.family !== undefined && match.family !== packet.version) return undefined;
        const prefixes = 'set' in match.in ? (this.sets.get(match.in.set)?.elements as readonly Cidr[]) : match.in;
        return prefixes.some((prefix) => prefix.contains(packet[match.side]));
      }
      case 'interface': {
        const name = match.way === 'in' ? packet.inName : packet.outName;
        const names = 'set' in match.in ? (this.sets.get(match.in.set)?.elements as readonly string[]) : match.in;
        if (name === undefined) return undefined;
        return names.some((each) => (each.endsWith('*') ? name.startsWith(each.slice(0, -1)) : name === each));
      }
      case 'state':
        return match.states.some((state) => state === packet.state);
      case 'fragment':
        if (match.which === 'header') return packet.fragment !== 'none';
        if (match.which === 'any') return packet.fragment === 'first' || packet.fragment === 'later';
        return packet.fragment === match.which;
      case 'predicate':
        return (match.test ?? this.predicates[match.name])?.(packet.frame, undefined as never);
    }
  }

  private limit(match: LimitMatch, packet: Seen): boolean {
    const seconds = { second: 1, minute: 60, hour: 3600, day: 86_400, week: 604_800 }[match.per];
    const isBytes = match.unit === 'bytes';
    const most = (isBytes ? match.rate + (match.burst ?? 0) : (match.burst ?? 5)) * seconds * 1000;
    const buckets = this.used.get(match) ?? new Map<string, { time: number; tokens: number }>();
    this.used.set(match, buckets);
    const bits = match.key?.bits?.[packet.version] ?? (packet.version === 4 ? 32 : 64);
    const address = match.key === undefined ? undefined : packet[match.key.by];
    const key = address === undefined ? '' : networkText(address, bits);
    const bucket = buckets.get(key) ?? { time: this.now, tokens: most };
    buckets.set(key, bucket);
    bucket.tokens = Math.min(most, bucket.tokens + (this.now - bucket.time) * match.rate);
    bucket.time = this.now;
    const cost = (isBytes ? (packet.numbers['length'] ?? 0) : 1) * seconds * 1000;
    const isWithin = bucket.tokens >= cost;
    if (isWithin) bucket.tokens -= cost;
    return isWithin !== (match.over === true);
  }
}

function networkText(address: IpAddress, bits: number): string {
  const words = address.version === 4 ? [address.value] : ([0, 1, 2, 3] as const).map((word) => address.word(word));
  const text = words.map((word) => word.toString(2).padStart(32, '0')).join('');
  return `${address.version}:${text.slice(0, bits)}`;
}
