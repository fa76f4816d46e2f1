/**
 * Takes a packet apart as far as it goes, for reading by people: every layer that can be read is there, whatever is wrong with it.
 * Unlike the pipeline it does not stop at a bad checksum or at a length that lies, and it changes nothing. What a capture's
 * snap length cut off is not held against the packet.
 */

import { DropReason } from '../core/drops.js';
import { ChecksumState, Frame } from '../core/frame.js';
import { ARP_LENGTH, ArpPacket } from '../wire/arp.js';
import { fold, sum16 } from '../wire/checksum.js';
import { ETHERNET_HEADER, EthernetFrame, EtherType } from '../wire/ethernet.js';
import { ICMPV4_HEADER, Icmpv4Message } from '../wire/icmpv4.js';
import { IpProtocol } from '../wire/ip.js';
import { IPV4_HEADER, Ipv4Packet } from '../wire/ipv4.js';
import { TCP_HEADER, TcpSegment } from '../wire/tcp.js';
import { UDP_HEADER, UdpDatagram } from '../wire/udp.js';
import { isVlanType, VLAN_TAG, VlanTag } from '../wire/vlan.js';

/** What a checksum is: `unverified` where bytes that it covers are not at hand, `absent` where the sender computed none (UDP). */
export type ChecksumVerdict = 'good' | 'bad' | 'unverified' | 'absent';

/** How a frame starts, and how long it was. */
export interface DissectOptions {
  /** What the frame starts with; default `ethernet`. */
  readonly linkType?: 'ethernet' | 'ip';
  /** Bytes on the wire, where a capture kept fewer. */
  readonly wireLength?: number;
}

/** Names of layers, outermost first. */
export type LayerName = 'eth' | 'vlan' | 'arp' | 'ipv4' | 'ipv6' | 'icmp' | 'udp' | 'tcp';

const IPV6_HEADER = 40;
const IPV6_PAYLOAD_LENGTH = 4;
const LLC_SNAP = 8;

/** The layers of one packet: views, each sound to read. They are valid as long as the frame is. */
export class Dissection {
  readonly layers: LayerName[] = [];
  /** A range of our own over the bytes: what the innermost readable layer carries. */
  readonly frame: Frame;
  ethernet: EthernetFrame | undefined = undefined;
  readonly tags: VlanTag[] = [];
  /** The type of what Ethernet or the innermost tag carries; 0 for 802.3 without SNAP. */
  etherType = 0;
  arp: ArpPacket | undefined = undefined;
  ipv4: Ipv4Packet | undefined = undefined;
  /** Offset of an IPv6 header that is all there. */
  ipv6 = -1;
  icmp: Icmpv4Message | undefined = undefined;
  udp: UdpDatagram | undefined = undefined;
  tcp: TcpSegment | undefined = undefined;
  /** Offset of the two ports of a UDP or TCP header, even if the rest of it is missing; -1 where there are none. */
  ports = -1;
  readonly checksums: Partial<Record<LayerName, ChecksumVerdict>> = {};
  malformed: DropReason | undefined = undefined;
  /** Where the payload of the current layer ends according to the headers; beyond `frame.end` if it was cut. */
  private wholeEnd: number;

  constructor(original: Frame, options: DissectOptions = {}) {
    const frame = new Frame(original.slab, original.base, original.limit);
    frame.start = original.start;
    frame.end = original.end;
    frame.checksum = original.checksum;
    this.frame = frame;
    this.wholeEnd = frame.start + Math.max(frame.length, options.wireLength ?? 0);
    if (options.linkType === 'ip') this.network();
    else this.link();
  }

  /** Bytes of payload behind the innermost readable header, as the headers state it. */
  get payloadLength(): number {
    return Math.max(0, this.wholeEnd - this.frame.start);
  }

  /** Whether `length` bytes are there from `frame.start`; if not, and no capture cut them, says what is wrong. */
  private has(length: number, reason: DropReason): boolean {
    if (this.frame.length >= length) return true;
    if (this.wholeEnd - this.frame.start < length) this.malformed ??= reason;
    return false;
  }

