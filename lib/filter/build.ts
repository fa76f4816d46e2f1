/**
 * Typed builders of rules: `accept(tcp, dport(22), from('10.0.0.0/8'))`. Conditions are values or functions of values, verdicts are functions of
 * conditions. What they make is plain data; values that a field cannot have are told of when the rules are compiled.
 */

import { Cidr, type IpAddress, ipOf, type IpVersion, MacAddress } from '../core/address.js';
import { UsageError } from '../core/errors.js';
import type {
  AddressMatch,
  Base,
  BitsMatch,
  Chain,
  CountStatement,
  DirectionMatch,
  FragmentMatch,
  InterfaceMatch,
  LimitMatch,
  LogStatement,
  MarkStatement,
  Match,
  NamedSet,
  NumberField,
  NumberMatch,
  Part,
  Predicate,
  PredicateMatch,
  Range,
  RateKey,
  RateUnit,
  RejectWith,
  Rule,
  RuleSet,
  Side,
  StateMatch,
  StateName,
  Verdict,
} from './model.js';
import { DAYS, DSCPS, ICMP_TYPES, ICMPV6_TYPES, PROTOCOLS, TCP_FLAGS } from './names.js';

/** A name of a set, with `@` in front. */
export type SetName = `@${string}`;

/** A value, a range of values, both ends included, or a named set. */
export type Values<T> = T | readonly [low: T, high: T] | SetName;

function isSet(value: unknown): value is SetName {
  return typeof value === 'string' && value.startsWith('@');
}

function setOf(values: readonly unknown[]): { readonly set: string } | undefined {
  const [first] = values;
  if (!values.some(isSet)) return undefined;
  if (values.length > 1 || !isSet(first)) {
    throw new UsageError('ERR_INVALID_OPTION', 'a named set stands alone: put the other values into it');
  }
  return { set: first.slice(1) };
}

function rangesOf<T>(values: readonly Values<T>[], read: (value: T) => number): NumberMatch['in'] {
  const set = setOf(values);
  if (set !== undefined) return set;
  return values.map((value): Range => {
    if (!Array.isArray(value)) return [read(value as T), read(value as T)];
    const [low, high] = value as readonly [T, T];
    return [read(low), read(high)];
  });
}

const asIs = (value: number): number => value;

function numberMatch<T>(
  field: NumberField,
  values: readonly Values<T>[],
  read: (value: T) => number,
  family?: IpVersion,
): NumberMatch {
  const match = { kind: 'number', field, in: rangesOf(values, read) } as const;
  return family === undefined ? match : { ...match, family };
}

function named(words: ReadonlyMap<string, number>, what: string): (value: string | number) => number {
  return (value) => {
    const number = typeof value === 'number' ? value : words.get(value);
    if (number === undefined) throw new UsageError('ERR_INVALID_OPTION', `${value} is no ${what}`);
    return number;
  };
}

/** Packets of IPv4. */
export const ipv4: NumberMatch = numberMatch('version', [4], asIs);
/** Packets of IPv6. */
export const ipv6: NumberMatch = numberMatch('version', [6], asIs);

/** Packets of these protocols, by name or number. */
export function protocol(...values: readonly Values<string | number>[]): NumberMatch {
  return numberMatch('protocol', values, named(PROTOCOLS, 'protocol'));
}
/** Packets of TCP. */
export const tcp: NumberMatch = protocol('tcp');
/** Packets of UDP. */
export const udp: NumberMatch = protocol('udp');
/** Packets of SCTP. */
export const sctp: NumberMatch = protocol('sctp');
/** Packets of ICMP. */
export const icmp: NumberMatch = protocol('icmp');
/** Packets of ICMPv6. */
export const icmpv6: NumberMatch = protocol('icmpv6');

