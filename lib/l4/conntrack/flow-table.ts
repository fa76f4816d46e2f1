/**
 * The table of flows. A flow begins as a pending one, which is in nobody's way: only when its first packet has come to the end of its way is it
 * confirmed, and takes room. Where there is no room an expired flow makes some, else the oldest of those that the other end has not shown
 * itself of, then of those that are closing, then of those that are half established; established flows stay, and the new one is refused.
 *
 * Nothing here is per packet but {@link FlowTable.lookup}. Time is in milliseconds modulo 2^32, as signed numbers.
 */

import type { Env } from '../../core/env.js';
import type { Timer } from '../../core/timers.js';
import { Flow } from './flow.js';
import { FlowQueue } from './flow-queue.js';
import { FlowBit, FlowRecords, SlotStatus } from './flow-records.js';
import { FlowTuple } from './flow-tuple.js';
import { type FlowMatcher, Places } from './places.js';

/** Pending flows at once. A packet's way is mostly walked in one go; where packets wait on it, so many first packets can. */
const MOST_PENDING = 256;
/** Milliseconds between two rounds of the sweep. Expired flows are not found meanwhile, they only take room. */
export const SWEEP_INTERVAL = 10_000;
/** A sweep looks at so many slots and removes so many flows; the rest has to wait for {@link SWEEP_PAUSE}. */
const MOST_LOOKED_AT = 1 << 20;
const MOST_REMOVED = 4096;
const SWEEP_PAUSE = 10;
/** When the table is full, it is searched for expired flows until so many were found, and from end to end no more often than this. */
const SEARCH_INTERVAL = 1000;
const ENOUGH_FOUND = 64;

/** What came of confirming a flow. */
export const Confirmation = {
  /** It is in the table now, or was already. */
  Done: 0,
  /** There is no room, and no flow that could be evicted. */
  Full: 1,
  /** One of its tuples is another flow's. */
  Clash: 2,
  /** The flow is gone, or the table disposed of. */
  Gone: 3,
} as const;
export type Confirmation = (typeof Confirmation)[keyof typeof Confirmation];

/** Why a flow ended. */
export type FlowEnd = 'expired' | 'evicted' | 'replaced' | 'deleted';

/**
 * Is told of flows, as they were when it happened, once whatever has changed them is done. Its methods must not throw; they may delete flows and
 * have packets tracked.
 */
export interface FlowObserver {
  /** A flow was confirmed. */
  created?(flow: Flow): void;
  /** Both ends have shown themselves. */
  established?(flow: Flow): void;
  /** A confirmed flow is over: its id is not valid any more. */
  destroyed?(flow: Flow, why: FlowEnd): void;
}

/** Something that observers have not been told of yet. */
interface News {
  readonly flow: Flow;
  readonly what: 'created' | 'established' | FlowEnd;
}

/** Flows by their tuples of both directions. */
export class FlowTable implements FlowMatcher {
  readonly capacity: number;
  /** For the tracker alone. */
  readonly records: FlowRecords;
  /** Confirmed flows, those that have expired and were not yet removed among them. */
  size = 0;
  /** The flow that was confirmed last: see {@link FlowTable.confirm}. */
  confirmed = 0;
  /** Flows that had to make room for others. */
  evicted = 0;
  private readonly env: Env;
  private readonly places: Places;
  private readonly k0: number;
  private readonly k1: number;
  private readonly pending: Int32Array = new Int32Array(MOST_PENDING);
  private nextPending = 0;
  /** By how little would be lost with them. */
  private readonly opening: FlowQueue;
  private readonly closing: FlowQueue;
  private readonly replied: FlowQueue;
  private readonly timer: Timer;
  /** The slot that is looked at next for having expired, how many more at this time, and how many until the round is over. */
  private hand = 1;
  private left = 0;
  private round = 0;
  private searched = 0;
  private wasSearched = false;
  private disposed = false;
  private observers: readonly FlowObserver[] = [];
  /** In order; empty where nobody observes. */
  private readonly news: News[] = [];
  private readonly scratch: FlowTuple = new FlowTuple();

