/** What a message of one ICMP is in the other (RFC 7915 4.2, 5.2): types and codes, pointers of parameter problems, MTUs. */

import { Icmpv4TimeExceeded, Icmpv4Type, Icmpv4Unreachable } from '../../wire/icmpv4.js';
import { Icmpv6TimeExceeded, Icmpv6Type, Icmpv6Unreachable } from '../../wire/icmpv6.js';
import { IPV6_MINIMUM_MTU, IPV6_NEXT_HEADER } from '../../wire/ipv6.js';
import { Ipv6Problem } from '../../wire/ipv6-extensions.js';

/** There is nothing like it in the other ICMP: the packet is dropped. */
export const NOTHING_ALIKE = -1;

/** Pointers of parameter problems that have no counterpart. */
export const NO_POINTER = -1;

/** What the headers differ by (RFC 7915 4.2, 5.2). */
const DIFFERENCE = 20;
const FRAGMENT = 8;
/** Code of an IPv4 parameter problem whose header length is wrong. */
const BAD_LENGTH = 2;
// RFC 1191 7.1, those that are left once the smallest MTU of IPv6 is carried.
const PLATEAUS = [65_535, 32_000, 17_914, 8_166, 4_352, 2_002, 1_492] as const;

/** Type and code in one number. */
function message(type: number, code: number): number {
  return (type << 8) | code;
}

/** Type (high byte) and code (low byte) of the ICMPv6 message that an ICMPv4 message is, or {@link NOTHING_ALIKE}. */
export function toIcmpv6(type: number, code: number): number {
  switch (type) {
    case Icmpv4Type.EchoRequest:
      return message(Icmpv6Type.EchoRequest, 0);
    case Icmpv4Type.EchoReply:
      return message(Icmpv6Type.EchoReply, 0);
    case Icmpv4Type.DestinationUnreachable:
      return unreachableToIcmpv6(code);
    case Icmpv4Type.TimeExceeded:
      return code <= Icmpv4TimeExceeded.Reassembly ? message(Icmpv6Type.TimeExceeded, code) : NOTHING_ALIKE;
    case Icmpv4Type.ParameterProblem:
      // Code 1, a required option is missing, has no counterpart.
      return code === 0 || code === BAD_LENGTH
        ? message(Icmpv6Type.ParameterProblem, Ipv6Problem.BadField)
        : NOTHING_ALIKE;
    default:
      return NOTHING_ALIKE;
  }
}

function unreachableToIcmpv6(code: number): number {
  switch (code) {
    case Icmpv4Unreachable.Net:
    case Icmpv4Unreachable.Host:
    case Icmpv4Unreachable.SourceRouteFailed:
    case Icmpv4Unreachable.NetUnknown:
    case Icmpv4Unreachable.HostUnknown:
    case Icmpv4Unreachable.SourceIsolated:
    case Icmpv4Unreachable.NetTos:
    case Icmpv4Unreachable.HostTos:
      return message(Icmpv6Type.DestinationUnreachable, Icmpv6Unreachable.NoRoute);
    case Icmpv4Unreachable.Protocol:
      return message(Icmpv6Type.ParameterProblem, Ipv6Problem.UnknownNextHeader);
    case Icmpv4Unreachable.Port:
      return message(Icmpv6Type.DestinationUnreachable, Icmpv6Unreachable.Port);
    case Icmpv4Unreachable.FragmentationNeeded:
      return message(Icmpv6Type.PacketTooBig, 0);
    case Icmpv4Unreachable.NetProhibited:
    case Icmpv4Unreachable.HostProhibited:
    case Icmpv4Unreachable.AdminProhibited:
    case Icmpv4Unreachable.PrecedenceCutoff:
      return message(Icmpv6Type.DestinationUnreachable, Icmpv6Unreachable.AdminProhibited);
    default:
      return NOTHING_ALIKE;
  }
}

