import type { OperatorFunction } from 'rxjs';
import type { Env } from '../../lib/core/env.js';
import type { TxPacket } from '../../lib/core/frame.js';
import { IcmpHost, type IcmpOptions } from '../../lib/l3/icmp.js';
import type { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { layer } from '../flow/layer.js';
import { defaultEnvironment } from '../time/environment.js';

/**
 * Answers echo requests, and brings ICMP errors to the transports (RFC 792, RFC 1122 3.2.2).
 *
 *     in   --e--u--x--|     e: echo request, u: port unreachable, x: a type that hosts do not handle
 *     out  --r--------|     u goes to options.reports
 *
 * A request is answered in its own frame where nobody else looks at it. The reply comes from the address that was asked.
 *
 * **Drops** `Icmpv4Truncated`, `Icmpv4BadChecksum`, `Icmpv4UnknownType`, `Icmpv4BadQuote`, `Icmpv4Broadcast`,
 * `Icmpv4Unsolicited`, `Icmpv4Ignored`. **State and timers** none.
 *
 * @example
 * ```ts
 * net$.on(IpProtocol.Icmp).pipe(icmp({ tables, reports }))
 * ```
 */
export function icmp(options: IcmpOptions, env: Env = defaultEnvironment()): OperatorFunction<Ipv4Packet, TxPacket> {
  return layer(() => {
    const host = new IcmpHost(options, env);
    return (packet) => host.receive(packet);
  });
}
