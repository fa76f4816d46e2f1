/** Values in the text of rules: numbers, words, ranges, lists of them, addresses and named sets. */

import { Cidr, type IpAddress, Ipv4Address, Ipv6Address, type IpVersion, MacAddress } from '../core/address.js';
import { hourRanges, networkOf, secondOfDay } from './build.js';
import type { Range } from './model.js';
import type { TokenCursor } from './text-lexer.js';

/** Reads one value. */
export type Reader = (cursor: TokenCursor) => number;

/** A number, up to `largest`, or one of the words. */
export function numberOr(words: ReadonlyMap<string, number>, what: string, largest: number): Reader {
  return (cursor) => {
    const { kind, text } = cursor.peek();
    const value = kind === 'word' || kind === 'string' ? words.get(text) : undefined;
    if (value !== undefined) {
      cursor.take();
      return value;
    }
    if (kind !== 'number') throw cursor.unexpected(what);
    return number(what, largest)(cursor);
  };
}

/** A number up to `largest`. */
export function number(what: string, largest: number): Reader {
  return (cursor) => {
    const token = cursor.peek();
    const value = cursor.number(what);
    if (value > largest) throw cursor.error('value', `${what} is not in 0..${largest}`, token);
    return value;
  };
}

/** A MAC address. */
export const mac: Reader = (cursor) => {
  if (cursor.peek().kind !== 'mac') throw cursor.unexpected('a MAC address');
  return MacAddress.parse(cursor.take().text).value;
};

/** A time of day, in seconds. */
export const timeOfDay: Reader = (cursor) => {
  const token = cursor.peek();
  const text = cursor.string('a time of day');
  try {
    return Math.min(secondOfDay(text), LAST_SECOND);
  } catch {
    throw cursor.error('value', `${JSON.stringify(text)} is no time of day`, token);
  }
};
const LAST_SECOND = 86_399;

/** What stands between braces, separated by commas; ends of lines mean nothing there. */
export function list<T>(cursor: TokenCursor, element: () => T): T[] {
  cursor.expect('{');
  const elements: T[] = [];
  cursor.skipLines();
  while (!cursor.accept('}')) {
    elements.push(element());
    cursor.skipLines();
    if (cursor.at('}')) continue;
    if (cursor.at(':')) throw cursor.error('unsupported', 'maps are not known here');
    cursor.expect(',');
    cursor.skipLines();
  }
  return elements;
}

/** The name of a set behind `@`, if that is what follows. */
export function setName(cursor: TokenCursor): { readonly set: string } | undefined {
  return cursor.accept('@') ? { set: cursor.name('the name of a set') } : undefined;
}

/** One value, or a range of them. */
export function range(cursor: TokenCursor, read: Reader): Range {
  const place = cursor.peek();
  const low = read(cursor);
  const high = cursor.accept('-') ? read(cursor) : low;
  if (low > high) throw cursor.error('value', `${low}-${high} is upside down`, place);
  return [low, high];
}

/** A value, a range, a list of these, or a named set. */
export function ranges(cursor: TokenCursor, read: Reader): readonly Range[] | { readonly set: string } {
  const set = setName(cursor);
  if (set !== undefined) return set;
  return cursor.at('{') ? list(cursor, () => range(cursor, read)) : [range(cursor, read)];
}

/** The same for times of day, which may go past midnight. */
export function timeRanges(cursor: TokenCursor): readonly Range[] {
  const one = (): readonly Range[] => {
    const low = timeOfDay(cursor);
    return hourRanges(low, cursor.accept('-') ? timeOfDay(cursor) : low);
  };
  return cursor.at('{') ? list(cursor, one).flat() : one();
}

/** An address. */
export function address(cursor: TokenCursor): IpAddress {
  const { kind, text } = cursor.peek();
  if (kind !== 'ipv4' && kind !== 'ipv6') throw cursor.unexpected('an address');
  try {
    const read = kind === 'ipv4' ? Ipv4Address.parse(text) : Ipv6Address.parse(text);
    cursor.take();
    return read;
  } catch {
    throw cursor.error('value', `${text} is no address`);
  }
}

/** An address, a prefix, or a range of addresses, as prefixes. */
export function prefixes(cursor: TokenCursor, family?: IpVersion): readonly Cidr[] {
  const place = cursor.peek();
  const low = address(cursor);
  if (family !== undefined && low.version !== family) {
    throw cursor.error('value', `${low.toString()} is not of IPv${family}`, place);
  }
  const bits = low.version === 4 ? 32 : 128;
  if (cursor.accept('/')) return [networkOf(new Cidr(low, number('a length of a prefix', bits)(cursor)))];
  if (!cursor.accept('-')) return [new Cidr(low, bits)];
  const high = address(cursor);
  if (high.version !== low.version || wholeOf(high) < wholeOf(low)) {
    throw cursor.error('value', `${low.toString()}-${high.toString()} is no range`, place);
  }
  return prefixesOf(low.version, wholeOf(low), wholeOf(high));
}

/** An address, a list of them, or a named set. */
export function addresses(cursor: TokenCursor, family?: IpVersion): readonly Cidr[] | { readonly set: string } {
  const set = setName(cursor);
  if (set !== undefined) return set;
  return cursor.at('{') ? list(cursor, () => prefixes(cursor, family)).flat() : prefixes(cursor, family);
}

function wholeOf(address: IpAddress): bigint {
  if (address.version === 4) return BigInt(address.value);
  return ([0, 1, 2, 3] as const).reduce((sum, word) => (sum << 32n) | BigInt(address.word(word)), 0n);
}

/** The fewest prefixes that make up a range. */
function prefixesOf(version: IpVersion, low: bigint, high: bigint): Cidr[] {
  const bits = version === 4 ? 32 : 128;
  const found: Cidr[] = [];
  for (let from = low; from <= high; ) {
    let free = 0;
    while (free < bits && (from & ((2n << BigInt(free)) - 1n)) === 0n && from + (2n << BigInt(free)) - 1n <= high)
      free++;
    found.push(new Cidr(addressOf(version, from), bits - free));
    from += 1n << BigInt(free);
  }
  return found;
}

function addressOf(version: IpVersion, whole: bigint): IpAddress {
  const word = (index: number) => Number((whole >> BigInt(96 - 32 * index)) & 0xffff_ffffn);
  return version === 4 ? new Ipv4Address(Number(whole)) : new Ipv6Address(word(0), word(1), word(2), word(3));
}

/** The name of a device, with or without quotes. */
export function deviceName(cursor: TokenCursor): string {
  const { kind, text } = cursor.peek();
  if (kind !== 'word' && kind !== 'string') throw cursor.unexpected('the name of a device');
  cursor.take();
  return text;
}
