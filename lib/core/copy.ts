/** Copying bytes without an object per copy, wherever that can be done. */

import { arena } from './arena.js';
import { UsageError } from './errors.js';
import type { Slab } from './slab.js';

// Above it the engine's own copying is faster than one that sums on the way.
const LONG = 4096;
// Up to it a loop is faster than a view for the engine's.
const SHORT = 32;

/** Copies `length` bytes from one array to another, or within one; the ranges must not overlap. */
export function copyRange(from: Uint8Array, at: number, to: Uint8Array, target: number, length: number): void {
  if (from === to) {
    if (arena === undefined || from !== arena.slab.bytes || length > LONG) from.copyWithin(target, at, at + length);
    else arena.functions.copy(at, target, length);
  } else if (length === from.length) to.set(from, target);
  else if (length <= SHORT) for (let i = 0; i < length; i++) to[target + i] = from[at + i] ?? 0;
  else to.set(from.subarray(at, at + length), target);
}

/** The same of slabs. */
export function copyBytes(from: Slab, at: number, to: Slab, target: number, length: number): void {
  copyRange(from.bytes, at, to.bytes, target, length);
}

/** @throws UsageError `ERR_OUT_OF_RANGE` unless both are integers, and there are bytes `from` (inclusive) to `to` (exclusive) */
export function checkRange({ length }: Uint8Array, from: number, to: number): void {
  const isRange = Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to && to <= length;
  if (!isRange) {
    throw new UsageError('ERR_OUT_OF_RANGE', `there are no bytes ${from} to ${to} of ${length}`);
  }
}
