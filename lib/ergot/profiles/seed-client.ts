/** Keeps a bridge's link in a network that the router above leases to it. As long as there is none the link carries nothing. */

import type { Env } from '../../core/env.js';
import { NET_LOCAL } from '../net-address.js';
import { type LeaseHolder, LeaseKeeper, type Outcome } from './lease-keeper.js';
import type { SeedRefreshError } from './messages.js';
import type { Port } from './port.js';
import type { ParentLease, SeedParent } from './seed-parent.js';

/** Errors that may be gone the next time, of a lease that may still be good. */
const PASSING: readonly SeedRefreshError[] = ['UpstreamUnavailable', 'TooSoon'];

/** What a bridge does about its links' networks. */
export interface SeedTenant {
  /** Whether the network can be that of a link: it is none that there is. */
  isFree(network: number): boolean;
  /** A link has this network from now on, or none (0). */
  name(port: Port, network: number): void;
}

/** The network of one link. */
export class SeedClient implements LeaseHolder<ParentLease> {
  private readonly port: Port;
  private readonly parent: SeedParent;
  private readonly tenant: SeedTenant;
  private readonly keeper: LeaseKeeper<ParentLease>;

  constructor(port: Port, parent: SeedParent, tenant: SeedTenant, env: Env) {
    this.port = port;
    this.parent = parent;
    this.tenant = tenant;
    this.keeper = new LeaseKeeper<ParentLease>(this, env);
  }

  /** Asks now, unless it has a network or has asked: something has changed upstream. */
  hurry(): void {
    this.keeper.hurry();
  }

  /** Ends. What it has is given back where that is possible. */
  close(givesBack: boolean): void {
    const lease = this.keeper.close();
    if (givesBack && lease !== undefined) this.parent.release(lease, () => {});
  }

  request(done: (outcome: Outcome<ParentLease>) => void): () => void {
    return this.parent.request((result) => done(typeof result === 'string' ? 'later' : result));
  }

  refresh(lease: ParentLease, done: (outcome: Outcome<ParentLease>) => void): () => void {
    return this.parent.refresh(lease, (result) => {
      if (typeof result !== 'string') done(result);
      else done(PASSING.includes(result) ? 'later' : 'over');
    });
  }

  take(lease: ParentLease): boolean {
    const isFree = this.tenant.isFree(lease.network);
    if (isFree) this.tenant.name(this.port, lease.network);
    else this.parent.release(lease, () => {});
    return isFree;
  }

  lose(): void {
    this.tenant.name(this.port, NET_LOCAL);
  }
}
