/**
 * A hierarchical timing wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987) over any scheduler:
 * thousands of connections keep their timers here, and the base scheduler sees one pending action, or none.
 *
 * Six levels of 32 slots cover 2^30 ms (12.4 days) ahead, later timers wait in a list of their own. A timer's level is that of
 * the highest base-32 digit in which its tick differs from the wheel's, so that slots are only ever emptied forwards. Moving
 * a deadline leaves the timer where it is unless its slot would come due too late: it finds its new place when that comes.
 */

import type { SchedulerLike, Subscription } from 'rxjs';
import { UsageError } from '../../lib/core/errors.js';
import type { Timer } from '../../lib/core/timers.js';
import { TimersScheduler } from './timers-scheduler.js';

const DIGIT_BITS = 5;
const SLOTS = 1 << DIGIT_BITS;
const LEVELS = 6;
const SPAN = 2 ** (DIGIT_BITS * LEVELS);

// Where a timer is; values of 0 and more are the number of its slot.
const IDLE = -1;
const FIRING = -2;
// After the levels' slots: timers beyond the span, and timers that were armed for a tick that is over.
const FAR = SLOTS * LEVELS;
const READY = FAR + 1;

/** A timer of Node. */
interface PlatformTimer {
  readonly ref?: () => void;
  readonly unref?: () => void;
}

/** The id of RxJS's asynchronous action is the platform's timer. */
function platformTimer(action: Subscription): PlatformTimer | undefined {
  const { id } = action as { id?: PlatformTimer };
  return typeof id === 'object' ? id : undefined;
}

/** Options of {@link TimerWheel}. */
export interface TimerWheelOptions {
  /** Armed timers alone do not keep a Node process alive. Only for a base that is RxJS's `asyncScheduler`. Default: false. */
  readonly unref?: boolean;
}

/**
 * A scheduler with cheap timers on top of another scheduler: arming, cancelling and moving are O(1), and moving later, or
 * little earlier, as a retransmission timer does with each ACK, is a field write.
 *
 * Timers fire at the first whole millisecond that is not before their deadline: never early, and on virtual time at that very
 * tick. Timers that are due together fire in the order of their deadlines, then of their arming. A timer that a callback arms for
 * now or for the past fires in an action of its own, at the same tick of virtual time. The clock is that of the base, except
 * that it never goes back: where the base is set back, it stands still for that moment and then goes on.
 */
export class TimerWheel extends TimersScheduler {
  private readonly base: SchedulerLike;
  private readonly unref: boolean;
  private readonly slots: (WheelTimer | undefined)[] = Array.from({ length: READY + 1 }, () => undefined);
  /** Per level, one bit for each slot that holds a timer. */
  private readonly occupied = new Int32Array(LEVELS);
  /** The last tick whose timers have been taken out. */
  private tick: number;
  private count = 0;
  /** For its timers: how often one was armed. */
  order = 0;
  private action: Subscription | undefined = undefined;
  private wakeAt = Infinity;
  /** It is left from timers that were cancelled. */
  private resting = false;
  /** The slot that it is for, as long as the order of slots is that of their times since then. */
  private wakePlace: number = READY;
  private firing = false;
  private latest: number;
  private offset = 0;
  /** Whether the clock stands still, at what it showed last when it stopped. */
  private isStill = false;
  private still = 0;
  /** What waits for the end of the event; and how much of it was called. */
  private readonly ends: (() => void)[] = [];
  private ended = 0;

  constructor(base: SchedulerLike, options: TimerWheelOptions = {}) {
    super();
    this.base = base;
    this.unref = options.unref ?? false;
    this.latest = base.now();
    this.tick = Math.floor(this.latest);
  }

  /** How many timers are armed. */
  get pending(): number {
    return this.count;
  }

  now(): number {
    return this.isStill ? this.still : this.read();
  }

  override asOne(event: () => void): void {
    const isOutermost = !this.isStill;
    if (isOutermost) {
      this.still = this.read();
      this.isStill = true;
    }
    try {
      event();
    } finally {
      try {
        if (this.ends.length > 0) this.end();
      } finally {
        if (isOutermost) this.isStill = false;
      }
    }
  }

  override atEnd(task: () => void): boolean {
    if (this.isStill) this.ends.push(task);
    return this.isStill;
  }

  private end(): void {
    const { ends } = this;
    try {
      while (this.ended < ends.length) ends[this.ended++]?.();
    } finally {
      if (this.ended < ends.length) this.end();
      this.ended = 0;
      while (ends.length > 0) ends.pop();
    }
  }

