/** Writes the IP header that a packet has in the other version (RFC 7915 4.1, 5.1), in front of its payload, and what changes with it in the payload. */

import { ChecksumState, FlowState, type Frame, GsoType, NOT_PARSED } from '../../core/frame.js';
import { complement, fold, halves, sum16 } from '../../wire/checksum.js';
import { IpProtocol } from '../../wire/ip.js';
import { IPV4_HEADER } from '../../wire/ipv4.js';
import { IPV6_HEADER } from '../../wire/ipv6.js';
import { FRAGMENT_HEADER } from '../../wire/ipv6-extensions.js';
import type { PacketFields } from '../../wire/packet-fields.js';
import { adjustTransportChecksum, SAME_PORT, wordChange } from '../../wire/rewrite.js';
import { UDP_CHECKSUM_OFFSET } from '../../wire/udp.js';
import type { NewEnds } from './ends.js';

const ICMP_CHECKSUM = 2;
const ICMP_IDENTIFIER = 4;
const DESTINATION_PORT = 2;

/** What an IP header says that neither addresses nor lengths do. */
export class HeaderValues {
  trafficClass = 0;
  hopLimit = 0;
  protocol = 0;
  /** Whether IPv6 gets a fragment header. */
  isFragment = false;
  /** Of a fragment: bytes in front of it, a multiple of 8, and 1 where more follow. */
  fragmentField = 0;
  identification = 0;
  /** IPv4's. */
  dontFragment = false;
}

/**
 * Writes the IPv6 header of a packet whose payload starts at `payload` and is `length` bytes long, which may be more than are there.
 *
 * @returns offset of the header
 */
export function writeIpv6(
  view: DataView,
  payload: number,
  length: number,
  values: HeaderValues,
  ends: NewEnds,
): number {
  const { isFragment, protocol } = values;
  const at = payload - IPV6_HEADER - (isFragment ? FRAGMENT_HEADER : 0);
  view.setInt32(at, 0x6000_0000 | (values.trafficClass << 20));
  view.setUint16(at + 4, length + (isFragment ? FRAGMENT_HEADER : 0));
  view.setUint8(at + 6, isFragment ? IpProtocol.Fragment : protocol);
  view.setUint8(at + 7, values.hopLimit);
  view.setInt32(at + 8, ends.source0);
  view.setInt32(at + 12, ends.source1);
  view.setInt32(at + 16, ends.source2);
  view.setInt32(at + 20, ends.source3);
  view.setInt32(at + 24, ends.destination0);
  view.setInt32(at + 28, ends.destination1);
  view.setInt32(at + 32, ends.destination2);
  view.setInt32(at + 36, ends.destination3);
  if (isFragment) {
    view.setUint16(at + IPV6_HEADER, protocol << 8);
    view.setUint16(at + IPV6_HEADER + 2, values.fragmentField);
    view.setInt32(at + IPV6_HEADER + 4, values.identification);
  }
  return at;
}

/** The same for an IPv4 header, without options. */
export function writeIpv4(
  view: DataView,
  payload: number,
  length: number,
  values: HeaderValues,
  ends: NewEnds,
): number {
  const at = payload - IPV4_HEADER;
  const { fragmentField } = values;
  const flags = (values.dontFragment ? 0x4000 : 0) | ((fragmentField & 1) << 13) | (fragmentField >>> 3);
  view.setInt32(at, 0x4500_0000 | (values.trafficClass << 16) | (length + IPV4_HEADER) | 0);
  view.setInt32(at + 4, (values.identification << 16) | flags);
  view.setInt32(at + 8, (values.hopLimit << 24) | (values.protocol << 16));
  view.setInt32(at + 12, ends.source3);
  view.setInt32(at + 16, ends.destination3);
  view.setUint16(at + 10, complement(sum16(view, at, payload)));
  return at;
}

/** What changing the addresses adds to the sum of a pseudo-header, by the addresses that a packet has and those that it gets. */
export function pseudoChange(fields: PacketFields, ends: NewEnds): number {
  return fields.version === 4
    ? wordChange(fields.source3, ends.source3) +
        wordChange(fields.destination3, ends.destination3) +
        sixWords(ends.source0, ends.source1, ends.source2, ends.destination0, ends.destination1, ends.destination2)
    : wordChange(fields.source3, ends.source3) +
        wordChange(fields.destination3, ends.destination3) +
        sixWords(
          ~fields.source0,
          ~fields.source1,
          ~fields.source2,
          ~fields.destination0,
          ~fields.destination1,
          ~fields.destination2,
        );
}

