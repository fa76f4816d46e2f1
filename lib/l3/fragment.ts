/**
 * IP fragmentation, by which every piece but the last holds a multiple of eight bytes: of IPv4 (RFC 791 3.2), with options repeated only
 * where their type says so, and at the source of IPv6 packets (RFC 8200 4.5).
 */

import type { Frame, FramePool } from '../core/frame.js';
import { HOP_BY_HOP, IpProtocol } from '../wire/ip.js';
import {
  IPV4_FRAGMENT,
  IPV4_HEADER,
  IPV4_TOTAL_LENGTH,
  type Ipv4Option,
  Ipv4Packet,
  refreshIpv4Checksum,
} from '../wire/ipv4.js';
import { IPV6_HEADER, IPV6_NEXT_HEADER, IPV6_PAYLOAD_LENGTH, Ipv6Packet } from '../wire/ipv6.js';
import { extensionLength, FRAGMENT_HEADER, FragmentHeader } from '../wire/ipv6-extensions.js';
import { completeChecksum } from '../wire/segmentation.js';

// RFC 791 3.1.
const DONT_FRAGMENT = 0x4000;
/** Set in the type of options that every fragment carries (RFC 791 3.1). */
const COPIED = 0x80;

/**
 * Cuts the packet that starts at `frame.start` into pieces of at most `mtu` bytes and gives each to `emit`, which takes its reference
 * over. The packet itself stays the caller's. A fragment can be cut again. The first piece has the packet's route: it stands for the whole where
 * its sender is to be told of it. False if `mtu` leaves no room for eight bytes.
 */
export function fragmentIpv4(frame: Frame, mtu: number, pool: FramePool, emit: (piece: Frame) => void): boolean {
  completeChecksum(frame);
  const packet = new Ipv4Packet(frame, frame.start);
  const { headerLength, totalLength, fragmentOffset, moreFragments } = packet;
  const all = headerLength > IPV4_HEADER ? packet.options() : [];
  const copied = all.filter((option) => (option.type & COPIED) !== 0);
  if (mtu - headerLength < 8) return false;
  let done = 0;
  const length = totalLength - headerLength;
  while (done < length) {
    const options = done === 0 ? all : copied;
    const room = (mtu - IPV4_HEADER - optionsLength(options)) & ~7;
    const size = Math.min(room, length - done);
    const from = frame.start + headerLength + done;
    const piece = pool.alloc(size + headerLength);
    piece.slab.bytes.set(frame.slab.bytes.subarray(from, from + size), piece.put(size));
    piece.mark = frame.mark;
    piece.flow = frame.flow;
    if (done === 0) piece.route = frame.route;
    Ipv4Packet.emit(piece, {
      source: packet.source,
      destination: packet.destination,
      protocol: packet.protocol,
      ttl: packet.hopLimit,
      tos: packet.trafficClass,
      identification: packet.identification,
      dontFragment: packet.dontFragment,
      moreFragments: moreFragments || done + size < length,
      fragmentOffset: fragmentOffset + done,
      options,
    });
    done += size;
    emit(piece);
  }
  return true;
}

/**
 * Whether a fragment of so many bytes, its header included, ends beyond what a packet can hold (RFC 791 3.1): nobody can put it together, and
 * the offsets of its pieces would begin anew.
 */
export function isBeyondPacket(fragmentOffset: number, totalLength: number): boolean {
  return fragmentOffset + totalLength > 0xffff;
}

/**
 * Makes the header of the first fragment at `frame.network` that of the whole packet, whose payload is the range. False if that would be
 * longer than a packet can be.
 */
export function mendIpv4Header(frame: Frame): boolean {
  const at = frame.network;
  const { view } = frame.slab;
  if (frame.end - at > 0xffff) return false;
  view.setUint16(at + IPV4_TOTAL_LENGTH, frame.end - at);
  view.setUint16(at + IPV4_FRAGMENT, view.getUint16(at + IPV4_FRAGMENT) & DONT_FRAGMENT);
  refreshIpv4Checksum(view, at);
  frame.wholeEnd = frame.end;
  return true;
}

function optionsLength(options: readonly Ipv4Option[]): number {
  return (options.reduce((sum, option) => sum + 2 + option.data.length, 0) + 3) & ~3;
}

