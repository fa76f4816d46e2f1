/** Sending (RFC 9293 3.7.4, 3.8.6): what may go out now. */

import { TcpFlag } from '../../wire/tcp.js';
import { answered } from './acks.js';
import type { Connection } from './connection.js';
import { emit, timestamp } from './emit.js';
import { isTooEarly, pacingRate } from './pacing.js';
import { isProbe, probeDoubted, probeSent, probeSize } from './plpmtud.js';
import { ownSent } from './queues.js';
import { nextOnSuspicion } from './sack-recovery.js';
import { fullSize, mayBurst, sizeOfBurst, sizeOfNext, unsentBytes } from './segment-size.js';
import type { SentSegment } from './sent-segment.js';
import { after } from './seq.js';
import { canSend } from './state.js';
import { Chrono } from './statistics.js';

const { Ack, Fin, Psh } = TcpFlag;

/** Whether something waits for the window while nothing is in flight that would bring news of it. */
function needsPersist(c: Connection): boolean {
  return unsentBytes(c) > 0 || (c.finQueued && !c.finSent);
}

/** Sends whatever the windows allow: first what was lost, then what is new, then the FIN. */
export function transmit(c: Connection): void {
  if (isOneSegment(c)) {
    transmitOne(c);
    return;
  }
  const { recovery, snd, timers } = c;
  const { nxt } = snd;
  if (!canSend(c.state)) {
    // The timer is that of the SYN-ACK.
    if (c.fastOpen?.isEarly !== true) return;
    sendNew(c);
    noteUse(c, snd.nxt !== nxt);
    return;
  }
  if (recovery.newFirst) newBeforeOld(c);
  else if (retransmitLost(c)) {
    sendNew(c);
    noteLimit(c);
  }
  if (recovery.active && c.sackPermitted && !c.config.rack && c.config.resendSuspects) retransmitSuspects(c);
  noteUse(c, snd.nxt !== nxt);
  if (c.queue.length > 0) watch(c);
  if (c.sent.head !== undefined) {
    if (!timers.isRetransmitArmed) timers.armRetransmit();
    // The first of a flight has armed it.
    if (snd.nxt !== nxt && c.sent.count > 1) timers.sentMore();
  } else if (needsPersist(c)) {
    if (!timers.isRetransmitArmed) timers.armPersist();
  } else timers.disarmRetransmit();
}

/** Whether what was written is less than a full segment, may go out at once, and is all that there is to think of: nearly every answer is such. */
function isOneSegment(c: Connection): boolean {
  const { snd, queue, recovery } = c;
  const { length } = queue;
  if (snd.nxt !== snd.una || c.finQueued || length === 0 || length > snd.wnd || length >= fullSize(c)) return false;
  if (recovery.state !== 'open' || recovery.newFirst || c.state !== 'ESTABLISHED') return false;
  if (c.settings !== undefined || c.plpmtud !== undefined || c.pacer !== undefined) return false;
  return c.sent.head === undefined && pacingRate(c) === 0;
}

/** Sends it: what {@link transmit} comes to then. */
function transmitOne(c: Connection): void {
  const { congestion, host, queue, snd } = c;
  congestion.idle(host.now - snd.lastAt, c.rtt.rto, host.now);
  sendSegment(c, queue.length, false);
  const { sent, rate } = c;
  const { pipe } = sent;
  if (pipe < congestion.cwnd) rate?.limitedByApplication(pipe);
  sent.use.note(c, pipe + snd.mss > congestion.cwnd);
  queue.watch.start(c.blocked ? Chrono.SEND_BUFFER : Chrono.BUSY, host.now, c.statistics);
}

/** The same where an acknowledgment came, most often with nothing left to send: then it is only noted. */
export function transmitAfterAck(c: Connection): void {
  if (c.queue.length > 0 || c.finQueued || c.recovery.newFirst || c.state !== 'ESTABLISHED') {
    transmit(c);
    return;
  }
  noteLimit(c);
  c.timers.disarmRetransmit();
}

/** Sends what was written while others were being told of news. */
export function push(c: Connection): void {
  if (!c.pushing) return;
  c.pushing = false;
  transmit(c);
}

