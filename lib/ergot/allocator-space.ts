/**
 * Which numbers below 2^32 are free: a tree of halves that is only as deep as free and taken numbers mix. Each node knows the longest run and
 * the largest aligned block of free numbers below it, so that finding the lowest place for either, taking it and giving it back each cost a
 * walk down and up: O(log n), with at most 64 nodes for the edges of each block.
 */

import { MAX_ADDRESS_BITS, scopeSize } from './address-text.js';

/** What stands for a half that is all the same; others are indices of nodes. */
const TAKEN = -1;
const FREE = -2;

/** A set of free numbers. At first none is. */
export class AddressSpace {
  private root: number = TAKEN;
  private left = new Int32Array(64);
  private right = new Int32Array(64);
  /** Lengths of runs of free numbers: at the low end, at the high end, anywhere. They may be 2^32. */
  private low = new Float64Array(64);
  private high = new Float64Array(64);
  private best = new Float64Array(64);
  /** The exponent of the largest aligned free block, -1 if there is none. */
  private aligned = new Int8Array(64);
  private used = 0;
  /** The first of the nodes given back, chained by `left`; -1 for none. */
  private spare = -1;
  private count = 0;

  /** How many nodes there are: what the memory goes by. */
  get nodes(): number {
    return this.count;
  }

  /** Makes `size` numbers from `first` on free. They must all be taken. */
  release(first: number, size: number): void {
    this.root = this.mark(this.root, MAX_ADDRESS_BITS, 0, first, first + size, FREE);
  }

  /** Takes `size` numbers from `first` on. They must all be free. */
  take(first: number, size: number): void {
    this.root = this.mark(this.root, MAX_ADDRESS_BITS, 0, first, first + size, TAKEN);
  }

  /** Whether `size` numbers from `first` on are all free. */
  isFree(first: number, size: number): boolean {
    return this.allFree(this.root, MAX_ADDRESS_BITS, 0, first, first + size);
  }

  /** The lowest multiple of 2^`length` from which 2^`length` numbers are free; -1 if there is none. */
  findAligned(length: number): number {
    if (this.alignedOf(this.root, MAX_ADDRESS_BITS) < length) return -1;
    let node = this.root;
    let at = 0;
    for (let bits = MAX_ADDRESS_BITS - 1; node >= 0; bits--) {
      const left = this.left[node] ?? TAKEN;
      if (this.alignedOf(left, bits) >= length) {
        node = left;
      } else {
        node = this.right[node] ?? TAKEN;
        at += scopeSize(bits);
      }
    }
    return at;
  }

  /** The lowest number from which `size` numbers are free; -1 if there is none. */
  findRun(size: number): number {
    if (run(this.best, this.root, scopeSize(MAX_ADDRESS_BITS)) < size) return -1;
    let node = this.root;
    let at = 0;
    for (let half = scopeSize(MAX_ADDRESS_BITS - 1); node >= 0; half /= 2) {
      const left = this.left[node] ?? TAKEN;
      const right = this.right[node] ?? TAKEN;
      if (run(this.best, left, half) >= size) {
        node = left;
        continue;
      }
      at += half;
      const before = run(this.high, left, half);
      if (before + run(this.low, right, half) >= size) return at - before;
      node = right;
    }
    return at;
  }

  private alignedOf(node: number, bits: number): number {
    if (node >= 0) return this.aligned[node] ?? -1;
    return node === FREE ? bits : -1;
  }

  private allFree(node: number, bits: number, low: number, first: number, end: number): boolean {
    const size = scopeSize(bits);
    if (end <= low || first >= low + size) return true;
    if (node < 0) return node === FREE;
    const below = bits - 1;
    return (
      this.allFree(this.left[node] ?? TAKEN, below, low, first, end) &&
      this.allFree(this.right[node] ?? TAKEN, below, low + size / 2, first, end)
    );
  }

  /** The half `node` of 2^`bits` numbers from `low` on, after `first`..`end` - 1 became `state`. */
  private mark(node: number, bits: number, low: number, first: number, end: number, state: number): number {
    const size = scopeSize(bits);
    if (node === state || end <= low || first >= low + size) return node;
    if (first <= low && end >= low + size) return state;
    const at = node >= 0 ? node : this.split(node);
    const left = this.mark(this.left[at] ?? TAKEN, bits - 1, low, first, end, state);
    const right = this.mark(this.right[at] ?? TAKEN, bits - 1, low + size / 2, first, end, state);
    if (left === state && right === state) return this.merge(at, state);
    this.left[at] = left;
    this.right[at] = right;
    this.summarize(at, bits - 1);
    return at;
  }

  private summarize(at: number, below: number): void {
    const left = this.left[at] ?? TAKEN;
    const right = this.right[at] ?? TAKEN;
    const half = scopeSize(below);
    const leftLow = run(this.low, left, half);
    const rightLow = run(this.low, right, half);
    const leftHigh = run(this.high, left, half);
    const rightHigh = run(this.high, right, half);
    this.low[at] = leftLow === half ? half + rightLow : leftLow;
    this.high[at] = rightHigh === half ? half + leftHigh : rightHigh;
    this.best[at] = Math.max(run(this.best, left, half), run(this.best, right, half), leftHigh + rightLow);
    this.aligned[at] = Math.max(this.alignedOf(left, below), this.alignedOf(right, below));
  }

  private split(state: number): number {
    let at = this.spare;
    if (at >= 0) {
      this.spare = this.left[at] ?? -1;
    } else {
      if (this.used === this.left.length) this.grow();
      at = this.used++;
    }
    this.count++;
    this.left[at] = state;
    this.right[at] = state;
    return at;
  }

  private merge(at: number, state: number): number {
    this.left[at] = this.spare;
    this.spare = at;
    this.count--;
    return state;
  }

  private grow(): void {
    const room = this.used * 2;
    const ints = (from: Int32Array) => {
      const to = new Int32Array(room);
      to.set(from);
      return to;
    };
    const floats = (from: Float64Array) => {
      const to = new Float64Array(room);
      to.set(from);
      return to;
    };
    this.left = ints(this.left);
    this.right = ints(this.right);
    this.low = floats(this.low);
    this.high = floats(this.high);
    this.best = floats(this.best);
    const aligned = new Int8Array(room);
    aligned.set(this.aligned);
    this.aligned = aligned;
  }
}

/** The length that `lengths` has for a half of `size` numbers. */
function run(lengths: Float64Array, node: number, size: number): number {
  if (node >= 0) return lengths[node] ?? 0;
  return node === FREE ? size : 0;
}
