/** What is done at an interval, from the clock's hand: the first time at once, and as often as it should be. */

import type { Timer, Timers } from './timers.js';

/** How often. */
export interface CadenceOptions {
  /** How many times; `Infinity` for ever. */
  readonly count: number;
  /** Milliseconds from one time to the next. */
  readonly interval: number;
}

/** See the module. It goes by the clock, not by when the timer fired, so that the interval does not drift; but nothing is made up for. */
export class Cadence {
  private readonly timers: Timers;
  private readonly timer: Timer;
  private readonly options: CadenceOptions;
  private readonly beat: (number: number) => void;
  private next: number;
  private beats = 0;

  /** @param beat is told how many times it has been called, this one included; from a timer */
  constructor(timers: Timers, options: CadenceOptions, beat: (number: number) => void) {
    this.timers = timers;
    this.options = options;
    this.beat = beat;
    this.timer = timers.timer(() => this.run());
    this.next = timers.now();
    this.timer.arm(this.next);
  }

  /** Whether there is no other time to come. */
  get isOver(): boolean {
    return this.beats >= this.options.count;
  }

  /** Ends it. */
  stop(): void {
    this.timer.cancel();
  }

  private run(): void {
    this.beats++;
    this.next = Math.max(this.next + this.options.interval, this.timers.now());
    if (!this.isOver) this.timer.arm(this.next);
    this.beat(this.beats);
  }
}
