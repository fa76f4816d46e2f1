/** What one acknowledgment brought, as the retransmission queue is worked through: what arrived, when it had been sent, what that shows. */

import type { Connection } from './connection.js';
import type { SentSegment } from './sent-segment.js';
import { after, before } from './seq.js';

/** News of one acknowledgment. A host has one such record and fills it anew for each. Sizes in bytes, times in ms. */
export class Delivery {
  private c: Connection | undefined = undefined;
  now = 0;
  /** TSecr, or 0 where there is none (RFC 7323 3.2). */
  echo = 0;
  /** Newly delivered, by the acknowledgment number or selectively; and how many segments that is. */
  bytes = 0;
  segments = 0;
  /** How far SND.UNA moved. */
  advance = 0;
  /** Nothing came but a repetition of the last acknowledgment (RFC 5681 2). */
  duplicate = false;
  /** Something was selectively acknowledged that had not been before. */
  sacked = false;
  /** The peer reported duplicates (RFC 2883); and those of a tail loss probe. */
  dsack = false;
  probeDuplicated = false;
  /** Something arrived in its first transmission that was sent before the current recovery began (RFC 5682). */
  original = false;
  /** What was sent again was among what the acknowledgment number covers. */
  ambiguous = false;
  /** When the oldest and the newest segments were sent, of those that were sent once: by the acknowledgment number, and selectively; or -1. */
  ackedFirst = -1;
  ackedLast = -1;
  sackedFirst = -1;
  sackedLast = -1;
  /** Sequence space of the largest segment that arrived whole. */
  largest = 0;
  /** The lowest sequence number that came in its first transmission after higher ones, if `reordered`. */
  low = 0;
  reordered = false;
  /** The timer was set for what this acknowledgment asks for. */
  timed = false;
  /** End of what was selectively acknowledged before. */
  private highestEnd = 0;
  private recover = 0;

  /** An acknowledgment is looked at. */
  begin(c: Connection, echo: number): void {
    const { highest } = c.sent;
    this.c = c;
    this.now = c.host.now;
    this.echo = echo;
    this.bytes = this.segments = this.advance = this.largest = 0;
    this.duplicate = this.sacked = this.dsack = this.probeDuplicated = this.original = false;
    this.ambiguous = this.reordered = this.timed = false;
    this.ackedFirst = this.ackedLast = this.sackedFirst = this.sackedLast = -1;
    this.highestEnd = highest === undefined ? c.snd.una : highest.end;
    this.recover = c.recovery.recover;
  }

  /** The acknowledgment number covers the whole segment. */
  acknowledged(segment: SentSegment): void {
    const { largest } = segment;
    if (largest > this.largest) this.largest = largest;
    if (segment.transmissions > 1) this.ambiguous = true;
    if (segment.sacked) return;
    if (segment.transmissions === 1 && !segment.delivered) {
      if (this.ackedFirst < 0) this.ackedFirst = segment.sentAt;
      this.ackedLast = segment.sentAt;
      if (before(segment.seq, this.highestEnd)) this.outOfOrder(segment.seq);
      if (!after(segment.end, this.recover)) this.original = true;
    }
    this.arrived(segment);
  }

  /** It covers the first `bytes` of the segment. */
  acknowledgedPartly(segment: SentSegment, bytes: number): void {
    if (segment.transmissions > 1) this.ambiguous = true;
    if (!segment.delivered) this.bytes += bytes;
  }

  /** The segment is selectively acknowledged, and was not so a moment ago. */
  selectively(segment: SentSegment, highestEnd: number): void {
    this.sacked = true;
    if (segment.transmissions === 1 && !segment.delivered) {
      if (this.sackedFirst < 0 || segment.sentAt < this.sackedFirst) this.sackedFirst = segment.sentAt;
      if (segment.sentAt > this.sackedLast) this.sackedLast = segment.sentAt;
      if (before(segment.seq, highestEnd)) this.outOfOrder(segment.seq);
      if (!after(segment.end, this.recover)) this.original = true;
    }
    this.arrived(segment);
  }

  private arrived(segment: SentSegment): void {
    const { c } = this;
    if (segment.delivered || c === undefined) return;
    this.bytes += segment.span;
    this.segments += segment.segments;
    c.recovery.rack?.delivered(c, segment);
  }

  private outOfOrder(seq: number): void {
    if (!this.reordered || before(seq, this.low)) this.low = seq;
    this.reordered = true;
  }
}
