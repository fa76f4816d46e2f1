/** What a neighbour cache remembers of one neighbour, and the constants of its state machine (RFC 4861 10, RFC 7048). */

import type { IpAddress } from '../core/address.js';
import type { Frame } from '../core/frame.js';
import type { Timer } from '../core/timers.js';

/** States of RFC 4861 7.3.2, `unreachable` of RFC 7048 3, and entries that the user fixed. */
export type NeighbourState = 'incomplete' | 'reachable' | 'stale' | 'delay' | 'probe' | 'unreachable' | 'static';

/** What happened to a neighbour. */
export interface NeighbourEvent {
  readonly kind: 'added' | 'changed' | 'removed';
  readonly address: IpAddress;
  /** Its MAC address as a number, or `undefined` while it is not known. */
  readonly mac: number | undefined;
  readonly state: NeighbourState;
  readonly isRouter: boolean;
  /** When, in milliseconds of the clock. */
  readonly time: number;
}

/** Limits and times of a neighbour cache, in milliseconds; the defaults are those of RFC 4861 10 and RFC 7048. */
export interface NeighbourTimes {
  /** Queries before resolution fails. Default 3. */
  readonly maxMulticastSolicit: number;
  /** Unicast probes before a neighbour counts as unreachable. Default 3. */
  readonly maxUnicastSolicit: number;
  /** Between two queries. Default 1,000. */
  readonly retransTimer: number;
  /** How long a confirmation holds, before it is randomised by 0.5 to 1.5. Default 30,000. */
  readonly baseReachable: number;
  /** How long upper layers may confirm before we probe. Default 5,000. */
  readonly delayFirstProbe: number;
  /** Factor between two queries for an unreachable neighbour. Default 3. */
  readonly backoffMultiple: number;
  /** Longest pause between them. Default 60,000. */
  readonly maxRetransTimer: number;
  /** Packets that wait for one neighbour. Default 10. */
  readonly maxPending: number;
  /** Memory for them, in bytes. Default 256 KiB. */
  readonly memoryPerNeighbour: number;
  /** Memory for the packets that wait for all neighbours, in bytes. Default 4 MiB; above it new ones are dropped. */
  readonly memory: number;
  /**
   * Known neighbours above which unused ones are collected; at twice as many that is done at once, and new ones are refused where all are in use.
   * Twice as many may be looked for besides; packets to further ones are refused. Default 512.
   */
  readonly maxEntries: number;
  /** Shortest time between two collections, as long as there is room. Default 30,000. */
  readonly collectInterval: number;
}

export const NEIGHBOUR_TIMES: NeighbourTimes = {
  maxMulticastSolicit: 3,
  maxUnicastSolicit: 3,
  retransTimer: 1_000,
  baseReachable: 30_000,
  delayFirstProbe: 5_000,
  backoffMultiple: 3,
  maxRetransTimer: 60_000,
  maxPending: 10,
  memoryPerNeighbour: 256 * 1024,
  memory: 4 * 1024 * 1024,
  maxEntries: 512,
  collectInterval: 30_000,
};

/** MAC address value of an entry that has none yet. */
export const NO_MAC = -1;

/** One neighbour; its address also as words, signed, so that the hot path compares small numbers. */
export class NeighbourEntry {
  readonly address: IpAddress;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  state: NeighbourState = 'incomplete';
  /** The MAC address: its upper 16 bits, negative where there is none, and its lower 32, signed. Whole it would be an object in memory. */
  macHigh = -1;
  macLow = -1;
  isRouter = false;
  /** Queries sent in this state. */
  solicits = 0;
  /** How many packets had been sent by the cache when one was last sent to it: which one has been unused for the longest time. */
  used = 0;
  /** In `unreachable`: whether a packet was sent since the last query, and so it is worth asking again (RFC 7048 3). */
  wanted = false;
  readonly pending: Frame[] = [];
  /** Bytes in use for them. */
  memory = 0;
  readonly timer: Timer;
  /** The next entry of the same hash. */
  next: NeighbourEntry | undefined = undefined;

  constructor(address: IpAddress, makeTimer: (entry: NeighbourEntry) => Timer) {
    this.address = address;
    this.a = address.word(0) | 0;
    this.b = address.word(1) | 0;
    this.c = address.word(2) | 0;
    this.d = address.word(3) | 0;
    this.timer = makeTimer(this);
  }

  get mac(): number {
    return this.macHigh < 0 ? NO_MAC : this.macHigh * 0x1_0000_0000 + (this.macLow >>> 0);
  }

  set mac(mac: number) {
    this.macHigh = Math.floor(mac / 0x1_0000_0000);
    this.macLow = mac | 0;
  }

  /** Whether these are the words of its address, signed or not. */
  is(a: number, b: number, c: number, d: number): boolean {
    return this.d === (d | 0) && this.c === (c | 0) && this.b === (b | 0) && this.a === (a | 0);
  }
}
