/** What IGMPv3 and MLDv2 have in common: the types of group records and the floating codes of long times (RFC 3376 4, RFC 3810 5). */

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
