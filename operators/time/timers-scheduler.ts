/**
 * What the schedulers of this house have in common: they are `Timers`, and RxJS's scheduler contract follows from that. An
 * action is a subscription that owns one timer.
 */

import { type SchedulerAction, type SchedulerLike, Subscription } from 'rxjs';
import type { Timer, Timers } from '../../lib/core/timers.js';

/** A scheduler that is the clock and the timers of protocol machines, too. */
export abstract class TimersScheduler implements SchedulerLike, Timers {
  abstract now(): number;
  abstract timer(callback: () => void): Timer;
  abstract timer<T>(callback: (owner: T) => void, owner: T): Timer;

  asOne(event: () => void): void {
    event();
  }

  atEnd(_task: () => void): boolean {
    return false;
  }

  /** Calls `work` in `delay` ms (never in this call; never at all after an infinite delay). The contract is that of RxJS. */
  schedule<T>(work: (this: SchedulerAction<T>, state?: T) => void, delay = 0, state?: T): Subscription {
    return new TimerAction<T>(this, work).schedule(state, delay);
  }
}

class TimerAction<T> extends Subscription implements SchedulerAction<T> {
  private readonly timers: Timers;
  private readonly work: (this: SchedulerAction<T>, state?: T) => void;
  private readonly timer: Timer;
  private state: T | undefined = undefined;

  constructor(timers: Timers, work: (this: SchedulerAction<T>, state?: T) => void) {
    super();
    this.timers = timers;
    this.work = work;
    this.timer = timers.timer(() => this.execute());
  }

  schedule(state?: T, delay = 0): Subscription {
    if (this.closed) return this;
    this.state = state;
    this.timer.arm(this.timers.now() + Math.max(0, delay));
    return this;
  }

  override unsubscribe(): void {
    if (this.closed) return;
    this.timer.cancel();
    this.state = undefined;
    super.unsubscribe();
  }

  // An action that failed is over: a failing interval must not go on (as in RxJS's own schedulers).
  private execute(): void {
    let failed = true;
    try {
      this.work(this.state);
      failed = false;
    } finally {
      if (failed) this.unsubscribe();
    }
  }
}
