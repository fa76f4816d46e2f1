/**
 * Makes ICMP errors about received packets, where that is allowed (RFC 1122 3.2.2, RFC 1812 4.3.2; RFC 4443 2.4): never about an ICMP error, a
 * packet to a group on the link or in IP, a later fragment, or one whose sender is not a single host; and not too many.
 */

import type { Ipv4Address } from '../core/address.js';
import type { Env } from '../core/env.js';
import { asTxPacket, Cast, GsoType, type TxPacket } from '../core/frame.js';
import { ICMPV4_HEADER, Icmpv4Message, Icmpv4Type, isIcmpv4Error } from '../wire/icmpv4.js';
import { Icmpv6Type } from '../wire/icmpv6.js';
import { type IpPacket, IpProtocol } from '../wire/ip.js';
import { IPV4_HEADER, Ipv4Packet } from '../wire/ipv4.js';
import { Ipv6Packet } from '../wire/ipv6.js';
import type { ExtensionProblem } from '../wire/ipv6-extensions.js';
import { completeChecksum } from '../wire/segmentation.js';
import type { IcmpErrorKind } from './icmp-report.js';
import { icmpv4Of, isHostAddress } from './icmp-reports.js';
import { icmpv6Error, type Icmpv6Error, mayReportIpv6 } from './icmpv6-errors.js';
import { icmpv6Of } from './icmpv6-meaning.js';
import type { IpPaths } from './ip-output.js';
import { senderOf } from './scope.js';
import { TokenBucket } from './token-bucket.js';

/** Options of {@link IcmpErrors}. */
export interface IcmpErrorsOptions {
  readonly tables: Pick<IpPaths, 'isBroadcast' | 'isLocal' | 'path'>;
  /** Errors per second. Default 1,000. */
  readonly rate?: number;
  /** Errors at once. Default 50. */
  readonly burst?: number;
}

// RFC 1812 4.3.2.3: as much of the packet as fits into 576 bytes.
const MAX_ERROR = 576;
/** A redirect for the host, whatever the service: code 1 (RFC 1812 5.2.7.2). */
const REDIRECT_HOST = 1;
// RFC 1812 4.3.2.5: precedence 6, internetwork control.
const TOS_CONTROL = 0xc0;

/** Makes ICMP errors. One per host, since the limit is the host's. */
export class IcmpErrors {
  /** Errors that were not sent because of the rate limit. */
  limited = 0;
  private readonly env: Env;
  private readonly tables: IcmpErrorsOptions['tables'];
  private readonly bucket: TokenBucket;
  private identification: number;

  constructor(options: IcmpErrorsOptions, env: Env) {
    this.env = env;
    this.tables = options.tables;
    this.bucket = new TokenBucket(env.timers, options.rate ?? 1_000, options.burst ?? 50);
    this.identification = env.random.uint32() & 0xffff;
  }

  /**
   * An error about a received packet, which the caller then owns, or `undefined` where there must be none. `detail` is the MTU with
   * `packet-too-big`, and the offset of the offending byte with `parameter-problem`.
   */
  about(packet: IpPacket, kind: IcmpErrorKind, detail = 0): TxPacket | undefined {
    if (packet instanceof Ipv6Packet) return this.about6(packet, { ...icmpv6Of(kind), rest: detail });
    if (!(packet instanceof Ipv4Packet) || !isAllowed(packet) || this.tables.isBroadcast(packet.sourceAddress)) {
      return undefined;
    }
    const source = this.sourceFor(packet);
    if (source === undefined) return undefined;
    if (!this.bucket.take()) {
      this.limited++;
      return undefined;
    }
    return this.build(packet, source, kind, detail);
  }

  /** Tells the sender of a packet that went out by the link that it came by of a better first hop (RFC 792, RFC 1812 5.2.7.2). */
  redirect(packet: Ipv4Packet, hop: Ipv4Address): TxPacket | undefined {
    const source = isAllowed(packet) ? this.sourceFor(packet) : undefined;
    if (source === undefined) return undefined;
    return this.write(packet, source, Icmpv4Type.Redirect, REDIRECT_HOST, hop.value);
  }

  /** An error about what is wrong with a packet's extension headers, where that is asked for (RFC 8200 4.2). */
  problem(packet: Ipv6Packet, { action, code, pointer }: ExtensionProblem): TxPacket | undefined {
    const toGroup = packet.frame.ipCast !== Cast.Unicast;
    if (action === 'discard' || (action === 'parameter-problem-unless-multicast' && toGroup)) return undefined;
    return this.about6(packet, { type: Icmpv6Type.ParameterProblem, code, rest: pointer });
  }

  private about6(packet: Ipv6Packet, error: Icmpv6Error): TxPacket | undefined {
    if (!mayReportIpv6(packet, error)) return undefined;
    const { destinationAddress, sourceAddress, frame } = packet;
    const source = this.tables.isLocal(destinationAddress)
      ? destinationAddress
      : this.tables.path(senderOf(packet))?.source;
    if (source?.version !== 6) return undefined;
    if (!this.bucket.take()) {
      this.limited++;
      return undefined;
    }
    const answer = icmpv6Error(packet, source, error, this.env.pool);
    // On one link the sender is where the packet came from (RFC 4007 9).
    if (sourceAddress.isLinkLocal) answer.device = frame.device;
    return answer;
  }

  /** The address that the packet was sent to, if it is ours (RFC 1122 3.2.2), else the one nearest to its sender. */
  private sourceFor(packet: Ipv4Packet): number | undefined {
    const { destinationAddress } = packet;
    if (this.tables.isLocal(destinationAddress)) return destinationAddress.value;
    const source = this.tables.path(packet.sourceAddress)?.source;
    return source?.version === 4 ? source.value : undefined;
  }

  private build(packet: Ipv4Packet, source: number, kind: IcmpErrorKind, detail: number): TxPacket {
    const { type, code } = icmpv4Of(kind);
    const rest = kind === 'packet-too-big' ? detail & 0xffff : kind === 'parameter-problem' ? detail << 24 : 0;
    return this.write(packet, source, type, code, rest >>> 0);
  }

  private write(packet: Ipv4Packet, source: number, type: number, code: number, rest: number): TxPacket {
    const quoted = Math.min(packet.totalLength, MAX_ERROR - IPV4_HEADER - ICMPV4_HEADER);
    const frame = this.env.pool.alloc(MAX_ERROR);
    const { bytes } = packet.frame.slab;
    // What is quoted is the packet as it would be on a wire.
    if (packet.frame.gsoType === GsoType.None) completeChecksum(packet.frame);
    frame.slab.bytes.set(bytes.subarray(packet.offset, packet.offset + quoted), frame.put(quoted));
    Icmpv4Message.emit(frame, type, code, rest);
    this.identification = (this.identification + 1) & 0xffff;
    Ipv4Packet.emit(frame, {
      source,
      destination: packet.source,
      protocol: IpProtocol.Icmp,
      tos: TOS_CONTROL,
      identification: this.identification,
    });
    return asTxPacket(frame);
  }
}

function isAllowed(packet: Ipv4Packet): boolean {
  const { frame, offset } = packet;
  if (frame.linkCast !== Cast.Unicast || frame.ipCast !== Cast.Unicast) return false;
  const { destination } = packet;
  if (packet.fragmentOffset > 0 || !isHostAddress(packet.source) || !isHostAddress(destination)) return false;
  if (packet.protocol !== IpProtocol.Icmp) return true;
  const message = offset + packet.headerLength;
  return packet.totalLength > packet.headerLength && !isIcmpv4Error(frame.slab.view.getUint8(message));
}
