/**
 * The fields of an IP packet that rules, flow tables, translators and routers decide by, read at once into one record of plain numbers. Where
 * a layer wants one or two fields, a view is cheaper; where everything is looked at, this is.
 */

import { type Frame, NOT_PARSED } from '../core/frame.js';
import { ICMPV4_HEADER } from './icmpv4.js';
import { IpProtocol } from './ip.js';
import {
  IPV4_DESTINATION,
  IPV4_FRAGMENT,
  IPV4_FRAGMENT_OFFSET,
  IPV4_HEADER,
  IPV4_IDENTIFICATION,
  IPV4_MORE_FRAGMENTS,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TOTAL_LENGTH,
  IPV4_TRAFFIC_CLASS,
  IPV4_TTL,
} from './ipv4.js';
import {
  IPV6_DESTINATION,
  IPV6_HEADER,
  IPV6_HOP_LIMIT,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_LENGTH,
  IPV6_SOURCE,
} from './ipv6.js';
import {
  extensionLength,
  FRAGMENT_HEADER,
  FRAGMENT_IDENTIFICATION,
  FRAGMENT_OFFSET,
  isExtension,
  MAX_EXTENSION_HEADERS,
} from './ipv6-extensions.js';
import { TCP_DATA_OFFSET, TCP_HEADER } from './tcp.js';
import { UDP_HEADER } from './udp.js';

// RFC 791 3.1, RFC 8200 3, RFC 9293 3.1, RFC 792: offsets of the fields in their headers.
const V6_MORE = 1;
const V6_OFFSET = 0xfff8;
const DESTINATION_PORT = 2;
const TCP_FLAGS = 13;
const ICMP_CODE = 1;
const ICMP_IDENTIFIER = 4;
const PORTS = 4;
/** What every quoted packet has of its transport (RFC 792). */
const QUOTED = 8;

/** Protocols beside TCP and UDP whose header starts with two ports: DCCP (RFC 4340), SCTP (RFC 9260), UDP-Lite (RFC 3828). */
const DCCP = 33;
const SCTP = 132;
const UDP_LITE = 136;

const MAPPED = 0xffff;
const NONE = new DataView(new ArrayBuffer(0));

/**
 * One packet's fields, as {@link PacketFields.read} left them: one record serves many packets. All numbers are integers that fit into 32
 * bits with a sign, addresses as four words in the order of `IpAddress.word` but signed; an IPv4 address is the mapped one (::ffff:0:0/96). The words
 * alone do not tell versions apart: see {@link PacketFields.isMapped}.
 */
export class PacketFields {
  view: DataView = NONE;
  version: 0 | 4 | 6 = 0;
  /** Offset of the IP header. */
  network: number = NOT_PARSED;
  /** Offset of the transport's header, or `NOT_PARSED` where it is not in this packet: in a later fragment, or in one cut short. */
  transport: number = NOT_PARSED;
  /** End of the IP packet by its own length. */
  end = 0;
  /** The payload's protocol, behind extension headers. */
  protocol = 0;
  hopLimit = 0;
  /** DSCP and ECN. */
  trafficClass = 0;
  /** Of a fragment: bytes of the whole packet's payload before it. */
  fragmentOffset = 0;
  /** Fragments follow this one. */
  moreFragments = false;
  /** There is a fragment header of IPv6; whole packets may have one, too (RFC 6946). */
  hasFragmentHeader = false;
  /** What fragments of a packet have in common; 16 bits in IPv4, signed in IPv6, where packets without a fragment header have 0. */
  identification = 0;
  source0 = 0;
  source1 = 0;
  source2 = 0;
  source3 = 0;
  destination0 = 0;
  destination1 = 0;
  destination2 = 0;
  destination3 = 0;
  /** 0 where the protocol has no ports, or its header is not there. */
  sourcePort = 0;
  destinationPort = 0;
  /** Flags of TCP, the low eight: CWR ECE URG ACK PSH RST SYN FIN. */
  tcpFlags = 0;
  /** Type and code of the version's ICMP; -1 where it is none. */
  icmpType = -1;
  icmpCode = -1;
  /** The second word's first half of ICMP: the identifier of an echo. */
  icmpIdentifier = 0;

