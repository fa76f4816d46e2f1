/** UDP datagrams (RFC 768), over either IP version. */

import { DropReason } from '../core/drops.js';
import { ChecksumState, type Frame } from '../core/frame.js';
import { complement, fold, sum16 } from './checksum.js';
import { IpProtocol, type IpPacket } from './ip.js';

const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;
export const UDP_LENGTH = 4;
export const UDP_CHECKSUM_OFFSET = 6;
export const UDP_HEADER = 8;

/** A UDP datagram, read in place. Sound once {@link UdpDatagram.check} has found nothing wrong. */
export class UdpDatagram {
  readonly frame: Frame;
  readonly offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  /**
   * What is wrong with the datagram that `packet` carries, or `undefined`. Its checksum is verified (RFC 1122 4.1.3.4).
   *
   * @param mayLackChecksum "no checksum" exists in IPv4 only (RFC 8200 8.1), and for tunnels that say so (RFC 6935)
   */
  static check(packet: IpPacket, mayLackChecksum: boolean = packet.version === 4): DropReason | undefined {
    const { frame } = packet;
    const { view } = frame.slab;
    const offset = frame.start;
    const available = frame.end - offset;
    if (available < UDP_HEADER) return DropReason.UdpTruncated;
    const length = view.getUint16(offset + UDP_LENGTH);
    if (length < UDP_HEADER || length > available) return DropReason.UdpBadLength;
    if (frame.checksum !== ChecksumState.None) return undefined;
    if (view.getUint16(offset + UDP_CHECKSUM_OFFSET) === 0) {
      return mayLackChecksum ? undefined : DropReason.UdpBadChecksum;
    }
    const sum = sum16(view, offset, offset + length, packet.pseudoHeaderSum(IpProtocol.Udp, length));
    return sum === 0xffff ? undefined : DropReason.UdpBadChecksum;
  }

  /** Pushes a header in front of the payload; `pseudoSum` is that of the pseudo-header, its length field included. */
  static emit(frame: Frame, sourcePort: number, destinationPort: number, pseudoSum: number): void {
    const at = pushHeader(frame, sourcePort, destinationPort);
    const { view } = frame.slab;
    // Zero means "none": a sum that comes out zero is sent as all ones (RFC 768).
    view.setUint16(at + UDP_CHECKSUM_OFFSET, complement(sum16(view, at, frame.end, pseudoSum)) || 0xffff);
  }

  /** The same, with the checksum left to the device: of the pseudo-header alone there is the sum. */
  static emitPartial(frame: Frame, sourcePort: number, destinationPort: number, pseudoSum: number): void {
    const at = pushHeader(frame, sourcePort, destinationPort);
    frame.checksum = ChecksumState.Partial;
    frame.checksumStart = at;
    frame.checksumField = at + UDP_CHECKSUM_OFFSET;
    frame.slab.view.setUint16(at + UDP_CHECKSUM_OFFSET, fold(pseudoSum));
  }

  /** The same without a checksum: of a tunnel, whose payload has its own (RFC 768, RFC 6935). */
  static emitUnchecked(frame: Frame, sourcePort: number, destinationPort: number): void {
    pushHeader(frame, sourcePort, destinationPort);
  }

  get sourcePort(): number {
    return this.frame.slab.view.getUint16(this.offset + SOURCE_PORT);
  }
  get destinationPort(): number {
    return this.frame.slab.view.getUint16(this.offset + DESTINATION_PORT);
  }
  /** Header and payload. */
  get length(): number {
    return this.frame.slab.view.getUint16(this.offset + UDP_LENGTH);
  }
  get checksum(): number {
    return this.frame.slab.view.getUint16(this.offset + UDP_CHECKSUM_OFFSET);
  }
  /** Offset of the payload; it ends at `offset + length`, what follows is padding. */
  get payload(): number {
    return this.offset + UDP_HEADER;
  }
}

function pushHeader(frame: Frame, sourcePort: number, destinationPort: number): number {
  const at = frame.push(UDP_HEADER);
  const { view } = frame.slab;
  view.setUint16(at + SOURCE_PORT, sourcePort);
  view.setUint16(at + DESTINATION_PORT, destinationPort);
  view.setUint16(at + UDP_LENGTH, frame.end - at);
  view.setUint16(at + UDP_CHECKSUM_OFFSET, 0);
  return at;
}
