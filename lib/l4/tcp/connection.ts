/**
 * A connection: its control block (RFC 9293 3.3.1) and the calls of its application. The rooms `handshake`, `receive`, `acknowledge`,
 * `send`, `recovery` and `timers` work on it.
 *
 * Events run to completion: state first, then segments, and only when all is consistent the application's callbacks. These may call
 * anything; what they cause is told after they return, never from within another callback.
 */

import { NetError } from '../../core/errors.js';
import type { IpFlow } from '../../wire/ip.js';
import type { Endpoint, TcpConnection, TcpConnectionOptions, TcpHandler, TcpState } from './api.js';
import type { Congestion } from './congestion/congestion.js';
import type { Parent, TcpContext } from './context.js';
import type { Ecn, EcnMode } from './ecn.js';
import { Keepalive } from './keepalive.js';
import { clampBuffer, defaultMss, type EndCode } from './options.js';
import type { Plpmtud } from './plpmtud.js';
import { Reassembly } from './reassembly.js';
import { ReceiveQueue } from './receive-queue.js';
import { Recovery } from './recovery.js';
import { RttEstimator } from './rto.js';
import { reset, sendAck, transmit } from './send.js';
import { SendQueue } from './send-queue.js';
import { SentQueue } from './sent-queue.js';
import { canSend, isSynchronised, type TcpEvent, transition } from './state.js';
import { ConnectionTimers } from './timers.js';
import { isUpdateDue } from './window.js';

/** SND.*: signed sequence numbers, sizes in bytes. */
export class SendVariables {
  iss = 0;
  una = 0;
  nxt = 0;
  wnd = 0;
  /** SEG.SEQ and SEG.ACK of the last window update. */
  wl1 = 0;
  wl2 = 0;
  /** The largest window that the peer ever offered. */
  maxWnd = 0;
  /** Shift of the peer's window field. */
  scale = 0;
  /** Largest payload of a segment: the peer's MSS and the path's, less our options. */
  mss = 536;
  /** End of the last segment that was not full: what Nagle's algorithm waits for (Minshall's variant). */
  smallEnd = 0;
  /** When data were last sent. */
  lastAt = 0;
}

/** RCV.*: signed sequence numbers, sizes in bytes. */
export class ReceiveVariables {
  irs = 0;
  nxt = 0;
  /** The furthest right edge that was advertised. */
  edge = 0;
  /** Shift of our window field. */
  scale = 0;
  /** RCV.NXT when we last sent an ACK. */
  ackSent = 0;
  /** The largest payload seen: what counts as a full segment (RMSS). */
  mss = 0;
  /** RCV.UP; equal to `irs` until urgent data are announced. */
  up = 0;
  finKnown = false;
  finSeq = 0;
}

/** Timestamps of a connection (RFC 7323 3). */
export class TimestampState {
  on = false;
  offset = 0;
  /** TS.Recent, and when it was set. */
  recent = 0;
  recentAt = 0;
}

/** What a connection has to tell its owner; bits. */
export const Tell = { CONNECTED: 1, URGENT: 2, READABLE: 4, WRITABLE: 8, FLUSHED: 16, CLOSED: 32 } as const;
const { CONNECTED, URGENT, READABLE, WRITABLE, FLUSHED, CLOSED } = Tell;

const SILENT: TcpHandler = { connected() {}, readable() {}, writable() {}, flushed() {}, closed() {} };

/** The control block of one connection. */
export class Connection implements TcpConnection {
  readonly host: TcpContext;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  flow: IpFlow;
  state: TcpState = 'CLOSED';
  readonly snd: SendVariables = new SendVariables();
  readonly rcv: ReceiveVariables = new ReceiveVariables();
  readonly ts: TimestampState = new TimestampState();
  sackPermitted = false;
  readonly ecnMode: EcnMode;
  /** There if ECN was asked for, by either side, and not refused. */
  ecn: Ecn | undefined = undefined;
  /** Both SYNs offered window scaling. */
  scaling = false;
  /** The MSS that we offered, and the one that the peer offered. */
  mssOffered = 0;
  peerMss: number;
  readonly mssLimit: number;
  /** Packets of this size, in bytes, get through as far as is known (PLPMTU); and what the first link takes. */
  mtu = 0;
  linkMtu = 0;
  /** There while a larger size is searched for, or will be. */
  plpmtud: Plpmtud | undefined = undefined;
  readonly receiveBuffer: number;
  readonly sendBuffer: number;
  noDelay: boolean;
  userTimeout: number;

