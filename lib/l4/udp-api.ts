/** The face of UDP towards applications: what the socket adapters of `lib/socket` are written against. */

import type { Device } from '../core/device.js';
import type { NetError } from '../core/errors.js';
import type { Endpoint } from './tcp/api.js';

/** A received datagram; `data` is a copy that the receiver owns. */
export interface UdpMessage {
  readonly data: Uint8Array;
  readonly source: Endpoint;
  /** Where it was sent to: an address of ours, a broadcast or a multicast address. */
  readonly destination: Endpoint;
  readonly hopLimit: number;
  readonly trafficClass: number;
  /** The device that it came in by; `undefined` where there is only one. */
  readonly device?: Device | undefined;
}

/** What a socket tells its owner, synchronously. It must not throw. */
export interface UdpHandler {
  message(message: UdpMessage): void;
  /** ICMP reported an error about a datagram of a connected socket (RFC 1122 4.1.3.3), or the stack was disposed. */
  error(error: NetError): void;
}

/** Options of {@link UdpSockets.bind}. */
export interface UdpOptions {
  /** Share the port with other sockets that set this too. */
  readonly reuseAddress?: boolean;
  /** Allow sending to broadcast addresses. Default false. */
  readonly broadcast?: boolean;
  readonly hopLimit?: number;
  readonly trafficClass?: number;
}

/** A bound UDP socket. */
export interface UdpSocket {
  readonly local: Endpoint;
  readonly remote: Endpoint | undefined;
  broadcast: boolean;
  hopLimit: number;
  trafficClass: number;
  /**
   * Sends a datagram to `to`, or to the connected peer.
   *
   * @throws NetError `EDESTADDRREQ`, `EISCONN`, `ENETUNREACH`, `EACCES` (broadcast not allowed), `EMSGSIZE`, `EBADF` (closed)
   */
  send(data: Uint8Array, to?: Endpoint): void;
  /** Fixes the peer: only its datagrams come in, ICMP errors about it are reported. `undefined` undoes it. */
  connect(to: Endpoint | undefined): void;
  close(): void;
}

/** UDP of one host. Implemented by `UdpHost` in `udp.ts`. */
export interface UdpSockets {
  /**
   * Opens a socket; an unspecified address means all of ours, port 0 a free one.
   *
   * @throws NetError `EADDRINUSE`, `EADDRNOTAVAIL`
   */
  bind(local: Endpoint, handler: UdpHandler, options?: UdpOptions): UdpSocket;
}
