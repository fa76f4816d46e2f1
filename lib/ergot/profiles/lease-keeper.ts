/** Keeps a lease: asks for one until there is one, extends it in time, and asks anew when it was lost. */

import type { Env } from '../../core/env.js';
import type { Timer } from '../../core/timers.js';
import type { LeaseTerms } from './leases.js';

const SECOND = 1000;
/** Milliseconds until it is tried again, at first and at most: twice as long each time. */
const RETRY_FIRST = 1000;
const RETRY_LONGEST = 8000;

/** What came of a question: a lease; nothing, but perhaps the next time (`later`); nothing, and what there was is no more (`over`). */
export type Outcome<L> = L | 'later' | 'over';

/** Milliseconds after which a lease is extended: when half of it is over, or as soon as it may be after that. */
function refreshAfter({ expires_seconds, min_refresh_seconds }: LeaseTerms): number {
  return (expires_seconds - Math.min(min_refresh_seconds, expires_seconds / 2)) * SECOND;
}

/** Whoever wants the lease. Questions are answered once, perhaps before they return, or given up by what they return. */
export interface LeaseHolder<L> {
  request(done: (outcome: Outcome<L>) => void): () => void;
  refresh(lease: L, done: (outcome: Outcome<L>) => void): () => void;
  /** There is a lease, for the first time; false if it is of no use. */
  take(lease: L): boolean;
  /** There is none any more. */
  lose(): void;
}

/** One lease. */
export class LeaseKeeper<L extends { readonly terms: LeaseTerms }> {
  private readonly env: Env;
  private readonly holder: LeaseHolder<L>;
  private readonly timer: Timer;
  private lease: L | undefined = undefined;
  private expires = 0;
  private retry = RETRY_FIRST;
  private asks = false;
  private open = true;
  private giveUp: () => void = () => {};

  /** Asks as soon as the clock's owner gets control. */
  constructor(holder: LeaseHolder<L>, env: Env) {
    this.holder = holder;
    this.env = env;
    this.timer = env.timers.timer(() => this.act());
    this.hurry();
  }

  /** Asks now, unless there is a lease or a question, or it has ended: something has changed. */
  hurry(): void {
    if (!this.open || this.lease !== undefined || this.asks) return;
    this.retry = RETRY_FIRST;
    this.timer.arm(this.env.timers.now());
  }

  /** Ends, and says what there is to give back. */
  close(): L | undefined {
    const { lease } = this;
    this.open = false;
    this.timer.cancel();
    this.giveUp();
    this.lease = undefined;
    return lease;
  }

  private act(): void {
    const { lease, holder } = this;
    if (lease !== undefined && this.env.timers.now() >= this.expires) return this.drop();
    this.asks = true;
    this.giveUp =
      lease === undefined
        ? holder.request((outcome) => this.requested(outcome))
        : holder.refresh(lease, (outcome) => this.refreshed(outcome));
  }

  private requested(outcome: Outcome<L>): void {
    this.asks = false;
    // A lease for no time at all would be asked for again and again.
    const isGood = typeof outcome !== 'string' && outcome.terms.expires_seconds > 0 && this.holder.take(outcome);
    if (isGood) this.hold(outcome);
    else this.later();
  }

  private refreshed(outcome: Outcome<L>): void {
    this.asks = false;
    if (outcome === 'over') this.drop();
    else if (outcome === 'later') this.later();
    else this.hold(outcome);
  }

  private hold(lease: L): void {
    const now = this.env.timers.now();
    this.lease = lease;
    this.expires = now + lease.terms.expires_seconds * SECOND;
    this.retry = RETRY_FIRST;
    this.timer.arm(now + refreshAfter(lease.terms));
  }

  private later(): void {
    const at = this.env.timers.now() + this.retry;
    this.retry = Math.min(this.retry * 2, RETRY_LONGEST);
    this.timer.arm(this.lease === undefined ? at : Math.min(at, this.expires));
  }

  private drop(): void {
    this.lease = undefined;
    this.holder.lose();
    this.hurry();
  }
}