  readonly queue: SendQueue = new SendQueue();
  readonly sent: SentQueue;
  readonly received: ReceiveQueue = new ReceiveQueue();
  reassembly: Reassembly | undefined = undefined;
  readonly rtt: RttEstimator;
  /** Set once the segment size is known. */
  congestion: Congestion;
  readonly recovery: Recovery = new Recovery();
  readonly timers: ConnectionTimers;
  keepalive: Keepalive | undefined = undefined;

  /** The application ended its stream; the FIN was sent. */
  finQueued = false;
  finSent = false;
  /** The peer's FIN was received in order. */
  eof = false;
  /** Retransmissions in a row without progress. */
  retries = 0;
  /** Window probes in a row; those without any answer; since when there was none. */
  probes = 0;
  unanswered = 0;
  unansweredSince = 0;
  /** When the SYN was sent last. */
  synSentAt = 0;
  /** When the layers below were last told that the way to the peer works. */
  confirmedAt: number = Number.NEGATIVE_INFINITY;
  /** When the peer last acknowledged a segment of full size. */
  fullSizeAt: number = Number.NEGATIVE_INFINITY;
  /** An ACK is owed when the event ends. */
  ackNow = false;
  quickAcks: number;
  challenges = 0;
  challengesSince: number = Number.NEGATIVE_INFINITY;
  /** An error that ICMP reported and that did not end the connection (RFC 1122 4.2.3.9). */
  softError: EndCode = undefined;
  parent: Parent | undefined = undefined;
  inTimeWait = false;
  /** In the host's list of connections that have something to tell. */
  listed = false;

  private pending = 0;
  private owner: TcpHandler;
  /** `readable` was called and no read made progress since. */
  private told = false;
  private blocked = false;
  private unflushed = false;
  /** The application called `close` or `abort`: it hears only of the end. */
  abandoned = false;
  /** Nothing more will happen in the protocol. */
  private over = false;
  private closedTold = false;
  private error: NetError | undefined = undefined;

  constructor(
    host: TcpContext,
    local: Endpoint,
    remote: Endpoint,
    handler: TcpHandler | undefined,
    options: TcpConnectionOptions,
  ) {
    const { config } = host;
    this.host = host;
    this.local = local;
    this.remote = remote;
    this.owner = handler ?? SILENT;
    this.flow = {
      version: local.address.version,
      source: local.address,
      destination: remote.address,
      protocol: 6,
      // 0: the way says, once it is known.
      hopLimit: options.hopLimit ?? 0,
      // The bits of ECN are not the user's (RFC 3168).
      trafficClass: (options.trafficClass ?? 0) & ~3,
      dontFragment: true,
    };
    this.peerMss = defaultMss(local.address.version);
    this.mssLimit = options.maxSegmentSize ?? 0xffff;
    this.receiveBuffer = clampBuffer(options.receiveBuffer ?? config.receiveBuffer);
    this.sendBuffer = clampBuffer(options.sendBuffer ?? config.sendBuffer);
    this.noDelay = options.noDelay ?? false;
    this.ecnMode = options.ecn ?? config.ecn;
    this.userTimeout = options.userTimeout ?? 0;
    this.quickAcks = config.quickAcks;
    this.sent = new SentQueue(host.sentSegments);
    this.rtt = new RttEstimator(config);
    this.congestion = config.congestion(this.snd.mss, this.snd.mss);
    this.timers = new ConnectionTimers(this);
    if (options.keepAlive === true) this.keepalive = new Keepalive();
  }

