/** A queue whose both ends cost the same however long it is: a ring that doubles when it is full. */

import { UsageError } from './errors.js';

const FIRST_CAPACITY = 16;

function empty<T>(length: number): (T | undefined)[] {
  return Array.from({ length }, () => undefined);
}

/** First in, first out. */
export class Fifo<T> {
  /** A power of two of slots, so that an index wraps by a mask. */
  private slots: (T | undefined)[] = empty(FIRST_CAPACITY);
  private head = 0;
  private count = 0;

  get length(): number {
    return this.count;
  }

  /** The `index`th from the front. @throws UsageError `ERR_INVALID_STATE` if there are fewer */
  at(index: number): T {
    const item = index < this.count ? this.slots[(this.head + index) & (this.slots.length - 1)] : undefined;
    if (item === undefined) throw new UsageError('ERR_INVALID_STATE', `the queue has no item ${index}`);
    return item;
  }

  /** The first, or `undefined`. */
  get first(): T | undefined {
    return this.count === 0 ? undefined : this.slots[this.head];
  }

  push(item: T): void {
    if (this.count === this.slots.length) this.grow();
    this.slots[(this.head + this.count++) & (this.slots.length - 1)] = item;
  }

  /** Takes the first. */
  shift(): T | undefined {
    if (this.count === 0) return undefined;
    const item = this.slots[this.head];
    this.slots[this.head] = undefined;
    this.head = (this.head + 1) & (this.slots.length - 1);
    this.count--;
    return item;
  }

  /** Puts an item before those at the back that are to come after it: cheap where these are few. */
  insert(item: T, comesAfter: (other: T) => boolean): void {
    this.push(item);
    const mask = this.slots.length - 1;
    for (let index = this.count - 1; index > 0; index--) {
      const before = (this.head + index - 1) & mask;
      const other = this.slots[before];
      if (other === undefined || !comesAfter(other)) return;
      this.slots[(before + 1) & mask] = other;
      this.slots[before] = item;
    }
  }

  private grow(): void {
    const { length } = this.slots;
    const wider = empty<T>(2 * length);
    for (let i = 0; i < length; i++) wider[i] = this.slots[(this.head + i) & (length - 1)];
    this.slots = wider;
    this.head = 0;
  }
}
