/** IPv4 headers (RFC 791 3.1), with options. */

import { Ipv4Address } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import { UsageError } from '../core/errors.js';
import { type Frame, FrameView } from '../core/frame.js';
import { complement, fold, halves, sum16 } from './checksum.js';
import type { IpPacket } from './ip.js';

// RFC 791 3.1: byte offsets of the header's fields.
const VERSION_IHL = 0;
export const IPV4_TRAFFIC_CLASS = 1;
export const IPV4_TOTAL_LENGTH = 2;
export const IPV4_IDENTIFICATION = 4;
/** Flags, and the fragment's offset in units of eight bytes. */
export const IPV4_FRAGMENT = 6;
export const IPV4_TTL = 8;
export const IPV4_PROTOCOL = 9;
export const IPV4_CHECKSUM = 10;
export const IPV4_SOURCE = 12;
export const IPV4_DESTINATION = 16;
const OPTIONS = 20;
export const IPV4_HEADER = 20;
export const IPV4_MAX_HEADER = 60;

const DONT_FRAGMENT = 0x4000;
export const IPV4_MORE_FRAGMENTS = 0x2000;
export const IPV4_FRAGMENT_OFFSET = 0x1fff;

/** Option types (RFC 791 3.1, RFC 2113). */
export const Ipv4OptionType = {
  End: 0,
  Nop: 1,
  RecordRoute: 7,
  Timestamp: 68,
  LooseSourceRoute: 131,
  StrictSourceRoute: 137,
  RouterAlert: 148,
} as const;

/** One option: its type byte and its data without type and length. */
export interface Ipv4Option {
  readonly type: number;
  readonly data: Uint8Array;
}

/** The values of a header; lengths and the checksum are computed. */
export interface Ipv4Fields {
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
  /** Default 64. */
  readonly ttl?: number;
  readonly tos?: number;
  readonly identification?: number;
  readonly dontFragment?: boolean;
  readonly moreFragments?: boolean;
  /** In bytes, a multiple of 8. */
  readonly fragmentOffset?: number;
  readonly options?: readonly Ipv4Option[];
}

/** An IPv4 packet, read in place: getters decode when asked. Sound once {@link Ipv4Packet.check} has found nothing wrong. */
export class Ipv4Packet implements IpPacket<4> {
  readonly version = 4;
  readonly frame: Frame;
  offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  /** The same as the constructor, with the frame's own view where it is free: for the path of every frame. */
  static of(frame: Frame, offset: number): Ipv4Packet {
    if ((frame.views & FrameView.Ipv4) !== 0) return new Ipv4Packet(frame, offset);
    frame.views |= FrameView.Ipv4;
    const kept = frame.ipv4View;
    if (kept instanceof Ipv4Packet) {
      kept.offset = offset;
      return kept;
    }
    const made = new Ipv4Packet(frame, offset);
    frame.ipv4View = made;
    return made;
  }

  /** What is wrong with the header at `offset`, or `undefined`: afterwards no getter can fail (RFC 1122 3.2.1). */
  static check(frame: Frame, offset: number): DropReason | undefined {
    const { view } = frame.slab;
    const available = frame.end - offset;
    if (available < IPV4_HEADER) return DropReason.Ipv4Truncated;
    // Version, header length, traffic class and total length.
    const first = view.getUint32(offset);
    const headerLength = (first >>> 22) & 0x3c;
    if (first >>> 28 !== 4 || headerLength < IPV4_HEADER) return DropReason.Ipv4BadHeader;
    const totalLength = first & 0xffff;
    if (totalLength < headerLength || totalLength > available) return DropReason.Ipv4Truncated;
    const isPlain = headerLength === IPV4_HEADER;
    const sum = isPlain ? plainSum(view, offset, first) : sum16(view, offset, offset + headerLength);
    if (sum !== 0xffff) return DropReason.Ipv4BadChecksum;
    return isPlain ? undefined : checkOptions(view, offset + OPTIONS, offset + headerLength);
  }