/** Type (high byte) and code (low byte) of the ICMPv4 message that an ICMPv6 message is, or {@link NOTHING_ALIKE}. */
export function toIcmpv4(type: number, code: number): number {
  switch (type) {
    case Icmpv6Type.EchoRequest:
      return message(Icmpv4Type.EchoRequest, 0);
    case Icmpv6Type.EchoReply:
      return message(Icmpv4Type.EchoReply, 0);
    case Icmpv6Type.DestinationUnreachable:
      return unreachableToIcmpv4(code);
    case Icmpv6Type.PacketTooBig:
      return message(Icmpv4Type.DestinationUnreachable, Icmpv4Unreachable.FragmentationNeeded);
    case Icmpv6Type.TimeExceeded:
      return code <= Icmpv6TimeExceeded.Reassembly ? message(Icmpv4Type.TimeExceeded, code) : NOTHING_ALIKE;
    case Icmpv6Type.ParameterProblem:
      if (code === Ipv6Problem.BadField) return message(Icmpv4Type.ParameterProblem, 0);
      return code === Ipv6Problem.UnknownNextHeader
        ? message(Icmpv4Type.DestinationUnreachable, Icmpv4Unreachable.Protocol)
        : NOTHING_ALIKE;
    default:
      return NOTHING_ALIKE;
  }
}

function unreachableToIcmpv4(code: number): number {
  switch (code) {
    case Icmpv6Unreachable.NoRoute:
    case Icmpv6Unreachable.BeyondScope:
    case Icmpv6Unreachable.Address:
      return message(Icmpv4Type.DestinationUnreachable, Icmpv4Unreachable.Host);
    case Icmpv6Unreachable.AdminProhibited:
      return message(Icmpv4Type.DestinationUnreachable, Icmpv4Unreachable.HostProhibited);
    case Icmpv6Unreachable.Port:
      return message(Icmpv4Type.DestinationUnreachable, Icmpv4Unreachable.Port);
    default:
      return NOTHING_ALIKE;
  }
}

/** The byte of an IPv6 header that is what byte `pointer` of an IPv4 header is (RFC 7915 4.2, figure 3), or {@link NO_POINTER}. */
export function toPointer6(pointer: number): number {
  if (pointer <= 1) return pointer;
  if (pointer <= 3) return 4;
  if (pointer === 8) return 7;
  if (pointer === 9) return 6;
  if (pointer >= 12 && pointer <= 15) return 8;
  return pointer >= 16 && pointer <= 19 ? 24 : NO_POINTER;
}

/** The byte of an IPv4 header that is what byte `pointer` of an IPv6 header is (RFC 7915 5.2, figure 6), or {@link NO_POINTER}. */
export function toPointer4(pointer: number): number {
  if (pointer <= 1) return pointer;
  if (pointer === 4 || pointer === 5) return 2;
  if (pointer === 6) return 9;
  if (pointer === 7) return 8;
  if (pointer >= 8 && pointer <= 23) return 12;
  return pointer >= 24 && pointer <= 39 ? 16 : NO_POINTER;
}

/** MTUs of the next hops on either side, where they are known. */
export interface NextHopMtus {
  readonly ipv4: number;
  readonly ipv6: number;
}

/**
 * The MTU that "packet too big" states for what "fragmentation needed" stated (RFC 7915 4.2): never less than every IPv6 link carries (6).
 *
 * @param mtu 0 where the router did not say (RFC 1191 4)
 * @param length that of the quoted packet, as its header says
 */
export function toMtu6(mtu: number, length: number, { ipv4, ipv6 }: NextHopMtus): number {
  const said = mtu === 0 ? (PLATEAUS.find((plateau) => plateau < length) ?? 0) : mtu;
  return Math.max(IPV6_MINIMUM_MTU, Math.min(said + DIFFERENCE, ipv6, ipv4 + DIFFERENCE));
}

/** The MTU that "fragmentation needed" states for what "packet too big" stated (RFC 7915 5.2). */
export function toMtu4(mtu: number, quotesFragment: boolean, { ipv4, ipv6 }: NextHopMtus): number {
  const difference = quotesFragment ? DIFFERENCE + FRAGMENT : DIFFERENCE;
  return Math.max(68, Math.min(mtu - difference, ipv4, ipv6 - DIFFERENCE, 0xffff));
}

/** Pointer of the parameter problem that stands for "protocol unreachable": the next header. */
export const PROTOCOL_POINTER: number = IPV6_NEXT_HEADER;
