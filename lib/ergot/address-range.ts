/**
 * Ranges of phone-number addresses: what an allocator gives out, and where a subnet lies in its parent's scope. A range has 2^n addresses and
 * may begin anywhere; it is aligned if it begins at a multiple of its size (ergot proposals 0145 and 0146).
 */

import { UsageError } from '../core/errors.js';
import { PhoneAddress } from './address.js';
import { badAddress, formatDigits, isScope, parseAddressText, scopeSize } from './address-text.js';

/** 2^`length` addresses from `first` on, in a scope. Immutable. */
export class PhoneRange {
  /** The first address, in its scope; it means any, or all, of the range. */
  readonly first: PhoneAddress;
  /** The exponent n of the size 2^n, 1..`first.bits`. */
  readonly length: number;

  /** @throws UsageError `ERR_INVALID_ADDRESS` if the range is longer than what the scope has from `first` on */
  constructor(first: PhoneAddress, length: number) {
    if (!isScope(length) || first.value + scopeSize(length) > scopeSize(first.bits)) {
      badAddress(`^${length} from ${first.toString()} on is not a range of its scope`);
    }
    this.first = first;
    this.length = length;
  }

  /**
   * Reads `080-17F^10`.
   *
   * @throws UsageError `ERR_INVALID_ADDRESS`, also if the size is no power of two
   */
  static parse(text: string): PhoneRange {
    const [, low, high, scope] = /^([0-9A-Fa-f]{1,8})-([0-9A-Fa-f]{1,8})(\^\d{1,2})$/.exec(text) ?? [];
    if (low === undefined || high === undefined || scope === undefined)
      badAddress(`"${text.slice(0, 64)}" is not first-last^bits`);
    const first = parseAddressText(`${low}${scope}`);
    const size = parseAddressText(`${high}${scope}`).value - first.value + 1;
    const length = Math.log2(Math.max(size, 1));
    if (!Number.isInteger(length) || length < 1) badAddress(`"${text}" does not have 2^n addresses`);
    return new PhoneRange(new PhoneAddress(first.value, first.bits), length);
  }

  /** How many addresses there are, 2..2^32. */
  get size(): number {
    return scopeSize(this.length);
  }

  /** The number of the last address. */
  get last(): number {
    return this.first.value + this.size - 1;
  }

  /** Whether the range begins at a multiple of its size. */
  get isAligned(): boolean {
    return this.first.value % this.size === 0;
  }

  /** `080-17F^10`. */
  toString(): string {
    const { bits } = this.first;
    return `${formatDigits(this.first.value, bits)}-${formatDigits(this.last, bits)}^${bits}`;
  }

  toJSON(): string {
    return this.toString();
  }

  equals(other: PhoneRange): boolean {
    return this.length === other.length && this.first.equals(other.first);
  }

  /** Whether `address` is of the same scope and in this range. */
  contains(address: PhoneAddress): boolean {
    return address.bits === this.first.bits && address.value >= this.first.value && address.value <= this.last;
  }

  /** Whether all of `other` is in this range. */
  containsRange(other: PhoneRange): boolean {
    return this.contains(other.first) && other.last <= this.last;
  }

  /** Whether both have an address in common. */
  overlaps(other: PhoneRange): boolean {
    return this.first.bits === other.first.bits && other.first.value <= this.last && other.last >= this.first.value;
  }

  /**
   * The address at `offset` from the first on: `023^9` in `080-17F^10` is what lies 23 (hexadecimal) after `080`.
   *
   * @throws UsageError `ERR_INVALID_OPTION` if the range has no such offset
   */
  at(offset: number): PhoneAddress {
    if (!Number.isInteger(offset) || offset < 0 || offset >= this.size) {
      throw new UsageError('ERR_INVALID_OPTION', `${this.toString()} has no offset ${offset}`);
    }
    return new PhoneAddress(this.first.value + offset, this.first.bits);
  }
}
