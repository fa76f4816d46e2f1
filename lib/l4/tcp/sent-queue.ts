/**
 * The retransmission queue: what is between SND.UNA and SND.NXT, segment by segment, and what is believed of each: in flight, selectively
 * acknowledged, lost, sent again. Who believes so is recovery's business; this room only keeps the account.
 *
 * Segments are linked in the order of their sequence numbers, and those that are in flight also in the order in which they were sent last,
 * which is what RACK looks at (RFC 8985 6.2). The bytes themselves stay in the send queue. Records are recycled through a list that the
 * connections of a host share, so that sending allocates nothing.
 */

import type { Delivery } from './delivery.js';
import { FlightNotes, type RateSampler } from './rate.js';
import { type SentSegment, SentSegmentPool } from './sent-segment.js';
import { after, before } from './seq.js';
import { SentIndex } from './sent-index.js';
import { WindowUse } from './window-use.js';

// From record to record, in search of one.
const MOST_STEPS = 32;

/**
 * The segments that await acknowledgment, oldest first. Super-segments have one record as long as all is well; as soon as their segments may
 * have different fates {@link SentQueue.cut} gives each its own. Connections with nothing in flight have
 * none, see `queues`.
 */
export class SentQueue {
  head: SentSegment | undefined = undefined;
  tail: SentSegment | undefined = undefined;
  /** The segments in flight, by when they were sent last. */
  oldest: SentSegment | undefined = undefined;
  private newest: SentSegment | undefined = undefined;
  /** Sequence space of what is neither acknowledged nor lost; what was sent again counts beside its original. */
  private flight = 0;
  /** Bytes that have arrived though nobody knows which: without selective acknowledgments, what duplicates stand for. */
  assumed = 0;
  /** Segments; those of them that the peer has, that are believed lost, and that were sent again and are in flight. */
  count = 0;
  sackedCount = 0;
  lostCount = 0;
  retransmittedCount = 0;
  /** Lost and to be sent again. */
  private dueCount = 0;
  /** No segment before this one is due. */
  private dueHint: SentSegment | undefined = undefined;
  /** Bytes that the peer has selectively acknowledged. */
  sackedBytes = 0;
  /** The highest segment that is selectively acknowledged. */
  highest: SentSegment | undefined = undefined;
  /** Where the last search for a sequence number ended. */
  private cursor: SentSegment | undefined = undefined;
  private readonly index: SentIndex = new SentIndex();
  /** How much of the congestion window is used in this flight. */
  readonly use: WindowUse = new WindowUse();
  /** Measures how fast the path delivers: that of the connection. */
  rate: RateSampler | undefined = undefined;
  readonly notes: FlightNotes = new FlightNotes();
  /** Records were cut since somebody looked: what a selective acknowledgment covered may be a segment of its own now. */
  recut = false;
  /** Records that stand for more than one segment. */
  private supers = 0;
  private transmissions = 0;
  private readonly pool: SentSegmentPool;

  constructor(pool: SentSegmentPool) {
    this.pool = pool;
  }

  /** Bytes that were ever believed lost, once for each time. */
  get lostTotal(): number {
    return this.rate?.lost ?? 0;
  }

  /** Bytes believed to be in the network (RFC 6675 4, SetPipe). */
  get pipe(): number {
    const { flight, assumed } = this;
    return flight > assumed ? flight - assumed : 0;
  }

  /** Whether the peer has all of it in order as far as is known, and nothing is believed lost. */
  get isCalm(): boolean {
    return this.sackedCount === 0 && this.lostCount === 0 && this.retransmittedCount === 0;
  }

  /** A segment was sent for the first time. @param size see {@link SentSegment.size} */
  push(seq: number, end: number, fin: boolean, now: number, size = 0): void {
    if (this === NOTHING_SENT) throw new Error('a connection counts what it sends in a queue of its own');
    const segment = this.pool.take();
    const { tail } = this;
    segment.seq = seq;
    segment.end = end;
    segment.fin = fin;
    segment.size = size;
    if (size > 0) this.supers++;
    segment.sentAt = segment.firstSentAt = now;
    segment.transmissions = 1;
    segment.prev = tail;
    if (tail === undefined) this.head = segment;
    else tail.next = segment;
    this.tail = segment;
    this.index.pushed(segment);
    this.flight += (end - seq) | 0;
    this.count += segment.segments;
    this.appendTimed(segment);
    this.rate?.sent(segment, this.flight, tail === undefined, this.notes);
  }

