/**
 * The Internet checksum: ones' complement sums of 16-bit words (RFC 1071), and its incremental update (RFC 1624).
 *
 * Sums are kept folded to 16 bits and not inverted; a header whose checksum is right sums to 0xffff.
 */

import { arena, ARENA_LONGEST_RANGE } from '../core/arena.js';
import { copyBytes } from '../core/copy.js';
import type { Slab } from '../core/slab.js';

/** Folds a sum of words of 16 or 32 bits, below 2^53, to 16 bits, end-around carry included. */
export function fold(sum: number): number {
  // Both 2^16 and 2^32 leave 1 when divided by 2^16 - 1.
  const word = sum > 0xffff_ffff ? halves(sum) + halves(Math.floor(sum / 0x1_0000_0000)) : sum;
  return halves(halves(word));
}

/** The sum of a 32-bit word's halves: it counts as much as the word, and many of them stay in a register. */
export function halves(word: number): number {
  return (word & 0xffff) + (word >>> 16);
}

// Below it the call costs more than it saves.
const SHORT = 48;

/** The ones' complement sum of bytes `from` to `to` (exclusive), added to `initial`. An odd tail counts as if followed by zero. */
export function sum16(view: DataView, from: number, to: number, initial = 0): number {
  const length = to - from;
  if (length < SHORT) return sumShort(view, from, to, initial);
  if (arena === undefined || view !== arena.slab.view || length > ARENA_LONGEST_RANGE) {
    return sumInScript(view, from, to, initial);
  }
  return fold(initial + arena.functions.sum(from, length));
}

function sumShort(view: DataView, from: number, to: number, initial: number): number {
  let sum = initial;
  let at = from;
  for (; at + 3 < to; at += 4) sum += halves(view.getUint32(at));
  if (at + 1 < to) {
    sum += view.getUint16(at);
    at += 2;
  }
  if (at < to) sum += view.getUint8(at) << 8;
  return fold(sum);
}

/** The same as {@link sum16} without WebAssembly, whatever memory it is. */
export function sumInScript(view: DataView, from: number, to: number, initial = 0): number {
  let sum = 0;
  let at = from;
  // The sum of swapped words is the swapped sum (RFC 1071 2.B), and machines are little-endian. Of 32-bit words, each of which is two
  // 16-bit ones, 2^21 fit a double exactly.
  for (const end = to - 15; at < end; at += 16) {
    sum +=
      view.getUint32(at, true) +
      view.getUint32(at + 4, true) +
      view.getUint32(at + 8, true) +
      view.getUint32(at + 12, true);
  }
  for (; at + 1 < to; at += 2) sum += view.getUint16(at, true);
  if (at < to) sum += view.getUint8(at);
  return fold(initial + swap(fold(sum)));
}

function swap(sum: number): number {
  return ((sum & 0xff) << 8) | (sum >>> 8);
}

/**
 * Copies `length` bytes from one slab to another, or within one, and returns their sum: in the arena both in one go. The ranges must not
 * overlap.
 */
export function copyAndSum(from: Slab, at: number, to: Slab, target: number, length: number): number {
  if (arena !== undefined && from === to && from === arena.slab && length <= ARENA_LONGEST_RANGE) {
    return arena.functions.copy(at, target, length);
  }
  copyBytes(from, at, to, target, length);
  return sum16(to.view, target, target + length);
}

/**
 * The sum of two ranges in a row from their sums: `length` is that of the first. After an odd number of bytes the second range's
 * bytes stand in the other half of each word, so its sum counts swapped (RFC 1071 2.B).
 */
export function joinSums(first: number, length: number, second: number): number {
  return fold(first + ((length & 1) === 0 ? second : swap(second)));
}

/** The checksum field for a sum: its complement. */
export function complement(sum: number): number {
  return ~sum & 0xffff;
}

/**
 * A checksum field after a 16-bit word that it covers changed from `before` to `after` (RFC 1624 eqn. 3). In UDP a field of 0 means that
 * there is none and must be left alone, and a result of 0 is written as 0xffff.
 */
export function updateChecksum(checksum: number, before: number, after: number): number {
  return complement(fold((~checksum & 0xffff) + (~before & 0xffff) + after));
}

/** The same for a 32-bit word at an even offset: an address, a sequence number. */
export function updateChecksum32(checksum: number, before: number, after: number): number {
  return complement(
    fold((~checksum & 0xffff) + (~before & 0xffff) + (~(before >>> 16) & 0xffff) + (after & 0xffff) + (after >>> 16)),
  );
}
