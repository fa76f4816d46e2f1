/**
 * What must hold of every connection of a host after every event, and of every segment that it sends: the account of what is in flight, the windows
 * that it keeps within, the timers without which it would wait forever. The recount is naive on purpose: it shares no code with what it checks.
 */

import type { TxPacket } from '../../../../lib/core/frame.js';
import type { Connection } from '../../../../lib/l4/tcp/connection.js';
import type { Recovery } from '../../../../lib/l4/tcp/recovery.js';
import type { SentSegment } from '../../../../lib/l4/tcp/sent-segment.js';
import { canSend, isSynchronised } from '../../../../lib/l4/tcp/state.js';
import type { TcpHost } from '../../../../lib/l4/tcp/tcp-host.js';
import { Ipv4Packet } from '../../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../../lib/wire/ipv6.js';
import { TcpFlag } from '../../../../lib/wire/tcp.js';

const { Ack, Fin, Rst, Syn } = TcpFlag;
/** Segments of the scoreboard that are recounted for each event, on average: a long one is not recounted every time. */
const RECOUNTED = 16;

/** What is remembered of a connection. */
class Memory {
  /** Behind the last byte that was ever sent. */
  sentEnd: number;
  /** The right edge of the window, as it was promised in segments and as the connection knows it. */
  promised: number | undefined = undefined;
  edge: number | undefined = undefined;
  /** Whether a tail loss probe was on its way when the connection was last looked at. */
  tlp: Recovery['tlp'] = 'none';
  una: number;
  /** Bytes that came with the peer's SYN. */
  early = 0;
  /** The smallest size of segments so far: that of the time when ssthresh was set may have been smaller than today's. */
  mss = Number.POSITIVE_INFINITY;
  credit = 0;
  length = 0;

  constructor({ snd }: Connection) {
    this.sentEnd = snd.nxt;
    this.una = snd.una;
  }
}

/** The fields of a segment that is sent. */
interface Sent {
  readonly seq: number;
  readonly end: number;
  readonly payload: number;
  readonly flags: number;
  readonly ack: number;
  readonly window: number;
}

/** Watches hosts. What it finds wrong it says at the next {@link check}, since nobody may throw from inside of a host. */
export class Invariants {
  private readonly hosts: readonly TcpHost[];
  private readonly memories = new WeakMap<Connection, Memory>();
  private wrong: string | undefined;

  /** The hosts' outputs must be in place already. */
  constructor(hosts: readonly TcpHost[]) {
    this.hosts = hosts;
    for (const host of hosts) {
      const { emit } = host.output;
      host.output.emit = (packet) => {
        this.sending(host, packet);
        emit?.(packet);
      };
    }
  }

  /** Looks at all connections. To be called between events. @throws Error that says what does not hold */
  check(): void {
    for (const host of this.hosts) for (const connection of host.connections()) this.look(connection);
    if (this.wrong !== undefined) throw new Error(this.wrong);
  }

  private expect(holds: boolean, what: string, c: Connection, ...values: readonly unknown[]): void {
    if (holds) return;
    const who = `${c.local.address.toString()} port ${c.local.port} in ${c.state} at ${c.host.now} ms`;
    this.wrong ??= `${what} (${values.map(String).join(', ')}): ${who}`;
  }

  private memoryOf(c: Connection): Memory {
    let memory = this.memories.get(c);
    if (memory === undefined) {
      memory = new Memory(c);
      this.memories.set(c, memory);
    }
    return memory;
  }

  private sending(host: TcpHost, packet: TxPacket): void {
    const sent = read(packet);
    for (const c of host.connections()) {
      if (c.local.port !== sent.source || c.remote.port !== sent.destination || !isTo(packet, c)) continue;
      const memory = this.memoryOf(c);
      this.promise(c, memory, sent);
      if (sent.flags & (Syn | Rst)) memory.sentEnd = c.snd.nxt;
      else if (sent.end !== sent.seq) this.data(c, memory, sent);
      return;
    }
  }

