/**
 * Where the headers of a TCP segment or UDP datagram are, read from the packet itself: for those that cut and merge packets, and take no
 * other length on trust.
 */

import { type Frame, NOT_PARSED } from '../core/frame.js';
import { IpProtocol } from './ip.js';
import { IPV4_FRAGMENT, IPV4_HEADER, IPV4_PROTOCOL, IPV4_TOTAL_LENGTH } from './ipv4.js';
import { IPV6_HEADER, IPV6_NEXT_HEADER, IPV6_PAYLOAD_LENGTH } from './ipv6.js';
import { extensionLength, isExtension, MAX_EXTENSION_HEADERS } from './ipv6-extensions.js';
import { TCP_DATA_OFFSET, TCP_HEADER } from './tcp.js';
import { UDP_HEADER } from './udp.js';

const FRAGMENT = 0x3fff;
const SEGMENTS_LEFT = 3;

/** The places of one packet's headers, as {@link TransportHeaders.find} left them: one record serves many packets. */
export class TransportHeaders {
  /** Of the IP header. */
  network: number = NOT_PARSED;
  version: 4 | 6 = 4;
  protocol = 0;
  /** Of the transport's header, behind options and extension headers. */
  transport: number = NOT_PARSED;
  /** Of the payload. */
  payload: number = NOT_PARSED;
  /** End of the IP packet; a frame may go on with padding. */
  end = 0;

  /**
   * Finds the headers of the packet whose IP header is at `network`. False where that is not a whole packet of TCP or UDP with all of its
   * headers in the frame, where it is a fragment, or where a route or an authentication header (RFC 4302) would make the segments of it
   * others than their headers say.
   */
  find(frame: Frame, network: number): boolean {
    if (network < frame.start || frame.end - network < IPV4_HEADER) return false;
    const version = frame.slab.view.getUint8(network) >>> 4;
    this.network = network;
    if (version === 4) return this.find4(frame) && this.findPayload(frame);
    if (version === 6) return this.find6(frame) && this.findPayload(frame);
    return false;
  }

  /** Takes over what another record holds. */
  copy(other: TransportHeaders): void {
    this.network = other.network;
    this.version = other.version;
    this.protocol = other.protocol;
    this.transport = other.transport;
    this.payload = other.payload;
    this.end = other.end;
  }

  /** The packet was moved by so many bytes. */
  shift(by: number): void {
    this.network += by;
    this.transport += by;
    this.payload += by;
    this.end += by;
  }

  private find4(frame: Frame): boolean {
    const { network } = this;
    const { view } = frame.slab;
    const headerLength = (view.getUint8(network) & 0x0f) * 4;
    const totalLength = view.getUint16(network + IPV4_TOTAL_LENGTH);
    if (headerLength < IPV4_HEADER || totalLength < headerLength || totalLength > frame.end - network) return false;
    this.version = 4;
    this.protocol = view.getUint8(network + IPV4_PROTOCOL);
    this.transport = network + headerLength;
    this.end = network + totalLength;
    return (view.getUint16(network + IPV4_FRAGMENT) & FRAGMENT) === 0;
  }

  private find6(frame: Frame): boolean {
    const { network } = this;
    if (frame.end - network < IPV6_HEADER) return false;
    const { view } = frame.slab;
    const end = network + IPV6_HEADER + view.getUint16(network + IPV6_PAYLOAD_LENGTH);
    if (end > frame.end) return false;
    let protocol = view.getUint8(network + IPV6_NEXT_HEADER);
    let at = network + IPV6_HEADER;
    for (let count = 0; isExtension(protocol); count++) {
      if (protocol === IpProtocol.Fragment || protocol === IpProtocol.Ah) return false;
      const length = extensionLength(view, protocol, at, end);
      if (length === 0 || count === MAX_EXTENSION_HEADERS) return false;
      if (protocol === IpProtocol.Routing && view.getUint8(at + SEGMENTS_LEFT) !== 0) return false;
      protocol = view.getUint8(at);
      at += length;
    }
    this.version = 6;
    this.protocol = protocol;
    this.transport = at;
    this.end = end;
    return true;
  }

  private findPayload(frame: Frame): boolean {
    const { transport, end } = this;
    if (this.protocol === IpProtocol.Udp) {
      this.payload = transport + UDP_HEADER;
      return this.payload <= end;
    }
    if (this.protocol !== IpProtocol.Tcp || end - transport < TCP_HEADER) return false;
    this.payload = transport + (frame.slab.view.getUint8(transport + TCP_DATA_OFFSET) >>> 4) * 4;
    return this.payload - transport >= TCP_HEADER && this.payload <= end;
  }
}