  /** Bytes of the IP packet, its header included. */
  get length(): number {
    return this.end - this.network;
  }

  /** Whether it is one of several fragments, the first included. */
  get isFragment(): boolean {
    return this.fragmentOffset > 0 || this.moreFragments;
  }

  /**
   * Whether it is a packet of IPv6 from or to an IPv4-mapped address, which on a wire is nobody's (RFC 4291 2.5.5.2, RFC 6890): where four
   * words are looked up in one table for both versions it would be taken for the IPv4 address.
   */
  get isMapped(): boolean {
    if (this.version === 4) return false;
    return (
      (this.source2 === MAPPED && (this.source0 | this.source1) === 0) ||
      (this.destination2 === MAPPED && (this.destination0 | this.destination1) === 0)
    );
  }

  /**
   * Reads the packet whose IP header is at `network`. False where that is no sound IP header, or where the frame ends before the packet does or
   * within its extension headers; checksums are not looked at.
   */
  read(frame: Frame, network: number): boolean {
    return this.readWithin(frame, network, frame.end, false);
  }

  /**
   * Reads the packet that an ICMP error quotes at `network`: it may be cut short anywhere behind the first eight bytes of its transport's
   * header (RFC 792, RFC 1812 4.3.2.3, RFC 4443 3). `end` is where the quotation ends.
   */
  readQuoted(frame: Frame, network: number, end: number): boolean {
    return this.readWithin(frame, network, end, true);
  }

  private readWithin(frame: Frame, network: number, end: number, quoted: boolean): boolean {
    this.version = 0;
    if (end - network < IPV4_HEADER || network < frame.base || end > frame.limit) return false;
    const { view } = frame.slab;
    this.view = view;
    this.network = network;
    this.transport = NOT_PARSED;
    this.fragmentOffset = 0;
    this.moreFragments = false;
    this.hasFragmentHeader = false;
    this.identification = 0;
    const version = view.getUint8(network) >>> 4;
    const found = version === 4 ? this.read4(end, quoted) : version === 6 && this.read6(end, quoted);
    if (!found) return false;
    this.version = version === 4 ? 4 : 6;
    this.readTransport(quoted);
    return true;
  }

  private read4(limit: number, quoted: boolean): boolean {
    const { view, network } = this;
    const headerLength = (view.getUint8(network) & 0x0f) * 4;
    const totalLength = view.getUint16(network + IPV4_TOTAL_LENGTH);
    const available = limit - network;
    if (headerLength < IPV4_HEADER || totalLength < headerLength || headerLength > available) return false;
    if (totalLength > available && !quoted) return false;
    const fragment = view.getUint16(network + IPV4_FRAGMENT);
    this.identification = view.getUint16(network + IPV4_IDENTIFICATION);
    this.end = network + Math.min(totalLength, available);
    this.protocol = view.getUint8(network + IPV4_PROTOCOL);
    this.hopLimit = view.getUint8(network + IPV4_TTL);
    this.trafficClass = view.getUint8(network + IPV4_TRAFFIC_CLASS);
    this.fragmentOffset = (fragment & IPV4_FRAGMENT_OFFSET) * 8;
    this.moreFragments = (fragment & IPV4_MORE_FRAGMENTS) !== 0;
    this.source0 = this.source1 = this.destination0 = this.destination1 = 0;
    this.source2 = this.destination2 = MAPPED;
    this.source3 = view.getInt32(network + IPV4_SOURCE);
    this.destination3 = view.getInt32(network + IPV4_DESTINATION);
    if (this.fragmentOffset === 0) this.transport = network + headerLength;
    return true;
  }

