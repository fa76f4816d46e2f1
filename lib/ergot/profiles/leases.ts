/**
 * Leases: what a router gives out for a time, networks and node numbers alike. A lease is extended by whoever has its token; that gives a new token,
 * and the one before it is good for hearing the same answer again, should it have been lost. After its end a lease is kept as a tombstone, so
 * that nobody gets what another may still think is his.
 *
 * Nothing here has a timer: what has ended is seen when it is looked at.
 */

import type { Random } from '../../core/random.js';

const SECOND = 1000;
/** Seconds that a lease is given for first. */
export const FIRST_LEASE = 30;
/** Seconds that it is given for when it is extended. */
export const LONGEST_LEASE = 120;
/** Seconds that may be left at most when it is extended. */
export const REFRESH_BELOW = 62;
/** Seconds that it is kept after its end. */
export const TOMBSTONE = 30;
/** Bytes of a token. */
export const TOKEN_LENGTH = 8;

/** What a token is to a lease. */
export type TokenVerdict = 'current' | 'previous' | 'wrong' | 'expired';

/** What a holder is told of its lease, as it is on the wire. */
export interface LeaseTerms {
  /** Seconds from now. */
  readonly expires_seconds: number;
  /** Seconds that it may have at most when it was extended. */
  readonly max_refresh_seconds: number;
  /** Seconds that may be left at most when it is extended. */
  readonly min_refresh_seconds: number;
  readonly refresh_token: Uint8Array;
}

/** A lease of anything. */
export class Lease {
  /** The network that it was asked for from: only there it is known. */
  readonly scope: number;
  private end: number;
  private current: Uint8Array;
  private previous: Uint8Array | undefined = undefined;

  /** @param seconds from `now`, which is in milliseconds, that it is given for */
  constructor(scope: number, seconds: number, now: number, random: Random) {
    this.scope = scope;
    this.end = now + seconds * SECOND;
    this.current = randomly(new Uint8Array(TOKEN_LENGTH), random);
  }

  isActive(now: number): boolean {
    return now < this.end;
  }

  /** Whether it is over, tombstone and all. */
  isGone(now: number): boolean {
    return now >= this.end + TOMBSTONE * SECOND;
  }

  judge(token: Uint8Array, now: number): TokenVerdict {
    if (!this.isActive(now)) return 'expired';
    if (same(token, this.current)) return 'current';
    return this.previous !== undefined && same(token, this.previous) ? 'previous' : 'wrong';
  }

  /** Whether so little is left that it may be extended. */
  isDue(now: number): boolean {
    return this.end - now <= REFRESH_BELOW * SECOND;
  }

  /** Gives it for so many seconds from now, under a new token. */
  extend(seconds: number, now: number, random: Random): void {
    this.end = now + seconds * SECOND;
    this.previous = this.current;
    this.current = randomly(new Uint8Array(TOKEN_LENGTH), random);
  }

  /** Ends it now, if it has not ended. */
  terminate(now: number): void {
    this.end = Math.min(this.end, now);
  }

  /** What its holder is told: a second that has begun counts. */
  terms(now: number, minRefresh: number = REFRESH_BELOW, maxRefresh: number = LONGEST_LEASE): LeaseTerms {
    return {
      expires_seconds: Math.ceil((this.end - now) / SECOND),
      max_refresh_seconds: maxRefresh,
      min_refresh_seconds: minRefresh,
      refresh_token: this.current.slice(),
    };
  }
}

/** So many leases at most, tombstones among them. */
export class LeaseTable<L extends Lease> {
  private readonly leases = new Map<number, L>();
  private readonly capacity: number;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** The lease or tombstone of a key. */
  get(key: number, now: number): L | undefined {
    const lease = this.leases.get(key);
    if (lease === undefined || !lease.isGone(now)) return lease;
    this.leases.delete(key);
    return undefined;
  }

  /** Whether there is room for one more, or so many. */
  hasRoom(now: number, count = 1): boolean {
    if (this.leases.size + count <= this.capacity) return true;
    for (const [key, lease] of this.leases) if (lease.isGone(now)) this.leases.delete(key);
    return this.leases.size + count <= this.capacity;
  }

  set(key: number, lease: L): void {
    this.leases.set(key, lease);
  }

  delete(key: number): void {
    this.leases.delete(key);
  }

  /** All, tombstones among them. */
  entries(): Iterable<readonly [number, L]> {
    return this.leases;
  }

  get size(): number {
    return this.leases.size;
  }
}

function randomly(bytes: Uint8Array, random: Random): Uint8Array {
  random.fill(bytes);
  return bytes;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
