/**
 * IPv6 headers (RFC 8200 3). Extension headers are walked in `ipv6-extensions`, which then tells the packet what its payload is.
 * Jumbograms (RFC 2675) are refused.
 */

import { Ipv6Address } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import { UsageError } from '../core/errors.js';
import { type Frame, FrameView } from '../core/frame.js';
import { fold, halves } from './checksum.js';
import { HOP_BY_HOP, type IpPacket } from './ip.js';

// RFC 8200 3: byte offsets of the header's fields.
const VERSION_CLASS_FLOW = 0;
export const IPV6_PAYLOAD_LENGTH = 4;
export const IPV6_NEXT_HEADER = 6;
export const IPV6_HOP_LIMIT = 7;
export const IPV6_SOURCE = 8;
export const IPV6_DESTINATION = 24;
export const IPV6_HEADER = 40;
// RFC 8200 4.5: in a fragment header, and there the offset and the bit that says that more follow.
const FRAGMENT_OFFSET = 2;
const NOT_ATOMIC = 0xfff9;
/** Every link carries packets of this size (RFC 8200 5). */
export const IPV6_MINIMUM_MTU = 1280;

/** The values of a header; the payload length is computed. */
export interface Ipv6Fields {
  readonly source: Ipv6Address;
  readonly destination: Ipv6Address;
  /** Of what follows the header: the payload's protocol, or that of the first extension header. */
  readonly protocol: number;
  /** Default 64. */
  readonly hopLimit?: number;
  readonly trafficClass?: number;
  /** 20 bits (RFC 6437). */
  readonly flowLabel?: number;
}

