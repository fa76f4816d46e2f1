/** The retransmission timeout (RFC 6298) with the finer smoothing that several samples per round trip need (RFC 7323 G). */

import type { TcpConfig } from './options.js';

// RFC 6298 2: the clock granularity G, in milliseconds.
const GRANULARITY = 1;

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
  private readonly config: TcpConfig;

  constructor(config: TcpConfig) {
    this.config = config;
    this.base = config.initialRto;
  }

  /** The current timeout: doubled per backoff, within the limits. */
  get rto(): number {
    const { maxRto, rtoSlop } = this.config;
    const doubled = this.base * 2 ** Math.min(this.backoffs, 30);
    return Math.min(maxRto, this.srtt < 0 ? doubled : doubled + rtoSlop);
  }

  /** A segment took `rtt` there and its acknowledgment back. */
  observe(rtt: number): void {
    if (rtt < this.minRtt) this.minRtt = rtt;
  }

  /** Takes in one measurement of segments sent once only (Karn), or echoed in a timestamp. @param expected samples per flight */
  sample(rtt: number, expected = 1): void {
    this.observe(rtt);
    if (this.srtt < 0) {
      this.srtt = rtt;
      this.rttvar = rtt / 2;
    } else {
      this.rttvar += (Math.abs(this.srtt - rtt) - this.rttvar) / (4 * expected);
      this.srtt += (rtt - this.srtt) / (8 * expected);
    }
    const { minRto, maxRto, rtoSlop } = this.config;
    // The floor lies under the variance, as with Linux: a steady path whose time is near the minimum would time out at a trifle.
    const measured =
      rtoSlop > 0
        ? Math.max(minRto, this.srtt + 4 * this.rttvar)
        : this.srtt + Math.max(GRANULARITY, minRto, 4 * this.rttvar);
    this.base = Math.min(maxRto, measured);
    // RFC 6298 5: only a valid measurement takes back the backoff.
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
