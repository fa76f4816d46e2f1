/** A segment for a connection (RFC 9293 3.10.7.3 and 3.10.7.4, with RFC 5961 and RFC 7323): check by check, in the order of the RFC. */

import { DropReason } from '../../core/drops.js';
import type { IpPacket } from '../../wire/ip.js';
import { TcpFlag } from '../../wire/tcp.js';
import { acknowledge, enterTimeWait } from './acknowledge.js';
import { acknowledgeSoon, acksLost, finCame, noteData } from './acks.js';
import { growWindow, makeRoom } from './buffers.js';
import type { Connection } from './connection.js';
import { contradicts, dataArrived, segmentArrived } from './ecn.js';
import { receiveInSynReceived, receiveInSynSent } from './handshake.js';
import { challenge, drop, refuse } from './refuse.js';
import type { Segment } from './segment.js';
import { resendSyn, reset } from './emit.js';
import { transmit, transmitAfterAck } from './send.js';
import { after, before } from './seq.js';
import { canReceive } from './state.js';
import { Tell } from './tell.js';
import { acceptedWindow, isAcceptable, isWithin, updateSendWindow } from './window.js';
import { ownReceived } from './queues.js';

const { Ack, Ae, Cwr, Ece, Fin, Psh, Rst, Syn, Urg } = TcpFlag;
// RFC 7323 5.5: after 24 days of silence the timestamps may have wrapped.
const TIMESTAMP_LIFETIME = 24 * 24 * 3600 * 1000;

/** Processes a segment of the connection, which is in any state but CLOSED, LISTEN and TIME-WAIT. */
export function receive(c: Connection, segment: Segment, packet: IpPacket): void {
  c.keepalive?.heard(c.host.now);
  const { statistics } = c;
  statistics.segmentsIn += segment.count;
  if (segment.to > segment.from) statistics.dataSegmentsIn += segment.count;
  if (isExpected(c, segment)) {
    receiveExpected(c, segment);
    return;
  }
  if (c.state === 'SYN-SENT') {
    if (!receiveInSynSent(c, segment, packet)) return;
  } else if (!check(c, segment, packet) || !acknowledge(c, segment)) return;
  if (segment.has(Urg)) urgent(c, segment);
  text(c, segment, packet);
  transmit(c);
}

/**
 * Header prediction (Van Jacobson): whether this is the next segment of an established connection, brings data or an acknowledgment, and
 * nothing else. Nearly all are such, and none of {@link check} stands against them.
 */
function isExpected(c: Connection, segment: Segment): boolean {
  const { rcv, ts } = c;
  if (c.state !== 'ESTABLISHED' || (segment.flags & ~Psh) !== Ack || segment.seq !== rcv.nxt) return false;
  if (segment.length > ((rcv.edge - rcv.nxt) | 0) || rcv.finSeq !== undefined || c.abandoned || c.ecn !== undefined)
    return false;
  if (!ts.on) return true;
  const { options } = segment;
  return options.hasTimestamps && !before(options.timestampValue | 0, ts.recent);
}

function receiveExpected(c: Connection, segment: Segment): void {
  if (c.ts.on) updateTimestamp(c, segment);
  const repeated = segment.length > 0 && repeatsAck(c, segment);
  if (!repeated && !acknowledge(c, segment)) return;
  if (segment.length > 0 && c.state !== 'CLOSED') {
    const { nxt } = c.rcv;
    inOrder(c, segment);
    if (c.rcv.nxt !== nxt) acknowledgeSoon(c);
  }
  if (segment.frame !== undefined) c.host.env.drops.deliver(segment.frame);
  if (!repeated || c.queue.length > 0) transmitAfterAck(c);
}

/** Whether the acknowledgment that comes with data has been there before, and nothing waits for another; then it is as good as processed. */
function repeatsAck(c: Connection, segment: Segment): boolean {
  const { snd, host, statistics } = c;
  if (segment.ack !== snd.una || segment.window << snd.scale !== snd.wnd || snd.wnd === 0) return false;
  if (c.sent.head !== undefined || c.probes > 0 || segment.options.sackCount > 0 || c.recovery.tlp !== 'none')
    return false;
  c.unanswered = 0;
  statistics.lastAckAt = host.now;
  updateSendWindow(c, segment.seq, segment.ack, segment.window);
  return true;
}