/** Packets from these ports. */
export function sport(...values: readonly Values<number>[]): NumberMatch {
  return numberMatch('sport', values, asIs);
}
/** Packets to these ports. */
export function dport(...values: readonly Values<number>[]): NumberMatch {
  return numberMatch('dport', values, asIs);
}
/** Packets of so many bytes, from the IP header on. */
export function length(...values: readonly Values<number>[]): NumberMatch {
  return numberMatch('length', values, asIs);
}
/** Packets with this TTL or hop limit. */
export function hopLimit(...values: readonly Values<number>[]): NumberMatch {
  return numberMatch('hoplimit', values, asIs);
}
/** Packets of these classes of service, by name or number. */
export function dscp(...values: readonly Values<string | number>[]): NumberMatch {
  return numberMatch('dscp', values, named(DSCPS, 'code point'));
}
/** ICMP of these types, by name or number. */
export function icmpType(...values: readonly Values<string | number>[]): NumberMatch {
  return numberMatch('icmp-type', values, named(ICMP_TYPES, 'type of ICMP'), 4);
}
/** ICMPv6 of these types, by name or number. */
export function icmpv6Type(...values: readonly Values<string | number>[]): NumberMatch {
  return numberMatch('icmp-type', values, named(ICMPV6_TYPES, 'type of ICMPv6'), 6);
}
/** ICMP with these codes. */
export function icmpCode(...values: readonly Values<number>[]): NumberMatch {
  return numberMatch('icmp-code', values, asIs, 4);
}
/** ICMPv6 with these codes. */
export function icmpv6Code(...values: readonly Values<number>[]): NumberMatch {
  return numberMatch('icmp-code', values, asIs, 6);
}
/** Frames from these MAC addresses. */
export function fromMac(...values: readonly Values<MacAddress | string>[]): NumberMatch {
  return numberMatch('ether-source', values, (value) => MacAddress.of(value).value);
}
/** Frames to these MAC addresses. */
export function toMac(...values: readonly Values<MacAddress | string>[]): NumberMatch {
  return numberMatch('ether-destination', values, (value) => MacAddress.of(value).value);
}

/** The second of the day that a text like `20:00` or `20:00:30` says. @throws UsageError `ERR_INVALID_OPTION` */
export function secondOfDay(text: string): number {
  const [, hours = '', minutes = '', seconds = '0'] = /^(\d\d?):(\d\d)(?::(\d\d))?$/.exec(text) ?? [];
  const [h, m, s] = [Number(hours), Number(minutes), Number(seconds)];
  if (hours === '' || h > 24 || m > 59 || s > 59 || (h === 24 && m + s > 0)) {
    throw new UsageError('ERR_INVALID_OPTION', `${JSON.stringify(text)} is no time of day`);
  }
  return h * 3600 + m * 60 + s;
}

/** Ranges of seconds of the day; what goes past midnight is two of them. */
export function hourRanges(low: number, high: number): readonly Range[] {
  if (low <= high) return [[low, high]];
  return [
    [low, LAST_SECOND],
    [0, high],
  ];
}
const LAST_SECOND = 86_399;

/** At these times of day, as `['08:00', '17:30']`; from the evening to the morning past midnight. */
export function hours(...values: readonly (readonly [from: string, to: string])[]): NumberMatch {
  const ranges = values.flatMap(([from, to]) => hourRanges(secondOfDay(from), Math.min(secondOfDay(to), LAST_SECOND)));
  return { kind: 'number', field: 'hour', in: ranges };
}
/** On these days, by their English names or from Sunday, 0. */
export function days(...values: readonly Values<string | number>[]): NumberMatch {
  return numberMatch('day', values, named(DAYS, 'day'));
}

/** Packets whose mark has this value, as far as the mask goes. */
export function marked(value: number, mask?: number): NumberMatch | BitsMatch {
  if (mask === undefined) return numberMatch('mark', [value], asIs);
  return { kind: 'bits', field: 'mark', mask, value };
}

/** Segments of TCP with these flags set, and the others of `of` not; without `of` nothing is said of the others. */
export function flags(set: string, of: string = set): BitsMatch {
  return { kind: 'bits', field: 'tcp-flags', mask: flagsOf(of), value: flagsOf(set) };
}

/** @throws UsageError `ERR_INVALID_OPTION` */
function flagsOf(text: string): number {
  const read = named(TCP_FLAGS, 'flag of TCP');
  return text
    .split(/[\s,|]+/)
    .filter((word) => word !== '')
    .reduce((sum, word) => sum | read(word), 0);
}

function addressMatch(side: Side, values: readonly (IpAddress | Cidr | string)[]): AddressMatch {
  const set = setOf(values);
  if (set !== undefined) return { kind: 'address', side, in: set };
  const prefixes = values.map((value) => networkOf(value));
  const [version, ...others] = new Set(prefixes.map((prefix) => prefix.version));
  const match = { kind: 'address', side, in: prefixes } as const;
  return version === undefined || others.length > 0 ? match : { ...match, family: version };
}

/** The prefix with the bits behind it cleared. */
export function networkOf(value: IpAddress | Cidr | string): Cidr {
  const prefix = value instanceof Cidr ? value : Cidr.parse(value.toString());
  return new Cidr(prefix.network, prefix.length);
}

/** Packets from these addresses or networks, of either version, or from those of a named set. */
export function from(...values: readonly (IpAddress | Cidr | string)[]): AddressMatch {
  return addressMatch('source', values);
}
/** Packets to these addresses or networks, of either version, or to those of a named set. */
export function to(...values: readonly (IpAddress | Cidr | string)[]): AddressMatch {
  return addressMatch('destination', values);
}

