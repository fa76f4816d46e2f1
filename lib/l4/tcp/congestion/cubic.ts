/**
 * CUBIC (RFC 9438): after a reduction the window grows as a cubic function of the time since then: fast up to near where the loss was,
 * slowly around it, then fast again; and at least as fast as Reno's would. It thus fills long fat paths whatever their round-trip time.
 *
 * The window grows by whole segments, as Linux counts it.
 */

import type { Acknowledgment, CongestionFactory } from './congestion.js';
import { LossBased } from './loss-based.js';

// RFC 9438 4.1: C, in segments per cubic second.
const C = 0.4;
// RFC 9438 4.6: what a reduction leaves of the window. As a fraction, so that nothing is lost to rounding.
const BETA_TENTHS = 7;
const BETA: number = BETA_TENTHS / 10;
// RFC 9438 4.3: so that the average window in Reno's region is that of Reno, which halves.
const ALPHA = (3 * (1 - BETA)) / (1 + BETA);
// RFC 9438 4.2: no faster than half a window per round trip.
const MAX_TARGET = 1.5;
// RFC 9406 4.2: segments that one acknowledgment may add in slow start, where nothing paces.
const SEGMENTS_PER_ACK = 8;
const CUBIC_MILLISECONDS = 1e9;

/** A stage of congestion avoidance: from when on its curve is followed. */
class Epoch {
  startedAt: number;
  /** When the curve is back at its plateau, in ms after the start (K); and the plateau, in bytes. */
  readonly k: number;
  readonly plateau: number;
  /** The window that Reno would have (W_est). */
  reno: number;
  /** Growth that is not yet a whole segment, in bytes. */
  credit = 0;
  /** When the window last grew, or could have. */
  acknowledgedAt: number;

  /** @param max the window at which the last loss came, or 0 */
  constructor(now: number, cwnd: number, max: number, mss: number) {
    this.startedAt = this.acknowledgedAt = now;
    // RFC 9438 4.2, 4.8, 4.10: without a loss, or beyond where it was, the curve begins at its plateau.
    this.plateau = Math.max(max, cwnd);
    this.k = max > cwnd ? 1000 * Math.cbrt((max - cwnd) / (C * mss)) : 0;
    this.reno = cwnd;
  }
}

/** What {@link Cubic.undo} goes back to. */
interface PriorCurve {
  readonly max: number;
  readonly before: number;
  readonly epoch: Epoch | undefined;
}

/** CUBIC's window. */
export class Cubic extends LossBased {
  /** The window before the last reduction (W_max), perhaps less, for fast convergence; 0: unknown. */
  private max = 0;
  /** The window before the last reduction. */
  private before = 0;
  private epoch: Epoch | undefined = undefined;
  private srtt = -1;
  /** There once the window was reduced. */
  private priorCurve: PriorCurve | undefined = undefined;

  get name(): string {
    return 'cubic';
  }
  protected get perAck(): number {
    return this.settings.pacing === true ? Number.POSITIVE_INFINITY : SEGMENTS_PER_ACK;
  }
  protected get hystartOn(): boolean {
    return this.settings.hystart;
  }

  override acknowledged(ack: Acknowledgment): void {
    if (ack.rtt >= 0) this.srtt = this.srtt < 0 ? ack.rtt : this.srtt + (ack.rtt - this.srtt) / 8;
    super.acknowledged(ack);
  }

  protected avoid(delivered: number, { now }: Acknowledgment): void {
    const { mss, cwnd } = this;
    this.epoch ??= new Epoch(now, cwnd, this.max, mss);
    const { epoch } = this;
    epoch.acknowledgedAt = now;
    // RFC 9438 4.3: once it is where the last loss was, Reno's window grows as Reno's.
    epoch.reno += ((epoch.reno >= this.before ? 1 : ALPHA) * mss * delivered) / cwnd;
    const sincePlateau = now - epoch.startedAt - epoch.k;
    const window = curve(sincePlateau, mss) + epoch.plateau;
    if (window < epoch.reno) epoch.credit = Math.max(epoch.credit, epoch.reno - cwnd);
    else {
      const next = curve(sincePlateau + Math.max(0, this.srtt), mss) + epoch.plateau;
      const target = next < cwnd ? cwnd : next > MAX_TARGET * cwnd ? MAX_TARGET * cwnd : next;
      epoch.credit += ((target - cwnd) * delivered) / cwnd;
    }
    if (epoch.credit < mss) return;
    const growth = Math.floor(epoch.credit / mss) * mss;
    epoch.credit -= growth;
    this.cwnd += growth;
  }

  protected reduced(_flight: number): number {
    // RFC 9438 4.6 lets the window stand for what is in flight where it does not grow unused. Whole segments.
    return Math.floor((BETA_TENTHS * this.cwnd) / (10 * this.mss)) * this.mss;
  }

  protected reducing(timeout: boolean): void {
    const { cwnd, max, before, epoch } = this;
    this.priorCurve = { max, before, epoch };
    this.before = cwnd;
    // RFC 9438 4.7: whoever did not get to where he was gives room to the newcomers. 4.8: a timeout voids what was known.
    if (timeout) this.max = 0;
    else this.max = cwnd < max ? (cwnd * (1 + BETA)) / 2 : cwnd;
    this.restarted();
  }

  protected restarted(): void {
    this.epoch = undefined;
  }

  /** RFC 9438 4.2: time during which the window was not used does not count. */
  protected unused(now: number): void {
    const { epoch } = this;
    if (epoch === undefined) return;
    epoch.startedAt = Math.min(now, epoch.startedAt + now - epoch.acknowledgedAt);
    epoch.acknowledgedAt = now;
  }

  // RFC 9438 4.9.
  override undo(now: number): void {
    super.undo(now);
    const { priorCurve } = this;
    if (priorCurve === undefined) return;
    this.max = priorCurve.max;
    this.before = priorCurve.before;
    this.epoch = priorCurve.epoch;
    if (this.epoch !== undefined) this.epoch.credit = 0;
  }

  override resize(mss: number): void {
    super.resize(mss);
    this.restarted();
  }
}

/** How far the window is from its plateau, in bytes, `time` ms after it was there. */
function curve(time: number, mss: number): number {
  return (C * mss * time * time * time) / CUBIC_MILLISECONDS;
}

/** Makes {@link Cubic} controls. */
export const cubic: CongestionFactory = (mss, initialWindow, settings) => new Cubic(mss, initialWindow, settings);
