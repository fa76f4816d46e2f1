/** The face of a TCP connection towards applications: what the socket adapters of `lib/socket` are written against. */

import type { IpAddress } from '../../core/address.js';
import type { NetError } from '../../core/errors.js';
import type { EcnMode } from './ecn.js';
import type { TcpInfo } from './info.js';
import type { TcpLimits } from './options.js';
import type { CongestionName } from './congestion/choose.js';
import type { CongestionFactory } from './congestion/congestion.js';

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
 * What a connection tells its owner. Calls are synchronous, from within the event (segment or timer) that caused them, where a device brings many frames
 * at once when these have been received; they may call back into the connection. They must not throw.
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
  /**
   * A `close` that lingers is done: everything was acknowledged, or the time is up and the rest goes on without anybody who waits for it.
   * Only where {@link TcpConnection.setLinger} set a time.
   */
  lingered?(complete: boolean): void;
  /**
   * Something is wrong that does not end the connection: an ICMP error came (RFC 9293 SHLD-25), or nothing was acknowledged through three
   * retransmissions (`ETIMEDOUT`, SHLD-9). Who does not care leaves it out (SHLD-20).
   */
  trouble?(error: NetError): void;
  /** Urgent data was announced up to `bytes` bytes ahead of what has been read (RFC 9293 MUST-32/33). */
  urgent?(bytes: number): void;
}

/** How bytes are written. */
export interface TcpWriteOptions {
  /** More follows: a segment that is not full waits for it, a few hundred milliseconds at most, and is not pushed. As `MSG_MORE`. */
  readonly more?: boolean;
  /** The last of the bytes ends urgent data (RFC 9293 MUST-30, MUST-31). As `MSG_OOB`. New applications do without (SHLD-13). */
  readonly urgent?: boolean;
}

/**
 * Is shown received bytes: those from `from` to `to` of `bytes`, which are not its own. They may change as soon as it returns, so what is to
 * last is copied, above all what is to be written: by `writeCopy`, since `write` goes on looking at what it was given. Must not change them, nor throw.
 */
export type ByteSink = (bytes: Uint8Array, from: number, to: number) => void;

/** Which way of a connection is shut. */
export type TcpShutdown = 'read' | 'write' | 'both';

