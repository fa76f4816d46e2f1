/**
 * Leases: what a router gives out for a time, networks and node numbers alike. A lease is extended by whoever has its token; that gives a new token,
 * and the one before it is good for hearing the same answer again, should it have been lost. After its end a lease is kept as a tombstone, so
 * that nobody gets what another may still think is his.
 *
 * Nothing here has a timer: what has ended is seen when it is looked at.
 */

import { UsageError } from '../../core/errors.js';
import type { Random } from '../../core/random.js';

const SECOND = 1000;
const MAX_SECONDS = 0xffff;
/** Bytes of a token. */
export const TOKEN_LENGTH = 8;

/** How long leases are, in whole seconds of 1 to 65,535. */
export interface LeaseTimes {
  /** That it is given for first. Default 30. */
  readonly first: number;
  /** That it is given for when it is extended. Default 120. */
  readonly longest: number;
  /** That may be left at most when it is extended. Default 62. */
  readonly refreshBelow: number;
  /** That it is kept after its end. Default 30. */
  readonly tombstone: number;
}

/** Those of ergot 0.12. */
export const LEASE_TIMES: LeaseTimes = { first: 30, longest: 120, refreshBelow: 62, tombstone: 30 };

/** @throws UsageError `ERR_INVALID_OPTION` for a time that does not fit the wire */
export function leaseTimes(given: Partial<LeaseTimes>): LeaseTimes {
  const times = { ...LEASE_TIMES, ...given };
  for (const seconds of Object.values(times)) {
    if (Number.isInteger(seconds) && seconds >= 1 && seconds <= MAX_SECONDS) continue;
    throw new UsageError(
      'ERR_INVALID_OPTION',
      `a lease has times of 1 to ${MAX_SECONDS} whole seconds, not ${seconds}`,
    );
  }
  return times;
}

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
  private readonly times: LeaseTimes;
  private end: number;
  private current: Uint8Array;
  private previous: Uint8Array | undefined = undefined;

  /** @param seconds from `now`, which is in milliseconds, that it is given for */
  constructor(scope: number, seconds: number, times: LeaseTimes, now: number, random: Random) {
    this.scope = scope;
    this.times = times;
    this.end = now + seconds * SECOND;
    this.current = randomly(new Uint8Array(TOKEN_LENGTH), random);
  }

  isActive(now: number): boolean {
    return now < this.end;
  }

  /** Whether it is over, tombstone and all. */
  isGone(now: number): boolean {
    return now >= this.end + this.times.tombstone * SECOND;
  }

  judge(token: Uint8Array, now: number): TokenVerdict {
    if (!this.isActive(now)) return 'expired';
    if (same(token, this.current)) return 'current';
    return this.previous !== undefined && same(token, this.previous) ? 'previous' : 'wrong';
  }

  /** Whether so little is left that it may be extended. */
  isDue(now: number): boolean {
    return this.end - now <= this.times.refreshBelow * SECOND;
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
  terms(
    now: number,
    minRefresh: number = this.times.refreshBelow,
    maxRefresh: number = this.times.longest,
  ): LeaseTerms {
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
