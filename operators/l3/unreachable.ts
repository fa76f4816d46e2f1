import type { OperatorFunction } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import type { TxPacket } from '../../lib/core/frame.js';
import type { IcmpErrors } from '../../lib/l3/icmp-errors.js';
import type { IpPacket } from '../../lib/wire/ip.js';
import { layer } from '../flow/layer.js';
import { defaultEnvironment } from '../time/environment.js';

/**
 * Answers packets of protocols that nobody handles with "protocol unreachable", where that is allowed (RFC 1122 3.2.2.1).
 *
 *     in   --p--q-----|     q is a broadcast
 *     out  --u--------|
 *
 * **Drops** every packet, as `IpUnknownProtocol`. **State and timers** those of `errors`.
 *
 * @example
 * net$.rest$.pipe(protocolUnreachable(errors)).pipe(routeAndResolve(options)).subscribe(device.sink);
 */
export function protocolUnreachable(
  errors: IcmpErrors,
  env: Env = defaultEnvironment(),
): OperatorFunction<IpPacket, TxPacket> {
  return layer(() => (packet) => {
    const answer = errors.about(packet, 'protocol-unreachable');
    env.drops.report(DropReason.IpUnknownProtocol, packet.frame, 'protocolUnreachable');
    return answer;
  });
}