/** An IPv6 packet, read in place: getters decode when asked. Sound once {@link Ipv6Packet.check} has found nothing wrong. */
export class Ipv6Packet implements IpPacket<6> {
  readonly version = 6;
  readonly frame: Frame;
  offset: number;
  /** The payload's protocol; until extension headers were walked, what follows the fixed header. */
  protocol: number;
  /** Bytes up to the payload: 40, and the extension headers that were walked. */
  headerLength: number = IPV6_HEADER;
  /** Offset in the packet of the byte that names `protocol`, for parameter problems. */
  protocolField: number = IPV6_NEXT_HEADER;
  /** Offset in the packet of its fragment header, or 0. */
  fragmentHeader = 0;
  /** Whether it came with a fragment header, in one piece or in several: neighbour discovery must not (RFC 6980). */
  fragmented = false;
  /** Value of the router alert option (RFC 2711), or -1. */
  routerAlert = -1;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
    this.protocol = frame.slab.view.getUint8(offset + IPV6_NEXT_HEADER);
  }

  /** The same as the constructor, with the frame's own view where it is free: for the path of every frame. */
  static of(frame: Frame, offset: number): Ipv6Packet {
    if ((frame.views & FrameView.Ipv6) !== 0) return new Ipv6Packet(frame, offset);
    frame.views |= FrameView.Ipv6;
    const kept = frame.ipv6View;
    if (kept instanceof Ipv6Packet) {
      kept.move(offset);
      return kept;
    }
    const made = new Ipv6Packet(frame, offset);
    frame.ipv6View = made;
    return made;
  }

  /** It is a view of the header at `offset` now, whose extension headers were not walked. */
  private move(offset: number): void {
    this.offset = offset;
    this.protocol = this.frame.slab.view.getUint8(offset + IPV6_NEXT_HEADER);
    this.headerLength = IPV6_HEADER;
    this.protocolField = IPV6_NEXT_HEADER;
    this.fragmentHeader = 0;
    this.fragmented = false;
    this.routerAlert = -1;
  }

  /** What is wrong with the header at `offset`, or `undefined`: afterwards no getter can fail. */
  static check(frame: Frame, offset: number): DropReason | undefined {
    const { view } = frame.slab;
    const available = frame.end - offset;
    if (available < IPV6_HEADER) return DropReason.Ipv6Truncated;
    if (view.getUint8(offset) >>> 4 !== 6) return DropReason.Ipv6BadHeader;
    const payloadLength = view.getUint16(offset + IPV6_PAYLOAD_LENGTH);
    if (payloadLength > available - IPV6_HEADER) return DropReason.Ipv6Truncated;
    // RFC 2675 3: a payload length of 0 with a hop-by-hop header announces a jumbogram.
    if (payloadLength === 0 && view.getUint8(offset + IPV6_NEXT_HEADER) === HOP_BY_HOP) return DropReason.Ipv6BadHeader;
    return undefined;
  }

  /**
   * Pushes a header in front of the frame, whose range is the payload.
   *
   * @throws UsageError `ERR_FRAME_TOO_LARGE` over 65,535 bytes of payload
   */
  static emit(frame: Frame, fields: Ipv6Fields): void {
    const payloadLength = frame.length;
    if (payloadLength > 0xffff) {
      throw new UsageError('ERR_FRAME_TOO_LARGE', 'an IPv6 packet holds at most 65,535 bytes of payload');
    }
    const at = frame.push(IPV6_HEADER);
    const { view } = frame.slab;
    const flow = ((fields.trafficClass ?? 0) << 20) | ((fields.flowLabel ?? 0) & 0xfffff);
    view.setUint32(at + VERSION_CLASS_FLOW, 0x6000_0000 | (flow & 0x0fff_ffff));
    view.setUint16(at + IPV6_PAYLOAD_LENGTH, payloadLength);
    view.setUint8(at + IPV6_NEXT_HEADER, fields.protocol);
    view.setUint8(at + IPV6_HOP_LIMIT, fields.hopLimit ?? 64);
    fields.source.write(view, at + IPV6_SOURCE);
    fields.destination.write(view, at + IPV6_DESTINATION);
    frame.network = at;
  }

  /**
   * Pushes a header in front of the frame, whose range is the payload, that brings it back to the sender of `packet`, from where that was
   * sent to. The packet's header may be where this one is written.
   */
  static emitReply(frame: Frame, packet: Ipv6Packet, protocol: number, trafficClass: number): void {
    const from = packet.frame.slab.view;
    const { sourceOffset, destinationOffset } = packet;
    const payloadLength = frame.length;
    const at = frame.push(IPV6_HEADER);
    const { view } = frame.slab;
    const a = from.getUint32(sourceOffset);
    const b = from.getUint32(sourceOffset + 4);
    const c = from.getUint32(sourceOffset + 8);
    const d = from.getUint32(sourceOffset + 12);
    const e = from.getUint32(destinationOffset);
    const f = from.getUint32(destinationOffset + 4);
    const g = from.getUint32(destinationOffset + 8);
    const h = from.getUint32(destinationOffset + 12);
    view.setUint32(at + IPV6_SOURCE, e);
    view.setUint32(at + IPV6_SOURCE + 4, f);
    view.setUint32(at + IPV6_SOURCE + 8, g);
    view.setUint32(at + IPV6_SOURCE + 12, h);
    view.setUint32(at + IPV6_DESTINATION, a);
    view.setUint32(at + IPV6_DESTINATION + 4, b);
    view.setUint32(at + IPV6_DESTINATION + 8, c);
    view.setUint32(at + IPV6_DESTINATION + 12, d);
    view.setUint32(at + VERSION_CLASS_FLOW, 0x6000_0000 | (trafficClass << 20));
    view.setUint16(at + IPV6_PAYLOAD_LENGTH, payloadLength);
    view.setUint8(at + IPV6_NEXT_HEADER, protocol);
    view.setUint8(at + IPV6_HOP_LIMIT, 64);
    frame.network = at;
  }

  get trafficClass(): number {
    return (this.frame.slab.view.getUint16(this.offset + VERSION_CLASS_FLOW) >>> 4) & 0xff;
  }
  get flowLabel(): number {
    return this.frame.slab.view.getUint32(this.offset + VERSION_CLASS_FLOW) & 0xfffff;
  }
  /** Bytes behind the fixed header, extension headers included. */
  get payloadLength(): number {
    return this.frame.slab.view.getUint16(this.offset + IPV6_PAYLOAD_LENGTH);
  }
  /** Header and payload. */
  get totalLength(): number {
    return IPV6_HEADER + this.payloadLength;
  }
  /** What follows the fixed header. */
  get nextHeader(): number {
    return this.frame.slab.view.getUint8(this.offset + IPV6_NEXT_HEADER);
  }
  get hopLimit(): number {
    return this.frame.slab.view.getUint8(this.offset + IPV6_HOP_LIMIT);
  }
  get sourceOffset(): number {
    return this.offset + IPV6_SOURCE;
  }
  get destinationOffset(): number {
    return this.offset + IPV6_DESTINATION;
  }
  get addressLength(): 16 {
    return 16;
  }
  get sourceAddress(): Ipv6Address {
    return readIpv6(this.frame.slab.view, this.offset + IPV6_SOURCE);
  }
  get destinationAddress(): Ipv6Address {
    return readIpv6(this.frame.slab.view, this.offset + IPV6_DESTINATION);
  }
  /** Whether this is a part of a packet; known once the extension headers were walked. An atomic fragment is whole (RFC 6946). */
  get isFragment(): boolean {
    const { fragmentHeader } = this;
    if (fragmentHeader === 0) return false;
    return (this.frame.slab.view.getUint16(this.offset + fragmentHeader + FRAGMENT_OFFSET) & NOT_ATOMIC) !== 0;
  }
  /** Whether its destination is multicast. */
  get isToGroup(): boolean {
    return this.frame.slab.view.getUint8(this.offset + IPV6_DESTINATION) === 0xff;
  }

  pseudoHeaderSum(protocol: number, length: number): number {
    const { view } = this.frame.slab;
    const from = this.offset + IPV6_SOURCE;
    return fold(
      halves(view.getUint32(from)) +
        halves(view.getUint32(from + 4)) +
        halves(view.getUint32(from + 8)) +
        halves(view.getUint32(from + 12)) +
        halves(view.getUint32(from + 16)) +
        halves(view.getUint32(from + 20)) +
        halves(view.getUint32(from + 24)) +
        halves(view.getUint32(from + 28)) +
        protocol +
        halves(length),
    );
  }
}

