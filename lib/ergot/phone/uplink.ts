/**
 * Where the addresses of a device lie in the scope of its parent, in plain numbers: one range for most, several where it grew. The device itself
 * translates, and not its parent, which need not know how the subnet is laid out: what leaves by the link to the parent has its source
 * rewritten to the parent's scope, and what comes by it has its destination rewritten to the device's own.
 */

import { UsageError } from '../../core/errors.js';
import { isScope, scopeSize } from '../address-text.js';
import { offsetAdd, type Translation } from '../translation.js';

/** A piece of a device's scope, and the range of its parent's that it lies in. */
export interface UplinkSegment {
  /** The first number of the piece, in the device's scope. */
  readonly local: number;
  /** The first number of the range, in the parent's scope. */
  readonly first: number;
  /** The exponent of the size of both. */
  readonly len: number;
}

/** Where a subnet lies. Immutable: who moves, or grows, gets another. */
export class PhoneUplink {
  /** The parent's scope. */
  readonly bits: number;
  readonly segments: readonly UplinkSegment[];
  readonly translation: Translation;

  /** @throws UsageError `ERR_INVALID_ADDRESS` for a scope other than 1..32, or ranges that it does not hold, or that overlap */
  constructor(bits: number, segments: readonly UplinkSegment[], translation: Translation = offsetAdd) {
    if (!isScope(bits) || segments.length === 0 || !areSound(segments, bits)) {
      throw new UsageError('ERR_INVALID_ADDRESS', `no ranges of ^${bits} that a subnet could lie in`);
    }
    this.bits = bits;
    this.segments = segments;
    this.translation = translation;
  }

  /** What the parent calls the number `local` of the device's scope; -1 if it has no address there. */
  up(local: number): number {
    const { segments } = this;
    for (let i = 0; i < segments.length; i++) {
      const segment = segments[i];
      if (segment === undefined) break;
      const offset = local - segment.local;
      if (offset >= 0 && offset < scopeSize(segment.len))
        return this.translation.up(offset, segment.first, segment.len);
    }
    return -1;
  }

  /** What the device calls the number `value` of its parent's scope; -1 if it is not the device's. */
  down(value: number): number {
    const { segments } = this;
    for (let i = 0; i < segments.length; i++) {
      const segment = segments[i];
      if (segment === undefined) break;
      if (value < segment.first || value >= segment.first + scopeSize(segment.len)) continue;
      const offset = this.translation.down(value, segment.first, segment.len);
      return offset < 0 ? -1 : segment.local + offset;
    }
    return -1;
  }
}

function areSound(segments: readonly UplinkSegment[], bits: number): boolean {
  return segments.every(({ local, first, len }, index) => {
    if (!isScope(len) || !isWithin(first, len, bits) || !isWithin(local, len, 32)) return false;
    const others = segments.slice(index + 1);
    return !others.some(
      (other) => overlap(first, len, other.first, other.len) || overlap(local, len, other.local, other.len),
    );
  });
}

function isWithin(first: number, len: number, bits: number): boolean {
  return Number.isInteger(first) && first >= 0 && first + scopeSize(len) <= scopeSize(bits);
}

function overlap(a: number, lenA: number, b: number, lenB: number): boolean {
  return a < b + scopeSize(lenB) && b < a + scopeSize(lenA);
}
