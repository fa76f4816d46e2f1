/**
 * The extension headers of an IPv6 packet, as far as a translator heeds them (RFC 7915 5.1, 5.1.1): where the payload is, the fragment header, and a
 * route that is not at its end. Options are skipped.
 */

import { IpProtocol } from '../../wire/ip.js';
import { IPV6_HEADER, IPV6_NEXT_HEADER } from '../../wire/ipv6.js';
import { extensionLength, FRAGMENT_OFFSET, isExtension, MAX_EXTENSION_HEADERS } from '../../wire/ipv6-extensions.js';

const SEGMENTS_LEFT = 3;
const IDENTIFICATION = 4;

/** There is no such header. */
export const NO_HEADER = -1;

/** What was found by {@link Ipv6Chain.read}: one record serves many packets. */
export class Ipv6Chain {
  /** Offset of what the extension headers are in front of. */
  payload = 0;
  protocol = 0;
  /** Offset of the fragment header, or {@link NO_HEADER}. */
  fragment: number = NO_HEADER;
  /** The fragment header's word of offset and flags, and its identification, signed. */
  fragmentField = 0;
  identification = 0;
  /** Offset of the byte that says how many stations of a route are left, if any are, or {@link NO_HEADER}. */
  segmentsLeft: number = NO_HEADER;
  /** An authentication header, which covers the addresses, or further headers behind the fragment header. */
  isOpaque = false;

  /** Reads the headers of the packet at `network`, of which the bytes up to `end` are there. False where they end early. */
  read(view: DataView, network: number, end: number): boolean {
    this.fragment = this.segmentsLeft = NO_HEADER;
    this.fragmentField = this.identification = 0;
    this.isOpaque = false;
    let at = network + IPV6_HEADER;
    let protocol = view.getUint8(network + IPV6_NEXT_HEADER);
    for (let count = 0; isExtension(protocol); count++) {
      const length = extensionLength(view, protocol, at, end);
      if (length === 0 || count === MAX_EXTENSION_HEADERS) return false;
      this.enter(view, protocol, at);
      const isLaterFragment = (this.fragmentField & 0xfff8) !== 0;
      protocol = view.getUint8(at);
      at += length;
      // What follows is a part of the payload, whatever it is.
      if (isLaterFragment) break;
    }
    if (isExtension(protocol)) this.isOpaque = true;
    this.payload = at;
    this.protocol = protocol;
    return true;
  }

  private enter(view: DataView, protocol: number, at: number): void {
    if (this.fragment !== NO_HEADER || protocol === IpProtocol.Ah) this.isOpaque = true;
    if (protocol === IpProtocol.Fragment) {
      this.fragment = at;
      this.fragmentField = view.getUint16(at + FRAGMENT_OFFSET);
      this.identification = view.getInt32(at + IDENTIFICATION);
    } else if (protocol === IpProtocol.Routing && view.getUint8(at + SEGMENTS_LEFT) !== 0) {
      this.segmentsLeft = at + SEGMENTS_LEFT;
    }
  }
}
