/**
 * Longest-prefix match: a tree bitmap (Eatherton, Varghese and Dittia, 2004) of stride 5 with path compression, over typed arrays.
 *
 * A node stands for five bits of the address. 31 bits of its first word say which of the prefixes that are 0 to 4 bits longer than the node's
 * place are there, its second word which of the 32 children; values and children lie packed in blocks of their own, where a count of the bits
 * below finds them. Five is the stride at which either set fits a word, all that JavaScript counts at once, and at which a node is a quarter of
 * a cache line. Where only one way leads on, a single node stands for up to six levels, or for all that is left of a prefix that is alone there.
 * From some size on a table by the first 15 bits replaces the upper levels. A change touches the blocks of one or two nodes, so that there is
 * nothing to rebuild: unlike where leaves are pushed down (DIR-24-8, poptrie), and a new default route is written into every hole of the table.
 */

import type { IpVersion } from './address.js';
import {
  BEHIND,
  bitCount,
  CHILDREN,
  FIRST_CHILD,
  isLeaf,
  NODE,
  NONE,
  PREFIXES,
  PrefixNodes,
  prefixBit,
  prefixBits,
  prefixLength,
  SKIPPED,
  skippedBits,
  STRIDE,
  VALUES,
} from './prefix-nodes.js';

/** Bits that the table of a large map takes at once, whole levels. */
const TOP_BITS = 15;
const TOPS: number = 1 << TOP_BITS;
/** A map of so many prefixes has the table, 640 KiB. */
const LARGE = 4096;
const MAX_DEPTH = 32;

/** By five bits: the prefixes of a node that they lie in. */
const COVERING: Int32Array = Int32Array.from({ length: 1 << STRIDE }, (_, bits) => {
  let set = 0;
  for (let length = 0; length < STRIDE; length++) set |= 1 << prefixBit(bits, length);
  return set;
});

/** The address that is looked for, its first bit first, and zeros. */
const KEY: Int32Array = new Int32Array(6);
/** The nodes on the way to a prefix, and at which bits they are. */
const PATH: Int32Array = new Int32Array(MAX_DEPTH);
const POSITIONS: Int32Array = new Int32Array(MAX_DEPTH);

/** Called with the words of a prefix, its length and its value. */
export type PrefixVisitor = (a: number, b: number, c: number, d: number, length: number, value: number) => void;

/**
 * Prefixes of one IP version, each with a value from 0 to 2^31 - 1.
 *
 * Addresses are four words in the order of `IpAddress.word`, with a sign or without; of IPv4 addresses only the last is looked at. Of prefixes
 * the bits beyond their length do not matter. Lookups and changes allocate nothing, but for changes that need more room than there ever was.
 */
export class PrefixMap {
  readonly version: IpVersion;
  private readonly isIpv4: boolean;
  private nodes: PrefixNodes = new PrefixNodes();
  private count = 0;
  private root: number = this.nodes.reserve(1);
  /** Of a large map: nodes for all first 15 bits, and what the shorter prefixes say of these; only those are in the tree from `root` on. */
  private tops: number = NONE;
  private shorter: Int32Array = new Int32Array(0);
  /** The value of the prefix of no bits, a default route, which comes and goes most. */
  private everything: number = NONE;

  constructor(version: IpVersion) {
    this.version = version;
    this.isIpv4 = version === 4;
  }

  get size(): number {
    return this.count;
  }

  /** Bytes that it takes. */
  get bytes(): number {
    return this.nodes.bytes + this.shorter.byteLength;
  }

  /** The value of the longest prefix that the address lies in, or -1. */
  lookup(a: number, b: number, c: number, d: number): number {
    this.load(a, b, c, d);
    if (this.tops === NONE) return this.search(this.root, 0, this.everything);
    const top = (KEY[0] ?? 0) >>> (32 - TOP_BITS);
    const found = this.search(this.tops + top * NODE, TOP_BITS, this.shorter[top] ?? NONE);
    return found === NONE ? this.everything : found;
  }

  /** The value of exactly this prefix, or -1. */
  get(a: number, b: number, c: number, d: number, length: number): number {
    if (length === 0) return this.everything;
    this.load(a, b, c, d);
    const depth = this.descend(length);
    return depth === NONE ? NONE : this.nodes.value(PATH[depth] ?? 0, endBit(length));
  }

  /** Gives the prefix of `length` bits, 0..32 or 0..128, a value; returns the one that it had, or -1. */
  set(a: number, b: number, c: number, d: number, length: number, value: number): number {
    if (length === 0) return this.setEverything(value);
    if (this.count >= LARGE && this.tops === NONE) this.spread();
    this.load(a, b, c, d);
    const former = this.put(length, value);
    if (former === NONE) this.count++;
    if (length < TOP_BITS) this.expand(length);
    return former;
  }

