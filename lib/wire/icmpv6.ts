/** ICMP for IPv6 (RFC 4443): errors with the packet that they quote, and echo. Neighbour discovery is in `ndp`, listener discovery in `mld`. */

import { DropReason } from '../core/drops.js';
import { ChecksumState, type Frame } from '../core/frame.js';
import { complement, sum16 } from './checksum.js';
import { IpProtocol } from './ip.js';
import { IPV6_HEADER, type Ipv6Fields, Ipv6Packet, ipv6PseudoHeaderSum } from './ipv6.js';
import { findPayload, pushRouterAlert } from './ipv6-extensions.js';

const TYPE = 0;
const CODE = 1;
const CHECKSUM = 2;
const REST = 4;
export const ICMPV6_HEADER = 8;
/** Offset of the checksum field, for checksum offload. */
export const ICMPV6_CHECKSUM_OFFSET: number = CHECKSUM;

/** Message types (IANA). */
export const Icmpv6Type = {
  DestinationUnreachable: 1,
  PacketTooBig: 2,
  TimeExceeded: 3,
  ParameterProblem: 4,
  EchoRequest: 128,
  EchoReply: 129,
  ListenerQuery: 130,
  ListenerReport: 131,
  ListenerDone: 132,
  RouterSolicitation: 133,
  RouterAdvertisement: 134,
  NeighbourSolicitation: 135,
  NeighbourAdvertisement: 136,
  Redirect: 137,
  ListenerReport2: 143,
} as const;

/** Codes of destination unreachable (RFC 4443 3.1). */
export const Icmpv6Unreachable = {
  NoRoute: 0,
  AdminProhibited: 1,
  BeyondScope: 2,
  Address: 3,
  Port: 4,
  SourcePolicy: 5,
  RejectRoute: 6,
} as const;

/** Codes of time exceeded. */
export const Icmpv6TimeExceeded = { InTransit: 0, Reassembly: 1 } as const;

/** Whether messages of `type`, known or not, report an error about a packet, which they quote (RFC 4443 2.1). */
export function isIcmpv6Error(type: number): boolean {
  return type < 128;
}

/** Whether messages of `type` are neighbour discovery's (RFC 4861 4). */
export function isNdp(type: number): boolean {
  return type >= Icmpv6Type.RouterSolicitation && type <= Icmpv6Type.Redirect;
}

/** Whether messages of `type` are multicast listener discovery's (RFC 2710, 3810). */
export function isMld(type: number): boolean {
  return (type >= Icmpv6Type.ListenerQuery && type <= Icmpv6Type.ListenerDone) || type === Icmpv6Type.ListenerReport2;
}

/** An ICMPv6 message, read in place. Sound once {@link Icmpv6Message.check} has found nothing wrong. */
export class Icmpv6Message {
  readonly frame: Frame;
  readonly offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  /**
   * What is wrong with the message that `packet` carries, or `undefined`. Its checksum is verified (RFC 4443 2.3). What the types of
   * other protocols need more, those check.
   */
  static check(packet: Ipv6Packet): DropReason | undefined {
    const { frame } = packet;
    const length = frame.end - frame.start;
    if (length < ICMPV6_HEADER) return DropReason.Icmpv6Truncated;
    if (frame.checksum !== ChecksumState.None) return undefined;
    const sum = sum16(frame.slab.view, frame.start, frame.end, packet.pseudoHeaderSum(IpProtocol.Icmpv6, length));
    return sum === 0xffff ? undefined : DropReason.Icmpv6BadChecksum;
  }

  /**
   * Pushes a header in front of the frame, whose range is the message's data; `rest` is the 32-bit word before the data, `pseudoSum` the
   * pseudo-header's, its length (8 bytes more than the frame's) included.
   */
  static emit(frame: Frame, type: number, code: number, rest: number, pseudoSum: number): void {
    const at = frame.push(ICMPV6_HEADER);
    const { view } = frame.slab;
    view.setUint8(at + TYPE, type);
    view.setUint8(at + CODE, code);
    view.setUint32(at + REST, rest);
    Icmpv6Message.seal(frame, pseudoSum);
  }

  /** Computes the checksum of the message that fills the frame anew. */
  static seal(frame: Frame, pseudoSum: number): void {
    const { view } = frame.slab;
    view.setUint16(frame.start + CHECKSUM, 0);
    view.setUint16(frame.start + CHECKSUM, complement(sum16(view, frame.start, frame.end, pseudoSum)));
  }