  /** @param counting whether packets and bytes of flows are counted */
  constructor(capacity: number, counting: boolean, env: Env) {
    this.capacity = capacity;
    this.env = env;
    this.records = new FlowRecords(capacity + MOST_PENDING, counting);
    this.places = new Places(2 * capacity);
    this.k0 = env.random.uint32() | 0;
    this.k1 = env.random.uint32() | 0;
    this.opening = new FlowQueue(this.records);
    this.closing = new FlowQueue(this.records);
    this.replied = new FlowQueue(this.records);
    this.timer = env.timers.timer(() => this.sweep());
  }

  /** Bytes of memory when the table is full, all told. */
  get bytes(): number {
    return this.records.bytes + this.places.bytes + this.pending.byteLength;
  }

  /** The time that deadlines are compared with. */
  now(): number {
    return Math.trunc(this.env.timers.now()) | 0;
  }

  /**
   * A reference to the confirmed flow with that tuple: its slot shifted left by one, and the direction in the lowest bit. 0 where there is none. For the
   * tracker: one that has expired is removed, see {@link FlowTable.tell}.
   */
  lookup(tuple: FlowTuple, now: number): number {
    const reference = this.placed(tuple);
    if (reference === 0 || !this.isOver(reference >>> 1, now)) return reference;
    this.remove(reference >>> 1, 'expired');
    return 0;
  }

  matches(reference: number, tuple: FlowTuple): boolean {
    return this.records.tupleIs(reference >>> 1, reference & 1, tuple);
  }

  /** The id of the flow with that tuple in either direction, or 0. */
  find(tuple: FlowTuple): number {
    const slot = this.placed(tuple) >>> 1;
    return slot === 0 || this.isOver(slot, this.now()) ? 0 : this.records.idOf(slot);
  }

  /** Whether there is a flow with that tuple, in either direction. */
  has(tuple: FlowTuple): boolean {
    return this.find(tuple) !== 0;
  }

  /** Begins a pending flow and returns its slot. */
  open(original: FlowTuple, now: number): number {
    const at = this.nextPending;
    this.nextPending = (at + 1) % MOST_PENDING;
    const old = this.pending[at] ?? 0;
    if (old !== 0) this.records.give(old);
    const slot = this.records.take();
    this.scratch.invert(original);
    this.records.begin(slot, original, this.scratch, now);
    // Pending flows are in no queue: the place among them stands there.
    this.records.setPrevious(slot, at);
    this.records.status[slot] = SlotStatus.Pending;
    this.pending[at] = slot;
    return slot;
  }

  /** Whether the flow is there and not confirmed yet: its reply tuple can be set. */
  isPending(id: number): boolean {
    return this.records.status[this.records.slotOf(id)] === SlotStatus.Pending;
  }

  /** Copies the tuple of the flow's first packet into `into`; false where the flow is gone. */
  original(id: number, into: FlowTuple): boolean {
    return this.load(id, 0, into);
  }

  /** Copies the tuple of its replies. */
  reply(id: number, into: FlowTuple): boolean {
    return this.load(id, 1, into);
  }

  /**
   * Says what replies of a pending flow will look like. False, and nothing changes, where the flow is confirmed or gone, or where another flow
   * has packets of that tuple.
   */
  setReply(id: number, tuple: FlowTuple): boolean {
    if (!this.isPending(id) || this.has(tuple)) return false;
    this.records.storeTuple(this.records.slotOf(id), 1, tuple);
    return true;
  }

  /** A number of the translator's about the flow; 0 at first, and where the flow is gone. */
  nat(id: number): number {
    const slot = this.records.slotOf(id);
    return slot === 0 ? 0 : this.records.nat(slot);
  }

  setNat(id: number, value: number): void {
    const slot = this.records.slotOf(id);
    if (slot !== 0) this.records.setNat(slot, value);
  }

  /** A number of the user's about the flow; 0 at first, and where the flow is gone. */
  mark(id: number): number {
    const slot = this.records.slotOf(id);
    return slot === 0 ? 0 : this.records.mark(slot);
  }

  setMark(id: number, value: number): void {
    const slot = this.records.slotOf(id);
    if (slot !== 0) this.records.setMark(slot, value);
  }

