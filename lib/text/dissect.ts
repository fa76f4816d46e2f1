/**
 * Takes a packet apart as far as it goes, for reading by people: every layer that can be read is there, whatever is wrong with it.
 * Unlike the pipeline it does not stop at a bad checksum or at a length that lies, and it changes nothing. What a capture's
 * snap length cut off is not held against the packet.
 */

import type { Medium } from '../core/device.js';
import { DropReason } from '../core/drops.js';
import { ChecksumState, Frame, GsoType } from '../core/frame.js';
import { ERGOT_ETHER_TYPE, ERGOT_SHIM, shimmedLength } from '../ergot/ethernet-shim.js';
import { describeErgot, type ErgotDescription, type ErgotTextOptions } from '../ergot/frame-description.js';
import { ARP_LENGTH, ArpPacket } from '../wire/arp.js';
import { fold, sum16 } from '../wire/checksum.js';
import { ETHERNET_HEADER, EthernetFrame, EtherType } from '../wire/ethernet.js';
import { ICMPV4_HEADER, Icmpv4Message } from '../wire/icmpv4.js';
import { ICMPV6_HEADER, Icmpv6Message, Icmpv6Type, isNdp } from '../wire/icmpv6.js';
import { HOP_BY_HOP, type IpPacket, IpProtocol } from '../wire/ip.js';
import { IPV4_HEADER, Ipv4Packet, ipv4PseudoHeaderSum } from '../wire/ipv4.js';
import { IPV6_HEADER, Ipv6Packet, ipv6PseudoHeaderSum, readIpv6 } from '../wire/ipv6.js';
import { extensionLength, findPayload } from '../wire/ipv6-extensions.js';
import { checkNdpOptions } from '../wire/ndp-options.js';
import { TCP_HEADER, TcpSegment } from '../wire/tcp.js';
import { UDP_HEADER, UdpDatagram } from '../wire/udp.js';
import { isVlanType, VLAN_TAG, VlanTag } from '../wire/vlan.js';
import { VXLAN_HEADER, VXLAN_PORT, VxlanHeader } from '../wire/vxlan.js';
import { homeAddress, lastStation, lastStop } from './checksum-addresses.js';

/** What a checksum is: `unverified` where bytes that it covers are not at hand, `absent` where the sender computed none (UDP). */
export type ChecksumVerdict = 'good' | 'bad' | 'unverified' | 'absent';

/** How a frame starts, and how long it was. */
export interface DissectOptions {
  /** What the frame starts with; default `ethernet`. */
  readonly linkType?: Medium;
  /** Bytes on the wire, where a capture kept fewer. */
  readonly wireLength?: number;
  /** How frames of ergot are read. */
  readonly ergot?: ErgotDissectOptions;
}

/** How frames of ergot are read, and where there are some that nothing else tells. */
export interface ErgotDissectOptions extends Omit<ErgotTextOptions, 'wireLength'> {
  /** UDP datagrams from or to this port are frames of ergot. Default: none. */
  readonly udpPort?: number;
}

/** Names of layers, outermost first. */
export type LayerName =
  | 'eth'
  | 'vlan'
  | 'arp'
  | 'ipv4'
  | 'ipv6'
  | 'hopopts'
  | 'dstopts'
  | 'routing'
  | 'fragment'
  | 'ah'
  | 'icmp'
  | 'icmpv6'
  | 'udp'
  | 'tcp'
  | 'vxlan'
  | 'ergot';

