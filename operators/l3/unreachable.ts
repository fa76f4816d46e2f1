import type { OperatorFunction } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import type { TxPacket } from '../../lib/core/frame.js';
import type { IcmpErrors } from '../../lib/l3/icmp-errors.js';
import { type IpPacket, IpProtocol } from '../../lib/wire/ip.js';
import { Ipv6Packet } from '../../lib/wire/ipv6.js';
import { layer } from '../flow/layer.js';
import { defaultEnvironment } from '../time/environment.js';

/**
 * Answers packets of protocols that nobody handles with "protocol unreachable", where that is allowed (RFC 1122 3.2.2.1), over IPv6
 * with a parameter problem that points to the next header (RFC 8200 4).
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
    const answer = answerTo(packet, errors);
    env.drops.report(DropReason.IpUnknownProtocol, packet.frame, 'protocolUnreachable');
    return answer;
  });
}

function answerTo(packet: IpPacket, errors: IcmpErrors): TxPacket | undefined {
  // "No next header": there is nothing that anybody could handle (RFC 8200 4.7).
  if (packet.version === 6 && packet.protocol === IpProtocol.NoNext) return undefined;
  return errors.about(packet, 'protocol-unreachable', packet instanceof Ipv6Packet ? packet.protocolField : 0);
}
