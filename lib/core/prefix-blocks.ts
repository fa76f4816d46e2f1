/**
 * Blocks of a few words within one growing typed array: what the nodes of a prefix map are made of. A block that is given back serves the next
 * one of its size, so a map that changes all the time stays as large as it ever was.
 */

const NONE = -1;
const FIRST_WORDS = 256;

/** Blocks of 1 to `most` items, each of `unit` words. A block is known by the offset of its first word. */
export class WordBlocks {
  /** All blocks; another array after {@link WordBlocks.take} had to make room. */
  words: Int32Array = new Int32Array(FIRST_WORDS);
  private readonly unit: number;
  /** By size: the first block that nobody has, whose first word is the offset of the next. */
  private readonly free: Int32Array;
  private end = 0;

  constructor(unit: number, most: number) {
    this.unit = unit;
    this.free = new Int32Array(most + 1).fill(NONE);
  }

  /** Bytes up to the last block that was ever taken; more is reserved, but never touched. */
  get bytes(): number {
    return this.end * Int32Array.BYTES_PER_ELEMENT;
  }

  /** Offset of a block of so many items, whose contents are undefined. */
  take(items: number): number {
    const at = this.free[items] ?? NONE;
    if (at === NONE) return this.extend(items);
    this.free[items] = this.words[at] ?? NONE;
    return at;
  }

  /** Offset of a new block of zeros, which may be larger than any other and is never given back. */
  extend(items: number): number {
    const at = this.end;
    this.end += items * this.unit;
    if (this.end > this.words.length) this.grow();
    return at;
  }

  /** Gives a block of so many items back. */
  give(at: number, items: number): void {
    this.words[at] = this.free[items] ?? NONE;
    this.free[items] = at;
  }

  private grow(): void {
    const { words } = this;
    // Pages of the new array that nobody has written to take no memory.
    this.words = new Int32Array(Math.max(this.end, words.length * 2));
    this.words.set(words);
  }
}
