import type { OperatorFunction } from 'rxjs';
import type { Env } from '../../lib/core/env.js';
import type { TxFrame, TxPacket } from '../../lib/core/frame.js';
import { Egress, type EgressOptions } from '../../lib/l3/egress.js';
import { responder } from '../flow/responder.js';
import { defaultEnvironment } from '../time/environment.js';

/**
 * Sends IP packets on their way: looks up the route, cuts packets that are too big, resolves the next hop, puts the link header in front.
 *
 *     in   --p--q---------|     p: to a known neighbour, q: to an unknown one
 *     out  --P--a---Q-----|     a: who has it? Q goes out when the answer has come in through `arp`
 *
 * `frame.device` of what comes out is the device to send by. Frames that have a link header already (from `arp`) pass through.
 * Packets to ourselves go to `options.loopback`.
 *
 * **Drops** `IpUnknownVersion`, `IpNotOurSource`, `IpNoRoute`, `IpTooBig`, `FragmentBad`, and of the links `NeighbourQueueFull`,
 * `NeighbourUnreachable`, `NeighbourTableFull`, `Disposed`. `IpNoRoute`, `IpTooBig` and `NeighbourUnreachable` are also told
 * to `options.reports`, so that transports learn `ENETUNREACH`, `EMSGSIZE` and `EHOSTUNREACH`.
 * **State and timers** those of the links, which it takes over: neighbour caches. For each neighbour that does not answer yet wait at most 10
 * packets and 256 KiB, for all of a link 4 MiB. They are disposed when the subscription ends.
 *
 * @example
 * ```ts
 * merge(link$.on(EtherType.Arp).pipe(arp(link)), net$.on(IpProtocol.Icmp).pipe(icmp({ tables, reports })))
 *   .pipe(routeAndResolve({ tables, links: [link] }))
 *   .subscribe(tap.sink);
 * ```
 */
export function routeAndResolve(
  options: EgressOptions,
  env: Env = defaultEnvironment(),
): OperatorFunction<TxPacket | TxFrame, TxFrame> {
  return responder((emit) => {
    const egress = new Egress(options, emit, env);
    return { next: (packet) => egress.send(packet), teardown: () => egress.dispose() };
  });
}
