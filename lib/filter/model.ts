/**
 * Rules of a firewall, as data: what typed builders make, what the text says, and what the compiler takes. The terms are those of nftables:
 * a rule is a row of parts, conditions and statements, done from left to right until a condition is not fulfilled.
 *
 * A condition on a field that a packet does not have is not fulfilled, negated or not: the port of a later fragment, the MAC address where
 * there is no link header, the device of a packet that nobody received.
 */

import type { Cidr, IpAddress, IpVersion } from '../core/address.js';
import type { Frame } from '../core/frame.js';
import type { PacketFields } from '../wire/packet-fields.js';

/** Numbers from the first to the second, both included. */
export type Range = readonly [low: number, high: number];

/**
 * Fields that are numbers. `length` is that of the IP packet in bytes; `hour` is the second of the day, `day` the day of the week from Sunday,
 * 0;
 * MAC addresses are 48-bit numbers.
 */
export type NumberField =
  | 'version'
  | 'protocol'
  | 'sport'
  | 'dport'
  | 'length'
  | 'hoplimit'
  | 'dscp'
  | 'icmp-type'
  | 'icmp-code'
  | 'mark'
  | 'hour'
  | 'day'
  | 'ether-source'
  | 'ether-destination';

/** Which sides of a packet, or of a router, a condition is about. */
export type Side = 'source' | 'destination';
export type Way = 'in' | 'out';

interface Negatable {
  /** The condition is fulfilled where the rest of it is not. */
  readonly not?: true;
}

/** A number is in one of the ranges, or in a named set. With a `family` packets of the other version do not fulfil it. */
export interface NumberMatch extends Negatable {
  readonly kind: 'number';
  readonly field: NumberField;
  readonly in: readonly Range[] | { readonly set: string };
  readonly family?: IpVersion;
}

/** Some bits of a number have a value. */
export interface BitsMatch extends Negatable {
  readonly kind: 'bits';
  readonly field: 'tcp-flags' | 'mark';
  readonly mask: number;
  readonly value: number;
}

/** An address is in one of the prefixes, or in a named set. With a `family` packets of the other version do not fulfil it. */
export interface AddressMatch extends Negatable {
  readonly kind: 'address';
  readonly side: Side;
  readonly in: readonly Cidr[] | { readonly set: string };
  readonly family?: IpVersion;
}

/** The name of the device that it came from or that it is to leave by; a `*` at the end stands for anything. */
export interface InterfaceMatch extends Negatable {
  readonly kind: 'interface';
  readonly way: Way;
  readonly in: readonly string[] | { readonly set: string };
}

/** What a connection tracker found out about the packet's flow. */
export type StateName = 'new' | 'established' | 'related' | 'invalid' | 'untracked';

/** The state is one of these. */
export interface StateMatch extends Negatable {
  readonly kind: 'state';
  readonly states: readonly StateName[];
}

/** It goes the way of the flow's first packet, or the other. Not fulfilled by packets of no flow. */
export interface DirectionMatch {
  readonly kind: 'direction';
  readonly direction: 'original' | 'reply';
}

/**
 * It is a fragment: any, the first, or a later one, which has no transport header. With `header` it is one, or a whole packet of IPv6 that has a
 * fragment header all the same (RFC 6946).
 */
export interface FragmentMatch extends Negatable {
  readonly kind: 'fragment';
  readonly which: 'any' | 'first' | 'later' | 'header';
}

/** Units of time that rates are given in. */
export type RateUnit = 'second' | 'minute' | 'hour' | 'day' | 'week';

/** So many packets, or bytes, in a unit of time. */
export interface Rate {
  readonly rate: number;
  readonly per: RateUnit;
  /** Packets at once after a pause, default 5; of bytes, how many more than the rate says, default 0. As in nftables. */
  readonly burst?: number;
  /** What is counted. Default `packets`. */
  readonly unit?: 'packets' | 'bytes';
}

/** How the senders, or receivers, of a limit are told apart. */
export interface RateKey {
  readonly by: Side;
  /** Bits of the addresses that count: hosts of one prefix share a limit. Default 32, and 64 of IPv6, where a host has a network for itself. */
  readonly bits?: { readonly 4?: number; readonly 6?: number };
  /** Addresses that are remembered. Default 16,384; more than that, and those that sent least of late are forgotten. */
  readonly size?: number;
}

/** The rate has not been reached yet, or with `over` has been; every packet that is asked about and is within it counts. */
export interface LimitMatch extends Rate {
  readonly kind: 'limit';
  readonly over?: true;
  readonly key?: RateKey;
}

/** A condition of the user's: the frame, and its fields, are valid during the call, and not to be changed. */
export type Predicate = (frame: Frame, fields: PacketFields) => boolean;

/** A predicate fulfils it. In text it is known by its name alone, and given with the options of the firewall. */
export interface PredicateMatch extends Negatable {
  readonly kind: 'predicate';
  readonly name: string;
  readonly test?: Predicate;
}

/** One condition. */
export type Match =
  | NumberMatch
  | BitsMatch
  | AddressMatch
  | InterfaceMatch
  | StateMatch
  | DirectionMatch
  | FragmentMatch
  | LimitMatch
  | PredicateMatch;

/** Counts here; every rule counts the packets that fulfil it, unless it says where with this. */
export interface CountStatement {
  readonly kind: 'count';
}

/** Tells of the packet. */
export interface LogStatement {
  readonly kind: 'log';
  readonly prefix?: string;
}