  get handler(): TcpHandler {
    return this.owner;
  }
  set handler(handler: TcpHandler) {
    this.owner = handler;
    // Whatever was told to the former owner is news to this one.
    this.told = false;
    if (this.received.length === 0 && !this.readEnded && !this.over) return;
    this.host.enter();
    if (this.received.length > 0 || this.readEnded) this.tell(READABLE);
    this.maybeClosed();
    this.host.leaveLater();
  }

  get writableBytes(): number {
    return this.finQueued || this.over ? 0 : Math.max(0, this.sendBuffer - this.queue.length);
  }
  get unacknowledgedBytes(): number {
    return this.queue.length;
  }
  get readableBytes(): number {
    return this.abandoned ? 0 : this.received.length;
  }
  get readEnded(): boolean {
    return this.eof && this.received.length === 0;
  }

  write(bytes: Uint8Array): number {
    if (this.finQueued || this.over || this.abandoned) throw this.failure('EPIPE', 'write');
    const taken = Math.min(bytes.length, this.sendBuffer - this.queue.length);
    if (taken < bytes.length) this.blocked = true;
    if (taken <= 0) return 0;
    this.queue.push(taken === bytes.length ? bytes : bytes.subarray(0, taken));
    this.unflushed = true;
    if (canSend(this.state)) {
      this.host.enter();
      transmit(this);
      this.host.leaveLater();
    }
    return taken;
  }

  end(): void {
    if (this.finQueued || this.over) return;
    this.finQueued = true;
    this.unflushed = true;
    // Before ESTABLISHED the FIN waits for the handshake (RFC 9293 3.10.4).
    if (!isSynchronised(this.state)) return;
    this.host.enter();
    this.to('close');
    transmit(this);
    this.host.leaveLater();
  }

  read(max: number = Number.POSITIVE_INFINITY): Uint8Array | undefined {
    if (this.abandoned) return undefined;
    const bytes = this.received.read(max);
    // Also where there was nothing: the owner may have been quicker than the news.
    this.told = false;
    if (bytes === undefined) return undefined;
    if (this.over || this.eof) {
      this.host.enter();
      this.maybeClosed();
      this.host.leaveLater();
    } else if (isUpdateDue(this)) {
      this.host.enter();
      sendAck(this);
      this.host.leaveLater();
    }
    return bytes;
  }

  close(): void {
    if (this.abandoned) return;
    this.host.enter();
    this.abandoned = true;
    const unread = this.received.length > 0;
    this.received.clear();
    if (!isSynchronised(this.state) && this.state !== 'SYN-RECEIVED') this.terminate(undefined);
    else if (unread && this.state !== 'TIME-WAIT') {
      // RFC 9293 SHLD-3: the peer must learn that data were lost.
      reset(this);
      this.terminate(undefined);
    } else {
      this.end();
      if (this.state === 'FIN-WAIT-2') this.timers.waitForFin();
    }
    this.maybeClosed();
    this.host.leave();
  }

  abort(): void {
    this.host.enter();
    this.abandoned = true;
    this.received.clear();
    if (this.wantsReset()) reset(this);
    if (this.state !== 'CLOSED') this.terminate(this.over ? undefined : 'ECONNABORTED');
    this.maybeClosed();
    this.host.leave();
  }

  private wantsReset(): boolean {
    const { state } = this;
    return state === 'SYN-RECEIVED' || (canSend(state) && state !== 'CLOSING') || state === 'FIN-WAIT-2';
  }

  setNoDelay(on: boolean): void {
    this.noDelay = on;
    if (!on || !canSend(this.state)) return;
    this.host.enter();
    transmit(this);
    this.host.leaveLater();
  }

  setKeepAlive(on: boolean, idle?: number, interval?: number, count?: number): void {
    this.keepalive = on ? new Keepalive(idle, interval, count) : undefined;
    this.host.enter();
    this.timers.watchIdle();
    this.host.leaveLater();
  }

  setUserTimeout(milliseconds: number): void {
    this.userTimeout = milliseconds;
    this.host.enter();
    this.timers.limitByUserTimeout();
    this.host.leaveLater();
  }

