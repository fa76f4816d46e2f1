/**
 * When to acknowledge what came (RFC 9293 3.8.6.3, RFC 5681 4.2). Three policies, `TcpOptions.ackPolicy`:
 *
 * - `adaptive`, as Linux: at once at the beginning, after a pause and after losses, since the peer's window is small then (quick ACKs); with
 *   the data of the answer where the application answers (interactive); else at once what is more than one full segment, if the window keeps
 *   up, and the rest after a time that follows the peer's pace.
 * - `every-second`, as FreeBSD: every second segment at once, whatever its size.
 * - `full-sized`, the letter of the RFC: every second full segment at once.
 */

import { TcpFlag } from '../../wire/tcp.js';
import type { Connection } from './connection.js';
import { offer } from './window.js';

const { Fin, Psh, Syn, Urg } = TcpFlag;
// A shorter segment than the longest is a full one, too, if the sender had no reason to end it there.
const REMNANT = Fin | Psh | Syn | Urg;
/** Until larger ones are seen, segments of this size count as full; and the least that does (as with Linux). */
const LEAST_FULL_SEGMENT = 536;
const MIN_FULL_SEGMENT = 88;
// RFC 9293 MUST-40 and Linux: for bulk data that come slowly.
const MAX_DELAY = 500;

/** How the last data ended: bits of `ReceiveVariables.pushed`. */
const PUSHED = 1;
const PUSHED_TWICE = 2;

/** A connection is established: what counts as a full segment until one came. */
export function startAcks(c: Connection): void {
  const { rcv } = c;
  if (c.config.ackPolicy !== 'adaptive') {
    rcv.mss = Math.min(LEAST_FULL_SEGMENT, c.mssOffered);
    return;
  }
  const half = ((rcv.edge - rcv.nxt) | 0) >> 1;
  rcv.mss = Math.max(MIN_FULL_SEGMENT, Math.min(LEAST_FULL_SEGMENT, c.mssOffered, c.snd.mss, half));
}

/** Acknowledges at once for a while, at most `most` times: as often as the window has room for pairs of segments. */
function quicken(c: Connection, most: number): void {
  const { rcv } = c;
  const window = (rcv.edge - rcv.ackSent) | 0;
  const count = Math.min(most, Math.floor(window / (2 * rcv.mss)) || 2);
  if (count > c.quickAcks) c.quickAcks = count;
}

/** The peer needs its acknowledgments soon: at most `most` quick ones, even if the application answers. */
export function hurryAcks(c: Connection, most: number): void {
  if (c.config.ackPolicy !== 'adaptive') {
    if (c.quickAcks < most) c.quickAcks = most;
    return;
  }
  quicken(c, most);
  c.rcv.interactive = false;
  c.rcv.ato = c.config.delayedAck;
}

/** The peer sends again what was acknowledged: its acknowledgments were lost, and so may the next ones be (as with Linux). */
export function acksLost(c: Connection): void {
  if (c.config.ackPolicy === 'adaptive') hurryAcks(c, c.config.quickAcks);
}

/** Data came in order. @param length of what was new in it, of a super-segment that of one segment @param flags of the segment */
export function noteData(c: Connection, length: number, flags: number): void {
  const { rcv, statistics, host } = c;
  if (c.config.ackPolicy === 'adaptive') {
    measureSegment(c, length, flags);
    notePace(c, host.now - statistics.lastDataAt);
  } else if (length > rcv.mss) rcv.mss = Math.min(length, c.mssOffered);
  statistics.lastDataAt = host.now;
}

/** What a full segment is: the longest, or one that is shorter twice in a row. */
function measureSegment(c: Connection, length: number, flags: number): void {
  const { rcv } = c;
  const { lastSize } = rcv;
  rcv.lastSize = 0;
  if (length >= rcv.mss) {
    rcv.mss = Math.min(length, c.mssOffered);
    if (length > rcv.mss && flags & Psh) rcv.pushed |= PUSHED;
    return;
  }
  if (length >= LEAST_FULL_SEGMENT || (length >= MIN_FULL_SEGMENT && !(flags & REMNANT))) {
    rcv.lastSize = length;
    if (length === lastSize) {
      rcv.mss = length;
      return;
    }
  }
  rcv.pushed |= rcv.pushed & PUSHED ? PUSHED_TWICE : PUSHED;
}

/** The delay follows the time between segments. */
function notePace(c: Connection, pause: number): void {
  const { rcv } = c;
  const { delayedAck, quickAcks } = c.config;
  if (rcv.ato === 0) {
    quicken(c, quickAcks);
    rcv.ato = delayedAck;
    return;
  }
  const { rto } = c.rtt;
  if (pause <= delayedAck / 2) rcv.ato = rcv.ato / 2 + delayedAck / 2;
  else if (pause < rcv.ato) rcv.ato = Math.min(rto, rcv.ato / 2 + pause);
  // After so long the sender has begun anew.
  else if (pause > rto) quicken(c, quickAcks);
}