  private read6(limit: number, quoted: boolean): boolean {
    const { view, network } = this;
    const available = limit - network;
    if (available < IPV6_HEADER) return false;
    const length = IPV6_HEADER + view.getUint16(network + IPV6_PAYLOAD_LENGTH);
    if (length > available && !quoted) return false;
    this.end = network + Math.min(length, available);
    this.hopLimit = view.getUint8(network + IPV6_HOP_LIMIT);
    this.trafficClass = (view.getUint16(network) >>> 4) & 0xff;
    const source = network + IPV6_SOURCE;
    this.source0 = view.getInt32(source);
    this.source1 = view.getInt32(source + 4);
    this.source2 = view.getInt32(source + 8);
    this.source3 = view.getInt32(source + 12);
    const destination = network + IPV6_DESTINATION;
    this.destination0 = view.getInt32(destination);
    this.destination1 = view.getInt32(destination + 4);
    this.destination2 = view.getInt32(destination + 8);
    this.destination3 = view.getInt32(destination + 12);
    return this.walk(view.getUint8(network + IPV6_NEXT_HEADER), network + IPV6_HEADER);
  }

  /** Goes along the extension headers, up to the payload or to a later fragment. */
  private walk(first: number, from: number): boolean {
    const { view, end } = this;
    let protocol = first;
    let at = from;
    for (let count = 0; isExtension(protocol); count++) {
      const isFragment = protocol === IpProtocol.Fragment;
      const length = isFragment ? FRAGMENT_HEADER : extensionLength(view, protocol, at, end);
      if (length === 0 || at + length > end || count === MAX_EXTENSION_HEADERS) return false;
      protocol = view.getUint8(at);
      if (isFragment) {
        const offset = this.readFragment(at);
        if (offset > 0) {
          this.protocol = protocol;
          return true;
        }
      }
      at += length;
    }
    this.protocol = protocol;
    this.transport = at;
    return true;
  }

  /** Reads a fragment header, and returns its offset. One within the first fragment is a part of it, and says nothing of it (RFC 8200 4.5). */
  private readFragment(at: number): number {
    const { view } = this;
    const field = view.getUint16(at + FRAGMENT_OFFSET);
    if (!this.isFragment) {
      this.hasFragmentHeader = true;
      this.fragmentOffset = field & V6_OFFSET;
      this.moreFragments = (field & V6_MORE) !== 0;
      this.identification = view.getInt32(at + FRAGMENT_IDENTIFICATION);
    }
    return field & V6_OFFSET;
  }

  private readTransport(quoted: boolean): void {
    this.sourcePort = this.destinationPort = this.tcpFlags = this.icmpIdentifier = 0;
    this.icmpType = this.icmpCode = -1;
    const { view, protocol, transport } = this;
    if (transport === NOT_PARSED) return;
    const least = leastHeader(protocol);
    const available = this.end - transport;
    if (available < (quoted ? Math.min(least, QUOTED) : least)) {
      this.transport = NOT_PARSED;
      return;
    }
    if (protocol === IpProtocol.Icmp || protocol === IpProtocol.Icmpv6) {
      if ((protocol === IpProtocol.Icmp) !== (this.version === 4)) return;
      this.icmpType = view.getUint8(transport);
      this.icmpCode = view.getUint8(transport + ICMP_CODE);
      this.icmpIdentifier = view.getUint16(transport + ICMP_IDENTIFIER);
    } else if (least > 0) {
      this.sourcePort = view.getUint16(transport);
      this.destinationPort = view.getUint16(transport + DESTINATION_PORT);
      if (protocol === IpProtocol.Tcp && available >= TCP_HEADER) this.readTcp(available);
    }
  }

  private readTcp(available: number): void {
    const { view, transport } = this;
    const headerLength = (view.getUint8(transport + TCP_DATA_OFFSET) >>> 4) * 4;
    this.tcpFlags = view.getUint8(transport + TCP_FLAGS);
    if (headerLength >= TCP_HEADER && headerLength <= available) return;
    this.sourcePort = this.destinationPort = this.tcpFlags = 0;
    this.transport = NOT_PARSED;
  }
}

/** Bytes without which a header of that protocol says nothing. */
function leastHeader(protocol: number): number {
  switch (protocol) {
    case IpProtocol.Tcp:
      return TCP_HEADER;
    case IpProtocol.Udp:
    case UDP_LITE:
      return UDP_HEADER;
    case IpProtocol.Icmp:
    case IpProtocol.Icmpv6:
      return ICMPV4_HEADER;
    case DCCP:
    case SCTP:
      return PORTS;
    default:
      return 0;
  }
}
