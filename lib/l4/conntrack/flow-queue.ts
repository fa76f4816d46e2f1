/** Flows in the order in which they came to some stage of their life, linked through their records: the oldest is found at once. */

import type { FlowRecords } from './flow-records.js';

/** A queue of slots; each slot is in one queue at most. */
export class FlowQueue {
  private readonly records: FlowRecords;
  private first = 0;
  private last = 0;

  constructor(records: FlowRecords) {
    this.records = records;
  }

  /** The slot that has been here longest, or 0. */
  get oldest(): number {
    return this.first;
  }

  add(slot: number): void {
    const { records, last } = this;
    records.setPrevious(slot, last);
    records.setNext(slot, 0);
    if (last === 0) this.first = slot;
    else records.setNext(last, slot);
    this.last = slot;
  }

  remove(slot: number): void {
    const { records } = this;
    const previous = records.previous(slot);
    const next = records.next(slot);
    if (previous === 0) this.first = next;
    else records.setNext(previous, next);
    if (next === 0) this.last = previous;
    else records.setPrevious(next, previous);
  }
}
