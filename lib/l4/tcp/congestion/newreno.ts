/** Slow start, congestion avoidance and window arithmetic of fast recovery (RFC 5681, RFC 6582). */

import type { Congestion } from './congestion.js';

/** NewReno's window. */
export class NewReno implements Congestion {
  cwnd: number;
  ssthresh: number = Number.MAX_SAFE_INTEGER;
  private mss: number;
  private readonly restart: number;
  /** Bytes acknowledged in congestion avoidance since the window last grew (RFC 5681 3.1, appropriate byte counting). */
  private credit = 0;
  /** Segments that one acknowledgment may add in slow start (RFC 3465 2.2, 2.3): two, but one after a timeout. */
  private perAck = 2;

  constructor(mss: number, initialWindow: number) {
    this.mss = mss;
    this.cwnd = initialWindow;
    this.restart = initialWindow;
  }

  acknowledged(bytes: number, limited: boolean): void {
    // RFC 7661: a window that was not used says nothing about the network.
    if (!limited) return;
    if (this.cwnd < this.ssthresh) {
      // Two, so that delayed ACKs do not halve the growth.
      this.cwnd += Math.min(bytes, this.perAck * this.mss);
      return;
    }
    this.perAck = 2;
    this.credit += bytes;
    if (this.credit >= this.cwnd) {
      this.credit -= this.cwnd;
      this.cwnd += this.mss;
    }
  }

  enterRecovery(flight: number): void {
    this.ssthresh = this.halved(flight);
    this.cwnd = this.ssthresh + 3 * this.mss;
    this.credit = 0;
  }

  duplicate(): void {
    this.cwnd += this.mss;
  }

  partial(bytes: number): void {
    // RFC 6582 3.2 step 3: deflate by what was acknowledged, and back one segment if that was at least one.
    this.cwnd = Math.max(this.mss, this.cwnd - bytes + (bytes >= this.mss ? this.mss : 0));
  }

  exitRecovery(flight: number): void {
    // RFC 6582 3.2 step 3 (1): no burst after a window that is nearly empty.
    this.cwnd = Math.min(this.ssthresh, Math.max(flight, this.mss) + this.mss);
  }

  timeout(flight: number, again: boolean): void {
    if (!again) this.ssthresh = this.halved(flight);
    this.cwnd = this.mss;
    this.credit = 0;
    this.perAck = 1;
  }

  idle(): void {
    this.cwnd = Math.min(this.cwnd, this.restart);
  }

  resize(mss: number): void {
    // Larger segments are no reason for more bytes in flight (RFC 4821 7.2).
    if (mss < this.mss) this.cwnd = Math.floor(this.cwnd / this.mss) * mss;
    this.cwnd = Math.max(mss, this.cwnd);
    this.mss = mss;
  }

  private halved(flight: number): number {
    return Math.max(Math.floor(flight / 2), 2 * this.mss);
  }
}
