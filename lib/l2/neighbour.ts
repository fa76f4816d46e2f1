/**
 * The neighbour cache of one link: which MAC address an IP address has, and whether it still answers.
 *
 * One state machine for ARP and neighbour discovery: RFC 4861 7.2 and 7.3 (address resolution and unreachability detection) with
 * the patience of RFC 7048. How a query looks is left to a {@link NeighbourProtocol}; what the link layer heard comes in by
 * {@link NeighbourCache.advertised} and {@link NeighbourCache.heard}. Routers and redirects are not its business.
 */

import type { IpAddress } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { type Frame, HEADROOM, SMALL_ROOM } from '../core/frame.js';
import type { Timer } from '../core/timers.js';
import {
  NEIGHBOUR_TIMES,
  NeighbourEntry,
  type NeighbourEvent,
  type NeighbourState,
  type NeighbourTimes,
  NO_MAC,
} from './neighbour-entry.js';
import { addressOfWords, NeighbourTable } from './neighbour-table.js';

/** What a neighbour cache needs of the link that it serves. */
export interface NeighbourProtocol {
  /** Asks who has `target`: everybody, or only `mac` where one is given. `waiting` is a packet that is to be sent to it, if there is one. */
  solicit(target: IpAddress, mac: number | undefined, waiting?: Frame): void;
  /** Sends a packet that waited; takes over its reference. */
  resolved(packet: Frame, mac: number): void;
  /** A packet that waited in vain; takes over its reference. */
  failed(packet: Frame): void;
}

/** What an advertisement says besides the address (RFC 4861 4.4); ARP replies map onto it. */
export interface Advertisement {
  /** It answers a query of ours, so it proves that the neighbour hears us. */
  readonly solicited: boolean;
  /** It may replace a MAC address that we know. */
  readonly override: boolean;
  /** The neighbour is a router; `undefined` where the protocol does not say. */
  readonly isRouter?: boolean;
}

/** What becomes of an advertisement: nobody asked for that neighbour; what is known of it stays, at most in doubt; or it is taken in. */
export type AdvertisementFate = 'unknown' | 'refused' | 'taken';

/** A neighbour as shown to users. */
export interface NeighbourInfo {
  readonly address: IpAddress;
  readonly mac: number | undefined;
  readonly state: NeighbourState;
  readonly isRouter: boolean;
  /** Packets that wait for it. */
  readonly pending: number;
}

/** The neighbours of one link. */
export class NeighbourCache {
  /** Bytes in use for packets that wait, of all neighbours. */
  memory = 0;
  private readonly env: Env;
  private readonly protocol: NeighbourProtocol;
  private readonly times: NeighbourTimes;
  /** The same for IPv6, of which routers have their say. */
  private times6: NeighbourTimes;
  private readonly table = new NeighbourTable();
  /** Those that nothing vouches for and nobody is waiting for: they can be forgotten. */
  private readonly idle = new Set<NeighbourEntry>();
  /** Those of which nothing is known yet. */
  private readonly unresolved = new Set<NeighbourEntry>();
  private readonly collector: Timer;
  private collected = Number.NEGATIVE_INFINITY;
  private uses = 0;
  private listeners: readonly ((event: NeighbourEvent) => void)[] = [];

  constructor(protocol: NeighbourProtocol, env: Env, times: Partial<NeighbourTimes> = {}) {
    this.env = env;
    this.protocol = protocol;
    this.times = { ...NEIGHBOUR_TIMES, ...times };
    this.times6 = this.times;
    this.collector = env.timers.timer(() => this.collect());
  }

  get size(): number {
    return this.table.size;
  }

  /** Changes times for IPv6, as routers may say (RFC 4861 6.3.4), who have no say in ARP; timers that run stay as they are. */
  configure6(times: Pick<NeighbourTimes, 'baseReachable' | 'retransTimer'>): void {
    this.times6 = { ...this.times6, ...times };
  }

