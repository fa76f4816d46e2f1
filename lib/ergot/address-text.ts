/**
 * How phone-number addresses are written (ergot proposals 0145 and 0146): hexadecimal digits, `^`, and how many low bits are significant.
 *
 *     address = group *("." group) "^" width *("." width)        group = 1*HEXDIG        width = 1*2DIGIT
 *
 * With one width, groups are bytes: all but the first have exactly two digits (`3A.22^16`). With several widths each group has its own
 * (`1.7^2.4`: 1 in two bits, then 7 in four). Leading zeros may be left out, and letters may be small, on the way in; on the way out
 * neither happens, so that an address has one canonical form: one group, upper case, as many digits as its scope takes (`001^10`).
 */

import { UsageError } from '../core/errors.js';

/** The widest scope: addresses have 32 bits. */
export const MAX_ADDRESS_BITS = 32;

const GROUP = /^[0-9A-Fa-f]+$/;
const WIDTH = /^[1-9][0-9]?$/;
/** Longer texts than any address with a few needless zeros are not even looked at. */
const MAX_TEXT = 128;

/** What a text says. */
export interface AddressParts {
  /** The number, 0..2^`bits` - 1. */
  readonly value: number;
  /** The scope, 1..32. */
  readonly bits: number;
}

/** Powers of two are needed for each frame and each step in trees, and to look them up costs less. */
const SIZES: Float64Array = Float64Array.from({ length: 33 }, (_, bits) => 2 ** bits);

/** The smallest number that `bits` bits cannot hold: how many addresses a scope of 1..32 bits has. */
export function scopeSize(bits: number): number {
  return SIZES[bits] ?? 2 ** bits;
}

/** Whether a scope of `bits` can exist: 1..32; `^0` is no scope, since a single address is a socket inside one. */
export function isScope(bits: number): boolean {
  return Number.isInteger(bits) && bits >= 1 && bits <= MAX_ADDRESS_BITS;
}

/** Refuses a text or a number that is no address. */
export function badAddress(what: string): never {
  throw new UsageError('ERR_INVALID_ADDRESS', what);
}

/**
 * Reads an address.
 *
 * @throws UsageError `ERR_INVALID_ADDRESS` for what the grammar has not, scopes other than 1..32, groups that need more bits than they have
 */
export function parseAddressText(text: string): AddressParts {
  const [numbers, scopes, ...more] = text.length > MAX_TEXT ? [] : text.split('^');
  if (numbers === undefined || scopes === undefined || more.length > 0) {
    return badAddress(`"${text.slice(0, MAX_TEXT)}" is not digits^bits`);
  }
  const groups = numbers.split('.');
  const widths = scopes.split('.').map((width) => (WIDTH.test(width) ? Number(width) : 0));
  for (const group of groups) if (!GROUP.test(group)) badAddress(`"${text}" has a group that is not hexadecimal`);
  const bits = widths.reduce((sum, width) => sum + width, 0);
  if (widths.includes(0) || !isScope(bits))
    badAddress(`"${text}" has a scope that is not within ^1..^${MAX_ADDRESS_BITS}`);
  if (widths.length > 1) return { value: joinGroups(text, groups, widths), bits };
  if (groups.some((group, index) => index > 0 && group.length !== 2)) {
    badAddress(`"${text}": every group but the first is a byte, two digits`);
  }
  return { value: parseGroup(text, groups.join(''), bits), bits };
}

function parseGroup(text: string, digits: string, width: number): number {
  const significant = digits.replace(/^0+(?=.)/, '');
  const value = significant.length > 8 ? Number.POSITIVE_INFINITY : Number.parseInt(significant, 16);
  if (value >= scopeSize(width)) badAddress(`"${text}": ${digits} does not fit into ${width} bits`);
  return value;
}

function joinGroups(text: string, groups: readonly string[], widths: readonly number[]): number {
  if (groups.length !== widths.length) badAddress(`"${text}" has ${groups.length} groups and ${widths.length} widths`);
  return groups.reduce((value, group, index) => {
    const width = widths[index] ?? 0;
    return value * scopeSize(width) + parseGroup(text, group, width);
  }, 0);
}

/** How many hexadecimal digits a group of `bits` is written with. */
function digitsOf(bits: number): number {
  return Math.ceil(bits / 4);
}

/** The digits of `value` alone, in upper case, filled up with zeros to what the scope takes: `08A`. */
export function formatDigits(value: number, bits: number): string {
  return value.toString(16).toUpperCase().padStart(digitsOf(bits), '0');
}

/** `3A.22^16`: the digits in groups of two, from the right. */
export function formatBytes(value: number, bits: number): string {
  return `${formatDigits(value, bits).replace(/(?<=.)(?=(..)+$)/g, '.')}^${bits}`;
}

/**
 * `1.7^2.4`: each group in as many bits as `widths` says.
 *
 * @throws UsageError `ERR_INVALID_OPTION` if the widths are not at least 1 each and `bits` together
 */
export function formatGroups(value: number, bits: number, widths: readonly number[]): string {
  const total = widths.reduce((sum, width) => sum + width, 0);
  if (total !== bits || !widths.every(isScope)) {
    throw new UsageError('ERR_INVALID_OPTION', `widths ${widths.join('.')} do not make up ^${bits}`);
  }
  let rest = bits;
  const groups = widths.map((width) => {
    rest -= width;
    return formatDigits(Math.floor(value / scopeSize(rest)) % scopeSize(width), width);
  });
  return `${groups.join('.')}^${widths.join('.')}`;
}
