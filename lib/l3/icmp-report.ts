/** What the network said about a packet of ours: an ICMP error, in terms that do not depend on the IP version. */

import type { IpAddress } from '../core/address.js';
import type { NetCode } from '../core/errors.js';
import type { Frame } from '../core/frame.js';

/** Kinds of errors that ICMP reports. */
export type IcmpErrorKind =
  | 'net-unreachable'
  | 'host-unreachable'
  | 'protocol-unreachable'
  | 'port-unreachable'
  | 'packet-too-big'
  | 'source-route-failed'
  | 'prohibited'
  /** To an address that its source is not good for (RFC 4443 3.1). */
  | 'beyond-scope'
  | 'time-exceeded'
  | 'reassembly-timeout'
  | 'parameter-problem'
  /** An error of a type that we do not know (RFC 4443 2.4 a). */
  | 'unknown-error';

/** An ICMP error about a packet of ours, with the start of that packet. */
export interface IcmpReport {
  readonly kind: IcmpErrorKind;
  /** The error that a socket gets for it. */
  readonly code: NetCode;
  /** Who sent the report. */
  readonly reporter: IpAddress;
  /** From the quoted packet: our address and the destination's, with their zones where they are link-local and the device is known, and the protocol. */
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  /** With `packet-too-big`: the MTU of the next hop in bytes, or 0 where the router did not say. */
  readonly mtu: number;
  /** Where the quoted transport header starts; at least 8 bytes of it are there. Valid during the call. */
  readonly frame: Frame;
  readonly transport: number;
}
