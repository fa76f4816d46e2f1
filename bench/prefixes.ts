/** Prefixes to fill tables with, and addresses to look up in them: at random, or as those of the Internet are. */

import type { IpVersion } from '../lib/core/address.js';
import { SeededRandom } from '../lib/core/random.js';

/** `random`: all of one length, 24 or 48, anywhere. `internet`: lengths as BGP has them, three of four within an allocation that others are in. */
export type PrefixKind = 'random' | 'internet';

/** So many prefixes, some of which may be the same: their first 64 bits and lengths. */
export interface Prefixes {
  readonly version: IpVersion;
  readonly high: Int32Array;
  readonly low: Int32Array;
  readonly lengths: Uint8Array;
}

/** How many of a thousand prefixes have a length, near enough what the tables of the Internet's core had in 2024. */
const SHARES: Readonly<Record<IpVersion, Readonly<Record<number, number>>>> = {
  4: {
    8: 0.02,
    10: 0.04,
    11: 0.1,
    12: 0.3,
    13: 0.6,
    14: 1.2,
    15: 2,
    16: 13,
    17: 8,
    18: 14,
    19: 26,
    20: 45,
    21: 50,
    22: 108,
    23: 98,
    24: 633,
  },
  6: {
    28: 5,
    29: 25,
    32: 120,
    33: 15,
    34: 10,
    36: 60,
    38: 10,
    40: 90,
    42: 25,
    44: 100,
    45: 20,
    46: 35,
    47: 20,
    48: 460,
    56: 3,
    64: 2,
  },
};
const RANDOM_LENGTH = { 4: 24, 6: 48 };
/** Of IPv6 addresses 2000::/3 is in use, and of that a few large blocks. */
const GLOBAL = 0x2000_0000;
const BLOCKS = 10;

/** Draws prefixes, the same each time. */
export function drawPrefixes(version: IpVersion, kind: PrefixKind, count: number): Prefixes {
  const random = new SeededRandom(version);
  const prefixes = { version, high: new Int32Array(count), low: new Int32Array(count), lengths: new Uint8Array(count) };
  let allocation = 0;
  let allocated = 0;
  for (let i = 0; i < count; i++) {
    const length = kind === 'random' ? RANDOM_LENGTH[version] : drawLength(version, random);
    let high = random.uint32() | 0;
    if (version === 6) high = GLOBAL | (kind === 'random' ? high >>> 3 : (random.below(BLOCKS) << 24) | (high >>> 8));
    if (kind === 'internet' && random.below(4) > 0 && length >= allocated && allocated > 0) {
      high = firstBits(allocation, allocated) | ((random.uint32() >>> 1) >>> (allocated - 1));
    } else {
      allocation = high;
      allocated = Math.min(length, version === 4 ? 16 + random.below(6) : 32);
    }
    prefixes.high[i] = high;
    prefixes.low[i] = random.uint32();
    prefixes.lengths[i] = length;
  }
  return prefixes;
}

/** Addresses in order that lie in these prefixes, each in one drawn at random; two words each, the first 64 bits or the IPv4 address twice. */
export function drawAddresses({ version, high, low, lengths }: Prefixes, count: number): Int32Array {
  const random = new SeededRandom(count);
  const addresses = new Int32Array(2 * count);
  for (let i = 0; i < count; i++) {
    const chosen = random.below(lengths.length);
    const length = lengths[chosen] ?? 0;
    const first = inPrefix(high[chosen] ?? 0, length, random);
    addresses[2 * i] = first;
    addresses[2 * i + 1] = version === 4 ? first : inPrefix(low[chosen] ?? 0, length - 32, random);
  }
  return addresses;
}

function drawLength(version: IpVersion, random: SeededRandom): number {
  const shares = Object.entries(SHARES[version]);
  const all = shares.reduce((sum, [, share]) => sum + share, 0);
  let left = random.float() * all;
  for (const [length, share] of shares) {
    left -= share;
    if (left < 0) return Number(length);
  }
  return RANDOM_LENGTH[version];
}

/** A word that begins with the first bits of another. */
function inPrefix(word: number, length: number, random: SeededRandom): number {
  if (length >= 32) return word;
  const host = random.uint32();
  return length <= 0 ? host | 0 : firstBits(word, length) | (host >>> length);
}

function firstBits(word: number, length: number): number {
  return length >= 32 ? word : length <= 0 ? 0 : word & (-1 << (32 - length));
}
