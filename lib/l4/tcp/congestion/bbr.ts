/**
 * BBR, version 3 (draft-ietf-ccwg-bbr): sends at the rate at which the path delivers, and keeps about as much in flight as fills it, whatever
 * is lost on the way up to a few percent. To learn both it probes: for more bandwidth every few seconds, by sending faster for some round
 * trips; for the round-trip time without a queue every five seconds, by sending little for a moment, unless the application paused anyway.
 *
 * Marks of ECN count as losses, whatever their number: the draft leaves that open (3.7). What it has, as of its version 06, and is not here:
 *
 * - A loss is judged by what was in flight when the lost packet was sent (5.5.10.2, `InflightAtLoss`). Here it is by what was when that was sent
 *   whose arrival is acknowledged; where recovery waited before it believed in the loss, that was later, and the bound may be too low.
 * - Startup counts the gaps that a round's losses leave (5.3.1.3). Here it counts the acknowledgments that told of losses.
 * - Without selective acknowledgments any loss ends Startup, or a probe (5.3.1.3, 5.5.10.2). Here it takes one in fifty as with them.
 * - Drain ends after three rounds at the latest (5.3.2). Here only when the queue is gone.
 * - After a probe that lost too much the next one stops short (5.3.3.6, precautionary bandwidth probing).
 */

import type { Random } from '../../../core/random.js';
import { BETA, PACING_MARGIN, PathModel } from './bbr-model.js';
import {
  type Acknowledgment,
  type Congestion,
  type CongestionFactory,
  type CongestionSignal,
  UNLIMITED,
} from './congestion.js';

/** What BBR is about. The names are the draft's. */
export type BbrState =
  | 'Startup'
  | 'Drain'
  | 'ProbeBW_DOWN'
  | 'ProbeBW_CRUISE'
  | 'ProbeBW_REFILL'
  | 'ProbeBW_UP'
  | 'ProbeRTT';

/** Pacing and window as multiples of the bandwidth and of what fills the path (draft 2.4, 5.6.1). */
const GAINS: Readonly<Record<BbrState, readonly [pacing: number, window: number]>> = {
  Startup: [2.77, 2],
  Drain: [0.5, 2],
  ProbeBW_DOWN: [0.9, 2],
  ProbeBW_CRUISE: [1, 2],
  ProbeBW_REFILL: [1, 2],
  ProbeBW_UP: [1.25, 2.25],
  ProbeRTT: [1, 0.5],
};
// Draft 5.3.1.2: the pipe is full when three rounds did not bring a quarter more.
const FULL_GROWTH = 1.25;
const FULL_ROUNDS = 3;
// Draft 5.3.1.3: or when so many acknowledgments of a round tell of losses.
const FULL_LOSSES = 6;
const HEADROOM = 0.15;
const PROBE_RTT_DURATION = 200;
// Draft 5.3.3.5.1: at least so often a probe; in ms, and in rounds, as often as Reno would fill a path of this size.
const PROBE_WAIT = 2000;
const PROBE_WAIT_SPREAD = 1000;
const MAX_RENO_ROUNDS = 63;
const MAX_UP_ROUNDS = 30;
const MIN_SEGMENTS = 4;
const MAX_QUANTUM = 65_536;
const UNKNOWN = Number.POSITIVE_INFINITY;

/** Where the acknowledgments of a probe for bandwidth are. */
type Feedback = 'none' | 'refilling' | 'starting' | 'coming' | 'stopping';

/** BBR's window and rate. */
export class Bbr implements Congestion {
  readonly name = 'bbr';
  readonly ownsRecovery = true;
  /** BBR knows no threshold. */
  readonly ssthresh: number = UNLIMITED;
  cwnd: number;
  pacingRate: number;
  state: BbrState = 'Startup';
  holdsBack = false;
  readonly path: PathModel = new PathModel();
  private mss: number;
  private readonly initialWindow: number;
  private readonly random: Random;
  private priorCwnd = 0;
  private inRecovery = false;
  /** The pipe was filled once; it seems full now; the rate to beat, and for how many rounds it was not. */
  private filled = false;
  private fullNow = false;
  private fullRate = 0;
  private fullRounds = 0;
  /** The probe for bandwidth: since when the cycle lasts, when the next is due, and what the acknowledgments are about. */
  private cycleAt = 0;
  private probeWait = 0;
  private roundsSinceProbe = 0;
  private feedback: Feedback = 'none';
  private probeCounts = false;
  private upRounds = 0;
  private upAcked = 0;
  private upStep: number = UNKNOWN;
  /** ProbeRTT ends then, once a round is over; 0: not yet known. */
  private probeRttDone = 0;
  private probeRttRound = false;
  private resuming = false;
  /** The probe that losses ended since recovery began. */
  private ended: 'Startup' | 'ProbeBW_UP' | undefined = undefined;
  private priorLow: number = UNKNOWN;
  private priorHigh: number = UNKNOWN;
  private priorRateLow: number = UNKNOWN;