/** A TCP connection as an application sees it. */
export interface TcpConnection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly state: TcpState;
  /**
   * Whoever owns the connection sets it, before the next event; an accepted connection starts with one that does nothing. A new one is told
   * soon of what is there to be read, and of the end, also where another was told before.
   */
  handler: TcpHandler;

  /**
   * Queues bytes by reference (they must not change until `flushed`) and sends what the windows allow. Returns how many it took: fewer than
   * given when the send buffer is full; `writable` follows. In SYN-SENT bytes are queued until the handshake is done.
   *
   * @throws NetError `EPIPE` after `end` or after the connection closed
   */
  write(bytes: Uint8Array, options?: TcpWriteOptions): number;
  /**
   * The same with a copy of bytes `from` to `to`, by default all of them: they may change as soon as it returns. What {@link TcpConnection.consume}
   * shows can so be sent back; and of small pieces a copy costs less than an array for each. A connection that has such bytes under way takes
   * at least 2 KiB for them.
   *
   * @throws NetError as `write` @throws UsageError `ERR_OUT_OF_RANGE`
   */
  writeCopy(bytes: Uint8Array, from?: number, to?: number, options?: TcpWriteOptions): number;
  /** Bytes that `write` would take now; where it is 0 for want of room, `writable` follows. */
  readonly writableBytes: number;
  /** Bytes written and not yet acknowledged. */
  readonly unacknowledgedBytes: number;
  /** Those of them that were never sent. */
  readonly unsentBytes: number;
  /** No more writes: a FIN follows the queued bytes. Idempotent. */
  end(): void;

  /** The next received bytes, at most `max`, owned by the caller; `undefined` if there are none now. Reading opens the receive window. */
  read(max?: number): Uint8Array | undefined;
  /**
   * Shows the next received bytes, at most `max`, to `sink`, in one piece; returns how many, 0 if there are none now. Otherwise as `read`. Called
   * from within `readable` it is the way without a copy: what has just come lies in the frame that brought it.
   */
  consume(sink: ByteSink, max?: number): number;
  /** Copies received bytes to the beginning of `target`, as many as there are room for; returns how many. */
  readInto(target: Uint8Array): number;
  /** Drops received bytes, at most `max`, as if they had been read; returns how many. */
  discard(max?: number): number;
  /** What the next `read` would give, which stays where it is; it must not be changed. */
  peek(max?: number): Uint8Array | undefined;
  readonly readableBytes: number;
  /** Bytes from the reader's position to the end of urgent data that was announced; 0 if there is none ahead. */
  readonly urgentBytes: number;
  /** The peer's FIN has come and everything before it was read, or the reading side was shut down. */
  readonly readEnded: boolean;

  /** Gives the connection up in an orderly way: like `end`, and nothing more will be read; unread or later data is answered by RST. */
  close(): void;
  /** Sends RST and forgets the connection; `closed` is called with `ECONNABORTED` unless it was over already. */
  abort(): void;

  /**
   * Shuts one way or both. Writing: as `end`. Reading: what was received can still be read, then the stream is over for the reader; nothing
   * is sent. A connection that is being opened is given up (`ECONNABORTED`).
   *
   * @throws NetError `ENOTCONN` once the connection is over
   */
  shutdown(how: TcpShutdown): void;
  /** Ends the connection at once, with a RST where the peer needs one; the owner hears `closed` without an error. As `connect(AF_UNSPEC)`. */
  disconnect(): void;

  /** Nagle's algorithm off or on (RFC 9293 MUST-17). */
  setNoDelay(on: boolean): void;
  /** Holds back segments that are not full, 200 ms at least if nothing else is in flight, until it is switched off. As `TCP_CORK`. */
  setCork(on: boolean): void;
  /** On: acknowledges at once for a while, and what is owed now. Off: acknowledgments wait for data to go with. As `TCP_QUICKACK`. */
  setQuickAck(on: boolean): void;
  /** Keepalive probes: off by default; times in milliseconds, defaults 2 h, 75 s, 9 probes. */
  setKeepAlive(on: boolean, idle?: number, interval?: number, count?: number): void;
  /** Bytes a second at which segments leave at most, from now on; 0: any number. */
  setMaxPacingRate(bytesPerSecond: number): void;
  /** Longest time in milliseconds that written bytes may stay unacknowledged, from now on; 0 for the host's default (RFC 5482). */
  setUserTimeout(milliseconds: number): void;
  /**
   * What `close` does: 0 sends RST and drops what is queued; a time in milliseconds has `lingered` called; `undefined`, the default, does neither.
   */
  setLinger(milliseconds: number | undefined): void;
  /** How long a closed connection waits for the peer's FIN, in milliseconds. As `TCP_LINGER2`; a negative value ends it at once. */
  setFinWait2Timeout(milliseconds: number): void;
  /**
   * Bytes of received data that may wait to be read, from now on: auto-tuning ends, and what was promised to the peer stays promised, as does
   * the window scale of our SYN: where that was 0, the peer sees no more than 64 KiB of a larger buffer.
   */
  setReceiveBuffer(bytes: number): void;
  /** Bytes that may wait to be acknowledged, from now on: auto-tuning ends. */
  setSendBuffer(bytes: number): void;
  /** Caps the payload of segments that are sent from now on; the peer's MSS and the path do so anyhow. As `TCP_MAXSEG`. */
  setMaxSegmentSize(bytes: number): void;
  /** The traffic class (TOS) of packets from now on; its low two bits are ECN's, and left out. */
  setTrafficClass(value: number): void;
  /** The hop limit (TTL) of packets from now on. @throws NetError `EINVAL` unless in 1..255 */
  setHopLimit(hops: number): void;

  /** The error that ended the connection, or that ICMP reported meanwhile, once: the second look finds none. As `SO_ERROR`. */
  takeError(): NetError | undefined;
  /** Everything that there is to know, as Linux's `tcp_info`. */
  info(): TcpInfo;
  /** Is told of each state that the connection comes to, in order, when the event that led to it ends. One at a time. */
  onState: ((state: TcpState) => void) | undefined;
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
  /** Stops listening; established connections that were not accepted are reset, others forgotten. */
  close(): void;
}