  /**
   * Enters a pending flow for good; {@link FlowTable.confirmed} is then its id, or that of the flow with the same two tuples that has been entered since it
   * was begun. For the tracker, see {@link FlowTable.tell}.
   */
  confirm(id: number): Confirmation {
    const { records } = this;
    const slot = records.slotOf(id);
    const status = records.status[slot];
    if (this.disposed || (status !== SlotStatus.Pending && status !== SlotStatus.Confirmed)) return Confirmation.Gone;
    this.confirmed = id;
    if (status === SlotStatus.Confirmed) return Confirmation.Done;
    const now = this.now();
    const taken = this.owner(slot, 0, now);
    if (taken !== 0) return this.merge(slot, taken) ? Confirmation.Done : Confirmation.Clash;
    if (this.owner(slot, 1, now) !== 0) return Confirmation.Clash;
    if (this.size >= this.capacity && !this.makeRoom(now)) return Confirmation.Full;
    this.enter(slot);
    this.note(slot, 'created');
    return Confirmation.Done;
  }

  /** Changes what is known of a flow: it may be in another queue from now on. For the tracker, see {@link FlowTable.tell}. */
  setBits(slot: number, bits: number): void {
    const { records } = this;
    const before = records.bits(slot);
    if (bits === before) return;
    if (records.status[slot] !== SlotStatus.Confirmed) return records.setBits(slot, bits);
    const from = this.queueOf(slot);
    records.setBits(slot, bits);
    const to = this.queueOf(slot);
    if (from !== to) {
      from?.remove(slot);
      to?.add(slot);
    }
    if ((bits & ~before & FlowBit.Assured) !== 0) this.note(slot, 'established');
  }

  /** Removes the flow with that id; false where it is gone. */
  delete(id: number): boolean {
    const slot = this.records.slotOf(id);
    if (this.records.status[slot] !== SlotStatus.Confirmed) return false;
    this.remove(slot, 'deleted');
    this.tell();
    return true;
  }

  /** Removes the flows of which `predicate` is true, and says how many. */
  deleteWhere(predicate: (flow: Flow) => boolean): number {
    let count = 0;
    for (const flow of this.flows()) if (predicate(flow) && this.delete(flow.id)) count++;
    return count;
  }

  /** Removes all flows, pending ones too. */
  clear(): void {
    const { records, pending } = this;
    for (let slot = 1; slot < records.fresh; slot++) {
      if (records.status[slot] === SlotStatus.Confirmed) this.remove(slot, 'deleted');
    }
    for (const slot of pending) if (slot !== 0) records.give(slot);
    pending.fill(0);
    this.tell();
  }

  /** What is known of a flow, or `undefined` where it is gone; for the control plane. */
  flow(id: number): Flow | undefined {
    const slot = this.records.slotOf(id);
    return slot === 0 ? undefined : new Flow(this.records, slot, this.now());
  }

  /** The confirmed flows, in no order; flows may come and go meanwhile. */
  *flows(): IterableIterator<Flow> {
    const { records } = this;
    for (let slot = 1; slot < records.fresh; slot++) {
      const now = this.now();
      if (records.status[slot] === SlotStatus.Confirmed && !this.isOver(slot, now)) yield new Flow(records, slot, now);
    }
  }

  /** Tells `observer` of flows from now on; returns how to stop. */
  observe(observer: FlowObserver): () => void {
    const own: FlowObserver = {
      created: (flow) => observer.created?.(flow),
      established: (flow) => observer.established?.(flow),
      destroyed: (flow, why) => observer.destroyed?.(flow, why),
    };
    this.observers = [...this.observers, own];
    return () => {
      this.observers = this.observers.filter((other) => other !== own);
    };
  }

  /** Tells observers what has happened: the last act of whatever changes flows, since they may change them, too. */
  tell(): void {
    while (this.news.length > 0) {
      const news = this.news.shift();
      if (news !== undefined) for (const observer of this.observers) tellOf(news, observer);
    }
  }

  /** Removes a confirmed flow. For the tracker, see {@link FlowTable.tell}. */
  remove(slot: number, why: FlowEnd): void {
    const { records, places } = this;
    places.remove(this.hashOf(slot, 0), slot << 1);
    places.remove(this.hashOf(slot, 1), (slot << 1) | 1);
    this.queueOf(slot)?.remove(slot);
    this.size--;
    if (this.size === 0) this.timer.cancel();
    this.note(slot, why);
    records.give(slot);
  }

  /** Forgets all flows, and enters no more; no timer is left. */
  dispose(): void {
    this.disposed = true;
    this.clear();
    this.timer.cancel();
  }

