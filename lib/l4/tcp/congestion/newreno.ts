/** Congestion avoidance by the book (RFC 5681): a segment more every round trip, half of what was in flight after a loss. */

import type { Acknowledgment, CongestionFactory, CongestionSettings } from './congestion.js';
import { LossBased } from './loss-based.js';

// RFC 3465 2.2, 2.3: two, so that delayed acknowledgments do not halve the growth of slow start.
const SEGMENTS_PER_ACK = 2;

/** NewReno's window. */
export class NewReno extends LossBased {
  readonly name = 'newreno';
  /** Bytes acknowledged in congestion avoidance since the window last grew (RFC 5681 3.1, appropriate byte counting). */
  private credit = 0;
  private readonly halve: CongestionSettings['halve'];

  constructor(mss: number, initialWindow: number, settings: CongestionSettings) {
    super(mss, initialWindow, settings, SEGMENTS_PER_ACK, false);
    this.halve = settings.halve;
  }

  protected avoid(delivered: number, _ack: Acknowledgment): void {
    this.credit += delivered;
    if (this.credit < this.cwnd) return;
    this.credit -= this.cwnd;
    this.cwnd += this.mss;
  }

  protected reduced(flight: number): number {
    const { cwnd, mss } = this;
    return this.halve === 'window' ? Math.floor(cwnd / (2 * mss)) * mss : Math.floor(flight / 2);
  }

  protected reducing(): void {
    this.credit = 0;
  }

  protected restarted(): void {
    this.credit = 0;
  }

  protected unused(): void {
    // Nothing here depends on time.
  }
}

/** Makes {@link NewReno} controls. */
export const newReno: CongestionFactory = (mss, initialWindow, settings) => new NewReno(mss, initialWindow, settings);