  /** Removes a prefix; returns the value that it had, or -1. */
  delete(a: number, b: number, c: number, d: number, length: number): number {
    if (length === 0) return this.setEverything(NONE);
    this.load(a, b, c, d);
    const depth = this.descend(length);
    if (depth === NONE) return NONE;
    const former = this.nodes.removeValue(PATH[depth] ?? 0, endBit(length));
    this.count--;
    this.tidy(depth);
    if (length < TOP_BITS) this.expand(length);
    return former;
  }

  clear(): void {
    this.nodes = new PrefixNodes();
    this.count = 0;
    this.root = this.nodes.reserve(1);
    this.tops = NONE;
    this.shorter = new Int32Array(0);
    this.everything = NONE;
  }

  /** Visits all prefixes, in no particular order; the visitor must not change the map. */
  forEach(visit: PrefixVisitor): void {
    const key = new Int32Array(6);
    if (this.everything !== NONE) this.visit(key, 0, this.everything, visit);
    this.walk(this.root, 0, key, visit);
    if (this.tops === NONE) return;
    for (let top = 0; top < TOPS; top++) {
      key[0] = top << (32 - TOP_BITS);
      this.walk(this.tops + top * NODE, TOP_BITS, key, visit);
    }
  }

  /** Sets or removes the prefix of no bits; returns the value that it had, or -1. */
  private setEverything(value: number): number {
    const former = this.everything;
    this.everything = value;
    this.count += (value === NONE ? 0 : 1) - (former === NONE ? 0 : 1);
    return former;
  }

  private load(a: number, b: number, c: number, d: number): void {
    if (this.isIpv4) {
      KEY[0] = d;
      KEY[1] = 0;
    } else {
      KEY[0] = a;
      KEY[1] = b;
      KEY[2] = c;
      KEY[3] = d;
    }
  }

  /** Goes down from a node at a bit position; the last prefix that is met is the longest. */
  private search(from: number, at: number, otherwise: number): number {
    const { words } = this.nodes.blocks;
    let node = from;
    let position = at;
    let best = NONE;
    let prefixes = 0;
    for (;;) {
      const first = words[node + PREFIXES] ?? 0;
      const window = windowAt(position);
      if (first < 0) {
        const bits = skippedBits(first);
        if ((window ^ (words[node + SKIPPED] ?? 0)) >>> (32 - bits) !== 0) break;
        if (isLeaf(first)) return words[node + VALUES] ?? NONE;
        node = words[node + BEHIND] ?? 0;
        position += bits;
        continue;
      }
      const next = window >>> (32 - STRIDE);
      const covering = first & (COVERING[next] ?? 0);
      if (covering !== 0) {
        best = node;
        prefixes = covering;
      }
      const children = words[node + CHILDREN] ?? 0;
      if (((children >>> next) & 1) === 0) break;
      node = (words[node + FIRST_CHILD] ?? 0) + bitCount(children & ((1 << next) - 1)) * NODE;
      position += STRIDE;
    }
    return best === NONE ? otherwise : this.nodes.value(best, 31 - Math.clz32(prefixes));
  }

  /** Puts the nodes on the way to a prefix into `PATH`; returns the index of the one that it is in, or -1. */
  private descend(length: number): number {
    const { words } = this.nodes.blocks;
    const isBelow = this.tops !== NONE && length >= TOP_BITS;
    let node = isBelow ? this.top() : this.root;
    let position = isBelow ? TOP_BITS : 0;
    for (let depth = 0; node !== NONE; depth++) {
      PATH[depth] = node;
      POSITIONS[depth] = position;
      const first = words[node + PREFIXES] ?? 0;
      const left = length - position;
      const window = windowAt(position);
      if (first < 0) {
        const bits = skippedBits(first);
        const isSame = (window ^ (words[node + SKIPPED] ?? 0)) >>> (32 - bits) === 0;
        if (left < bits || !isSame) return NONE;
        if (isLeaf(first)) return left === bits ? depth : NONE;
        node = words[node + BEHIND] ?? 0;
        position += bits;
      } else {
        if (left < STRIDE) return ((first >>> endBit(length)) & 1) === 0 ? NONE : depth;
        node = this.nodes.child(node, window >>> (32 - STRIDE));
        position += STRIDE;
      }
    }
    return NONE;
  }

  private top(): number {
    return this.tops + ((KEY[0] ?? 0) >>> (32 - TOP_BITS)) * NODE;
  }