  /**
   * The MAC address to send `packet` to. Where it is not known, takes the packet over, to send it once it is, and returns
   * {@link NO_MAC}. The address is given as the four words of `IpAddress.word`.
   */
  resolve(packet: Frame, a: number, b: number, c: number, d: number): number {
    return this.find(packet, a, b, c, d)?.mac ?? NO_MAC;
  }

  /** The same for the path of every packet: the neighbour itself, or `undefined`. */
  find(packet: Frame, a: number, b: number, c: number, d: number): NeighbourEntry | undefined {
    const entry = this.table.find(a, b, c, d) ?? this.begin(a, b, c, d, packet);
    if (entry === undefined) {
      this.env.drops.refuse(DropReason.NeighbourTableFull, packet, 'neighbour');
      return undefined;
    }
    entry.used = ++this.uses;
    if (entry.state === 'incomplete') {
      this.queue(entry, packet);
      return undefined;
    }
    if (entry.state === 'stale') this.enter(entry, 'delay');
    else if (entry.state === 'unreachable') this.askAgain(entry);
    return entry;
  }

  /** Finds out whether a neighbour is there, without a packet for it; observers are told. */
  ask(a: number, b: number, c: number, d: number): void {
    const entry = this.table.find(a, b, c, d) ?? this.begin(a, b, c, d);
    if (entry?.state === 'unreachable') this.askAgain(entry);
  }

  /** A neighbour announced its MAC address: RFC 4861 7.2.5. Does not create entries. */
  advertised(a: number, b: number, c: number, d: number, mac: number, what: Advertisement): AdvertisementFate {
    const entry = this.table.find(a, b, c, d);
    if (entry === undefined) return 'unknown';
    const differs = entry.mac !== mac;
    if (entry.state === 'static') return differs ? 'refused' : 'taken';
    const refused = differs && !what.override && entry.state !== 'incomplete';
    if (what.isRouter !== undefined && !refused) this.mark(entry, what.isRouter);
    if (entry.state === 'incomplete') {
      this.learn(entry, mac, what.solicited ? 'reachable' : 'stale');
    } else if (refused) {
      // Somebody else claims the address, but may not replace what we know: verify what we know (7.2.5 I).
      if (entry.state === 'reachable') this.enter(entry, 'stale');
    } else if (what.solicited) {
      this.learn(entry, mac, 'reachable');
    } else if (differs) {
      this.learn(entry, mac, 'stale');
    }
    return refused ? 'refused' : 'taken';
  }

  /**
   * A neighbour sent us a query, and so we know its MAC address but not that it hears us: RFC 4861 7.2.3. Creates the entry
   * unless `create` is false; returns whether there is one.
   */
  heard(a: number, b: number, c: number, d: number, mac: number, create: boolean): boolean {
    const known = this.table.find(a, b, c, d);
    if (known === undefined) {
      const entry = create ? this.add(addressOfWords(a, b, c, d)) : undefined;
      if (entry === undefined) return false;
      entry.mac = mac;
      this.become(entry, 'stale');
      this.tell('added', entry);
    } else if (known.state !== 'static' && known.mac !== mac) {
      this.learn(known, mac, 'stale');
    }
    return true;
  }

  /** A neighbour showed by a message of its own whether it is a router (RFC 4861 6.2.6, 6.3.4, 8.3). */
  knowRouter(address: IpAddress, isRouter: boolean): void {
    const entry = this.findAddress(address);
    if (entry !== undefined) this.mark(entry, isRouter);
  }

  /** An upper layer made progress with the neighbour, which proves that it hears us (RFC 4861 7.3.1). */
  confirm(a: number, b: number, c: number, d: number): void {
    const entry = this.table.find(a, b, c, d);
    if (entry === undefined || entry.state === 'incomplete' || entry.state === 'static') return;
    this.enter(entry, 'reachable');
  }

