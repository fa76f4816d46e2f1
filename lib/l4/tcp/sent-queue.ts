/**
 * The retransmission queue: what is between SND.UNA and SND.NXT, segment by segment, and what is believed of each: in flight, or
 * lost. Who believes so is recovery's business (`recovery`, later `sack` and `rack`); this room only keeps the account.
 *
 * The bytes themselves stay in the send queue. Records are recycled through a list that the connections of a host share, so
 * that sending allocates nothing.
 */

import { RateSampler } from './rate.js';
import { after, before } from './seq.js';

/** One segment that was sent. Sequence numbers are signed. */
export class SentSegment {
  /** Its sequence space: `seq` (inclusive) to `end` (exclusive), FIN included. */
  seq = 0;
  end = 0;
  fin = false;
  /** When it was sent last, and first. */
  sentAt = 0;
  firstSentAt = 0;
  /** How often it was sent. */
  transmissions = 0;
  /** Believed lost, and not yet sent again. */
  lost = false;
  /** What `rate` notes when it is sent: delivered and lost until then, the times of the last delivery and of the sending of that, and the flight. */
  priorDelivered = 0;
  priorDeliveredAt = 0;
  priorSentAt = 0;
  priorLost = 0;
  inFlight = 0;
  appLimited = false;
  next: SentSegment | undefined = undefined;

  get span(): number {
    return (this.end - this.seq) | 0;
  }
}

/** Recycles {@link SentSegment}s. */
export class SentSegmentPool {
  private free: SentSegment | undefined = undefined;

  take(): SentSegment {
    const segment = this.free;
    if (segment === undefined) return new SentSegment();
    this.free = segment.next;
    segment.next = undefined;
    segment.lost = false;
    return segment;
  }

  give(segment: SentSegment): void {
    segment.next = this.free;
    this.free = segment;
  }
}

/** The segments that await acknowledgment, oldest first. */
export class SentQueue {
  head: SentSegment | undefined = undefined;
  private tail: SentSegment | undefined = undefined;
  /** Sequence space believed to be in the network. */
  pipe = 0;
  private lostCount = 0;
  private readonly pool: SentSegmentPool;
  /** From the last {@link acknowledge}: when the newest segment that was sent once only was sent, or -1. */
  sampleSentAt = -1;
  /** From the last {@link acknowledge}: sequence space of the largest segment that arrived whole. */
  largest = 0;
  /** From the last {@link acknowledge}: whether a retransmitted segment was among what was acknowledged. */
  ambiguous = false;
  /** Measures how fast the path delivers; there once anything was sent. */
  rate: RateSampler | undefined = undefined;

  constructor(pool: SentSegmentPool) {
    this.pool = pool;
  }

  /** A segment was sent for the first time. */
  push(seq: number, end: number, fin: boolean, now: number): void {
    const segment = this.pool.take();
    segment.seq = seq;
    segment.end = end;
    segment.fin = fin;
    segment.sentAt = segment.firstSentAt = now;
    segment.transmissions = 1;
    const first = this.tail === undefined;
    if (this.tail === undefined) this.head = segment;
    else this.tail.next = segment;
    this.tail = segment;
    this.pipe += (end - seq) | 0;
    this.rate ??= new RateSampler();
    this.rate.sent(segment, this.pipe, first);
  }

  /** Everything before `ack` has arrived. */
  acknowledge(ack: number): void {
    this.sampleSentAt = -1;
    this.largest = 0;
    this.ambiguous = false;
    let segment = this.head;
    while (segment !== undefined && before(segment.seq, ack)) {
      if (segment.transmissions > 1) this.ambiguous = true;
      if (after(segment.end, ack)) {
        this.rate?.arrivedPartly((ack - segment.seq) | 0);
        if (!segment.lost) this.pipe -= (ack - segment.seq) | 0;
        segment.seq = ack;
        break;
      }
      if (segment.transmissions === 1) this.sampleSentAt = segment.sentAt;
      this.rate?.arrived(segment);
      const { span } = segment;
      if (span > this.largest) this.largest = span;
      if (segment.lost) this.lostCount--;
      else this.pipe -= span;
      const { next } = segment;
      this.pool.give(segment);
      segment = next;
    }
    this.head = segment;
    if (segment === undefined) this.tail = undefined;
  }

  /** Believes that `segment` is lost. */
  markLost(segment: SentSegment): void {
    if (segment.lost) return;
    segment.lost = true;
    this.lostCount++;
    this.pipe -= segment.span;
    if (this.rate !== undefined) this.rate.lost += segment.span;
  }

  /** Believes that everything is lost. */
  markAllLost(): void {
    for (let segment = this.head; segment !== undefined; segment = segment.next) this.markLost(segment);
  }

  /** The oldest lost segment that was not sent again. */
  firstLost(): SentSegment | undefined {
    if (this.lostCount === 0) return undefined;
    let segment = this.head;
    while (segment !== undefined && !segment.lost) segment = segment.next;
    return segment;
  }

  /** A lost segment was sent again. */
  resent(segment: SentSegment, now: number): void {
    if (segment.lost) {
      segment.lost = false;
      this.lostCount--;
      this.pipe += segment.span;
    }
    segment.sentAt = now;
    segment.transmissions++;
    this.rate?.sent(segment, this.pipe, false);
  }

  /** Cuts `segment` after `length` bytes, for a path that became narrower. */
  split(segment: SentSegment, length: number): void {
    const rest = this.pool.take();
    rest.seq = (segment.seq + length) | 0;
    rest.end = segment.end;
    rest.fin = segment.fin;
    rest.sentAt = segment.sentAt;
    rest.firstSentAt = segment.firstSentAt;
    rest.transmissions = segment.transmissions;
    rest.lost = segment.lost;
    rest.priorDelivered = segment.priorDelivered;
    rest.priorDeliveredAt = segment.priorDeliveredAt;
    rest.priorSentAt = segment.priorSentAt;
    rest.priorLost = segment.priorLost;
    rest.inFlight = segment.inFlight;
    rest.appLimited = segment.appLimited;
    if (rest.lost) this.lostCount++;
    rest.next = segment.next;
    segment.next = rest;
    segment.end = rest.seq;
    segment.fin = false;
    if (this.tail === segment) this.tail = rest;
  }

  /** Makes one of `segment` and the next, both lost, so that they are sent again as one. */
  merge(segment: SentSegment): void {
    const { next } = segment;
    if (next === undefined) return;
    segment.end = next.end;
    segment.fin = next.fin;
    segment.transmissions = Math.max(segment.transmissions, next.transmissions);
    segment.next = next.next;
    if (this.tail === next) this.tail = segment;
    this.lostCount--;
    this.pool.give(next);
  }

  /** Forgets everything. */
  clear(): void {
    let segment = this.head;
    while (segment !== undefined) {
      const { next } = segment;
      this.pool.give(segment);
      segment = next;
    }
    this.head = this.tail = undefined;
    this.pipe = this.lostCount = 0;
  }
}
