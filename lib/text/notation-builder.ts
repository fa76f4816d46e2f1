/** Makes frames of packet specifications: every length and checksum is right unless the specification wants it wrong. */

import { type IpAddress, type IpVersion, Ipv4Address, Ipv6Address, parseIp } from '../core/address.js';
import { UsageError } from '../core/errors.js';
import { Frame, type FramePool } from '../core/frame.js';
import { ArpPacket } from '../wire/arp.js';
import { EthernetFrame, EtherType } from '../wire/ethernet.js';
import { ICMPV4_HEADER, Icmpv4Message, Icmpv4Type } from '../wire/icmpv4.js';
import { ICMPV6_CHECKSUM_OFFSET, ICMPV6_HEADER, Icmpv6Message, isNdp } from '../wire/icmpv6.js';
import { Ecn, HOP_BY_HOP, IpProtocol } from '../wire/ip.js';
import { Ipv4Packet, ipv4PseudoHeaderSum } from '../wire/ipv4.js';
import { IPV6_HEADER, IPV6_MINIMUM_MTU, Ipv6Packet, ipv6PseudoHeaderSum, readIpv6 } from '../wire/ipv6.js';
import { FragmentHeader } from '../wire/ipv6-extensions.js';
import { NDP_HOP_LIMIT } from '../wire/ndp.js';
import { TCP_CHECKSUM_OFFSET, TCP_HEADER, TCP_MAX_HEADER, TcpSegment } from '../wire/tcp.js';
import { UDP_HEADER, UdpDatagram } from '../wire/udp.js';
import { homeAddress, lastStation } from './checksum-addresses.js';
import { icmpv6Payload, icmpv6Rest } from './notation-icmpv6.js';
import { type Ends, type NotationContext, opposite, type SequenceMap } from './notation-context.js';
import { etherRefusal, ipRefusal, linkRefusal } from './notation-refusal.js';
import { pushTags } from './notation-vlan.js';
import {
  type ArpSpec,
  type Direction,
  type ExtensionSpec,
  type IcmpSpec,
  type PacketSpec,
  type PayloadSpec,
  type TcpSpec,
  type UdpSpec,
} from './packet-spec.js';
import { type TcpOptionItem, tcpOptionBytes } from './tcp-option-list.js';

// RFC 1812 4.3.2.3: an error message is at most 576 bytes long.
const QUOTE_LIMIT = 576 - 20 - ICMPV4_HEADER;
// RFC 4443 2.4 c: not longer than the minimum MTU.
const QUOTE_LIMIT6 = IPV6_MINIMUM_MTU - IPV6_HEADER - ICMPV6_HEADER;
const UDP_CHECKSUM_OFFSET = 6;
const ICMP_CHECKSUM_OFFSET = 2;
const IPV4_CHECKSUM_OFFSET = 10;
const MAX_OPTIONS = TCP_MAX_HEADER - TCP_HEADER;
const ECN_BITS = { noecn: Ecn.NotEct, ect0: Ecn.Ect0, ect1: Ecn.Ect1, ect01: Ecn.Ect0, ce: Ecn.Ce } as const;

/** Builds frames for one context. */
export class PacketBuilder {
  private readonly context: NotationContext;
  private readonly sequences: SequenceMap;

  constructor(context: NotationContext, sequences: SequenceMap) {
    this.context = context;
    this.sequences = sequences;
  }

  /** Builds the frame of `spec` as sent in `direction`, in memory of its own or of `pool`. */
  build(spec: PacketSpec, direction: Direction, pool?: FramePool): Frame {
    const isEthernet = this.context.linkType === 'ethernet';
    if (!isEthernet) refuse(linkRefusal(spec));
    const frame = this.network(spec, direction, pool);
    if (isEthernet) {
      const etherType = this.etherType(spec, direction);
      const macFrom = spec.macFrom ?? this.context.ends(direction).macFrom;
      EthernetFrame.emit(frame, spec.macTo ?? this.context.macTo(spec, direction), macFrom, etherType);
      pushTags(frame, spec.tags ?? []);
    }
    frame.wholeEnd = frame.end;
    return frame;
  }

