/**
 * TCP of one host: finds the connection or listener of each segment, makes new ones, and conducts events.
 *
 * An event (a segment, a timer, a call) runs to completion: state, then segments, then what the applications are told. Segments that come
 * in while one is being processed (a loopback may hand us our own output from within `emit`) wait their turn, so no room ever sees a connection
 * half changed.
 */

import { type IpAddress, unmapped } from '../../core/address.js';
import { ByteCopies } from '../../core/byte-copies.js';
import { DropReason } from '../../core/drops.js';
import type { Env } from '../../core/env.js';
import { NetError, type NetCode } from '../../core/errors.js';
import { Cast } from '../../core/frame.js';
import type { Timer } from '../../core/timers.js';
import type { IcmpReport } from '../../l3/icmp-report.js';
import { IpOutput, type IpPaths } from '../../l3/ip-output.js';
import { inZoneOf, senderOf } from '../../l3/scope.js';
import type { IpPacket } from '../../wire/ip.js';
import { TcpFlag, TcpSegment } from '../../wire/tcp.js';
import type {
  Endpoint,
  TcpConnection,
  TcpConnectOptions,
  TcpHandler,
  TcpListener,
  TcpListenOptions,
  TcpSockets,
} from './api.js';
import { Batch, type BatchHost } from './batch.js';
import { Acknowledgment } from './congestion/congestion.js';
import { Connection } from './connection.js';
import { type TcpContext, TcpCounters } from './context.js';
import { Delivery } from './delivery.js';
import { ConnectionTable } from './demux.js';
import { FastOpen, FastOpenMemory } from './fast-open.js';
import { number } from './handshake.js';
import { receiveIcmp } from './icmp.js';
import { SequenceNumbers } from './isn.js';
import { LentTimer } from './lent-timer.js';
import { Listener, type ListenerHost, ListenerTable } from './listener.js';
import { LocalPorts } from './local-ports.js';
import { Memory } from './memory.js';
import { type TcpConfig, type TcpOptions, tcpConfig } from './options.js';
import { isHopLimit, isPort, mayReuse } from './opening.js';
import { PassiveOpens } from './passive-open.js';
import { learnMtu } from './plpmtud.js';
import { mayReopen, receive, receiveInTimeWait } from './receive.js';
import { ReceiveQueue } from './receive-queue.js';
import { Recycler } from './recycler.js';
import { refuse } from './refuse.js';
import { Segment } from './segment.js';
import { SegmentQueue } from './segment-queue.js';
import { sendFirstSyn } from './emit.js';
import { copyBlocks, SendQueue } from './send-queue.js';
import { SentQueue } from './sent-queue.js';
import { SentSegmentPool } from './sent-segment.js';
import { runDelayedAck, runRetransmit } from './timers.js';

const { Ack, Fin, Rst, Syn } = TcpFlag;
// Segments to ourselves that one event may lead to before others get their turn.
const LOOP_BUDGET = 1000;
// So many other connections are asked whether they get through: when nothing gets through, all ask.
const MOST_OTHERS = 1000;

/** Something that has news when the event ends. */
interface Wakeable {
  listed: boolean;
  flush(): void;
}

/** Options of an active open. */
export type ConnectOptions = TcpConnectOptions;