/** Everything that may stand against the segment before its ACK counts. */
function check(c: Connection, segment: Segment, packet: IpPacket): boolean {
  const { rcv } = c;
  const special = segment.flags & (Rst | Syn);
  if (special === Syn && c.state === 'SYN-RECEIVED' && segment.seq === rcv.irs && !repeatedSyn(c, segment))
    return false;
  if (special === Syn && segment.has(Ack) && segment.seq === rcv.irs && c.state === 'ESTABLISHED') {
    c.ecn?.accurate?.answer(segment.codepoint);
  }
  if (c.ts.on && !(segment.flags & Rst) && !checkTimestamp(c, segment)) return false;
  if (segment.flags & Rst) {
    receiveReset(c, segment);
    return false;
  }
  if (!isInWindow(c, segment)) return false;
  if (segment.flags & Syn) {
    // RFC 5961 4: whoever lost his state will answer the ACK with a RST.
    if (c.config.challengeSyns) challenge(c);
    else {
      reset(c);
      c.terminate('ECONNRESET');
    }
    drop(c, segment, DropReason.TcpBadSyn);
    return false;
  }
  if (!(segment.flags & Ack)) {
    drop(c, segment, DropReason.TcpNoAck);
    return false;
  }
  if (c.ts.on && segment.options.hasTimestamps) updateTimestamp(c, segment);
  if (c.state === 'SYN-RECEIVED' && !receiveInSynReceived(c, segment, packet)) return false;
  if (c.ecn !== undefined) segmentArrived(c, c.ecn, segment);
  return true;
}

/** The peer's SYN again: our SYN-ACK was lost; or, in a simultaneous open, its SYN-ACK. Returns whether that one is to be processed. */
function repeatedSyn(c: Connection, segment: Segment): boolean {
  if (segment.has(Ack) && c.parent === undefined) {
    if (segment.ack !== c.snd.nxt) return true;
    if (c.ts.on && !checkTimestamp(c, segment)) return false;
    segment.passSyn();
    // In a SYN-ACK these bits negotiate.
    segment.flags &= ~(Ece | Cwr | Ae);
    c.ecn?.accurate?.answerSimultaneous(segment.codepoint);
    c.oweAck();
    return true;
  }
  if (!segment.has(Ack)) {
    if (contradicts(c, segment)) {
      reset(c);
      c.terminate('ECONNREFUSED');
    } else resendSyn(c);
    drop(c, segment, DropReason.TcpUnexpected);
    return false;
  }
  return true;
}

/** PAWS (RFC 7323 5.3). */
function checkTimestamp(c: Connection, segment: Segment): boolean {
  const { ts } = c;
  if (!segment.options.hasTimestamps) {
    if (c.host.config.acceptMissingTimestamps) return true;
    drop(c, segment, DropReason.TcpOldTimestamp);
    return false;
  }
  if (!before(segment.options.timestampValue | 0, ts.recent)) return true;
  if (c.host.now - ts.recentAt > TIMESTAMP_LIFETIME) return true;
  answer(c, segment);
  reportOld(c, segment);
  drop(c, segment, DropReason.TcpOldTimestamp);
  return false;
}

/** RFC 7323 4.3 (2): only a segment at the left edge of the window moves TS.Recent, so that a delayed ACK echoes the oldest. */
function updateTimestamp(c: Connection, segment: Segment): void {
  const { ts } = c;
  const value = segment.options.timestampValue | 0;
  if (after(segment.seq, c.rcv.ackSent)) return;
  if (before(value, ts.recent) && c.host.now - ts.recentAt <= TIMESTAMP_LIFETIME) return;
  ts.recent = value;
  ts.recentAt = c.host.now;
}

/** An ACK in answer to something unacceptable; those without data could otherwise be answered forever. */
function answer(c: Connection, segment: Segment): void {
  if (segment.span > 0) c.oweAck();
  else challenge(c);
}

function isInWindow(c: Connection, segment: Segment): boolean {
  const { rcv } = c;
  const window = acceptedWindow(c);
  if (isAcceptable(segment.seq, segment.span, rcv.nxt, window)) return true;
  // What begins before the window and ends behind it has all that we wait for, though neither end is acceptable.
  if (window > 0 && before(segment.seq, rcv.nxt) && after((segment.seq + segment.length) | 0, rcv.nxt)) return true;
  // A bare FIN where the window is shut costs nothing (SM-13).
  if (segment.seq === rcv.nxt && segment.length === 0) return true;
  if (segment.span > 0 && before(segment.seq, rcv.nxt)) acksLost(c);
  answer(c, segment);
  // The peer has filled our window: its pure ACKs come with the sequence number behind it, and count.
  if (segment.span === 0 && segment.seq === rcv.edge) return true;
  if (segment.length > 0 && before(segment.seq, rcv.nxt)) c.ecn?.accurate?.duplicated();
  reportOld(c, segment);
  drop(c, segment, DropReason.TcpOutOfWindow);
  return false;
}