  constructor(mss: number, initialWindow: number, random: Random) {
    this.mss = mss;
    this.cwnd = this.initialWindow = initialWindow;
    this.random = random;
    // Draft 5.6.2: as if a round trip took 1 ms, until one is measured.
    this.pacingRate = GAINS.Startup[0] * initialWindow;
  }

  acknowledged(ack: Acknowledgment): void {
    const { path, cwnd } = this;
    if (path.minRtt === UNKNOWN && ack.rtt > 0) this.pacingRate = (GAINS.Startup[0] * this.initialWindow) / ack.rtt;
    path.measure(ack, cwnd, this.filled, this.isProbing());
    if (path.roundStart) this.roundsSinceProbe++;
    this.checkFull(ack);
    this.checkStartup(ack);
    if (this.state === 'Drain' && ack.inFlight <= this.inflight(1)) this.probeDown(ack.now);
    if (this.filled) this.adapt(ack);
    path.measureRtt(ack);
    this.checkProbeRtt(ack);
    path.conclude(ack);
    this.setPacingRate();
    this.setWindow(ack);
  }

  /** More is sent than is known to fit. */
  private isProbing(): boolean {
    return this.state === 'Startup' || this.state === 'ProbeBW_REFILL' || this.state === 'ProbeBW_UP';
  }

  private get isInProbeBw(): boolean {
    return this.state !== 'Startup' && this.state !== 'Drain' && this.state !== 'ProbeRTT';
  }

  // Startup and Drain (draft 5.3.1, 5.3.2).

  private resetFull(rate: number): void {
    this.fullRate = rate;
    this.fullRounds = 0;
    this.fullNow = false;
  }

  private checkFull({ rate, rateIsAppLimited }: Acknowledgment): void {
    if (this.fullNow || !this.path.roundStart || rateIsAppLimited || rate === 0) return;
    if (rate >= this.fullRate * FULL_GROWTH) {
      this.resetFull(rate);
      return;
    }
    this.fullNow = ++this.fullRounds >= FULL_ROUNDS;
    if (this.fullNow) this.filled = true;
  }

  private checkStartup(ack: Acknowledgment): void {
    const { path } = this;
    if (this.state !== 'Startup') return;
    const lossy = path.lossRoundStart && this.inRecovery && path.lossEvents >= FULL_LOSSES && path.isTooMuch(ack);
    if (!this.filled && lossy) {
      this.filled = true;
      this.ended = 'Startup';
      path.high = Math.max(path.product(this.initialWindow), path.latestInFlight);
    }
    if (this.filled) this.state = 'Drain';
  }

  // The cycle of probing for bandwidth (draft 5.3.3).

  private probeDown(now: number): void {
    this.path.forgetLosses();
    this.upStep = UNKNOWN;
    this.roundsSinceProbe = this.random.below(2);
    this.probeWait = PROBE_WAIT + PROBE_WAIT_SPREAD * this.random.float();
    this.cycleAt = now;
    this.feedback = 'stopping';
    this.path.startRound();
    this.state = 'ProbeBW_DOWN';
  }

  private probeRefill(): void {
    this.path.forgetLow();
    this.upRounds = this.upAcked = 0;
    this.feedback = 'refilling';
    this.path.startRound();
    this.state = 'ProbeBW_REFILL';
  }

  private probeUp(rate: number): void {
    this.probeCounts = true;
    this.feedback = 'starting';
    this.path.startRound();
    this.resetFull(rate);
    this.state = 'ProbeBW_UP';
    this.steepen();
  }

  private adapt(ack: Acknowledgment): void {
    const { path, state } = this;
    this.adaptBounds(ack);
    if (state !== this.state || !this.isInProbeBw) return;
    if (state === 'ProbeBW_REFILL') {
      if (path.roundStart) this.probeUp(ack.rate);
    } else if (state === 'ProbeBW_UP') {
      if (this.isTimeToGoDown(ack)) this.probeDown(ack.now);
    } else if (this.isTimeToProbe(ack.now)) this.probeRefill();
    else if (state === 'ProbeBW_DOWN' && ack.inFlight <= Math.min(this.withHeadroom(), this.inflight(1))) {
      this.state = 'ProbeBW_CRUISE';
    }
  }