/** RFC 5682 3.1, step 2 b: new data tell whether the timeout was spurious; where none may be sent, it counts as real. */
function newBeforeOld(c: Connection): void {
  const { recovery, snd } = c;
  const { nxt } = snd;
  recovery.newFirst = false;
  sendNew(c);
  if (snd.nxt !== nxt) return;
  recovery.frto = false;
  retransmitLost(c);
}

/** Fills the window with what may be lost (RFC 6675 5, step C). */
function retransmitSuspects(c: Connection): void {
  while (c.sent.pipe + c.snd.mss <= c.congestion.cwnd) {
    const segment = nextOnSuspicion(c);
    if (segment === undefined || after(segment.end, (c.snd.una + c.snd.wnd) | 0) || isTooEarly(c)) return;
    retransmit(c, segment);
  }
}

/** Whether the application, not the network, limits what is in flight. */
function noteLimit(c: Connection): void {
  const { rate } = c;
  const { pipe } = c.sent;
  if (rate !== undefined && pipe < c.congestion.cwnd && unsentBytes(c) < c.snd.mss) rate.limitedByApplication(pipe);
}

/** Notes how much of the congestion window is used, when that is seen. */
function noteUse(c: Connection, sent: boolean): void {
  const full = c.sent.head !== undefined && c.sent.pipe + c.snd.mss > c.congestion.cwnd;
  if (!sent && !(full && unsentBytes(c) > 0)) return;
  c.sent.use.note(c, full);
}

/** Notes what keeps us from sending, if anything does. */
function watch(c: Connection): void {
  const { queue, snd } = c;
  const unsent = unsentBytes(c);
  const usable = (snd.una + snd.wnd - snd.nxt) | 0;
  const shut = unsent > 0 && usable < Math.min(unsent, snd.mss) && c.sent.pipe < c.congestion.cwnd;
  const kind = shut ? Chrono.PEER_WINDOW : unsent <= 0 && c.blocked ? Chrono.SEND_BUFFER : Chrono.BUSY;
  queue.watch.start(kind, c.host.now, c.statistics);
}

/** Sends again what is believed lost; returns whether nothing of that is left. */
function retransmitLost(c: Connection): boolean {
  const { sent, recovery } = c;
  for (let segment = sent.firstLost(); segment !== undefined; segment = sent.firstLost()) {
    const fits = sent.pipe === 0 || sent.pipe + Math.min(segment.span, c.snd.mss) <= c.congestion.cwnd;
    if ((!fits && !recovery.urgent) || isTooEarly(c)) return false;
    recovery.urgent = false;
    // RFC 9293 SHLD-16: old data only within the window, but for the segment that probes it.
    if (segment !== sent.head && after(segment.end, (c.snd.una + c.snd.wnd) | 0)) return false;
    retransmit(c, segment);
  }
  return true;
}

/**
 * Sends a segment again, in smaller ones if the path became narrower; with those behind it that are lost too, as far as they fit
 * (RFC 1122 4.2.2.15): many small ones would each be waited for again.
 */
export function retransmit(c: Connection, segment: SentSegment): void {
  const { sent, recovery, timers } = c;
  const { una, wnd } = c.snd;
  const full = fullSize(c);
  // RFC 9293 SHLD-16: of the oldest what is in the window, if that has shrunk; where it is shut all of it, which probes it then.
  const mss = segment === c.sent.head && wnd > 0 ? Math.min(full, wnd) : full;
  if (isProbe(c, segment)) probeDoubted(c);
  const data = segment.span - (segment.fin ? 1 : 0);
  if (data > mss) sent.split(segment, mss);
  else if (segment.due) {
    for (let { next } = segment; next?.due === true; { next } = segment) {
      if (((next.end - segment.seq) | 0) > mss || after(next.end, (una + wnd) | 0)) break;
      sent.merge(segment);
    }
  }
  sent.resent(segment, c.host.now);
  recovery.watchOrder(c);
  recovery.undo?.resent(segment.end, timestamp(c));
  if (recovery.isReducing) recovery.prr?.sent(segment.span);
  if (segment === sent.head) timers.headResent();
  emitAgain(c, segment);
}

