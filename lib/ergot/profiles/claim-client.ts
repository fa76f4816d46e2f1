/**
 * Keeps a node number on a link that many share: proposes one to the router of the link, another one if it is taken, and extends its lease. Which
 * one to propose is left open by ergot; ours is drawn by lot, so that those who begin at the same moment seldom propose the same.
 */

import type { Env } from '../../core/env.js';
import { UsageError } from '../../core/errors.js';
import { ErgotError } from '../error.js';
import { NET_LOCAL, NODE_EDGE, NODE_LAST, withPort } from '../net-address.js';
import type { Incoming, NetStackApi } from '../net-stack-api.js';
import { type LeaseHolder, LeaseKeeper, type Outcome } from './lease-keeper.js';
import { ask, ROUTER, RPC_TIMEOUT } from './seed-parent.js';
import {
  type AddressClaimError,
  type AddressClaimGranted,
  type AddressRefreshError,
  type Answer,
  addressClaim,
  addressRefresh,
  type NodeClaimAssignment,
} from './messages.js';

const FIRST_NODE = NODE_EDGE + 1;
const TIMEOUT = { timeout: RPC_TIMEOUT } as const;
/** Errors that may be gone the next time, of a lease that may still be good. */
const PASSING: readonly AddressRefreshError[] = ['TooSoon'];

/** Errors that are about the number, and would be the same the next time. */
const OTHERS: readonly AddressClaimError[] = ['Conflict', 'InvalidNodeId'];

/** How an edge gets its node number. */
export interface ClaimOptions {
  /** The number to propose first, 3 to 254. Default: one that is drawn by lot. */
  readonly node?: number;
}

/** A node number, and where its lease is extended. */
interface NodeLease {
  readonly terms: NodeClaimAssignment;
  readonly refresh: number;
}

/** Whoever has the number. */
export interface ClaimTenant {
  /** This number is proposed from now on: nobody else is to be expected to have it. */
  propose(node: number): void;
  /** The number proposed last is ours in this network; in none (0) if it is no more. */
  settle(network: number): void;
}

/** The number of one node. */
export class ClaimClient implements LeaseHolder<NodeLease> {
  private readonly stack: NetStackApi<number>;
  private readonly env: Env;
  private readonly tenant: ClaimTenant;
  private readonly keeper: LeaseKeeper<NodeLease>;
  private readonly nonce: bigint;
  private readonly taken = new Set<number>();
  private candidate: number;
  private giveUp: () => void = () => {};

  constructor(options: ClaimOptions, stack: NetStackApi<number>, tenant: ClaimTenant, env: Env) {
    const { random } = env;
    this.stack = stack;
    this.env = env;
    this.tenant = tenant;
    this.nonce = (BigInt(random.uint32()) << 32n) | BigInt(random.uint32());
    this.candidate = options.node ?? this.draw();
    tenant.propose(this.candidate);
    this.keeper = new LeaseKeeper<NodeLease>(this, env);
  }

  close(): void {
    this.keeper.close();
  }

  request(done: (outcome: Outcome<NodeLease>) => void): () => void {
    const { candidate, nonce, stack } = this;
    const heard = (result: Incoming<Answer<AddressClaimGranted, AddressClaimError>, number> | ErgotError): void => {
      if (result instanceof ErgotError) return done('later');
      const { value } = result;
      if (value.kind === 'Err') return OTHERS.includes(value.value.kind) ? this.another(done) : done('later');
      const { assignment, refresh_port } = value.value;
      done({ terms: assignment, refresh: withPort(ROUTER, refresh_port) });
    };
    const question = { candidate_node_id: candidate, nonce };
    // Whoever else proposes the same number hears our answer, which says by its sequence number alone that it is ours.
    const sequence = this.env.random.below(0x1_0000);
    this.giveUp = ask(heard, () => stack.request(addressClaim, ROUTER, question, heard, { ...TIMEOUT, sequence }));
    // Proposing another number is another question.
    return () => this.giveUp();
  }

  refresh(lease: NodeLease, done: (outcome: Outcome<NodeLease>) => void): () => void {
    const heard = (result: Incoming<Answer<NodeClaimAssignment, AddressRefreshError>, number> | ErgotError): void => {
      if (result instanceof ErgotError) return done('later');
      const { value } = result;
      if (value.kind === 'Err') return done(PASSING.includes(value.value.kind) ? 'later' : 'over');
      const { node_id, net_id } = value.value;
      const isSame = node_id === lease.terms.node_id && net_id === lease.terms.net_id;
      done(isSame ? { terms: value.value, refresh: lease.refresh } : 'over');
    };
    const question = { node_id: this.candidate, refresh_token: lease.terms.refresh_token };
    return ask(heard, () => this.stack.request(addressRefresh, lease.refresh, question, heard, TIMEOUT));
  }

  take({ terms }: NodeLease): boolean {
    const isOurs = terms.node_id === this.candidate && terms.net_id > NET_LOCAL && terms.net_id !== 0xffff;
    if (isOurs) this.tenant.settle(terms.net_id);
    return isOurs;
  }

  lose(): void {
    this.taken.clear();
    this.tenant.settle(NET_LOCAL);
  }

  /** The number is another one's, or nobody's: proposes one that has not been refused yet; when all have, it begins again later. */
  private another(done: (outcome: Outcome<NodeLease>) => void): void {
    this.taken.add(this.candidate);
    const isEnd = this.taken.size === NODE_LAST - FIRST_NODE + 1;
    if (isEnd) this.taken.clear();
    this.candidate = this.draw();
    this.tenant.propose(this.candidate);
    if (isEnd) done('later');
    else this.request(done);
  }

  private draw(): number {
    let node = FIRST_NODE + this.env.random.below(NODE_LAST - FIRST_NODE + 1);
    while (this.taken.has(node)) node = node === NODE_LAST ? FIRST_NODE : node + 1;
    return node;
  }
}

/** @throws UsageError `ERR_INVALID_OPTION` for a number that nobody can claim */
export function checkClaim({ node = FIRST_NODE }: ClaimOptions): void {
  if (Number.isInteger(node) && node >= FIRST_NODE && node <= NODE_LAST) return;
  throw new UsageError('ERR_INVALID_OPTION', `no node number to claim: ${node}`);
}
