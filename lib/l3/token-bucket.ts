/** A token bucket: so many events a second, and a burst of them at once (RFC 1812 4.3.2.8). */

import type { Timers } from '../core/timers.js';

/** Limits events. */
export class TokenBucket {
  private readonly timers: Timers;
  private readonly perMillisecond: number;
  private readonly burst: number;
  private tokens: number;
  private last: number;

  constructor(timers: Timers, perSecond: number, burst: number) {
    this.timers = timers;
    this.perMillisecond = perSecond / 1_000;
    this.burst = burst;
    this.tokens = burst;
    this.last = timers.now();
  }

  /** Whether an event may happen now; if so it is counted. */
  take(): boolean {
    const now = this.timers.now();
    this.tokens = Math.min(this.burst, this.tokens + (now - this.last) * this.perMillisecond);
    this.last = now;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }
}
