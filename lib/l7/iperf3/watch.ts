/** Patience: for one answer of the other side, and for a stream of data that must not stand still. */

import type { Timer, Timers } from '../../core/timers.js';

/** How long the other side may take to answer, in milliseconds. */
const ANSWER = 30_000;
/** How long nothing may move while a test runs. */
const STANDSTILL = 120_000;

/** See the module. */
export class Watch {
  private readonly timers: Timers;
  private readonly timer: Timer;
  private readonly expired: (what: string) => void;
  private what = '';
  private progress: (() => number) | undefined = undefined;
  private seen = 0;

  /** @param expired is told what did not happen */
  constructor(timers: Timers, expired: (what: string) => void) {
    this.timers = timers;
    this.expired = expired;
    this.timer = timers.timer(() => this.look());
  }

  /** Something is expected within half a minute, or `time` milliseconds. */
  expect(what: string, time: number = ANSWER): void {
    this.what = what;
    this.progress = undefined;
    this.timer.arm(this.timers.now() + time);
  }

  /** A number must change every two minutes. */
  follow(what: string, progress: () => number): void {
    this.what = what;
    this.progress = progress;
    this.seen = progress();
    this.timer.arm(this.timers.now() + STANDSTILL);
  }

  stop(): void {
    this.timer.cancel();
  }

  private look(): void {
    const { progress } = this;
    const now = progress?.();
    if (progress === undefined || now === undefined || now === this.seen) this.expired(this.what);
    else this.follow(this.what, progress);
  }
}
