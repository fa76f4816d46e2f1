/**
 * Packets of other ends: addresses, ports and identifiers of ICMP changed in place, with every checksum that covers them brought up to date by
 * what changed (RFC 1624). Right for datagrams without a checksum, for partial checksums, super-segments and fragments, and for the
 * packets that ICMP errors quote (RFC 5508 4.2). The bytes must be the caller's to change: see `Frame.exclusive`.
 *
 * Not for IPv6 packets on a source route, whose pseudo-header has another destination than their header; AH (RFC 4302) covers addresses and
 * has no remedy. The checksum of SCTP covers no address, and its ports stay as they are.
 */

import { ChecksumState, type Frame, NOT_PARSED } from '../core/frame.js';
import { complement, fold } from './checksum.js';
import { ICMPV4_HEADER, Icmpv4Type, isIcmpv4Error } from './icmpv4.js';
import { isIcmpv6Error, Icmpv6Type } from './icmpv6.js';
import { IpProtocol } from './ip.js';
import { IPV4_CHECKSUM, IPV4_DESTINATION, IPV4_FRAGMENT, IPV4_IDENTIFICATION, IPV4_SOURCE } from './ipv4.js';
import { IPV6_DESTINATION, IPV6_SOURCE } from './ipv6.js';
import type { PacketFields } from './packet-fields.js';
import { TCP_CHECKSUM_OFFSET } from './tcp.js';
import { UDP_CHECKSUM_OFFSET } from './udp.js';

// Offsets in the headers of transports (RFC 768, RFC 792, RFC 4443).
const DESTINATION_PORT = 2;
const ICMP_CHECKSUM = 2;
const ICMP_IDENTIFIER = 4;
/** Not to be fragmented, more fragments follow, or one of them: what an identification says nothing about, or what shares one with others. */
const NOT_ALONE = 0x7fff;
const DCCP = 33;
const UDP_LITE = 136;

/** For a port or identifier that stays as it is. */
export const SAME_PORT = -1;

/**
 * Changes the source: the address as four words, of which IPv4 takes the last, and the port, or in a query of ICMP or its answer the identifier, unless
 * that is {@link SAME_PORT} or not in this packet. `fields` are those of the packet, and are changed with it.
 */
export function rewriteSource(
  frame: Frame,
  fields: PacketFields,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
  port: number,
): void {
  applyOuter(frame, fields, changeSource(fields, word0, word1, word2, word3), changePort(fields, port, true));
}

/** The same as {@link rewriteSource} for the destination. */
export function rewriteDestination(
  frame: Frame,
  fields: PacketFields,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
  port: number,
): void {
  applyOuter(frame, fields, changeDestination(fields, word0, word1, word2, word3), changePort(fields, port, false));
}

/** Whether a packet is one of IPv4 that may be fragmented and was not: its identification matters, and is nobody else's (RFC 6864 4). */
export function mayBeFragmented({ version, view, network }: PacketFields): boolean {
  return version === 4 && (view.getUint16(network + IPV4_FRAGMENT) & NOT_ALONE) === 0;
}

/** Changes the identification of an IPv4 packet. */
export function rewriteIdentification(fields: PacketFields, identification: number): void {
  const at = fields.network + IPV4_IDENTIFICATION;
  const before = fields.view.getUint16(at);
  fields.view.setUint16(at, identification);
  replaceHeaderChecksum(fields, (~before & 0xffff) + identification);
}

/**
 * Reads the packet that an ICMP error quotes, of the error's `fields`, into `quote`. False where it is no error, or one whose quotation does
 * not even hold an IP header of the same version.
 */
export function readQuote(frame: Frame, fields: PacketFields, quote: PacketFields): boolean {
  if (!isIcmpError(fields)) return false;
  const found = quote.readQuoted(frame, fields.transport + ICMPV4_HEADER, fields.end);
  return found && quote.version === fields.version;
}

/**
 * Changes the source of the packet `quote` that an ICMP error with `fields` quotes, see {@link readQuote}, with its own checksums as far as they are
 * quoted, and that of the error. A checksum that was wrong in the quotation stays as wrong as it was.
 */