  /** An upper layer hears nothing through this neighbour any more: it is asked at once, not when its time is over (RFC 1122 3.3.1.4). */
  doubt(a: number, b: number, c: number, d: number): void {
    const entry = this.table.find(a, b, c, d);
    const { state } = entry ?? { state: 'incomplete' };
    if (entry !== undefined && (state === 'reachable' || state === 'stale' || state === 'delay'))
      this.enter(entry, 'probe');
  }

  /** Fixes the MAC address of a neighbour: nothing that the network says changes it, and it is never collected. */
  setStatic(address: IpAddress, mac: number): void {
    const known = this.findAddress(address);
    const entry = known ?? this.insert(address);
    entry.mac = mac;
    this.become(entry, 'static');
    entry.timer.cancel();
    this.tell(known === undefined ? 'added' : 'changed', entry);
    this.flushPending(entry);
  }

  /** Forgets a neighbour; packets that wait for it fail. Returns whether it was known. */
  remove(address: IpAddress): boolean {
    const entry = this.findAddress(address);
    if (entry === undefined) return false;
    this.discard(entry);
    return true;
  }

  /** Forgets everything that was learnt; static entries stay, and so do those being resolved, which know nothing yet. */
  flush(): void {
    for (const entry of this.table.entries()) {
      if (entry.state !== 'static' && entry.state !== 'incomplete') this.discard(entry);
    }
  }

  /** The neighbours as they are now. */
  entries(): NeighbourInfo[] {
    return this.table.entries().map(infoOf);
  }

  /** One neighbour, or `undefined`. */
  get(address: IpAddress): NeighbourInfo | undefined {
    const entry = this.findAddress(address);
    return entry && infoOf(entry);
  }

  /** Calls `listener` for each event from now on; returns how to stop. Listeners must not throw. */
  observe(listener: (event: NeighbourEvent) => void): () => void {
    this.listeners = [...this.listeners, listener];
    return () => {
      this.listeners = this.listeners.filter((other) => other !== listener);
    };
  }

  /** Cancels all timers and drops what waits. The cache is empty afterwards, without events, and can be used again. */
  dispose(): void {
    this.collector.cancel();
    this.idle.clear();
    this.unresolved.clear();
    for (const entry of this.table.entries()) {
      entry.timer.cancel();
      this.table.delete(entry);
      for (const packet of this.takePending(entry)) {
        this.env.drops.refuse(DropReason.Disposed, packet, 'neighbour');
      }
    }
  }

  private mark(entry: NeighbourEntry, isRouter: boolean): void {
    if (entry.isRouter === isRouter) return;
    entry.isRouter = isRouter;
    this.tell('changed', entry);
  }

  private timesOf(entry: NeighbourEntry): NeighbourTimes {
    return entry.address.version === 6 ? this.times6 : this.times;
  }

  private findAddress(address: IpAddress): NeighbourEntry | undefined {
    return this.table.find(address.word(0), address.word(1), address.word(2), address.word(3));
  }

  private begin(a: number, b: number, c: number, d: number, waiting?: Frame): NeighbourEntry | undefined {
    const hasRoom = this.unresolved.size < this.mostEntries;
    const entry = hasRoom ? this.add(addressOfWords(a, b, c, d)) : undefined;
    if (entry === undefined) return undefined;
    this.tell('added', entry);
    entry.timer.arm(this.env.timers.now() + this.timesOf(entry).retransTimer);
    entry.solicits = 1;
    this.protocol.solicit(entry.address, undefined, waiting);
    // The query may have been answered within the call (an in-memory link): the entry is still the one to use.
    return entry;
  }

  /** A new entry, unless the table is full of known neighbours in use. */
  private add(address: IpAddress): NeighbourEntry | undefined {
    if (this.known >= this.mostEntries) this.collect();
    else if (this.known >= this.times.maxEntries) this.wantCollection();
    return this.known < this.mostEntries ? this.insert(address) : undefined;
  }

