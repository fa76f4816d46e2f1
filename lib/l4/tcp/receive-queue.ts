/**
 * Received bytes in order, waiting to be read. What the segment under inspection brought is only lent: a reader within its event sees
 * it where it lies, in the frame. What is unread when the event ends is kept: copied once, into memory that becomes the reader's own.
 */

import { ByteCopies } from '../../core/byte-copies.js';
import { copyRange } from '../../core/copy.js';

// Kept pieces are gathered, so that many small ones do not cost many times their size. One that waits alone has memory of its own, and so
// have the first that are not small; then blocks are about as large as what waits already.
const SMALL = 1024;
const LEAST_BLOCK = 4096;
const LARGEST_BLOCK = 65_536;
const FEW = 8192;
const NOWHERE = new Uint8Array(0);

/** A queue of bytes that is read in pieces. */
export class ReceiveQueue {
  /** Bytes in the queue. */
  length = 0;
  /** What {@link take} took, until the next call: bytes from this offset on. */
  taken: Uint8Array = NOWHERE;
  takenFrom = 0;
  /** Blocks, and how many bytes of each are used. */
  private blocks: Uint8Array[] = [];
  private ends: number[] = [];
  private first = 0;
  /** Bytes of the first block that were read. */
  private skip = 0;
  /** The end of the queue, as long as it lies in a frame. */
  private lent: Uint8Array | undefined = undefined;
  private lentFrom = 0;
  private lentTo = 0;
  private readonly copies: ByteCopies;

  /** @param copies makes those of what is read where it lies */
  constructor(copies: ByteCopies = new ByteCopies()) {
    this.copies = copies;
  }

  /** Puts bytes `from` to `to` of `source` at the end, where they lie: {@link keep} them before they change. */
  lend(source: Uint8Array, from: number, to: number): void {
    if (this === NOTHING_RECEIVED) throw new Error('a connection receives into a queue of its own');
    if (this.lent !== undefined) this.keep();
    this.length += to - from;
    this.lent = source;
    this.lentFrom = from;
    this.lentTo = to;
  }

  /** Copies bytes `from` to `to` of `source` to the end of the queue. */
  append(source: Uint8Array, from: number, to: number): void {
    this.lend(source, from, to);
    this.keep();
  }

  /** Copies what is lent and was not read. */
  keep(): void {
    const { lent } = this;
    if (lent === undefined) return;
    this.lent = undefined;
    const { lentFrom: from, lentTo: to } = this;
    const count = to - from;
    if (this.length === count || count >= LARGEST_BLOCK / 2 || (count >= SMALL && this.length < FEW)) {
      this.add(lent.slice(from, to), count);
      return;
    }
    const last = this.blocks.length - 1;
    const end = this.ends[last] ?? 0;
    const block = this.blocks[last];
    if (block !== undefined && end + count <= block.length) {
      copyRange(lent, from, block, end, count);
      this.ends[last] = end + count;
      return;
    }
    const fresh = new Uint8Array(Math.max(count, LEAST_BLOCK, Math.min(LARGEST_BLOCK, this.length)));
    copyRange(lent, from, fresh, 0, count);
    this.add(fresh, count);
  }

  /** Puts a chunk that the queue may keep at the end. What is small, or finds room, is gathered: else the blocks in between would be nearly empty. */
  push(chunk: Uint8Array): void {
    if (this === NOTHING_RECEIVED) throw new Error('a connection receives into a queue of its own');
    this.keep();
    const { length } = chunk;
    const last = this.blocks.length - 1;
    const room = (this.blocks[last]?.length ?? 0) - (this.ends[last] ?? 0);
    if (length < SMALL || length <= room) return this.append(chunk, 0, length);
    this.length += length;
    this.add(chunk, length);
  }

  private add(block: Uint8Array, used: number): void {
    this.blocks.push(block);
    this.ends.push(used);
  }

  /**
   * Takes at most `max` bytes off the front, where they lie: what is lent is good as long as it is, and none of it may be changed.
   *
   * @returns how many bytes; 0 if there are none
   */
  take(max: number): number {
    const { first, blocks, lent } = this;
    if (first === blocks.length) {
      if (lent === undefined) return 0;
      const count = atMost(this.lentTo - this.lentFrom, max);
      this.taken = lent;
      this.takenFrom = this.lentFrom;
      this.lentFrom += count;
      this.length -= count;
      if (this.lentFrom === this.lentTo) this.lent = undefined;
      return count;
    }
    this.taken = blocks[first] ?? NOWHERE;
    this.takenFrom = this.skip;
    const count = atMost((this.ends[first] ?? 0) - this.skip, max);
    this.skip += count;
    this.length -= count;
    if (this.skip === this.ends[first]) this.leaveBlock();
    return count;
  }

  /** The first block was read: it is its reader's. */
  private leaveBlock(): void {
    this.skip = 0;
    this.blocks[this.first++] = NOWHERE;
    if (this.first === this.blocks.length) this.forgetBlocks();
    else if (this.first >= 32 && this.first * 2 > this.blocks.length) {
      this.blocks.splice(0, this.first);
      this.ends.splice(0, this.first);
      this.first = 0;
    }
  }

  private forgetBlocks(): void {
    this.first = 0;
    // One by one, as a rule: that is far cheaper than to set the length.
    while (this.blocks.length > 0) {
      this.blocks.pop();
      this.ends.pop();
    }
  }

  /** Takes at most `max` bytes off the front, in one piece that is the reader's own; `undefined` if there are none. */
  read(max: number): Uint8Array | undefined {
    const isLent = this.first === this.blocks.length;
    const count = max > 0 ? this.take(max) : 0;
    if (count === 0) return undefined;
    const { taken, takenFrom: from } = this;
    this.taken = NOWHERE;
    if (isLent) return this.copies.of(taken, from, count);
    return count === taken.length ? taken : taken.subarray(from, from + count);
  }

  /** The same bytes, which stay where they are. */
  peek(max: number): Uint8Array | undefined {
    this.keep();
    const block = this.blocks[this.first];
    if (block === undefined || max <= 0) return undefined;
    return block.subarray(this.skip, Math.min(this.ends[this.first] ?? 0, this.skip + max));
  }

  clear(): void {
    this.length = this.skip = 0;
    this.lent = undefined;
    this.taken = NOWHERE;
    if (this.blocks.length > 64) {
      this.blocks = [];
      this.ends = [];
    }
    this.forgetBlocks();
  }
}

/** The less of both, as an integer, which with an infinite `max` the engine would not know it to be. */
function atMost(count: number, max: number): number {
  return count > max ? max | 0 : count;
}

/** What connections have for which nothing waits to be read: empty, and stays so. Of the same class as the others, so that all that look at them see but one. */
export const NOTHING_RECEIVED: ReceiveQueue = new ReceiveQueue();
