/**
 * What BBR believes of the path (draft-ietf-ccwg-bbr 5.5): its bandwidth and its least round-trip time; how much of a burst acknowledgments
 * come in; and where losses say that it is less than that, for now or until it is probed again.
 */

import type { Acknowledgment } from './congestion.js';

/** What remains after a loss of what was thought to fit. */
export const BETA = 0.7;
// Draft 5.6.2: a little less than the path delivers is sent, so that no queue stays.
export const PACING_MARGIN = 0.99;
/** The loss rate from which on too much is in flight. */
const LOSS_THRESHOLD = 0.02;
// In ms: a least round-trip time is believed so long, and looked for so often.
const MIN_RTT_LIFETIME = 10_000;
const PROBE_RTT_INTERVAL = 5000;
/** Rounds after which a burst of acknowledgments is forgotten: two halves of ten. */
const BURST_ROUNDS = 5;
const UNKNOWN = Number.POSITIVE_INFINITY;

/** The path of one connection. Sizes in bytes, times in ms. */
export class PathModel {
  /** The most that was delivered in a ms, in this cycle of probing and the one before. */
  private rate0 = 0;
  private rate1 = 0;
  /** What losses leave of that until the next probe; and what counts, therefore. */
  rateLow: number = UNKNOWN;
  rate = 0;
  minRtt: number = UNKNOWN;
  private minRttAt = 0;
  private probedRtt: number = UNKNOWN;
  probedRttAt = 0;
  /** It is time to look for the least round-trip time. */
  minRttIsOld = false;
  /** In flight: more than `high` was too much when it was probed, more than `low` is now. */
  high: number = UNKNOWN;
  low: number = UNKNOWN;

  /** Rounds: what was sent at the beginning of one is delivered at its end. */
  roundStart = false;
  rounds = 0;
  private roundEnd = 0;
  /** Since the first loss of the round. */
  lossRoundStart = false;
  private lossRoundEnd = 0;
  lossInRound = false;
  /** Acknowledgments of this round that told of losses. */
  lossEvents = 0;
  /** What was said since the last acknowledgment: something was lost or marked; or nothing was lost after all. */
  private news: 'none' | 'loss' | 'undone' = 'none';
  private delivered = 0;
  private latestRate = 0;
  latestInFlight = 0;

  /** Delivered beyond what the rate explains: acknowledgments come in bursts. */
  private burst0 = 0;
  private burst1 = 0;
  private burstRounds = 0;
  private burstFrom = -1;
  private burstDelivered = 0;

  get maxRate(): number {
    return Math.max(this.rate0, this.rate1);
  }
  get burst(): number {
    return Math.max(this.burst0, this.burst1);
  }

  /** A round begins with what is sent from now on. */
  startRound(): void {
    this.roundEnd = this.delivered;
  }

  /** Takes in what an acknowledgment measured, before the state is looked at. @param probing whether more than usual is sent */
  measure(ack: Acknowledgment, cwnd: number, filled: boolean, probing: boolean): void {
    this.delivered = ack.totalDelivered;
    this.losses(ack);
    this.latest(ack);
    this.round(ack);
    if (ack.rate > 0 && (!ack.rateIsAppLimited || ack.rate >= this.maxRate))
      this.rate1 = Math.max(this.rate1, ack.rate);
    if (this.lossRoundStart) {
      if (!probing && this.lossInRound) this.lower(cwnd);
      this.lossInRound = false;
    }
    this.aggregate(ack, cwnd, filled);
  }

  /** The round in which the first loss was found is judged when it is over. */
  private losses({ lost }: Acknowledgment): void {
    const { news } = this;
    this.news = 'none';
    const told = lost > 0 && news !== 'undone';
    if (told) this.lossEvents++;
    if (!told && news !== 'loss') return;
    if (!this.lossInRound) this.lossRoundEnd = this.delivered;
    this.lossInRound = true;
  }

  private latest({ rate, totalDelivered, priorDelivered, sampled }: Acknowledgment): void {
    this.lossRoundStart = sampled && priorDelivered >= this.lossRoundEnd;
    if (!sampled) return;
    this.latestRate = Math.max(this.latestRate, rate);
    this.latestInFlight = Math.max(this.latestInFlight, totalDelivered - priorDelivered);
    if (this.lossRoundStart) this.lossRoundEnd = totalDelivered;
  }

