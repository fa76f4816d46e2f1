/** What ICMPv6 errors mean to sockets, and which error says what (RFC 4443 3); the codes are those that Linux gives to sockets. */

import { Icmpv6TimeExceeded, Icmpv6Type, Icmpv6Unreachable, isIcmpv6Error } from '../wire/icmpv6.js';
import { Ipv6Problem } from '../wire/ipv6-extensions.js';
import type { IcmpErrorKind } from './icmp-report.js';
import type { Meaning } from './icmp-reports.js';

// Indexed by code.
const UNREACHABLE: readonly Meaning[] = [
  { kind: 'net-unreachable', code: 'ENETUNREACH' },
  { kind: 'prohibited', code: 'EACCES' },
  { kind: 'host-unreachable', code: 'EHOSTUNREACH' },
  { kind: 'host-unreachable', code: 'EHOSTUNREACH' },
  { kind: 'port-unreachable', code: 'ECONNREFUSED' },
  { kind: 'prohibited', code: 'EACCES' },
  { kind: 'prohibited', code: 'EACCES' },
];

/** What an ICMPv6 error of this type and code means, or `undefined` where it means nothing to sockets. */
export function meaningOfIcmpv6(type: number, code: number): Meaning | undefined {
  switch (type) {
    case Icmpv6Type.DestinationUnreachable:
      return UNREACHABLE[code];
    case Icmpv6Type.PacketTooBig:
      // RFC 4443 3.2: whatever the code.
      return { kind: 'packet-too-big', code: 'EMSGSIZE' };
    case Icmpv6Type.TimeExceeded:
      return {
        kind: code === Icmpv6TimeExceeded.InTransit ? 'time-exceeded' : 'reassembly-timeout',
        code: 'EHOSTUNREACH',
      };
    case Icmpv6Type.ParameterProblem:
      return code === Ipv6Problem.UnknownNextHeader
        ? { kind: 'protocol-unreachable', code: 'ENOPROTOOPT' }
        : { kind: 'parameter-problem', code: 'EINVAL' };
    default:
      // RFC 4443 2.4 a: errors that nobody knows yet go to the transport as well.
      return isIcmpv6Error(type) ? { kind: 'unknown-error', code: 'EPROTO' } : undefined;
  }
}

/** Type and code that say `kind`. */
export function icmpv6Of(kind: IcmpErrorKind): { readonly type: number; readonly code: number } {
  const unreachable = (code: number) => ({ type: Icmpv6Type.DestinationUnreachable, code });
  switch (kind) {
    case 'time-exceeded':
      return { type: Icmpv6Type.TimeExceeded, code: Icmpv6TimeExceeded.InTransit };
    case 'reassembly-timeout':
      return { type: Icmpv6Type.TimeExceeded, code: Icmpv6TimeExceeded.Reassembly };
    case 'packet-too-big':
      return { type: Icmpv6Type.PacketTooBig, code: 0 };
    case 'protocol-unreachable':
      return { type: Icmpv6Type.ParameterProblem, code: Ipv6Problem.UnknownNextHeader };
    case 'parameter-problem':
      return { type: Icmpv6Type.ParameterProblem, code: Ipv6Problem.BadField };
    case 'net-unreachable':
      return unreachable(Icmpv6Unreachable.NoRoute);
    case 'prohibited':
      return unreachable(Icmpv6Unreachable.AdminProhibited);
    case 'beyond-scope':
      return unreachable(Icmpv6Unreachable.BeyondScope);
    case 'source-route-failed':
      return unreachable(Icmpv6Unreachable.RejectRoute);
    case 'port-unreachable':
      return unreachable(Icmpv6Unreachable.Port);
    default:
      return unreachable(Icmpv6Unreachable.Address);
  }
}
