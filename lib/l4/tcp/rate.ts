/**
 * The delivery rate (draft-ietf-ccwg-bbr 4.1, draft-cheng-iccrg-delivery-rate-estimation): each segment remembers how much had been
 * delivered when it was sent; when it arrives, what was delivered since, over the time that this took, is the rate of the path. The
 * longer of the time to send and the time to acknowledge counts, so that neither bursts nor compressed acknowledgments flatter it.
 *
 * Rounds are counted here, too: one is over when what was sent after its beginning is delivered.
 */

import type { Acknowledgment } from './congestion/congestion.js';
import type { SentSegment } from './sent-segment.js';
import { after } from './seq.js';

/** The newest segment that the acknowledgment under inspection delivered: filled and read within one event, whatever the connection. */
const newest = { end: 0, deliveredAt: 0, sendElapsed: 0 };

/** What the sampler needs while something is in flight: sizes in bytes, times in ms. Idle connections have none. */
export class FlightNotes {
  /** When something was delivered last; and when the segment was sent that was. */
  deliveredAt = 0;
  firstSentAt = 0;
  /** Whether the acknowledgment under inspection delivered a segment. */
  fresh = false;
  /** What the newest segment that was delivered remembers; before the first, what there was when the flight began. */
  priorDelivered = 0;
  sentInFlight = 0;
  priorLost = 0;
  wasAppLimited = false;
}

/** Samples the delivery rate of one connection. Sizes in bytes, times in ms. Made with the first segment that is sent. */
export class RateSampler {
  /** Delivered, selectively or not, and believed lost, since the connection began. */
  delivered = 0;
  lost = 0;
  /** Of what was lost, what acknowledgments told of, or need not. */
  private lostTold = 0;
  /** The last rate that the network limited, or a higher one that it did not; 0 before the first. */
  rate = 0;
  rateIsAppLimited = false;
  /** Until so much is delivered, samples tell of the application's pace; 0: of the network's. */
  private appLimitedUntil = 0;
  private roundEnd = 0;

  /** A segment is sent, for the first time or again. @param inFlight with it @param first whether nothing else awaits acknowledgment */
  sent(segment: SentSegment, inFlight: number, first: boolean, notes: FlightNotes): void {
    if (first) this.begin(notes, segment.sentAt, inFlight);
    segment.priorDelivered = this.delivered;
    segment.priorDeliveredAt = notes.deliveredAt;
    segment.priorSentAt = notes.firstSentAt;
    segment.priorLost = this.lost;
    segment.inFlight = inFlight;
    segment.appLimited = this.appLimitedUntil > 0;
  }

  /** A whole segment turns out to be delivered, by the acknowledgment number or selectively: called once for each. */
  arrived(segment: SentSegment, notes: FlightNotes): void {
    this.delivered += segment.span;
    if (notes.fresh && !isNewer(segment, notes)) return;
    notes.fresh = true;
    newest.end = segment.end;
    newest.deliveredAt = segment.priorDeliveredAt;
    newest.sendElapsed = segment.sentAt - segment.priorSentAt;
    notes.priorDelivered = segment.priorDelivered;
    notes.sentInFlight = segment.inFlight;
    notes.priorLost = segment.priorLost;
    notes.wasAppLimited = segment.appLimited;
    notes.firstSentAt = segment.sentAt;
  }

  /** Part of a segment turns out to be delivered. */
  arrivedPartly(bytes: number): void {
    this.delivered += bytes;
  }

  /**
   * Everything that the acknowledgment delivers has been told: fills in what it says of the rate, and what was lost since the last one.
   *
   * @param minRtt the least round-trip time: a sample over less time than that says nothing
   */
  fill(ack: Acknowledgment, minRtt: number, notes: FlightNotes): void {
    const { priorDelivered } = notes;
    ack.rate = 0;
    ack.rateIsAppLimited = notes.wasAppLimited;
    ack.roundStart = false;
    ack.sampled = notes.fresh;
    ack.lost = this.lost - this.lostTold;
    this.lostTold = this.lost;
    if (notes.fresh) {
      notes.fresh = false;
      const elapsed = Math.max(newest.sendElapsed, ack.now - newest.deliveredAt);
      notes.deliveredAt = ack.now;
      // A least time that is not known yet forbids nothing.
      if (elapsed > 0 && (elapsed >= minRtt || minRtt === Number.POSITIVE_INFINITY)) {
        ack.rate = (this.delivered - priorDelivered) / elapsed;
        this.keep(ack.rate, notes.wasAppLimited);
      }
      if (priorDelivered >= this.roundEnd) {
        this.roundEnd = this.delivered;
        ack.roundStart = true;
      }
    }
    if (this.appLimitedUntil > 0 && this.delivered > this.appLimitedUntil) this.appLimitedUntil = 0;
    ack.totalDelivered = this.delivered;
    ack.priorDelivered = priorDelivered;
    ack.sentInFlight = notes.sentInFlight;
    ack.lostSinceSent = this.lost - notes.priorLost;
  }

  private begin(notes: FlightNotes, now: number, inFlight: number): void {
    notes.firstSentAt = notes.deliveredAt = now;
    notes.fresh = false;
    notes.priorDelivered = this.delivered;
    notes.sentInFlight = inFlight;
    notes.priorLost = this.lost;
    notes.wasAppLimited = this.appLimitedUntil > 0;
  }

  /** What was lost until now is not the network's fault: no acknowledgment tells of it. */
  excuse(): void {
    this.lostTold = this.lost;
  }

  private keep(rate: number, isAppLimited: boolean): void {
    if (isAppLimited && rate < this.rate) return;
    this.rate = rate;
    this.rateIsAppLimited = isAppLimited;
  }

  /** The application has nothing to send though the window has room: what is in flight now is not a measure of the path. */
  limitedByApplication(inFlight: number): void {
    this.appLimitedUntil = Math.max(1, this.delivered + inFlight);
  }
}

function isNewer(segment: SentSegment, { firstSentAt }: FlightNotes): boolean {
  if (segment.sentAt !== firstSentAt) return segment.sentAt > firstSentAt;
  return after(segment.end, newest.end);
}