  /** Puts the prefix of the key into the tree; returns its former value, or -1. */
  private put(length: number, value: number): number {
    const { nodes } = this;
    const isBelow = this.tops !== NONE && length >= TOP_BITS;
    let node = isBelow ? this.top() : this.root;
    let position = isBelow ? TOP_BITS : 0;
    for (;;) {
      const window = windowAt(position);
      const left = length - position;
      if (left >= STRIDE && nodes.isEmpty(node)) {
        if (nodes.setLeaf(node, left, window, value)) return NONE;
        nodes.skip(node, window);
      }
      const first = nodes.blocks.words[node] ?? 0;
      if (first < 0) {
        const bits = skippedBits(first);
        const same = Math.min(left, bits, Math.clz32(window ^ (nodes.blocks.words[node + SKIPPED] ?? 0)));
        if (isLeaf(first)) {
          if (same === left && same === bits) return nodes.setLeafValue(node, value);
          nodes.unfold(node);
          continue;
        }
        const levels = same - (same % STRIDE);
        node = levels === bits ? (nodes.blocks.words[node + BEHIND] ?? 0) : nodes.split(node, levels);
        position += levels;
      } else {
        if (left < STRIDE) return nodes.setValue(node, endBit(length), value);
        const next = window >>> (32 - STRIDE);
        const child = nodes.child(node, next);
        node = child === NONE ? nodes.addChild(node, next) : child;
        position += STRIDE;
      }
    }
  }

  /** After something was removed from the node at `depth` of the path: gives back what is not needed any more. */
  private tidy(depth: number): void {
    const { nodes } = this;
    for (let i = depth; ; i--) {
      const node = PATH[i] ?? 0;
      const isEmpty = nodes.isEmpty(node);
      if (nodes.isPassage(node)) nodes.joinPassage(node);
      if (i === 0) return;
      const parent = PATH[i - 1] ?? 0;
      if (!isEmpty) {
        nodes.join(parent);
        return;
      }
      if ((nodes.blocks.words[parent] ?? 0) < 0) nodes.unskip(parent);
      else nodes.removeChild(parent, windowAt(POSITIONS[i - 1] ?? 0) >>> (32 - STRIDE));
    }
  }

  /** Brings what is said of the first bits of the key, `length` of them, up to date. */
  private expand(length: number): void {
    if (this.tops === NONE) return;
    const shift = 32 - TOP_BITS;
    const count = TOPS >>> length;
    const from = ((KEY[0] ?? 0) >>> (32 - length)) * count;
    for (let top = from; top < from + count; top++) {
      KEY[0] = top << shift;
      this.shorter[top] = this.search(this.root, 0, NONE);
    }
  }

  /** Makes it a large map. */
  private spread(): void {
    const small = new PrefixMap(this.version);
    small.nodes = this.nodes;
    small.root = this.root;
    small.everything = this.everything;
    this.clear();
    this.tops = this.nodes.reserve(TOPS);
    this.shorter = new Int32Array(TOPS).fill(NONE);
    small.forEach((a, b, c, d, length, value) => this.set(a, b, c, d, length, value));
  }

  /** Visits what is on a node and below; `key` has its bits, and zeros. */
  private walk(node: number, position: number, key: Int32Array, visit: PrefixVisitor): void {
    const { words } = this.nodes.blocks;
    const first = words[node + PREFIXES] ?? 0;
    if (first < 0) {
      const bits = skippedBits(first);
      const skipped = words[node + SKIPPED] ?? 0;
      flip(key, position, skipped);
      if (isLeaf(first)) this.visit(key, position + bits, words[node + VALUES] ?? NONE, visit);
      else this.walk(words[node + BEHIND] ?? 0, position + bits, key, visit);
      flip(key, position, skipped);
      return;
    }
    for (let left = first; left !== 0; left &= left - 1) {
      const bit = 31 - Math.clz32(left & -left);
      flip(key, position, prefixBits(bit));
      this.visit(key, position + prefixLength(bit), this.nodes.value(node, bit), visit);
      flip(key, position, prefixBits(bit));
    }
    for (let left = words[node + CHILDREN] ?? 0; left !== 0; left &= left - 1) {
      const bits = 31 - Math.clz32(left & -left);
      flip(key, position, bits << (32 - STRIDE));
      this.walk(this.nodes.child(node, bits), position + STRIDE, key, visit);
      flip(key, position, bits << (32 - STRIDE));
    }
  }

  private visit(key: Int32Array, length: number, value: number, visit: PrefixVisitor): void {
    const [a = 0, b = 0, c = 0, d = 0] = key;
    if (this.isIpv4) visit(0, 0, 0xffff, a >>> 0, length, value);
    else visit(a >>> 0, b >>> 0, c >>> 0, d >>> 0, length, value);
  }
}

/** The 32 bits of the key from a position on. */
function windowAt(position: number): number {
  const index = position >>> 5;
  const shift = position & 31;
  return ((KEY[index] ?? 0) << shift) | (((KEY[index + 1] ?? 0) >>> 1) >>> (31 - shift));
}

/** Which bit of its node stands for the key's prefix. */
function endBit(length: number): number {
  const beyond = length % STRIDE;
  return prefixBit(windowAt(length - beyond) >>> (32 - STRIDE), beyond);
}

/** Flips the bits from a position on that are set in `bits`: writes them, and takes them back. */
function flip(key: Int32Array, position: number, bits: number): void {
  const index = position >>> 5;
  const shift = position & 31;
  key[index] = (key[index] ?? 0) ^ (bits >>> shift);
  key[index + 1] = (key[index + 1] ?? 0) ^ ((bits << 1) << (31 - shift));
}