/**
 * Cuts the IPv6 packet that starts at `frame.start` into fragments of at most `mtu` bytes and gives each to `emit`, which takes its
 * reference over. The packet itself stays the caller's. Identifications are to be unpredictable (RFC 7739). The first fragment has the packet's
 * route, as that of {@link fragmentIpv4}. False if `mtu` leaves no room for eight bytes.
 */
export function fragmentIpv6(
  frame: Frame,
  mtu: number,
  identification: number,
  pool: FramePool,
  emit: (piece: Frame) => void,
): boolean {
  completeChecksum(frame);
  const packet = new Ipv6Packet(frame, frame.start);
  const { bytes, view } = frame.slab;
  const { length: fixed, field } = repeated(packet);
  const headers = fixed + FRAGMENT_HEADER;
  const room = (mtu - headers) & ~7;
  if (room < 8) return false;
  const length = packet.totalLength - fixed;
  for (let done = 0; done < length; done += room) {
    const size = Math.min(room, length - done);
    const from = frame.start + fixed + done;
    const piece = pool.alloc(headers + size);
    // Options may be longer than the headroom.
    piece.start = piece.end = piece.start + headers;
    piece.mark = frame.mark;
    piece.flow = frame.flow;
    if (done === 0) piece.route = frame.route;
    piece.slab.bytes.set(bytes.subarray(from, from + size), piece.put(size));
    const nextHeader = view.getUint8(frame.start + field);
    const own = FragmentHeader.emit(piece, nextHeader, done, done + size < length, identification);
    const at = piece.push(fixed);
    piece.slab.bytes.set(bytes.subarray(frame.start, frame.start + fixed), at);
    piece.slab.view.setUint16(at + IPV6_PAYLOAD_LENGTH, piece.length - IPV6_HEADER);
    piece.slab.view.setUint8(at + field, own);
    emit(piece);
  }
  return true;
}

/**
 * What every fragment repeats: the headers that are read on the way, up to a routing header or else the hop-by-hop options (RFC 8200 4.5); and the offset of
 * the byte that says what follows them.
 */
function repeated({ frame, nextHeader, totalLength }: Ipv6Packet): { readonly length: number; readonly field: number } {
  const { start } = frame;
  const { view } = frame.slab;
  let found = { length: IPV6_HEADER, field: IPV6_NEXT_HEADER };
  let protocol = nextHeader;
  let at = IPV6_HEADER;
  while (protocol === HOP_BY_HOP || protocol === IpProtocol.DestinationOptions || protocol === IpProtocol.Routing) {
    const length = extensionLength(view, protocol, start + at, start + totalLength);
    if (length === 0) break;
    if (protocol !== IpProtocol.DestinationOptions) found = { length: at + length, field: at };
    protocol = view.getUint8(start + at);
    at += length;
  }
  return found;
}

/**
 * Makes the headers of the first fragment at `frame.network` those of the whole packet, whose payload is the range: its fragment header,
 * the last one in front of the payload, is taken out (RFC 8200 4.5), and what is in front of it moves up. False if the packet would be
 * longer than one can be.
 */
export function mendIpv6Header(frame: Frame): boolean {
  const from = frame.network;
  const { bytes, view } = frame.slab;
  const fragmentHeader = frame.start - FRAGMENT_HEADER;
  const payloadLength = frame.end - from - IPV6_HEADER - FRAGMENT_HEADER;
  if (payloadLength > 0xffff) return false;
  view.setUint16(from + IPV6_PAYLOAD_LENGTH, payloadLength);
  view.setUint8(fieldOfNext(view, from, fragmentHeader), view.getUint8(fragmentHeader));
  bytes.copyWithin(from + FRAGMENT_HEADER, from, fragmentHeader);
  frame.network = from + FRAGMENT_HEADER;
  frame.wholeEnd = frame.end;
  return true;
}

/** Offset of the byte that says what the header at `end` is, in a packet whose headers up to there were walked. */
function fieldOfNext(view: DataView, packet: number, end: number): number {
  let field = packet + IPV6_NEXT_HEADER;
  let at = packet + IPV6_HEADER;
  while (at < end) {
    const length = extensionLength(view, view.getUint8(field), at, end);
    field = at;
    at += length;
  }
  return field;
}
