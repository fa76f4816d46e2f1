/**
 * The nodes of a {@link PrefixMap}: how one is laid out, and how prefixes and children come and go. A node is known by the offset of its first
 * word; any change may move the children of the node that is changed, and nothing else.
 */

import { WordBlocks } from './prefix-blocks.js';

export const NONE = -1;
/** Bits of an address that a node stands for. */
export const STRIDE = 5;
const WAYS: number = 1 << STRIDE;

// Words of a node: which prefixes end here, which children there are, and where each of both begin. Of a single prefix the value is in the node.
export const NODE = 4;
export const PREFIXES = 0;
export const CHILDREN = 1;
export const FIRST_CHILD = 2;
export const VALUES = 3;
// A node that skips bits has the sign and their number in its first word, then the bits, from the highest on, and the only node behind them: whole
// levels. Where that would have but one prefix, the node is its leaf: the bits are all that the prefix has left.
export const SKIPPED = 1;
export const BEHIND = 2;
const SKIP = -0x8000_0000;
const LEAF = 0x40;
const COUNT = 0x3f;
const MAX_SKIPPED = 30;
const MAX_LEAF = 32;

/** How many bits a node skips, by its first word; those of a node that skips none have no sign. */
export function skippedBits(first: number): number {
  return first & COUNT;
}

/** Whether a node that skips bits is the leaf of a single prefix. */
export function isLeaf(first: number): boolean {
  return (first & LEAF) !== 0;
}