  /** Narrows the range to what is behind a header, up to `end` according to that header. */
  private narrow(header: number, end: number): void {
    this.frame.start += header;
    this.wholeEnd = Math.max(end, this.frame.start);
    this.frame.end = Math.min(this.frame.end, this.wholeEnd);
  }

  private link(): void {
    const { frame } = this;
    if (!this.has(ETHERNET_HEADER, DropReason.EthernetTruncated)) return;
    this.layers.push('eth');
    const header = new EthernetFrame(frame, frame.start);
    this.ethernet = header;
    const stated = header.payloadEnd - frame.start;
    if (header.typeOrLength < 0x600 && !this.has(stated, DropReason.EthernetTruncated)) return;
    this.etherType = header.etherType;
    this.narrow(header.headerLength, header.etherType === 0 ? header.payloadEnd : this.wholeEnd);
    while (isVlanType(this.etherType)) {
      if (!this.has(VLAN_TAG, DropReason.VlanTruncated)) return;
      this.layers.push('vlan');
      const tag = new VlanTag(frame, frame.start);
      this.tags.push(tag);
      this.etherType = tag.etherType;
      this.narrow(VLAN_TAG, this.wholeEnd);
      this.snap();
    }
    if (this.etherType === EtherType.Arp) this.resolution();
    else if (this.etherType === EtherType.Ipv4 || this.etherType === EtherType.Ipv6) this.network();
  }

  /** A tag may also be followed by an 802.3 length and a SNAP header. */
  private snap(): void {
    const { frame } = this;
    const { view } = frame.slab;
    if (this.etherType !== 0 || frame.length < LLC_SNAP) return;
    if (view.getUint32(frame.start) !== 0xaaaa0300 || view.getUint16(frame.start + 4) !== 0) return;
    this.etherType = view.getUint16(frame.start + 6);
    this.narrow(LLC_SNAP, this.wholeEnd);
  }

  private resolution(): void {
    if (!this.has(8, DropReason.ArpTruncated)) return;
    this.layers.push('arp');
    const { frame } = this;
    const { view } = frame.slab;
    // Ethernet and IPv4, with their address lengths; of others only the fact is told.
    if (view.getUint32(frame.start) !== 0x0001_0800 || view.getUint16(frame.start + 4) !== 0x0604) return;
    if (!this.has(ARP_LENGTH, DropReason.ArpTruncated)) return;
    this.arp = new ArpPacket(frame, frame.start);
    this.narrow(ARP_LENGTH, frame.start + ARP_LENGTH);
  }

  private network(): void {
    const { frame } = this;
    if (!this.has(1, DropReason.IpUnknownVersion)) return;
    const version = frame.slab.view.getUint8(frame.start) >>> 4;
    // Which version it should be is known from the link's type; on a bare IP link only the packet tells.
    if (this.etherType === EtherType.Ipv4 || (this.etherType === 0 && version === 4)) this.internet();
    else if (this.etherType === EtherType.Ipv6 || version === 6) this.internet6();
    else this.malformed = DropReason.IpUnknownVersion;
  }

  private internet6(): void {
    const { frame } = this;
    if (!this.has(IPV6_HEADER, DropReason.IpUnknownVersion)) return;
    if (frame.slab.view.getUint8(frame.start) >>> 4 !== 6) {
      this.malformed = DropReason.IpUnknownVersion;
      return;
    }
    this.layers.push('ipv6');
    this.ipv6 = frame.start;
    const end = frame.start + IPV6_HEADER + frame.slab.view.getUint16(frame.start + IPV6_PAYLOAD_LENGTH);
    this.narrow(IPV6_HEADER, end);
  }

