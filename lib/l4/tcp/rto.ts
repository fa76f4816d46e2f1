/** The retransmission timeout (RFC 6298) with the finer smoothing that several samples per round trip need (RFC 7323 G). */

import type { TcpConfig } from './options.js';
import { after } from './seq.js';

// RFC 6298 2: the clock granularity G, in milliseconds.
const GRANULARITY = 1;

/** What of a connection's sequence space tells when a round trip is over. */
interface Progress {
  readonly una: number;
  readonly nxt: number;
}

/**
 * The variation of round-trip times as Linux has it: every sample counts in full, and what is added to the round-trip time is four times the
 * largest mean deviation of the last round trips, which falls by a quarter of the difference a round trip. Times in milliseconds.
 */
class PeakVariation {
  /** Four times the mean deviation; the most of it in this round trip; and what goes into the timeout. */
  private mean: number;
  private most: number;
  peak: number;
  private roundEnd: number;

  constructor(rtt: number, minRto: number, nxt: number) {
    this.mean = 2 * rtt;
    this.most = this.peak = Math.max(this.mean, minRto);
    this.roundEnd = nxt;
  }

  /** @param difference of the sample to the smoothed round-trip time. Returns the mean deviation */
  add(difference: number, minRto: number, { una, nxt }: Progress): number {
    const change = Math.abs(difference) - this.mean / 4;
    // A path that became faster is no sign of variation.
    this.mean += difference < 0 && change > 0 ? change / 8 : change;
    if (this.mean > this.most) {
      this.most = this.mean;
      this.peak = Math.max(this.peak, this.most);
    }
    if (after(una, this.roundEnd)) {
      this.peak -= Math.max(0, this.peak - this.most) / 4;
      this.roundEnd = nxt;
      this.most = minRto;
    }
    return this.mean / 4;
  }
}

/** Estimates the round-trip time of one connection. Times in milliseconds. */
export class RttEstimator {
  /** Smoothed round-trip time, or -1 before the first sample. */
  srtt = -1;
  rttvar = 0;
  /** Smallest round-trip time seen, or `Infinity`. */
  minRtt: number = Number.POSITIVE_INFINITY;
  /** The timeout without its backoff. */
  private base: number;
  /** How often the timeout was doubled since the last valid sample. */
  backoffs = 0;
  private variation: PeakVariation | undefined = undefined;
  private readonly config: TcpConfig;

  constructor(config: TcpConfig) {
    this.config = config;
    this.base = config.initialRto;
  }

  /** The current timeout: doubled per backoff, within the limits. */
  get rto(): number {
    const { maxRto, rtoSlop } = this.config;
    const { base, backoffs } = this;
    const doubled = backoffs === 0 ? base : base * 2 ** Math.min(backoffs, 30);
    return Math.min(maxRto, this.srtt < 0 ? doubled : doubled + rtoSlop);
  }

  /** A segment took `rtt` there and its acknowledgment back. */
  observe(rtt: number): void {
    if (rtt < this.minRtt) this.minRtt = rtt;
  }

  /**
   * The sample that the echo of a timestamp is, since which our timestamp clock moved on by `ticks`: no less than one, which is all that this
   * clock can tell apart (RFC 7323 4), nor than the smallest time that was measured more finely.
   */
  echoed(ticks: number): number {
    const { minRtt } = this;
    return Math.max(GRANULARITY, ticks, minRtt === Number.POSITIVE_INFINITY ? 0 : minRtt);
  }

  /**
   * Takes in one measurement of segments sent once only (Karn), or echoed in a timestamp.
   *
   * @param expected samples per flight @param progress of the connection when it was taken
   */
  sample(rtt: number, expected: number, progress: Progress): void {
    this.observe(rtt);
    const { minRto, maxRto, rtoSlop, peakVariation } = this.config;
    if (peakVariation) {
      this.samplePeak(rtt, progress);
      return;
    }
    if (this.srtt < 0) {
      this.srtt = rtt;
      this.rttvar = rtt / 2;
    } else {
      this.rttvar += (Math.abs(this.srtt - rtt) - this.rttvar) / (4 * expected);
      this.srtt += (rtt - this.srtt) / (8 * expected);
    }
    // The floor lies under the variance, as with Linux: a steady path whose time is near the minimum would time out at a trifle.
    const measured =
      rtoSlop > 0
        ? Math.max(minRto, this.srtt + 4 * this.rttvar)
        : this.srtt + Math.max(GRANULARITY, minRto, 4 * this.rttvar);
    this.base = Math.min(maxRto, measured);
    // RFC 6298 5: only a valid measurement takes back the backoff.
    this.backoffs = 0;
  }

  private samplePeak(rtt: number, progress: Progress): void {
    const { minRto, maxRto } = this.config;
    if (this.variation === undefined) {
      this.srtt = rtt;
      this.rttvar = rtt / 2;
      this.variation = new PeakVariation(rtt, minRto, progress.nxt);
    } else {
      const difference = rtt - this.srtt;
      this.srtt += difference / 8;
      this.rttvar = this.variation.add(difference, minRto, progress);
    }
    this.base = Math.min(maxRto, this.srtt + this.variation.peak);
    this.backoffs = 0;
  }

  /** Doubles the timeout. */
  backOff(): void {
    this.backoffs++;
  }

  /** RFC 6298 5.7: the handshake had to be retransmitted and gave no sample. */
  restartAfterLostSyn(): void {
    this.backoffs = 0;
    if (this.srtt < 0 && this.base < 3000) this.base = Math.min(3000, this.config.maxRto);
  }
}
