import type { OperatorFunction } from 'rxjs';
import type { TxPacket } from '../../lib/core/frame.js';
import type { PingHost } from '../../lib/l4/ping.js';
import { responder } from '../flow/responder.js';

/**
 * Emits the echo requests that the ping sockets of `host` send, for as long as the source lasts; what the source emits is ignored. Replies
 * come to the sockets by `icmp({ echoReplies })` and `icmpv6({ echoReplies })`, errors by `IcmpReports`.
 *
 *     in   ------------|
 *     out  --e--e--e---|     sent by a socket
 *
 * **Drops** none. **State and timers** the sockets live in `host`; no timers. One subscription at a time feeds a host's output.
 *
 * @example
 * const host = new PingHost(tables, env);
 * const echoReplies = (message, packet) => host.received(message, packet);
 * merge(icmp$.pipe(icmp({ tables, reports, echoReplies })), icmp$.pipe(ignoreElements(), echoRequests(host)));
 */
export function echoRequests(host: PingHost): OperatorFunction<unknown, TxPacket> {
  return responder((emit) => {
    host.output.emit = emit;
    return {
      next: () => undefined,
      teardown: () => {
        host.output.emit = undefined;
      },
    };
  });
}
