/**
 * Where flows are found: one open-addressing table of the hashes of both tuples of every flow, linear probing. It has its full size from the
 * start, so that no packet ever waits for it to grow; memory that nothing was written to is not there yet.
 */

import type { FlowTuple } from './flow-tuple.js';

/** Hash and reference of an entry stand side by side. */
const WORDS = 2;
/** Of four places so many are taken at most: with the secret hash a search ends after two or three. */
const MOST_OF_FOUR = 3;

/** A reference is a slot of the table of flows, shifted by one, and in the lowest bit the direction. */
export interface FlowMatcher {
  /** Whether that direction of that flow has this tuple. */
  matches(reference: number, tuple: FlowTuple): boolean;
}

/** References by hash; a reference is never 0. */
export class Places {
  private readonly words: Int32Array;
  private readonly mask: number;

  /** @param entries how many there are at most */
  constructor(entries: number) {
    let count = 16;
    while (count * MOST_OF_FOUR < entries * 4) count *= 2;
    this.words = new Int32Array(count * WORDS);
    this.mask = count - 1;
  }

  /** Bytes that it takes when it is full. */
  get bytes(): number {
    return this.words.byteLength;
  }

  /** The reference to the flow with that tuple, or 0. */
  find(hash: number, tuple: FlowTuple, flows: FlowMatcher): number {
    const { words, mask } = this;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const reference = words[at * WORDS + 1] ?? 0;
      if (reference === 0) return 0;
      if (words[at * WORDS] === hash && flows.matches(reference, tuple)) return reference;
    }
  }

  insert(hash: number, reference: number): void {
    const { words, mask } = this;
    let at = hash & mask;
    while (words[at * WORDS + 1] !== 0) at = (at + 1) & mask;
    words[at * WORDS] = hash;
    words[at * WORDS + 1] = reference;
  }

  /** Removes an entry that is there, and moves back what probing put behind it. */
  remove(hash: number, reference: number): void {
    const { words, mask } = this;
    let hole = hash & mask;
    while (words[hole * WORDS + 1] !== reference) {
      if (words[hole * WORDS + 1] === 0) return;
      hole = (hole + 1) & mask;
    }
    for (let at = (hole + 1) & mask; words[at * WORDS + 1] !== 0; at = (at + 1) & mask) {
      const home = (words[at * WORDS] ?? 0) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      words[hole * WORDS] = words[at * WORDS] ?? 0;
      words[hole * WORDS + 1] = words[at * WORDS + 1] ?? 0;
      hole = at;
    }
    words[hole * WORDS] = 0;
    words[hole * WORDS + 1] = 0;
  }
}
