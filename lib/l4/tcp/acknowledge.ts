/** What an acknowledgment does (RFC 9293 3.10.7.4, fifth check; RFC 5961 5): takes data off the queue, measures, opens windows. */

import { DropReason } from '../../core/drops.js';
import { TcpFlag } from '../../wire/tcp.js';
import { type Connection } from './connection.js';
import { acknowledgedWithEcn } from './ecn.js';
import { mtuAcknowledged } from './plpmtud.js';
import { challenge, drop } from './refuse.js';
import type { Segment } from './segment.js';
import { timestamp } from './send.js';
import { updateSendWindow } from './window.js';

// Shorter than a neighbour stays reachable without proof: 15 s at least (RFC 4861 6.3.2).
const CONFIRM_INTERVAL = 5_000;

/** Processes SEG.ACK in a synchronised state; returns whether the rest of the segment counts. */
export function acknowledge(c: Connection, segment: Segment): boolean {
  const { snd } = c;
  const advance = (segment.ack - snd.una) | 0;
  if (advance > ((snd.nxt - snd.una) | 0) || advance < -snd.maxWnd) {
    challenge(c);
    drop(c, segment, DropReason.TcpBadAck);
    return false;
  }
  c.unanswered = 0;
  c.statistics.lastAckAt = c.host.now;
  // An old acknowledgment says nothing, but what comes with it counts.
  if (advance < 0) return true;
  const windowChanged = updateSendWindow(c, segment.seq, segment.ack, segment.window);
  if (windowChanged && c.probes > 0 && snd.wnd > 0) windowOpened(c);
  if (advance > 0) acknowledgeNew(c, segment, advance);
  else if (c.sent.head !== undefined && !windowChanged && segment.length === 0 && !segment.has(TcpFlag.Fin)) {
    c.recovery.duplicate(c);
  }
  if (c.ecn !== undefined) acknowledgedWithEcn(c, c.ecn, segment, advance);
  return true;
}

/** The window was shut and is not any more: if it is too small to be used at once, the override timer counts from now. */
function windowOpened(c: Connection): void {
  c.probes = 0;
  if (c.sent.head === undefined) c.timers.retransmit.cancel();
}

function acknowledgeNew(c: Connection, segment: Segment, advance: number): void {
  const { snd, sent } = c;
  const flight = sent.pipe;
  const finAcked = c.finSent && segment.ack === snd.nxt;
  sent.acknowledge(segment.ack);
  if (sent.largest >= snd.mss) c.fullSizeAt = c.host.now;
  const bytes = finAcked ? advance - 1 : advance;
  c.queue.consume(bytes);
  c.host.memory.used -= bytes;
  snd.una = segment.ack;
  c.statistics.bytesAcked += bytes;
  c.retries = 0;
  confirm(c);
  const { acknowledgment } = c.host;
  acknowledgment.now = c.host.now;
  acknowledgment.priorInFlight = flight;
  acknowledgment.inFlight = sent.pipe;
  acknowledgment.rtt = measure(c, segment, flight);
  sent.rate?.fill(acknowledgment, c.rtt.minRtt);
  c.recovery.acknowledged(c, advance, flight);
  if (c.plpmtud !== undefined) mtuAcknowledged(c);
  if (sent.head === undefined) c.timers.retransmit.cancel();
  else c.timers.armRetransmit();
  c.drained();
  if (finAcked) finAcknowledged(c);
}

function confirm(c: Connection): void {
  const { host } = c;
  if (host.confirm === undefined || host.now - (c.confirmedAt ?? Number.NEGATIVE_INFINITY) < CONFIRM_INTERVAL) return;
  c.confirmedAt = host.now;
  host.confirm(c.remote.address);
}

/** Takes a sample of the round-trip time where it is unambiguous (RFC 6298 3, RFC 7323 4); returns it, or -1. */
function measure(c: Connection, segment: Segment, flight: number): number {
  const { sent, rtt } = c;
  const { options } = segment;
  const expected = Math.max(1, Math.ceil(flight / (2 * c.snd.mss)));
  let elapsed = -1;
  if (!sent.ambiguous) {
    if (sent.sampleSentAt >= 0) elapsed = c.host.now - sent.sampleSentAt;
  } else if (c.ts.on && options.hasTimestamps && options.timestampEcho !== 0) {
    elapsed = (timestamp(c) - options.timestampEcho) | 0;
  }
  if (elapsed >= 0) rtt.sample(elapsed, expected);
  return Math.max(-1, elapsed);
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
    c.to('timeout');
    c.finish();
    return;
  }
  c.inTimeWait = true;
  c.timers.timeWait();
  c.finish();
}