/** The TCP of one host. */
export class TcpHost implements TcpSockets, TcpContext, ListenerHost, BatchHost {
  readonly env: Env;
  readonly config: TcpConfig;
  readonly output: IpOutput;
  readonly counters: TcpCounters = new TcpCounters();
  private readonly copies: ByteCopies = new ByteCopies();
  private readonly sentSegments: SentSegmentPool = new SentSegmentPool();
  readonly sentQueues: Recycler<SentQueue> = new Recycler(() => new SentQueue(this.sentSegments));
  private readonly blocks: Recycler<Uint8Array> = copyBlocks();
  readonly sendQueues: Recycler<SendQueue> = new Recycler(() => new SendQueue(this.blocks));
  readonly receiveQueues: Recycler<ReceiveQueue> = new Recycler(() => new ReceiveQueue(this.copies));
  readonly retransmitTimers: Recycler<LentTimer> = new Recycler(() => new LentTimer(this.env.timers, runRetransmit));
  readonly ackTimers: Recycler<LentTimer> = new Recycler(() => new LentTimer(this.env.timers, runDelayedAck));
  readonly fastOpen: FastOpenMemory;
  readonly memory: Memory;
  readonly acknowledgment: Acknowledgment = new Acknowledgment();
  readonly delivery: Delivery = new Delivery();
  lender: Connection | undefined = undefined;
  now = 0;
  /** Is told every few seconds that `remote` acknowledges, so that its neighbour entry need not be verified (RFC 4861 7.3.1). */
  confirm: ((remote: IpAddress) => void) | undefined = undefined;
  readonly confirmed: { remote: IpAddress | undefined; at: number } = { remote: undefined, at: 0 };
  /** Is told that `remote` has not answered three times, so that IP can ask whether the next hop is there (RFC 9293 3.8.3). */
  doubt: ((remote: IpAddress) => void) | undefined = undefined;
  private readonly paths: IpPaths;
  private readonly table: ConnectionTable;
  private readonly listeners: ListenerTable = new ListenerTable();
  private readonly numbers: SequenceNumbers;
  /** Of its own ends. */
  readonly ports: LocalPorts;
  private readonly segment: Segment = new Segment();
  isTelling = false;
  private depth = 0;
  private readonly woken: Wakeable[] = [];
  /** What came while another segment was being processed; and what came with others. */
  private readonly waiting: SegmentQueue = new SegmentQueue();
  private readonly batch: Batch;
  private readonly afterwards: Timer;
  private timeWaits = 0;
  private readonly passive: PassiveOpens;
  private disposed = false;

  constructor(paths: IpPaths, options: TcpOptions, env: Env) {
    this.env = env;
    this.config = tcpConfig(options);
    this.memory = new Memory(this.config.memory);
    this.output = new IpOutput(env, paths);
    this.paths = paths;
    this.table = new ConnectionTable(env.random);
    this.fastOpen = new FastOpenMemory(env.random, this.config);
    this.numbers = new SequenceNumbers(env.random);
    this.ports = new LocalPorts(this.config, this.numbers, this.listeners, this.table);
    this.passive = new PassiveOpens(this, paths, this.table, this.numbers);
    this.batch = new Batch(this, env.timers);
    this.afterwards = env.timers.timer(() => {
      this.enter();
      this.leave();
    });
  }

  connect(remote: Endpoint, handler: TcpHandler, options: ConnectOptions = {}): TcpConnection {
    const refusal = (code: NetCode) => NetError.of(code, 'connect', remote.address.toString(), remote.port);
    const { port } = remote;
    const localAddress = options.localAddress && unmapped(options.localAddress);
    const address = inZoneOf(localAddress, unmapped(remote.address));
    if (this.disposed) throw refusal('ENETDOWN');
    if (!isPort(port) || !this.isUnicast(address) || !isHopLimit(options.hopLimit)) throw refusal('EINVAL');
    if (localAddress !== undefined && !this.paths.isLocal(localAddress)) throw refusal('EADDRNOTAVAIL');
    const path = this.paths.path(address, localAddress);
    if (path === undefined) throw refusal('ENETUNREACH');
    const localPort = options.localPort ?? 0;
    const chosen = localPort === 0 ? this.ports.choose(path.source, { address, port }) : localPort;
    if (chosen !== undefined && !isPort(chosen)) throw refusal('EINVAL');
    if (chosen === undefined || !this.ports.owns(chosen, { address, port })) throw refusal('EADDRNOTAVAIL');
    const old = this.table.get(path.source, chosen, address, port);
    if (old !== undefined && !mayReuse(old)) throw refusal('EADDRINUSE');
    const local = { address: path.source, port: chosen };
    const connection = new Connection(this, local, { address, port }, handler, options);
    this.enter();
    try {
      old?.terminate(undefined);
      this.counters.opened++;
      connection.to('active-open');
      this.table.insert(connection);
      number(connection, this.numbers, path, old?.snd.nxt);
      this.sendSyn(connection, options.fastOpen ?? false);
    } catch (error) {
      // Nobody has it, nor is to be told of it.
      connection.closedTold = true;
      connection.disconnect();
      throw error;
    } finally {
      this.leaveLater();
    }
    return connection;
  }

