/** What a bridge says to the router above it: it asks for networks, extends their leases, and gives them back. */

import { ErgotError } from '../error.js';
import { NET_LOCAL, NODE_CENTRAL, netAddress, PORT_ANY, withPort } from '../net-address.js';
import type { Incoming, NetStackApi } from '../net-stack-api.js';
import type { LeaseTerms } from './leases.js';
import {
  type Answer,
  type SeedAssignmentError,
  type SeedNetAssignment,
  type SeedRouterAssignment,
  type SeedRefreshError,
  seedRefresh,
  seedRelease,
  seedRequest,
} from './messages.js';

/** Milliseconds until the router above counts as unavailable. */
export const RPC_TIMEOUT = 1000;
const TIMEOUT = { timeout: RPC_TIMEOUT } as const;
/** Seconds that are taken off the time in which a lease can be extended, for each router that passes it on. */
export const HOP_MARGIN = 5;

/** The router that the link upstream leads to, whatever its network, and even while nothing is heard from there. */
export const ROUTER: number = netAddress(NET_LOCAL, NODE_CENTRAL, PORT_ANY);

/** A lease that a bridge has. */
export interface ParentLease {
  readonly network: number;
  readonly terms: LeaseTerms;
  /** Where it is extended and given back. */
  readonly refresh: number;
  readonly release: number;
}

type Heard<T> = Incoming<T, number> | ErgotError;

/** The conversation with the router above. */
export class SeedParent {
  private readonly stack: NetStackApi<number>;
  private readonly failed: () => void;

  /** @param failed is called when the router above did not answer */
  constructor(stack: NetStackApi<number>, failed: () => void) {
    this.stack = stack;
    this.failed = failed;
  }

  /** Asks for a network. Returns how to give it up. */
  request(done: (result: ParentLease | SeedAssignmentError) => void): () => void {
    const heard = (result: Heard<Answer<SeedRouterAssignment, SeedAssignmentError>>): void => {
      if (result instanceof ErgotError) return done(this.unavailable());
      const { value } = result;
      if (value.kind === 'Err') return done(value.value.kind);
      const { assignment, refresh_port, release_port } = value.value;
      const refresh = withPort(ROUTER, refresh_port);
      done({ network: assignment.net_id, terms: assignment, refresh, release: withPort(ROUTER, release_port) });
    };
    return ask(heard, () => this.stack.request(seedRequest, ROUTER, undefined, heard, TIMEOUT));
  }

  /** Extends a lease. Returns how to give it up. */
  refresh(lease: ParentLease, done: (result: ParentLease | SeedRefreshError) => void): () => void {
    const heard = (result: Heard<Answer<SeedNetAssignment, SeedRefreshError>>): void => {
      if (result instanceof ErgotError) return done(this.unavailable());
      const { value } = result;
      if (value.kind === 'Err') return done(value.value.kind);
      const wrong = value.value.net_id !== lease.network;
      done(wrong ? 'BadRequest' : { ...lease, terms: value.value });
    };
    const question = { refresh_net: lease.network, refresh_token: lease.terms.refresh_token };
    return ask(heard, () => this.stack.request(seedRefresh, lease.refresh, question, heard, TIMEOUT));
  }

  /** Gives a lease back; `undefined` if that went well. */
  release(lease: ParentLease, done: (error: SeedRefreshError | undefined) => void): void {
    const heard = (result: Heard<Answer<undefined, SeedRefreshError>>): void => {
      if (result instanceof ErgotError) return done(this.unavailable());
      const { value } = result;
      done(value.kind === 'Err' ? value.value.kind : undefined);
    };
    const question = { release_net: lease.network, refresh_token: lease.terms.refresh_token };
    ask(heard, () => this.stack.request(seedRelease, lease.release, question, heard, TIMEOUT));
  }

  private unavailable(): 'UpstreamUnavailable' {
    this.failed();
    return 'UpstreamUnavailable';
  }
}

/** Asks something. A node without a free port, or one that ends, cannot: that is heard as any failure. */
export function ask(failed: (error: ErgotError) => void, run: () => () => void): () => void {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof ErgotError)) throw error;
    failed(error);
    return () => {};
  }
}
