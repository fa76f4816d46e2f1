/**
 * Phone-number addresses (ergot proposals 0145 and 0146). An address is a number in a scope: `3A0^10` is 928 among the 2^10 addresses of its
 * scope. As with telephones, who is near dials few digits: a local address is the suffix of the global one, and a further address has a
 * longer scope. One address is one socket: there are no ports beside it. Address 0 of a scope means any, or all.
 *
 * The space has 32 bits. Where subnets lie at places that are no multiple of their size, suffixes are not enough: see `translation.ts`.
 */

import {
  badAddress,
  formatBytes,
  formatDigits,
  formatGroups,
  isScope,
  parseAddressText,
  scopeSize,
} from './address-text.js';

/** An address in its scope. Immutable. */
export class PhoneAddress {
  /** The number, 0..2^`bits` - 1. */
  readonly value: number;
  /** How many low bits are significant: the scope, 1..32. */
  readonly bits: number;

  /** @throws UsageError `ERR_INVALID_ADDRESS` for a scope other than 1..32, or a number that it does not hold */
  constructor(value: number, bits: number) {
    if (!isScope(bits)) badAddress(`^${bits} is no scope: it must be within ^1..^32`);
    if (!Number.isInteger(value) || value < 0 || value >= scopeSize(bits))
      badAddress(`${value} is not within ^${bits}`);
    this.value = value;
    this.bits = bits;
  }

  /**
   * Reads `3A0^10`, `3a.22^16` or `1.7^2.4`; zeros in front may be left out.
   *
   * @throws UsageError `ERR_INVALID_ADDRESS`
   */
  static parse(text: string): PhoneAddress {
    const { value, bits } = parseAddressText(text);
    return new PhoneAddress(value, bits);
  }

  /** Whether `text` is an address written as {@link toString} writes it. */
  static isCanonical(text: string): boolean {
    return PhoneAddress.isValid(text) && PhoneAddress.parse(text).toString() === text;
  }

  /** Whether `text` is an address. */
  static isValid(text: string): boolean {
    try {
      parseAddressText(text);
      return true;
    } catch {
      return false;
    }
  }

  /** Whether this is the address of a scope that means any socket or, in a broadcast, all of them. */
  get isAny(): boolean {
    return this.value === 0;
  }

  /** The canonical form, `3A0^10`. */
  toString(): string {
    return `${formatDigits(this.value, this.bits)}^${this.bits}`;
  }

  toJSON(): string {
    return this.toString();
  }

  /** In bytes: `3A.22^16`. */
  toBytes(): string {
    return formatBytes(this.value, this.bits);
  }

  /**
   * In groups of the given widths, e.g. `[2, 4]` for `1.7^2.4`.
   *
   * @throws UsageError `ERR_INVALID_OPTION` unless the widths make up the scope
   */
  toGroups(widths: readonly number[]): string {
    return formatGroups(this.value, this.bits, widths);
  }

  /** Whether both are the same number in the same scope, and neither says more than that: `01^8` and `001^10` are not. */
  equals(other: PhoneAddress): boolean {
    return this.value === other.value && this.bits === other.bits && !other.saysMore;
  }

  /** Whether it is another address than its number in its scope. */
  protected get saysMore(): boolean {
    return false;
  }

  /** Negative, 0 or positive: nearer scopes come first, then lower numbers. */
  compare(other: PhoneAddress): number {
    return this.bits - other.bits || this.value - other.value;
  }

  /**
   * The suffix of `bits` bits: how somebody inside the same aligned range of that size says it.
   *
   * @throws UsageError `ERR_INVALID_ADDRESS` if `bits` is longer than this scope
   */
  suffix(bits: number): PhoneAddress {
    if (bits > this.bits) badAddress(`${this.toString()} has no suffix of ^${bits}`);
    return new PhoneAddress(this.value % (isScope(bits) ? scopeSize(bits) : 1), bits);
  }

  /**
   * What is left in front of a suffix of `bits` bits: the number of the aligned range.
   *
   * @throws UsageError `ERR_INVALID_ADDRESS` unless `bits` is shorter than this scope
   */
  prefix(bits: number): PhoneAddress {
    if (!isScope(bits) || bits >= this.bits) badAddress(`${this.toString()} has no prefix in front of ^${bits}`);
    return new PhoneAddress(Math.floor(this.value / scopeSize(bits)), this.bits - bits);
  }

  /**
   * The global address of a local one under this prefix: `1^2` and `7^4` make `17^6`.
   *
   * @throws UsageError `ERR_INVALID_ADDRESS` if both together are longer than 32 bits
   */
  join(local: PhoneAddress): PhoneAddress {
    return new PhoneAddress(this.value * scopeSize(local.bits) + local.value, this.bits + local.bits);
  }

  /** Whether this is `global`, or a suffix of it. */
  isSuffixOf(global: PhoneAddress): boolean {
    return this.bits <= global.bits && global.value % scopeSize(this.bits) === this.value;
  }

  /**
   * The shortest suffixes' scope in which both differ only, by their digits: where all subnets are aligned, the smallest scope common to both,
   * e.g. 10 for `08A^10` and `303^10`, 9 for `303^10` and `202^10`. At least 1. For unaligned subnets ask `Subnet.commonScope`.
   *
   * @throws UsageError `ERR_INVALID_ADDRESS` if the addresses are of different scopes
   */
  commonScope(other: PhoneAddress): number {
    if (this.bits !== other.bits) badAddress(`${this.toString()} and ${other.toString()} are not of one scope`);
    return Math.max(1, 32 - Math.clz32(this.value ^ other.value));
  }
}
