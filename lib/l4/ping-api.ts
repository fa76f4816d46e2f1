/** The face of ICMP echo towards applications: ping sockets, of either IP version. */

import type { IpAddress, IpVersion } from '../core/address.js';
import type { NetCode } from '../core/errors.js';
import type { IcmpErrorKind } from '../l3/icmp-report.js';

/** A received echo reply; `data` is a copy that the receiver owns. */
export interface EchoReply {
  /** Who answered: not who was asked, where that was a group. */
  readonly source: IpAddress;
  readonly sequence: number;
  readonly data: Uint8Array;
  readonly hopLimit: number;
  readonly trafficClass: number;
}

/** An ICMP error about an echo request of ours, or that it could not be sent. */
export interface EchoError {
  readonly sequence: number;
  readonly destination: IpAddress;
  /** Who said so: a router, the destination, or ourselves. */
  readonly reporter: IpAddress;
  readonly kind: IcmpErrorKind;
  readonly code: NetCode;
  /** With `packet-too-big`: the MTU of the next hop in bytes, or 0 where the router did not say. */
  readonly mtu: number;
}

/** What a ping socket tells its owner, synchronously. It must not throw. */
export interface PingHandler {
  reply(reply: EchoReply): void;
  error(error: EchoError): void;
}

/** One echo request. */
export interface EchoRequest {
  readonly destination: IpAddress;
  /** 16 bits. */
  readonly sequence: number;
  readonly data?: Uint8Array;
  /** TTL or hop limit. Default 64. */
  readonly hopLimit?: number;
  readonly trafficClass?: number;
  /** Refuse to fragment on the way (IPv4). Default false. */
  readonly dontFragment?: boolean;
  /** The address of ours to send from, by its device where it has a zone; chosen where it is left out. */
  readonly source?: IpAddress;
}

/** Sends echo requests under an identifier of its own, and hears what comes of them. */
export interface PingSocket {
  readonly version: IpVersion;
  /** 16 random bits that no other ping socket of the host uses. */
  readonly identifier: number;
  /** @throws NetError `ENETUNREACH`, `EADDRNOTAVAIL`, `EMSGSIZE`, `EINVAL` (of the other version, unspecified), `EBADF` (closed) */
  send(request: EchoRequest): void;
  close(): void;
}

/** Ping sockets of one host. Implemented by `PingHost` in `ping.ts`. */
export interface PingSockets {
  /** @throws NetError `ENOBUFS` when all 65,536 identifiers are in use, `ENETDOWN` when the host has ended */
  open(version: IpVersion, handler: PingHandler): PingSocket;
}
