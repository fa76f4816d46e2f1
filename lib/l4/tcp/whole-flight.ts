/**
 * The acknowledgment that requests and answers bring: it covers the one segment that is in flight, while all is well. What `acknowledge` does
 * about any acknowledgment comes to this then; the property in `whole-flight-spec` holds both to the same.
 */

import type { Connection } from './connection.js';
import { releaseSent } from './queues.js';
import type { Segment } from './segment.js';

/** Whether SEG.ACK covers one segment, which was sent once, and nothing else is in flight, lost, looked for or to be told. */
export function coversFlight(c: Connection, segment: Segment): boolean {
  const { sent, recovery } = c;
  const { head } = sent;
  if (head === undefined || segment.ack !== head.end || head !== sent.tail || !head.isPlain) return false;
  if (recovery.state !== 'open' || recovery.trouble !== undefined || recovery.tlp !== 'none') return false;
  if (recovery.duplicates > 0 || segment.options.sackCount > 0 || c.probes > 0) return false;
  return !c.finSent && c.ecn === undefined && c.plpmtud === undefined;
}

/** Takes the segment off, measures, and tells congestion control. What the acknowledgment says of the window has been taken in. */
export function acknowledgeFlight(c: Connection, ack: number): void {
  const { snd, sent, host, rtt, congestion } = c;
  const { head } = sent;
  if (head === undefined) return;
  const { now, acknowledgment } = host;
  const flight = head.span;
  const time = now - head.sentAt;
  snd.una = ack;
  if (flight >= snd.mss) c.fullSizeAt = now;
  c.queue.consume(flight);
  host.memory.used -= flight;
  c.statistics.bytesAcked += flight;
  c.retries = 0;
  c.softError = undefined;
  rtt.sample(time, flight <= 2 * snd.mss ? 1 : Math.ceil(flight / (2 * snd.mss)), snd);
  c.timers.disarmRetransmit();
  acknowledgment.now = now;
  acknowledgment.rtt = time;
  acknowledgment.delivered = acknowledgment.priorInFlight = flight;
  acknowledgment.inFlight = 0;
  acknowledgment.limited = sent.use.isLimiting(congestion.cwnd, congestion.ssthresh);
  sent.arrivedWhole(head);
  c.rate?.fill(acknowledgment, rtt.minRtt, sent.notes);
  congestion.acknowledged(acknowledgment);
  if (congestion.holdsBack === true) c.rate?.limitedByApplication(0);
  c.drained();
  releaseSent(c);
}