  /** A window that was offered is not taken back, but for what scaling cannot say (RFC 7323 2.4). */
  private promise(c: Connection, memory: Memory, { flags, ack, window }: Sent): void {
    if (!(flags & Ack) || flags & Rst) return;
    const scale = flags & Syn ? 0 : c.rcv.scale;
    if (flags & Syn) memory.early = Math.max(memory.early, (ack - c.rcv.irs - 1) | 0);
    const edge = (ack + window * 2 ** scale) | 0;
    const { promised = edge } = memory;
    // A SYN-ACK cannot say as much as what a server may have sent before it is repeated (RFC 7413).
    const kept = ((edge - promised) | 0) > -(2 ** scale) || (flags & Syn) !== 0;
    this.expect(kept, 'the right edge does not move left', c, edge, promised);
    if (((edge - promised) | 0) >= 0) memory.promised = edge;
  }

  private data(c: Connection, memory: Memory, { seq, end, payload }: Sent): void {
    const { snd, sent, congestion } = c;
    this.expect(((seq - snd.una) | 0) >= 0 && ((snd.nxt - end) | 0) >= 0, 'data are of the flight', c, seq, end);
    if (((end - memory.sentEnd) | 0) <= 0) return;
    memory.sentEnd = end;
    const flight = (end - snd.una) | 0;
    this.expect(flight <= snd.wnd, 'new data are within the window', c, flight, snd.wnd);
    const { recovery } = c;
    const allowed = congestion.cwnd + (recovery.tlp === 'none' ? 0 : snd.mss);
    // A loss probe goes out whatever the window, which may have become smaller than what is in flight.
    const isLossProbe = recovery.tlp === 'new' && memory.tlp !== 'new';
    memory.tlp = recovery.tlp;
    if (isLossProbe) return;
    // A FIN without data waits for nothing, as with Linux: after an undone timeout there may be more in flight than the window has room for.
    const alone = payload === 0 || (payload <= snd.mss && sent.pipe <= payload + 1);
    this.expect(alone || sent.pipe <= allowed + 1, 'new data are within the congestion window', c, sent.pipe, allowed);
  }

  private look(c: Connection): void {
    const { snd, rcv, congestion } = c;
    this.memoryOf(c).tlp = c.recovery.tlp;
    const memory = this.memoryOf(c);
    this.expect(((snd.nxt - snd.una) | 0) >= 0, 'SND.UNA <= SND.NXT', c, snd.una, snd.nxt);
    this.expect(((snd.una - memory.una) | 0) >= 0, 'SND.UNA does not move left', c, memory.una, snd.una);
    memory.una = snd.una;
    if (!isSynchronised(c.state)) return;
    const { edge = rcv.edge } = memory;
    this.expect(((rcv.edge - edge) | 0) >= 0, 'the window does not shrink', c, edge, rcv.edge);
    this.expect(((rcv.edge - rcv.nxt) | 0) >= -1, 'nothing is received beyond the window', c, rcv.nxt, rcv.edge);
    memory.edge = rcv.edge;
    if (!canSend(c.state)) return;
    const { cwnd, ssthresh } = congestion;
    memory.mss = Math.min(memory.mss, snd.mss);
    this.expect(
      cwnd >= snd.mss && Number.isFinite(cwnd),
      'the congestion window is a segment at least',
      c,
      cwnd,
      snd.mss,
    );
    this.expect(ssthresh >= 2 * memory.mss, 'ssthresh is two segments at least', c, ssthresh);
    this.expect(c.rtt.rto >= 0 && Number.isFinite(c.rtt.rto), 'the timeout is a time', c, c.rtt.rto);
    // What came with a SYN is taken as a whole (RFC 7413).
    const room = c.receiveBuffer + memory.early;
    this.expect(c.received.length <= room, 'what waits fits the buffer', c, c.received.length, room);
    this.timers(c);
    memory.credit += RECOUNTED;
    if (memory.credit < memory.length) return;
    memory.credit = 0;
    memory.length = this.recount(c);
  }

