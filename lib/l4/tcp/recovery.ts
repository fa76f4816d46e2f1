/**
 * Which segments are believed lost, and when that is over: fast retransmit and NewReno recovery (RFC 5681 3.2, RFC 6582), limited
 * transmit (RFC 3042). How much may be in flight meanwhile is `congestion`'s business; what is in flight, `sent-queue`'s.
 */

import type { Connection } from './connection.js';
import { isProbe, probeLost } from './plpmtud.js';
import { retransmit } from './send.js';
import type { SentSegment } from './sent-queue.js';
import { after, before } from './seq.js';

// RFC 5681 3.2.
const DUPLICATE_THRESHOLD = 3;

/** Loss recovery of one connection. */
export class Recovery {
  /** Duplicate acknowledgments in a row. */
  duplicates = 0;
  /** In fast recovery. */
  active = false;
  /** SND.NXT when the last loss was found: recovery lasts until it is acknowledged. */
  recover = 0;

  /** A connection starts with its initial sequence number. */
  start(iss: number): void {
    this.recover = iss;
  }

  /** No loss is known or suspected. */
  get isCalm(): boolean {
    return !this.active && this.duplicates === 0;
  }

  /** What was lost before `end` was lost for its size: duplicates that it causes do not blame the network. */
  excuse(end: number): void {
    const last = (end - 1) | 0;
    if (!this.active && after(last, this.recover)) this.recover = last;
  }

  /** Bytes beyond the congestion window that limited transmit allows. */
  allowance(mss: number): number {
    return this.active || this.duplicates === 0 ? 0 : Math.min(this.duplicates, DUPLICATE_THRESHOLD - 1) * mss;
  }

  /** An acknowledgment without news came while data were in flight. */
  duplicate(c: Connection): void {
    this.duplicates++;
    if (this.active) {
      c.congestion.cwnd += c.snd.mss;
      return;
    }
    // RFC 6582 3.2 step 1: duplicates of what a timeout sent again are no sign of loss.
    if (this.duplicates !== DUPLICATE_THRESHOLD || !after(c.snd.una, this.recover)) return;
    const { head } = c.sent;
    if (head === undefined) return;
    if (isProbe(c, head)) {
      resendProbe(c, head);
      return;
    }
    this.active = true;
    this.recover = c.snd.nxt;
    const { congestion } = c;
    congestion.congested('loss', (c.snd.nxt - c.snd.una) | 0, c.host.now);
    congestion.cwnd = congestion.ssthresh + DUPLICATE_THRESHOLD * c.snd.mss;
    c.host.counters.fastRetransmits++;
    c.sent.markLost(head);
    retransmit(c, head);
  }

  /** `bytes` of new data were acknowledged. @param flight what was in flight before */
  acknowledged(c: Connection, bytes: number, flight: number): void {
    const { congestion, sent, snd } = c;
    this.duplicates = 0;
    if (!this.active) {
      const { cwnd } = congestion;
      const slowStart = cwnd < congestion.ssthresh;
      const { acknowledgment } = c.host;
      acknowledgment.delivered = bytes;
      acknowledgment.limited = flight + snd.mss > cwnd || (slowStart && 2 * flight >= cwnd);
      congestion.acknowledged(acknowledgment);
      return;
    }
    if (!before(snd.una, this.recover)) {
      this.active = false;
      congestion.recovered(sent.pipe, c.host.now);
      return;
    }
    // RFC 6582 3.2 step 3: deflate by what was acknowledged, and back one segment if that was at least one.
    congestion.cwnd = Math.max(snd.mss, congestion.cwnd - bytes + (bytes >= snd.mss ? snd.mss : 0));
    const { head } = sent;
    if (head === undefined) return;
    sent.markLost(head);
    retransmit(c, head);
  }

  /** The retransmission timer fired: nothing that is in flight is believed to arrive. */
  timeout(c: Connection): void {
    this.duplicates = 0;
    this.active = false;
    this.recover = c.snd.nxt;
    c.congestion.timeout((c.snd.nxt - c.snd.una) | 0, c.retries > 1, c.host.now);
    c.sent.markAllLost();
  }
}

/** Sends the data of a lost probe again, in segments of the usual size: that it was too large is no sign of congestion (RFC 4821 7.7). */
function resendProbe(c: Connection, probe: SentSegment): void {
  const { end } = probe;
  probeLost(c);
  c.sent.markLost(probe);
  for (let next: SentSegment | undefined = probe; next !== undefined && before(next.seq, end); next = next.next) {
    retransmit(c, next);
  }
}