  private isTimeToProbe(now: number): boolean {
    if (now > this.cycleAt + this.probeWait) return true;
    const segments = this.target() / this.mss;
    return this.roundsSinceProbe >= Math.min(segments, MAX_RENO_ROUNDS);
  }

  private isTimeToGoDown(ack: Acknowledgment): boolean {
    if (this.isLimited(ack) && this.cwnd >= this.path.high) {
      // The window keeps the rate from growing, not the path.
      this.resetFull(ack.rate);
      return false;
    }
    return this.fullNow;
  }

  private isLimited({ priorInFlight }: Acknowledgment): boolean {
    return priorInFlight + this.mss >= this.cwnd;
  }

  /** What the probe says of how much fits (draft 5.5.10.2). */
  private adaptBounds(ack: Acknowledgment): void {
    const { path } = this;
    if (path.roundStart) {
      if (this.feedback === 'starting') this.feedback = 'coming';
      else if (this.feedback === 'stopping') {
        this.feedback = 'none';
        this.probeCounts = false;
        if (this.isInProbeBw && !ack.rateIsAppLimited) path.advanceCycle();
      }
    }
    if (path.isTooMuch(ack)) {
      if (this.probeCounts) this.tooMuch(ack);
      return;
    }
    if (path.high === UNKNOWN) return;
    path.high = Math.max(path.high, ack.sentInFlight);
    if (this.state === 'ProbeBW_UP') this.raise(ack);
  }

  private tooMuch(ack: Acknowledgment): void {
    this.probeCounts = false;
    if (!ack.rateIsAppLimited) this.path.high = Math.max(ack.sentInFlight, BETA * this.target());
    if (this.state !== 'ProbeBW_UP') return;
    this.ended = 'ProbeBW_UP';
    this.probeDown(ack.now);
  }

  private raise(ack: Acknowledgment): void {
    if (!this.isLimited(ack) || this.cwnd < this.path.high) return;
    this.upAcked += ack.delivered;
    const segments = Math.floor(this.upAcked / this.upStep);
    if (segments > 0) {
      this.upAcked -= segments * this.upStep;
      this.path.high += segments * this.mss;
    }
    if (this.path.roundStart) this.steepen();
  }

  /** Each round of the probe doubles the growth, in segments a round. */
  private steepen(): void {
    const growth = this.mss * 2 ** this.upRounds;
    this.upRounds = Math.min(this.upRounds + 1, MAX_UP_ROUNDS);
    this.upStep = Math.max((this.cwnd * this.mss) / growth, this.mss);
  }

  // ProbeRTT (draft 5.3.4).

  private checkProbeRtt(ack: Acknowledgment): void {
    const { path } = this;
    if (this.state !== 'ProbeRTT' && path.minRttIsOld && !this.resuming) {
      this.state = 'ProbeRTT';
      this.save();
      this.probeRttDone = 0;
      this.feedback = 'stopping';
      path.startRound();
      this.holdsBack = true;
    } else {
      // Also by the acknowledgment that ends it.
      this.holdsBack = this.state === 'ProbeRTT';
      if (this.holdsBack) this.probeRtt(ack);
    }
    if (ack.delivered > 0) this.resuming = false;
  }

  private probeRtt(ack: Acknowledgment): void {
    const { path } = this;
    if (this.probeRttDone === 0) {
      if (ack.inFlight > this.probeRttWindow()) return;
      this.probeRttDone = ack.now + PROBE_RTT_DURATION;
      this.probeRttRound = false;
      path.startRound();
      return;
    }
    if (path.roundStart) this.probeRttRound = true;
    if (this.probeRttRound) this.checkProbeRttDone(ack.now);
  }

  private checkProbeRttDone(now: number): void {
    if (this.probeRttDone === 0 || now <= this.probeRttDone) return;
    const { path } = this;
    path.probedRttAt = now;
    this.restore();
    path.forgetLow();
    if (!this.filled) {
      this.state = 'Startup';
      return;
    }
    this.leaveForCruise(now);
  }

  private leaveForCruise(now: number): void {
    this.path.forgetLosses();
    this.roundsSinceProbe = this.random.below(2);
    this.probeWait = PROBE_WAIT + PROBE_WAIT_SPREAD * this.random.float();
    this.cycleAt = now;
    this.feedback = 'stopping';
    this.path.startRound();
    this.state = 'ProbeBW_CRUISE';
  }

  private probeRttWindow(): number {
    return Math.max(GAINS.ProbeRTT[1] * this.path.product(this.initialWindow), MIN_SEGMENTS * this.mss);
  }

  // Rate and window (draft 5.6).