  private read(): number {
    const now = this.base.now() + this.offset;
    if (now >= this.latest) return (this.latest = now);
    this.offset += this.latest - now;
    return this.latest;
  }

  timer(callback: (owner: never) => void, owner?: unknown): Timer {
    return new WheelTimer(this, callback, owner);
  }

  /** For {@link Timer.arm} of this wheel's timers, where they cannot stay in their slot. */
  arm(timer: WheelTimer, deadline: number): void {
    if (Number.isNaN(deadline)) throw new UsageError('ERR_INVALID_OPTION', 'a deadline that is not a number');
    if (deadline === Infinity) return this.cancel(timer);
    timer.order = this.order++;
    this.remove(timer);
    const now = this.now();
    if (this.count === 0 && !this.firing) {
      this.tick = Math.floor(now);
      this.wakePlace = READY;
    }
    timer.deadline = Math.max(deadline, now);
    this.count++;
    this.insert(timer);
    // The wheel may be behind the clock.
    timer.slotDue = Math.max(timer.slotDue, now);
    if (!this.firing && (timer.place < this.wakePlace || timer.place === READY)) {
      this.wake(timer.place);
    }
  }

  /** For {@link Timer.cancel} of this wheel's timers. */
  cancel(timer: WheelTimer): void {
    this.remove(timer);
    if (this.count === 0) this.rest();
  }

  private insert(timer: WheelTimer): void {
    const due = Math.ceil(timer.deadline);
    if (due <= this.tick) return this.link(timer, READY, Infinity);
    const block = Math.floor(this.tick / SPAN) * SPAN;
    const ahead = due - block;
    if (ahead >= SPAN) return this.link(timer, FAR, block + SPAN);
    const level = Math.floor((31 - Math.clz32(ahead ^ (this.tick - block))) / DIGIT_BITS);
    const shift = level * DIGIT_BITS;
    const digit = (ahead >>> shift) & (SLOTS - 1);
    this.occupied[level] = (this.occupied[level] ?? 0) | (1 << digit);
    return this.link(timer, level * SLOTS + digit, block + ((ahead >>> shift) << shift));
  }

  /** @param slotDue the tick at which the slot comes due; none where deadlines do not count any more */
  private link(timer: WheelTimer, place: number, slotDue: number): void {
    const head = this.slots[place];
    timer.place = place;
    timer.slotDue = slotDue;
    timer.previous = undefined;
    timer.next = head;
    if (head !== undefined) head.previous = timer;
    this.slots[place] = timer;
  }

  private remove(timer: WheelTimer): void {
    const { place } = timer;
    if (place === IDLE) return;
    timer.deadline = timer.slotDue = Infinity;
    timer.place = IDLE;
    this.count--;
    if (place >= 0) this.unlink(timer, place);
  }

  private unlink(timer: WheelTimer, place: number): void {
    const { previous, next } = timer;
    if (next !== undefined) next.previous = previous;
    if (previous !== undefined) previous.next = next;
    else {
      this.slots[place] = next;
      if (next === undefined && place < FAR) this.vacate(place);
    }
    timer.previous = timer.next = undefined;
  }

  private vacate(place: number): void {
    const level = Math.floor(place / SLOTS);
    this.occupied[level] = (this.occupied[level] ?? 0) & ~(1 << (place % SLOTS));
  }

  /** The tick at which a slot's timers are due, or are to be spread over the level below. */
  private slotTime(place: number): number {
    const block = Math.floor(this.tick / SPAN) * SPAN;
    if (place === READY) return this.tick;
    if (place === FAR) return block + SPAN;
    const shift = Math.floor(place / SLOTS) * DIGIT_BITS;
    const above = shift + DIGIT_BITS === DIGIT_BITS * LEVELS ? 0 : (this.tick - block) >>> (shift + DIGIT_BITS);
    return block + above * 2 ** (shift + DIGIT_BITS) + (place % SLOTS) * 2 ** shift;
  }

  /** The first slot with timers; lower levels are always sooner. */
  private firstSlot(): number | undefined {
    if (this.slots[READY] !== undefined) return READY;
    for (let level = 0; level < LEVELS; level++) {
      const bits = this.occupied[level] ?? 0;
      if (bits !== 0) return level * SLOTS + 31 - Math.clz32(bits & -bits);
    }
    return this.slots[FAR] === undefined ? undefined : FAR;
  }