  private sendSyn(connection: Connection, fastOpen: boolean | Uint8Array): void {
    if (fastOpen === false) {
      sendFirstSyn(connection);
      return;
    }
    connection.fastOpen = new FastOpen();
    if (fastOpen === true) {
      connection.fastOpen.waiting = true;
      this.wake(connection);
      return;
    }
    // What it did not take would be missing in the stream.
    if (connection.write(fastOpen) < fastOpen.length) throw connection.failure('ENOBUFS', 'connect');
    sendFirstSyn(connection);
  }

  listen({ address, port: wanted }: Endpoint, options: TcpListenOptions = {}): TcpListener {
    const local = { address: unmapped(address), port: wanted };
    const refusal = (code: NetCode) => NetError.of(code, 'listen', local.address.toString(), local.port);
    if (this.disposed) throw refusal('ENETDOWN');
    if (!local.address.isUnspecified && !this.paths.isLocal(local.address)) throw refusal('EADDRNOTAVAIL');
    const port = local.port === 0 ? this.ports.choose(local.address) : local.port;
    if (port === undefined) throw refusal('EADDRINUSE');
    if (!isPort(port) || !isHopLimit(options.hopLimit)) throw refusal('EINVAL');
    const endpoint = { address: local.address, port };
    if (this.listeners.has(endpoint)) throw refusal('EADDRINUSE');
    const backlog = options.backlog ?? this.config.backlog;
    const listener = new Listener(this, endpoint, options, backlog);
    this.listeners.add(listener);
    return listener;
  }

  /**
   * Changes options while the host runs, as `sysctl` does: connections to come have them, and those that there are where they look again.
   *
   * @throws UsageError `ERR_INVALID_OPTION`
   */
  configure(options: TcpOptions): void {
    // Connections without limits of their own share the record.
    Object.assign(this.config, tcpConfig({ ...this.config, ...options }));
    this.memory.limitTo(this.config.memory);
  }

  /**
   * Takes in one packet, whose frame's range is a TCP segment: now, or, where it is short and a device brings many, when that has brought them. Sets the frame's
   * fate then; never throws.
   */
  receive(packet: IpPacket): void {
    const { frame } = packet;
    if (this.disposed) return this.env.drops.report(DropReason.Disposed, frame, 'tcp');
    if (this.depth > 0 || !this.waiting.isEmpty) {
      this.waiting.push(packet);
      if (this.depth > 0) return;
      this.enter();
      this.leave();
      return;
    }
    if (this.batch.takes(packet)) return;
    this.enter();
    try {
      this.process(packet);
    } finally {
      try {
        this.leave();
      } finally {
        if (this.lender !== undefined) this.keepLent();
      }
    }
  }

  /** A frame is about to go: what was not read of it is kept. */
  private keepLent(): void {
    this.lender?.received.keep();
    this.lender = undefined;
  }

  /** An ICMP error about a packet of ours; returns whether it belonged to a connection and its quote was believable (RFC 5927 4). */
  icmp(report: IcmpReport): boolean {
    const { view } = report.frame.slab;
    const localPort = view.getUint16(report.transport);
    const remotePort = view.getUint16(report.transport + 2);
    const connection = this.table.get(report.source, localPort, report.destination, remotePort);
    if (connection === undefined) return false;
    this.enter();
    try {
      return receiveIcmp(connection, report, view.getInt32(report.transport + 4));
    } finally {
      this.leave();
    }
  }

