/**
 * Time as the protocol machines of `lib` see it: a clock and re-armable timers, in milliseconds. Schedulers offer it;
 * `lib` knows no scheduler.
 */

/** A deadline that can be moved cheaply, made once per purpose (one retransmission timer per connection, say). */
export interface Timer {
  /** When it fires, in milliseconds of the clock; `Infinity` while it is not armed. */
  readonly deadline: number;
  readonly armed: boolean;
  /**
   * Sets or moves the deadline. A deadline in the past fires as soon as the clock's owner gets control, never in this call.
   * `Infinity` cancels.
   */
  arm(deadline: number): void;
  cancel(): void;
}

/** A clock and its timers. */
export interface Timers {
  /** The current time in milliseconds, with fractions where the clock has them; constant within one event of {@link Timers.asOne}. */
  now(): number;
  /**
   * A timer that is not armed yet. When it fires it is no longer armed, so that `callback` may arm it again.
   *
   * @param owner what `callback` is called with: where there are very many timers, they need no closure each
   */
  timer(callback: () => void): Timer;
  timer<T>(callback: (owner: T) => void, owner: T): Timer;
  /**
   * Calls `event` as one event: until it returns the clock may stand still. For whoever brings in many frames at once: to read a clock of the platform
   * costs as much as a layer of the stack. Events may nest: the clock stands still until the outermost ends.
   */
  asOne(event: () => void): void;
  /**
   * Has `task` called when the event ends that {@link asOne} is calling, or the next one within it, before anything else happens: for whoever would rather
   * do something for many frames at once than for each. Tasks are called in the order in which they came, each even if one before it threw.
   *
   * @returns whether there is such an event; if not, nothing will be called
   */
  atEnd(task: () => void): boolean;
}
