/**
 * Gives out node numbers on links that many share (ergot 0.12, bus address claim): who wants one says which, and gets it unless another one has it.
 * The router of the link is the one judge, so there is nothing to probe. Its numbers are good on their own network alone, and are leased like
 * networks. They guard against mistakes, not against malice: nobody proves who he is.
 */

import type { Env } from '../../core/env.js';
import { NET_LOCAL, NODE_CENTRAL, NODE_EDGE, networkOf } from '../net-address.js';
import type { Incoming, OpenSocket } from '../net-stack-api.js';
import type { ProfileNode } from '../profile.js';
import { Lease, LeaseTable, type LeaseTimes } from './leases.js';
import {
  type AddressClaim,
  type AddressClaimError,
  type AddressClaimGranted,
  type AddressRefresh,
  type AddressRefreshError,
  type Answer,
  addressClaim,
  addressRefresh,
  err,
  type NodeClaimAssignment,
  ok,
} from './messages.js';
import type { Networks } from './networks.js';

/** The numbers that nobody can claim: any, the two ends of a link of two, all. */
const RESERVED: readonly number[] = [0, NODE_CENTRAL, NODE_EDGE, 255];

class NodeClaim extends Lease {
  readonly nonce: bigint;

  constructor(nonce: bigint, ...lease: ConstructorParameters<typeof Lease>) {
    super(...lease);
    this.nonce = nonce;
  }
}

/** The node numbers of one router's links. */
export class ClaimServer {
  private readonly env: Env;
  private readonly networks: Networks;
  private readonly times: LeaseTimes;
  private readonly claims: LeaseTable<NodeClaim>;
  private readonly refreshes: OpenSocket;

  constructor(node: ProfileNode<number>, networks: Networks, capacity: number, times: LeaseTimes) {
    this.env = node.env;
    this.networks = networks;
    this.times = times;
    this.claims = new LeaseTable(capacity);
    this.refreshes = node.stack.serve(addressRefresh, (incoming, answer) => answer(this.refresh(incoming)));
    node.stack.serve(addressClaim, (incoming, answer) => answer(this.claim(incoming)));
  }

  /** Whether a node may send on the link that is this network: it has claimed its number. */
  holds(network: number, node: number): boolean {
    const { now } = this;
    return this.claims.get(keyOf(network, node), now)?.isActive(now) ?? false;
  }

  /** Forgets the numbers of a network that is no more: in another one of that number they would mean others. */
  forget(network: number): void {
    for (const [key, claim] of this.claims.entries()) if (claim.scope === network) this.claims.delete(key);
  }

  private get now(): number {
    return this.env.timers.now();
  }

  private claim({ value, source }: Incoming<AddressClaim, number>): Answer<AddressClaimGranted, AddressClaimError> {
    const { candidate_node_id: node, nonce } = value;
    const network = networkOf(source);
    const { claims, now, env, times } = this;
    if (RESERVED.includes(node)) return err('InvalidNodeId');
    if (network === NET_LOCAL || this.networks.downlink(network) === undefined) return err('UnknownSource');
    const known = claims.get(keyOf(network, node), now);
    if (known !== undefined) {
      const again = known.isActive(now) && known.nonce === nonce;
      return again ? this.granted(network, node, known) : err('Conflict');
    }
    if (!claims.hasRoom(now)) return err('Exhausted');
    const claim = new NodeClaim(nonce, network, times.first, times, now, env.random);
    claims.set(keyOf(network, node), claim);
    return this.granted(network, node, claim);
  }

  private refresh({
    value,
    source,
  }: Incoming<AddressRefresh, number>): Answer<NodeClaimAssignment, AddressRefreshError> {
    const { node_id: node, refresh_token: token } = value;
    const network = networkOf(source);
    const { now } = this;
    const claim = this.claims.get(keyOf(network, node), now);
    const verdict = claim?.judge(token, now);
    if (claim === undefined) return err('UnknownNodeId');
    if (verdict === 'expired') return err('AlreadyExpired');
    if (verdict === 'wrong') return err('BadRequest');
    if (verdict === 'current') {
      if (!claim.isDue(now)) return err('TooSoon');
      claim.extend(this.times.longest, now, this.env.random);
    }
    return ok({ node_id: node, net_id: network, ...claim.terms(now) });
  }

  private granted(net_id: number, node_id: number, claim: NodeClaim): Answer<AddressClaimGranted, never> {
    return ok({ assignment: { node_id, net_id, ...claim.terms(this.now) }, refresh_port: this.refreshes.port });
  }
}

function keyOf(network: number, node: number): number {
  return (network << 8) | node;
}
