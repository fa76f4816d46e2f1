/**
 * Sessions: what a mapping is used for. What one is depends on the filter: every remote end, every remote address, or all of them together;
 * connections of TCP always are one each. Each kind has a time after which an idle session ends, and a queue in which the one that was used longest ago
 * comes first, so that to use a session, and to find those that are over, costs the same however many there are.
 */

import type { Random } from '../../core/random.js';
import { Chains, FreeSlots, HashKey, isAddress, putAddress } from './chains.js';

const WORDS = 10;
const PORT = 4;
const MAPPING = 5;
const STATE = 6;
const QUEUE = 7;
const PERMISSION = 8;
const USES = 9;

/** The queues, by what a session is, in the order of their settings. */
export const SessionKind = {
  /** Packets of UDP go out, or come in and are answered. */
  Udp: 0,
  Icmp: 1,
  TcpOpening: 2,
  TcpEstablished: 3,
  TcpClosing: 4,
  /** UDP that came in to a forwarded port, and was never answered. */
  UdpUnanswered: 5,
  /** A SYN came in, and none went out yet, or who sent it has not acknowledged that. */
  TcpKnocking: 6,
  /** No session of its own: remote addresses that connections of TCP give leave to. It is never over while there are any. */
  Permission: 7,
} as const;
export type SessionKind = (typeof SessionKind)[keyof typeof SessionKind];

/** The remote port of a permission, which stands for all of an address: no port is so large. */
export const ANY_PORT = 0x1_0000;

const QUEUES = 8;

/** The sessions. */
export class Sessions {
  private readonly records: Int32Array;
  private readonly deadlines: Float64Array;
  private readonly nexts: Int32Array;
  private readonly previous: Int32Array;
  private readonly heads: Int32Array = new Int32Array(QUEUES);
  private readonly tails: Int32Array = new Int32Array(QUEUES);
  private readonly chains: Chains;
  private readonly slots: FreeSlots;
  private readonly key: HashKey;
  private readonly timeouts: readonly number[];

  /** @param timeouts in milliseconds, by {@link SessionKind} */
  constructor(capacity: number, timeouts: readonly number[], random: Random) {
    this.records = new Int32Array((capacity + 1) * WORDS);
    this.deadlines = new Float64Array(capacity + 1);
    this.nexts = new Int32Array(capacity + 1);
    this.previous = new Int32Array(capacity + 1);
    this.chains = new Chains(capacity);
    this.slots = new FreeSlots(capacity);
    this.key = new HashKey(random);
    this.timeouts = timeouts;
  }

  get size(): number {
    return this.slots.used;
  }

  /** Bytes of memory when full. */
  get bytes(): number {
    const { records, deadlines, nexts, previous, chains, slots } = this;
    return (
      records.byteLength + deadlines.byteLength + nexts.byteLength + previous.byteLength + chains.bytes + slots.bytes
    );
  }

  /** The session of a mapping with that remote end, or 0. Where addresses or ports do not matter they are 0. */
  find(mapping: number, word0: number, word1: number, word2: number, word3: number, port: number): number {
    const { records, chains } = this;
    for (
      let slot = chains.first(this.hash(mapping, word0, word1, word2, word3, port));
      slot !== 0;
      slot = chains.after(slot)
    ) {
      const at = slot * WORDS;
      const isIt = records[at + PORT] === port && records[at + MAPPING] === mapping;
      if (isIt && isAddress(records, at, word0, word1, word2, word3)) return slot;
    }
    return 0;
  }

  /** Begins a session; 0 where there is no room. */
  add(
    mapping: number,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    port: number,
    kind: SessionKind,
    now: number,
  ): number {
    const slot = this.slots.take();
    if (slot === 0) return 0;
    const { records } = this;
    const at = slot * WORDS;
    putAddress(records, at, word0, word1, word2, word3);
    records[at + PORT] = port;
    records[at + MAPPING] = mapping;
    records[at + STATE] = records[at + PERMISSION] = records[at + USES] = 0;
    records[at + QUEUE] = kind;
    this.chains.add(slot, this.hash(mapping, word0, word1, word2, word3, port));
    this.append(slot, kind, now);
    return slot;
  }

