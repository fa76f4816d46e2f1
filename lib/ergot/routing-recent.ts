/**
 * Packets seen of late, so that none circulates among siblings: a table of a fixed size that forgets the oldest first, and everything after some
 * seconds, since a device that starts anew may use its sequence numbers once more. What it forgets too early the time to live stops.
 */

/** Slots that a packet can be in. */
const WAYS = 4;
const WORDS = 5;
/** How long a packet may be under way: milliseconds. */
const MEMORY = 5000;

/** Whether a packet was here before. */
export const Seen = {
  No: 0,
  /** With as many hops left: a copy, made on its way. */
  Copy: 1,
  /** With more hops left: it has come back. */
  Again: 2,
} as const;
export type Seen = (typeof Seen)[keyof typeof Seen];

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

  /**
   * Remembers a packet; says whether it was seen before.
   *
   * @param time of its arrival, in milliseconds
   */
  note(source: number, destination: number, sequence: number, ttl = 0, time = 0): Seen {
    const { words } = this;
    const a = source | 0;
    const b = destination | 0;
    let hash = Math.imul(a ^ Math.imul(b, 0x9e3779b1) ^ Math.imul(sequence, 0x85ebca6b), 0xc2b2ae35);
    hash ^= hash >>> 15;
    const start = (hash & (this.sets - 1)) * WAYS * WORDS;
    for (let at = start; at < start + WAYS * WORDS; at += WORDS) {
      if (words[at] !== a || words[at + 1] !== b || words[at + 2] !== sequence) continue;
      if (((time - (words[at + 4] ?? 0)) | 0) > MEMORY) {
        words[at + 3] = ttl;
        words[at + 4] = time;
        return Seen.No;
      }
      return ttl < (words[at + 3] ?? 0) ? Seen.Again : Seen.Copy;
    }
    this.turn = (this.turn + 1) % WAYS;
    const slot = start + this.turn * WORDS;
    words[slot] = a;
    words[slot + 1] = b;
    words[slot + 2] = sequence;
    words[slot + 3] = ttl;
    words[slot + 4] = time;
    return Seen.No;
  }
}