/** The mark becomes `(mark & and) ^ xor`; both are unsigned. */
export interface MarkStatement {
  readonly kind: 'mark';
  readonly and: number;
  readonly xor: number;
}

/** What a rejected sender is told. */
export type RejectWith =
  | 'port-unreachable'
  | 'net-unreachable'
  | 'host-unreachable'
  | 'protocol-unreachable'
  | 'prohibited'
  | 'tcp-reset';

/** Ends the way of the packet, or leads to another chain. */
export type Verdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'reject'; readonly with: RejectWith }
  | { readonly kind: 'jump'; readonly chain: string }
  | { readonly kind: 'goto'; readonly chain: string }
  | { readonly kind: 'return' }
  | NatStatement;

/** What is asked of a translator; the packet is accepted where it does it. */
export type NatStatement =
  | { readonly kind: 'redirect'; readonly ports?: Range }
  | { readonly kind: 'masquerade'; readonly ports?: Range }
  | { readonly kind: 'dnat' | 'snat'; readonly address: IpAddress; readonly ports?: Range };

/** One statement. */
export type Statement = CountStatement | LogStatement | MarkStatement | Verdict;

/** What a rule is made of. */
export type Part = Match | Statement;

/** A rule: its parts in order, of which the last may be a verdict. */
export interface Rule {
  readonly parts: readonly Part[];
  /** For logs, counters and errors. */
  readonly comment?: string;
}

/** Where in a router, or host, a base chain belongs. */
export type Hook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';

/** What makes a chain one where packets start. */
export interface Base {
  readonly hook: Hook;
  /** Chains of one hook are gone through in order of their priorities. Default 0. */
  readonly priority?: number;
  /** What becomes of packets that no rule decided about. Default `accept`. */
  readonly policy?: 'accept' | 'drop';
}

/** Rules in order. */
export interface Chain {
  readonly name: string;
  readonly base?: Base;
  readonly rules: readonly Rule[];
}

/** A named set, of one type. */
export type NamedSet =
  | { readonly name: string; readonly type: 'ipv4_addr' | 'ipv6_addr'; readonly elements: readonly Cidr[] }
  | { readonly name: string; readonly type: NumberSetType; readonly elements: readonly Range[] }
  | { readonly name: string; readonly type: 'ifname'; readonly elements: readonly string[] };

/** A named set of addresses. */
export type AddressSet = Extract<NamedSet, { readonly type: 'ipv4_addr' | 'ipv6_addr' }>;

/** A named set of numbers. */
export type NumberSet = Extract<NamedSet, { readonly type: NumberSetType }>;

/** Types of named sets of numbers: ports, protocols, MAC addresses, marks. */
export type NumberSetType = 'inet_service' | 'inet_proto' | 'ether_addr' | 'mark';

/** Everything that one text says. */
export interface RuleSet {
  readonly sets: readonly NamedSet[];
  readonly chains: readonly Chain[];
}

const U16 = 0xffff;

const VERDICTS: ReadonlySet<Part['kind']> = new Set<Part['kind']>([
  'accept',
  'drop',
  'reject',
  'jump',
  'goto',
  'return',
  'redirect',
  'masquerade',
  'dnat',
  'snat',
]);

/** The largest value of each field. */
export const LARGEST: Readonly<Record<NumberField, number>> = {
  version: 6,
  protocol: 0xff,
  sport: U16,
  dport: U16,
  length: U16 + 40,
  hoplimit: 0xff,
  dscp: 0x3f,
  'icmp-type': 0xff,
  'icmp-code': 0xff,
  mark: 0xffff_ffff,
  hour: 86_399,
  day: 6,
  'ether-source': 0xffff_ffff_ffff,
  'ether-destination': 0xffff_ffff_ffff,
};

/** Whether a part is a verdict: nothing can follow it. */
export function isVerdict(part: Part): part is Verdict {
  return VERDICTS.has(part.kind);
}

/** Whether a part asks for a translation of addresses. */
export function isNat(part: Part): part is NatStatement {
  return part.kind === 'redirect' || part.kind === 'masquerade' || part.kind === 'dnat' || part.kind === 'snat';
}

/** Whether the elements of a set are addresses. */
export function isAddressSet(set: NamedSet): set is AddressSet {
  return set.type === 'ipv4_addr' || set.type === 'ipv6_addr';
}

/** Whether a condition is fulfilled where the rest of it is not. */
export function isNegated(match: Match): boolean {
  return 'not' in match && match.not !== undefined;
}

/** The protocol that a part demands, if it is just one; flags are those of TCP. */
export function demandedProtocol(part: Part): number | undefined {
  if (part.kind === 'bits' && part.field === 'tcp-flags') return TCP;
  return part.kind === 'number' && part.field === 'protocol' ? onlyValue(part) : undefined;
}
const TCP = 6;

/** The version of IP that a part demands. */
export function demandedVersion(part: Part): number | undefined {
  return part.kind === 'number' && part.field === 'version' ? onlyValue(part) : undefined;
}

/** What the first of a rule's parts demands that demands something. */
export function firstDemand(parts: readonly Part[], demanded: (part: Part) => number | undefined): number | undefined {
  for (const part of parts) {
    const value = demanded(part);
    if (value !== undefined) return value;
  }
  return undefined;
}

function onlyValue({ in: values, not, family }: NumberMatch): number | undefined {
  if (not === true || family !== undefined || 'set' in values) return undefined;
  const [range, ...others] = values;
  return range !== undefined && others.length === 0 && range[0] === range[1] ? range[0] : undefined;
}
