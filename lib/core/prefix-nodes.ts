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
const VALUES = 3;
// A node that skips levels has the sign and their number in its first word, then their bits, and the only node behind them.
const SKIP = -0x8000_0000;
export const LEVELS = 7;
export const SKIPPED = 1;
export const BEHIND = 2;
const MAX_LEVELS = 6;

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

  /** The value of a prefix that is there. */
  value(node: number, bit: number): number {
    const { words } = this.blocks;
    const prefixes = words[node + PREFIXES] ?? 0;
    const at = words[node + VALUES] ?? 0;
    // A single prefix, as most have, costs no further access.
    if ((prefixes & (prefixes - 1)) === 0) return at;
    return this.values.words[at + bitCount(prefixes & ((1 << bit) - 1))] ?? NONE;
  }

  /** Gives a prefix its value; returns the former one, or -1. */
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

  /** Removes a prefix that is there; returns its value. */
  removeValue(node: number, bit: number): number {
    const { words } = this.blocks;
    const former = this.value(node, bit);
    const prefixes = words[node + PREFIXES] ?? 0;
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

  /** Makes an empty node one that skips up to `levels`, whose bits `window` begins with; how many it is, {@link LEVELS} of its first word says. */
  skip(node: number, levels: number, window: number): void {
    const most = Math.min(levels, MAX_LEVELS);
    this.setSkip(node, most, window >>> (32 - most * STRIDE), this.newNode());
  }

  /** Breaks a skip behind `levels` of it; returns the node that now is there, with a single child. */
  split(node: number, levels: number): number {
    const { words } = this.blocks;
    const rest = ((words[node] ?? 0) & LEVELS) - levels - 1;
    const skipped = words[node + SKIPPED] ?? 0;
    let behind = words[node + BEHIND] ?? 0;
    if (rest > 0) {
      const tail = this.newNode();
      this.setSkip(tail, rest, skipped & ((1 << (rest * STRIDE)) - 1), behind);
      behind = tail;
    }
    let broken = node;
    if (levels > 0) {
      broken = this.newNode();
      this.setSkip(node, levels, skipped >>> ((rest + 1) * STRIDE), broken);
    }
    this.setNode(broken, 1 << ((skipped >>> (rest * STRIDE)) & (WAYS - 1)), behind);
    return broken;
  }

  /** Makes a passage a skip, together with what is behind it. */
  joinPassage(node: number): void {
    const { words } = this.blocks;
    const bits = 31 - Math.clz32(words[node + CHILDREN] ?? 0);
    this.setSkip(node, 1, bits, words[node + FIRST_CHILD] ?? 0);
    this.joinSkips(node);
  }

  /** Joins a skip with the one behind it, if that is one, and both fit. */
  joinSkips(node: number): void {
    const { words } = this.blocks;
    const first = words[node] ?? 0;
    const behind = words[node + BEHIND] ?? 0;
    const second = words[behind] ?? 0;
    const more = second & LEVELS;
    const levels = (first & LEVELS) + more;
    if (first >= 0 || second >= 0 || levels > MAX_LEVELS) return;
    const bits = ((words[node + SKIPPED] ?? 0) << (more * STRIDE)) | (words[behind + SKIPPED] ?? 0);
    this.setSkip(node, levels, bits, words[behind + BEHIND] ?? 0);
    this.blocks.give(behind, 1);
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

  private setSkip(node: number, levels: number, bits: number, behind: number): void {
    const { words } = this.blocks;
    words[node] = SKIP | levels;
    words[node + SKIPPED] = bits;
    words[node + BEHIND] = behind;
    words[node + VALUES] = 0;
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