const EXTENSIONS: ReadonlyMap<number, LayerName> = new Map([
  [HOP_BY_HOP, 'hopopts'],
  [IpProtocol.DestinationOptions, 'dstopts'],
  [IpProtocol.Routing, 'routing'],
  [IpProtocol.Fragment, 'fragment'],
  [IpProtocol.Ah, 'ah'],
]);
/** Bytes in front of the options of discovery messages, or of their group. */
const FIXED_LENGTHS: ReadonlyMap<number, number> = new Map([
  [Icmpv6Type.RouterSolicitation, 8],
  [Icmpv6Type.RouterAdvertisement, 16],
  [Icmpv6Type.NeighbourSolicitation, 24],
  [Icmpv6Type.NeighbourAdvertisement, 24],
  [Icmpv6Type.Redirect, 40],
  [Icmpv6Type.ListenerQuery, 24],
  [Icmpv6Type.ListenerReport, 24],
  [Icmpv6Type.ListenerDone, 24],
]);
const LLC_SNAP = 8;
/** So many frames in frames are told of. */
const DEEPEST = 8;

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
  /** Its extension headers are walked as far as they can be read. */
  ipv6: Ipv6Packet | undefined = undefined;
  icmp: Icmpv4Message | undefined = undefined;
  icmpv6: Icmpv6Message | undefined = undefined;
  udp: UdpDatagram | undefined = undefined;
  tcp: TcpSegment | undefined = undefined;
  vxlan: VxlanHeader | undefined = undefined;
  ergot: ErgotDescription | undefined = undefined;
  /** The frame that a tunnel carries. The range of {@link Dissection.frame} still is the tunnel's payload. */
  inner: Dissection | undefined = undefined;
  /** Offset of the two ports of a UDP or TCP header, even if the rest of it is missing; -1 where there are none. */
  ports = -1;
  readonly checksums: Partial<Record<LayerName, ChecksumVerdict>> = {};
  malformed: DropReason | undefined = undefined;
  /** Offsets of the addresses that checksums are computed of, where these are not the header's. */
  private checksumSource: number | undefined = undefined;
  private checksumDestination: number | 'unknown' | undefined = undefined;
  /** Where the payload of the current layer ends according to the headers; beyond `frame.end` if it was cut. */
  private wholeEnd: number;
  private readonly options: DissectOptions;
  private readonly depth: number;

  /** @param depth in how many frames this one is */
  constructor(original: Frame, options: DissectOptions = {}, depth = 0) {
    this.options = options;
    this.depth = depth;
    const frame = new Frame(original.slab, original.base, original.limit);
    frame.start = original.start;
    frame.end = original.end;
    // A super-segment's checksum is made anew for each of its segments.
    frame.checksum = original.gsoType === GsoType.None ? original.checksum : ChecksumState.Partial;
    this.frame = frame;
    this.wholeEnd = frame.start + Math.max(frame.length, options.wireLength ?? 0);
    const { linkType = 'ethernet' } = options;
    if (linkType === 'ip') this.network();
    else if (linkType === 'ethernet') this.link();
    else this.ergotFrame();
  }

  /** The IP header of either version. */
  get ip(): Ipv4Packet | Ipv6Packet | undefined {
    return this.ipv4 ?? this.ipv6;
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
    else if (this.etherType === ERGOT_ETHER_TYPE) this.shimmed();
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

  /** The frame of ergot that a shim is in front of. Its EtherType is shared by experiments: of others nothing is told. */
  private shimmed(): void {
    const length = shimmedLength(this.frame);
    if (length === undefined) return;
    const end = this.frame.start + ERGOT_SHIM + length;
    if (end > this.wholeEnd) this.malformed ??= DropReason.ErgotTruncated;
    this.narrow(ERGOT_SHIM, Math.min(end, this.wholeEnd));
    this.ergotFrame();
  }

  private ergotFrame(): void {
    this.layers.push('ergot');
    this.ergot = describeErgot(this.frame, { ...this.options.ergot, wireLength: this.payloadLength });
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
    if (!this.has(IPV6_HEADER, DropReason.Ipv6Truncated)) return;
    const packet = new Ipv6Packet(frame, frame.start);
    if (frame.slab.view.getUint8(frame.start) >>> 4 !== 6) {
      this.malformed = DropReason.Ipv6BadHeader;
      return;
    }
    this.layers.push('ipv6');
    this.ipv6 = packet;
    const end = packet.offset + packet.totalLength;
    if (end > this.wholeEnd) this.malformed ??= DropReason.Ipv6Truncated;
    else if (packet.payloadLength === 0 && packet.nextHeader === HOP_BY_HOP) this.malformed = DropReason.Ipv6BadHeader;
    this.narrow(IPV6_HEADER, Math.min(end, this.wholeEnd));
    if (!this.extensions(packet) || packet.isFragment) return;
    if (packet.protocol === IpProtocol.Icmpv6) this.control6(packet);
    else this.transport(packet);
  }

  /** Names the extension headers and steps over them; returns whether the payload's place is known. */
  private extensions(packet: Ipv6Packet): boolean {
    const { frame } = this;
    const { view } = frame.slab;
    const found = findPayload(packet, frame.end);
    const end = packet.offset + packet.headerLength;
    let protocol = packet.nextHeader;
    let at = frame.start;
    const tell = (): void => {
      const name = EXTENSIONS.get(protocol);
      if (name !== undefined) this.layers.push(name);
    };
    while (at < end) {
      tell();
      const length = extensionLength(view, protocol, at, end);
      this.substitute(protocol, at, length);
      protocol = view.getUint8(at);
      at += length;
    }
    // One that is misplaced, or longer than the packet, is there all the same.
    if (!found && frame.end - at >= 8) tell();
    if (!found && !this.isCut) this.malformed ??= DropReason.Ipv6BadExtension;
    this.narrow(end - frame.start, this.wholeEnd);
    return found;
  }

  /** Notes the addresses of an extension header that stand for the header's. */
  private substitute(protocol: number, at: number, length: number): void {
    const { view } = this.frame.slab;
    const [from, to] = [at + 2, at + length];
    if (protocol === IpProtocol.Routing)
      this.checksumDestination = lastStation(view, from, to) ?? this.checksumDestination;
    if (protocol === IpProtocol.DestinationOptions)
      this.checksumSource = homeAddress(view, from, to) ?? this.checksumSource;
  }

  /** The pseudo-header's sum, of the addresses that the sender meant; `undefined` where the packet does not tell them. */
  private pseudoSum(packet: IpPacket, protocol: number, length: number): number | undefined {
    const { ipv4, checksumSource, checksumDestination } = this;
    if (checksumDestination === 'unknown') return undefined;
    if (ipv4 !== undefined) {
      return ipv4PseudoHeaderSum(ipv4.source, lastStop(ipv4) ?? ipv4.destination, protocol, length);
    }
    const { view } = this.frame.slab;
    const source = readIpv6(view, checksumSource ?? packet.sourceOffset);
    const destination = readIpv6(view, checksumDestination ?? packet.destinationOffset);
    return ipv6PseudoHeaderSum(source, destination, protocol, length);
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
    else this.transport(packet);
  }

  private transport(packet: IpPacket): void {
    if (packet.protocol === IpProtocol.Udp) this.datagram(packet);
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

  private control6(packet: Ipv6Packet): void {
    const { frame } = this;
    if (!this.has(ICMPV6_HEADER, DropReason.Icmpv6Truncated)) return;
    this.layers.push('icmpv6');
    const message = new Icmpv6Message(frame, frame.start);
    const length = this.wholeEnd - frame.start;
    this.checksums.icmpv6 = this.verdict(this.wholeEnd, this.pseudoSum(packet, IpProtocol.Icmpv6, length));
    if (!this.isCut) this.malformed ??= unreadable(message);
    this.icmpv6 = message;
    this.narrow(ICMPV6_HEADER, this.wholeEnd);
  }

  private datagram(packet: IpPacket): void {
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
    else this.checksums.udp = this.verdict(end, this.pseudoSum(packet, IpProtocol.Udp, datagram.length));
    this.narrow(UDP_HEADER, possible ? end : this.wholeEnd);
    const { destinationPort, sourcePort } = datagram;
    const { udpPort } = this.options.ergot ?? {};
    if (destinationPort === VXLAN_PORT) this.virtualNetwork();
    else if (udpPort !== undefined && (destinationPort === udpPort || sourcePort === udpPort)) this.ergotFrame();
  }

  private virtualNetwork(): void {
    const { frame, depth } = this;
    if (!this.has(VXLAN_HEADER, DropReason.VxlanTruncated)) return;
    this.layers.push('vxlan');
    this.vxlan = new VxlanHeader(frame, frame.start);
    this.malformed ??= VxlanHeader.check(frame, frame.start);
    if (depth + 1 >= DEEPEST) return;
    const within = new Frame(frame.slab, frame.base, frame.limit);
    within.start = frame.start + VXLAN_HEADER;
    within.end = frame.end;
    within.checksum = frame.checksum;
    const { ergot } = this.options;
    const options = { wireLength: this.wholeEnd - within.start, ...(ergot === undefined ? {} : { ergot }) };
    this.inner = new Dissection(within, options, depth + 1);
  }

  private segment(packet: IpPacket): void {
    const { frame } = this;
    this.findPorts('tcp');
    if (!this.has(TCP_HEADER, DropReason.TcpTruncated)) return;
    const segment = new TcpSegment(frame, frame.start);
    this.tcp = segment;
    const { headerLength } = segment;
    const length = this.wholeEnd - frame.start;
    this.checksums.tcp = this.verdict(this.wholeEnd, this.pseudoSum(packet, IpProtocol.Tcp, length));
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

  /** Verifies what covers the range up to `end`, with the sum of a pseudo-header if that is known. */
  private verdict(end: number, pseudoSum: number | undefined): ChecksumVerdict {
    const { frame } = this;
    if (pseudoSum === undefined || end > frame.end || frame.checksum === ChecksumState.Partial) return 'unverified';
    return fold(sum16(frame.slab.view, frame.start, end, pseudoSum)) === 0xffff ? 'good' : 'bad';
  }
}

/** Why a discovery message cannot be read; unlike the protocols' own checks this does not ask whether to believe it. */
function unreadable(message: Icmpv6Message): DropReason | undefined {
  const { type, frame, offset } = message;
  const options = offset + (FIXED_LENGTHS.get(type) ?? 0);
  if (options > frame.end) return isNdp(type) ? DropReason.NdpTruncated : DropReason.MldTruncated;
  return isNdp(type) && !checkNdpOptions(frame.slab.view, options, frame.end) ? DropReason.NdpBadOption : undefined;
}
