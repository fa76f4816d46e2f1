import type { OperatorFunction } from 'rxjs';
import type { TxPacket } from '../../lib/core/frame.js';
import type { UdpHost } from '../../lib/l4/udp.js';
import type { IpPacket } from '../../lib/wire/ip.js';
import { responder } from '../flow/responder.js';

/**
 * Gives UDP packets to the sockets of `host`, and emits what those send.
 *
 *     in   --a--b-----|     a is for a socket, b for none
 *     out  -----------s--   s was sent by a socket; it does not need a packet to come in
 *
 * **Drops** `UdpTruncated`, `UdpBadLength`, `UdpBadChecksum`, `UdpNoSocket`.
 * **State and timers** the sockets live in `host`; no timers. One subscription at a time feeds a host's output.
 *
 * @example
 * const host = new UdpHost(addresses, env);
 * packets$.pipe(udp(host), routeAndResolve(options)).subscribe(device.sink);
 * host.bind(anyEndpoint(4, 7), echo);
 */
export function udp(host: UdpHost): OperatorFunction<IpPacket, TxPacket> {
  return responder((emit) => {
    host.output.emit = emit;
    return {
      next: (packet) => host.receive(packet),
      teardown: () => {
        host.output.emit = undefined;
      },
    };
  });
}
