/**
 * The memory of tracked flows: a record of 36 words per flow in one array, beside it when it expires and what it is. The arrays have their full
 * size from the start; memory that no flow has used yet is not there.
 */

import { type FlowTuple, TUPLE_WORDS } from './flow-tuple.js';

/** Offsets in a record, in words: the tuple of the first packet, that of replies, and what they have in common. */
const REPLY = TUPLE_WORDS;
const KIND = 2 * TUPLE_WORDS;
/** See {@link FlowBit}. */
const BITS = KIND + 1;
/** What the protocol keeps, see {@link FlowRecords.protocolAt}. */
const PROTOCOL = BITS + 1;
/** Words that the tracking of a protocol may use. */
export const PROTOCOL_WORDS = 10;
const CREATED = PROTOCOL + PROTOCOL_WORDS;
const MARK = CREATED + 1;
const NAT = MARK + 1;
/** Neighbours in its queue; of a free record the next free one. */
const PREVIOUS = NAT + 1;
const NEXT = PREVIOUS + 1;
const GENERATION = NEXT + 1;
const WORDS = GENERATION + 1;

/** Bits of a record's {@link FlowRecords.bits}; those above are the protocol's. */
export const FlowBit = {
  /** A packet went the other way. */
  Replied: 1,
  /** Both ends have shown that they are there: it is never evicted, unless it is closing. */
  Assured: 2,
  /** It is over but for stragglers. */
  Closing: 4,
} as const;

/** What a slot holds. */
export const SlotStatus = {
  Free: 0,
  Pending: 1,
  Confirmed: 2,
} as const;

/** Most slots that an id has bits for. */
export const MOST_SLOTS = 0xff_ffff;
const GENERATION_SHIFT = 24;
const MOST_GENERATION = 0x7f;

/** Counters of a flow: packets and bytes, of the first direction and of replies. */
const COUNTERS = 4;

/** Records by slot, 1 and up. */
export class FlowRecords {
  /** What each slot holds, a `SlotStatus`. */
  readonly status: Uint8Array;
  /** When each flow is over, in milliseconds of the clock modulo 2^32. */
  readonly deadlines: Int32Array;
  /** Slots from here on were never used. */
  fresh = 1;
  private readonly words: Int32Array;
  private readonly counters: Float64Array;
  private free = 0;

  /** @param counting whether packets and bytes are counted */
  constructor(slots: number, counting: boolean) {
    this.status = new Uint8Array(slots + 1);
    this.deadlines = new Int32Array(slots + 1);
    this.words = new Int32Array((slots + 1) * WORDS);
    this.counters = new Float64Array(counting ? (slots + 1) * COUNTERS : 0);
  }

  /** Bytes of all records. */
  get bytes(): number {
    const { words, counters, deadlines, status } = this;
    return words.byteLength + counters.byteLength + deadlines.byteLength + status.byteLength;
  }

  /** A free slot; there must be one. */
  take(): number {
    const slot = this.free;
    if (slot === 0) return this.fresh++;
    this.free = this.at(slot, NEXT);
    return slot;
  }

  /** Frees a slot: ids of the flow that had it are not valid any more. */
  give(slot: number): void {
    this.status[slot] = SlotStatus.Free;
    const generation = this.at(slot, GENERATION);
    this.put(slot, GENERATION, generation === MOST_GENERATION ? 0 : generation + 1);
    this.put(slot, NEXT, this.free);
    this.free = slot;
  }

  /** What outsiders call the flow in that slot; never 0. */
  idOf(slot: number): number {
    return (this.at(slot, GENERATION) << GENERATION_SHIFT) | slot;
  }

  /** The slot of the flow with that id, or 0 where it is gone. */
  slotOf(id: number): number {
    const slot = id & MOST_SLOTS;
    if (slot === 0 || slot >= this.status.length || this.status[slot] === SlotStatus.Free) return 0;
    return this.idOf(slot) === id ? slot : 0;
  }

