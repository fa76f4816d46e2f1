import type { OperatorFunction } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { Cast } from '../../lib/core/frame.js';
import type { LinkPacket } from '../../lib/wire/ethernet.js';
import { IpProtocol } from '../../lib/wire/ip.js';
import { IPV4_HEADER, Ipv4Packet } from '../../lib/wire/ipv4.js';
import { layer } from '../flow/layer.js';
import { defaultEnvironment } from '../time/environment.js';

/** Which addresses are ours; read for each packet, so they may change at run time. `Ipv4Addresses` of `lib/l3` is one. */
export interface Ipv4Acceptance {
  /** How a packet to `destination` is addressed to us, or `undefined` if it is not. */
  accepts(destination: number): Cast | undefined;
  /** Whether no packet from a wire can come from `source`: an address of ours, or a broadcast address. */
  refusesSource(source: number): boolean;
}

/** Options of {@link ipv4}. */
export interface Ipv4Options {
  /** Addresses to accept; a packet to any other address stops here, before its payload is looked at. */
  readonly addresses: Ipv4Acceptance;
  /** The packets are our own, looped back: sources and destinations may be ours and in 127.0.0.0/8. Default false. */
  readonly loopback?: boolean;
  /** Is told of packets that a source route would take further. The packet, not narrowed, is valid during the call. */
  readonly routed?: (packet: Ipv4Packet) => void;
}

/**
 * Reads IPv4 packets and lets through the sound ones for this host (RFC 791, RFC 1122 3.2.1).
 *
 *     in   --f--g--h--|
 *     out  --4-----4--|     g was for another host
 *
 * The frame's range becomes the payload, without options and padding; `frame.network` and `frame.ipCast` are set. A TTL of 0 is no
 * reason to refuse a packet that has arrived (RFC 1122 3.2.1.7).
 *
 * **Drops** `Ipv4Truncated`, `Ipv4BadHeader`, `Ipv4BadChecksum`, `Ipv4BadOptions`, `Ipv4NotForUs`, `Ipv4BadSource`,
 * `Ipv4UnicastInBroadcast`, `Ipv4SourceRouted`. **State and timers** none.
 *
 * @example
 * ```ts
 * const net$ = demux(link$.on(EtherType.Ipv4).pipe(ipv4({ addresses })), (packet) => packet.protocol);
 * ```
 */
export function ipv4(
  options: Ipv4Options,
  env: Env = defaultEnvironment(),
): OperatorFunction<Pick<LinkPacket, 'frame'>, Ipv4Packet> {
  const { addresses, loopback = false, routed } = options;
  const { drops } = env;
  return layer(() => ({ frame }) => {
    const wrong = Ipv4Packet.check(frame, frame.start);
    if (wrong !== undefined) return drops.report(wrong, frame, 'ipv4');
    const packet = Ipv4Packet.of(frame, frame.start);
    const { destination, source, headerLength } = packet;
    const cast = loopback && destination >>> 24 === 127 ? Cast.Unicast : addresses.accepts(destination);
    if (cast === undefined) return drops.report(DropReason.Ipv4NotForUs, frame, 'ipv4');
    if (cast === Cast.Unicast && frame.linkCast !== Cast.Unicast) {
      return drops.report(DropReason.Ipv4UnicastInBroadcast, frame, 'ipv4');
    }
    if (isBadSource(packet, source, cast) || (!loopback && addresses.refusesSource(source))) {
      if (!(loopback && source >>> 24 === 127)) return drops.report(DropReason.Ipv4BadSource, frame, 'ipv4');
    }
    if (frame.link < 0) frame.wholeEnd = frame.end;
    frame.network = frame.start;
    frame.ipCast = cast;
    if (headerLength > IPV4_HEADER && packet.isOnRoute) {
      routed?.(packet);
      return drops.report(DropReason.Ipv4SourceRouted, frame, 'ipv4');
    }
    frame.end = frame.start + packet.totalLength;
    frame.start += headerLength;
    return packet;
  });
}

/**
 * Addresses that no sender has (RFC 1122 3.2.1.3): this network, except a host's that has none yet, or a querier's of groups (RFC 4541
 * 2.1.1); loopback; groups; reserved.
 */
function isBadSource(packet: Ipv4Packet, source: number, cast: Cast): boolean {
  const top = source >>> 24;
  if (top === 0) return source !== 0 || !isNameless(packet.protocol, cast);
  return top === 127 || top >= 224;
}

/** Whether packets of this kind may come from 0.0.0.0. */
function isNameless(protocol: number, cast: Cast): boolean {
  return cast === Cast.Broadcast
    ? protocol === IpProtocol.Udp
    : cast === Cast.Multicast && protocol === IpProtocol.Igmp;
}
