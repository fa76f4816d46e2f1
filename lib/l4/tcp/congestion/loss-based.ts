/**
 * What controls that take losses for congestion have in common (RFC 5681): slow start with appropriate byte counting (RFC 3465) and an early
 * exit (`hystart`), what a timeout and a pause do, and the way back from a reduction that was for nothing. How the window grows in congestion
 * avoidance, and by how much it shrinks, is theirs.
 */

import {
  type Acknowledgment,
  type Congestion,
  type CongestionSettings,
  type CongestionSignal,
  UNLIMITED,
} from './congestion.js';
import { HyStart } from './hystart.js';
import { WindowValidation } from './validation.js';

/** What {@link LossBased.undo} goes back to. */
interface Prior {
  readonly cwnd: number;
  readonly ssthresh: number;
}

/** The window of a control that reacts to losses. */
export abstract class LossBased implements Congestion {
  cwnd: number;
  ssthresh: number = UNLIMITED;
  protected mss: number;
  protected readonly settings: CongestionSettings;
  /** What a pause leaves of the window: the initial one. */
  private readonly restart: number;
  /** In the slow start that follows a timeout. */
  private afterTimeout = false;
  private hystart: HyStart | undefined = undefined;
  private readonly validation: WindowValidation | undefined;
  /** There once the window was reduced. */
  private prior: Prior | undefined = undefined;

  constructor(mss: number, initialWindow: number, settings: CongestionSettings) {
    this.mss = mss;
    this.cwnd = this.restart = initialWindow;
    this.settings = settings;
    this.validation = settings.windowValidation ? new WindowValidation() : undefined;
  }

  abstract get name(): string;
  get pacingRate(): number {
    return 0;
  }
  get ownsRecovery(): boolean {
    return false;
  }

  /** Segments that one acknowledgment may add in slow start, unless the settings say. */
  protected abstract get perAck(): number;
  /** Whether it looks for an early exit from slow start. */
  protected abstract get hystartOn(): boolean;
  /** The window grows in congestion avoidance. @param delivered bytes that slow start did not use up */
  protected abstract avoid(delivered: number, ack: Acknowledgment): void;
  /** What is left of the window after a congestion signal. @param flight bytes in flight */
  protected abstract reduced(flight: number): number;
  /** The window was not used until now, so its growth pauses. */
  protected abstract unused(now: number): void;
  /** A reduction is due; what {@link undo} needs is to be kept. @param timeout whether the retransmission timer says so */
  protected abstract reducing(timeout: boolean): void;

  acknowledged(ack: Acknowledgment): void {
    const { validation } = this;
    validation?.acknowledged(ack, this.cwnd);
    // RFC 9438 5.8, RFC 7661 4.4: a window that was not used says nothing about the network.
    if (!ack.limited || validation?.valid === false) {
      this.unused(ack.now);
      if (validation !== undefined) this.age(validation, ack.now);
      return;
    }
    let rest = ack.delivered;
    if (this.cwnd < this.ssthresh) {
      rest = this.slowStart(ack);
      if (rest <= 0) return;
    }
    this.afterTimeout = false;
    this.avoid(rest, ack);
  }

  /** Returns the bytes that the threshold left over. */
  private slowStart(ack: Acknowledgment): number {
    // RFC 3465 2.3: after a timeout one segment, since an acknowledgment may cover much that had arrived before. A limit that was set is the user's.
    const { slowStartLimit } = this.settings;
    const perAck = slowStartLimit > 0 ? slowStartLimit : this.afterTimeout ? 1 : this.perAck;
    let step = Math.min(ack.delivered, perAck * this.mss);
    // RFC 9406 4.3: only while the threshold is a guess.
    const searching = this.hystartOn && this.ssthresh === UNLIMITED;
    if (searching) {
      this.hystart ??= new HyStart();
      step = this.hystart.grow(step, ack);
    }
    const grown = Math.min(this.cwnd + step, this.ssthresh);
    const rest = this.cwnd + step - grown;
    this.cwnd = grown;
    if (searching && this.hystart?.done === true) {
      this.ssthresh = grown;
      this.hystart = undefined;
    }
    return rest;
  }

  congested(_signal: CongestionSignal, flight: number, _now: number): void {
    this.reduce(flight, false);
  }

  recovered(_flight: number, _now: number): void {
    // RFC 6582 3.2 step 3 (2), RFC 6937: what was in flight has been brought down to this meanwhile.
    // Segments may have become larger since the threshold was set.
    this.cwnd = Math.max(this.mss, this.ssthresh);
  }

  timeout(flight: number, again: boolean, _now: number): void {
    if (!again) this.reduce(flight, true);
    this.cwnd = this.mss;
    this.afterTimeout = true;
  }

  private reduce(flight: number, timeout: boolean): void {
    const { cwnd, ssthresh } = this;
    this.prior = { cwnd, ssthresh };
    this.reducing(timeout);
    const { validation } = this;
    // RFC 7661 4.4.1: from what was proven to fit, if the window was not.
    const safe = validation?.valid === false ? validation.proven(flight) / 2 : Number.POSITIVE_INFINITY;
    this.ssthresh = Math.max(Math.floor(Math.min(safe, this.reduced(Math.min(flight, this.cwnd)))), 2 * this.mss);
    validation?.forget();
    this.hystart = undefined;
  }

  undo(_now: number): void {
    const { prior } = this;
    if (prior !== undefined) {
      this.cwnd = Math.max(this.cwnd, prior.cwnd);
      this.ssthresh = Math.max(this.ssthresh, prior.ssthresh);
    }
    this.afterTimeout = false;
  }

  idle(pause: number, rto: number, now: number): void {
    this.unused(now);
    const { validation } = this;
    if (validation !== undefined) this.age(validation, now);
    else if (this.settings.slowStartAfterIdle && pause > rto) this.shrink(0);
  }

  /** RFC 7661 4.4.3: unused for minutes, or less than half used, a window is halved, but not less. */
  private age(validation: WindowValidation, now: number): void {
    if (validation.expire(now)) this.shrink(Math.floor(this.cwnd / 2));
  }

  /** After a pause the window is small again, but the way back to most of what it was is quick. */
  private shrink(to: number): void {
    const cwnd = Math.min(this.cwnd, Math.max(to, this.restart, this.mss));
    if (cwnd === this.cwnd) return;
    this.ssthresh = Math.max(this.ssthresh, Math.floor((3 * this.cwnd) / 4));
    this.cwnd = cwnd;
    this.restarted();
  }

  /** A pause made the window smaller. */
  protected abstract restarted(): void;

  resize(mss: number): void {
    // Larger segments are no reason for more bytes in flight (RFC 4821 7.2).
    if (mss < this.mss) this.cwnd = Math.floor(this.cwnd / this.mss) * mss;
    this.cwnd = Math.max(mss, this.cwnd);
    this.mss = mss;
  }
}