  // Draft 5.5.1: what delivers nothing ends no round.
  private round({ totalDelivered, priorDelivered, sampled }: Acknowledgment): void {
    this.roundStart = sampled && priorDelivered >= this.roundEnd;
    if (!this.roundStart) return;
    this.roundEnd = totalDelivered;
    this.rounds++;
  }

  /** Something was lost, or marked: the next acknowledgment begins the round that is judged for it. */
  noteLoss(): void {
    this.news = 'loss';
  }

  /** Nothing was lost after all: neither what was told of, nor what the next acknowledgment is about to tell of. */
  undoLoss(): void {
    this.news = 'undone';
    this.lossInRound = false;
  }

  /** Draft 5.5.10.3: what was delivered in the round of the loss is all that fits for now. */
  private lower(cwnd: number): void {
    if (this.rateLow === UNKNOWN) this.rateLow = this.maxRate;
    if (this.low === UNKNOWN) this.low = cwnd;
    // What the pacing held back was not lost: else a few losses in each round would slow a flow down to nothing.
    this.rateLow = Math.max(this.latestRate / PACING_MARGIN, BETA * this.rateLow);
    this.low = Math.max(this.latestInFlight, BETA * this.low);
  }

  /** Draft 5.5.9. */
  private aggregate({ now, delivered }: Acknowledgment, cwnd: number, filled: boolean): void {
    if (this.roundStart && ++this.burstRounds >= (filled ? BURST_ROUNDS : 1)) {
      this.burstRounds = 0;
      this.burst0 = this.burst1;
      this.burst1 = 0;
    }
    let expected = this.rate * (now - this.burstFrom);
    if (this.burstFrom < 0 || this.burstDelivered <= expected) {
      this.burstFrom = now;
      this.burstDelivered = expected = 0;
    }
    this.burstDelivered += delivered;
    this.burst1 = Math.max(this.burst1, Math.min(this.burstDelivered - expected, cwnd));
  }

  /** Sending resumes: what was not acknowledged meanwhile is not owed. */
  resume(now: number): void {
    this.burstFrom = now;
    this.burstDelivered = 0;
  }

  /** Draft 5.5.7. */
  measureRtt({ now, rtt }: Acknowledgment): void {
    this.minRttIsOld = now > this.probedRttAt + PROBE_RTT_INTERVAL && this.probedRtt !== UNKNOWN;
    if (rtt >= 0 && (rtt < this.probedRtt || this.minRttIsOld)) {
      this.probedRtt = rtt;
      this.probedRttAt = now;
    }
    if (this.probedRtt < this.minRtt || now > this.minRttAt + MIN_RTT_LIFETIME) {
      this.minRtt = this.probedRtt;
      this.minRttAt = this.probedRttAt;
    }
  }

  /** Everything is taken in: what counts of the rate, and what the next round starts with. */
  conclude({ rate, totalDelivered, priorDelivered }: Acknowledgment): void {
    if (this.lossRoundStart) {
      this.latestRate = rate;
      this.latestInFlight = totalDelivered - priorDelivered;
      this.lossEvents = 0;
    }
    this.rate = Math.min(this.maxRate, this.rateLow);
  }

  /** A cycle of probing is over: only the two last count. */
  advanceCycle(): void {
    if (this.rate1 === 0) return;
    this.rate0 = this.rate1;
    this.rate1 = 0;
  }

  /** What losses said since the last probe is void. */
  forgetLosses(): void {
    this.lossInRound = false;
    this.latestRate = this.latestInFlight = 0;
  }
  forgetLow(): void {
    this.rateLow = this.low = UNKNOWN;
  }

  /** Whether of what was in flight with the segment just delivered too much was lost. */
  isTooMuch({ lostSinceSent, sentInFlight }: Acknowledgment): boolean {
    return lostSinceSent > LOSS_THRESHOLD * sentInFlight;
  }

  /** Bytes that fill the path; `unknown` before it was measured. */
  product(unknown: number): number {
    return this.minRtt === UNKNOWN || this.rate === 0 ? unknown : this.rate * this.minRtt;
  }
}