  private enter(slot: number): void {
    const { records } = this;
    this.pending[records.previous(slot)] = 0;
    records.status[slot] = SlotStatus.Confirmed;
    this.size++;
    this.places.insert(this.hashOf(slot, 0), slot << 1);
    this.places.insert(this.hashOf(slot, 1), (slot << 1) | 1);
    this.queueOf(slot)?.add(slot);
    if (!this.timer.armed) this.timer.arm(this.env.timers.now() + SWEEP_INTERVAL);
  }

  /** Where packets wait on their way, the second of a flow may have begun it once more: then both are one. */
  private merge(slot: number, reference: number): boolean {
    const { records, scratch } = this;
    records.loadTuple(slot, 1, scratch);
    if ((reference & 1) === 1 || !records.tupleIs(reference >>> 1, 1, scratch)) return false;
    this.confirmed = records.idOf(reference >>> 1);
    return true;
  }

  private placed(tuple: FlowTuple): number {
    return this.places.find(tuple.hash(this.k0, this.k1), tuple, this);
  }

  private note(slot: number, what: News['what']): void {
    if (this.observers.length > 0) this.news.push({ flow: new Flow(this.records, slot, this.now()), what });
  }

  private isOver(slot: number, now: number): boolean {
    return ((now - (this.records.deadlines[slot] ?? 0)) | 0) >= 0;
  }

  private load(id: number, direction: number, into: FlowTuple): boolean {
    const slot = this.records.slotOf(id);
    if (slot === 0) return false;
    this.records.loadTuple(slot, direction, into);
    return true;
  }

  private hashOf(slot: number, direction: number): number {
    this.records.loadTuple(slot, direction, this.scratch);
    return this.scratch.hash(this.k0, this.k1);
  }

  /** Reference to the flow that has the tuple of a pending flow's direction, or 0. */
  private owner(slot: number, direction: number, now: number): number {
    this.records.loadTuple(slot, direction, this.scratch);
    return this.lookup(this.scratch, now);
  }

  /** The queue that a flow of those bits waits in to be evicted. */
  private queueOf(slot: number): FlowQueue | undefined {
    const bits = this.records.bits(slot);
    if ((bits & FlowBit.Closing) !== 0) return this.closing;
    if ((bits & FlowBit.Assured) !== 0) return undefined;
    return (bits & FlowBit.Replied) !== 0 ? this.replied : this.opening;
  }

  private makeRoom(now: number): boolean {
    if (!this.wasSearched || Math.abs((now - this.searched) | 0) >= SEARCH_INTERVAL) {
      const found = this.removeExpired(this.records.fresh, ENOUGH_FOUND, now);
      // Fewer than enough: it was searched from end to end.
      this.wasSearched = found < ENOUGH_FOUND;
      this.searched = now;
      if (found > 0) return true;
    }
    const slot = this.opening.oldest || this.closing.oldest || this.replied.oldest;
    if (slot === 0) return false;
    this.evicted++;
    this.remove(slot, this.isOver(slot, now) ? 'expired' : 'evicted');
    return true;
  }

  /** Looks at so many slots from the hand on, and removes expired flows until there were so many. Returns how many it removed. */
  private removeExpired(slots: number, most: number, now: number): number {
    const { records } = this;
    const { status } = records;
    let removed = 0;
    this.left = slots;
    for (; this.left > 0 && removed < most; this.left--) {
      if (this.hand >= records.fresh) this.hand = 1;
      const slot = this.hand++;
      if (status[slot] !== SlotStatus.Confirmed || !this.isOver(slot, now)) continue;
      this.remove(slot, 'expired');
      removed++;
    }
    return removed;
  }

  private sweep(): void {
    if (this.round <= 0) this.round = this.records.fresh;
    const looking = Math.min(this.round, MOST_LOOKED_AT);
    this.removeExpired(looking, MOST_REMOVED, this.now());
    this.round -= looking - this.left;
    if (this.size > 0) this.timer.arm(this.env.timers.now() + (this.round > 0 ? SWEEP_PAUSE : SWEEP_INTERVAL));
    this.tell();
  }
}

function tellOf({ flow, what }: News, observer: FlowObserver): void {
  if (what === 'created') observer.created?.(flow);
  else if (what === 'established') observer.established?.(flow);
  else observer.destroyed?.(flow, what);
}