  /** Ends a session. */
  remove(slot: number): void {
    const { records } = this;
    const at = slot * WORDS;
    this.key.addressAt(records, at);
    this.key.words[4] = records[at + MAPPING] ?? 0;
    this.key.words[5] = records[at + PORT] ?? 0;
    this.chains.remove(slot, this.key.hash(2));
    this.unlink(slot);
    records[at + MAPPING] = 0;
    this.slots.give(slot);
  }

  /** It was used: its time starts anew, as what it is from now on. */
  use(slot: number, kind: SessionKind, now: number): void {
    this.unlink(slot);
    this.records[slot * WORDS + QUEUE] = kind;
    this.append(slot, kind, now);
  }

  /** The session that has been idle longest, if its time is over; or 0. */
  over(now: number): number {
    for (let queue = 0; queue < SessionKind.Permission; queue++) {
      const slot = this.heads[queue] ?? 0;
      if (slot !== 0 && (this.deadlines[slot] ?? 0) <= now) return slot;
    }
    return 0;
  }

  /** When the next session's time is over, in milliseconds of the clock. */
  get deadline(): number {
    let first = Number.POSITIVE_INFINITY;
    for (let queue = 0; queue < SessionKind.Permission; queue++) {
      const slot = this.heads[queue] ?? 0;
      if (slot !== 0) first = Math.min(first, this.deadlines[slot] ?? 0);
    }
    return first;
  }

  /** The one of a kind that was used longest ago, or 0. */
  oldest(kind: SessionKind): number {
    return this.heads[kind] ?? 0;
  }

  mapping(slot: number): number {
    return this.records[slot * WORDS + MAPPING] ?? 0;
  }
  kind(slot: number): SessionKind {
    return (this.records[slot * WORDS + QUEUE] ?? 0) as SessionKind;
  }
  /** Word 0 to 3 of the remote address. */
  word(slot: number, index: 0 | 1 | 2 | 3): number {
    return this.records[slot * WORDS + index] ?? 0;
  }
  port(slot: number): number {
    return this.records[slot * WORDS + PORT] ?? 0;
  }
  deadlineOf(slot: number): number {
    return this.deadlines[slot] ?? 0;
  }
  /** Bits of {@link TcpBit}. */
  state(slot: number): number {
    return this.records[slot * WORDS + STATE] ?? 0;
  }
  setState(slot: number, state: number): void {
    this.records[slot * WORDS + STATE] = state;
  }
  permission(slot: number): number {
    return this.records[slot * WORDS + PERMISSION] ?? 0;
  }
  setPermission(slot: number, permission: number): void {
    this.records[slot * WORDS + PERMISSION] = permission;
  }

  /** Counts those that use a permission, and returns how many there are. */
  countUse(slot: number, change: 1 | -1): number {
    const at = slot * WORDS + USES;
    const uses = (this.records[at] ?? 0) + change;
    this.records[at] = uses;
    return uses;
  }

  /** Calls `each` with every session that is none of others' permissions; sessions may be removed meanwhile. For the control plane. */
  forEach(each: (slot: number) => void): void {
    for (let slot = 1; slot <= this.slots.highest; slot++) {
      if (this.mapping(slot) !== 0 && this.kind(slot) !== SessionKind.Permission) each(slot);
    }
  }

  private append(slot: number, kind: SessionKind, now: number): void {
    const last = this.tails[kind] ?? 0;
    this.deadlines[slot] = now + (this.timeouts[kind] ?? 0);
    this.previous[slot] = last;
    this.nexts[slot] = 0;
    if (last === 0) this.heads[kind] = slot;
    else this.nexts[last] = slot;
    this.tails[kind] = slot;
  }

  private unlink(slot: number): void {
    const kind = this.kind(slot);
    const next = this.nexts[slot] ?? 0;
    const previous = this.previous[slot] ?? 0;
    if (previous === 0) this.heads[kind] = next;
    else this.nexts[previous] = next;
    if (next === 0) this.tails[kind] = previous;
    else this.previous[next] = previous;
  }

  private hash(mapping: number, word0: number, word1: number, word2: number, word3: number, port: number): number {
    this.key.address(word0, word1, word2, word3);
    this.key.words[4] = mapping;
    this.key.words[5] = port;
    return this.key.hash(2);
  }
}