  /** Everything before `ack` has arrived; `delivery` is told of what had not been reported yet. */
  acknowledge(ack: number, delivery: Delivery): void {
    let segment = this.head;
    while (segment !== undefined && before(segment.seq, ack)) {
      if (after(segment.end, ack) && !this.divide(segment, ack)) {
        this.trim(segment, ack, delivery);
        break;
      }
      delivery.acknowledged(segment);
      if (!segment.delivered) this.rate?.arrived(segment, this.notes);
      const { next } = segment;
      this.uncount(segment);
      this.index.released();
      this.release(segment);
      segment = next;
    }
    this.head = segment;
    if (segment === undefined) this.tail = undefined;
    else segment.prev = undefined;
  }

  /** The only segment, of whose fate nothing was known, has arrived. */
  arrivedWhole(segment: SentSegment): void {
    this.rate?.arrived(segment, this.notes);
    this.head = this.tail = undefined;
    this.uncount(segment);
    this.index.released();
    this.release(segment);
  }

  /** Parts what arrived of a super-segment from the rest; returns whether `segment` is whole segments that arrived now. */
  private divide(segment: SentSegment, ack: number): boolean {
    if (segment.size === 0) return false;
    const arrived = Math.min(Math.floor(((ack - segment.seq) | 0) / segment.size), segment.segments - 1);
    if (arrived > 0) this.split(segment, arrived * segment.size);
    // The number lies within the first one.
    else this.split(segment, segment.size);
    return arrived > 0;
  }

  private trim(segment: SentSegment, ack: number, delivery: Delivery): void {
    const cut = (ack - segment.seq) | 0;
    delivery.acknowledgedPartly(segment, cut);
    if (!segment.delivered) this.rate?.arrivedPartly(cut);
    if (segment.sacked) this.sackedBytes -= cut;
    else {
      if (!segment.lost) this.flight -= cut;
      if (segment.retransmitted) this.flight -= cut;
    }
    segment.seq = ack;
  }

  /** Takes a segment out of all counts. */
  private uncount(segment: SentSegment): void {
    this.count -= segment.segments;
    if (segment.size > 0) this.supers--;
    if (segment.timed) this.removeTimed(segment);
    const { span } = segment;
    if (segment.sacked) {
      this.sackedCount--;
      this.sackedBytes -= span;
      return;
    }
    if (segment.lost) {
      this.lostCount--;
      if (!segment.retransmitted) this.dueCount--;
    } else this.flight -= span;
    if (segment.retransmitted) {
      this.retransmittedCount--;
      this.flight -= span;
    }
  }

  private release(segment: SentSegment): void {
    if (this.dueHint === segment) this.dueHint = segment.next;
    if (this.cursor === segment) this.cursor = segment.next;
    if (this.highest === segment) this.highest = undefined;
    this.pool.give(segment);
  }

  /** The first segment that ends after `seq`, sought from whatever is nearest to it; if that is far, by the index. */
  find(seq: number): SentSegment | undefined {
    let at = this.nearest(seq);
    let steps = 0;
    while (at?.prev !== undefined && after(at.prev.end, seq) && steps++ < MOST_STEPS) at = at.prev;
    while (at !== undefined && !after(at.end, seq) && steps++ < MOST_STEPS) at = at.next;
    if (steps > MOST_STEPS) at = this.index.find(this.head, seq);
    this.cursor = at;
    return at;
  }

  private nearest(seq: number): SentSegment | undefined {
    const { cursor, highest, tail } = this;
    let best = this.head;
    if (best === undefined) return undefined;
    let least = Math.abs((best.seq - seq) | 0);
    for (const one of [cursor, highest, tail]) {
      if (one === undefined) continue;
      const distance = Math.abs((one.seq - seq) | 0);
      if (distance >= least) continue;
      least = distance;
      best = one;
    }
    return best;
  }

