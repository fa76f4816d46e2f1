import type { OperatorFunction } from 'rxjs';
import type { TxPacket } from '../../lib/core/frame.js';
import type { TcpHost } from '../../lib/l4/tcp/tcp-host.js';
import type { IpPacket } from '../../lib/wire/ip.js';
import { responder } from '../flow/responder.js';

/**
 * Hands TCP segments to a host's TCP, and emits what that sends: in answer, on a timer, or because an application wrote.
 *
 *     in   --s---------a--|     s: a SYN for a listening port
 *     out  --S---S-----d--|     S: SYN-ACK, and again on its timer; d: data that was written
 *
 * Connections and listeners are made through `host`, which outlives the subscription: while nobody is subscribed, what it sends is
 * dropped as `DeviceDown`, and its timers go on. One subscription at a time.
 *
 * **Drops** `TcpTruncated`, `TcpBadHeader`, `TcpBadChecksum`, `TcpNotUnicast`, `TcpNoConnection` (answered by RST), `TcpBacklogFull`, and the
 * reasons of RFC 9293 3.10.7: `TcpOutOfWindow`, `TcpBadAck`, `TcpNoAck`, `TcpOldTimestamp`, `TcpBadReset`, `TcpBadSyn`, `TcpClosed`,
 * `TcpOutOfMemory`, `TcpUnexpected`.
 * **State and timers** none of its own; those of the connections belong to `host` and end with `host.dispose()`.
 *
 * @example
 * ```ts
 * const host = new TcpHost(paths, {}, env);
 * const listener = host.listen({ address: Ipv4Address.ANY, port: 80 });
 * packets$.pipe(tcp(host)).subscribe(toNetwork);
 * ```
 */
export function tcp(host: TcpHost): OperatorFunction<IpPacket, TxPacket> {
  return responder((emit) => {
    host.output.emit = emit;
    return {
      next: (packet) => host.receive(packet),
      teardown: () => {
        if (host.output.emit === emit) host.output.emit = undefined;
      },
    };
  });
}