  private network(spec: PacketSpec, direction: Direction, pool?: FramePool): Frame {
    if (spec.kind === 'arp' || spec.kind === 'ether') {
      refuse(etherRefusal(spec));
      return spec.kind === 'arp' ? this.arp(spec, direction, pool) : payloadFrame(spec.payload, pool);
    }
    const ends = this.ends(spec, direction);
    const version = versionOf(spec, ends);
    refuse(ipRefusal(spec, version));
    const frame = this.transport(spec, ends, direction, pool);
    const { fragment } = spec;
    // Of a bare IP payload the line shows the fragment's own bytes, of all else the whole packet that it is cut from.
    if (fragment !== undefined && spec.kind !== 'ip') {
      if (fragment.to > frame.length) throw new UsageError('ERR_INVALID_OPTION', 'the fragment ends behind the packet');
      frame.end = frame.start + fragment.to;
      frame.start += fragment.from;
    }
    if (version === 6) pushIpv6(spec, ends, frame);
    else pushIpv4(spec, ends, frame);
    return frame;
  }

  private etherType(spec: PacketSpec, direction: Direction): number {
    if (spec.kind === 'arp') return EtherType.Arp;
    if (spec.kind === 'ether') return spec.etherType;
    return versionOf(spec, this.ends(spec, direction)) === 6 ? EtherType.Ipv6 : EtherType.Ipv4;
  }

  private ends(spec: PacketSpec, direction: Direction): Ends {
    const defaults = this.context.ends(direction);
    return endsOf(spec, { ...defaults, destination: this.context.destination(spec, direction) });
  }

  private transport(spec: PacketSpec, ends: Ends, direction: Direction, pool?: FramePool): Frame {
    switch (spec.kind) {
      case 'tcp':
        return this.tcp(spec, ends, direction, pool);
      case 'udp':
        return udp(spec, ends, pool);
      case 'icmp':
        return this.icmp(spec, direction, pool);
      case 'icmpv6':
        return this.icmpv6(spec, ends, direction, pool);
      case 'ip':
      case 'ether':
        return payloadFrame(spec.payload, pool);
      case 'arp':
        return this.arp(spec, direction, pool);
    }
  }

  private tcp(spec: TcpSpec, ends: Ends, direction: Direction, pool?: FramePool): Frame {
    const frame = payloadFrame(spec.payload, pool);
    const ours = this.sequences.offset(direction, ends);
    const theirs = this.sequences.offset(opposite(direction), reversed(ends));
    const options =
      typeof spec.options === 'object' ? tcpOptionBytes(shifted(spec.options, theirs)) : new Uint8Array(0);
    if (options.length > MAX_OPTIONS) {
      throw new UsageError(
        'ERR_INVALID_OPTION',
        `TCP options of ${options.length} bytes are longer than ${MAX_OPTIONS}`,
      );
    }
    const sequence = ((spec.sequence ?? 0) + (spec.absoluteSequence === true ? 0 : ours)) >>> 0;
    const ack = spec.ack === undefined ? 0 : spec.ack + (spec.absoluteAck === true ? 0 : theirs);
    if (direction === '<') this.sequences.pass(direction, ends, spec.flags, sequence);
    TcpSegment.emit(
      frame,
      {
        sourcePort: ends.sourcePort,
        destinationPort: ends.destinationPort,
        sequence,
        acknowledgment: ack >>> 0,
        flags: spec.flags,
        window: spec.window ?? 0xffff,
        urgentPointer: spec.urgent ?? 0,
      },
      options.length,
    );
    frame.slab.bytes.set(options, frame.start + TCP_HEADER);
    TcpSegment.seal(frame, pseudoSum(spec, ends, IpProtocol.Tcp, frame.length));
    if (spec.badChecksum === true) spoil(frame, frame.start + TCP_CHECKSUM_OFFSET);
    return frame;
  }

  private icmp(spec: IcmpSpec, direction: Direction, pool?: FramePool): Frame {
    const frame =
      spec.quote === undefined
        ? payloadFrame(spec.payload ?? { length: 0, bytes: undefined }, pool)
        : payloadFrame(this.quote(spec.quote, opposite(direction), QUOTE_LIMIT), pool);
    Icmpv4Message.emit(frame, spec.type, spec.code, restOf(spec));
    if (spec.badChecksum === true) spoil(frame, frame.start + ICMP_CHECKSUM_OFFSET);
    return frame;
  }

  private icmpv6(spec: IcmpSpec, ends: Ends, direction: Direction, pool?: FramePool): Frame {
    const payload =
      spec.quote === undefined ? icmpv6Payload(spec) : this.quote(spec.quote, opposite(direction), QUOTE_LIMIT6);
    const frame = payloadFrame(payload, pool);
    const sum = pseudoSum(spec, ends, IpProtocol.Icmpv6, frame.length + ICMPV6_HEADER);
    Icmpv6Message.emit(frame, spec.type, spec.code, icmpv6Rest(spec), sum);
    if (spec.badChecksum === true) spoil(frame, frame.start + ICMPV6_CHECKSUM_OFFSET);
    return frame;
  }