  /** All connections, those in TIME-WAIT included. */
  connections(): IterableIterator<Connection> {
    return this.table[Symbol.iterator]();
  }

  /** How many connections there are, those in TIME-WAIT included. */
  get size(): number {
    return this.table.size;
  }

  /** Ends everything: connections close with `ENETDOWN`, listeners stop, timers are cancelled, memory is released. */
  dispose(): void {
    if (this.disposed) return;
    // Whoever is told shall not begin anew.
    this.disposed = true;
    try {
      this.endAll();
    } finally {
      this.afterwards.cancel();
      this.batch.drop(this.env.drops);
      this.waiting.drop(this.env.drops);
    }
  }

  private endAll(): void {
    this.enter();
    try {
      for (const listener of this.listeners.all()) listener.close();
      for (const connection of this.table) {
        connection.terminate('ENETDOWN');
        connection.dropReceived();
      }
    } finally {
      this.leave();
    }
  }

  enter(): void {
    if (this.depth++ === 0) this.now = this.env.timers.now();
  }

  leave(): void {
    try {
      if (this.depth === 1) this.settle();
    } finally {
      // Where the way out threw, what waits still has its turn.
      this.leaveLater();
    }
  }

  leaveLater(): void {
    this.depth--;
    if (this.depth > 0 || (this.woken.length === 0 && this.waiting.isEmpty)) return;
    if (!this.afterwards.armed) this.afterwards.arm(this.now);
  }

  clock(): number {
    return this.depth > 0 ? this.now : this.env.timers.now();
  }

  wake(party: Wakeable): void {
    if (party.listed) return;
    party.listed = true;
    this.woken.push(party);
  }

  release(connection: Connection): void {
    if (connection.inTimeWait) this.timeWaits--;
    connection.inTimeWait = false;
    this.table.remove(connection);
  }

  foundMtu(connection: Connection, mtu: number): void {
    const { address } = connection.remote;
    this.paths.foundMtu?.(address, mtu);
    // Those that are larger learn it when they send.
    for (const other of this.table)
      if (other.plpmtud !== undefined && other.remote.address.equals(address)) learnMtu(other, mtu);
  }

  othersGetThrough(connection: Connection, mtu: number, since: number): boolean {
    const { address } = connection.remote;
    return this.table.some(MOST_OTHERS, (other) => {
      if (other === connection || other.mtu < mtu || (other.fullSizeAt ?? since) <= since) return false;
      return other.remote.address.equals(address);
    });
  }

  admitTimeWait(): boolean {
    if (this.timeWaits >= this.config.maxTimeWait) return false;
    this.timeWaits++;
    return true;
  }

  unlisten(listener: Listener): void {
    this.listeners.remove(listener);
  }

  /** Ends an event: tells who has news, then processes what came meanwhile, until all is quiet. */
  private settle(): void {
    for (let budget = LOOP_BUDGET; ; ) {
      const { woken } = this;
      if (woken.length > 0) {
        // Those that are woken meanwhile join the list. By number: an iterator is made each time.
        for (let i = 0; i < woken.length; i++) {
          const party = woken[i];
          if (party === undefined) continue;
          party.listed = false;
          this.flush(party);
        }
        // One by one: that is far cheaper than to set the length.
        while (woken.length > 0) woken.pop();
        continue;
      }
      // What is left waits until later.
      const next = budget-- === 0 ? undefined : this.waiting.take();
      if (next === undefined) return;
      if (this.lender !== undefined) this.keepLent();
      try {
        this.process(next);
      } finally {
        this.keepLent();
        this.waiting.release();
      }
    }
  }

  private flush(party: Wakeable): void {
    this.isTelling = true;
    try {
      party.flush();
    } catch {
      // The contract forbids it; one broken application must not take the others with it.
      this.counters.handlersThrew++;
      this.env.drops.report(DropReason.CallbackThrew, undefined, 'tcp');
      if (party instanceof Connection) party.abort();
    } finally {
      this.isTelling = false;
    }
  }

