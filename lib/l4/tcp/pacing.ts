/**
 * Pacing: segments leave at a rate, not in bursts as acknowledgments come. Since timers are coarse, as much as is due within a millisecond
 * leaves at once, but two segments at least. Acknowledgments, SYNs, a FIN alone and what the retransmission timer sends do not wait, though
 * what they carry is counted.
 */

import type { Connection } from './connection.js';

// What goes out at once: so many ms' worth, and segments.
const QUANTUM_TIME = 1;
const QUANTUM_SEGMENTS = 2;
// A timer that fires late, by as much as this at most (ms), does not slow the flow down.
const MAX_LATENESS = 5;
// As Linux: twice a window a round trip, while it may double; then a fifth more than a window.
const SLOW_START_FACTOR = 2;
const AVOIDANCE_FACTOR = 1.2;

/** The departures of one connection. Made when it is first paced. */
export class Pacer {
  /** When what was sent so far would have left at the rate; -1 before. */
  private clearAt = -1;
  private waiting = false;
  /** Bytes that may leave before their time, and bytes a ms. */
  private quantum = 0;
  private rate = 0;

  /** Sets the pace. */
  set(rate: number, mss: number): void {
    this.rate = rate;
    this.quantum = Math.max(QUANTUM_SEGMENTS * mss, rate * QUANTUM_TIME);
  }

  /**
   * Sets another pace, also for what was sent before its time, as far as that may be at it: a slow one does not wait for all that a fast one let
   * go at once. Does nothing for a rate of 0: that is no pace at all.
   */
  change(rate: number, mss: number, now: number): void {
    if (rate === 0) return;
    const ahead = (this.clearAt - now) * this.rate;
    this.set(rate, mss);
    if (ahead > 0) this.clearAt = now + Math.min(ahead, this.quantum + mss) / rate;
  }

  /** When the next segment may leave; `now` or earlier: at once. */
  next(now: number, mss: number): number {
    const ahead = (this.clearAt - now) * this.rate;
    if (ahead < this.quantum) return now;
    this.waiting = true;
    // Not for each segment, if many are due within the grain of timers.
    return this.clearAt - (this.quantum - Math.max(mss, this.rate * QUANTUM_TIME)) / this.rate;
  }

  /** Bytes that may leave at once, in whole segments of `size` bytes: as many as would be allowed to one by one. */
  burst(now: number, size: number): number {
    return Math.ceil((this.quantum - (this.from(now) - now) * this.rate) / size) * size;
  }

  /** `bytes` leave. */
  sent(bytes: number, now: number): void {
    if (this.rate === 0) return;
    const from = this.from(now);
    this.waiting = false;
    this.clearAt = from + bytes / this.rate;
  }

  /** When what leaves now would begin to leave at the rate. */
  private from(now: number): number {
    return Math.max(this.clearAt, this.waiting ? now - MAX_LATENESS : now);
  }
}

/** Bytes a ms at which the connection sends; 0: as the window allows. */
export function pacingRate(c: Connection): number {
  const { congestion, rtt, maxPacingRate } = c;
  const { pacing } = c.config;
  let rate = pacing === false ? 0 : congestion.pacingRate;
  if (rate === 0 && pacing === true && rtt.srtt > 0) {
    const { cwnd, ssthresh } = congestion;
    rate = ((cwnd < ssthresh / 2 ? SLOW_START_FACTOR : AVOIDANCE_FACTOR) * Math.max(cwnd, c.sent.pipe)) / rtt.srtt;
  }
  return maxPacingRate > 0 && (rate === 0 || rate > maxPacingRate) ? maxPacingRate : rate;
}

/** Whether the next segment has to wait for its time; if so a timer will send it. */
export function isTooEarly(c: Connection): boolean {
  const rate = pacingRate(c);
  if (rate === 0) {
    if (c.pacer !== undefined) c.pacer = undefined;
    return false;
  }
  c.pacer ??= new Pacer();
  const { now } = c.host;
  const { mss } = c.snd;
  c.pacer.set(rate, mss);
  const next = c.pacer.next(now, mss);
  if (next <= now) return false;
  c.timers.pace(next);
  return true;
}
