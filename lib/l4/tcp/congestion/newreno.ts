/** Congestion avoidance by the book (RFC 5681): a segment more every round trip, half of what was in flight after a loss. */

import type { Acknowledgment, CongestionFactory } from './congestion.js';
import { LossBased } from './loss-based.js';

// RFC 3465 2.2, 2.3: two, so that delayed acknowledgments do not halve the growth of slow start.
const SEGMENTS_PER_ACK = 2;

/** NewReno's window. */
export class NewReno extends LossBased {
  /** Bytes acknowledged in congestion avoidance since the window last grew (RFC 5681 3.1, appropriate byte counting). */
  private credit = 0;

  get name(): string {
    return 'newreno';
  }
  protected get perAck(): number {
    return SEGMENTS_PER_ACK;
  }
  protected get hystartOn(): boolean {
    return false;
  }

  protected avoid(delivered: number, _ack: Acknowledgment): void {
    this.credit += delivered;
    if (this.credit < this.cwnd) return;
    this.credit -= this.cwnd;
    this.cwnd += this.mss;
  }

  protected reduced(flight: number): number {
    const { cwnd, mss, settings } = this;
    return settings.halve === 'window' ? Math.floor(cwnd / (2 * mss)) * mss : Math.floor(flight / 2);
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