/** Tells the peer in the next SACK option of data that were received before (RFC 2883 4). */
function reportOld(c: Connection, { seq, length }: Segment): void {
  const { nxt } = c.rcv;
  if (length === 0 || !c.sackPermitted || !before(seq, nxt)) return;
  const end = (seq + length) | 0;
  c.gaps.reportDuplicate(seq, after(end, nxt) ? nxt : end);
}

/** RFC 5961 3: only an exact RST ends the connection; another one in the window is challenged. */
function receiveReset(c: Connection, segment: Segment): void {
  const { rcv, host } = c;
  const inWindow = isWithin(segment.seq, rcv.nxt, acceptedWindow(c));
  if (segment.seq !== rcv.nxt && (c.config.exactResets || !inWindow)) {
    if (inWindow) challenge(c);
    drop(c, segment, DropReason.TcpBadReset);
    return;
  }
  host.counters.resetsReceived++;
  host.counters.reset++;
  const { state } = c;
  const nothingLost = c.abandoned && c.queue.length === 0;
  if (state === 'SYN-RECEIVED') c.terminate(c.fastOpen?.isEarly === true ? 'ECONNRESET' : 'ECONNREFUSED');
  else if (nothingLost || state === 'CLOSING' || (state === 'LAST-ACK' && c.queue.length === 0)) c.terminate(undefined);
  else c.terminate('ECONNRESET');
}

/** RFC 6093: the pointer is to the byte behind the urgent data, which stay in line; the application is told how far they reach. */
function urgent(c: Connection, segment: Segment): void {
  if (!canReceive(c.state)) return;
  const up = (segment.seq + segment.urgentPointer) | 0;
  if (!after(up, c.rcv.up ?? c.rcv.nxt) || !after(up, c.rcv.nxt)) return;
  c.rcv.up = up;
  c.tell(Tell.URGENT);
}

/** The payload and the FIN: trims them to the window, queues them, and decides on the ACK. */
function text(c: Connection, segment: Segment, packet: IpPacket): void {
  const { rcv } = c;
  const { drops } = c.host.env;
  const { frame } = segment;
  if (frame === undefined) return;
  if (segment.span === 0) {
    drops.deliver(frame);
    return;
  }
  if (!canReceive(c.state)) {
    drop(c, segment, DropReason.TcpClosed);
    return;
  }
  if (c.abandoned && segment.length > 0) {
    unreadable(c, segment, packet);
    return;
  }
  if (c.ecn !== undefined && segment.length > 0) dataArrived(c, c.ecn, segment);
  const { nxt } = rcv;
  trim(c, segment);
  const { from, to, seq } = segment;
  if (segment.has(Fin)) rcv.finSeq ??= (seq + to - from) | 0;
  if (seq === rcv.nxt) inOrder(c, segment);
  else if (to > from) {
    c.host.counters.outOfOrder++;
    c.oweAck();
    if (!keep(c, segment)) drop(c, segment, DropReason.TcpOutOfMemory);
  } else c.oweAck();
  drops.deliver(frame);
  if (rcv.nxt === rcv.finSeq) finReceived(c);
  if (rcv.nxt !== nxt && c.state !== 'CLOSED') acknowledgeSoon(c);
}

/** RFC 9293 3.10.4: nobody will ever read this, and the peer must know. As with Linux and FreeBSD the RST is at what it acknowledged. */
function unreadable(c: Connection, segment: Segment, packet: IpPacket): void {
  const { env, output, counters } = c.host;
  refuse(env, output, packet, segment);
  counters.resetsSent++;
  counters.reset++;
  drop(c, segment, DropReason.TcpClosed);
  c.terminate(c.queue.length > 0 ? 'ECONNABORTED' : undefined);
}

/** Cuts off what was received before, what is beyond the window, and what is beyond the FIN. */
function trim(c: Connection, segment: Segment): void {
  const { rcv } = c;
  const old = (rcv.nxt - segment.seq) | 0;
  if (old > 0) {
    const cut = Math.min(old, segment.length);
    if (cut > 0 && c.sackPermitted) c.gaps.reportDuplicate(segment.seq, (segment.seq + cut) | 0);
    segment.from += cut;
    segment.seq = (segment.seq + cut) | 0;
    if (cut > 0) {
      acksLost(c);
      c.oweAck();
    }
  }
  const end = (segment.seq + segment.length) | 0;
  const excess = (end - rcv.nxt - acceptedWindow(c)) | 0;
  if (excess > 0 && segment.length > 0) {
    segment.to -= Math.min(excess, segment.length);
    segment.flags &= ~Fin;
  }
  if (rcv.finSeq !== undefined && after((segment.seq + segment.length) | 0, rcv.finSeq)) {
    segment.to = segment.from + Math.max(0, (rcv.finSeq - segment.seq) | 0);
  }
}

