/**
 * Randomness as a capability: the stack draws identifiers, ports, sequence-number secrets, jitter and impairments from
 * the `random` of its `Env`, so that a seed reproduces a run byte for byte.
 */

/** A source of random numbers. */
export interface Random {
  /** A uniform unsigned 32-bit integer. */
  uint32(): number;
  /** A uniform number in [0, 1). */
  float(): number;
  /** A uniform integer in [0, `bound`); `bound` is in 1..2^32. */
  below(bound: number): number;
  /** Overwrites `bytes` with random ones. */
  fill(bytes: Uint8Array): void;
}

abstract class WordRandom implements Random {
  abstract uint32(): number;

  float(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  // With b bits of bound the odds of two values differ by up to 2^(b-32): a second word where that would show.
  below(bound: number): number {
    if (bound <= 0x1_0000) return Math.floor(this.float() * bound);
    const high = this.uint32();
    return Math.floor(((high * 0x20_0000 + (this.uint32() >>> 11)) / 0x20_0000_0000_0000) * bound);
  }

  fill(bytes: Uint8Array): void {
    let word = 0;
    for (let i = 0; i < bytes.length; i++) {
      if ((i & 3) === 0) word = this.uint32();
      bytes[i] = word & 0xff;
      word >>>= 8;
    }
  }
}

/** Pseudo-random numbers that a seed determines (Chris Doty-Humphrey's sfc32); for simulation, never for secrets. */
export class SeededRandom extends WordRandom {
  private a = 0;
  private b = 0;
  private c: number;
  private counter = 1;

  constructor(seed: number) {
    super();
    this.c = seed >>> 0;
    for (let i = 0; i < 12; i++) this.uint32();
  }

  uint32(): number {
    const out = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + out) | 0;
    return out >>> 0;
  }

  /** An independent generator, determined by this one's state: give each part of a simulation its own. */
  fork(): SeededRandom {
    return new SeededRandom(this.uint32());
  }
}

/** Cryptographically strong numbers of the platform, drawn in blocks. */
export class SystemRandom extends WordRandom {
  private readonly words = new Uint32Array(256);
  private next = 256;

  uint32(): number {
    if (this.next === this.words.length) {
      globalThis.crypto.getRandomValues(this.words);
      this.next = 0;
    }
    const word = this.words[this.next] ?? 0;
    this.words[this.next++] = 0;
    return word;
  }

  override fill(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += 65536) {
      globalThis.crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65536, bytes.length)));
    }
  }
}
