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

/** A virtio-net header, read in place. Sound once {@link VirtioNetHeader.check} has found nothing wrong. */
export class VirtioNetHeader implements VirtioNetFields {
  readonly frame: Frame;
  readonly offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  /** What is wrong with the header at `offset`, or `undefined`: afterwards its checksum offsets lie inside the frame. */
  static check(frame: Frame, offset: number): DropReason | undefined {
    const room = frame.end - offset - VIRTIO_NET_HEADER;
    if (room < 0) return DropReason.EthernetTruncated;
    const { view } = frame.slab;
    if ((view.getUint8(offset + FLAGS) & VirtioNetFlag.NeedsChecksum) === 0) return undefined;
    const field = view.getUint16(offset + CHECKSUM_START, true) + view.getUint16(offset + CHECKSUM_OFFSET, true);
    return field + 2 > room ? DropReason.EthernetTruncated : undefined;
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

  /**
   * Pushes the header that says what the metadata of the frame says: its partial checksum and its segmentation.
   *
   * @param headerLength bytes of headers in front of a super-segment's payload; a hint, 0 where unknown
   */
  static emitFor(frame: Frame, headerLength = 0): void {
    const at = frame.push(VIRTIO_NET_HEADER);
    const { view } = frame.slab;
    const start = at + VIRTIO_NET_HEADER;
    const partial = frame.checksum === ChecksumState.Partial;
    const segmented = frame.gsoType !== GsoType.None;
    view.setUint8(at + FLAGS, partial ? VirtioNetFlag.NeedsChecksum : 0);
    view.setUint8(at + GSO_TYPE, frame.gsoType);
    view.setUint16(at + HEADER_LENGTH, segmented ? headerLength : 0, true);
    view.setUint16(at + GSO_SIZE, segmented ? frame.gsoSize : 0, true);
    view.setUint16(at + CHECKSUM_START, partial ? frame.checksumStart - start : 0, true);
    view.setUint16(at + CHECKSUM_OFFSET, partial ? frame.checksumField - frame.checksumStart : 0, true);
    view.setUint16(at + BUFFERS, 0, true);
  }

  /** Takes the header off: the frame starts behind it, and its metadata say what the header said. */
  strip(): void {
    const { frame } = this;
    const start = this.offset + VIRTIO_NET_HEADER;
    const { flags } = this;
    frame.start = start;
    frame.checksum = ChecksumState.None;
    if ((flags & VirtioNetFlag.NeedsChecksum) !== 0) {
      frame.checksum = ChecksumState.Partial;
      frame.checksumStart = start + this.checksumStart;
      frame.checksumField = frame.checksumStart + this.checksumOffset;
    } else if ((flags & VirtioNetFlag.DataValid) !== 0) {
      frame.checksum = ChecksumState.Valid;
    }
    const type = this.gsoType & ~VIRTIO_NET_GSO_ECN;
    frame.gsoType = isGsoType(type) ? type : GsoType.None;
    frame.gsoSize = frame.gsoType === GsoType.None ? 0 : this.gsoSize;
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

function isGsoType(type: number): type is GsoType {
  return (
    type === GsoType.None ||
    type === GsoType.TcpV4 ||
    type === GsoType.Udp ||
    type === GsoType.TcpV6 ||
    type === GsoType.UdpL4
  );
}
