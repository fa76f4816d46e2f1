/**
 * Virtual time for simulations: a clock that jumps from event to event, so that hours of many stacks pass in seconds, and the
 * same events always happen in the same order.
 *
 * RxJS's `VirtualTimeScheduler` sorts all its actions on each insertion and cannot move a deadline; this one is a binary heap
 * whose timers are moved later by a field write. Unlike `TestScheduler` it can wait for promises between events.
 */

import { UsageError } from '../../lib/core/errors.js';
import type { Timer } from '../../lib/core/timers.js';
import { TimersScheduler } from './timers-scheduler.js';
import { turn } from './turn.js';

const NOT_IN_HEAP = -1;
// Something that schedules in every turn of the event loop will never be quiet; time goes on after so many turns.
const MOST_TURNS = 1000;

/** Options of {@link SimulationScheduler}. */
export interface SimulationSchedulerOptions {
  /** What the clock shows at first, in ms. Default: 0. */
  readonly start?: number;
  /** How many events one call may run before it gives up on what must be an endless loop. Default: 100 million. */
  readonly maxEvents?: number;
  /** How many turns of the event loop without anything new must pass between events of {@link SimulationScheduler.advance}. Default: 2. */
  readonly quietTurns?: number;
}

/**
 * A scheduler of virtual time in ms, with fractions. Events happen in the order of their times, then of their scheduling;
 * an event that is scheduled for now or for the past happens at the current time, after those already waiting for it.
 * An error that an event throws comes out of the call that ran it, and the simulation can go on.
 *
 * @example
 * const scheduler = new SimulationScheduler();
 * of('a').pipe(delay(7_200_000, scheduler)).subscribe(console.log);
 * scheduler.run(); // prints a; scheduler.now() is 7,200,000
 */
export class SimulationScheduler extends TimersScheduler {
  private readonly heap: SimulationTimer[] = [];
  private readonly maxEvents: number;
  private readonly quietTurns: number;
  private clock: number;
  private order = 0;

  constructor(options: SimulationSchedulerOptions = {}) {
    super();
    this.clock = options.start ?? 0;
    this.maxEvents = options.maxEvents ?? 100_000_000;
    this.quietTurns = options.quietTurns ?? 2;
  }

  now(): number {
    return this.clock;
  }

  timer(callback: (owner: never) => void, owner?: unknown): Timer {
    return new SimulationTimer(this, callback, owner);
  }

  /** How many events are waiting. */
  get pending(): number {
    return this.heap.length;
  }

  /** When the next event happens; `Infinity` if none is waiting. */
  get next(): number {
    return this.first()?.deadline ?? Infinity;
  }

  /** Runs the next event; `false` if none is waiting. */
  step(): boolean {
    const timer = this.first();
    if (timer === undefined) return false;
    this.clock = timer.deadline;
    this.cancel(timer);
    timer.call();
    return true;
  }

  /** Runs events until none is waiting. @throws UsageError `ERR_TOO_MANY_EVENTS` */
  run(): void {
    this.runEvents(Infinity);
  }

  /** Runs the events up to and including `time`, which the clock shows afterwards. @throws UsageError `ERR_TOO_MANY_EVENTS` */
  runUntil(time: number): void {
    this.runEvents(time);
    this.clock = Math.max(this.clock, time);
  }

  /** Runs the events of the next `ms` milliseconds. @throws UsageError `ERR_TOO_MANY_EVENTS` */
  runFor(ms: number): void {
    this.runUntil(this.clock + ms);
  }

  /**
   * Runs the events of the next `ms` milliseconds (with `Infinity`: all) and lets promises, streams and whatever else
   * takes turns of the event loop catch up before, between and after them: virtual time stands still until they are quiet. What they wait for
   * from outside (a file, a real socket) is not waited for. Stops early when `done` says so.
   *
   * @throws UsageError `ERR_TOO_MANY_EVENTS`
   */
  async advance(ms: number, done: () => boolean = () => false): Promise<void> {
    const end = this.clock + ms;
    for (let events = 0; ; events++) {
      await this.quiet();
      if (done()) return;
      if (this.next > end || !this.step()) break;
      this.checkEvents(events);
    }
    if (end !== Infinity) this.clock = Math.max(this.clock, end);
  }

