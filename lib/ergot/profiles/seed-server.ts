/**
 * Gives out networks to the bridges below (ergot 0.12, seed router). The root chooses them; a bridge asks the router above for them, and passes
 * on what it is given, with a token of its own and a little less time in which the lease can be extended, so that whatever comes from below in
 * time is in time above.
 */

import type { Env } from '../../core/env.js';
import { NET_LAST, NET_LOCAL, networkOf } from '../net-address.js';
import type { Incoming, OpenSocket } from '../net-stack-api.js';
import type { ProfileNode } from '../profile.js';
import type { LeaseTimes } from './leases.js';
import {
  type Answer,
  err,
  ok,
  type SeedAssignmentError,
  type SeedNetAssignment,
  type SeedRefresh,
  type SeedRefreshError,
  type SeedRelease,
  type SeedRouterAssignment,
  seedRefresh,
  seedRelease,
  seedRequest,
} from './messages.js';
import { type Networks, SeedRoute } from './networks.js';
import { HOP_MARGIN, type ParentLease, type SeedParent } from './seed-parent.js';

type Requested = (answer: Answer<SeedRouterAssignment, SeedAssignmentError>) => void;
type Refreshed = (answer: Answer<SeedNetAssignment, SeedRefreshError>) => void;
type Released = (answer: Answer<undefined, SeedRefreshError>) => void;

/**
 * Of each of the three kinds, so many requests may wait for the router above, each with a socket of ours: whoever asks again and again is not to take all of
 * them. Those beyond are refused with `SseNoSpace`.
 */
const WAITING = { unanswered: 16 } as const;

/** Errors after which a lease is no more, whatever its time. */
const OVER: readonly SeedRefreshError[] = ['UnknownNetId', 'NotAssigned', 'AlreadyExpired'];

/** The networks that one router has given out. */
class SeedServer {
  private readonly env: Env;
  private readonly networks: Networks;
  private readonly times: LeaseTimes;
  /** The router above, of a bridge. */
  private readonly parent: SeedParent | undefined;
  private readonly refreshes: OpenSocket;
  private readonly releases: OpenSocket;
  /** Requests that the router above has not answered yet. */
  private asking = 0;

  constructor(node: ProfileNode<number>, networks: Networks, parent: SeedParent | undefined, times: LeaseTimes) {
    this.env = node.env;
    this.networks = networks;
    this.times = times;
    this.parent = parent;
    const { stack } = node;
    this.refreshes = stack.serve(seedRefresh, (incoming, answer) => this.refresh(incoming, answer), WAITING);
    this.releases = stack.serve(seedRelease, (incoming, answer) => this.release(incoming, answer), WAITING);
  }

  private get now(): number {
    return this.env.timers.now();
  }

  /** Gives a network to a bridge behind that network. */
  request(scope: number, answer: Requested): void {
    const wrong = this.refusal(scope, this.asking);
    if (wrong !== undefined) return answer(err(wrong));
    if (this.parent !== undefined) return this.delegate(this.parent, scope, answer);
    const network = this.networks.free();
    const route = network === NET_LOCAL ? undefined : this.grant(network, scope, this.times.first);
    answer(route === undefined ? err('NetIdsExhausted') : this.assigned(network, route));
  }

  /** Why nobody behind that network can get one, though `others` more were given out. */
  private refusal(scope: number, others: number): SeedAssignmentError | undefined {
    const { leases } = this.networks;
    if (scope === NET_LOCAL || this.networks.downlink(scope) === undefined) return 'UnknownSource';
    return leases.hasRoom(this.now, others + 1) ? undefined : 'NetIdsExhausted';
  }

  private grant(network: number, scope: number, seconds: number): SeedRoute | undefined {
    const port = this.networks.downlink(scope);
    if (port === undefined) return undefined;
    const route = new SeedRoute(port, seconds, this.times, this.now, this.env.random);
    this.networks.leases.set(network, route);
    return route;
  }

  private assigned(network: number, route: SeedRoute): Answer<SeedRouterAssignment, SeedAssignmentError> {
    const assignment = this.assignment(network, route);
    return ok({ assignment, refresh_port: this.refreshes.port, release_port: this.releases.port });
  }

  private assignment(net_id: number, route: SeedRoute): SeedNetAssignment {
    const { parent } = route;
    if (parent === undefined) return { net_id, ...route.terms(this.now) };
    const { max_refresh_seconds, min_refresh_seconds } = parent.terms;
    return { net_id, ...route.terms(this.now, min_refresh_seconds - HOP_MARGIN, max_refresh_seconds) };
  }

