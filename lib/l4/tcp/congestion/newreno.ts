/** Slow start and congestion avoidance (RFC 5681), with appropriate byte counting (RFC 3465). */

import type { Acknowledgment, Congestion, CongestionSignal } from './congestion.js';

/** NewReno's window. */
export class NewReno implements Congestion {
  readonly name = 'newreno';
  readonly pacingRate = 0;
  readonly ownsRecovery = false;
  cwnd: number;
  ssthresh: number = Number.MAX_SAFE_INTEGER;
  private priorCwnd = 0;
  private priorSsthresh = 0;
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

  acknowledged({ delivered, limited }: Acknowledgment): void {
    // RFC 7661: a window that was not used says nothing about the network.
    if (!limited) return;
    if (this.cwnd < this.ssthresh) {
      // Two, so that delayed ACKs do not halve the growth.
      this.cwnd += Math.min(delivered, this.perAck * this.mss);
      return;
    }
    this.perAck = 2;
    this.credit += delivered;
    if (this.credit >= this.cwnd) {
      this.credit -= this.cwnd;
      this.cwnd += this.mss;
    }
  }

  congested(_signal: CongestionSignal, flight: number, _now: number): void {
    this.remember();
    this.ssthresh = this.halved(flight);
    this.credit = 0;
  }

  recovered(flight: number): void {
    // RFC 6582 3.2 step 3 (1): no burst after a window that is nearly empty.
    this.cwnd = Math.min(this.ssthresh, Math.max(flight, this.mss) + this.mss);
  }

  timeout(flight: number, again: boolean): void {
    if (!again) {
      this.remember();
      this.ssthresh = this.halved(flight);
    }
    this.cwnd = this.mss;
    this.credit = 0;
    this.perAck = 1;
  }

  undo(): void {
    this.cwnd = Math.max(this.cwnd, this.priorCwnd);
    this.ssthresh = Math.max(this.ssthresh, this.priorSsthresh);
  }

  idle(pause: number, rto: number): void {
    if (pause <= rto) return;
    this.cwnd = Math.min(this.cwnd, this.restart);
  }

  resize(mss: number): void {
    // Larger segments are no reason for more bytes in flight (RFC 4821 7.2).
    if (mss < this.mss) this.cwnd = Math.floor(this.cwnd / this.mss) * mss;
    this.cwnd = Math.max(mss, this.cwnd);
    this.mss = mss;
  }

  private remember(): void {
    this.priorCwnd = this.cwnd;
    this.priorSsthresh = this.ssthresh;
  }

  private halved(flight: number): number {
    return Math.max(Math.floor(flight / 2), 2 * this.mss);
  }
}