/** The pseudo-header's sum for addresses at hand rather than in a packet (RFC 8200 8.1). */
export function ipv6PseudoHeaderSum(
  source: Ipv6Address,
  destination: Ipv6Address,
  protocol: number,
  length: number,
): number {
  return fold(
    halves(source.a) +
      halves(source.b) +
      halves(source.c) +
      halves(source.d) +
      halves(destination.a) +
      halves(destination.b) +
      halves(destination.c) +
      halves(destination.d) +
      protocol +
      halves(length),
  );
}

/** Reads the address at `at`. */
export function readIpv6(view: DataView, at: number): Ipv6Address {
  return new Ipv6Address(view.getUint32(at), view.getUint32(at + 4), view.getUint32(at + 8), view.getUint32(at + 12));
}

/** Whether the address at `at` is ::. */
export function isUnspecifiedAt(view: DataView, at: number): boolean {
  return (view.getUint32(at) | view.getUint32(at + 4) | view.getUint32(at + 8) | view.getUint32(at + 12)) === 0;
}

/** Whether the address at `at` is a multicast one (RFC 4291 2.7). */
export function isMulticastAt(view: DataView, at: number): boolean {
  return view.getUint8(at) === 0xff;
}

/** Whether the address at `at` is an IPv4-mapped one, which on a wire is nobody's (RFC 4291 2.5.5.2). */
export function isMappedAt(view: DataView, at: number): boolean {
  return view.getUint32(at + 8) === 0xffff && (view.getUint32(at) | view.getUint32(at + 4)) === 0;
}

/** Whether the address at `at` is link-local: in fe80::/10. */
export function isLinkLocalAt(view: DataView, at: number): boolean {
  return view.getUint16(at) >>> 6 === 0x3fa;
}

/** The group ff02::1:ffXX:XXXX that listens for solicitations of `address` (RFC 4291 2.7.1). */
export function solicitedNode(address: Ipv6Address): Ipv6Address {
  return new Ipv6Address(0xff02_0000, 0, 1, 0xff00_0000 | (address.d & 0xff_ffff));
}

/** The MAC address 33:33:XX:XX:XX:XX of a group, as a number (RFC 2464 7). */
export function groupMac(group: Ipv6Address): number {
  return 0x3333_0000_0000 + group.d;
}