  private setPacingRate(gain: number = GAINS[this.state][0]): void {
    const rate = gain * this.path.rate * PACING_MARGIN;
    if (rate > 0 && (this.filled || rate > this.pacingRate)) this.pacingRate = rate;
  }

  /** What goes out at once. */
  private get quantum(): number {
    return Math.max(2 * this.mss, Math.min(this.pacingRate, MAX_QUANTUM));
  }

  /** `gain` times what fills the path, but enough for what goes out at once. @param burst and that much more */
  private inflight(gain: number, burst = 0): number {
    const bytes = gain * this.path.product(this.initialWindow) + burst;
    const enough = Math.max(bytes, 3 * this.quantum, MIN_SEGMENTS * this.mss);
    return this.state === 'ProbeBW_UP' ? enough + 2 * this.mss : enough;
  }

  private target(): number {
    return Math.min(this.path.product(this.initialWindow), this.cwnd);
  }

  private withHeadroom(): number {
    const { high } = this.path;
    if (high === UNKNOWN) return UNKNOWN;
    return Math.max(high - Math.max(this.mss, HEADROOM * high), MIN_SEGMENTS * this.mss);
  }

  private setWindow({ delivered, totalDelivered }: Acknowledgment): void {
    const most = this.inflight(GAINS[this.state][1], this.path.burst);
    let { cwnd } = this;
    if (this.filled) cwnd = Math.min(cwnd + delivered, most);
    else if (cwnd < most || totalDelivered < this.initialWindow) cwnd += delivered;
    this.cwnd = Math.floor(this.bounded(Math.max(cwnd, MIN_SEGMENTS * this.mss)));
  }

  private bounded(cwnd: number): number {
    const { path, state } = this;
    let most: number = UNKNOWN;
    if (state === 'ProbeRTT') most = Math.min(this.probeRttWindow(), this.withHeadroom());
    else if (state === 'ProbeBW_CRUISE') most = this.withHeadroom();
    else if (this.isInProbeBw) most = path.high;
    return Math.min(cwnd, Math.max(Math.min(most, path.low), MIN_SEGMENTS * this.mss));
  }

  // Events.

  congested(signal: CongestionSignal, _flight: number, _now: number): void {
    this.remember();
    this.path.noteLoss();
    if (signal === 'loss') this.inRecovery = true;
  }

  recovered(): void {
    this.inRecovery = false;
    this.restore();
  }

  timeout(_flight: number, again: boolean): void {
    if (!again) this.remember();
    // What was in flight is believed lost: one segment, and more with what is delivered.
    this.cwnd = this.mss;
    this.inRecovery = true;
    this.resetFull(0);
    const { path } = this;
    if (!this.isProbing() && path.low === UNKNOWN) path.low = this.priorCwnd;
  }

  // Draft 5.5.11.2.
  undo(): void {
    const { path, ended } = this;
    this.inRecovery = false;
    this.ended = undefined;
    this.restore();
    this.resetFull(0);
    path.undoLoss();
    path.low = Math.max(path.low, this.priorLow);
    path.high = Math.max(path.high, this.priorHigh);
    path.rateLow = Math.max(path.rateLow, this.priorRateLow);
    if (ended === 'Startup') {
      this.filled = false;
      if (this.state !== 'ProbeRTT') this.state = 'Startup';
    } else if (ended === 'ProbeBW_UP' && this.isInProbeBw && this.state !== 'ProbeBW_UP') this.probeRefill();
  }

  private remember(): void {
    const { path } = this;
    this.save();
    this.ended = undefined;
    this.priorLow = path.low;
    this.priorHigh = path.high;
    this.priorRateLow = path.rateLow;
  }

  private save(): void {
    const small = this.inRecovery || this.state === 'ProbeRTT';
    this.priorCwnd = small ? Math.max(this.priorCwnd, this.cwnd) : this.cwnd;
  }

  private restore(): void {
    this.cwnd = Math.max(this.cwnd, this.priorCwnd);
  }

  idle(_pause: number, _rto: number, now: number): void {
    this.resuming = true;
    this.path.resume(now);
    if (this.isInProbeBw) this.setPacingRate(1);
    else if (this.state === 'ProbeRTT') this.checkProbeRttDone(now);
  }

  resize(mss: number): void {
    if (mss < this.mss) this.cwnd = Math.floor(this.cwnd / this.mss) * mss;
    this.cwnd = Math.max(mss, this.cwnd);
    this.mss = mss;
  }
}

/** Makes {@link Bbr} controls. */
export const bbr: CongestionFactory = (mss, initialWindow, _settings, random) => new Bbr(mss, initialWindow, random);