  get type(): number {
    return this.frame.slab.view.getUint8(this.offset + TYPE);
  }
  get code(): number {
    return this.frame.slab.view.getUint8(this.offset + CODE);
  }
  /** The word after the checksum: identifier and sequence number, pointer or MTU. */
  get rest(): number {
    return this.frame.slab.view.getUint32(this.offset + REST);
  }
  /** Echo: the identifier. */
  get identifier(): number {
    return this.frame.slab.view.getUint16(this.offset + REST);
  }
  /** Echo: the sequence number. */
  get sequence(): number {
    return this.frame.slab.view.getUint16(this.offset + REST + 2);
  }
  /** Packet too big: MTU of the next hop. It may be less than 1280 (RFC 8201 4). */
  get mtu(): number {
    return this.rest;
  }
  /** Parameter problem: offset of the offending byte, which may be beyond what is quoted. */
  get pointer(): number {
    return this.rest;
  }
  /** Offset of the data, which end with the frame: an echo's payload or the quoted packet. */
  get payload(): number {
    return this.offset + ICMPV6_HEADER;
  }
  /** The packet that an error quotes, or `undefined` where it is unusable. Its fixed header is sound, the rest may be cut. */
  get quoted(): Icmpv6Quote | undefined {
    return isIcmpv6Error(this.type) ? Icmpv6Quote.at(this.frame, this.payload, this.quoteEnd) : undefined;
  }
  /** End of the quoted packet's bytes: extensions may follow them (RFC 4884 4). */
  get quoteEnd(): number {
    const { type } = this;
    const units = this.frame.slab.view.getUint8(this.offset + REST);
    const extensible = type === Icmpv6Type.DestinationUnreachable || type === Icmpv6Type.TimeExceeded;
    // RFC 4884 4.4: in units of 8 bytes, 128 bytes at least.
    return extensible && units >= 16 ? Math.min(this.payload + units * 8, this.frame.end) : this.frame.end;
  }
}

/**
 * Completes the checksum of the ICMPv6 message that fills the frame, and pushes its IPv6 header: with `routerAlert` behind it the
 * hop-by-hop header that listener discovery wants (RFC 3810 5).
 */
export function pushIcmpv6Headers(frame: Frame, fields: Omit<Ipv6Fields, 'protocol'>, routerAlert = false): void {
  Icmpv6Message.seal(frame, ipv6PseudoHeaderSum(fields.source, fields.destination, IpProtocol.Icmpv6, frame.length));
  const protocol = routerAlert ? pushRouterAlert(frame, IpProtocol.Icmpv6) : IpProtocol.Icmpv6;
  Ipv6Packet.emit(frame, { ...fields, protocol });
}

/** The packet that an ICMPv6 error is about: as much of it as fitted (RFC 4443 2.4 c). */
export class Icmpv6Quote {
  /** The header; its extension headers were walked as far as they are there. Its length is that of the original packet. */
  readonly packet: Ipv6Packet;
  /** Offset of the quoted transport header, or -1 where that is cut, or behind a fragment header that is not a first one's. */
  readonly transport: number;
  /** End of the quoted bytes. */
  readonly end: number;

  private constructor(packet: Ipv6Packet, transport: number, end: number) {
    this.packet = packet;
    this.transport = transport;
    this.end = end;
  }

  /** Reads the packet quoted between `from` and `end`; `undefined` if it is not IPv6 or its header is cut. */
  static at(frame: Frame, from: number, end: number): Icmpv6Quote | undefined {
    if (end - from < IPV6_HEADER || frame.slab.view.getUint8(from) >>> 4 !== 6) return undefined;
    const packet = new Ipv6Packet(frame, from);
    const found = findPayload(packet, end) && !isLaterFragment(packet);
    return new Icmpv6Quote(packet, found ? from + packet.headerLength : -1, end);
  }

  /** The transport's protocol. */
  get protocol(): number {
    return this.packet.protocol;
  }

  /** Ports of the quoted TCP or UDP header, if they are there. */
  get ports(): { readonly source: number; readonly destination: number } | undefined {
    const { packet, transport } = this;
    const carries = packet.protocol === IpProtocol.Tcp || packet.protocol === IpProtocol.Udp;
    if (!carries || transport < 0 || this.end - transport < 4) return undefined;
    const { view } = packet.frame.slab;
    return { source: view.getUint16(transport), destination: view.getUint16(transport + 2) };
  }
}

function isLaterFragment(packet: Ipv6Packet): boolean {
  const { fragmentHeader, offset } = packet;
  return fragmentHeader > 0 && packet.frame.slab.view.getUint16(offset + fragmentHeader + 2) >= 8;
}
