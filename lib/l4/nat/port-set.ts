/**
 * Free ports of one address, in a tree of bits of three levels: to find a free one near a random place, to take and to give one back costs the
 * same however many there are, and that there is none is known at once. Even and odd ports are kept apart, since RTP's and RTCP's come in pairs (RFC
 * 4787 4.2.2).
 */

import type { Random } from '../../core/random.js';

const FANOUT = 32;
const LEAVES = 1024;
/** Numbers that a set can hold: 0 to 32767. */
export const NUMBERS: number = LEAVES * FANOUT;
const NONE = -1;
const FULL = -1;

/** The place of the lowest bit; `bits` is not 0. */
function lowest(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

/** A set of numbers from 0 to 32767 in which the next one is found in constant time. */
export class NumberSet {
  size = 0;
  private readonly leaves = new Int32Array(LEAVES);
  private readonly branches = new Int32Array(FANOUT);
  private root = 0;

  /** Adds all numbers from 0 to `count` - 1. */
  fill(count: number): void {
    for (let leaf = 0; leaf * FANOUT < count; leaf++) {
      const here = count - leaf * FANOUT;
      this.leaves[leaf] = here >= FANOUT ? FULL : (1 << here) - 1;
      this.branches[leaf >>> 5] = (this.branches[leaf >>> 5] ?? 0) | (1 << (leaf & 31));
      this.root |= 1 << (leaf >>> 5);
    }
    this.size = count;
  }

  has(number: number): boolean {
    return (((this.leaves[number >>> 5] ?? 0) >>> (number & 31)) & 1) === 1;
  }

  /** Returns whether it was not in already. */
  add(number: number): boolean {
    if (this.has(number)) return false;
    const leaf = number >>> 5;
    const branch = leaf >>> 5;
    this.leaves[leaf] = (this.leaves[leaf] ?? 0) | (1 << (number & 31));
    this.branches[branch] = (this.branches[branch] ?? 0) | (1 << (leaf & 31));
    this.root |= 1 << branch;
    this.size++;
    return true;
  }

  /** Returns whether it was in. */
  remove(number: number): boolean {
    if (!this.has(number)) return false;
    const leaf = number >>> 5;
    const branch = leaf >>> 5;
    const left = (this.leaves[leaf] ?? 0) & ~(1 << (number & 31));
    this.leaves[leaf] = left;
    this.size--;
    if (left !== 0) return true;
    const leavesLeft = (this.branches[branch] ?? 0) & ~(1 << (leaf & 31));
    this.branches[branch] = leavesLeft;
    if (leavesLeft === 0) this.root &= ~(1 << branch);
    return true;
  }

  /** The lowest number of the set that is not below `from`, which is one that a set can hold, or -1. */
  next(from: number): number {
    const leaf = from >>> 5;
    const here = (this.leaves[leaf] ?? 0) & (-1 << (from & 31));
    if (here !== 0) return (leaf << 5) | lowest(here);
    // -2 shifted by 31 is 0: there is none above the last.
    const beside = (this.branches[leaf >>> 5] ?? 0) & (-2 << (leaf & 31));
    if (beside !== 0) return this.first(((leaf >>> 5) << 5) | lowest(beside));
    const above = this.root & (-2 << (leaf >>> 5));
    if (above === 0) return NONE;
    const branch = lowest(above);
    return this.first((branch << 5) | lowest(this.branches[branch] ?? 0));
  }

  /** A number of the set from `from` to `to`: the next one from `start` on, going round. -1 where there is none. */
  near(start: number, from: number, to: number): number {
    const ahead = this.next(start);
    if (ahead !== NONE && ahead <= to) return ahead;
    const behind = this.next(from);
    return behind !== NONE && behind < start && behind <= to ? behind : NONE;
  }

  private first(leaf: number): number {
    return (leaf << 5) | lowest(this.leaves[leaf] ?? 0);
  }
}

/** Ports from 1 to 65535, all of which are free at first. */
export class PortSet {
  private readonly even = new NumberSet();
  private readonly odd = new NumberSet();

  constructor() {
    this.even.fill(NUMBERS);
    this.odd.fill(NUMBERS);
    this.even.remove(0);
  }

  /** How many are free. */
  get free(): number {
    return this.even.size + this.odd.size;
  }

  isFree(port: number): boolean {
    return this.half(port).has(port >>> 1);
  }

  /** Takes this very port; false where it is in use. */
  take(port: number): boolean {
    return this.half(port).remove(port >>> 1);
  }

  /** Gives a port back; false where it was free. */
  give(port: number): boolean {
    return port !== 0 && this.half(port).add(port >>> 1);
  }

  /**
   * Takes a free port from `from` to `to`, both inclusive, near a random one (RFC 6056 3.3.1); 0 where none is free.
   *
   * @param like a port whose parity it shall have, or -1
   */
  takeAny(from: number, to: number, like: number, random: Random): number {
    if (from > to) return 0;
    const start = from + random.below(to - from + 1);
    const parity = (like < 0 ? start : like) & 1;
    const port = this.near(start, from, to, parity);
    const found = port === 0 && like < 0 ? this.near(start, from, to, parity ^ 1) : port;
    if (found !== 0) this.take(found);
    return found;
  }

  private near(start: number, from: number, to: number, parity: number): number {
    const set = parity === 0 ? this.even : this.odd;
    const first = (from + 1 - parity) >>> 1;
    const last = (to - parity) >> 1;
    if (last < first) return 0;
    const place = Math.min(Math.max((start + 1 - parity) >>> 1, first), last);
    const found = set.near(place, first, last);
    return found === NONE ? 0 : found * 2 + parity;
  }

  private half(port: number): NumberSet {
    return (port & 1) === 0 ? this.even : this.odd;
  }
}