function emitAgain(c: Connection, segment: SentSegment): void {
  const length = segment.span - (segment.fin ? 1 : 0);
  const offset = (segment.seq - c.snd.una) | 0;
  c.host.counters.retransmits++;
  c.statistics.retransmits++;
  c.statistics.bytesRetransmitted += length;
  c.pacer?.sent(length, c.host.now);
  emit(c, segment.seq, Ack | (segment.fin ? Fin : 0), offset, length, false);
}

/** A tail loss probe: new data whatever the congestion window, if there are any that the peer takes; else `tail`. Returns whether it was sent. */
export function sendLossProbe(c: Connection, tail: SentSegment): boolean {
  const { snd, sent } = c;
  const unsent = unsentBytes(c);
  const full = fullSize(c);
  const length = Math.min(unsent, full);
  const usable = (snd.una + snd.wnd - snd.nxt) | 0;
  if (unsent > 0 && usable >= length) {
    sendSegment(c, length, c.finQueued && length === unsent && usable > length);
    return true;
  }
  if (tail !== sent.head && after(tail.end, (snd.una + snd.wnd) | 0)) return false;
  const data = tail.span - (tail.fin ? 1 : 0);
  // Of what is too large now, the end.
  if (data > full) sent.split(tail, Math.floor((data - 1) / full) * full);
  const probe = sent.tail ?? tail;
  sent.probed(probe, c.host.now);
  c.recovery.watchOrder(c);
  emitAgain(c, probe);
  return true;
}

function sendNew(c: Connection): void {
  const { snd } = c;
  for (;;) {
    const unsent = unsentBytes(c);
    const finDue = c.finQueued && !c.finSent;
    if (unsent <= 0 && !finDue) return;
    if (c.sent.head === undefined) c.congestion.idle(c.host.now - snd.lastAt, c.rtt.rto, c.host.now);
    const usable = (snd.una + snd.wnd - snd.nxt) | 0;
    if (usable <= 0) return;
    const full = fullSize(c);
    const probe = c.plpmtud === undefined || full < snd.mss ? 0 : probeSize(c, unsent, usable);
    let length = probe !== 0 ? probe : unsent <= 0 ? 0 : sizeOfNext(c, unsent, usable, full, finDue);
    if (length < 0 || (length > 0 && isTooEarly(c))) return;
    if (length === full && unsent > full && mayBurst(c)) length = sizeOfBurst(c, unsent, usable, full, finDue);
    const fin = finDue && length === unsent && usable > length;
    sendSegment(c, length, fin, Ack, probe === 0 && length > full ? full : 0);
    if (length === unsent && !c.finQueued) return;
    if (length === unsent && c.finSent) return;
  }
}

/** The override timer of silly-window avoidance: sends what fits. */
export function sendForced(c: Connection, usable: number): void {
  const length = Math.min(usable, fullSize(c), unsentBytes(c));
  // Pushed, since the peer may wait for more than its window has room for.
  sendSegment(c, length, c.finQueued && length === unsentBytes(c) && usable > length, Ack | Psh);
  transmit(c);
}

/** @param size payload of each of the segments that the device is to make of it, or 0 */
function sendSegment(c: Connection, length: number, fin: boolean, flags: number = Ack, size = 0): void {
  const { snd } = c;
  const sent = ownSent(c);
  const seq = snd.nxt;
  const offset = (seq - snd.una) | 0;
  const idle = sent.head === undefined;
  if (length > 0 && (size > 0 ? length % size > 0 : length < fullSize(c))) snd.smallEnd = (seq + length) | 0;
  snd.nxt = (seq + length + (fin ? 1 : 0)) | 0;
  snd.lastAt = c.host.now;
  if (fin) c.finSent = true;
  if (length > 0) answered(c);
  sent.push(seq, snd.nxt, fin, c.host.now, size);
  if (c.recovery.isReducing) c.recovery.prr?.sent(length);
  if (length > snd.mss && size === 0) probeSent(c, seq, snd.nxt);
  if (idle) c.timers.flightBegins();
  c.probes = 0;
  c.pacer?.sent(length, c.host.now);
  emit(c, seq, flags | (fin ? Fin : 0), offset, length, length > 0, size);
}
