import type { OperatorFunction } from 'rxjs';
import type { Env } from '../../lib/core/env.js';
import type { TxPacket } from '../../lib/core/frame.js';
import { Icmpv6Host, type Icmpv6Options } from '../../lib/l3/icmpv6.js';
import type { Ipv6Packet } from '../../lib/wire/ipv6.js';
import { layer } from '../flow/layer.js';
import { defaultEnvironment } from '../time/environment.js';

/**
 * Answers echo requests, brings ICMPv6 errors to the transports, hands neighbour discovery over (RFC 4443).
 *
 *     in   --e--u--n--x--|     e: echo request, u: port unreachable, n: neighbour solicitation, x: an unknown type
 *     out  --r-----------|     u goes to options.reports, n to options.neighbourDiscovery
 *
 * A request is answered in its own frame where nobody else looks at it. The reply comes from the address that was asked, or from one of
 * ours where that was a group's.
 *
 * **Drops** `Icmpv6Truncated`, `Icmpv6BadChecksum`, `Icmpv6UnknownType`, `Icmpv6BadQuote`, `Icmpv6Unsolicited`; without a handler
 * `NdpNotForUs` and `GroupIgnored`. **State and timers** none.
 *
 * @example
 * ```ts
 * net$.on(IpProtocol.Icmpv6).pipe(icmpv6({ tables, reports, neighbourDiscovery: (packet) => link.ndp.receive(packet) }))
 * ```
 */
export function icmpv6(
  options: Icmpv6Options,
  env: Env = defaultEnvironment(),
): OperatorFunction<Ipv6Packet, TxPacket> {
  return layer(() => {
    const host = new Icmpv6Host(options, env);
    return (packet) => host.receive(packet);
  });
}
