import type { OperatorFunction } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { Cast } from '../../lib/core/frame.js';
import type { LinkPacket } from '../../lib/wire/ethernet.js';
import { Icmpv6Type } from '../../lib/wire/icmpv6.js';
import { IpProtocol } from '../../lib/wire/ip.js';
import { IPV6_HEADER, Ipv6Packet } from '../../lib/wire/ipv6.js';
import { type ExtensionProblem, isExtension, walkExtensions } from '../../lib/wire/ipv6-extensions.js';
import { layer, type Step } from '../flow/layer.js';
import { defaultEnvironment } from '../time/environment.js';

/** Which addresses are ours; read for each packet, so they may change at run time. `Ipv6Addresses` of `lib/l3` is one. */
export interface Ipv6Acceptance {
  /** How a packet to this destination, given in four words, is addressed to us, or `undefined` if it is not. It came by `device`. */
  accepts(a: number, b: number, c: number, d: number, device?: Device): Cast | undefined;
  /** Whether this is a unicast address of ours; a link-local one on the link of `device`. */
  has(a: number, b: number, c: number, d: number, device?: Device): boolean;
}

/** Options of {@link ipv6}. */
export interface Ipv6Options {
  /** Addresses to accept; a packet to any other address stops here, before its extension headers are looked at. */
  readonly addresses: Ipv6Acceptance;
  /** The packets are our own, looped back: sources and destinations may be ours and ::1. Default false. */
  readonly loopback?: boolean;
  /** Is told of headers that ask for a parameter problem (RFC 8200 4.2). The packet, not narrowed, is valid during the call. */
  readonly problem?: (packet: Ipv6Packet, problem: ExtensionProblem) => void;
}

/**
 * Reads IPv6 packets, walks their extension headers, and lets through the sound ones for this host (RFC 8200 3, 4).
 *
 *     in   --f--g--h--|
 *     out  --6-----6--|     g was for another host
 *
 * The frame's range becomes the payload, or the fragment; `frame.network` and `frame.ipCast` are set. Unknown options are treated as
 * their types ask.
 *
 * **Drops** `Ipv6Truncated`, `Ipv6BadHeader`, `Ipv6NotForUs`, `Ipv6BadSource`, `Ipv6BadExtension`, `Ipv6UnknownOption`,
 * `Ipv6SourceRouted`. **State and timers** none.
 *
 * @example
 * ```ts
 * const net$ = demux(link$.on(EtherType.Ipv6).pipe(ipv6({ addresses })), (packet) => packet.protocol);
 * ```
 */
export function ipv6(
  options: Ipv6Options,
  env: Env = defaultEnvironment(),
): OperatorFunction<Pick<LinkPacket, 'frame'>, Ipv6Packet> {
  return layer(() => readIpv6Packets(options, env));
}

/** The step of {@link ipv6}, for operators that read both versions. */
export function readIpv6Packets(options: Ipv6Options, env: Env): Step<Pick<LinkPacket, 'frame'>, Ipv6Packet> {
  const { loopback = false, problem } = options;
  const { drops } = env;
  return ({ frame }) => {
    const wrong = Ipv6Packet.check(frame, frame.start);
    if (wrong !== undefined) return drops.report(wrong, frame, 'ipv6');
    const packet = Ipv6Packet.of(frame, frame.start);
    const cast = castOf(packet, options);
    if (cast === undefined) return drops.report(DropReason.Ipv6NotForUs, frame, 'ipv6');
    if (isBadSource(packet, cast, options.addresses, loopback)) {
      return drops.report(DropReason.Ipv6BadSource, frame, 'ipv6');
    }
    if (frame.link < 0) frame.wholeEnd = frame.end;
    frame.network = frame.start;
    frame.ipCast = cast;
    if (isExtension(packet.protocol)) {
      const trouble = walkExtensions(packet);
      if (trouble !== undefined) {
        problem?.(packet, trouble);
        return drops.report(trouble.reason, frame, 'ipv6');
      }
    }
    frame.end = frame.start + packet.totalLength;
    frame.start += packet.headerLength;
    return packet;
  };
}

function castOf(packet: Ipv6Packet, { addresses, loopback }: Ipv6Options): Cast | undefined {
  const { view } = packet.frame.slab;
  const at = packet.destinationOffset;
  const a = view.getUint32(at);
  const b = view.getUint32(at + 4);
  const c = view.getUint32(at + 8);
  const d = view.getUint32(at + 12);
  if (loopback === true && (a | b | c) === 0 && d === 1) return Cast.Unicast;
  return addresses.accepts(a, b, c, d, packet.frame.device);
}

/**
 * Sources that no packet has: groups; ours and ::1 from a wire; none at all where we alone are addressed (RFC 4291 2.5.2, 2.5.3, 2.7); and
 * IPv4-mapped ones, which above IP would be IPv4's.
 */
function isBadSource(packet: Ipv6Packet, cast: Cast, addresses: Ipv6Acceptance, loopback: boolean): boolean {
  const { view } = packet.frame.slab;
  const at = packet.sourceOffset;
  const a = view.getUint32(at);
  if (a >>> 24 === 0xff) return true;
  const b = view.getUint32(at + 4);
  const c = view.getUint32(at + 8);
  const d = view.getUint32(at + 12);
  if ((a | b) === 0 && c === 0xffff) return true;
  if ((a | b | c) === 0 && d < 2) return d === 0 ? cast === Cast.Unicast : !loopback;
  return !loopback && addresses.has(a, b, c, d, packet.frame.device) && !isAdvertisement(packet);
}

/** A neighbour's own word is how it shows that somebody else has an address of ours (RFC 4862 5.4.4). */
function isAdvertisement({ frame, offset, protocol, totalLength }: Ipv6Packet): boolean {
  if (protocol !== IpProtocol.Icmpv6 || totalLength <= IPV6_HEADER) return false;
  return frame.slab.view.getUint8(offset + IPV6_HEADER) === Icmpv6Type.NeighbourAdvertisement;
}