  /** Whoever waits for an answer must not wait forever. */
  private timers(c: Connection): void {
    const inFlight = c.sent.head !== undefined;
    const unsent = c.queue.length - ((c.snd.nxt - c.snd.una) | 0) > 0 || (c.finQueued && !c.finSent);
    if (inFlight || unsent)
      this.expect(c.timers.isRetransmitArmed, 'a timer is armed while something is to be sent', c);
    const owed = (c.rcv.nxt - c.rcv.ackSent) | 0;
    const due = c.ackNow || c.timers.isAckDelayed;
    this.expect(owed === 0 || due, 'what came will be acknowledged', c, owed);
    const left = !c.listed && (c.timerSpare || c.ackSoon);
    this.expect(!left, 'nothing is left for the end of an event that is over', c, c.timerSpare, c.ackSoon);
  }

  /** Adds up the scoreboard; returns how many segments it has. */
  private recount(c: Connection): number {
    const { snd, sent } = c;
    let [count, pipe, next] = [0, 0, snd.una];
    let [sacked, lost, again, bytes] = [0, 0, 0, 0];
    let highest: SentSegment | undefined;
    for (let segment = sent.head; segment !== undefined; segment = segment.next) {
      const { span } = segment;
      this.expect(segment.seq === next, 'the scoreboard has no gap', c, segment.seq, next);
      this.expect(span > 0, 'no segment is empty', c, span);
      this.expect(
        !segment.sacked || !(segment.lost || segment.retransmitted),
        'what arrived is not lost',
        c,
        segment.seq,
      );
      if (!segment.lost && !segment.sacked) pipe += span;
      if (segment.retransmitted) pipe += span;
      sacked += segment.sacked ? 1 : 0;
      bytes += segment.sacked ? span : 0;
      lost += segment.lost ? 1 : 0;
      again += segment.retransmitted ? 1 : 0;
      if (segment.sacked) highest = segment;
      next = segment.end;
      count += segment.segments;
      const whole = !segment.sacked && !segment.lost && segment.transmissions === 1;
      this.expect(segment.size === 0 || whole, 'the segments of a super-segment have the same fate', c, segment.seq);
    }
    this.expect(next === snd.nxt, 'the scoreboard ends at SND.NXT', c, next, snd.nxt);
    pipe = Math.max(0, pipe - sent.assumed);
    this.expect(pipe === sent.pipe, 'the pipe is what is in flight', c, sent.pipe, pipe);
    const counted = [count, sacked, lost, again, bytes];
    const counts = [sent.count, sent.sackedCount, sent.lostCount, sent.retransmittedCount, sent.sackedBytes];
    this.expect(counted.join() === counts.join(), 'the counts are right', c, ...counts, ...counted);
    this.expect(
      highest === sent.highest,
      'the highest segment that arrived is known',
      c,
      highest?.seq,
      sent.highest?.seq,
    );
    return count;
  }
}

function isTo(packet: TxPacket, { local, remote }: Connection): boolean {
  const Packet = packet.slab.view.getUint8(packet.start) >>> 4 === 4 ? Ipv4Packet : Ipv6Packet;
  const { sourceAddress, destinationAddress } = new Packet(packet, packet.start);
  return destinationAddress.equals(remote.address) && sourceAddress.equals(local.address);
}

function read({ slab, start, end }: TxPacket): Sent & { readonly source: number; readonly destination: number } {
  const { view } = slab;
  const at = start + (view.getUint8(start) >>> 4 === 4 ? 4 * (view.getUint8(start) & 15) : 40);
  const flags = view.getUint8(at + 13);
  const seq = view.getInt32(at + 4);
  const payload = end - at - 4 * (view.getUint8(at + 12) >>> 4);
  return {
    source: view.getUint16(at),
    destination: view.getUint16(at + 2),
    seq,
    end: (seq + payload + (flags & Fin ? 1 : 0)) | 0,
    payload,
    flags,
    ack: view.getInt32(at + 8),
    window: view.getUint16(at + 14),
  };
}
