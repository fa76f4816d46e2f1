/**
 * The virtio-net header (VIRTIO 1.2, 5.1.6) that `IFF_VNET_HDR` puts in front of frames on TAP and TUN devices: what the sender has
 * left to do about checksum and segmentation. 12 bytes, little-endian, receive-buffer count included; the 10-byte legacy form and
 * hash reports are left out. It is translated from and to the metadata of a {@link Frame}.
 */

import { DropReason } from '../core/drops.js';
import { ChecksumState, type Frame, GsoType } from '../core/frame.js';

const FLAGS = 0;
const GSO_TYPE = 1;
const HEADER_LENGTH = 2;
const GSO_SIZE = 4;
const CHECKSUM_START = 6;
const CHECKSUM_OFFSET = 8;
const BUFFERS = 10;
export const VIRTIO_NET_HEADER = 12;

/** Bits of the flags byte. */
export const VirtioNetFlag = {
  /** The checksum at `checksumStart + checksumOffset` is only the pseudo-header's sum. */
  NeedsChecksum: 1,
  /** The device verified the checksum. */
  DataValid: 2,
} as const;

/** Set in the GSO type of segments with ECN bits that may not simply be copied. */
export const VIRTIO_NET_GSO_ECN = 0x80;

/** The values of a header. Offsets are relative to the first byte after it. */
export interface VirtioNetFields {
  readonly flags: number;
  readonly gsoType: number;
  /** Bytes of headers in front of the payload of a super-segment. */
  readonly headerLength: number;
  readonly gsoSize: number;
  readonly checksumStart: number;
  readonly checksumOffset: number;
  /** Receive buffers that hold the frame; 1 without merged buffers. */
  readonly buffers: number;
}

/** A virtio-net header, read in place, for looking at it; drivers use the static functions, which make no object a frame. */
export class VirtioNetHeader implements VirtioNetFields {
  readonly frame: Frame;
  readonly offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  /** Pushes a header in front of the frame. */
  static emit(frame: Frame, fields: VirtioNetFields): void {
    const at = frame.push(VIRTIO_NET_HEADER);
    const { view } = frame.slab;
    view.setUint8(at + FLAGS, fields.flags);
    view.setUint8(at + GSO_TYPE, fields.gsoType);
    view.setUint16(at + HEADER_LENGTH, fields.headerLength, true);
    view.setUint16(at + GSO_SIZE, fields.gsoSize, true);
    view.setUint16(at + CHECKSUM_START, fields.checksumStart, true);
    view.setUint16(at + CHECKSUM_OFFSET, fields.checksumOffset, true);
    view.setUint16(at + BUFFERS, fields.buffers, true);
  }

  /** Pushes the header that says what the metadata of the frame says: its partial checksum and its segmentation. */
  static emitFor(frame: Frame): void {
    const { start } = frame;
    const at = frame.push(VIRTIO_NET_HEADER);
    VirtioNetHeader.describe(frame, start, frame.slab.view, at);
  }

  /**
   * Writes the header that says what the metadata of the frame say to any place, so that a frame that others hold, too, stays as it is.
   *
   * @param start where the packet starts that the header is for
   */
  static describe(frame: Frame, start: number, view: DataView, at: number): void {
    const partial = frame.checksum === ChecksumState.Partial;
    const segmented = frame.gsoType !== GsoType.None;
    view.setUint32(at, 0);
    view.setUint32(at + 4, 0);
    view.setUint32(at + 8, 0);
    if (partial) {
      view.setUint8(at + FLAGS, VirtioNetFlag.NeedsChecksum);
      view.setUint16(at + CHECKSUM_START, frame.checksumStart - start, true);
      view.setUint16(at + CHECKSUM_OFFSET, frame.checksumField - frame.checksumStart, true);
    }
    if (!segmented) return;
    view.setUint8(at + GSO_TYPE, frame.gsoType | (partial ? ecnBit(frame) : 0));
    view.setUint16(at + HEADER_LENGTH, partial ? headersOf(frame) - start : 0, true);
    view.setUint16(at + GSO_SIZE, frame.gsoSize, true);
  }

