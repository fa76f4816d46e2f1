/** Whether what stands above IP is whole: lengths, and the checksum where nobody has verified it yet. */

import { ChecksumState, type Frame, GsoType } from '../../core/frame.js';
import { sum16 } from '../../wire/checksum.js';
import { IpProtocol } from '../../wire/ip.js';
import { IPV4_HEADER, IPV4_SOURCE } from '../../wire/ipv4.js';
import { IPV6_HEADER, IPV6_SOURCE } from '../../wire/ipv6.js';
import type { PacketFields } from '../../wire/packet-fields.js';
import { UDP_CHECKSUM_OFFSET, UDP_HEADER, UDP_LENGTH } from '../../wire/udp.js';

const RIGHT = 0xffff;

/** Whether the length that a datagram states is that of something that is there (RFC 768), or of which a part is. */
export function hasUdpLength(frame: Frame, fields: PacketFields): boolean {
  const length = fields.view.getUint16(fields.transport + UDP_LENGTH);
  if (length >= UDP_HEADER && length <= fields.end - fields.transport) return true;
  // A super-segment may have that of each of its segments.
  return frame.gsoType !== GsoType.None || (fields.isFragment && length >= UDP_HEADER);
}

/** Whether it is of a protocol above IP whose checksum is known here: TCP, UDP and the version's ICMP. */
export function hasChecksum({ protocol, version }: PacketFields): boolean {
  switch (protocol) {
    case IpProtocol.Tcp:
    case IpProtocol.Udp:
      return true;
    default:
      return protocol === (version === 4 ? IpProtocol.Icmp : IpProtocol.Icmpv6);
  }
}

/** Whether the checksum is right, or need not be verified. Of other protocols than TCP, UDP and ICMP, and of fragments, none is. */
export function hasRightChecksum(frame: Frame, fields: PacketFields): boolean {
  if (frame.checksum !== ChecksumState.None || fields.isFragment) return true;
  const { view, transport, protocol } = fields;
  if (!hasChecksum(fields)) return true;
  let length = fields.end - transport;
  if (protocol === IpProtocol.Icmp) return sum16(view, transport, fields.end) === RIGHT;
  if (protocol === IpProtocol.Udp) {
    // None, as IPv4 allows it, and IPv6 for tunnels (RFC 768, RFC 6935).
    if (view.getUint16(transport + UDP_CHECKSUM_OFFSET) === 0) return true;
    // A datagram may be shorter than what IP carries, but not longer.
    length = Math.min(length, view.getUint16(transport + UDP_LENGTH));
  }
  return sum16(view, transport, transport + length, pseudoHeader(fields, length)) === RIGHT;
}

function pseudoHeader({ view, network, version, protocol }: PacketFields, length: number): number {
  return version === 4
    ? sum16(view, network + IPV4_SOURCE, network + IPV4_HEADER, protocol + length)
    : sum16(view, network + IPV6_SOURCE, network + IPV6_HEADER, protocol + length);
}