  // From here on: for the other rooms.

  /** Moves to the state that `event` leads to. */
  to(event: TcpEvent): void {
    this.state = transition(this.state, event);
  }

  /** Queues news for the owner; they are told when the event ends. */
  tell(news: number): void {
    this.pending |= news;
    this.host.wake(this);
  }

  /** There is something to read, if nobody has been told yet. */
  tellReadable(): void {
    if (!this.told && !this.abandoned) this.tell(READABLE);
  }

  /** An acknowledgment is to be sent when the event ends. */
  oweAck(): void {
    this.ackNow = true;
    this.host.wake(this);
  }

  /** Data were acknowledged: there may be room, or nothing left. */
  drained(): void {
    // Not for every few bytes: a writer that waits is woken for a quarter of the buffer.
    if (this.blocked && this.sendBuffer - this.queue.length >= Math.max(1, this.sendBuffer >>> 2)) {
      this.blocked = false;
      this.tell(WRITABLE);
    }
    if (this.unflushed && this.queue.length === 0 && (!this.finQueued || this.snd.una === this.snd.nxt)) {
      if (this.finQueued && !this.finSent) return;
      this.unflushed = false;
      this.tell(FLUSHED);
    }
  }

  /** The out-of-order room, made when first needed. */
  get gaps(): Reassembly {
    this.reassembly ??= new Reassembly(this.receiveBuffer);
    return this.reassembly;
  }

  /** The protocol ended regularly, or is in TIME-WAIT: nothing more will come or be wanted. */
  finish(): void {
    this.over = true;
    this.sent.clear();
    this.queue.clear();
    this.reassembly = undefined;
    this.ecn = undefined;
    this.maybeClosed();
    if (this.state === 'CLOSED') this.free();
  }

  /** Ends the connection at once. A code is told to the owner, who hears nothing of a regular end before reading everything. */
  terminate(code: EndCode): void {
    if (this.state === 'CLOSED' && this.over) return;
    const { state } = this;
    if (!isSynchronised(state)) this.host.counters.failed++;
    this.to('abort');
    if (code !== undefined && !this.over) this.error = this.failure(code, isSynchronised(state) ? 'read' : 'connect');
    this.finish();
  }

  private failure(code: NonNullable<EndCode>, syscall: string): NetError {
    return NetError.of(code, syscall, this.remote.address.toString(), this.remote.port);
  }

  private free(): void {
    this.timers.cancel();
    this.ackNow = false;
    this.host.release(this);
    this.parent?.lost(this);
    this.parent = undefined;
  }

  private maybeClosed(): void {
    if (!this.over || this.closedTold) return;
    if (this.error !== undefined || this.abandoned || this.received.length === 0) this.tell(CLOSED);
  }

  /** Tells the owner what is new, then pays the ACK that is owed. Called by the host when an event ends. */
  flush(): void {
    const news = this.pending;
    this.pending = 0;
    if (news !== 0) this.call(news);
    if (this.ackNow && this.state !== 'CLOSED') sendAck(this);
  }

  private call(news: number): void {
    if (news & CONNECTED && !this.abandoned) this.owner.connected();
    if (news & URGENT && !this.abandoned) this.owner.urgent?.(this.urgentAhead);
    // The owner may have read everything meanwhile: telling it of nothing would keep it from hearing of what comes next.
    const readable = this.received.length > 0 || this.readEnded;
    if (news & READABLE && readable && !this.abandoned && !this.told && !this.closedTold) {
      this.told = true;
      this.owner.readable();
    }
    if (news & WRITABLE && !this.abandoned && !this.over) this.owner.writable();
    if (news & FLUSHED && this.error === undefined && !this.closedTold) this.owner.flushed();
    if (news & CLOSED && !this.closedTold) {
      this.closedTold = true;
      this.owner.closed(this.error);
    }
  }

  /** Bytes from the reader's position to the end of the urgent data. */
  private get urgentAhead(): number {
    return Math.max(0, (this.rcv.up - this.rcv.nxt + this.received.length) | 0);
  }
}