  /**
   * Pushes a header in front of the frame, whose range is the payload.
   *
   * @throws UsageError `ERR_INVALID_OPTION` for more than 40 bytes of options, `ERR_FRAME_TOO_LARGE` over 65,535 bytes
   */
  static emit(frame: Frame, fields: Ipv4Fields): void {
    const optionsLength = fields.options === undefined ? 0 : lengthOfOptions(fields.options);
    const headerLength = IPV4_HEADER + optionsLength;
    if (frame.length + headerLength > 0xffff) throw tooLarge();
    const at = frame.push(headerLength);
    const { view } = frame.slab;
    const flags =
      (fields.dontFragment === true ? DONT_FRAGMENT : 0) |
      (fields.moreFragments === true ? IPV4_MORE_FRAGMENTS : 0) |
      ((fields.fragmentOffset ?? 0) >>> 3);
    view.setUint8(at + VERSION_IHL, 0x40 | (headerLength >>> 2));
    view.setUint8(at + IPV4_TRAFFIC_CLASS, fields.tos ?? 0);
    view.setUint16(at + IPV4_TOTAL_LENGTH, frame.end - at);
    view.setUint16(at + IPV4_IDENTIFICATION, fields.identification ?? 0);
    view.setUint16(at + IPV4_FRAGMENT, flags);
    view.setUint8(at + IPV4_TTL, fields.ttl ?? 64);
    view.setUint8(at + IPV4_PROTOCOL, fields.protocol);
    view.setUint32(at + IPV4_SOURCE, fields.source);
    view.setUint32(at + IPV4_DESTINATION, fields.destination);
    if (fields.options !== undefined) writeOptions(frame, at + OPTIONS, at + headerLength, fields.options);
    refreshIpv4Checksum(view, at);
    frame.network = at;
  }

  /**
   * The same for a header without options of a packet that is not a fragment, from values at hand: for the path of every packet.
   *
   * @throws UsageError `ERR_FRAME_TOO_LARGE` over 65,535 bytes
   */
  static push(
    frame: Frame,
    source: number,
    destination: number,
    protocol: number,
    ttl: number,
    tos: number,
    identification: number,
    dontFragment: boolean,
  ): void {
    const totalLength = frame.length + IPV4_HEADER;
    if (totalLength > 0xffff) throw tooLarge();
    const at = frame.push(IPV4_HEADER);
    const { view } = frame.slab;
    const first = ((0x4500 | (tos & 0xff)) << 16) | totalLength;
    const second = (identification << 16) | (dontFragment ? DONT_FRAGMENT : 0);
    const third = ((ttl << 8) | (protocol & 0xff)) << 16;
    const sum = fold(halves(first) + halves(second) + halves(third) + halves(source) + halves(destination));
    view.setUint32(at + VERSION_IHL, first);
    view.setUint32(at + IPV4_IDENTIFICATION, second);
    view.setUint32(at + IPV4_TTL, third | complement(sum));
    view.setUint32(at + IPV4_SOURCE, source);
    view.setUint32(at + IPV4_DESTINATION, destination);
    frame.network = at;
  }

  get headerLength(): number {
    return (this.frame.slab.view.getUint8(this.offset + VERSION_IHL) & 0x0f) * 4;
  }
  get trafficClass(): number {
    return this.frame.slab.view.getUint8(this.offset + IPV4_TRAFFIC_CLASS);
  }
  get totalLength(): number {
    return this.frame.slab.view.getUint16(this.offset + IPV4_TOTAL_LENGTH);
  }
  get identification(): number {
    return this.frame.slab.view.getUint16(this.offset + IPV4_IDENTIFICATION);
  }
  get dontFragment(): boolean {
    return (this.frame.slab.view.getUint16(this.offset + IPV4_FRAGMENT) & DONT_FRAGMENT) !== 0;
  }
  get moreFragments(): boolean {
    return (this.frame.slab.view.getUint16(this.offset + IPV4_FRAGMENT) & IPV4_MORE_FRAGMENTS) !== 0;
  }
  /** In bytes. */
  get fragmentOffset(): number {
    return (this.frame.slab.view.getUint16(this.offset + IPV4_FRAGMENT) & IPV4_FRAGMENT_OFFSET) * 8;
  }
  get isFragment(): boolean {
    return (
      (this.frame.slab.view.getUint16(this.offset + IPV4_FRAGMENT) & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET)) !== 0
    );
  }
  get hopLimit(): number {
    return this.frame.slab.view.getUint8(this.offset + IPV4_TTL);
  }
  get protocol(): number {
    return this.frame.slab.view.getUint8(this.offset + IPV4_PROTOCOL);
  }
  get source(): number {
    return this.frame.slab.view.getUint32(this.offset + IPV4_SOURCE);
  }
  get destination(): number {
    return this.frame.slab.view.getUint32(this.offset + IPV4_DESTINATION);
  }
  get sourceOffset(): number {
    return this.offset + IPV4_SOURCE;
  }
  get destinationOffset(): number {
    return this.offset + IPV4_DESTINATION;
  }
  get addressLength(): 4 {
    return 4;
  }
  get sourceAddress(): Ipv4Address {
    return new Ipv4Address(this.source);
  }
  get destinationAddress(): Ipv4Address {
    return new Ipv4Address(this.destination);
  }

  pseudoHeaderSum(protocol: number, length: number): number {
    const { view } = this.frame.slab;
    const source = view.getUint32(this.offset + IPV4_SOURCE);
    return ipv4PseudoHeaderSum(source, view.getUint32(this.offset + IPV4_DESTINATION), protocol, length);
  }

  /** Whether a source route leads on from here: we are a station, and the payload is not for us (RFC 791 3.1). */
  get isOnRoute(): boolean {
    const { view } = this.frame.slab;
    const end = this.offset + this.headerLength;
    for (let at = this.offset + OPTIONS; at < end; ) {
      const type = view.getUint8(at);
      if (type === Ipv4OptionType.End) return false;
      const length = type === Ipv4OptionType.Nop ? 1 : view.getUint8(at + 1);
      const isRoute = type === Ipv4OptionType.LooseSourceRoute || type === Ipv4OptionType.StrictSourceRoute;
      // The pointer counts from the option's first byte, which is 1: behind the last address the route is done.
      if (isRoute && length >= 3 && view.getUint8(at + 2) <= length) return true;
      at += Math.max(1, length);
    }
    return false;
  }

  /** The options, without the NOPs and the end; their data are copies. */
  options(): Ipv4Option[] {
    const { view, bytes } = this.frame.slab;
    const found: Ipv4Option[] = [];
    const end = this.offset + this.headerLength;
    for (let at = this.offset + OPTIONS; at < end; ) {
      const type = view.getUint8(at);
      if (type === Ipv4OptionType.End) break;
      const length = type === Ipv4OptionType.Nop ? 1 : at + 1 < end ? view.getUint8(at + 1) : 0;
      // Only in headers that nobody checked, such as quoted ones.
      if (length === 0 || (length === 1 && type !== Ipv4OptionType.Nop) || at + length > end) break;
      if (type !== Ipv4OptionType.Nop) found.push({ type, data: bytes.slice(at + 2, at + length) });
      at += length;
    }
    return found;
  }
}