  /** How many of the entries are of neighbours that were found: nobody is forgotten for addresses that somebody looks for (RFC 6583 7.1). */
  private get known(): number {
    return this.table.size - this.unresolved.size;
  }

  /** So many known neighbours at most, and so many that are looked for. */
  private get mostEntries(): number {
    return this.times.maxEntries * 2;
  }

  private insert(address: IpAddress): NeighbourEntry {
    const { timers } = this.env;
    const entry = new NeighbourEntry(address, (owner) => timers.timer(() => this.expired(owner)));
    entry.used = ++this.uses;
    this.table.insert(entry);
    this.unresolved.add(entry);
    return entry;
  }

  /** The oldest packets for a neighbour give way to the newest (RFC 4861 7.2.2); one that has no room even then does not wait. */
  private queue(entry: NeighbourEntry, packet: Frame): void {
    const own = this.fitted(packet);
    const size = slotOf(own);
    if (this.memory - entry.memory + size > this.times.memory) return this.refuse(own);
    while (this.isFull(entry, size)) {
      const oldest = entry.pending.shift();
      if (oldest === undefined) return this.refuse(own);
      this.account(entry, -slotOf(oldest));
      this.refuse(oldest);
    }
    entry.pending.push(own);
    return this.account(entry, size);
  }

  private refuse(packet: Frame): void {
    this.env.drops.refuse(DropReason.NeighbourQueueFull, packet, 'neighbour');
  }

  private isFull(entry: NeighbourEntry, size: number): boolean {
    const { maxPending, memoryPerNeighbour, memory } = this.times;
    if (entry.pending.length >= maxPending) return true;
    return entry.memory + size > memoryPerNeighbour || this.memory + size > memory;
  }

  /** A small packet in a large slot waits in a small one: so it keeps no 64 KiB from others. */
  private fitted(packet: Frame): Frame {
    if (packet.length > SMALL_ROOM || slotOf(packet) <= HEADROOM + SMALL_ROOM) return packet;
    const copy = this.env.pool.copy(packet);
    if (packet.network >= 0) copy.network = packet.network + copy.start - packet.start;
    packet.release();
    return copy;
  }

  private account(entry: NeighbourEntry, size: number): void {
    entry.memory += size;
    this.memory += size;
  }

  private takePending(entry: NeighbourEntry): readonly Frame[] {
    this.account(entry, -entry.memory);
    return entry.pending.splice(0);
  }

  private learn(entry: NeighbourEntry, mac: number, state: 'reachable' | 'stale'): void {
    const differs = entry.mac !== mac;
    entry.mac = mac;
    this.enter(entry, state, differs);
    this.flushPending(entry);
  }

  private flushPending(entry: NeighbourEntry): void {
    if (entry.pending.length === 0) return;
    const packets = this.takePending(entry);
    // They are packets sent to a neighbour that may have just turned stale (RFC 4861 7.3.3).
    if (entry.state === 'stale') this.enter(entry, 'delay');
    for (const packet of packets) this.protocol.resolved(packet, entry.mac);
  }

  /** Goes to a state, arms its timer, does what it begins with; tells observers if anything changed. */
  private enter(entry: NeighbourEntry, state: NeighbourState, changed = entry.state !== state): void {
    const times = this.timesOf(entry);
    const now = this.env.timers.now();
    const differs = changed || entry.state !== state;
    this.become(entry, state);
    entry.solicits = 0;
    entry.wanted = false;
    if (state === 'reachable') entry.timer.arm(now + times.baseReachable * (0.5 + this.env.random.float()));
    else if (state === 'delay') entry.timer.arm(now + times.delayFirstProbe);
    else entry.timer.cancel();
    if (differs) this.tell('changed', entry);
    if (state === 'probe') this.probe(entry);
  }

