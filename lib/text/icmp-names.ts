/** The words for ICMPv4 types and codes: those of packetdrill, and for codes of unreachable also without `_unreachable`. */

import { Icmpv4TimeExceeded, Icmpv4Type, Icmpv4Unreachable } from '../wire/icmpv4.js';

const TYPES: ReadonlyMap<string, number> = new Map([
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

const UNREACHABLE: ReadonlyMap<string, number> = new Map([
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

const TIME_EXCEEDED: ReadonlyMap<string, number> = new Map([
  ['ttl', Icmpv4TimeExceeded.InTransit],
  ['reassembly', Icmpv4TimeExceeded.Reassembly],
]);

const REDIRECT: ReadonlyMap<string, number> = new Map([
  ['net', 0],
  ['host', 1],
  ['tos_net', 2],
  ['tos_host', 3],
]);

function codesOf(type: number): ReadonlyMap<string, number> | undefined {
  if (type === Icmpv4Type.DestinationUnreachable) return UNREACHABLE;
  if (type === Icmpv4Type.TimeExceeded) return TIME_EXCEEDED;
  return type === Icmpv4Type.Redirect ? REDIRECT : undefined;
}

function nameIn(words: ReadonlyMap<string, number> | undefined, value: number): string | undefined {
  for (const [word, known] of words ?? []) if (known === value) return word;
  return undefined;
}

/** The type of that name, or `undefined`. */
export function icmpTypeOf(word: string): number | undefined {
  return TYPES.get(word);
}

/** The code of that name for a type, or `undefined`. */
export function icmpCodeOf(type: number, word: string): number | undefined {
  const codes = codesOf(type);
  return codes?.get(word) ?? codes?.get(word.replace(/_unreachable$/, ''));
}

/** The word for a type, or `undefined`. */
export function icmpTypeName(type: number): string | undefined {
  return nameIn(TYPES, type);
}

/** The word for a code of a type, or `undefined`. */
export function icmpCodeName(type: number, code: number): string | undefined {
  return nameIn(codesOf(type), code);
}