  /** The peer has this segment. */
  markSacked(segment: SentSegment): void {
    if (segment.sacked) return;
    this.uncount(segment);
    this.count++;
    if (!segment.delivered) this.rate?.arrived(segment, this.notes);
    segment.sacked = segment.delivered = true;
    segment.lost = segment.retransmitted = false;
    this.sackedCount++;
    this.sackedBytes += segment.span;
    if (this.highest === undefined || after(segment.seq, this.highest.seq)) this.highest = segment;
  }

  /** Believes that `segment` is lost, or what was sent again of it. */
  markLost(segment: SentSegment): void {
    if (segment.sacked || segment.due) return;
    const { span } = segment;
    if (!segment.lost) {
      this.flight -= span;
      this.lostCount++;
    }
    if (segment.retransmitted) {
      this.flight -= span;
      this.retransmittedCount--;
    }
    segment.lost = true;
    segment.retransmitted = false;
    if (segment.timed) this.removeTimed(segment);
    this.becomesDue(segment);
  }

  private becomesDue(segment: SentSegment): void {
    this.dueCount++;
    if (this.rate !== undefined) this.rate.lost += segment.span;
    if (this.dueHint === undefined || before(segment.seq, this.dueHint.seq)) this.dueHint = segment;
  }

  /** Believes that everything is lost. */
  markAllLost(): void {
    for (let segment = this.head; segment !== undefined; segment = segment.next) this.markLost(segment);
  }

  /** Forgets what the peer said it has: it may have changed its mind (RFC 2018 8). */
  forgetSacked(): void {
    for (let segment = this.head; segment !== undefined && this.sackedCount > 0; segment = segment.next) {
      if (!segment.sacked) continue;
      segment.sacked = false;
      segment.lost = true;
      this.sackedCount--;
      this.lostCount++;
      this.becomesDue(segment);
    }
    this.sackedBytes = 0;
    this.highest = undefined;
    this.recut = true;
  }

  /** Nothing was lost after all: what was not sent again is in flight. */
  unmarkLost(): void {
    let place: SentSegment | undefined;
    for (let segment = this.head; segment !== undefined; segment = segment.next) {
      if (!segment.lost) continue;
      segment.lost = false;
      this.lostCount--;
      this.flight += segment.span;
      if (segment.timed) continue;
      if (place !== undefined && after(place.order, segment.order)) place = undefined;
      this.insertTimed(segment, place);
      place = segment;
    }
    this.dueCount = 0;
    this.dueHint = undefined;
  }

  /** The oldest lost segment that was not sent again. */
  firstLost(): SentSegment | undefined {
    if (this.dueCount === 0) {
      this.dueHint = undefined;
      return undefined;
    }
    let segment = this.dueHint;
    while (segment !== undefined && !segment.due) segment = segment.next;
    this.dueHint = segment;
    return segment;
  }

  /** A segment was sent again. */
  resent(segment: SentSegment, now: number): void {
    if (!segment.retransmitted) {
      if (segment.lost) this.dueCount--;
      segment.retransmitted = true;
      this.retransmittedCount++;
      this.flight += segment.span;
    }
    this.probed(segment, now);
  }

  /** A segment was sent again to learn more; only one of the two is believed to be in flight. */
  probed(segment: SentSegment, now: number): void {
    segment.sentAt = now;
    segment.transmissions++;
    if (segment.timed) this.removeTimed(segment);
    if (segment.sacked) return;
    this.appendTimed(segment);
    this.rate?.sent(segment, this.pipe, false, this.notes);
  }

  /** Gives each segment of the super-segments its own record, since their fates may differ from now on. */
  cut(): void {
    for (let segment = this.head; segment !== undefined && this.supers > 0; segment = segment.next) {
      if (segment.size > 0) this.split(segment, segment.size);
    }
  }

