/**
 * HyStart++ (RFC 9406): leaves slow start when round trips grow longer, which says that a queue builds up, before it overflows. Since the
 * delay may be a passing one, the window goes on growing for some rounds, at a quarter of the pace, and at full pace again if the delay goes.
 */

import type { Acknowledgment } from './congestion.js';

// RFC 9406 4.3; times in ms.
const MIN_RTT_THRESHOLD = 4;
const MAX_RTT_THRESHOLD = 16;
const MIN_RTT_DIVISOR = 8;
const SAMPLES = 8;
const CSS_GROWTH_DIVISOR = 4;
const CSS_ROUNDS = 5;

/** Watches the round-trip times of one slow start. */
export class HyStart {
  /** Slow start is over. */
  done = false;
  /** Rounds of conservative slow start, the current one included; 0: not in it. */
  private cssRounds = 0;
  private baseline: number = Number.POSITIVE_INFINITY;
  private lastRound: number = Number.POSITIVE_INFINITY;
  private thisRound: number = Number.POSITIVE_INFINITY;
  private samples = 0;

  /** Takes in an acknowledgment; returns how much of `step` bytes the window may grow. */
  grow(step: number, { rtt, roundStart }: Acknowledgment): number {
    if (roundStart) this.beginRound();
    if (rtt >= 0) {
      this.samples++;
      if (rtt < this.thisRound) this.thisRound = rtt;
    }
    if (this.samples >= SAMPLES) this.judge();
    return this.cssRounds === 0 ? step : Math.floor(step / CSS_GROWTH_DIVISOR);
  }

  private beginRound(): void {
    this.lastRound = this.thisRound;
    this.thisRound = Number.POSITIVE_INFINITY;
    this.samples = 0;
    if (this.cssRounds > 0 && ++this.cssRounds > CSS_ROUNDS) this.done = true;
  }

  private judge(): void {
    const { lastRound, thisRound } = this;
    if (this.cssRounds > 0) {
      if (thisRound >= this.baseline) return;
      this.baseline = Number.POSITIVE_INFINITY;
      this.cssRounds = 0;
      return;
    }
    const threshold = Math.max(MIN_RTT_THRESHOLD, Math.min(lastRound / MIN_RTT_DIVISOR, MAX_RTT_THRESHOLD));
    // The first round has none to compare with: infinity is not reached.
    if (thisRound < lastRound + threshold) return;
    this.baseline = thisRound;
    this.cssRounds = 1;
  }
}