  /** For its batch: receives a segment, within an event. */
  process(packet: IpPacket): void {
    const { frame } = packet;
    const { drops } = this.env;
    const wrong = TcpSegment.check(packet);
    if (wrong !== undefined) {
      drops.report(wrong, frame, 'tcp');
      return;
    }
    const { segment } = this;
    segment.read(frame, packet.trafficClass & 3);
    this.counters.segmentsIn += segment.count;
    if (frame.ipCast !== Cast.Unicast) {
      drops.report(DropReason.TcpNotUnicast, frame, 'tcp');
      return;
    }
    const connection = this.table.find(packet, segment.destinationPort, segment.sourcePort);
    if (connection === undefined) this.receiveForNobody(packet, segment);
    else if (connection.state === 'SYN-RECEIVED' && this.returnsCookie(connection, packet, segment)) {
      // An earlier SYN had been answered with a cookie (GT-20).
      connection.terminate(undefined);
      this.receiveForNobody(packet, segment);
    } else if (connection.state !== 'TIME-WAIT') receive(connection, segment, packet);
    else if (mayReopen(connection, segment) && this.listenerOf(packet, segment) !== undefined) {
      this.reopen(connection, packet, segment);
    } else receiveInTimeWait(connection, segment);
    // Whatever was not refused for a reason has done its work.
    drops.deliver(frame);
  }

  private returnsCookie(embryo: Connection, packet: IpPacket, segment: Segment): boolean {
    if (embryo.parent === undefined || segment.ack === embryo.snd.nxt) return false;
    const listener = this.listenerOf(packet, segment);
    return listener !== undefined && this.passive.cookieIn(listener, packet, segment) > 0;
  }

  private listenerOf(packet: IpPacket, segment: Segment): Listener | undefined {
    return this.listeners.find(packet, segment.destinationPort);
  }

  private reopen(old: Connection, packet: IpPacket, segment: Segment): void {
    const { nxt } = old.snd;
    old.terminate(undefined);
    this.receiveForNobody(packet, segment, nxt);
  }

  /** A segment without a connection (RFC 9293 3.10.7.1, 3.10.7.2). @param beyond an initial sequence number must be after this */
  private receiveForNobody(packet: IpPacket, segment: Segment, beyond?: number): void {
    const { drops } = this.env;
    const { frame } = packet;
    // RFC 9293 MUST-57, MUST-63.
    const sender = senderOf(packet);
    if (!this.isUnicast(sender)) {
      drops.report(DropReason.TcpNotUnicast, frame, 'tcp');
      return;
    }
    const listener = this.listenerOf(packet, segment);
    if (listener !== undefined && this.passive.acceptCookie(listener, packet, segment)) return;
    if (listener === undefined || (segment.flags & (Ack | Rst)) === Ack) {
      this.refuse(packet, segment, listener === undefined ? DropReason.TcpNoConnection : DropReason.TcpBadAck);
    } else if (segment.has(Rst)) drops.report(DropReason.TcpBadReset, frame, 'tcp');
    else if (!segment.has(Syn)) drops.report(DropReason.TcpUnexpected, frame, 'tcp');
    else if (segment.has(Fin) && !this.config.acceptSynFin) drops.report(DropReason.TcpBadSyn, frame, 'tcp');
    else this.passive.open(listener, packet, segment, sender, beyond);
  }

  private refuse(packet: IpPacket, segment: Segment, reason: DropReason): void {
    if (refuse(this.env, this.output, packet, segment)) this.counters.resetsSent++;
    this.env.drops.report(reason, packet.frame, 'tcp');
  }

  private isUnicast(address: IpAddress): boolean {
    return !address.isUnspecified && !address.isMulticast && !address.isBroadcast && !this.paths.isBroadcast(address);
  }
}