  private internet(): void {
    const { frame } = this;
    const { view } = frame.slab;
    if (!this.has(IPV4_HEADER, DropReason.Ipv4Truncated)) return;
    const packet = new Ipv4Packet(frame, frame.start);
    const { headerLength, totalLength } = packet;
    if (view.getUint8(frame.start) >>> 4 !== 4 || headerLength < IPV4_HEADER) {
      this.malformed = DropReason.Ipv4BadHeader;
      return;
    }
    this.layers.push('ipv4');
    this.ipv4 = packet;
    this.checksums.ipv4 = 'unverified';
    if (!this.has(headerLength, DropReason.Ipv4Truncated)) return;
    this.checksums.ipv4 = sum16(view, frame.start, frame.start + headerLength) === 0xffff ? 'good' : 'bad';
    const end = frame.start + totalLength;
    if (totalLength < headerLength || end > this.wholeEnd) this.malformed ??= DropReason.Ipv4Truncated;
    else if (Ipv4Packet.check(frame, frame.start) === DropReason.Ipv4BadOptions) {
      this.malformed ??= DropReason.Ipv4BadOptions;
    }
    this.narrow(headerLength, Math.min(end, this.wholeEnd));
    if (totalLength < headerLength || packet.isFragment) return;
    if (packet.protocol === IpProtocol.Icmp) this.control();
    else if (packet.protocol === IpProtocol.Udp) this.datagram(packet);
    else if (packet.protocol === IpProtocol.Tcp) this.segment(packet);
  }

  private control(): void {
    const { frame } = this;
    if (!this.has(ICMPV4_HEADER, DropReason.Icmpv4Truncated)) return;
    this.layers.push('icmp');
    this.checksums.icmp = this.verdict(this.wholeEnd, 0);
    const wrong = Icmpv4Message.check(frame, frame.start);
    if (wrong !== undefined && wrong !== DropReason.Icmpv4BadChecksum && !this.isCut) this.malformed ??= wrong;
    this.icmp = new Icmpv4Message(frame, frame.start);
    this.narrow(ICMPV4_HEADER, this.wholeEnd);
  }

  private datagram(packet: Ipv4Packet): void {
    const { frame } = this;
    this.findPorts('udp');
    if (!this.has(UDP_HEADER, DropReason.UdpTruncated)) return;
    const datagram = new UdpDatagram(frame, frame.start);
    this.udp = datagram;
    const end = frame.start + datagram.length;
    const possible = datagram.length >= UDP_HEADER && end <= this.wholeEnd;
    if (!possible) this.malformed ??= DropReason.UdpBadLength;
    if (datagram.checksum === 0) this.checksums.udp = 'absent';
    else if (!possible) this.checksums.udp = 'unverified';
    else this.checksums.udp = this.verdict(end, packet.pseudoHeaderSum(IpProtocol.Udp, datagram.length));
    this.narrow(UDP_HEADER, possible ? end : this.wholeEnd);
  }

  private segment(packet: Ipv4Packet): void {
    const { frame } = this;
    this.findPorts('tcp');
    if (!this.has(TCP_HEADER, DropReason.TcpTruncated)) return;
    const segment = new TcpSegment(frame, frame.start);
    this.tcp = segment;
    const { headerLength } = segment;
    const length = this.wholeEnd - frame.start;
    this.checksums.tcp = this.verdict(this.wholeEnd, packet.pseudoHeaderSum(IpProtocol.Tcp, length));
    if (headerLength < TCP_HEADER || headerLength > length) {
      this.malformed ??= DropReason.TcpBadHeader;
      return;
    }
    this.narrow(headerLength, this.wholeEnd);
  }

  private findPorts(layer: LayerName): void {
    if (this.frame.length < 4) return;
    this.layers.push(layer);
    this.ports = this.frame.start;
  }

  private get isCut(): boolean {
    return this.wholeEnd > this.frame.end;
  }

  /** Verifies what covers the range up to `end`, with the sum of a pseudo-header. */
  private verdict(end: number, pseudoSum: number): ChecksumVerdict {
    const { frame } = this;
    if (end > frame.end || frame.checksum === ChecksumState.Partial) return 'unverified';
    return fold(sum16(frame.slab.view, frame.start, end, pseudoSum)) === 0xffff ? 'good' : 'bad';
  }
}