  private become(entry: NeighbourEntry, state: NeighbourState): void {
    if (isIdle(entry.state)) this.idle.delete(entry);
    if (isIdle(state)) this.idle.add(entry);
    if (entry.state === 'incomplete') this.unresolved.delete(entry);
    entry.state = state;
  }

  private probe(entry: NeighbourEntry): void {
    entry.solicits++;
    entry.timer.arm(this.env.timers.now() + this.timesOf(entry).retransTimer);
    this.protocol.solicit(entry.address, entry.mac);
  }

  private expired(entry: NeighbourEntry): void {
    const times = this.timesOf(entry);
    switch (entry.state) {
      case 'incomplete':
        if (entry.solicits >= times.maxMulticastSolicit) return this.discard(entry);
        entry.solicits++;
        entry.timer.arm(this.env.timers.now() + times.retransTimer);
        return this.protocol.solicit(entry.address, undefined, entry.pending[0]);
      case 'reachable':
        return this.enter(entry, 'stale');
      case 'delay':
        return this.enter(entry, 'probe');
      case 'probe':
        return entry.solicits >= times.maxUnicastSolicit ? this.enter(entry, 'unreachable') : this.probe(entry);
      case 'unreachable':
        if (entry.wanted) this.solicitWithBackoff(entry);
        return undefined;
      default:
        return undefined;
    }
  }

  /** A packet goes to an unreachable neighbour's last known address: ask everybody, ever more seldom (RFC 7048 3). */
  private askAgain(entry: NeighbourEntry): void {
    if (entry.timer.armed) entry.wanted = true;
    else this.solicitWithBackoff(entry);
  }

  private solicitWithBackoff(entry: NeighbourEntry): void {
    const { retransTimer, backoffMultiple, maxRetransTimer } = this.timesOf(entry);
    const pause = Math.min(retransTimer * backoffMultiple ** (entry.solicits + 1), maxRetransTimer);
    entry.solicits++;
    entry.wanted = false;
    entry.timer.arm(this.env.timers.now() + pause);
    this.protocol.solicit(entry.address, undefined);
  }

  private discard(entry: NeighbourEntry): void {
    entry.timer.cancel();
    this.table.delete(entry);
    this.idle.delete(entry);
    this.unresolved.delete(entry);
    this.tell('removed', entry);
    for (const packet of this.takePending(entry)) this.protocol.failed(packet);
  }

  private wantCollection(): void {
    const due = this.collected + this.times.collectInterval;
    if (this.env.timers.now() >= due) this.collect();
    else if (!this.collector.armed) this.collector.arm(due);
  }

  /** Forgets idle neighbours, those unused for the longest time first, until the others fit (RFC 4861 7.3.3). */
  private collect(): void {
    this.collected = this.env.timers.now();
    const idle = [...this.idle].sort((one, other) => one.used - other.used);
    for (const entry of idle) {
      if (this.known < this.times.maxEntries) return;
      this.discard(entry);
    }
  }

  private tell(kind: NeighbourEvent['kind'], entry: NeighbourEntry): void {
    if (this.listeners.length === 0) return;
    const { address, mac, state, isRouter } = entry;
    const known = mac === NO_MAC ? undefined : mac;
    const event = { kind, address, mac: known, state, isRouter, time: this.env.timers.now() };
    for (const listener of this.listeners) {
      // One may have been stopped by who was told before.
      if (this.listeners.includes(listener)) listener(event);
    }
  }
}

function isIdle(state: NeighbourState): boolean {
  return state === 'stale' || state === 'unreachable';
}

/** Bytes of the pool that a frame takes. */
function slotOf({ base, limit }: Frame): number {
  return limit - base;
}

function infoOf(entry: NeighbourEntry): NeighbourInfo {
  const { address, mac, state, isRouter, pending } = entry;
  return { address, mac: mac === NO_MAC ? undefined : mac, state, isRouter, pending: pending.length };
}
