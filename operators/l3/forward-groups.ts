import type { OperatorFunction } from 'rxjs';
import { GroupForwarder, type GroupForwardOptions } from '../../lib/l3/forward-groups.js';
import type { Env } from '../../lib/core/env.js';
import type { Ipv4Packet } from '../../lib/wire/ipv4.js';
import type { Ipv6Packet } from '../../lib/wire/ipv6.js';
import { responder } from '../flow/responder.js';
import { defaultEnvironment } from '../time/environment.js';

/**
 * Takes packets to groups further by static routes (RFC 1812 5.2.3): one comes out for each way, its hop limit one less and `frame.route` chosen;
 * and, where this host is a member, the packet as it came, without a route.
 *
 *     in   --p--q--|     p: by two ways, q: by one, and to us
 *     out  --PP-Qq-|
 *
 * A packet comes as `ip` reads it. What comes out is valid during `next`.
 *
 * **Drops** `MulticastNoRoute`, `ForwardNotAllowed` where its source is none of elsewhere, `HopLimitExceeded` where it passes no threshold.
 * **State and timers** counters of the routes; none.
 *
 * @example
 * const ways$ = groups$.pipe(forwardGroups({ routes, forwarder, tables }));
 */
export function forwardGroups(
  options: GroupForwardOptions | GroupForwarder,
  env: Env = defaultEnvironment(),
): OperatorFunction<Ipv4Packet | Ipv6Packet, Ipv4Packet | Ipv6Packet> {
  return responder((emit) => {
    const forwarder = options instanceof GroupForwarder ? options : new GroupForwarder(options, env);
    return { next: (packet) => forwarder.take(packet, emit) };
  });
}