/** What came in order is to be acknowledged: now, or a little later. */
export function acknowledgeSoon(c: Connection): void {
  if (c.ackNow) return;
  const { rcv } = c;
  const { ackPolicy, delayedAck } = c.config;
  const pending = (rcv.nxt - rcv.ackSent) | 0;
  if (delayedAck === 0) c.oweAck();
  else if (ackPolicy === 'adaptive') {
    if (isQuick(c) || (pending > rcv.mss && keepsUp(c))) c.oweAck();
    else later(c);
  } else if (c.quickAcks > 0) {
    c.quickAcks--;
    c.oweAck();
  } else if (ackPolicy === 'full-sized' ? pending >= 2 * rcv.mss : c.timers.isAckDelayed || pending > c.mssOffered)
    c.oweAck();
  else later(c);
}

/** An acknowledgment may wait. Most applications answer when they are told, which the event ends with: no timer is needed then. */
function later(c: Connection): void {
  if (c.listed) c.ackSoon = true;
  else delay(c);
}

/** Whoever was told has not answered. */
export function delaySoon(c: Connection): void {
  c.ackSoon = false;
  if (!c.ackNow) delay(c);
}

function isQuick(c: Connection): boolean {
  return c.quickAcks > 0 && !c.rcv.interactive;
}

/** Whether the application reads as fast as data come: if it does not, an acknowledgment now would have a smaller window. */
function keepsUp(c: Connection): boolean {
  return c.received.length === 0 || offer(c) >= ((c.rcv.edge - c.rcv.ackSent) | 0);
}

function delay(c: Connection): void {
  const { rcv, rtt, config } = c;
  if (config.ackPolicy !== 'adaptive') {
    c.timers.delayAck(config.delayedAck);
    return;
  }
  let { ato } = rcv;
  if (ato > config.delayedAck) {
    const most = rcv.interactive || rcv.pushed & PUSHED ? config.maxDelayedAck : MAX_DELAY;
    ato = Math.min(ato, most, rtt.srtt > 0 ? Math.max(rtt.srtt, config.delayedAck) : most);
  }
  ato = Math.min(ato, config.maxDelayedAck);
  if (ato <= 0) c.oweAck();
  else c.timers.delayAck(ato);
}

/** The time is up; it will be longer the next time, unless it was meant for an answer that did not come. */
export function ackDelayed(c: Connection): void {
  const { rcv } = c;
  if (c.config.ackPolicy !== 'adaptive') return;
  if (rcv.interactive) {
    rcv.interactive = false;
    rcv.ato = c.config.delayedAck;
  } else rcv.ato = Math.min(2 * rcv.ato, c.rtt.rto);
}

/** A segment with an acknowledgment is sent. */
export function ackSent(c: Connection): void {
  const { rcv } = c;
  if (c.quickAcks > 0 && rcv.nxt !== rcv.ackSent && c.config.ackPolicy === 'adaptive') {
    c.quickAcks--;
    if (c.quickAcks === 0) rcv.ato = c.config.delayedAck;
  }
  rcv.pushed = 0;
}

/** Data are sent: an application that answers what it was sent is interactive, and its ACKs may wait for its data. */
export function answered(c: Connection): void {
  const { rcv } = c;
  if (c.config.ackPolicy === 'adaptive') {
    if (c.host.now - c.statistics.lastDataAt < rcv.ato) rcv.interactive = true;
  } else if (rcv.nxt !== rcv.ackSent) c.quickAcks = 0;
}

/** The peer's FIN came: an application that is told so will most likely close. @returns whether its ACK can wait for that */
export function finCame(c: Connection): boolean {
  if (c.config.ackPolicy !== 'adaptive' || c.state !== 'CLOSE-WAIT') return false;
  c.rcv.interactive = true;
  return true;
}

/** Something was read: whether what is owed is to be acknowledged now. */
export function isAckDueOnRead(c: Connection): boolean {
  const { rcv } = c;
  if (c.config.ackPolicy !== 'adaptive' || !c.timers.isAckDelayed) return false;
  if (((rcv.nxt - rcv.ackSent) | 0) > rcv.mss) return true;
  if (c.received.length > 0) return false;
  return (rcv.pushed & PUSHED_TWICE) !== 0 || ((rcv.pushed & PUSHED) !== 0 && !rcv.interactive);
}

/** `TCP_QUICKACK`: whether what is owed is to be acknowledged now. */
export function setQuick(c: Connection, on: boolean): boolean {
  const { rcv } = c;
  if (c.config.ackPolicy !== 'adaptive') {
    c.quickAcks = on ? c.config.quickAcks : 0;
    return on && c.timers.isAckDelayed;
  }
  rcv.interactive = !on;
  return on && c.timers.isAckDelayed && (c.received.length === 0 || ((rcv.nxt - rcv.ackSent) | 0) > rcv.mss);
}