/** Packets that came in by these devices; `*` at the end of a name stands for anything. */
export function iif(...names: readonly string[]): InterfaceMatch {
  return { kind: 'interface', way: 'in', in: setOf(names) ?? names };
}
/** Packets that are to leave by these devices. */
export function oif(...names: readonly string[]): InterfaceMatch {
  return { kind: 'interface', way: 'out', in: setOf(names) ?? names };
}

/** Packets whose flow is in one of these states, as a connection tracker before the firewall found. */
export function state(...states: readonly StateName[]): StateMatch {
  return { kind: 'state', states };
}
/** Packets that go the way of their flow's first one, or the other. */
export function direction(which: 'original' | 'reply'): DirectionMatch {
  return { kind: 'direction', direction: which };
}
/** Fragments; `header` takes whole packets of IPv6 that have a fragment header, too. */
export function fragment(which: FragmentMatch['which'] = 'any'): FragmentMatch {
  return { kind: 'fragment', which };
}

/** Further options of {@link limit}. */
export interface LimitBuilderOptions {
  /** Packets at once, default 5; of bytes, how many more than the rate says, default 0. */
  readonly burst?: number;
  readonly unit?: 'packets' | 'bytes';
  /** The packets that are too many, instead of those that are not. */
  readonly over?: boolean;
  /** A limit for each sender or receiver instead of one for all. */
  readonly by?: Side | RateKey;
}

/** As many packets as a rate allows, which is given like `10/second`. @throws UsageError `ERR_INVALID_OPTION` */
export function limit(text: string, options: LimitBuilderOptions = {}): LimitMatch {
  const [, rate = '', per = ''] = /^(\d+)\/(second|minute|hour|day|week)$/.exec(text) ?? [];
  if (rate === '') throw new UsageError('ERR_INVALID_OPTION', `${JSON.stringify(text)} is no rate like 10/second`);
  const { burst, unit, over, by } = options;
  return {
    kind: 'limit',
    rate: Number(rate),
    per: per as RateUnit,
    ...(burst === undefined ? {} : { burst }),
    ...(unit === undefined ? {} : { unit }),
    ...(over === true ? { over } : {}),
    ...(by === undefined ? {} : { key: typeof by === 'string' ? { by } : by }),
  };
}

/** A condition of your own. @param name by which texts, logs and errors call it */
export function when(test: Predicate, name: string = test.name): PredicateMatch {
  return { kind: 'predicate', name, test };
}

/** The opposite of a condition. @throws UsageError `ERR_UNSUPPORTED` for a direction, and for a limit, which has `over` */
export function not<M extends Match>(match: M): M {
  if (match.kind === 'direction' || match.kind === 'limit') {
    throw new UsageError('ERR_UNSUPPORTED', `a ${match.kind} has no opposite`);
  }
  if (match.kind === 'address') return opposite(match) as Match as M;
  const { not: was, ...rest } = match;
  return (was === true ? rest : { ...rest, not: true }) as M;
}

/** No longer of one version only: what is not from 10.0.0.0/8 may well be of IPv6. */
function opposite({ side, in: values, not: was }: AddressMatch): AddressMatch {
  if (was !== true) return { kind: 'address', side, in: values, not: true };
  return 'set' in values ? { kind: 'address', side, in: values } : addressMatch(side, values);
}

/** Counts here, rather than where all conditions are fulfilled. */
export const count: CountStatement = { kind: 'count' };

/** Tells `logs$` of the packet. */
export function log(prefix?: string): LogStatement {
  return prefix === undefined ? { kind: 'log' } : { kind: 'log', prefix };
}

/** Sets the mark. */
export function setMark(value: number): MarkStatement {
  return { kind: 'mark', and: 0, xor: value >>> 0 };
}
/** Sets bits of the mark. */
export function orMark(bits: number): MarkStatement {
  return { kind: 'mark', and: ~bits >>> 0, xor: bits >>> 0 };
}
/** Keeps only these bits of the mark. */
export function andMark(bits: number): MarkStatement {
  return { kind: 'mark', and: bits >>> 0, xor: 0 };
}
/** Flips bits of the mark. */
export function xorMark(bits: number): MarkStatement {
  return { kind: 'mark', and: 0xffff_ffff, xor: bits >>> 0 };
}

function ruleOf(parts: readonly Part[], verdict: Verdict): Rule {
  return { parts: [...parts, verdict] };
}

