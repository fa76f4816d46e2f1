/** Slots of tables found by hash: chains through typed arrays, which have their full size from the start; memory nothing was written to is not there yet. */

import { halfSipHash } from '../../core/hash.js';
import type { Random } from '../../core/random.js';

const MAPPED = 0xffff;
const ADDRESS = 4;
const LONGEST = 8;

/** Slots by hash. Slots count from 1. */
export class Chains {
  private readonly heads: Int32Array;
  private readonly nexts: Int32Array;
  private readonly mask: number;

  /** @param slots the highest slot */
  constructor(slots: number) {
    let count = 16;
    while (count < slots) count *= 2;
    this.heads = new Int32Array(count);
    this.nexts = new Int32Array(slots + 1);
    this.mask = count - 1;
  }

  /** Bytes of memory when full. */
  get bytes(): number {
    return this.heads.byteLength + this.nexts.byteLength;
  }

  /** The first slot of those that share the hash's chain, or 0. */
  first(hash: number): number {
    return this.heads[hash & this.mask] ?? 0;
  }

  /** The one behind `slot`, or 0. */
  after(slot: number): number {
    return this.nexts[slot] ?? 0;
  }

  add(slot: number, hash: number): void {
    const at = hash & this.mask;
    this.nexts[slot] = this.heads[at] ?? 0;
    this.heads[at] = slot;
  }

  /** Removes a slot that was added with that hash. */
  remove(slot: number, hash: number): void {
    const { heads, nexts } = this;
    const at = hash & this.mask;
    const next = nexts[slot] ?? 0;
    let one = heads[at] ?? 0;
    if (one === slot) {
      heads[at] = next;
      return;
    }
    while (one !== 0) {
      const after = nexts[one] ?? 0;
      if (after === slot) {
        nexts[one] = next;
        return;
      }
      one = after;
    }
  }
}

/** Unused slots of a table. */
export class FreeSlots {
  private readonly given: Int32Array;
  private count = 0;
  private fresh = 1;
  private readonly last: number;

  constructor(slots: number) {
    this.given = new Int32Array(slots);
    this.last = slots;
  }

  /** How many are in use. */
  get used(): number {
    return this.fresh - 1 - this.count;
  }

  /** The highest slot that was ever used. */
  get highest(): number {
    return this.fresh - 1;
  }

  get bytes(): number {
    return this.given.byteLength;
  }

  /** A slot, or 0 where all are in use. */
  take(): number {
    if (this.count > 0) return this.given[--this.count] ?? 0;
    return this.fresh > this.last ? 0 : this.fresh++;
  }

  give(slot: number): void {
    this.given[this.count++] = slot;
  }
}

/** What is hashed: an address as four words, mapped where it is IPv4, and up to four more. */
export class HashKey {
  readonly words: Int32Array = new Int32Array(LONGEST);
  private readonly k0: number;
  private readonly k1: number;

  constructor(random: Random) {
    this.k0 = random.uint32() | 0;
    this.k1 = random.uint32() | 0;
  }

  address(word0: number, word1: number, word2: number, word3: number): void {
    putAddress(this.words, 0, word0, word1, word2, word3);
  }

  /** The address of a record. */
  addressAt(records: Int32Array, at: number): void {
    putAddress(this.words, 0, records[at] ?? 0, records[at + 1] ?? 0, records[at + 2] ?? 0, records[at + 3] ?? 0);
  }

  /** The hash of the address and `more` words behind it: of IPv4 the three words that all have are left out. */
  hash(more: number): number {
    const { words } = this;
    const isMapped = words[2] === MAPPED && words[1] === 0 && words[0] === 0;
    const from = isMapped ? ADDRESS - 1 : 0;
    return halfSipHash(this.k0, this.k1, words, from, ADDRESS + more - from);
  }
}

/** Writes an address into a record, at `at`. */
export function putAddress(
  records: Int32Array,
  at: number,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
): void {
  records[at] = word0;
  records[at + 1] = word1;
  records[at + 2] = word2;
  records[at + 3] = word3;
}

/** Whether the address of a record, at `at`, is this one; the word that mostly differs is looked at first. */
export function isAddress(
  records: Int32Array,
  at: number,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
): boolean {
  return records[at + 3] === word3 && records[at + 2] === word2 && records[at + 1] === word1 && records[at] === word0;
}
