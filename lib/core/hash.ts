/**
 * Keyed hashes over 32-bit words. SipHash-2-4 (Aumasson and Bernstein, 2012) for what must not be guessed: sequence numbers,
 * ephemeral ports, timestamp offsets, interface identifiers. HalfSipHash-1-3 for the connection table, where an attacker must
 * merely not be able to choose collisions.
 */

import type { Random } from './random.js';

function rotl(x: number, n: number): number {
  return (x << n) | (x >>> (32 - n));
}

/** SipHash-2-4 under a secret of 128 bits; a word counts as four bytes, little-endian. */
export class SipHash {
  private readonly key: Uint32Array;
  /** The state v0..v3, each as low and high half. */
  private readonly v: Uint32Array = new Uint32Array(8);

  /** @param key four words, k0 low to k1 high */
  constructor(key: Uint32Array) {
    this.key = key;
  }

  /** One with a fresh secret. */
  static random(random: Random): SipHash {
    return new SipHash(Uint32Array.from({ length: 4 }, () => random.uint32()));
  }

  /** The low 32 bits, unsigned, of the hash of `count` words. */
  low(words: Uint32Array, count: number): number {
    return this.run(words, count, 0);
  }

  /** The high 32 bits, unsigned, of the hash of `count` words. */
  high(words: Uint32Array, count: number): number {
    return this.run(words, count, 1);
  }

  private run(words: Uint32Array, count: number, half: 0 | 1): number {
    const { v, key } = this;
    const [k0 = 0, k1 = 0, k2 = 0, k3 = 0] = key;
    v.set([k0 ^ 0x70736575, k1 ^ 0x736f6d65, k2 ^ 0x6e646f6d, k3 ^ 0x646f7261]);
    v.set([k0 ^ 0x6e657261, k1 ^ 0x6c796765, k2 ^ 0x79746573, k3 ^ 0x74656462], 4);
    let at = 0;
    for (; at + 1 < count; at += 2) this.absorb(words[at] ?? 0, words[at + 1] ?? 0);
    this.absorb(at < count ? (words[at] ?? 0) : 0, ((count * 4) & 0xff) << 24);
    v[4] = (v[4] ?? 0) ^ 0xff;
    for (let i = 0; i < 4; i++) this.round();
    return ((v[half] ?? 0) ^ (v[2 + half] ?? 0) ^ (v[4 + half] ?? 0) ^ (v[6 + half] ?? 0)) >>> 0;
  }

  private absorb(low: number, high: number): void {
    const { v } = this;
    v[6] = (v[6] ?? 0) ^ low;
    v[7] = (v[7] ?? 0) ^ high;
    this.round();
    this.round();
    v[0] = (v[0] ?? 0) ^ low;
    v[1] = (v[1] ?? 0) ^ high;
  }

  private round(): void {
    this.mix(0, 2, 13);
    this.swap(0);
    this.mix(4, 6, 16);
    this.mix(0, 6, 21);
    this.mix(4, 2, 17);
    this.swap(4);
  }

  /** v[a] += v[b]; v[b] = rotl(v[b], bits) ^ v[a]. */
  private mix(a: number, b: number, bits: number): void {
    const { v } = this;
    const low = (v[a] ?? 0) + (v[b] ?? 0);
    const bl = v[b] ?? 0;
    const bh = v[b + 1] ?? 0;
    v[a] = low;
    v[a + 1] = (v[a + 1] ?? 0) + bh + (low > 0xffff_ffff ? 1 : 0);
    v[b] = ((bl << bits) | (bh >>> (32 - bits))) ^ (v[a] ?? 0);
    v[b + 1] = ((bh << bits) | (bl >>> (32 - bits))) ^ (v[a + 1] ?? 0);
  }

  private swap(a: number): void {
    const { v } = this;
    const low = v[a] ?? 0;
    v[a] = v[a + 1] ?? 0;
    v[a + 1] = low;
  }
}

/** HalfSipHash-1-3 of `count` words under a 64-bit key; a signed 32-bit number. */
export function halfSipHash(k0: number, k1: number, words: Uint32Array, from: number, count: number): number {
  let v0 = k0;
  let v1 = k1;
  let v2 = k0 ^ 0x6c796765;
  let v3 = k1 ^ 0x74656462;
  // The words, then one with the length, then the finalisation of three rounds.
  for (let i = 0; i <= count + 3; i++) {
    const m = i < count ? (words[from + i] ?? 0) | 0 : i === count ? (count << 26) | 0 : 0;
    if (i === count + 1) v2 ^= 0xff;
    v3 ^= m;
    v0 = (v0 + v1) | 0;
    v1 = rotl(v1, 5) ^ v0;
    v0 = rotl(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = rotl(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotl(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotl(v1, 13) ^ v2;
    v2 = rotl(v2, 16);
    v0 ^= m;
  }
  return v1 ^ v3;
}
