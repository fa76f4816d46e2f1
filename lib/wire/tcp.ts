/** TCP segments (RFC 9293 3.1), over either IP version. Options are in `tcp-options`. */

import { DropReason } from '../core/drops.js';
import { ChecksumState, type Frame } from '../core/frame.js';
import { complement, fold, sum16 } from './checksum.js';
import { IpProtocol, type IpPacket } from './ip.js';

const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;
export const TCP_SEQUENCE = 4;
export const TCP_ACKNOWLEDGMENT = 8;
export const TCP_DATA_OFFSET = 12;
export const TCP_WINDOW = 14;
export const TCP_CHECKSUM_OFFSET = 16;
export const TCP_URGENT = 18;
/** Of the two bytes at {@link TCP_DATA_OFFSET}. */
const FLAGS = 0x1ff;
export const TCP_HEADER = 20;
export const TCP_MAX_HEADER = 60;

/** Control bits. */
export const TcpFlag = {
  Fin: 0x01,
  Syn: 0x02,
  Rst: 0x04,
  Psh: 0x08,
  Ack: 0x10,
  Urg: 0x20,
  Ece: 0x40,
  Cwr: 0x80,
  /** Accurate ECN (RFC 9768), formerly NS: the lowest bit of the byte that holds the data offset. */
  Ae: 0x100,
} as const;

/** The values of a header; sequence numbers are unsigned 32-bit, the window is as it stands in the header (unscaled). */
export interface TcpFields {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly window: number;
  readonly urgentPointer: number;
}

/** A TCP segment, read in place. Sound once {@link TcpSegment.check} has found nothing wrong. */
export class TcpSegment implements TcpFields {
  readonly frame: Frame;
  readonly offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  /** What is wrong with the segment that `packet` carries, or `undefined`. Its checksum is verified (RFC 9293 MUST-3). */
  static check(packet: IpPacket): DropReason | undefined {
    const { frame } = packet;
    const { view } = frame.slab;
    const offset = frame.start;
    const length = frame.end - offset;
    if (length < TCP_HEADER) return DropReason.TcpTruncated;
    const headerLength = (view.getUint8(offset + TCP_DATA_OFFSET) >>> 4) * 4;
    if (headerLength < TCP_HEADER || headerLength > length) return DropReason.TcpBadHeader;
    if (frame.checksum !== ChecksumState.None) return undefined;
    const sum = sum16(view, offset, frame.end, packet.pseudoHeaderSum(IpProtocol.Tcp, length));
    return sum === 0xffff ? undefined : DropReason.TcpBadChecksum;
  }

  /**
   * Pushes a header with room for `optionsLength` bytes of options (a multiple of 4; the caller writes them at
   * `frame.start + TCP_HEADER` and then calls {@link TcpSegment.seal}) in front of the payload.
   */
  static emit(frame: Frame, fields: TcpFields, optionsLength: number): void {
    const at = frame.push(TCP_HEADER + optionsLength);
    const { view } = frame.slab;
    const flags = ((TCP_HEADER + optionsLength) << 10) | fields.flags;
    // By words: each write is looked at by itself, whether it is within the view.
    view.setUint32(at + SOURCE_PORT, (fields.sourcePort << 16) | (fields.destinationPort & 0xffff));
    view.setUint32(at + TCP_SEQUENCE, fields.sequence);
    view.setUint32(at + TCP_ACKNOWLEDGMENT, fields.acknowledgment);
    view.setUint32(at + TCP_DATA_OFFSET, (flags << 16) | (fields.window & 0xffff));
    view.setUint32(at + TCP_CHECKSUM_OFFSET, fields.urgentPointer & 0xffff);
  }

  /** Completes the checksum of the segment that fills the frame; `pseudoSum` is that of the pseudo-header. */
  static seal(frame: Frame, pseudoSum: number): void {
    const at = frame.start;
    frame.slab.view.setUint16(at + TCP_CHECKSUM_OFFSET, complement(sum16(frame.slab.view, at, frame.end, pseudoSum)));
  }

  /** Leaves the checksum to the device: of the pseudo-header alone there is the sum. */
  static leaveChecksum(frame: Frame, pseudoSum: number): void {
    frame.checksum = ChecksumState.Partial;
    frame.checksumStart = frame.start;
    frame.checksumField = frame.start + TCP_CHECKSUM_OFFSET;
    frame.slab.view.setUint16(frame.checksumField, fold(pseudoSum));
  }

  get sourcePort(): number {
    return this.frame.slab.view.getUint16(this.offset + SOURCE_PORT);
  }
  get destinationPort(): number {
    return this.frame.slab.view.getUint16(this.offset + DESTINATION_PORT);
  }
  get sequence(): number {
    return this.frame.slab.view.getUint32(this.offset + TCP_SEQUENCE);
  }
  get acknowledgment(): number {
    return this.frame.slab.view.getUint32(this.offset + TCP_ACKNOWLEDGMENT);
  }
  get headerLength(): number {
    return (this.frame.slab.view.getUint8(this.offset + TCP_DATA_OFFSET) >>> 4) * 4;
  }
  /** The nine control bits, {@link TcpFlag}. */
  get flags(): number {
    return this.frame.slab.view.getUint16(this.offset + TCP_DATA_OFFSET) & FLAGS;
  }
  get window(): number {
    return this.frame.slab.view.getUint16(this.offset + TCP_WINDOW);
  }
  get checksum(): number {
    return this.frame.slab.view.getUint16(this.offset + TCP_CHECKSUM_OFFSET);
  }
  get urgentPointer(): number {
    return this.frame.slab.view.getUint16(this.offset + TCP_URGENT);
  }
  /** Offset of the payload, which ends with the frame. */
  get payload(): number {
    return this.offset + this.headerLength;
  }
}
