import type { OperatorFunction } from 'rxjs';
import type { Multicast } from '../../lib/l3/multicast.js';
import type { TxPacket } from '../../lib/core/frame.js';
import type { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { responder } from '../flow/responder.js';

/**
 * Answers IGMP queries with the memberships of `multicast`, and tells of their changes while subscribed (RFC 3376).
 *
 *     in   --q-----|     q: which groups have members?
 *     out  --------|     the report goes out by the link that asked, within the time that q gives
 *
 * MLD comes with ICMPv6: give `multicast.receiveMld` to `icmpv6` as its `listenerDiscovery`. Subscribe to what sends frames before this:
 * the links have to lead somewhere.
 *
 * **Drops** `IgmpTruncated`, `IgmpBadChecksum`, `IgmpUnknownType`, `IgmpBadGroup`, `IgmpBadHeader`, `GroupIgnored`.
 * **State and timers** those of `multicast`, of both IP versions: its timers run while subscribed.
 *
 * @example
 * ```ts
 * net$.on(IpProtocol.Igmp).pipe(igmp(multicast))
 * ```
 */
export function igmp(multicast: Multicast): OperatorFunction<Ipv4Packet, TxPacket> {
  return responder(() => {
    multicast.start();
    return { next: (packet) => multicast.receiveIgmp(packet), teardown: () => multicast.stop() };
  });
}
