/** Ethernet II frames (IEEE 802.3 3.2, RFC 894), and recognition of 802.3/LLC/SNAP ones (RFC 1042). */

import { DropReason } from '../core/drops.js';
import { type Frame, FrameView } from '../core/frame.js';

const DESTINATION = 0;
const SOURCE = 6;
const TYPE = 12;
const LLC = 14;
export const ETHERNET_HEADER = 14;
/** A frame is at least this long on the wire, without its check sequence (IEEE 802.3 3.2.8). */
export const ETHERNET_MINIMUM = 60;

/** That of a MAC address's first byte, in its upper 16 bits. */
const GROUP_BIT = 0x100;
/** Below this, the type field is an 802.3 length (IEEE 802.3 3.2.6). */
export const ETHERNET_FIRST_TYPE = 0x600;
const LLC_SNAP_HEADER = 8;

/** EtherTypes (IANA). */
export const EtherType = {
  Ipv4: 0x0800,
  Arp: 0x0806,
  Vlan: 0x8100,
  Ipv6: 0x86dd,
  QinQ: 0x88a8,
} as const;

/** Reads the 48 bits at `at` as a number. */
export function readMac(view: DataView, at: number): number {
  return view.getUint16(at) * 0x1_0000_0000 + view.getUint32(at + 2);
}

/** Writes a 48-bit number. */
export function writeMac(view: DataView, at: number, mac: number): void {
  view.setUint16(at, mac / 0x1_0000_0000);
  // It takes the number modulo 2^32.
  view.setUint32(at + 2, mac);
}

/** A packet as a link layer hands it to IP, whatever the medium. */
export interface LinkPacket {
  readonly frame: Frame;
  readonly etherType: number;
}

/** An Ethernet frame, read in place. Sound once {@link EthernetFrame.check} has found nothing wrong. */
export class EthernetFrame implements LinkPacket {
  readonly frame: Frame;
  offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  /** The same as the constructor, with the frame's own view where it is free: for the path of every frame. */
  static of(frame: Frame, offset: number): EthernetFrame {
    if ((frame.views & FrameView.Link) !== 0) return new EthernetFrame(frame, offset);
    frame.views |= FrameView.Link;
    const kept = frame.linkView;
    if (kept instanceof EthernetFrame) {
      kept.offset = offset;
      return kept;
    }
    const made = new EthernetFrame(frame, offset);
    frame.linkView = made;
    return made;
  }

  /** What is wrong with the header at `offset`, or `undefined`. */
  static check(frame: Frame, offset: number): DropReason | undefined {
    const available = frame.end - offset;
    if (available < ETHERNET_HEADER) return DropReason.EthernetTruncated;
    const type = frame.slab.view.getUint16(offset + TYPE);
    if (type < ETHERNET_FIRST_TYPE && type > available - ETHERNET_HEADER) return DropReason.EthernetTruncated;
    const { view } = frame.slab;
    const high = view.getUint16(offset + SOURCE);
    const isBad = (high & GROUP_BIT) !== 0 || (high === 0 && view.getUint32(offset + SOURCE + 2) === 0);
    return isBad ? DropReason.EthernetBadSource : undefined;
  }

  /** Pushes a header in front of the frame. Padding to the minimum is left to `Frame.pad`. */
  static emit(frame: Frame, destination: number, source: number, etherType: number): void {
    const at = frame.push(ETHERNET_HEADER);
    const { view } = frame.slab;
    writeMac(view, at + DESTINATION, destination);
    writeMac(view, at + SOURCE, source);
    view.setUint16(at + TYPE, etherType);
    frame.link = at;
  }

  /** The same with addresses in two parts each, the upper 16 bits and the lower 32, signed or not: for the path of every packet. */
  static push(frame: Frame, toHigh: number, toLow: number, fromHigh: number, fromLow: number, etherType: number): void {
    const at = frame.push(ETHERNET_HEADER);
    const { view } = frame.slab;
    view.setUint32(at + DESTINATION, (toHigh << 16) | (toLow >>> 16));
    view.setUint32(at + DESTINATION + 4, (toLow << 16) | (fromHigh & 0xffff));
    view.setUint32(at + SOURCE + 2, fromLow);
    view.setUint16(at + TYPE, etherType);
    frame.link = at;
  }

  get destination(): number {
    return readMac(this.frame.slab.view, this.offset + DESTINATION);
  }
  get source(): number {
    return readMac(this.frame.slab.view, this.offset + SOURCE);
  }
  /** The type field as it stands: an EtherType, or the length of an 802.3 frame. */
  get typeOrLength(): number {
    return this.frame.slab.view.getUint16(this.offset + TYPE);
  }
  /** Whether this is an 802.3 frame with a SNAP header that carries an EtherType. */
  get isSnap(): boolean {
    const { view } = this.frame.slab;
    const length = this.typeOrLength;
    if (length >= ETHERNET_FIRST_TYPE || length < LLC_SNAP_HEADER) return false;
    const at = this.offset + LLC;
    return view.getUint32(at) === 0xaaaa0300 && view.getUint16(at + 4) === 0;
  }
  /** The payload's EtherType, also from a SNAP header; 0 for other 802.3 frames. */
  get etherType(): number {
    const type = this.typeOrLength;
    if (type >= ETHERNET_FIRST_TYPE) return type;
    return this.isSnap ? this.frame.slab.view.getUint16(this.offset + LLC + 6) : 0;
  }
  /** Bytes up to the payload. */
  get headerLength(): number {
    return this.isSnap ? ETHERNET_HEADER + LLC_SNAP_HEADER : ETHERNET_HEADER;
  }
  /** End of the payload: an 802.3 frame states its length, so that padding shows; the payload's header does it in the others. */
  get payloadEnd(): number {
    const length = this.typeOrLength;
    return length < ETHERNET_FIRST_TYPE ? this.offset + ETHERNET_HEADER + length : this.frame.end;
  }
}
