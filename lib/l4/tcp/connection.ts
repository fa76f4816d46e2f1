/**
 * A connection: its control block (RFC 9293 3.3.1) and the calls of its application. The rooms `handshake`, `receive`, `acknowledge`,
 * `send`, `recovery` and `timers` work on it.
 *
 * Events run to completion: state first, then segments, and only when all is consistent the application's callbacks. These may call
 * anything; what they cause is told after they return, never from within another callback.
 */

import { NetError } from '../../core/errors.js';
import type { IpVersion } from '../../core/address.js';
import { pseudoHeaderSum } from '../../l3/ip-output.js';
import type {
  ByteSink,
  Endpoint,
  TcpConnection,
  TcpConnectionOptions,
  TcpHandler,
  TcpShutdown,
  TcpState,
  TcpWriteOptions,
} from './api.js';
import { delaySoon } from './acks.js';
import { growSendBuffer, type ReceiveTuning } from './buffers.js';
import * as calls from './calls.js';
import { roomToWrite, urgentAhead } from './calls.js';
import { congestionFactory } from './congestion/choose.js';
import type { Congestion, CongestionFactory } from './congestion/congestion.js';
import type { Parent, TcpContext } from './context.js';
import type { Ecn } from './ecn.js';
import { flowOf } from './flow.js';
import { infoOf, type TcpInfo } from './info.js';
import type { FastOpen } from './fast-open.js';
import { Flags } from './flags.js';
import { Keepalive } from './keepalive.js';
import { lingered } from './linger.js';
import { clampBuffer, defaultMss, type EndCode, receiveLimit, type TcpConfig, userTimeoutFor } from './options.js';
import type { Pacer } from './pacing.js';
import type { Plpmtud } from './plpmtud.js';
import { Reassembly } from './reassembly.js';
import { releaseQueue, releaseReceived, releaseSent } from './queues.js';
import type { RateSampler } from './rate.js';
import { NOTHING_RECEIVED, type ReceiveQueue } from './receive-queue.js';
import { Recovery } from './recovery.js';
import type { ChallengeBudget } from './refuse.js';
import { RttEstimator } from './rto.js';
import { sendAck, sendFirstSyn } from './emit.js';
import { push } from './send.js';
import { unsentBytes } from './segment-size.js';
import { NOTHING_QUEUED, type SendQueue } from './send-queue.js';
import { NOTHING_SENT, type SentQueue } from './sent-queue.js';
import * as set from './set-options.js';
import { Settings, withEcn, withLimits } from './settings.js';
import { isSynchronised, type TcpEvent, transition } from './state.js';
import { Statistics } from './statistics.js';
import { Tell } from './tell.js';
import { ConnectionTimers } from './timers.js';
import { ReceiveVariables, SendVariables, TimestampState } from './variables.js';

const { CONNECTED, URGENT, READABLE, WRITABLE, FLUSHED, CLOSED, LINGERED, TROUBLE } = Tell;

const SILENT: TcpHandler = { connected() {}, readable() {}, writable() {}, flushed() {}, closed() {} };

/** The control block of one connection. */
export class Connection extends Flags implements TcpConnection {
  readonly host: TcpContext;
  /** The host's, with the limits of this connection. */
  readonly config: TcpConfig;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** The pseudo-header's, but for the length. */
  readonly pseudoSum: number;
  hopLimit: number;
  trafficClass: number;
  state: TcpState = 'CLOSED';
  readonly snd: SendVariables = new SendVariables();
  readonly rcv: ReceiveVariables = new ReceiveVariables();
  readonly ts: TimestampState = new TimestampState();
  /** There if ECN was asked for, by either side, and not refused. */
  ecn: Ecn | undefined = undefined;
  /** The MSS that we offered, and the one that the peer offered. */
  mssOffered = 0;
  peerMss: number;
  mssLimit: number;
  /** Packets of this size, in bytes, get through as far as is known (PLPMTU); and what the first link takes. */
  mtu = 0;
  linkMtu = 0;
  /** There while a larger size is searched for, or will be. */
  plpmtud: Plpmtud | undefined = undefined;
  /** What the buffers hold, and what they may grow to. */
  receiveBuffer: number;
  sendBuffer: number;
  receiveLimit: number;
  sendLimit: number;
  /** There while the receive buffer may grow, and data come. */
  tuning: ReceiveTuning | undefined = undefined;
  userTimeout: number;