/** Lets the packet through. */
export function accept(...parts: readonly Part[]): Rule {
  return ruleOf(parts, { kind: 'accept' });
}
/** Drops the packet, and tells nobody. */
export function drop(...parts: readonly Part[]): Rule {
  return ruleOf(parts, { kind: 'drop' });
}
/** Drops the packet, and tells its sender that the port is unreachable. */
export function reject(...parts: readonly Part[]): Rule {
  return rejectWith('port-unreachable', ...parts);
}
/** Drops the packet, and tells its sender; a TCP reset answers segments of TCP only. */
export function rejectWith(what: RejectWith, ...parts: readonly Part[]): Rule {
  return ruleOf(what === 'tcp-reset' ? [tcp, ...parts] : parts, { kind: 'reject', with: what });
}
/** Goes through the rules of another chain, and then on here. */
export function jump(chain: string, ...parts: readonly Part[]): Rule {
  return ruleOf(parts, { kind: 'jump', chain });
}
/** Goes through the rules of another chain instead of the rest of this one. */
export function goto(chain: string, ...parts: readonly Part[]): Rule {
  return ruleOf(parts, { kind: 'goto', chain });
}
/** Leaves the chain: on where it was jumped to from, or to the policy. */
export function leave(...parts: readonly Part[]): Rule {
  return ruleOf(parts, { kind: 'return' });
}
/** Decides nothing: for counts, logs and marks. */
export function pass(...parts: readonly Part[]): Rule {
  return { parts };
}
/** Asks the translator to lead the packet to this machine, to `ports` if given. */
export function redirect(ports: number | Range | undefined, ...parts: readonly Part[]): Rule {
  return ruleOf(parts, { kind: 'redirect', ...portsOf(ports) });
}
/** Asks the translator to send the packet as from the address of the device that it leaves by. */
export function masquerade(ports: number | Range | undefined, ...parts: readonly Part[]): Rule {
  return ruleOf(parts, { kind: 'masquerade', ...portsOf(ports) });
}
/** Asks the translator for another destination. */
export function dnat(address: IpAddress | string, ports: number | Range | undefined, ...parts: readonly Part[]): Rule {
  return translate('dnat', ipOf(address), ports, parts);
}
/** Asks the translator for another source. */
export function snat(address: IpAddress | string, ports: number | Range | undefined, ...parts: readonly Part[]): Rule {
  return translate('snat', ipOf(address), ports, parts);
}

/** Packets of the address's version only. */
function translate(
  kind: 'dnat' | 'snat',
  address: IpAddress,
  ports: number | Range | undefined,
  parts: readonly Part[],
): Rule {
  return ruleOf([address.version === 4 ? ipv4 : ipv6, ...parts], { kind, address, ...portsOf(ports) });
}

function portsOf(ports: number | Range | undefined): { readonly ports?: Range } {
  if (ports === undefined) return {};
  return { ports: typeof ports === 'number' ? [ports, ports] : ports };
}

/** Names a rule: for logs, counters and errors. */
export function comment(text: string, rule: Rule): Rule {
  return { ...rule, comment: text };
}

/** What {@link ruleSet} is made of. */
export interface RuleSetOptions extends Partial<Base> {
  /** Of the base chain, whose hook is `forward` where nothing else is said, and whose name is the hook's. */
  readonly rules: readonly Rule[];
  /** Chains that rules jump to, by name. */
  readonly chains?: Readonly<Record<string, readonly Rule[]>>;
  readonly sets?: readonly NamedSet[];
}

/** One base chain, and what it needs. */
export function ruleSet(options: RuleSetOptions): RuleSet {
  const { rules, chains = {}, sets = [], hook = 'forward', priority, policy } = options;
  const base: Base = {
    hook,
    ...(priority === undefined ? {} : { priority }),
    ...(policy === undefined ? {} : { policy }),
  };
  const others = Object.entries(chains).map(([name, rules]): Chain => ({ name, rules }));
  return { sets, chains: [...others, { name: hook, base, rules }] };
}

/** A named set of addresses and networks of one version. @throws UsageError `ERR_INVALID_OPTION` where they are of both */
export function addressSet(name: string, values: readonly (IpAddress | Cidr | string)[]): NamedSet {
  const elements = values.map(networkOf);
  const version = elements[0]?.version ?? 4;
  if (elements.some((element) => element.version !== version)) {
    throw new UsageError('ERR_INVALID_OPTION', `the set ${name} has addresses of both versions`);
  }
  return { name, type: version === 4 ? 'ipv4_addr' : 'ipv6_addr', elements };
}

/** A named set of ports. */
export function portSet(name: string, values: readonly (number | Range)[]): NamedSet {
  const elements = values.map((value): Range => (typeof value === 'number' ? [value, value] : value));
  return { name, type: 'inet_service', elements };
}