/** How many bits of a word are set. */
export function bitCount(word: number): number {
  const pairs = word - ((word >>> 1) & 0x5555_5555);
  const fours = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

/** Which bit of a node's prefixes stands for that of `length` bits, 0 to 4, that five bits begin with: the longer, the higher. */
export function prefixBit(bits: number, length: number): number {
  return (1 << length) - 1 + (bits >>> (STRIDE - length));
}

/** The length of the prefix that such a bit stands for. */
export function prefixLength(bit: number): number {
  return 31 - Math.clz32(bit + 1);
}

/** The bits of that prefix, from the highest of a word on. */
export function prefixBits(bit: number): number {
  const length = prefixLength(bit);
  return ((bit + 1 - (1 << length)) << 1) << (31 - length);
}

/** Nodes and what hangs on them. */
export class PrefixNodes {
  readonly blocks: WordBlocks = new WordBlocks(NODE, WAYS);
  private readonly values = new WordBlocks(1, WAYS - 1);

  get bytes(): number {
    return this.blocks.bytes + this.values.bytes;
  }

  /** So many nodes without anything, one behind another, that are never given back. */
  reserve(count: number): number {
    return this.blocks.extend(count);
  }

  isEmpty(node: number): boolean {
    const { words } = this.blocks;
    return words[node + PREFIXES] === 0 && words[node + CHILDREN] === 0;
  }

  /** Whether a node has nothing but one child. */
  isPassage(node: number): boolean {
    const { words } = this.blocks;
    const children = words[node + CHILDREN] ?? 0;
    return words[node + PREFIXES] === 0 && children !== 0 && (children & (children - 1)) === 0;
  }

  /** The value of a prefix that is there; of a leaf its only one. */
  value(node: number, bit: number): number {
    const { words } = this.blocks;
    const prefixes = words[node + PREFIXES] ?? 0;
    const at = words[node + VALUES] ?? 0;
    // A single prefix, as most have, costs no further access.
    if (prefixes < 0 || (prefixes & (prefixes - 1)) === 0) return at;
    return this.values.words[at + bitCount(prefixes & ((1 << bit) - 1))] ?? NONE;
  }

  /** Gives a prefix its value, of a node that skips nothing; returns the former one, or -1. */
  setValue(node: number, bit: number, value: number): number {
    const { words } = this.blocks;
    const prefixes = words[node + PREFIXES] ?? 0;
    const place = bitCount(prefixes & ((1 << bit) - 1));
    const isThere = ((prefixes >>> bit) & 1) !== 0;
    const former = isThere ? this.value(node, bit) : NONE;
    const count = bitCount(prefixes);
    if (count === (isThere ? 1 : 0)) words[node + VALUES] = value;
    else if (isThere) this.values.words[(words[node + VALUES] ?? 0) + place] = value;
    else words[node + VALUES] = this.withValue(words[node + VALUES] ?? 0, count, place, value);
    words[node + PREFIXES] = prefixes | (1 << bit);
    return former;
  }

  /** Gives the prefix of a leaf another value; returns the former one. */
  setLeafValue(node: number, value: number): number {
    const { words } = this.blocks;
    const former = words[node + VALUES] ?? NONE;
    words[node + VALUES] = value;
    return former;
  }

  /** Removes a prefix that is there, of a leaf its only one; returns its value. */
  removeValue(node: number, bit: number): number {
    const { words } = this.blocks;
    const former = this.value(node, bit);
    const prefixes = words[node + PREFIXES] ?? 0;
    if (prefixes < 0) {
      this.setNode(node, 0, 0);
      return former;
    }
    const place = bitCount(prefixes & ((1 << bit) - 1));
    const count = bitCount(prefixes);
    if (count > 1) words[node + VALUES] = this.withoutValue(words[node + VALUES] ?? 0, count, place);
    words[node + PREFIXES] = prefixes & ~(1 << bit);
    return former;
  }

  /** The child behind five bits, or -1. */
  child(node: number, bits: number): number {
    const { words } = this.blocks;
    const children = words[node + CHILDREN] ?? 0;
    if (((children >>> bits) & 1) === 0) return NONE;
    return (words[node + FIRST_CHILD] ?? 0) + bitCount(children & ((1 << bits) - 1)) * NODE;
  }

  /** A new child without anything. */
  addChild(node: number, bits: number): number {
    const { blocks } = this;
    const children = blocks.words[node + CHILDREN] ?? 0;
    const count = bitCount(children);
    const split = bitCount(children & ((1 << bits) - 1)) * NODE;
    const to = blocks.take(count + 1);
    // Only now, since there may be new words.
    const { words } = blocks;
    const from = words[node + FIRST_CHILD] ?? 0;
    const child = to + split;
    words.copyWithin(to, from, from + split);
    words.copyWithin(child + NODE, from + split, from + count * NODE);
    words.fill(0, child, child + NODE);
    if (count > 0) blocks.give(from, count);
    words[node + CHILDREN] = children | (1 << bits);
    words[node + FIRST_CHILD] = to;
    return child;
  }

  /** Removes a child that has nothing on it. */
  removeChild(node: number, bits: number): void {
    const { blocks } = this;
    const children = blocks.words[node + CHILDREN] ?? 0;
    const count = bitCount(children);
    const split = bitCount(children & ((1 << bits) - 1)) * NODE;
    const to = count > 1 ? blocks.take(count - 1) : 0;
    const { words } = blocks;
    const from = words[node + FIRST_CHILD] ?? 0;
    words.copyWithin(to, from, from + split);
    words.copyWithin(to + split, from + split + NODE, from + count * NODE);
    blocks.give(from, count);
    words[node + CHILDREN] = children & ~(1 << bits);
    words[node + FIRST_CHILD] = to;
  }

  /** Makes an empty node the leaf of a prefix that has `length` bits left, which `window` begins with. False where it has too many. */
  setLeaf(node: number, length: number, window: number, value: number): boolean {
    if (length > MAX_LEAF) return false;
    const { words } = this.blocks;
    words[node] = SKIP | LEAF | length;
    words[node + SKIPPED] = window & ~((0xffff_ffff >>> (length - 1)) >>> 1);
    words[node + BEHIND] = 0;
    words[node + VALUES] = value;
    return true;
  }

  /** Makes an empty node one that skips as much as can be skipped. */
  skip(node: number, window: number): void {
    this.setSkip(node, MAX_SKIPPED, window, this.newNode());
  }

  /** Makes a leaf a skip and a node with the prefix. */
  unfold(node: number): void {
    const behind = this.newNode();
    const { words } = this.blocks;
    const length = skippedBits(words[node] ?? 0);
    const skipped = words[node + SKIPPED] ?? 0;
    const left = length % STRIDE;
    const bits = length - left;
    this.setValue(behind, prefixBit((skipped << bits) >>> (32 - STRIDE), left), words[node + VALUES] ?? 0);
    this.setSkip(node, bits, skipped, behind);
  }

  /** Breaks a skip behind so many bits of it, whole levels; returns the node that now is there, with a single child. */
  split(node: number, bits: number): number {
    const { words } = this.blocks;
    const rest = skippedBits(words[node] ?? 0) - bits - STRIDE;
    const skipped = words[node + SKIPPED] ?? 0;
    let behind = words[node + BEHIND] ?? 0;
    if (rest > 0) {
      const tail = this.newNode();
      this.setSkip(tail, rest, skipped << (bits + STRIDE), behind);
      this.join(tail);
      behind = tail;
    }
    let broken = node;
    if (bits > 0) {
      broken = this.newNode();
      this.setSkip(node, bits, skipped, broken);
    }
    this.setNode(broken, 1 << ((skipped << bits) >>> (32 - STRIDE)), behind);
    return broken;
  }

  /** Makes a passage a skip, together with what is behind it. */
  joinPassage(node: number): void {
    const { words } = this.blocks;
    const bits = Math.clz32(words[node + CHILDREN] ?? 0) ^ 31;
    this.setSkip(node, STRIDE, bits << (32 - STRIDE), words[node + FIRST_CHILD] ?? 0);
    this.join(node);
  }

  /** Joins a skip with what is behind it, if both fit into one. */
  join(node: number): void {
    const { blocks } = this;
    const { words } = blocks;
    const first = words[node] ?? 0;
    if (first >= 0 || isLeaf(first)) return;
    const behind = words[node + BEHIND] ?? 0;
    const second = words[behind] ?? 0;
    const bits = skippedBits(first);
    const skipped = words[node + SKIPPED] ?? 0;
    const value = words[behind + VALUES] ?? 0;
    let isJoined = false;
    if (second < 0) {
      const both = bits + skippedBits(second);
      const all = skipped | ((words[behind + SKIPPED] ?? 0) >>> bits);
      if (isLeaf(second)) isJoined = this.setLeaf(node, both, all, value);
      else if (both <= MAX_SKIPPED) isJoined = this.setSkip(node, both, all, words[behind + BEHIND] ?? 0);
    } else if (words[behind + CHILDREN] === 0 && bitCount(second) === 1) {
      const length = prefixLength(Math.clz32(second) ^ 31);
      const left = prefixBits(Math.clz32(second) ^ 31) >>> bits;
      isJoined = this.setLeaf(node, bits + length, skipped | left, value);
    }
    if (isJoined) blocks.give(behind, 1);
  }

  /** Makes a skip before an empty node an empty node. */
  unskip(node: number): void {
    this.blocks.give(this.blocks.words[node + BEHIND] ?? 0, 1);
    this.setNode(node, 0, 0);
  }

  private newNode(): number {
    const node = this.blocks.take(1);
    this.setNode(node, 0, 0);
    return node;
  }

  private setNode(node: number, children: number, firstChild: number): void {
    const { words } = this.blocks;
    words[node + PREFIXES] = 0;
    words[node + CHILDREN] = children;
    words[node + FIRST_CHILD] = firstChild;
    words[node + VALUES] = 0;
  }

  private setSkip(node: number, bits: number, window: number, behind: number): true {
    const { words } = this.blocks;
    words[node] = SKIP | bits;
    words[node + SKIPPED] = window & ~(0xffff_ffff >>> bits);
    words[node + BEHIND] = behind;
    words[node + VALUES] = 0;
    return true;
  }

  /** A block of one value more than `count` at `from`, or than the one that `from` is itself. */
  private withValue(from: number, count: number, place: number, value: number): number {
    const { values } = this;
    const to = values.take(count + 1);
    const { words } = values;
    if (count === 1) {
      words[to + 1 - place] = from;
    } else {
      words.copyWithin(to, from, from + place);
      words.copyWithin(to + place + 1, from + place, from + count);
      values.give(from, count);
    }
    words[to + place] = value;
    return to;
  }

  private withoutValue(from: number, count: number, place: number): number {
    const { values } = this;
    if (count === 2) {
      const left = values.words[from + 1 - place] ?? 0;
      values.give(from, count);
      return left;
    }
    const to = values.take(count - 1);
    const { words } = values;
    words.copyWithin(to, from, from + place);
    words.copyWithin(to + place, from + place + 1, from + count);
    values.give(from, count);
    return to;
  }
}