export function rewriteQuotedSource(
  frame: Frame,
  fields: PacketFields,
  quote: PacketFields,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
  port: number,
): void {
  applyQuoted(frame, fields, quote, changeSource(quote, word0, word1, word2, word3), changePort(quote, port, true));
}

/** The same as {@link rewriteQuotedSource} for the destination. */
export function rewriteQuotedDestination(
  frame: Frame,
  fields: PacketFields,
  quote: PacketFields,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
  port: number,
): void {
  const addresses = changeDestination(quote, word0, word1, word2, word3);
  applyQuoted(frame, fields, quote, addresses, changePort(quote, port, false));
}

/** Whether a packet is an ICMP message that reports an error about another one, which it quotes. */
export function isIcmpError(fields: PacketFields): boolean {
  const { icmpType, protocol, version } = fields;
  if (icmpType < 0) return false;
  return version === 4
    ? protocol === IpProtocol.Icmp && isIcmpv4Error(icmpType)
    : protocol === IpProtocol.Icmpv6 && isIcmpv6Error(icmpType);
}

/** Whether a packet is an ICMP message of a query or its answer, which an identifier ties together (RFC 5508 3). */
export function isIcmpQuery(fields: PacketFields): boolean {
  if (fields.version === 6) {
    const { icmpType } = fields;
    return (
      fields.protocol === IpProtocol.Icmpv6 &&
      (icmpType === Icmpv6Type.EchoRequest || icmpType === Icmpv6Type.EchoReply)
    );
  }
  if (fields.protocol !== IpProtocol.Icmp) return false;
  switch (fields.icmpType) {
    case Icmpv4Type.EchoRequest:
    case Icmpv4Type.EchoReply:
    case Icmpv4Type.TimestampRequest:
    case Icmpv4Type.TimestampReply:
    case Icmpv4Type.AddressMaskRequest:
    case Icmpv4Type.AddressMaskReply:
      return true;
    default:
      return false;
  }
}

/**
 * What replacing the 32-bit word `before` by `after` adds to a sum of 16-bit words (RFC 1624 eqn. 3), not folded: at most 0x3fffc, so that
 * thousands of them add up in 32 bits.
 */
export function wordChange(before: number, after: number): number {
  return (~before >>> 16) + (~before & 0xffff) + (after >>> 16) + (after & 0xffff);
}

/**
 * Brings the transport's checksum of a packet up to date, after what changed in its pseudo-header added `addresses` to the sum, and what
 * changed in the segment itself `segment` (sums of {@link wordChange} and the like; of the transport's fields any but the checksum). Does nothing where the
 * checksum is not in this packet, or where there is none (RFC 768).
 */
export function adjustTransportChecksum(frame: Frame, fields: PacketFields, addresses: number, segment: number): void {
  const at = checksumOffset(fields);
  if (at === NOT_PARSED) return;
  const { view } = fields;
  if (frame.checksum === ChecksumState.Partial && frame.checksumField === at) {
    if (coversAddresses(fields.protocol)) view.setUint16(at, fold(view.getUint16(at) + addresses));
    return;
  }
  replaceChecksum(fields, at, addresses, segment);
}

function applyOuter(frame: Frame, fields: PacketFields, addresses: number, port: number): void {
  if (fields.version === 4) replaceHeaderChecksum(fields, addresses);
  adjustTransportChecksum(frame, fields, addresses, port);
}

function applyQuoted(frame: Frame, fields: PacketFields, quote: PacketFields, addresses: number, port: number): void {
  let change = addresses + port;
  if (quote.version === 4) change += replaceHeaderChecksum(quote, addresses);
  const at = checksumOffset(quote);
  if (at !== NOT_PARSED) change += replaceChecksum(quote, at, addresses, port);
  adjustTransportChecksum(frame, fields, 0, change);
}

/** Returns what the new checksum in turn adds to a sum that covers it. */
function replaceHeaderChecksum(fields: PacketFields, change: number): number {
  const { view } = fields;
  const at = fields.network + IPV4_CHECKSUM;
  const before = view.getUint16(at);
  const after = complement(fold((~before & 0xffff) + change));
  view.setUint16(at, after);
  return (~before & 0xffff) + after;
}

