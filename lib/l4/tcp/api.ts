/** The face of a TCP connection towards applications: what the socket adapters of `lib/socket` are written against. */

import type { IpAddress } from '../../core/address.js';
import type { NetError } from '../../core/errors.js';
import type { EcnMode } from './ecn.js';

/** States of RFC 9293 3.3.2. */
export type TcpState =
  | 'CLOSED'
  | 'LISTEN'
  | 'SYN-SENT'
  | 'SYN-RECEIVED'
  | 'ESTABLISHED'
  | 'FIN-WAIT-1'
  | 'FIN-WAIT-2'
  | 'CLOSE-WAIT'
  | 'CLOSING'
  | 'LAST-ACK'
  | 'TIME-WAIT';

/** An address and a port. */
export interface Endpoint {
  readonly address: IpAddress;
  readonly port: number;
}

/**
 * What a connection tells its owner. Calls are synchronous, from within the event (segment or timer) that caused them; they may call
 * back into the connection. They must not throw.
 */
export interface TcpHandler {
  /** The handshake is done. Only for connections that were opened actively; accepted ones are established when handed over. */
  connected(): void;
  /** There is something to read: data, or the end of the stream (`readEnded`). Called again only after a read made progress. */
  readable(): void;
  /** After a `write` that took less than it was given: there is room again. */
  writable(): void;
  /** Everything that was written, and the FIN if `end` was called, has been acknowledged. */
  flushed(): void;
  /** The connection is over for the application (it may linger in TIME-WAIT): regularly, or with an error. Called once. */
  closed(error: NetError | undefined): void;
  /** Urgent data was announced up to `bytes` bytes ahead of what has been read (RFC 9293 MUST-32/33). */
  urgent?(bytes: number): void;
}

/** A TCP connection as an application sees it. */
export interface TcpConnection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly state: TcpState;
  /** Whoever owns the connection sets it, before the next event; an accepted connection starts with one that does nothing. */
  handler: TcpHandler;

  /**
   * Queues bytes by reference (they must not change until `flushed`) and sends what the windows allow. Returns how many it took: fewer than
   * given when the send buffer is full; `writable` follows. In SYN-SENT bytes are queued until the handshake is done.
   *
   * @throws NetError `EPIPE` after `end` or after the connection closed
   */
  write(bytes: Uint8Array): number;
  /** Bytes that `write` would take now. */
  readonly writableBytes: number;
  /** Bytes written and not yet acknowledged. */
  readonly unacknowledgedBytes: number;
  /** No more writes: a FIN follows the queued bytes. Idempotent. */
  end(): void;

  /** The next received bytes, at most `max`, owned by the caller; `undefined` if there are none now. Reading opens the receive window. */
  read(max?: number): Uint8Array | undefined;
  readonly readableBytes: number;
  /** The peer's FIN has come and everything before it was read. */
  readonly readEnded: boolean;

  /** Gives the connection up in an orderly way: like `end`, and nothing more will be read; unread or later data is answered by RST. */
  close(): void;
  /** Sends RST and forgets the connection; `closed` is called with `ECONNABORTED` unless it was over already. */
  abort(): void;

  /** Nagle's algorithm off or on (RFC 9293 MUST-17). */
  setNoDelay(on: boolean): void;
  /** Keepalive probes: off by default; times in milliseconds, defaults 2 h, 75 s, 9 probes. */
  setKeepAlive(on: boolean, idle?: number, interval?: number, count?: number): void;
  /** Longest time in milliseconds that written bytes may stay unacknowledged; 0 for the default (RFC 5482). */
  setUserTimeout(milliseconds: number): void;
}

/** A listening port. */
export interface TcpListener {
  readonly local: Endpoint;
  /** Takes the next established connection off the backlog. */
  accept(): TcpConnection | undefined;
  /** Called whenever a connection became acceptable. Setting it reports those that already wait. */
  acceptable: (() => void) | undefined;
  /** Called when a SYN of `remote` was answered: its handshake is under way, and there is nothing to accept yet. For observers. */
  incoming?: ((remote: Endpoint) => void) | undefined;
  /** Stops listening; connections that were not accepted are reset. */
  close(): void;
}

/** Options of a connection; listeners pass theirs on to what they accept. */
export interface TcpConnectionOptions {
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  /** Bytes of received data that may wait to be read. Default 1 MiB. */
  readonly receiveBuffer?: number;
  /** Bytes that may wait to be acknowledged. Default 1 MiB. */
  readonly sendBuffer?: number;
  /** Caps the segment size, in bytes of payload. */
  readonly maxSegmentSize?: number;
  readonly userTimeout?: number;
  readonly hopLimit?: number;
  /** DSCP and, in the low two bits, nothing: those are TCP's. */
  readonly trafficClass?: number;
  /** Explicit congestion notification. Default: as the host's option `ecn`. */
  readonly ecn?: EcnMode;
}

/** Options of a listener, and of the connections that it accepts. */
export interface TcpListenOptions extends TcpConnectionOptions {
  /** Connections that may wait to be accepted. Default 511. */
  readonly backlog?: number;
  /** A listener of `::` takes IPv6 connections only, and not IPv4 ones as well. Default false. */
  readonly ipv6Only?: boolean;
}

/** TCP of one host: makes connections and listeners. Implemented by `TcpHost` in `tcp-host.ts`. */
export interface TcpSockets {
  /**
   * Starts an active open. An IPv4-mapped address means the IPv4 address.
   *
   * @throws NetError `ENETUNREACH`, `EADDRNOTAVAIL`, `EADDRINUSE`, `EINVAL` (port 0, hop limit 0, broadcast or multicast destination)
   */
  connect(
    remote: Endpoint,
    handler: TcpHandler,
    options?: TcpConnectionOptions & { readonly localAddress?: IpAddress; readonly localPort?: number },
  ): TcpConnection;
  /**
   * Listens; an unspecified address means all of ours, port 0 a free one. `::` means those of IPv4 as well, unless `ipv6Only` is set; a SYN
   * goes to the listener of exactly its address, if there is one, then to that of `0.0.0.0` or `::`, whichever is of its version.
   *
   * @throws NetError `EADDRINUSE`, `EADDRNOTAVAIL`
   */
  listen(local: Endpoint, options?: TcpListenOptions): TcpListener;
}