  /** Not to be filled: those of `queues` are. */
  queue: SendQueue = NOTHING_QUEUED;
  sent: SentQueue = NOTHING_SENT;
  received: ReceiveQueue = NOTHING_RECEIVED;
  reassembly: Reassembly | undefined = undefined;
  readonly rtt: RttEstimator;
  /** Made when there is something to send for the first time; idle connections that never sent have none. */
  private control: Congestion | undefined = undefined;
  private startWindow = 0;
  private readonly congestionFactory: CongestionFactory;
  /** There while segments are paced; and the most that they may be paced at, in bytes a ms, 0 for any rate. */
  pacer: Pacer | undefined = undefined;
  /** Measures how fast the path delivers; there once anything was sent. */
  rate: RateSampler | undefined = undefined;
  maxPacingRate: number;
  readonly recovery: Recovery;
  readonly timers: ConnectionTimers;
  keepalive: Keepalive | undefined = undefined;

  /** Retransmissions in a row without progress. */
  retries = 0;
  /** Window probes in a row; those without any answer; since when there was none. */
  probes = 0;
  unanswered = 0;
  unansweredSince = 0;
  /** When the SYN was sent; -1 once it was sent more than once. */
  synSentAt = 0;
  /** When the layers below were last told that the way to the peer works. */
  confirmedAt: number | undefined = undefined;
  /** When the peer last acknowledged a segment of full size. */
  fullSizeAt: number | undefined = undefined;
  quickAcks: number;
  challenges: ChallengeBudget | undefined = undefined;
  /** An error that ICMP reported since something was acknowledged, and that did not end the connection (RFC 1122 4.2.3.9). */
  softError: EndCode = undefined;
  parent: Parent | undefined = undefined;
  /** There while the connection opens with Fast Open, or tries to. */
  fastOpen: FastOpen | undefined = undefined;

  readonly statistics: Statistics = new Statistics();
  settings: Settings | undefined = undefined;
  /** Under which it stands in the host's table. */
  hash = 0;
  private pending = 0;
  private owner: TcpHandler;
  private states: { readonly told: (state: TcpState) => void; readonly queue: TcpState[] } | undefined = undefined;
  /** What ended the connection, for its owner and for `takeError`. */
  private cause: NetError | undefined = undefined;
  private error: NetError | undefined = undefined;

  constructor(
    host: TcpContext,
    local: Endpoint,
    remote: Endpoint,
    handler: TcpHandler | undefined,
    options: TcpConnectionOptions,
  ) {
    super();
    const config = withEcn(withLimits(host.config, options.limits), options.ecn);
    this.host = host;
    this.config = config;
    this.local = local;
    this.remote = remote;
    this.owner = handler ?? SILENT;
    this.pseudoSum = pseudoHeaderSum(flowOf(this, 0, true), 0);
    // 0: the way says, once it is known.
    this.hopLimit = options.hopLimit ?? 0;
    // The bits of ECN are not the user's (RFC 3168).
    this.trafficClass = (options.trafficClass ?? 0) & ~3;
    this.peerMss = defaultMss(local.address.version);
    this.mssLimit = options.maxSegmentSize ?? 0xffff;
    this.receiveBuffer = clampBuffer(options.receiveBuffer ?? config.receiveBuffer);
    this.sendBuffer = clampBuffer(options.sendBuffer ?? config.sendBuffer);
    this.receiveLimit = receiveLimit(options, config);
    this.sendLimit =
      options.sendBuffer === undefined ? Math.max(config.sendBuffer, config.sendBufferMax) : this.sendBuffer;
    this.noDelay = options.noDelay ?? false;
    this.userTimeout = userTimeoutFor(options.userTimeout ?? 0, config);
    this.quickAcks = config.ackPolicy === 'adaptive' ? 0 : config.quickAcks;
    this.rtt = new RttEstimator(config);
    this.recovery = new Recovery(config.reordering);
    this.maxPacingRate = (options.maxPacingRate ?? 0) / 1000;
    this.congestionFactory = congestionFactory(options.congestion ?? config.congestion);
    this.timers = new ConnectionTimers(this);
    if (options.keepAlive === true) this.keepalive = new Keepalive(config);
  }

  get handler(): TcpHandler {
    return this.owner;
  }
  set handler(handler: TcpHandler) {
    this.owner = handler;
    // Whatever was told to the former owner is news to this one, the end too.
    this.told = this.closedTold = false;
    if (this.received.length === 0 && !this.readEnded && !this.over) return;
    this.host.enter();
    if (this.received.length > 0 || this.readEnded) this.tell(READABLE);
    this.maybeClosed();
    this.host.leaveLater();
  }