/** The same as {@link replaceHeaderChecksum} for the transport's checksum, complete, at `at`. */
function replaceChecksum(fields: PacketFields, at: number, addresses: number, segment: number): number {
  const { view, protocol } = fields;
  const before = view.getUint16(at);
  const isUdp = protocol === IpProtocol.Udp;
  if (isUdp && before === 0) return 0;
  const change = coversAddresses(protocol) ? addresses + segment : segment;
  const sum = complement(fold((~before & 0xffff) + change));
  // Where a field of zero says that there is no checksum, a sum of zero is sent as all ones (RFC 768, RFC 3828 3.1).
  const after = sum === 0 && (isUdp || protocol === UDP_LITE) ? 0xffff : sum;
  view.setUint16(at, after);
  return (~before & 0xffff) + after;
}

/** Whether the checksum covers a pseudo-header: all but ICMP's of IPv4. */
function coversAddresses(protocol: number): boolean {
  return protocol !== IpProtocol.Icmp;
}

/** Where the transport's checksum is, if it is in this packet. */
function checksumOffset(fields: PacketFields): number {
  const { transport } = fields;
  if (transport === NOT_PARSED) return NOT_PARSED;
  const offset = checksumPlace(fields.protocol);
  return offset === NOT_PARSED || transport + offset + 2 > fields.end ? NOT_PARSED : transport + offset;
}

function checksumPlace(protocol: number): number {
  switch (protocol) {
    case IpProtocol.Tcp:
      return TCP_CHECKSUM_OFFSET;
    case IpProtocol.Udp:
    case UDP_LITE:
    case DCCP:
      return UDP_CHECKSUM_OFFSET;
    case IpProtocol.Icmp:
    case IpProtocol.Icmpv6:
      return ICMP_CHECKSUM;
    default:
      return NOT_PARSED;
  }
}

function changeSource(fields: PacketFields, word0: number, word1: number, word2: number, word3: number): number {
  const { version, network, view } = fields;
  let change = wordChange(fields.source3, word3);
  fields.source3 = word3 | 0;
  if (version === 4) {
    view.setInt32(network + IPV4_SOURCE, word3);
    return change;
  }
  change += wordChange(fields.source0, word0) + wordChange(fields.source1, word1) + wordChange(fields.source2, word2);
  fields.source0 = word0 | 0;
  fields.source1 = word1 | 0;
  fields.source2 = word2 | 0;
  writeAddress(view, network + IPV6_SOURCE, word0, word1, word2, word3);
  return change;
}

function changeDestination(fields: PacketFields, word0: number, word1: number, word2: number, word3: number): number {
  const { version, network, view } = fields;
  let change = wordChange(fields.destination3, word3);
  fields.destination3 = word3 | 0;
  if (version === 4) {
    view.setInt32(network + IPV4_DESTINATION, word3);
    return change;
  }
  change += wordChange(fields.destination0, word0);
  change += wordChange(fields.destination1, word1) + wordChange(fields.destination2, word2);
  fields.destination0 = word0 | 0;
  fields.destination1 = word1 | 0;
  fields.destination2 = word2 | 0;
  writeAddress(view, network + IPV6_DESTINATION, word0, word1, word2, word3);
  return change;
}

function writeAddress(view: DataView, at: number, word0: number, word1: number, word2: number, word3: number): void {
  view.setInt32(at, word0);
  view.setInt32(at + 4, word1);
  view.setInt32(at + 8, word2);
  view.setInt32(at + 12, word3);
}

/** Changes a port, or the identifier, and returns what that adds to the sum. */
function changePort(fields: PacketFields, port: number, isSource: boolean): number {
  const { view, protocol, transport } = fields;
  if (port === SAME_PORT || transport === NOT_PARSED) return 0;
  let at: number;
  if (protocol === IpProtocol.Icmp || protocol === IpProtocol.Icmpv6) {
    if (!isIcmpQuery(fields)) return 0;
    at = transport + ICMP_IDENTIFIER;
    fields.icmpIdentifier = port;
  } else if (checksumPlace(protocol) === NOT_PARSED) {
    return 0;
  } else if (isSource) {
    at = transport;
    fields.sourcePort = port;
  } else {
    at = transport + DESTINATION_PORT;
    fields.destinationPort = port;
  }
  const before = view.getUint16(at);
  view.setUint16(at, port);
  return (~before & 0xffff) + port;
}