/** The sum of a header without options, as nearly all are, and whose first word is known: without a loop it costs a third. */
function plainSum(view: DataView, at: number, first: number): number {
  return fold(
    halves(first) +
      halves(view.getUint32(at + 4)) +
      halves(view.getUint32(at + 8)) +
      halves(view.getUint32(at + 12)) +
      halves(view.getUint32(at + 16)),
  );
}

/** The pseudo-header's sum for addresses at hand rather than in a packet. */
export function ipv4PseudoHeaderSum(source: number, destination: number, protocol: number, length: number): number {
  return fold(halves(source) + halves(destination) + protocol + length);
}

/** Computes the checksum of the header at `at` anew. */
export function refreshIpv4Checksum(view: DataView, at: number): void {
  view.setUint16(at + IPV4_CHECKSUM, 0);
  const headerLength = (view.getUint8(at + VERSION_IHL) & 0x0f) * 4;
  view.setUint16(at + IPV4_CHECKSUM, complement(sum16(view, at, at + headerLength)));
}

function checkOptions(view: DataView, from: number, to: number): DropReason | undefined {
  for (let at = from; at < to; ) {
    const type = view.getUint8(at);
    if (type === Ipv4OptionType.End) return undefined;
    if (type === Ipv4OptionType.Nop) {
      at++;
      continue;
    }
    const length = at + 1 < to ? view.getUint8(at + 1) : 0;
    if (length < 2 || at + length > to) return DropReason.Ipv4BadOptions;
    at += length;
  }
  return undefined;
}

function tooLarge(): UsageError {
  return new UsageError('ERR_FRAME_TOO_LARGE', 'an IPv4 packet holds at most 65,535 bytes');
}

function lengthOfOptions(options: readonly Ipv4Option[]): number {
  const length = options.reduce((sum, option) => sum + optionLength(option), 0);
  if (length > IPV4_MAX_HEADER - IPV4_HEADER) {
    throw new UsageError('ERR_INVALID_OPTION', `IPv4 options hold at most 40 bytes, not ${length}`);
  }
  return (length + 3) & ~3;
}

function optionLength(option: Ipv4Option): number {
  return option.type <= Ipv4OptionType.Nop ? 1 : 2 + option.data.length;
}

function writeOptions(frame: Frame, from: number, to: number, options: readonly Ipv4Option[]): void {
  const { bytes } = frame.slab;
  let at = from;
  for (const option of options) {
    bytes[at] = option.type;
    if (option.type > Ipv4OptionType.Nop) {
      bytes[at + 1] = 2 + option.data.length;
      bytes.set(option.data, at + 2);
    }
    at += optionLength(option);
  }
  bytes.fill(Ipv4OptionType.End, at, to);
}