  get version(): IpVersion {
    return this.local.address.version;
  }
  get writableBytes(): number {
    if (this.finQueued || this.over) return 0;
    const room = roomToWrite(this);
    // Who asks wants to write.
    if (room === 0) this.blocked = true;
    return room;
  }
  get unacknowledgedBytes(): number {
    return this.queue.length;
  }
  get readableBytes(): number {
    return this.abandoned ? 0 : this.received.length;
  }
  get readEnded(): boolean {
    return (this.eof || this.readShut) && this.received.length === 0;
  }

  get unsentBytes(): number {
    return unsentBytes(this);
  }
  get urgentBytes(): number {
    return urgentAhead(this);
  }

  write(bytes: Uint8Array, options?: TcpWriteOptions): number {
    return calls.write(this, bytes, options);
  }
  writeCopy(bytes: Uint8Array, from = 0, to: number = bytes.length, options?: TcpWriteOptions): number {
    return calls.writeCopy(this, bytes, from, to, options);
  }
  end(): void {
    calls.end(this);
  }
  read(max: number = Number.POSITIVE_INFINITY): Uint8Array | undefined {
    return calls.read(this, max);
  }
  consume(sink: ByteSink, max: number = Number.POSITIVE_INFINITY): number {
    return calls.consume(this, sink, max);
  }
  readInto(target: Uint8Array): number {
    return calls.readInto(this, target);
  }
  discard(max: number = Number.POSITIVE_INFINITY): number {
    return calls.discard(this, max);
  }
  peek(max: number = Number.POSITIVE_INFINITY): Uint8Array | undefined {
    return this.abandoned ? undefined : this.received.peek(max);
  }
  close(): void {
    calls.close(this);
  }
  abort(): void {
    calls.abort(this);
  }
  shutdown(how: TcpShutdown): void {
    calls.shutdown(this, how);
  }
  disconnect(): void {
    calls.disconnect(this);
  }

  setNoDelay(on: boolean): void {
    set.setNoDelay(this, on);
  }
  setCork(on: boolean): void {
    set.setCork(this, on);
  }
  setQuickAck(on: boolean): void {
    set.setQuickAck(this, on);
  }
  setKeepAlive(on: boolean, idle?: number, interval?: number, count?: number): void {
    set.setKeepAlive(this, on, idle, interval, count);
  }
  setUserTimeout(milliseconds: number): void {
    set.setUserTimeout(this, milliseconds);
  }
  setLinger(milliseconds: number | undefined): void {
    this.ownSettings.linger = milliseconds ?? -1;
  }
  setFinWait2Timeout(milliseconds: number): void {
    this.ownSettings.finWait2Timeout = milliseconds;
  }
  setReceiveBuffer(bytes: number): void {
    set.setReceiveBuffer(this, bytes);
  }
  setSendBuffer(bytes: number): void {
    set.setSendBuffer(this, bytes);
  }
  setMaxSegmentSize(bytes: number): void {
    set.setMaxSegmentSize(this, bytes);
  }
  setTrafficClass(value: number): void {
    set.setTrafficClass(this, value);
  }
  setHopLimit(hops: number): void {
    set.setHopLimit(this, hops);
  }

  takeError(): NetError | undefined {
    const { error, softError } = this;
    this.error = undefined;
    if (error !== undefined) return error;
    this.softError = undefined;
    return softError && this.failure(softError, 'getsockopt');
  }
  info(): TcpInfo {
    return infoOf(this);
  }
  get onState(): ((state: TcpState) => void) | undefined {
    return this.states?.told;
  }
  set onState(told: ((state: TcpState) => void) | undefined) {
    this.states = told && { told, queue: [] };
  }

  setMaxPacingRate(bytesPerSecond: number): void {
    set.setMaxPacingRate(this, bytesPerSecond);
  }

  // From here on: for the other rooms.

  /** Moves to the state that `event` leads to. */
  to(event: TcpEvent): void {
    const { state } = this;
    this.state = transition(state, event);
    if (this.states === undefined || this.state === state) return;
    this.states.queue.push(this.state);
    this.host.wake(this);
  }

  /** The settings of this connection alone, made when first needed. */
  get ownSettings(): Settings {
    this.settings ??= new Settings();
    return this.settings;
  }

  get congestion(): Congestion {
    this.control ??= this.makeCongestion();
    return this.control;
  }

  private makeCongestion(): Congestion {
    const { mss } = this.snd;
    return this.congestionFactory(mss, Math.max(mss, this.startWindow), this.config, this.host.env.random);
  }