  private quote(spec: PacketSpec, direction: Direction, limit: number): PayloadSpec {
    refuse(linkRefusal(spec));
    const quoted = this.network(spec, direction);
    const bytes = quoted.bytes().subarray(0, limit);
    return { length: bytes.length, bytes };
  }

  private arp(spec: ArpSpec, direction: Direction, pool?: FramePool): Frame {
    const ends = this.context.ends(direction);
    const frame = payloadFrame({ length: 0, bytes: undefined }, pool);
    const reply = spec.operation !== 1;
    ArpPacket.emit(frame, {
      operation: spec.operation,
      senderMac: spec.senderMac ?? spec.macFrom ?? ends.macFrom,
      senderIp: ipv4Of(spec.senderIp),
      targetMac: spec.targetMac ?? (reply ? (spec.macTo ?? ends.macTo) : 0),
      targetIp: ipv4Of(spec.targetIp ?? spec.to ?? ends.destination),
    });
    return frame;
  }
}

/** Addresses and ports of a packet: its own words first, then the context's. */
export function endsOf(spec: PacketSpec, ends: Ends): Ends {
  const ports = spec.kind === 'tcp' || spec.kind === 'udp' ? spec : undefined;
  return {
    ...ends,
    source: spec.from ?? ends.source,
    destination: spec.to ?? ends.destination,
    sourcePort: ports?.sourcePort ?? ends.sourcePort,
    destinationPort: ports?.destinationPort ?? ends.destinationPort,
  };
}

export function reversed(ends: Ends): Ends {
  return {
    source: ends.destination,
    destination: ends.source,
    sourcePort: ends.destinationPort,
    destinationPort: ends.sourcePort,
    macFrom: ends.macTo,
    macTo: ends.macFrom,
  };
}

/** SACK blocks with their edges moved. */
export function shifted(items: readonly TcpOptionItem[], by: number): readonly TcpOptionItem[] {
  if (by === 0) return items;
  const move = (edge: number): number => (edge + by) >>> 0;
  return items.map((item) =>
    item.kind === 'sack'
      ? { kind: 'sack', blocks: item.blocks.map(([left, right]) => [move(left), move(right)] as const) }
      : item,
  );
}

function refuse(refusal: string | undefined): void {
  if (refusal !== undefined) throw new UsageError('ERR_INVALID_OPTION', refusal);
}

function pushIpv4(spec: PacketSpec, ends: Ends, frame: Frame): void {
  const { fragment } = spec;
  Ipv4Packet.emit(frame, {
    source: ipv4Of(ends.source),
    destination: ipv4Of(ends.destination),
    protocol: protocolOf(spec),
    tos: trafficClassOf(spec),
    ...(spec.ttl === undefined ? {} : { ttl: spec.ttl }),
    identification: spec.ipId ?? 0,
    dontFragment: spec.dontFragment ?? false,
    moreFragments: fragment?.more ?? false,
    fragmentOffset: fragment?.from ?? 0,
  });
  if (spec.badIpChecksum === true) spoil(frame, frame.start + IPV4_CHECKSUM_OFFSET);
}

/** The IPv6 header, and behind it the extension headers that the line names and a fragment's. */
function pushIpv6(spec: PacketSpec, ends: Ends, frame: Frame): void {
  const { fragment, extensions = [] } = spec;
  let protocol = protocolOf(spec);
  if (fragment !== undefined) {
    protocol = FragmentHeader.emit(frame, protocol, fragment.from, fragment.more, spec.ipId ?? 0);
  }
  for (const extension of extensions.toReversed()) protocol = pushExtension(frame, protocol, extension);
  const isDiscovery = spec.kind === 'icmpv6' && isNdp(spec.type);
  Ipv6Packet.emit(frame, {
    source: ipv6Of(ends.source),
    destination: ipv6Of(ends.destination),
    protocol,
    hopLimit: spec.ttl ?? (isDiscovery ? NDP_HOP_LIMIT : 64),
    trafficClass: trafficClassOf(spec),
    flowLabel: spec.flowLabel ?? 0,
  });
}

const EXTENSION_PROTOCOLS = {
  hopopts: HOP_BY_HOP,
  dstopts: IpProtocol.DestinationOptions,
  routing: IpProtocol.Routing,
  ah: IpProtocol.Ah,
} as const;

function pushExtension(frame: Frame, nextHeader: number, { kind, data }: ExtensionSpec): number {
  const length = data.length + 2;
  const at = frame.push(length);
  const { bytes } = frame.slab;
  bytes[at] = nextHeader;
  bytes[at + 1] = kind === 'ah' ? length / 4 - 2 : length / 8 - 1;
  bytes.set(data, at + 2);
  return EXTENSION_PROTOCOLS[kind];
}

