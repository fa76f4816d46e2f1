/** What IGMPv3 and MLDv2 have in common: the types of group records and the floating codes of long times (RFC 3376 4, RFC 3810 5). */

import type { IpAddress } from '../core/address.js';

/** Types of group records (RFC 3376 4.2.12, RFC 3810 5.2.12). */
export const GroupRecordType = {
  ModeIsInclude: 1,
  ModeIsExclude: 2,
  ChangeToInclude: 3,
  ChangeToExclude: 4,
  AllowNewSources: 5,
  BlockOldSources: 6,
} as const;

/** One record of a report: a group, and sources that it does or does not want. */
export interface GroupRecord<A> {
  /** {@link GroupRecordType}; hosts and routers ignore records of other types. */
  readonly type: number;
  readonly group: A;
  readonly sources: readonly A[];
}

/** How one of the two protocols writes an address. */
export interface GroupAddressFormat<A extends IpAddress> {
  /** In bytes. */
  readonly length: number;
  read(view: DataView, at: number): A;
}

// Of a record: type, length of auxiliary data in words, number of sources, group.
const AUXILIARY = 1;
const COUNT = 2;
const GROUP = 4;

/** Bytes that records take. */
export function groupRecordsLength<A>(records: readonly GroupRecord<A>[], addressLength: number): number {
  return records.reduce((sum, { sources }) => sum + GROUP + (1 + sources.length) * addressLength, 0);
}

/** Writes records at `at` into bytes that are zero. */
export function writeGroupRecords<A extends IpAddress>(
  view: DataView,
  at: number,
  records: readonly GroupRecord<A>[],
  addressLength: number,
): void {
  let next = at;
  for (const { type, group, sources } of records) {
    view.setUint8(next, type);
    view.setUint16(next + COUNT, sources.length);
    next += GROUP;
    for (const address of [group, ...sources]) {
      address.write(view, next);
      next += addressLength;
    }
  }
}

/** Reads `count` records, which are known to be there, without their auxiliary data. */
export function readGroupRecords<A extends IpAddress>(
  view: DataView,
  at: number,
  count: number,
  format: GroupAddressFormat<A>,
): GroupRecord<A>[] {
  const found: GroupRecord<A>[] = [];
  let next = at;
  for (let i = 0; i < count; i++) {
    const group = format.read(view, next + GROUP);
    const from = next + GROUP + format.length;
    const sources = readAddresses(view, from, view.getUint16(next + COUNT), format);
    found.push({ type: view.getUint8(next), group, sources });
    next = from + sources.length * format.length + view.getUint8(next + AUXILIARY) * 4;
  }
  return found;
}

/** Reads addresses that follow each other. */
export function readAddresses<A extends IpAddress>(
  view: DataView,
  at: number,
  count: number,
  format: GroupAddressFormat<A>,
): A[] {
  return Array.from({ length: count }, (_, index) => format.read(view, at + index * format.length));
}

/** What a query asks for; times in milliseconds. */
export interface GroupQueryFields<A> {
  /** `undefined` asks for all groups. */
  readonly group?: A;
  /** Answers are to come within this time. What the code cannot say is rounded down. */
  readonly maximumResponse: number;
  /** Routers that hear it are not to update their timers. */
  readonly suppress?: boolean;
  /** The querier's robustness variable, 0..7; 0 where it is larger. */
  readonly robustness?: number;
  /** The querier's query interval. */
  readonly interval?: number;
  readonly sources?: readonly A[];
}

// The exponent has 3 bits in both codes; the mantissa 4 and 12, with a leading 1 that is not written.
const EXPONENT_BITS = 3;
const BIAS = 3;

/** The value of a floating code whose mantissa has `bits` bits: 4 in a byte, 12 in two. */
export function decodeFloating(code: number, bits: 4 | 12): number {
  const linear = 1 << (bits + EXPONENT_BITS);
  if (code < linear) return code;
  const exponent = (code >>> bits) & 7;
  return ((code & ((1 << bits) - 1)) | (1 << bits)) << (exponent + BIAS);
}

/** The code of the largest value that is not above `value`. */
export function encodeFloating(value: number, bits: 4 | 12): number {
  const linear = 1 << (bits + EXPONENT_BITS);
  const whole = Math.max(0, Math.floor(value));
  if (whole < linear) return whole;
  for (let exponent = 0; exponent < 8; exponent++) {
    const mantissa = Math.floor(whole / 2 ** (exponent + BIAS));
    if (mantissa < 1 << (bits + 1)) return linear | (exponent << bits) | (mantissa & ((1 << bits) - 1));
  }
  return linear * 2 - 1;
}
