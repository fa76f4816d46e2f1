/** Copying bytes between frames without an object per copy, wherever that can be done. */

import type { Slab } from './frame.js';

/** Copies `length` bytes from one slab to another, or within one; the ranges may overlap. */
export function copyBytes(from: Slab, at: number, to: Slab, target: number, length: number): void {
  if (from === to) to.bytes.copyWithin(target, at, at + length);
  else to.bytes.set(from.bytes.subarray(at, at + length), target);
}