  /** Begins a flow: everything about it is 0 but its tuples. */
  begin(slot: number, original: FlowTuple, reply: FlowTuple, now: number): void {
    this.words.fill(0, slot * WORDS + BITS, slot * WORDS + GENERATION);
    this.put(slot, KIND, original.words[TUPLE_WORDS] ?? 0);
    this.put(slot, CREATED, now);
    this.storeTuple(slot, 0, original);
    this.storeTuple(slot, 1, reply);
    if (this.counters.length > 0) this.counters.fill(0, slot * COUNTERS, (slot + 1) * COUNTERS);
  }

  /** Whether direction 0 or 1 of a flow has this tuple. */
  tupleIs(slot: number, direction: number, tuple: FlowTuple): boolean {
    const { words } = this;
    const other = tuple.words;
    const from = slot * WORDS + direction * REPLY;
    for (let i = TUPLE_WORDS - 1; i >= 0; i--) if (words[from + i] !== other[i]) return false;
    return words[slot * WORDS + KIND] === other[TUPLE_WORDS];
  }

  loadTuple(slot: number, direction: number, into: FlowTuple): void {
    const from = slot * WORDS + direction * REPLY;
    for (let i = 0; i < TUPLE_WORDS; i++) into.words[i] = this.words[from + i] ?? 0;
    into.words[TUPLE_WORDS] = this.at(slot, KIND);
  }

  storeTuple(slot: number, direction: number, tuple: FlowTuple): void {
    const from = slot * WORDS + direction * REPLY;
    for (let i = 0; i < TUPLE_WORDS; i++) this.words[from + i] = tuple.words[i] ?? 0;
  }

  bits(slot: number): number {
    return this.at(slot, BITS);
  }

  setBits(slot: number, bits: number): void {
    this.put(slot, BITS, bits);
  }

  /** One of the words that are the protocol's, 0 to `PROTOCOL_WORDS` - 1. */
  protocolAt(slot: number, index: number): number {
    return this.at(slot, PROTOCOL + index);
  }

  setProtocolAt(slot: number, index: number, value: number): void {
    this.put(slot, PROTOCOL + index, value);
  }

  /** When it began, in milliseconds of the clock modulo 2^32. */
  created(slot: number): number {
    return this.at(slot, CREATED);
  }

  mark(slot: number): number {
    return this.at(slot, MARK);
  }

  setMark(slot: number, mark: number): void {
    this.put(slot, MARK, mark);
  }

  nat(slot: number): number {
    return this.at(slot, NAT);
  }

  setNat(slot: number, nat: number): void {
    this.put(slot, NAT, nat);
  }

  previous(slot: number): number {
    return this.at(slot, PREVIOUS);
  }

  next(slot: number): number {
    return this.at(slot, NEXT);
  }

  setPrevious(slot: number, other: number): void {
    this.put(slot, PREVIOUS, other);
  }

  setNext(slot: number, other: number): void {
    this.put(slot, NEXT, other);
  }

  /** Counts a packet of so many bytes, if packets are counted. */
  count(slot: number, direction: number, bytes: number): void {
    const { counters } = this;
    if (counters.length === 0) return;
    const at = slot * COUNTERS + direction * 2;
    counters[at] = (counters[at] ?? 0) + 1;
    counters[at + 1] = (counters[at + 1] ?? 0) + bytes;
  }

  /** Packets of a direction so far; 0 unless they are counted. */
  packets(slot: number, direction: number): number {
    return this.counters[slot * COUNTERS + direction * 2] ?? 0;
  }

  /** Bytes of a direction so far, of whole IP packets; 0 unless they are counted. */
  octets(slot: number, direction: number): number {
    return this.counters[slot * COUNTERS + direction * 2 + 1] ?? 0;
  }

  private at(slot: number, word: number): number {
    return this.words[slot * WORDS + word] ?? 0;
  }

  private put(slot: number, word: number, value: number): void {
    this.words[slot * WORDS + word] = value;
  }
}
