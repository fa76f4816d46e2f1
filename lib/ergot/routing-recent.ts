/**
 * Packets seen of late, so that none circulates among siblings: a table of a fixed size that forgets the oldest first. What it forgets too
 * early the time to live stops.
 */

/** Slots that a packet can be in. */
const WAYS = 4;
const WORDS = 3;

/** Remembers packets by source, destination and sequence number. */
export class RecentPackets {
  private readonly words: Int32Array;
  private readonly sets: number;
  private turn = 0;

  /** @param sets how many sets of four packets to remember, a power of two */
  constructor(sets = 256) {
    this.sets = sets;
    this.words = new Int32Array(sets * WAYS * WORDS).fill(-1);
  }

  /** Remembers a packet; says whether it was seen before. */
  note(source: number, destination: number, sequence: number): boolean {
    const { words } = this;
    const [a, b] = [source | 0, destination | 0];
    let hash = Math.imul(a ^ Math.imul(b, 0x9e3779b1) ^ Math.imul(sequence, 0x85ebca6b), 0xc2b2ae35);
    hash ^= hash >>> 15;
    const start = (hash & (this.sets - 1)) * WAYS * WORDS;
    for (let at = start; at < start + WAYS * WORDS; at += WORDS) {
      if (words[at] === a && words[at + 1] === b && words[at + 2] === sequence) return true;
    }
    this.turn = (this.turn + 1) % WAYS;
    const slot = start + this.turn * WORDS;
    words[slot] = a;
    words[slot + 1] = b;
    words[slot + 2] = sequence;
    return false;
  }
}