  /** Cuts `segment` after `length` bytes: for a path that became narrower, or a super-segment between two of its segments. */
  split(segment: SentSegment, length: number): void {
    const rest = this.pool.take();
    const { next } = segment;
    this.index.drop();
    rest.seq = (segment.seq + length) | 0;
    rest.end = segment.end;
    rest.fin = segment.fin;
    rest.size = 0;
    rest.sentAt = segment.sentAt;
    rest.firstSentAt = segment.firstSentAt;
    rest.order = segment.order;
    rest.transmissions = segment.transmissions;
    rest.sacked = segment.sacked;
    rest.lost = segment.lost;
    rest.retransmitted = segment.retransmitted;
    rest.delivered = segment.delivered;
    rest.priorDelivered = segment.priorDelivered;
    rest.priorDeliveredAt = segment.priorDeliveredAt;
    rest.priorSentAt = segment.priorSentAt;
    rest.priorLost = segment.priorLost;
    rest.inFlight = segment.inFlight;
    rest.appLimited = segment.appLimited;
    if (segment.size > 0) this.resize(segment, rest);
    else this.count++;
    if (rest.sacked) this.sackedCount++;
    if (rest.lost) this.lostCount++;
    if (rest.retransmitted) this.retransmittedCount++;
    if (rest.due) this.dueCount++;
    if (segment.timed) this.insertTimed(rest, segment);
    rest.next = next;
    rest.prev = segment;
    if (next === undefined) this.tail = rest;
    else next.prev = rest;
    segment.next = rest;
    segment.end = rest.seq;
    segment.fin = false;
    if (this.highest === segment) this.highest = rest;
    this.recut = true;
  }

  /** The first segments of what was a super-segment are `segment` now, and the others `rest`. */
  private resize(segment: SentSegment, rest: SentSegment): void {
    const { size } = segment;
    const first = (rest.seq - segment.seq) | 0;
    rest.order = (segment.order + first / size) | 0;
    // As it was after each when they were sent.
    segment.inFlight -= rest.span;
    rest.size = rest.data > size ? size : 0;
    if (rest.size > 0) this.supers++;
    if (first > size) return;
    segment.size = 0;
    this.supers--;
  }

  /** Makes one of `segment` and the next, both due, so that they are sent again as one. */
  merge(segment: SentSegment): void {
    const { next } = segment;
    if (next === undefined) return;
    this.index.drop();
    segment.end = next.end;
    segment.fin = next.fin;
    segment.transmissions = Math.max(segment.transmissions, next.transmissions);
    segment.delivered &&= next.delivered;
    segment.next = next.next;
    if (next.next === undefined) this.tail = segment;
    else next.next.prev = segment;
    this.count--;
    this.lostCount--;
    this.dueCount--;
    if (this.dueHint === next) this.dueHint = segment;
    if (this.cursor === next) this.cursor = segment;
    this.pool.give(next);
  }

  /** Forgets everything. */
  clear(): void {
    let segment = this.head;
    while (segment !== undefined) {
      const { next } = segment;
      if (segment.timed) this.removeTimed(segment);
      this.pool.give(segment);
      segment = next;
    }
    this.head = this.tail = this.highest = this.cursor = this.dueHint = undefined;
    this.flight =
      this.assumed =
      this.count =
      this.sackedCount =
      this.lostCount =
      this.retransmittedCount =
      this.dueCount =
      this.supers =
        0;
    this.sackedBytes = 0;
    this.recut = false;
    this.rate = undefined;
    this.index.drop();
  }

  private appendTimed(segment: SentSegment): void {
    const { newest } = this;
    segment.order = (this.transmissions + 1) | 0;
    this.transmissions = segment.lastOrder;
    segment.timed = true;
    segment.earlier = newest;
    if (newest === undefined) this.oldest = segment;
    else newest.later = segment;
    this.newest = segment;
  }

  /** Puts a segment at its place in the order of sending, which is behind `place`, if given. */
  private insertTimed(segment: SentSegment, place: SentSegment | undefined): void {
    let earlier = place;
    let later = place === undefined ? this.oldest : place.later;
    while (later !== undefined && !after(later.order, segment.order)) {
      earlier = later;
      ({ later } = later);
    }
    segment.timed = true;
    segment.earlier = earlier;
    segment.later = later;
    if (earlier === undefined) this.oldest = segment;
    else earlier.later = segment;
    if (later === undefined) this.newest = segment;
    else later.earlier = segment;
  }

  private removeTimed(segment: SentSegment): void {
    const { earlier, later } = segment;
    if (earlier === undefined) this.oldest = later;
    else earlier.later = later;
    if (later === undefined) this.newest = earlier;
    else later.earlier = earlier;
    segment.earlier = segment.later = undefined;
    segment.timed = false;
  }
}

/** What connections have that have nothing in flight: empty, and stays so. Of the same class as the others, so that all that look at them see but one. */
export const NOTHING_SENT: SentQueue = new SentQueue(new SentSegmentPool());