  private delegate(parent: SeedParent, scope: number, answer: Requested): void {
    if (this.networks.upstream === undefined) return answer(err('UpstreamUnavailable'));
    this.asking++;
    parent.request((lease) => {
      this.asking--;
      if (typeof lease === 'string') return answer(err(lease));
      const wrong = this.refusal(scope, this.asking) ?? this.collision(lease);
      const route = wrong === undefined ? this.grant(lease.network, scope, lease.terms.expires_seconds) : undefined;
      if (route === undefined) {
        parent.release(lease, () => {});
        return answer(err(wrong ?? 'UnknownSource'));
      }
      route.parent = lease;
      answer(this.assigned(lease.network, route));
    });
  }

  private collision({ network, terms }: ParentLease): SeedAssignmentError | undefined {
    const { networks } = this;
    const isOurs = networks.downlink(network) !== undefined || networks.upstream?.network === network;
    if (isOurs || network === NET_LOCAL || network > NET_LAST) return 'NetIdCollision';
    return tooDeep(terms.min_refresh_seconds) ? 'DelegationDepthExceeded' : undefined;
  }

  private refresh({ value, source }: Incoming<SeedRefresh, number>, answer: Refreshed): void {
    const { refresh_net: network, refresh_token: token } = value;
    const route = this.find(network, networkOf(source));
    if (typeof route === 'string') return answer(err(route));
    const verdict = route.judge(token, this.now);
    if (verdict === 'expired') return answer(err('AlreadyExpired'));
    if (verdict === 'wrong') return answer(err('BadRequest'));
    if (verdict === 'previous') return answer(ok(this.assignment(network, route)));
    if (route.parent !== undefined) return this.refreshAbove(route, route.parent, token, answer);
    if (!route.isDue(this.now)) return answer(err('TooSoon'));
    route.extend(this.times.longest, this.now, this.env.random);
    answer(ok(this.assignment(network, route)));
  }

  private find(network: number, scope: number): SeedRoute | SeedRefreshError {
    const route = this.networks.leases.get(network, this.now);
    if (route === undefined) return this.networks.downlink(network) === undefined ? 'UnknownNetId' : 'NotAssigned';
    return route.scope === scope ? route : 'BadRequest';
  }

  /** That it is not too soon is for the router above to say. */
  private refreshAbove(route: SeedRoute, lease: ParentLease, token: Uint8Array, answer: Refreshed): void {
    this.parent?.refresh(lease, (result) => {
      if (typeof result === 'string') {
        if (OVER.includes(result)) route.terminate(this.now);
        return answer(err(result));
      }
      const verdict = route.judge(token, this.now);
      if (tooDeep(result.terms.min_refresh_seconds)) return answer(err('DelegationDepthExceeded'));
      if (verdict === 'expired' || verdict === 'wrong') return answer(err('AlreadyExpired'));
      // The same question, asked twice while the router above was thinking, was answered to the first.
      route.parent = result;
      if (verdict === 'current') route.extend(result.terms.expires_seconds, this.now, this.env.random);
      answer(ok(this.assignment(lease.network, route)));
    });
  }

  private release({ value, source }: Incoming<SeedRelease, number>, answer: Released): void {
    const { release_net: network, refresh_token: token } = value;
    const route = this.find(network, networkOf(source));
    if (typeof route === 'string') return answer(err(route));
    const verdict = route.judge(token, this.now);
    if (verdict !== 'current') return answer(err(verdict === 'expired' ? 'AlreadyExpired' : 'BadRequest'));
    if (this.parent === undefined || route.parent === undefined) return answer(this.free(network, route));
    this.parent.release(route.parent, (error) => {
      answer(error === undefined || OVER.includes(error) ? this.free(network, route) : err(error));
    });
  }

  /** What was given back is free at once: nobody thinks that it is still his. */
  private free(network: number, route: SeedRoute): Answer<undefined, SeedRefreshError> {
    const { leases } = this.networks;
    if (leases.get(network, this.now) === route) leases.delete(network);
    return ok(undefined);
  }
}

/** Serves bridges below. */
export function serveSeeds(
  node: ProfileNode<number>,
  networks: Networks,
  parent: SeedParent | undefined,
  times: LeaseTimes,
): void {
  const server = new SeedServer(node, networks, parent, times);
  node.stack.serve(seedRequest, ({ source }, answer) => server.request(networkOf(source), answer), WAITING);
}

/** Whether what is left of the time in which a lease can be extended is too short for one more router. */
function tooDeep(minRefresh: number): boolean {
  return minRefresh <= HOP_MARGIN;
}
