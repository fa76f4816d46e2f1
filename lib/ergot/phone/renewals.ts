/**
 * What a parent has to be told anew: which addresses are wanted here, or are no more. Each question takes a socket of the device until it is answered,
 * so only a few are asked at a time; what the parent did not hear, or cannot say yet, is asked again, at longer and longer intervals.
 */

import type { Timer, Timers } from '../../core/timers.js';

const SECOND = 1000;
/** Questions that may wait for their answers at a time. */
const MOST_ASKED = 4;
const FIRST_RETRY = SECOND;
const LONGEST_RETRY = 4 * SECOND;
/** Of what a parent has not answered so many at most are asked again when it may be another one: no more has room there. */
const MOST_LEFT = 1024;

/**
 * Asks the parent for one. `done` is told, once, at once or later, whether the parent has said what it makes of it; unless the function that is returned is
 * called first, which gives the question up.
 */
export type AskAnew<T> = (wanted: T, done: (said: boolean) => void) => () => void;

/** What one parent is still to be told. */
export class Renewals<T> {
  private readonly timers: Timers;
  private readonly askFor: AskAnew<T>;
  private readonly due = new Set<T>();
  /** Asked, and not answered; each with what gives it up. */
  private readonly asked = new Map<T, () => void>();
  /** Armed after a failure: nothing is asked before it fires, or an answer comes. */
  private readonly timer: Timer;
  private retry = FIRST_RETRY;

  constructor(timers: Timers, askFor: AskAnew<T>) {
    this.timers = timers;
    this.askFor = askFor;
    this.timer = timers.timer(() => this.askSome());
  }

  /** These are to be told, as things are now: also what is asked already, as things were then. */
  add(all: Iterable<T>): void {
    for (const wanted of all) {
      this.giveUp(wanted);
      this.due.add(wanted);
    }
    this.askSome();
  }

  /** All is to be told as things are now, and at once: these first, then what was not answered before. */
  again(all: Iterable<T>): void {
    const left = [...this.asked.keys(), ...this.due].slice(0, MOST_LEFT);
    this.timer.cancel();
    this.due.clear();
    this.add([...all, ...left]);
  }

  /** Asks nothing more. */
  stop(): void {
    this.timer.cancel();
    this.due.clear();
    for (const wanted of this.asked.keys()) this.giveUp(wanted);
  }

  private giveUp(wanted: T): void {
    this.asked.get(wanted)?.();
    this.asked.delete(wanted);
  }

  private askSome(): void {
    for (const wanted of this.due) {
      if (this.timer.armed || this.asked.size >= MOST_ASKED) return;
      this.ask(wanted);
    }
  }

  private ask(wanted: T): void {
    this.due.delete(wanted);
    let isOver = false;
    const giveUp = this.askFor(wanted, (said) => {
      isOver = true;
      this.asked.delete(wanted);
      if (said) this.goOn();
      else this.later(wanted);
    });
    if (!isOver) this.asked.set(wanted, giveUp);
  }

  /** The parent answers, and a socket is free. */
  private goOn(): void {
    this.timer.cancel();
    this.retry = FIRST_RETRY;
    this.askSome();
  }

  private later(wanted: T): void {
    this.due.add(wanted);
    if (this.timer.armed) return;
    this.timer.arm(this.timers.now() + this.retry);
    this.retry = Math.min(LONGEST_RETRY, 2 * this.retry);
  }
}