  /** The connection is established, and the segment size known. @param window bytes to start with */
  startCongestion(window: number): void {
    this.startWindow = window;
    this.control = undefined;
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
    // Its queue goes back when the event ends: the application may write what it is told then.
    if (this.queue.length === 0 && this.queue !== NOTHING_QUEUED) this.host.wake(this);
    // Not for every few bytes: a writer that waits is woken for a quarter of the buffer.
    if (this.blocked) growSendBuffer(this);
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
    this.reassembly ??= new Reassembly(this.receiveLimit, this.config.dsack);
    return this.reassembly;
  }

  /** What came out of order is forgotten. */
  dropGaps(): void {
    if (this.reassembly === undefined) return;
    this.host.memory.used -= this.reassembly.memory;
    this.reassembly.clear();
  }

  /** What was received will not be read. */
  dropReceived(): void {
    if (!this.released) this.host.memory.used -= this.received.length;
    releaseReceived(this);
  }

  /** The protocol ended regularly, or is in TIME-WAIT: nothing more will come or be wanted. */
  finish(): void {
    this.over = true;
    releaseSent(this);
    this.host.memory.used -= this.queue.length;
    releaseQueue(this);
    this.dropGaps();
    this.tuning = undefined;
    this.reassembly = undefined;
    // What comes in TIME-WAIT is still answered with the counter of accurate ECN.
    if (this.ecn?.accurate === undefined) this.ecn = undefined;
    this.maybeClosed();
    if (this.state === 'CLOSED') this.free();
  }

  /** Ends the connection at once. A code is told to the owner, who hears nothing of a regular end before reading everything. */
  terminate(code: EndCode): void {
    if (this.state === 'CLOSED' && this.over) return;
    const { state } = this;
    if (!isSynchronised(state)) this.host.counters.failed++;
    this.to('abort');
    if (code !== undefined && (!this.over || this.received.length > 0)) {
      this.error = this.cause = this.failure(code, isSynchronised(state) ? 'read' : 'connect');
    }
    this.finish();
  }

  failure(code: NonNullable<EndCode>, syscall: string): NetError {
    return NetError.of(code, syscall, this.remote.address.toString(), this.remote.port);
  }

  private free(): void {
    this.timers.cancel();
    this.settings?.lingering?.cancel();
    this.ackNow = false;
    this.host.release(this);
    this.fastOpen?.settle();
    // What is still to be read is no longer the host's: it may be forgotten without a word.
    this.host.memory.used -= this.received.length;
    this.released = true;
    this.parent?.lost(this);
    this.parent = undefined;
  }

  maybeClosed(): void {
    if (!this.over || this.closedTold) return;
    if (this.cause !== undefined || this.abandoned || this.received.length === 0) this.tell(CLOSED);
  }

  /** Tells the owner what is new, then pays the ACK that is owed. Called by the host when an event ends. */
  flush(): void {
    const news = this.pending;
    this.pending = 0;
    // Whoever is told may stop listening: nobody hears of the rest then.
    if (this.states !== undefined) for (const state of this.states.queue.splice(0)) this.states?.told(state);
    if (news !== 0) this.call(news);
    if (this.pushing) push(this);
    if (this.queue.length === 0) releaseQueue(this);
    if (this.timerSpare) this.timers.returnTimer();
    if (this.ackSoon) delaySoon(this);
    if (this.fastOpen?.waiting === true && this.state === 'SYN-SENT') sendFirstSyn(this);
    if (this.ackNow && this.state !== 'CLOSED') sendAck(this);
  }

  private call(news: number): void {
    if (news & CONNECTED && !this.abandoned) this.owner.connected();
    if (news & URGENT && !this.abandoned) this.owner.urgent?.(urgentAhead(this));
    // The owner may have read everything meanwhile: telling it of nothing would keep it from hearing of what comes next.
    const readable = this.received.length > 0 || this.readEnded;
    if (news & READABLE && readable && !this.abandoned && !this.told && !this.closedTold) {
      this.told = true;
      this.owner.readable();
    }
    if (news & WRITABLE && !this.abandoned && !this.over) this.owner.writable();
    if (news & TROUBLE && !this.abandoned && !this.over)
      this.owner.trouble?.(this.failure(this.softError ?? 'ETIMEDOUT', 'write'));
    if (news & FLUSHED && this.cause === undefined && !this.closedTold) this.owner.flushed();
    if (news & (FLUSHED | LINGERED) && this.settings !== undefined)
      lingered(this, this.settings, (news & LINGERED) !== 0);
    if (news & CLOSED && !this.closedTold) {
      this.closedTold = true;
      this.owner.closed(this.cause);
    }
  }
}
