/**
 * The words for types and codes of ICMP, of both versions: those of packetdrill, and for codes of unreachable also without
 * `_unreachable`. What both versions have is called the same.
 */

import type { IpVersion } from '../core/address.js';
import { Icmpv4TimeExceeded, Icmpv4Type, Icmpv4Unreachable } from '../wire/icmpv4.js';
import { Icmpv6TimeExceeded, Icmpv6Type, Icmpv6Unreachable } from '../wire/icmpv6.js';
import { Ipv6Problem } from '../wire/ipv6-extensions.js';

type Words = ReadonlyMap<string, number>;

const TYPES: Words = new Map([
  ['echo_reply', Icmpv4Type.EchoReply],
  ['unreachable', Icmpv4Type.DestinationUnreachable],
  ['source_quench', Icmpv4Type.SourceQuench],
  ['redirect', Icmpv4Type.Redirect],
  ['echo_request', Icmpv4Type.EchoRequest],
  ['router_advertisement', Icmpv4Type.RouterAdvertisement],
  ['router_solicitation', Icmpv4Type.RouterSolicitation],
  ['time_exceeded', Icmpv4Type.TimeExceeded],
  ['parameter_problem', Icmpv4Type.ParameterProblem],
  ['timestamp', Icmpv4Type.TimestampRequest],
  ['timestamp_reply', Icmpv4Type.TimestampReply],
]);

const UNREACHABLE: Words = new Map([
  ['net', Icmpv4Unreachable.Net],
  ['host', Icmpv4Unreachable.Host],
  ['protocol', Icmpv4Unreachable.Protocol],
  ['port', Icmpv4Unreachable.Port],
  ['frag_needed', Icmpv4Unreachable.FragmentationNeeded],
  ['source_route_failed', Icmpv4Unreachable.SourceRouteFailed],
  ['net_unknown', Icmpv4Unreachable.NetUnknown],
  ['host_unknown', Icmpv4Unreachable.HostUnknown],
  ['source_host_isolated', Icmpv4Unreachable.SourceIsolated],
  ['net_prohibited', Icmpv4Unreachable.NetProhibited],
  ['host_prohibited', Icmpv4Unreachable.HostProhibited],
  ['net_unreachable_for_tos', Icmpv4Unreachable.NetTos],
  ['host_unreachable_for_tos', Icmpv4Unreachable.HostTos],
  ['packet_filtered', Icmpv4Unreachable.AdminProhibited],
  ['precedence_violation', Icmpv4Unreachable.PrecedenceViolation],
  ['precedence_cutoff', Icmpv4Unreachable.PrecedenceCutoff],
]);

const TIME_EXCEEDED: Words = new Map([
  ['ttl', Icmpv4TimeExceeded.InTransit],
  ['reassembly', Icmpv4TimeExceeded.Reassembly],
]);

const REDIRECT: Words = new Map([
  ['net', 0],
  ['host', 1],
  ['tos_net', 2],
  ['tos_host', 3],
]);

const TYPES6: Words = new Map([
  ['unreachable', Icmpv6Type.DestinationUnreachable],
  ['packet_too_big', Icmpv6Type.PacketTooBig],
  ['time_exceeded', Icmpv6Type.TimeExceeded],
  ['parameter_problem', Icmpv6Type.ParameterProblem],
  ['echo_request', Icmpv6Type.EchoRequest],
  ['echo_reply', Icmpv6Type.EchoReply],
  ['listener_query', Icmpv6Type.ListenerQuery],
  ['listener_report', Icmpv6Type.ListenerReport],
  ['listener_done', Icmpv6Type.ListenerDone],
  ['router_solicitation', Icmpv6Type.RouterSolicitation],
  ['router_advertisement', Icmpv6Type.RouterAdvertisement],
  ['neighbor_solicitation', Icmpv6Type.NeighbourSolicitation],
  ['neighbor_advertisement', Icmpv6Type.NeighbourAdvertisement],
  ['redirect', Icmpv6Type.Redirect],
  ['listener_report_v2', Icmpv6Type.ListenerReport2],
]);

const UNREACHABLE6: Words = new Map([
  ['no_route', Icmpv6Unreachable.NoRoute],
  ['admin_prohibited', Icmpv6Unreachable.AdminProhibited],
  ['beyond_scope', Icmpv6Unreachable.BeyondScope],
  ['address', Icmpv6Unreachable.Address],
  ['port', Icmpv6Unreachable.Port],
  ['source_policy', Icmpv6Unreachable.SourcePolicy],
  ['reject_route', Icmpv6Unreachable.RejectRoute],
]);

const TIME_EXCEEDED6: Words = new Map([
  ['ttl', Icmpv6TimeExceeded.InTransit],
  ['reassembly', Icmpv6TimeExceeded.Reassembly],
]);

const PROBLEM6: Words = new Map([
  ['field', Ipv6Problem.BadField],
  ['next_header', Ipv6Problem.UnknownNextHeader],
  ['option', Ipv6Problem.UnknownOption],
  ['incomplete_chain', Ipv6Problem.IncompleteChain],
]);

function codesOf(type: number, version: IpVersion): Words | undefined {
  if (version === 4) {
    if (type === Icmpv4Type.DestinationUnreachable) return UNREACHABLE;
    if (type === Icmpv4Type.TimeExceeded) return TIME_EXCEEDED;
    return type === Icmpv4Type.Redirect ? REDIRECT : undefined;
  }
  if (type === Icmpv6Type.DestinationUnreachable) return UNREACHABLE6;
  if (type === Icmpv6Type.TimeExceeded) return TIME_EXCEEDED6;
  return type === Icmpv6Type.ParameterProblem ? PROBLEM6 : undefined;
}

function nameIn(words: Words | undefined, value: number): string | undefined {
  for (const [word, known] of words ?? []) if (known === value) return word;
  return undefined;
}

/** The type of that name, or `undefined`. */
export function icmpTypeOf(word: string, version: IpVersion = 4): number | undefined {
  return (version === 4 ? TYPES : TYPES6).get(word);
}

/** The code of that name for a type, or `undefined`. */
export function icmpCodeOf(type: number, word: string, version: IpVersion = 4): number | undefined {
  const codes = codesOf(type, version);
  return codes?.get(word) ?? codes?.get(word.replace(/_unreachable$/, ''));
}

/** The word for a type, or `undefined`. */
export function icmpTypeName(type: number, version: IpVersion = 4): string | undefined {
  return nameIn(version === 4 ? TYPES : TYPES6, type);
}

/** The word for a code of a type, or `undefined`. */
export function icmpCodeName(type: number, code: number, version: IpVersion = 4): string | undefined {
  return nameIn(codesOf(type, version), code);
}
