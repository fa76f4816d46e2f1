/**
 * Keyed hashes over 32-bit words. SipHash-2-4 (Aumasson and Bernstein, 2012) for what must not be guessed: sequence numbers,
 * ephemeral ports, timestamp offsets, interface identifiers. HalfSipHash-1-3 for the connection table, where an attacker must
 * merely not be able to choose collisions.
 */

import { type Arena, arena } from './arena.js';
import type { Random } from './random.js';

// Of 32 bits: the key, and more words than anybody hashes.
const KEY = 4;
const MOST_WORDS = 60;
const scratch: Uint32Array | undefined =
  arena && new Uint32Array(arena.slab.bytes.buffer, arena.scratch, KEY + MOST_WORDS + 4);

function rotl(x: number, n: number): number {
  return (x << n) | (x >>> (32 - n));
}

/** What the sum of the low halves `a` and `b` carries into the high ones: without a branch, which nobody could foretell. */
function carry(a: number, b: number, sum: number): number {
  return ((a & b) | ((a | b) & ~sum)) >>> 31;
}

/** SipHash-2-4 under a secret of 128 bits; a word counts as four bytes, little-endian. */
export class SipHash {
  private readonly key: Uint32Array;
  private readonly inScript: boolean;
  /** The halves of the last hash, signed. */
  private lowHalf = 0;
  private highHalf = 0;

  /** @param key four words, k0 low to k1 high @param inScript without WebAssembly, which takes three times as long */
  constructor(key: Uint32Array, inScript = false) {
    this.key = key;
    this.inScript = inScript;
  }

  /** One with a fresh secret. */
  static random(random: Random): SipHash {
    return new SipHash(Uint32Array.from({ length: 4 }, () => random.uint32()));
  }

  /** The low 32 bits, unsigned, of the hash of `count` words. */
  low(words: Uint32Array, count: number): number {
    this.run(words, count);
    return this.lowHalf >>> 0;
  }

  /** The high 32 bits, unsigned, of the hash of `count` words. */
  high(words: Uint32Array, count: number): number {
    this.run(words, count);
    return this.highHalf >>> 0;
  }

  /** The high 32 bits, unsigned, of the hash whose low ones were asked for last. */
  get rest(): number {
    return this.highHalf >>> 0;
  }

  private run(words: Uint32Array, count: number): void {
    if (this.inScript || arena === undefined || scratch === undefined || count > MOST_WORDS)
      this.runInScript(words, count);
    else this.runInArena(arena, scratch, words, count);
  }

  private runInArena({ functions, scratch: at }: Arena, memory: Uint32Array, words: Uint32Array, count: number): void {
    const { key } = this;
    for (let i = 0; i < KEY; i++) memory[i] = key[i] ?? 0;
    for (let i = 0; i < count; i++) memory[KEY + i] = words[i] ?? 0;
    // The last block ends with the length in bytes.
    const blocks = (count >>> 1) + 1;
    const end = KEY + 2 * blocks;
    memory[end - 2] = count & 1 ? (words[count - 1] ?? 0) : 0;
    memory[end - 1] = count << 26;
    functions.sipHash(at, blocks);
    this.lowHalf = (memory[end] ?? 0) | 0;
    this.highHalf = (memory[end + 1] ?? 0) | 0;
  }

  /** Without WebAssembly. The state v0..v3 in eight locals, `a` to `d`, each a low and a high half: nothing else is as fast. */
  private runInScript(words: Uint32Array, count: number): void {
    const { key } = this;
    // Each by its number: to take an array apart is to make its iterator.
    const k0 = key[0] ?? 0;
    const k1 = key[1] ?? 0;
    const k2 = key[2] ?? 0;
    const k3 = key[3] ?? 0;
    let [al, ah, bl, bh] = [k0 ^ 0x70736575, k1 ^ 0x736f6d65, k2 ^ 0x6e646f6d, k3 ^ 0x646f7261];
    let [cl, ch, dl, dh] = [k0 ^ 0x6e657261, k1 ^ 0x6c796765, k2 ^ 0x79746573, k3 ^ 0x74656462];
    // Two rounds for each pair of words, the last with the length; then four.
    const absorbing = 2 * ((count >>> 1) + 1);
    for (let round = 0; round < absorbing + 4; round++) {
      const at = round & ~1;
      const low = at < count ? (words[at] ?? 0) | 0 : 0;
      const high = at + 1 < count ? (words[at + 1] ?? 0) | 0 : count << 26;
      const begins = round < absorbing && at === round;
      if (begins) {
        dl ^= low;
        dh ^= high;
      } else if (round === absorbing) cl ^= 0xff;
      let t = (al + bl) | 0;
      ah = (ah + bh + carry(al, bl, t)) | 0;
      al = t;
      t = ((bl << 13) | (bh >>> 19)) ^ al;
      bh = ((bh << 13) | (bl >>> 19)) ^ ah;
      bl = t;
      t = (cl + dl) | 0;
      ch = (ch + dh + carry(cl, dl, t)) | 0;
      cl = t;
      t = ((dl << 16) | (dh >>> 16)) ^ cl;
      dh = ((dh << 16) | (dl >>> 16)) ^ ch;
      dl = t;
      // The halves of `a` have changed places from here on.
      t = (ah + dl) | 0;
      ah = (al + dh + carry(ah, dl, t)) | 0;
      al = t;
      t = ((dl << 21) | (dh >>> 11)) ^ al;
      dh = ((dh << 21) | (dl >>> 11)) ^ ah;
      dl = t;
      t = (cl + bl) | 0;
      ch = (ch + bh + carry(cl, bl, t)) | 0;
      cl = t;
      t = ((bl << 17) | (bh >>> 15)) ^ cl;
      bh = ((bh << 17) | (bl >>> 15)) ^ ch;
      bl = t;
      t = cl;
      cl = ch;
      ch = t;
      if (round < absorbing && !begins) {
        al ^= low;
        ah ^= high;
      }
    }
    this.lowHalf = al ^ bl ^ cl ^ dl;
    this.highHalf = ah ^ bh ^ ch ^ dh;
  }
}

/** HalfSipHash-1-3 of `count` words under a 64-bit key; a signed 32-bit number. */
export function halfSipHash(
  k0: number,
  k1: number,
  words: Uint32Array | Int32Array,
  from: number,
  count: number,
): number {
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