function sixWords(a: number, b: number, c: number, d: number, e: number, f: number): number {
  return halves(a) + halves(b) + halves(c) + halves(d) + halves(e) + halves(f);
}

/** Sum of the addresses of an IPv6 packet, as its pseudo-header has them. */
function addressesSum(ends: NewEnds): number {
  return (
    sixWords(ends.source0, ends.source1, ends.source2, ends.source3, ends.destination0, ends.destination1) +
    halves(ends.destination2) +
    halves(ends.destination3)
  );
}

/**
 * Changes the ports of TCP, UDP and their like and brings the checksum up to date, in a packet or in the quotation of one. `fields` are still those of
 * the packet as it came, their `transport` where it is now.
 */
export function changeTransport(frame: Frame, fields: PacketFields, ends: NewEnds): void {
  const { view, transport, sourcePort, destinationPort, protocol } = fields;
  if (transport === NOT_PARSED) return;
  let change = 0;
  if (protocol === IpProtocol.Tcp || protocol === IpProtocol.Udp) {
    const { sourcePort: source, destinationPort: destination } = ends;
    if (source !== SAME_PORT) {
      change += (~sourcePort & 0xffff) + source;
      view.setUint16(transport, source);
    }
    if (destination !== SAME_PORT) {
      change += (~destinationPort & 0xffff) + destination;
      view.setUint16(transport + DESTINATION_PORT, destination);
    }
  }
  adjustTransportChecksum(frame, fields, pseudoChange(fields, ends), change);
}

/**
 * Makes an ICMP query, or its answer, one of the other version: type, identifier and checksum. `length` is that of the whole message, of
 * which not all need be there. `fields` as in {@link changeTransport}.
 */
export function changeQuery(fields: PacketFields, ends: NewEnds, type: number, length: number): void {
  const { view, transport, icmpType, icmpCode, icmpIdentifier, version } = fields;
  const identifier = ends.sourcePort === SAME_PORT ? icmpIdentifier : ends.sourcePort;
  let change = wordChange((icmpType << 8) | icmpCode, type << 8) + (~icmpIdentifier & 0xffff) + identifier;
  // Only ICMPv6 covers a pseudo-header (RFC 4443 2.3).
  if (version === 4) change += addressesSum(ends) + IpProtocol.Icmpv6 + length;
  else change += pseudoSumGone(fields, length);
  view.setUint16(transport, type << 8);
  view.setUint16(transport + ICMP_IDENTIFIER, identifier);
  const at = transport + ICMP_CHECKSUM;
  view.setUint16(at, complement(fold((~view.getUint16(at) & 0xffff) + change)));
}

/** What it adds to a sum that the pseudo-header of an ICMPv6 message is not a part of it any more. */
function pseudoSumGone(fields: PacketFields, length: number): number {
  return (
    sixWords(
      ~fields.source0,
      ~fields.source1,
      ~fields.source2,
      ~fields.source3,
      ~fields.destination0,
      ~fields.destination1,
    ) + sixWords(~fields.destination2, ~fields.destination3, ~IpProtocol.Icmpv6, ~length, 0, 0)
  );
}

/** Gives a datagram that came without a checksum one, since IPv6 asks for it (RFC 7915 4.5): all of it has to be there. */
export function completeUdp(fields: PacketFields): void {
  const { view, transport, end } = fields;
  const length = view.getUint16(transport + 4);
  const ends = halves(fields.source3) + halves(fields.destination3);
  const sum = complement(sum16(view, transport, Math.min(end, transport + length), ends + IpProtocol.Udp + length));
  view.setUint16(transport + UDP_CHECKSUM_OFFSET, sum === 0 ? 0xffff : sum);
}

/** A packet of the other version stands at `network` now, up to `frame.end`: all that was known of its place is out of date. */
export function settle(frame: Frame, network: number): void {
  frame.start = frame.network = network;
  frame.wholeEnd = frame.end;
  frame.link = NOT_PARSED;
  frame.route = frame.ownRoute = undefined;
  frame.flow = 0;
  frame.flowState = FlowState.Untracked;
  frame.flowReply = false;
  if (frame.gsoType === GsoType.TcpV4) frame.gsoType = GsoType.TcpV6;
  else if (frame.gsoType === GsoType.TcpV6) frame.gsoType = GsoType.TcpV4;
  if (frame.checksum !== ChecksumState.Partial) frame.checksumStart = frame.checksumField = 0;
}