  /** Wakes in time for the slot `place`. */
  private wake(place: number): void {
    const at = this.slotTime(place);
    this.wakePlace = place;
    if (this.action?.closed === false) {
      if (at >= this.wakeAt) {
        this.goOn(this.action);
        return;
      }
      this.action.unsubscribe();
    }
    this.wakeAt = at;
    this.resting = false;
    this.action = this.base.schedule(this.onWake, Math.max(0, at - this.read()));
    if (this.unref) platformTimer(this.action)?.unref?.();
  }

  /**
   * No timer is armed. One soon will be, most often: to take the platform's timer back and make it anew costs more than all else about a
   * timer, so it stays, if it can be made not to keep the process alive, and is of no consequence if it fires.
   */
  private rest(): void {
    const timer = this.action && platformTimer(this.action);
    if (timer?.unref === undefined || timer.ref === undefined) this.sleep();
    else if (!this.resting) {
      this.resting = true;
      timer.unref();
    }
  }

  /** The action that was left resting, if it was, serves again. */
  private goOn(action: Subscription): void {
    if (!this.resting) return;
    this.resting = false;
    if (!this.unref) platformTimer(action)?.ref?.();
  }

  private sleep(): void {
    this.wakeAt = Infinity;
    this.wakePlace = READY;
    this.resting = false;
    this.action?.unsubscribe();
    this.action = undefined;
  }

  private readonly onWake = (): void => {
    this.sleep();
    const now = this.now();
    const batch = this.collect(Math.floor(now));
    let done = 0;
    this.firing = true;
    try {
      while (done < batch.length) {
        const timer = batch[done++];
        if (timer?.place === FIRING) this.fire(timer);
      }
    } finally {
      this.firing = false;
      // Only after a callback threw: the others are still to fire.
      for (; done < batch.length; done++) this.putBack(batch[done]);
      this.resume();
    }
  };

  private fire(timer: WheelTimer): void {
    this.remove(timer);
    timer.call();
  }

  private putBack(timer: WheelTimer | undefined): void {
    if (timer?.place === FIRING) this.link(timer, READY, Infinity);
  }

  private resume(): void {
    const slot = this.firstSlot();
    if (slot !== undefined) this.wake(slot);
  }

  /** Takes out all timers that are due at `tick`, in the order in which they are to fire. */
  private collect(tick: number): WheelTimer[] {
    const batch: WheelTimer[] = [];
    for (let slot = this.firstSlot(); slot !== undefined; slot = this.firstSlot()) {
      const at = this.slotTime(slot);
      if (at > tick) break;
      this.tick = at;
      this.empty(slot, batch);
    }
    this.tick = Math.max(this.tick, tick);
    for (const timer of batch) {
      timer.place = FIRING;
      timer.slotDue = Infinity;
    }
    return batch.length > 1 ? batch.sort((a, b) => a.deadline - b.deadline || a.order - b.order) : batch;
  }

  /** Spreads a slot's timers over lower levels, those whose deadline has moved to wherever it is now; the due go to `batch`. */
  private empty(slot: number, batch: WheelTimer[]): void {
    let timer = this.slots[slot];
    this.slots[slot] = undefined;
    if (slot < FAR) this.vacate(slot);
    while (timer !== undefined) {
      const { next } = timer;
      timer.previous = timer.next = undefined;
      if (Math.ceil(timer.deadline) <= this.tick) batch.push(timer);
      else this.insert(timer);
      timer = next;
    }
  }
}

class WheelTimer implements Timer {
  private readonly callback: (owner: never) => void;
  private readonly owner: unknown;
  deadline: number = Infinity;
  order = 0;
  place: number = IDLE;
  /** It may stay where it is for every deadline from this one on, which is not in the past when it is put there; `Infinity` for none. */
  slotDue: number = Infinity;
  previous: WheelTimer | undefined = undefined;
  next: WheelTimer | undefined = undefined;
  private readonly wheel: TimerWheel;

  constructor(wheel: TimerWheel, callback: (owner: never) => void, owner: unknown) {
    this.wheel = wheel;
    this.callback = callback;
    this.owner = owner;
  }

  call(): void {
    this.callback(this.owner as never);
  }

  get armed(): boolean {
    return this.place !== IDLE;
  }

  arm(deadline: number): void {
    const { wheel } = this;
    if (deadline >= this.slotDue && deadline < Infinity) {
      this.deadline = deadline;
      this.order = wheel.order++;
    } else wheel.arm(this, deadline);
  }

  cancel(): void {
    this.wheel.cancel(this);
  }
}
