/**
 * Calls of applications, one after the other and never one within another: what a handler causes while it runs waits until it has returned, so that
 * sockets that answer one another do not grow the JS stack. Calls are made before the outermost event returns, up to a budget; the rest after
 * the clock's owner had control.
 */

import { Fifo } from '../core/fifo.js';
import type { Timer, Timers } from '../core/timers.js';

/** Calls before others get their turn. */
const BUDGET = 256;

/** A call that is to be made; it must not throw. */
export interface Turn {
  run(): void;
}

/** The calls of one net stack. */
export class Turns {
  private readonly waiting = new Fifo<Turn>();
  private readonly timers: Timers;
  private readonly timer: Timer;
  private depth = 0;
  private running = false;

  constructor(timers: Timers) {
    this.timers = timers;
    this.timer = timers.timer(() => this.run());
  }

  /** Begins an event. */
  enter(): void {
    this.depth++;
  }

  /** Ends an event: with the outermost one the calls are made. */
  leave(): void {
    if (--this.depth === 0 && this.waiting.length > 0) this.run();
  }

  /** Has a call made at the end of this event, or at once where there is none. */
  add(turn: Turn): void {
    this.waiting.push(turn);
    if (this.depth === 0) this.run();
  }

  /** Forgets what waits. */
  clear(): void {
    this.timer.cancel();
    while (this.waiting.shift() !== undefined);
  }

  private run(): void {
    if (this.running) return;
    this.running = true;
    try {
      for (let made = 0; made < BUDGET; made++) {
        const turn = this.waiting.shift();
        if (turn === undefined) return;
        turn.run();
      }
    } finally {
      this.running = false;
      if (this.waiting.length > 0) this.timer.arm(this.timers.now());
    }
  }
}
