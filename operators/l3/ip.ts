import type { OperatorFunction } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { Cast } from '../../lib/core/frame.js';
import type { LinkPacket } from '../../lib/wire/ethernet.js';
import { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../lib/wire/ipv6.js';
import { layer } from '../flow/layer.js';
import { defaultEnvironment } from '../time/environment.js';

/**
 * Reads IP packets of either version and lets through the sound ones, whoever they are for: what routers, bridges that filter, and other
 * boxes in the middle look at (RFC 1812 5.2.2).
 *
 *     in   --f--g--h--|
 *     out  --4-----6--|     g was neither
 *
 * The frame's range becomes the whole packet, its header included, without the padding of the link; `frame.network` is set. Extension headers and
 * payloads are not looked at. What is for this host goes through `ipv4` or `ipv6` next, which take it from the top.
 *
 * **Drops** `Ipv4Truncated`, `Ipv4BadHeader`, `Ipv4BadChecksum`, `Ipv4BadOptions`, `Ipv6Truncated`, `Ipv6BadHeader`, `IpUnknownVersion`.
 * **State and timers** none.
 *
 * @example
 * link$.on(EtherType.Ipv4).pipe(ip(), firewall(rules), forward(options))
 */
export function ip(env: Env = defaultEnvironment()): OperatorFunction<LinkPacket, Ipv4Packet | Ipv6Packet> {
  const { drops } = env;
  return layer(() => ({ frame }) => {
    const { start } = frame;
    const version = frame.end > start ? frame.slab.view.getUint8(start) >>> 4 : 0;
    const isIpv4 = version === 4;
    const wrong = isIpv4 ? Ipv4Packet.check(frame, start) : check6(frame, start, version);
    if (wrong !== undefined) return drops.report(wrong, frame, 'ip');
    const packet = isIpv4 ? Ipv4Packet.of(frame, start) : Ipv6Packet.of(frame, start);
    if (frame.link < 0) frame.wholeEnd = frame.end;
    frame.network = start;
    frame.ipCast = Cast.Unicast;
    frame.end = start + packet.totalLength;
    return packet;
  });
}

function check6(frame: LinkPacket['frame'], start: number, version: number): DropReason | undefined {
  return version === 6 || frame.end === start ? Ipv6Packet.check(frame, start) : DropReason.IpUnknownVersion;
}
