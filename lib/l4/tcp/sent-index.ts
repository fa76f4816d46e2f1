/**
 * Finds records of sent segments by sequence number where they are far from any that is at hand: an array of all of them, searched by halves.
 * It is made when it is first needed and kept up as segments are sent and acknowledged, so that a peer whose selective acknowledgments jump
 * about in a large window costs no more than one whose do not.
 */

import type { SentSegment } from './sent-segment.js';
import { after } from './seq.js';

// Records at the front of the array that were released: with more of them than that, and than others, it is moved up.
const MOST_RELEASED = 1024;

/** The records of one queue, in the order of their sequence numbers. */
export class SentIndex {
  /** It has all records that the queue has. */
  private complete = false;
  private records: (SentSegment | undefined)[] = [];
  /** Place of the oldest. */
  private first = 0;

  /** A segment was sent. */
  pushed(segment: SentSegment): void {
    if (this.complete) this.records.push(segment);
  }

  /** The oldest was released. */
  released(): void {
    if (!this.complete) return;
    this.records[this.first++] = undefined;
    if (this.first <= MOST_RELEASED || 2 * this.first < this.records.length) return;
    this.records = this.records.slice(this.first);
    this.first = 0;
  }

  /** Records were cut, merged, or forgotten. */
  drop(): void {
    if (!this.complete) return;
    this.complete = false;
    this.records = [];
    this.first = 0;
  }

  /** The first segment of the queue that begins with `head` which ends after `seq`. */
  find(head: SentSegment | undefined, seq: number): SentSegment | undefined {
    if (!this.complete) this.build(head);
    const { records } = this;
    let low = this.first;
    let high = records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const record = records[middle];
      if (record !== undefined && after(record.end, seq)) high = middle;
      else low = middle + 1;
    }
    return records[low];
  }

  private build(head: SentSegment | undefined): void {
    for (let segment = head; segment !== undefined; segment = segment.next) this.records.push(segment);
    this.complete = true;
  }
}
