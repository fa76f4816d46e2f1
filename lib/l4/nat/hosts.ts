/** Internal hosts that have mappings: which external address each was given (paired pooling, RFC 4787 REQ-2), and how much of the table is its. */

import type { Random } from '../../core/random.js';
import { Chains, FreeSlots, HashKey, isAddress, putAddress } from './chains.js';

const WORDS = 16;
const POLICY = 4;
const EXTERNAL = 5;
const MAPPINGS = 6;
const SESSIONS = 7;
const BLOCKS = 8;
/** Blocks of ports that a host can have. */
export const MOST_BLOCKS: number = WORDS - BLOCKS;

/** The hosts, by their address and the rule that translates it. */
export class NatHosts {
  private readonly records: Int32Array;
  private readonly chains: Chains;
  private readonly slots: FreeSlots;
  private readonly key: HashKey;

  constructor(capacity: number, random: Random) {
    this.records = new Int32Array((capacity + 1) * WORDS);
    this.chains = new Chains(capacity);
    this.slots = new FreeSlots(capacity);
    this.key = new HashKey(random);
  }

  get size(): number {
    return this.slots.used;
  }

  get bytes(): number {
    return this.records.byteLength + this.chains.bytes + this.slots.bytes;
  }

  /** The host's record, or 0. */
  find(word0: number, word1: number, word2: number, word3: number, policy: number): number {
    const { records, chains } = this;
    for (
      let slot = chains.first(this.hash(word0, word1, word2, word3, policy));
      slot !== 0;
      slot = chains.after(slot)
    ) {
      const at = slot * WORDS;
      const isIt = records[at + POLICY] === policy && isAddress(records, at, word0, word1, word2, word3);
      if (isIt) return slot;
    }
    return 0;
  }

  /** A record of a host that has none; 0 where there is no room. */
  add(word0: number, word1: number, word2: number, word3: number, policy: number): number {
    const slot = this.slots.take();
    if (slot === 0) return 0;
    const { records } = this;
    const at = slot * WORDS;
    putAddress(records, at, word0, word1, word2, word3);
    records[at + POLICY] = policy;
    records.fill(0, at + EXTERNAL, at + WORDS);
    this.chains.add(slot, this.hash(word0, word1, word2, word3, policy));
    return slot;
  }

  /** The number of the rule. */
  policy(slot: number): number {
    return this.records[slot * WORDS + POLICY] ?? 0;
  }

  /** The number of its external address; 0 as long as it has none. */
  external(slot: number): number {
    return this.records[slot * WORDS + EXTERNAL] ?? 0;
  }

  setExternal(slot: number, external: number): void {
    this.records[slot * WORDS + EXTERNAL] = external;
  }

  /** The number of its block `index`, or -1 where it has not so many. */
  block(slot: number, index: number): number {
    return (this.records[slot * WORDS + BLOCKS + index] ?? 0) - 1;
  }

  setBlock(slot: number, index: number, block: number): void {
    this.records[slot * WORDS + BLOCKS + index] = block + 1;
  }

  mappings(slot: number): number {
    return this.records[slot * WORDS + MAPPINGS] ?? 0;
  }

  sessions(slot: number): number {
    return this.records[slot * WORDS + SESSIONS] ?? 0;
  }

  countSession(slot: number, change: 1 | -1): void {
    const at = slot * WORDS + SESSIONS;
    this.records[at] = (this.records[at] ?? 0) + change;
  }

  countMapping(slot: number, change: 1 | -1): void {
    const at = slot * WORDS + MAPPINGS;
    this.records[at] = (this.records[at] ?? 0) + change;
  }

  /** Forgets a host. */
  remove(slot: number): void {
    const at = slot * WORDS;
    this.key.addressAt(this.records, at);
    this.key.words[4] = this.records[at + POLICY] ?? 0;
    this.chains.remove(slot, this.key.hash(1));
    this.slots.give(slot);
  }

  private hash(word0: number, word1: number, word2: number, word3: number, policy: number): number {
    this.key.address(word0, word1, word2, word3);
    this.key.words[4] = policy;
    return this.key.hash(1);
  }
}
