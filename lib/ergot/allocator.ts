/**
 * The address allocator of a device (ergot proposal 0146): answers requests from its pool, and when it runs short asks its own parent for more
 * before it says no. How the parent is asked is handed in; one question is under way at a time, and who needs more waits in order.
 */

import { UsageError } from '../core/errors.js';
import { isScope, MAX_ADDRESS_BITS } from './address-text.js';
import { AllocError, type Allocation, type AddressPool, type AllocRequest } from './allocator-pool.js';

/** A range to add to a pool, in the pool's own numbers. */
export interface GrownRange {
  readonly first: number;
  /** The exponent of the size; it may be more than what was asked for. */
  readonly len: number;
}

/** Asks for 2^`len` more addresses. `answer` counts once, at once or later; whoever asks over a network answers when time is over, too. */
export type Grow = (len: number, answer: (result: GrownRange | AllocError) => void) => void;

/** What a request comes to. */
export type AllocAnswer = (result: readonly Allocation[] | AllocError) => void;

/** Options of {@link AddressAllocator}. */
export interface AllocatorOptions {
  /** How to get more; without it a pool that is empty stays so. */
  readonly grow?: Grow;
  /** How much to ask for at least: 2^`growBy`, 1..32; 1 by default, which is as much as the request at hand needs. */
  readonly growBy?: number;
  /** How many requests may wait for the parent: 64 by default. */
  readonly maxWaiting?: number;
}

interface Waiting {
  readonly requests: readonly AllocRequest[];
  readonly answer: AllocAnswer;
  attempts: number;
}

/** After the second, twice as large answer, an aligned place was in it wherever it lay. */
const MAX_ATTEMPTS = 2;

/** Answers requests for addresses, and grows. */
export class AddressAllocator {
  readonly pool: AddressPool;
  private readonly grow: Grow | undefined;
  private readonly growBy: number;
  private readonly maxWaiting: number;
  private waiting: Waiting[] = [];
  private growing = false;
  private closed = false;

  /** @throws UsageError `ERR_INVALID_OPTION` */
  constructor(pool: AddressPool, options: AllocatorOptions = {}) {
    const { grow, growBy = 1, maxWaiting = 64 } = options;
    if (!isScope(growBy)) throw new UsageError('ERR_INVALID_OPTION', `growBy must be within 1..32, not ${growBy}`);
    if (!Number.isInteger(maxWaiting) || maxWaiting < 1) {
      throw new UsageError('ERR_INVALID_OPTION', `maxWaiting must be at least 1, not ${maxWaiting}`);
    }
    this.pool = pool;
    this.grow = grow;
    this.growBy = growBy;
    this.maxWaiting = maxWaiting;
  }

  /** How many requests wait for the parent. */
  get pending(): number {
    return this.waiting.length;
  }

  /** Answers with all allocations, in the order asked, or with why there are none: within this call, unless the parent has to be asked. */
  request(requests: readonly AllocRequest[], answer: AllocAnswer): void {
    const result = this.closed ? AllocError.ParentUnavailable : this.pool.allocate(requests);
    if (result !== AllocError.NoSpace || this.grow === undefined) {
      answer(result);
    } else if (this.waiting.length >= this.maxWaiting) {
      answer(AllocError.Busy);
    } else {
      this.waiting.push({ requests, answer, attempts: 0 });
      this.askParent();
    }
  }

  /** Takes an allocation back; false if there is none that begins at `first`. */
  release(first: number): boolean {
    return this.pool.release(first);
  }

  /** Answers nobody any more from the parent: who waits is told that it is unavailable. */
  close(): void {
    this.closed = true;
    const { waiting } = this;
    this.waiting = [];
    for (const one of waiting) one.answer(AllocError.ParentUnavailable);
  }

  private askParent(): void {
    const head = this.waiting[0];
    if (head === undefined || this.growing || this.grow === undefined) return;
    this.growing = true;
    const len = Math.min(MAX_ADDRESS_BITS, Math.max(this.growBy, this.pool.lenFor(head.requests)) + head.attempts);
    head.attempts++;
    let answered = false;
    const once = (result: GrownRange | AllocError) => {
      if (answered) return;
      answered = true;
      this.answered(head, result);
    };
    try {
      this.grow(len, once);
    } catch {
      once(AllocError.ParentUnavailable);
    }
  }

  private answered(head: Waiting, result: GrownRange | AllocError): void {
    if (this.closed) return;
    this.growing = false;
    if (typeof result === 'number')
      this.settle(head, result === AllocError.ParentUnavailable ? result : AllocError.ParentRefused);
    else if (!this.pool.add(result.first, result.len)) this.settle(head, AllocError.ParentRefused);
    else this.retry();
    this.askParent();
  }

  private retry(): void {
    for (const one of this.waiting.slice()) {
      if (!this.waiting.includes(one)) continue;
      const result = this.pool.allocate(one.requests);
      if (result !== AllocError.NoSpace || one.attempts >= MAX_ATTEMPTS) this.settle(one, result);
    }
  }

  private settle(one: Waiting, result: readonly Allocation[] | AllocError): void {
    const index = this.waiting.indexOf(one);
    if (index < 0) return;
    this.waiting.splice(index, 1);
    one.answer(result);
  }
}
