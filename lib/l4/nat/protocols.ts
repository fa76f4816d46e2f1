/** What a translator knows packets by: the three protocols that have ports, or an identifier in their place. */

import { NOT_PARSED } from '../../core/frame.js';
import { IpProtocol } from '../../wire/ip.js';
import { Icmpv4Type } from '../../wire/icmpv4.js';
import { Icmpv6Type } from '../../wire/icmpv6.js';
import type { PacketFields } from '../../wire/packet-fields.js';
import { isIcmpQuery } from '../../wire/rewrite.js';

/** Mappings of one are apart from those of the others (RFC 7857 5). */
export const NatProtocol = { Tcp: 0, Udp: 1, Icmp: 2 } as const;
export type NatProtocol = (typeof NatProtocol)[keyof typeof NatProtocol];

/** Of a packet whose protocol has no ports, or whose ports are not there. */
export const NO_PROTOCOL = -1;

/** Names, as the control plane has them. */
export const PROTOCOL_NAMES: readonly ['tcp', 'udp', 'icmp'] = ['tcp', 'udp', 'icmp'];

/** The protocol of a packet, or {@link NO_PROTOCOL}. Errors of ICMP are of none: they are about packets that are. */
export function natProtocol(fields: PacketFields): NatProtocol | typeof NO_PROTOCOL {
  if (fields.transport === NOT_PARSED) return NO_PROTOCOL;
  if (fields.protocol === IpProtocol.Tcp) return NatProtocol.Tcp;
  if (fields.protocol === IpProtocol.Udp) return NatProtocol.Udp;
  return isIcmpQuery(fields) ? NatProtocol.Icmp : NO_PROTOCOL;
}

/** The source's port, or the identifier. */
export function sourcePortOf(fields: PacketFields): number {
  return fields.icmpType < 0 ? fields.sourcePort : fields.icmpIdentifier;
}

/** The destination's port, or the identifier. */
export function destinationPortOf(fields: PacketFields): number {
  return fields.icmpType < 0 ? fields.destinationPort : fields.icmpIdentifier;
}

/** Whether a query of ICMP is the answer to one. */
export function isIcmpReply(fields: PacketFields): boolean {
  switch (fields.icmpType) {
    case Icmpv4Type.EchoReply:
    case Icmpv4Type.TimestampReply:
    case Icmpv4Type.AddressMaskReply:
      return fields.version === 4;
    case Icmpv6Type.EchoReply:
      return fields.version === 6;
    default:
      return false;
  }
}
