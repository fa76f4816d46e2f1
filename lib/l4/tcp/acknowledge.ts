/** What an acknowledgment does (RFC 9293 3.10.7.4, fifth check; RFC 5961 5): takes data off the queue, measures, opens windows. */

import { isSameAddress } from '../../core/address.js';
import { DropReason } from '../../core/drops.js';
import { TcpFlag } from '../../wire/tcp.js';
import { type Connection } from './connection.js';
import { acknowledgedWithEcn } from './ecn.js';
import type { Delivery } from './delivery.js';
import { mtuAcknowledged } from './plpmtud.js';
import { releaseSent } from './queues.js';
import { challenge, drop } from './refuse.js';
import { SackMemory } from './sack.js';
import type { Segment } from './segment.js';
import { NOTHING_SENT } from './sent-queue.js';
import { sendAck, timestamp } from './emit.js';
import { probeAcknowledged } from './tlp.js';
import { acknowledgeFlight, coversFlight } from './whole-flight.js';
import { updateSendWindow } from './window.js';

// Shorter than a neighbour stays reachable without proof: 15 s at least (RFC 4861 6.3.2).
const CONFIRM_INTERVAL = 5_000;

/** Processes SEG.ACK in a synchronised state; returns whether the rest of the segment counts. */
export function acknowledge(c: Connection, segment: Segment): boolean {
  const { snd, sent, recovery } = c;
  const { options } = segment;
  const advance = (segment.ack - snd.una) | 0;
  if (advance > ((snd.nxt - snd.una) | 0) || advance < -snd.maxWnd) {
    challenge(c);
    drop(c, segment, DropReason.TcpBadAck);
    return false;
  }
  c.unanswered = 0;
  c.statistics.lastAckAt = c.host.now;
  const sacks = options.sackCount > 0 && c.sackPermitted;
  // An old acknowledgment says nothing else, but what comes with it counts.
  if (advance < 0 && !sacks) return true;
  const windowChanged = advance >= 0 && updateSendWindow(c, segment.seq, segment.ack, segment.window);
  if (windowChanged && c.probes > 0 && snd.wnd > 0) windowOpened(c);
  if (advance > 0 && coversFlight(c, segment)) {
    confirm(c);
    acknowledgeFlight(c, segment.ack);
    return true;
  }
  const { delivery } = c.host;
  if (sent.head === undefined && !sacks && recovery.tlp === 'none') {
    delivery.segments = delivery.bytes = 0;
    delivery.sacked = false;
    if (c.ecn !== undefined) acknowledgedWithEcn(c, c.ecn, segment, advance);
    // Still shut: the next probe is due that long after the answer to the last (as with Linux).
    if (snd.wnd === 0 && c.timers.isRetransmitArmed) c.timers.armPersist();
    return true;
  }
  const flight = sent.pipe;
  const lost = sent.lostTotal;
  delivery.begin(c, c.ts.on && options.hasTimestamps ? options.timestampEcho : 0);
  if (advance > 0) snd.una = segment.ack;
  if (sacks) selectively(c, segment);
  if (advance > 0) acknowledgeNew(c, segment, advance);
  else if (!windowChanged && isDuplicate(segment, advance) && !delivery.dsack) {
    delivery.duplicate = true;
    sent.cut();
  }
  recover(c, flight);
  if (c.ecn !== undefined) acknowledgedWithEcn(c, c.ecn, segment, advance);
  conclude(c, flight, (sent.lostTotal - lost) | 0);
  if (c.sent.head === undefined) releaseSent(c);
  if (advance > 0 && c.finSent && segment.ack === snd.nxt) finAcknowledged(c);
  return true;
}

/** RFC 5681 2: nothing but an acknowledgment that came before. */
function isDuplicate(segment: Segment, advance: number): boolean {
  return advance === 0 && segment.length === 0 && !segment.has(TcpFlag.Fin);
}

/** The window was shut and is not any more: if it is too small to be used at once, the override timer counts from now. */
function windowOpened(c: Connection): void {
  c.probes = 0;
  if (c.sent.head === undefined) c.timers.disarmRetransmit();
}

function selectively(c: Connection, segment: Segment): void {
  const { recovery, host } = c;
  recovery.watchOrder(c);
  c.sent.cut();
  const { known } = recovery;
  known.sack ??= new SackMemory();
  known.sack.read(c, segment, host.delivery);
}

/** Takes off the queue what the acknowledgment number covers. */
function acknowledgeNew(c: Connection, segment: Segment, advance: number): void {
  const { snd, sent, recovery } = c;
  const { delivery } = c.host;
  delivery.advance = advance;
  sent.acknowledge(segment.ack, delivery);
  if (delivery.largest >= snd.mss) c.fullSizeAt = c.host.now;
  const bytes = c.finSent && segment.ack === snd.nxt ? advance - 1 : advance;
  c.queue.consume(bytes);
  c.host.memory.used -= bytes;
  c.statistics.bytesAcked += bytes;
  c.retries = 0;
  c.softError = undefined;
  if (recovery.duplicates > 0) recovery.acknowledgedBlindly(c, delivery);
  confirm(c);
}