/** Keeps what came ahead of a gap, if there is memory for it. */
function keep(c: Connection, segment: Segment): boolean {
  const { gaps, host } = c;
  const { from, to, frame, seq } = segment;
  if (frame === undefined || !host.memory.admitsOutOfOrder(to - from)) return false;
  const former = gaps.memory;
  const kept = gaps.insert(seq, frame.slab.bytes, from, to);
  host.memory.used += gaps.memory - former;
  return kept;
}

function inOrder(c: Connection, segment: Segment): void {
  const { rcv } = c;
  const { from, to, frame } = segment;
  const length = to - from;
  if (length === 0 || frame === undefined) return;
  if (!makeRoom(c, length)) {
    // It stays the peer's, who will send it again.
    segment.flags &= ~Fin;
    c.oweAck();
    drop(c, segment, DropReason.TcpOutOfMemory);
    return;
  }
  ownReceived(c).lend(frame.slab.bytes, from, to);
  c.host.lender = c;
  c.host.memory.used += length;
  rcv.nxt = (rcv.nxt + length) | 0;
  noteData(c, Math.min(length, segment.unit), segment.flags);
  growWindow(c, segment, length);
  c.statistics.bytesReceived += length;
  c.tellReadable();
  const { reassembly } = c;
  if (reassembly !== undefined && !reassembly.empty) {
    // RFC 5681 4.2: what fills a gap is acknowledged at once.
    const { nxt } = rcv;
    const held = reassembly.memory + c.received.length;
    rcv.nxt = reassembly.drain(nxt, ownReceived(c));
    c.host.memory.used += reassembly.memory + c.received.length - held;
    c.statistics.bytesReceived += (rcv.nxt - nxt) | 0;
    c.oweAck();
  }
}

/** The peer's FIN is next: its stream has ended. */
function finReceived(c: Connection): void {
  c.rcv.nxt = (c.rcv.nxt + 1) | 0;
  c.eof = true;
  c.to('fin');
  if (!finCame(c)) c.oweAck();
  c.tellReadable();
  if (c.state === 'TIME-WAIT') enterTimeWait(c);
}

/** A segment in TIME-WAIT (RFC 9293 3.10.7.4, RFC 1337). New connections were looked for before. */
export function receiveInTimeWait(c: Connection, segment: Segment): void {
  const { rcv } = c;
  const inWindow = isWithin(segment.seq, rcv.nxt, acceptedWindow(c));
  if (segment.has(Rst)) {
    resetInTimeWait(c, segment, inWindow);
    return;
  }
  if (!(segment.flags & (Ack | Syn)) && inWindow) {
    drop(c, segment, DropReason.TcpNoAck);
    return;
  }
  const isFin = segment.has(Fin) && ((segment.seq + segment.span) | 0) === rcv.nxt;
  if (isFin) c.timers.timeWait();
  // Our ACK of the FIN may have been lost; anything else old is told where we are.
  if (segment.span > 0) c.oweAck();
  else if (segment.seq !== rcv.nxt || after(segment.ack, c.snd.nxt)) challenge(c);
  drop(c, segment, isFin ? DropReason.TcpUnexpected : DropReason.TcpOutOfWindow);
}

function resetInTimeWait(c: Connection, segment: Segment, inWindow: boolean): void {
  const ignored = c.host.config.ignoreTimeWaitResets;
  if (segment.seq === c.rcv.nxt && !ignored) {
    c.terminate(undefined);
    return;
  }
  if (inWindow && !ignored) challenge(c);
  drop(c, segment, DropReason.TcpBadReset);
}

/** Whether a SYN may open a new connection in the place of one in TIME-WAIT (RFC 6191, RFC 9293 MAY-2). */
export function mayReopen(c: Connection, segment: Segment): boolean {
  if ((segment.flags & (Syn | Ack | Rst | Fin)) !== Syn) return false;
  const { options } = segment;
  const isLater = after(segment.seq, c.rcv.nxt) || segment.seq === c.rcv.nxt;
  if (!c.ts.on || !options.hasTimestamps) return isLater;
  const value = options.timestampValue | 0;
  return after(value, c.ts.recent) || (value === c.ts.recent && isLater);
}
