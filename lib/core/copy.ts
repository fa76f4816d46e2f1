/** Copying bytes between frames without an object per copy, wherever that can be done. */

import { arena } from './arena.js';
import type { Slab } from './slab.js';

// Above it the engine's own copying is faster than one that sums on the way.
const LONG = 4096;

/** Copies `length` bytes from one slab to another, or within one; the ranges must not overlap. */
export function copyBytes(from: Slab, at: number, to: Slab, target: number, length: number): void {
  if (from !== to) to.bytes.set(from.bytes.subarray(at, at + length), target);
  else if (arena === undefined || from !== arena.slab || length > LONG) from.bytes.copyWithin(target, at, at + length);
  else arena.functions.copy(at, target, length);
}
