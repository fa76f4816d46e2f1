/**
 * Rates, kept by token buckets: so many packets or bytes in a unit of time, and some more at once after a pause. A bucket holds time, times the
 * rate, rather than tokens: whole milliseconds stay whole numbers, so nothing is lost to rounding.
 */

import { halfSipHash } from '../core/hash.js';
import type { Random } from '../core/random.js';
import type { Rate, RateKey, RateUnit } from './model.js';

/** Milliseconds of each unit. */
export const UNITS: Readonly<Record<RateUnit, number>> = {
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
};

/** Packets at once where nothing else is said, as in nftables. */
export const DEFAULT_BURST = 5;
/** Addresses that are remembered where nothing else is said: 576 KiB. */
export const DEFAULT_SIZE = 16_384;
/** Bits of addresses that are told apart where nothing else is said. */
export const DEFAULT_BITS = { 4: 32, 6: 64 } as const;

/** What all buckets of one rate have in common. */
class Bucket {
  readonly isBytes: boolean;
  private readonly rate: number;
  private readonly cost: number;
  readonly full: number;

  constructor({ rate, per, burst, unit }: Rate) {
    this.isBytes = unit === 'bytes';
    this.rate = rate;
    this.cost = UNITS[per];
    this.full = (this.isBytes ? rate + (burst ?? 0) : (burst ?? DEFAULT_BURST)) * this.cost;
  }

  /** What a bucket holds that held `credit` so many milliseconds ago. */
  refilled(credit: number, elapsed: number): number {
    return Math.min(this.full, credit + Math.max(0, elapsed) * this.rate);
  }

  /** What a packet of so many bytes takes. */
  costOf(bytes: number): number {
    return this.isBytes ? bytes * this.cost : this.cost;
  }
}

/** One rate for everything that asks. */
export class Limiter {
  private readonly bucket: Bucket;
  private credit: number;
  private last = 0;

  constructor(rate: Rate) {
    this.bucket = new Bucket(rate);
    this.credit = this.bucket.full;
  }

  /** Whether a packet of so many bytes is within the rate at `now`, in milliseconds; if so it counts. */
  take(now: number, bytes: number): boolean {
    const { bucket } = this;
    const credit = bucket.refilled(this.credit, now - this.last);
    const cost = bucket.costOf(bytes);
    this.last = now;
    this.credit = credit < cost ? credit : credit - cost;
    return credit >= cost;
  }
}

const WAYS = 8;
const ADDRESS = 4;
/** Words of a key: those of the address, and the version, since an address of IPv6 may have the words of one of IPv4. */
const WORDS = ADDRESS + 1;
const MAPPED_BITS = 96;

/**
 * A rate for each address, in a table of fixed size: eight places for each value of a keyed hash. Where all eight are taken the one that has
 * used least of its rate makes room: often one that is full again, of which nothing need be known.
 */
export class KeyedLimiter {
  private readonly bucket: Bucket;
  private readonly masks: Readonly<Record<4 | 6, Int32Array>>;
  private readonly sets: number;
  private readonly keys: Int32Array;
  private readonly credits: Float64Array;
  /** When a place was asked about last; negative infinity where it is free. */
  private readonly times: Float64Array;
  private readonly key = new Int32Array(WORDS);
  private readonly k0: number;
  private readonly k1: number;

  constructor(rate: Rate, { bits, size = DEFAULT_SIZE }: RateKey, random: Random) {
    this.bucket = new Bucket(rate);
    this.masks = {
      4: masksOf(MAPPED_BITS + (bits?.[4] ?? DEFAULT_BITS[4])),
      6: masksOf(bits?.[6] ?? DEFAULT_BITS[6]),
    };
    this.sets = 2 ** Math.ceil(Math.log2(Math.max(1, size / WAYS)));
    const places = this.sets * WAYS;
    this.keys = new Int32Array(places * WORDS);
    this.credits = new Float64Array(places);
    this.times = new Float64Array(places).fill(Number.NEGATIVE_INFINITY);
    this.k0 = random.uint32() | 0;
    this.k1 = random.uint32() | 0;
  }

  /** Bytes of the table. */
  get bytes(): number {
    return this.keys.byteLength + this.credits.byteLength + this.times.byteLength;
  }

  /** Whether a packet of so many bytes, of the address whose four words start at `at` of `values`, is within its rate; if so it counts. */
  take(now: number, bytes: number, version: number, values: Float64Array, at: number): boolean {
    const { bucket, key } = this;
    const masks = version === 4 ? this.masks[4] : this.masks[6];
    for (let i = 0; i < ADDRESS; i++) key[i] = (values[at + i] ?? 0) & (masks[i] ?? 0);
    key[ADDRESS] = version;
    const place = this.placeOf(now);
    const credit = bucket.refilled(this.credits[place] ?? 0, now - (this.times[place] ?? 0));
    const cost = bucket.costOf(bytes);
    this.times[place] = now;
    this.credits[place] = credit < cost ? credit : credit - cost;
    return credit >= cost;
  }

  /** The place of the key: its own, or that of whoever makes room. */
  private placeOf(now: number): number {
    const { key, keys, bucket } = this;
    const first = (halfSipHash(this.k0, this.k1, key, 0, WORDS) & (this.sets - 1)) * WAYS;
    let fullest = first;
    let most = -1;
    for (let place = first; place < first + WAYS; place++) {
      const at = place * WORDS;
      const isFree = this.times[place] === Number.NEGATIVE_INFINITY;
      if (
        !isFree &&
        keys[at] === key[0] &&
        keys[at + 1] === key[1] &&
        keys[at + 2] === key[2] &&
        keys[at + 3] === key[3] &&
        keys[at + ADDRESS] === key[ADDRESS]
      )
        return place;
      const credit = bucket.refilled(this.credits[place] ?? 0, now - (this.times[place] ?? 0));
      if (isFree ? most < Number.POSITIVE_INFINITY : credit > most) {
        fullest = place;
        most = isFree ? Number.POSITIVE_INFINITY : credit;
      }
    }
    keys.set(key, fullest * WORDS);
    this.credits[fullest] = bucket.full;
    this.times[fullest] = now;
    return fullest;
  }
}

function masksOf(bits: number): Int32Array {
  return Int32Array.from({ length: ADDRESS }, (_, word) => {
    const inWord = Math.min(32, Math.max(0, bits - word * 32));
    return inWord === 0 ? 0 : -1 << (32 - inWord);
  });
}
