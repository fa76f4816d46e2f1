/**
 * The clock and timers of the Node process, for the Node-shaped sockets: their timeouts are about the program around them, so they run on
 * its clock unless an `env`'s timers are given. Like Node's socket timeouts they never keep the process alive.
 */

import { performance } from 'node:perf_hooks';
import { clearTimeout, setTimeout } from 'node:timers';
import type { Timer, Timers } from '../core/timers.js';

/** Moving a deadline later is one field write; the sleeping timer looks again when it wakes. */
class WallTimer implements Timer {
  deadline = Number.POSITIVE_INFINITY;
  readonly #callback: () => void;
  #sleeper: NodeJS.Timeout | undefined;
  #wakes = Number.POSITIVE_INFINITY;

  constructor(callback: () => void) {
    this.#callback = callback;
  }

  get armed(): boolean {
    return this.deadline !== Number.POSITIVE_INFINITY;
  }

  arm(deadline: number): void {
    this.deadline = deadline;
    if (this.#sleeper !== undefined && this.#wakes <= deadline) return;
    this.#sleep();
  }

  cancel(): void {
    this.deadline = Number.POSITIVE_INFINITY;
    clearTimeout(this.#sleeper);
    this.#sleeper = undefined;
  }

  #sleep(): void {
    clearTimeout(this.#sleeper);
    this.#wakes = this.deadline;
    // Longer delays than 2^31-1 ms overflow setTimeout; waking early is harmless.
    const delay = Math.min(Math.max(0, Math.ceil(this.deadline - performance.now())), 0x7fff_ffff);
    this.#sleeper = setTimeout(() => this.#wake(), delay).unref();
  }

  #wake(): void {
    this.#sleeper = undefined;
    if (!this.armed) return;
    if (performance.now() < this.deadline) return this.#sleep();
    this.deadline = Number.POSITIVE_INFINITY;
    this.#callback();
  }
}

/** {@link Timers} on the clock of the process. */
export const wallTimers: Timers = {
  now: () => performance.now(),
  timer: (callback: (owner: never) => void, owner?: unknown) => new WallTimer(() => callback(owner as never)),
  asOne: (event) => event(),
  atEnd: () => false,
};