  /**
   * Takes the header off the front of a frame, whose metadata then say what it said; `undefined`, or what is wrong. The checksum's offsets
   * then lie inside the frame. `headerLength` is not looked at: it is a hint that need not be right (5.1.6.4.2).
   */
  static strip(frame: Frame): DropReason | undefined {
    const { start } = frame;
    if (frame.end - start < VIRTIO_NET_HEADER) return DropReason.EthernetTruncated;
    frame.start = start + VIRTIO_NET_HEADER;
    frame.checksum = ChecksumState.None;
    frame.gsoType = GsoType.None;
    frame.gsoSize = 0;
    const { view } = frame.slab;
    // Most small frames: nothing left to do, nothing known.
    const word = view.getUint32(start);
    if (word === 0) return undefined;
    const flags = word >>> 24;
    if ((flags & VirtioNetFlag.NeedsChecksum) !== 0) {
      frame.checksum = ChecksumState.Partial;
      frame.checksumStart = frame.start + view.getUint16(start + CHECKSUM_START, true);
      frame.checksumField = frame.checksumStart + view.getUint16(start + CHECKSUM_OFFSET, true);
      if (frame.checksumField + 2 > frame.end) return DropReason.EthernetTruncated;
    } else if ((flags & VirtioNetFlag.DataValid) !== 0) {
      frame.checksum = ChecksumState.Valid;
    }
    const type = (word >>> 16) & 0xff & ~VIRTIO_NET_GSO_ECN;
    const size = view.getUint16(start + GSO_SIZE, true);
    if (isGsoType(type) && size > 0) {
      frame.gsoType = type;
      frame.gsoSize = type === GsoType.None ? 0 : size;
    }
    return undefined;
  }

  get flags(): number {
    return this.frame.slab.view.getUint8(this.offset + FLAGS);
  }
  /** `GsoType`, possibly with {@link VIRTIO_NET_GSO_ECN}. */
  get gsoType(): number {
    return this.frame.slab.view.getUint8(this.offset + GSO_TYPE);
  }
  get headerLength(): number {
    return this.frame.slab.view.getUint16(this.offset + HEADER_LENGTH, true);
  }
  get gsoSize(): number {
    return this.frame.slab.view.getUint16(this.offset + GSO_SIZE, true);
  }
  get checksumStart(): number {
    return this.frame.slab.view.getUint16(this.offset + CHECKSUM_START, true);
  }
  get checksumOffset(): number {
    return this.frame.slab.view.getUint16(this.offset + CHECKSUM_OFFSET, true);
  }
  get buffers(): number {
    return this.frame.slab.view.getUint16(this.offset + BUFFERS, true);
  }
}

// RFC 9293 3.1: the data offset, and the byte of the flags.
const TCP_DATA_OFFSET = 12;
const TCP_FLAGS = 13;
const TCP_CWR = 0x80;
const UDP_HEADER = 8;

function isTcp(frame: Frame): boolean {
  return frame.gsoType === GsoType.TcpV4 || frame.gsoType === GsoType.TcpV6;
}

/** Where the headers of a super-segment end, whose checksum starts with its transport's header. */
function headersOf(frame: Frame): number {
  if (!isTcp(frame)) return frame.checksumStart + UDP_HEADER;
  return frame.checksumStart + (frame.slab.view.getUint8(frame.checksumStart + TCP_DATA_OFFSET) >>> 4) * 4;
}

function ecnBit(frame: Frame): number {
  if (!isTcp(frame)) return 0;
  const flags = frame.slab.view.getUint8(frame.checksumStart + TCP_FLAGS);
  return (flags & TCP_CWR) === 0 ? 0 : VIRTIO_NET_GSO_ECN;
}

function isGsoType(type: number): type is GsoType {
  return (
    type === GsoType.None ||
    type === GsoType.TcpV4 ||
    type === GsoType.Udp ||
    type === GsoType.TcpV6 ||
    type === GsoType.UdpL4
  );
}
