/** What the two IP versions have in common, so that everything above IP is written once. */

import type { Address, IpVersion } from '../core/address.js';
import type { Frame } from '../core/frame.js';

/** Protocol numbers (IANA). */
export const IpProtocol = {
  Icmp: 1,
  Igmp: 2,
  Tcp: 6,
  Udp: 17,
  Ipv6: 41,
  Routing: 43,
  Fragment: 44,
  Gre: 47,
  Esp: 50,
  Ah: 51,
  Icmpv6: 58,
  NoNext: 59,
  DestinationOptions: 60,
} as const;

/** Protocol number of the hop-by-hop options header, which is none of IPv4 (RFC 8200 4.3). */
export const HOP_BY_HOP = 0;

/** Explicit congestion notification, the low two bits of the traffic class (RFC 3168 5). */
export const Ecn = { NotEct: 0, Ect1: 1, Ect0: 2, Ce: 3 } as const;

/** A received IP packet whose payload is the range of its frame: `frame.start` to `frame.end`. */
export interface IpPacket<V extends IpVersion = IpVersion> {
  readonly version: V;
  readonly frame: Frame;
  /** Offset of the IP header. */
  readonly offset: number;
  /** The payload's protocol. */
  readonly protocol: number;
  /** TTL or hop limit. */
  readonly hopLimit: number;
  /** The former TOS byte: DSCP and ECN. */
  readonly trafficClass: number;
  /** Offsets of the addresses, for code that hashes or compares them in place; each is `addressLength` bytes long. */
  readonly sourceOffset: number;
  readonly destinationOffset: number;
  readonly addressLength: 4 | 16;
  /** The addresses as objects; for the control plane. */
  readonly sourceAddress: Address<V>;
  readonly destinationAddress: Address<V>;
  /** The sum of the transport pseudo-header for a payload of `length` bytes of `protocol` (RFC 9293 3.1, RFC 8200 8.1). */
  pseudoHeaderSum(protocol: number, length: number): number;
}

/**
 * Where an outgoing packet goes and how: what a transport keeps per connection or per call. Addresses are of one version.
 */
export interface IpFlow<V extends IpVersion = IpVersion> {
  readonly version: V;
  readonly source: Address<V>;
  readonly destination: Address<V>;
  readonly protocol: number;
  readonly hopLimit: number;
  readonly trafficClass: number;
  /** Refuse to fragment on the way (IPv4; IPv6 routers never do). */
  readonly dontFragment: boolean;
}
