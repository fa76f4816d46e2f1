/**
 * RACK (RFC 8985): what was sent long enough before something that has arrived is lost. Finds lost retransmissions and lost tails as well as
 * anything else, and waits a little where a path reorders.
 */

import type { Connection } from './connection.js';
import type { SentSegment } from './sent-segment.js';
import { after, isBetween } from './seq.js';

// RFC 8985 7.2 and 4: how many recoveries a widened reordering window outlives.
const PERSISTENCE = 16;
// RACK.reo_wnd_mult has an end, as with Linux; the smoothed round-trip time limits the window before.
const MAX_MULTIPLIER = 255;

/** RACK's variables of one connection, made when first needed. Times in ms. */
export class Rack {
  /** Round-trip time of what was sent last of what arrived last (RACK.rtt). */
  rtt: number;
  /** Place in the order of sending of what was sent last of all that arrived: says what RACK.xmit_ts and RACK.end_seq say. */
  private order = 0;
  private isKnown = false;
  /** Something arrived since losses were looked for; and the place of what was sent last of that. */
  private advanced = false;
  private latest = 0;
  /** RACK.reo_wnd_mult, and recoveries until it is 1 again. */
  private multiplier = 1;
  private persistence = 0;
  /** RACK.dsack_round: until this is acknowledged, the window was widened already. */
  private round = 0;
  private inRound = false;

  /** @param rtt the round-trip time as far as it is known */
  constructor(rtt: number) {
    this.rtt = rtt;
  }

  /** A segment arrived (RFC 8985 6.2, steps 1 and 2). */
  delivered(c: Connection, segment: SentSegment): void {
    const rtt = c.host.now - segment.sentAt;
    const { lastOrder } = segment;
    // It may be the first transmission that arrived: less than the least time after the last, it is.
    if (segment.transmissions > 1 && rtt < c.rtt.minRtt) return;
    // Of what arrived at once, what was sent last counts.
    if (!this.advanced || after(lastOrder, this.latest)) {
      this.latest = lastOrder;
      this.rtt = rtt;
    }
    this.advanced = true;
    if (this.isKnown && !after(lastOrder, this.order)) return;
    this.isKnown = true;
    this.order = lastOrder;
  }

  /** Nothing is in flight. What is sent later is not compared with what arrived before. */
  rest(): void {
    this.isKnown = this.advanced = false;
  }

  /** Losses are to be looked for again, although nothing arrived. */
  again(): void {
    this.advanced = true;
  }

  /** The peer got something twice: what was sent again had been late only, so the window was too small (RFC 8985 6.2, step 4). */
  duplicated(c: Connection): void {
    if (this.inRound && isBetween(this.round, (c.snd.una + 1) | 0, c.snd.nxt)) return;
    this.inRound = true;
    this.round = c.snd.nxt;
    this.multiplier = Math.min(MAX_MULTIPLIER, this.multiplier + 1);
    this.persistence = PERSISTENCE;
  }

  /** A recovery is over, and was none too many. */
  recovered(): void {
    if (this.persistence > 0) this.persistence--;
    if (this.persistence === 0) this.multiplier = 1;
  }

  /** A recovery was for nothing: the wide window stays. */
  wasSpurious(): void {
    this.persistence = Math.min(PERSISTENCE, this.persistence + 1);
  }

  /** How much later than its successors a segment may arrive (RFC 8985 6.2, step 4). */
  window(c: Connection): number {
    const { recovery, rtt, sent } = c;
    if (recovery.reorderings === 0 && (recovery.isRepairing || sent.sackedCount >= recovery.reordering)) return 0;
    return Math.max(0, Math.min((rtt.minRtt / 4) * this.multiplier, rtt.srtt));
  }

  /**
   * Marks what is lost (RFC 8985 6.2, step 5). Returns how long to wait until more may be, 0 for nothing to wait for.
   *
   * @param force also where nothing arrived since the last look
   */
  detect(c: Connection, force: boolean): number {
    if (!this.isKnown || (!this.advanced && !force)) return 0;
    this.advanced = false;
    const { sent, host } = c;
    const limit = this.rtt + this.window(c) - host.now;
    let wait = 0;
    for (let segment = sent.oldest; segment !== undefined; ) {
      if (!after(this.order, segment.order)) break;
      const { later }: SentSegment = segment;
      const remaining = segment.sentAt + limit;
      if (remaining <= 0) sent.markLost(segment);
      else if (remaining > wait) wait = remaining;
      segment = later;
    }
    return wait;
  }

  /** Marks what a retransmission timeout says is lost: the oldest, and what was sent as long ago as RACK allows (RFC 8985 6.3). */
  timeout(c: Connection): void {
    const { sent, host } = c;
    if (sent.head !== undefined) sent.markLost(sent.head);
    for (let segment = sent.oldest; segment !== undefined; ) {
      const { later }: SentSegment = segment;
      if (segment.sentAt + this.rtt <= host.now) sent.markLost(segment);
      segment = later;
    }
  }
}