/** Measures, finds out what is lost, and sets the timer. */
function recover(c: Connection, flight: number): void {
  const { sent, recovery, timers } = c;
  const { delivery } = c.host;
  measure(c, delivery, flight);
  if (delivery.reordered && c.sackPermitted && (recovery.state !== 'loss' || recovery.undo?.active === true)) {
    recovery.noteReordering(c, delivery.low);
  }
  if (recovery.tlp !== 'none') probeAcknowledged(c, delivery);
  if (recovery.state !== 'open' || delivery.sacked || delivery.dsack || delivery.duplicate) {
    recovery.examine(c, delivery);
  }
  if (delivery.advance > 0 && c.plpmtud !== undefined) mtuAcknowledged(c);
  const { head } = sent;
  if (head === undefined) timers.disarmRetransmit();
  // What was sent before the oldest was sent again says nothing of how long that may take.
  else if (!delivery.timed && (delivery.advance > 0 || isOlder(delivery.sackedFirst, head.sentAt))) timers.progressed();
}

function isOlder(sentAt: number, headSentAt: number): boolean {
  return sentAt >= 0 && sentAt < headSentAt;
}

/** Tells congestion control, or lets the window shrink while losses are repaired. */
function conclude(c: Connection, flight: number, lost: number): void {
  const { congestion, recovery, sent, host } = c;
  // What comes while nothing is in flight says nothing of the path.
  if (sent === NOTHING_SENT) return;
  const { acknowledgment: ack, delivery } = host;
  const { cwnd } = congestion;
  ack.now = host.now;
  ack.delivered = delivery.bytes;
  ack.priorInFlight = flight;
  ack.inFlight = sent.pipe;
  ack.limited = sent.use.isLimiting(cwnd, congestion.ssthresh);
  c.rate?.fill(ack, c.rtt.minRtt, sent.notes);
  if (congestion.ownsRecovery) congestion.acknowledged(ack);
  else if (recovery.isReducing) recovery.setWindow(c, delivery.bytes, delivery.advance > 0 && lost === 0);
  else if (delivery.advance > 0 || (delivery.sacked && recovery.reordering > c.config.reordering)) {
    congestion.acknowledged(ack);
  }
  if (congestion.holdsBack === true) c.rate?.limitedByApplication(ack.inFlight);
  if (delivery.advance > 0) c.drained();
}

function confirm(c: Connection): void {
  const { host } = c;
  if (host.confirm === undefined || host.now - (c.confirmedAt ?? Number.NEGATIVE_INFINITY) < CONFIRM_INTERVAL) return;
  const { confirmed } = host;
  const { address } = c.remote;
  // Another connection to the same peer has said so, most often, where connections are short.
  if (
    confirmed.remote === undefined ||
    host.now - confirmed.at >= CONFIRM_INTERVAL ||
    !isSameAddress(confirmed.remote, address)
  ) {
    confirmed.remote = address;
    confirmed.at = host.now;
    host.confirm(address);
  }
  c.confirmedAt = confirmed.at;
}

/** Takes a sample of the round-trip time where it is unambiguous (RFC 6298 3, RFC 7323 4). */
function measure(c: Connection, delivery: Delivery, flight: number): void {
  const { rtt, snd } = c;
  const { now, echo } = delivery;
  const { acknowledgment } = c.host;
  acknowledgment.rtt = -1;
  // The oldest for the timeout, which delayed acknowledgments must not surprise; the newest for the path.
  let oldest = delivery.ambiguous ? -1 : delivery.ackedFirst;
  let newest = delivery.ambiguous ? -1 : delivery.ackedLast;
  if (oldest < 0) oldest = delivery.sackedFirst;
  if (delivery.sackedLast > newest) newest = delivery.sackedLast;
  let sample = oldest < 0 ? -1 : now - oldest;
  let latest = newest < 0 ? -1 : now - newest;
  if (sample < 0 && delivery.advance > 0 && echo !== 0) {
    const ticks = (timestamp(c) - echo) | 0;
    if (ticks >= 0) sample = latest = rtt.echoed(ticks);
  }
  if (sample < 0) return;
  acknowledgment.rtt = latest;
  rtt.observe(latest);
  rtt.sample(sample, Math.max(1, Math.ceil(flight / (2 * snd.mss))), snd);
}

function finAcknowledged(c: Connection): void {
  c.to('ack-of-fin');
  if (c.state === 'TIME-WAIT') enterTimeWait(c);
  else if (c.state === 'CLOSED') c.finish();
  else if (c.state === 'FIN-WAIT-2' && c.abandoned) c.timers.waitForFin();
}

/** Both FINs are acknowledged: only late segments of the peer's are still to be answered. */
export function enterTimeWait(c: Connection): void {
  if (!c.host.admitTimeWait()) {
    // Nobody will be there to acknowledge it when it comes again.
    if (c.ackNow) sendAck(c);
    c.to('timeout');
    c.finish();
    return;
  }
  c.inTimeWait = true;
  c.timers.timeWait();
  c.finish();
}
