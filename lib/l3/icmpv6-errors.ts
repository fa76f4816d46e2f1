/** ICMPv6 errors: about which packets there may be one, and how it is written (RFC 4443 2.4, 3). */

import type { Ipv6Address } from '../core/address.js';
import { asTxPacket, Cast, type FramePool, GsoType, type TxPacket } from '../core/frame.js';
import { ICMPV6_HEADER, Icmpv6Message, Icmpv6Type, isIcmpv6Error, pushIcmpv6Headers } from '../wire/icmpv6.js';
import { IpProtocol } from '../wire/ip.js';
import { IPV6_HEADER, IPV6_MINIMUM_MTU, Ipv6Packet, isMulticastAt, isUnspecifiedAt } from '../wire/ipv6.js';
import { findPayload, Ipv6Problem } from '../wire/ipv6-extensions.js';
import { completeChecksum } from '../wire/segmentation.js';

/** What an error says: the word in front of the quoted packet is an MTU, a pointer or 0. */
export interface Icmpv6Error {
  readonly type: number;
  readonly code: number;
  readonly rest: number;
}

/** Whether there may be such an error about a received packet (RFC 4443 2.4 e). */
export function mayReportIpv6(packet: Ipv6Packet, { type, code }: Icmpv6Error): boolean {
  const { frame } = packet;
  const { view } = frame.slab;
  // e.3, e.4: about packets to groups only what a sender cannot learn otherwise.
  const toMany = frame.linkCast !== Cast.Unicast || frame.ipCast !== Cast.Unicast;
  const isForGroups =
    type === Icmpv6Type.PacketTooBig || (type === Icmpv6Type.ParameterProblem && code === Ipv6Problem.UnknownOption);
  if (toMany && !isForGroups) return false;
  // e.6: the source is one node.
  if (isUnspecifiedAt(view, packet.sourceOffset) || isMulticastAt(view, packet.sourceOffset)) return false;
  return !isAboutIcmp(packet);
}

/** Whether the packet carries an ICMPv6 error or a redirect, wherever in its headers a problem was found (e.1, e.2). */
function isAboutIcmp(packet: Ipv6Packet): boolean {
  const { frame, offset } = packet;
  const whole = new Ipv6Packet(frame, offset);
  const end = offset + packet.totalLength;
  if (!findPayload(whole, end) || whole.protocol !== IpProtocol.Icmpv6) return false;
  const message = offset + whole.headerLength;
  if (message >= end) return false;
  const type = frame.slab.view.getUint8(message);
  return isIcmpv6Error(type) || type === Icmpv6Type.Redirect;
}

/** Writes an error about a packet, of which it quotes as much as fits into the smallest MTU (RFC 4443 2.4 c). */
export function icmpv6Error(
  packet: Ipv6Packet,
  source: Ipv6Address,
  { type, code, rest }: Icmpv6Error,
  pool: FramePool,
): TxPacket {
  const quoted = Math.min(packet.totalLength, IPV6_MINIMUM_MTU - IPV6_HEADER - ICMPV6_HEADER);
  const frame = pool.alloc(IPV6_MINIMUM_MTU);
  const { bytes } = packet.frame.slab;
  // What is quoted is the packet as it would be on a wire.
  if (packet.frame.gsoType === GsoType.None) completeChecksum(packet.frame);
  frame.slab.bytes.set(bytes.subarray(packet.offset, packet.offset + quoted), frame.put(quoted));
  Icmpv6Message.emit(frame, type, code, rest >>> 0, 0);
  pushIcmpv6Headers(frame, { source, destination: packet.sourceAddress });
  return asTxPacket(frame);
}