  /** Runs events, with turns of the event loop between them, until `promise` settles; resolves or rejects as it does. */
  async runUntilSettled<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const settle = () => {
      settled = true;
    };
    promise.then(settle, settle);
    await this.advance(Infinity, () => settled);
    if (!settled) throw new UsageError('ERR_INVALID_STATE', 'no event is left that the promise could wait for');
    return promise;
  }

  /** For {@link Timer.arm} of this scheduler's timers. */
  arm(timer: SimulationTimer, deadline: number): void {
    if (Number.isNaN(deadline)) throw new UsageError('ERR_INVALID_OPTION', 'a deadline that is not a number');
    if (deadline === Infinity) return this.cancel(timer);
    const due = Math.max(deadline, this.clock);
    timer.order = this.order++;
    timer.deadline = due;
    if (timer.index === NOT_IN_HEAP) {
      timer.key = due;
      timer.keyOrder = timer.order;
      timer.index = this.heap.length;
      this.heap.push(timer);
      this.siftUp(timer);
    } else if (due < timer.key) {
      timer.key = due;
      timer.keyOrder = timer.order;
      this.siftUp(timer);
    }
  }

  /** For {@link Timer.cancel} of this scheduler's timers. */
  cancel(timer: SimulationTimer): void {
    const { index } = timer;
    if (index === NOT_IN_HEAP) return;
    timer.index = NOT_IN_HEAP;
    timer.deadline = Infinity;
    const last = this.heap.pop();
    if (last === undefined || last === timer) return;
    last.index = index;
    this.heap[index] = last;
    this.siftUp(last);
    this.siftDown(last);
  }

  private runEvents(end: number): void {
    for (let events = 0; this.next <= end && this.step(); events++) this.checkEvents(events);
  }

  private checkEvents(events: number): void {
    if (events < this.maxEvents) return;
    throw new UsageError('ERR_TOO_MANY_EVENTS', `more than ${this.maxEvents} events, the last at ${this.clock} ms`);
  }

  /** Waits until some turns of the event loop in a row have scheduled nothing. */
  private async quiet(): Promise<void> {
    let seen = this.order;
    let quiet = 0;
    for (let turns = 0; quiet < this.quietTurns && turns < MOST_TURNS; turns++) {
      await turn();
      quiet = this.order === seen ? quiet + 1 : 0;
      seen = this.order;
    }
  }

  /** The timer that fires next; timers that were moved later sink to where they belong on the way. */
  private first(): SimulationTimer | undefined {
    for (;;) {
      const timer = this.heap[0];
      if (timer === undefined || timer.keyOrder === timer.order) return timer;
      timer.key = timer.deadline;
      timer.keyOrder = timer.order;
      this.siftDown(timer);
    }
  }

  private siftUp(timer: SimulationTimer): void {
    while (timer.index > 0) {
      const above = (timer.index - 1) >> 1;
      const parent = this.heap[above];
      if (parent === undefined || !before(timer, parent)) return;
      this.swap(timer, parent);
    }
  }

  private siftDown(timer: SimulationTimer): void {
    for (;;) {
      const left = this.heap[2 * timer.index + 1];
      const right = this.heap[2 * timer.index + 2];
      if (left === undefined) return;
      const child = right !== undefined && before(right, left) ? right : left;
      if (!before(child, timer)) return;
      this.swap(child, timer);
    }
  }

  private swap(one: SimulationTimer, other: SimulationTimer): void {
    const { index } = one;
    one.index = other.index;
    other.index = index;
    this.heap[one.index] = one;
    this.heap[other.index] = other;
  }
}

function before(one: SimulationTimer, other: SimulationTimer): boolean {
  return one.key < other.key || (one.key === other.key && one.keyOrder < other.keyOrder);
}

class SimulationTimer implements Timer {
  private readonly callback: (owner: never) => void;
  private readonly owner: unknown;
  deadline: number = Infinity;
  order = 0;
  /** Where the heap has it: no later than the deadline, which may have moved since. */
  key = 0;
  keyOrder = 0;
  index: number = NOT_IN_HEAP;
  private readonly scheduler: SimulationScheduler;

  constructor(scheduler: SimulationScheduler, callback: (owner: never) => void, owner: unknown) {
    this.scheduler = scheduler;
    this.callback = callback;
    this.owner = owner;
  }

  call(): void {
    this.callback(this.owner as never);
  }

  get armed(): boolean {
    return this.index !== NOT_IN_HEAP;
  }

  arm(deadline: number): void {
    this.scheduler.arm(this, deadline);
  }

  cancel(): void {
    this.scheduler.cancel(this);
  }
}