function trafficClassOf(spec: PacketSpec): number {
  const { tos = 0, ecn } = spec;
  return ecn === undefined ? tos : (tos & ~3) | ECN_BITS[ecn];
}

function versionOf(spec: PacketSpec, ends: Ends): IpVersion {
  const { version } = parseIp(ends.source);
  if (parseIp(ends.destination).version !== version) {
    throw new UsageError('ERR_INVALID_ADDRESS', `a packet cannot go from ${ends.source} to ${ends.destination}`);
  }
  if (spec.kind === (version === 4 ? 'icmpv6' : 'icmp')) {
    throw new UsageError('ERR_INVALID_OPTION', `${spec.kind} does not go over IPv${version}`);
  }
  return version;
}

function ipv6Of(text: string): Ipv6Address {
  const address: IpAddress = parseIp(text);
  if (address instanceof Ipv6Address) return address;
  throw new UsageError('ERR_INVALID_ADDRESS', `not an IPv6 address: ${text}`);
}

function udp(spec: UdpSpec, ends: Ends, pool?: FramePool): Frame {
  const frame = payloadFrame(spec.payload, pool);
  const { sourcePort, destinationPort } = ends;
  if (spec.noChecksum === true) {
    UdpDatagram.emitUnchecked(frame, sourcePort, destinationPort);
    return frame;
  }
  const sum = pseudoSum(spec, ends, IpProtocol.Udp, frame.length + UDP_HEADER);
  UdpDatagram.emit(frame, sourcePort, destinationPort, sum);
  if (spec.badChecksum === true) spoil(frame, frame.start + UDP_CHECKSUM_OFFSET);
  return frame;
}

function payloadFrame(payload: PayloadSpec, pool?: FramePool): Frame {
  const length = payload.length ?? 0;
  const frame = pool === undefined ? Frame.from(new Uint8Array(length)) : pool.alloc(length);
  if (pool !== undefined) frame.slab.bytes.fill(0, frame.put(length), frame.end);
  if (payload.bytes instanceof Uint8Array) frame.slab.bytes.set(payload.bytes, frame.start);
  return frame;
}

function restOf(spec: IcmpSpec): number {
  if (spec.type === Icmpv4Type.Redirect) return spec.gateway === undefined ? 0 : ipv4Of(spec.gateway);
  if (spec.type === Icmpv4Type.ParameterProblem) return ((spec.pointer ?? 0) << 24) >>> 0;
  if (spec.type === Icmpv4Type.DestinationUnreachable) return spec.mtu ?? 0;
  return (((spec.id ?? 0) << 16) | (spec.seq ?? 0)) >>> 0;
}

function protocolOf(spec: PacketSpec): number {
  if (spec.kind === 'ip') return spec.protocol;
  if (spec.kind === 'tcp') return IpProtocol.Tcp;
  if (spec.kind === 'udp') return IpProtocol.Udp;
  return spec.kind === 'icmpv6' ? IpProtocol.Icmpv6 : IpProtocol.Icmp;
}

/** The pseudo-header's sum, of the addresses that a receiver verifies it with. */
function pseudoSum(spec: PacketSpec, ends: Ends, protocol: number, length: number): number {
  let source = parseIp(ends.source);
  let destination = parseIp(ends.destination);
  for (const { kind, data } of spec.extensions ?? []) {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const station = kind === 'routing' ? lastStation(view, 0, data.length) : undefined;
    if (typeof station === 'number') destination = readIpv6(view, station);
    const home = kind === 'dstopts' ? homeAddress(view, 0, data.length) : undefined;
    if (home !== undefined) source = readIpv6(view, home);
  }
  return source instanceof Ipv6Address && destination instanceof Ipv6Address
    ? ipv6PseudoHeaderSum(source, destination, protocol, length)
    : ipv4PseudoHeaderSum(ipv4Of(ends.source), ipv4Of(ends.destination), protocol, length);
}

function ipv4Of(text: string): number {
  const address = parseIp(text);
  if (address instanceof Ipv4Address) return address.value;
  throw new UsageError('ERR_INVALID_ADDRESS', `not an IPv4 address: ${text}`);
}

/** Makes a checksum wrong, without making it UDP's "none". */
function spoil(frame: Frame, at: number): void {
  const { view } = frame.slab;
  const right = view.getUint16(at);
  view.setUint16(at, right === 1 ? 3 : right ^ 1);
}