/** Options of a connection; listeners pass theirs on to what they accept. */
export interface TcpConnectionOptions {
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  /** Bytes of received data that may wait to be read. Where it is given, the buffer stays at that. */
  readonly receiveBuffer?: number;
  /** Bytes that may wait to be acknowledged. Where it is given, the buffer stays at that. */
  readonly sendBuffer?: number;
  /** Caps the segment size, in bytes of payload. */
  readonly maxSegmentSize?: number;
  /** As `setUserTimeout`. */
  readonly userTimeout?: number;
  readonly hopLimit?: number;
  /** DSCP and, in the low two bits, nothing: those are TCP's. */
  readonly trafficClass?: number;
  /** Explicit congestion notification. Default: as the host's option `ecn`. */
  readonly ecn?: EcnMode;
  /** Limits that differ from the host's. */
  readonly limits?: TcpLimits;
  /** The congestion control, by name or what makes it. Default: the host's. */
  readonly congestion?: CongestionName | CongestionFactory;
  /** Bytes a second at which segments leave at most, as with SO_MAX_PACING_RATE. Default 0: any number. */
  readonly maxPacingRate?: number;
}

/** Options of an active open. */
export interface TcpConnectOptions extends TcpConnectionOptions {
  /** The address of ours to connect from; from one in a zone that is by its device. Default: as the routes say. */
  readonly localAddress?: IpAddress;
  readonly localPort?: number;
  /**
   * Fast Open (RFC 7413): sends data with the SYN where the server has given us a cookie, and asks for one where it has not. The SYN leaves
   * with these bytes, which count as written and must find room in the send buffer, or, if `true`, after the current event with whatever was
   * written in it. Only for data that may arrive twice. Default false.
   */
  readonly fastOpen?: boolean | Uint8Array;
}

/** Options of a listener, and of the connections that it accepts. */
export interface TcpListenOptions extends TcpConnectionOptions {
  /** Connections that may be served by Fast Open before their handshake is complete (RFC 7413 5.1). Default 0: there is no Fast Open. */
  readonly fastOpen?: number;
  /** Connections that may wait to be accepted. Default 511. */
  readonly backlog?: number;
  /** How long a connection waits for its first data before it is accepted without, in ms. Default 0: not at all. As `TCP_DEFER_ACCEPT`. */
  readonly deferAccept?: number;
  /**
   * Connections that ended while they waited to be accepted are accepted nevertheless, and then tell how they ended, as with Linux. Default
   * false: they are forgotten.
   */
  readonly acceptEnded?: boolean;
  /** A listener of `::` takes IPv6 connections only, and not IPv4 ones as well. Default false. */
  readonly ipv6Only?: boolean;
}

/** TCP of one host: makes connections and listeners. Implemented by `TcpHost` in `tcp-host.ts`. */
export interface TcpSockets {
  /**
   * Starts an active open. An IPv4-mapped address means the IPv4 address.
   *
   * @throws NetError `ENETUNREACH`, `EADDRNOTAVAIL`, `EADDRINUSE`, `EINVAL` (port 0, hop limit 0, broadcast or multicast destination), `ENOBUFS` (no room
   * for the bytes of Fast Open)
   */
  connect(remote: Endpoint, handler: TcpHandler, options?: TcpConnectOptions): TcpConnection;
  /**
   * Listens; an unspecified address means all of ours, port 0 a free one. `::` means those of IPv4 as well, unless `ipv6Only` is set; a SYN
   * goes to the listener of exactly its address, if there is one, then to that of `0.0.0.0` or `::`, whichever is of its version.
   *
   * @throws NetError `EADDRINUSE`, `EADDRNOTAVAIL`
   */
  listen(local: Endpoint, options?: TcpListenOptions): TcpListener;
}
