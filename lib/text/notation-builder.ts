/** Makes frames of packet specifications: every length and checksum is right unless the specification wants it wrong. */

import { Ipv4Address, parseIp } from '../core/address.js';
import { UsageError } from '../core/errors.js';
import { Frame, type FramePool } from '../core/frame.js';
import { ArpPacket } from '../wire/arp.js';
import { EthernetFrame, EtherType } from '../wire/ethernet.js';
import { ICMPV4_HEADER, Icmpv4Message, Icmpv4Type } from '../wire/icmpv4.js';
import { Ecn, IpProtocol } from '../wire/ip.js';
import { Ipv4Packet, ipv4PseudoHeaderSum } from '../wire/ipv4.js';
import { TCP_CHECKSUM_OFFSET, TCP_HEADER, TcpSegment } from '../wire/tcp.js';
import { UDP_HEADER, UdpDatagram } from '../wire/udp.js';
import { pushVlanTag } from '../wire/vlan.js';
import { type Ends, type NotationContext, opposite, type SequenceMap } from './notation-context.js';
import {
  type ArpSpec,
  type Direction,
  type IcmpSpec,
  type PacketSpec,
  type PayloadSpec,
  TCP_AE,
  type TcpSpec,
  type UdpSpec,
} from './packet-spec.js';
import { type TcpOptionItem, tcpOptionBytes } from './tcp-option-list.js';

// RFC 1812 4.3.2.3: an error message is at most 576 bytes long.
const QUOTE_LIMIT = 576 - 20 - ICMPV4_HEADER;
const UDP_CHECKSUM_OFFSET = 6;
const ICMP_CHECKSUM_OFFSET = 2;
const IPV4_CHECKSUM_OFFSET = 10;
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
    const frame = this.network(spec, direction, pool);
    const etherType = spec.kind === 'arp' ? EtherType.Arp : spec.kind === 'ether' ? spec.etherType : EtherType.Ipv4;
    if (this.context.linkType === 'ethernet') {
      const macFrom = spec.macFrom ?? this.context.ends(direction).macFrom;
      EthernetFrame.emit(frame, spec.macTo ?? this.context.macTo(spec, direction), macFrom, etherType);
      if (spec.vlan !== undefined) pushVlanTag(frame, { vid: spec.vlan });
    }
    frame.wholeEnd = frame.end;
    return frame;
  }

  private network(spec: PacketSpec, direction: Direction, pool?: FramePool): Frame {
    if (spec.kind === 'arp') return this.arp(spec, direction, pool);
    if (spec.kind === 'ether') return payloadFrame(spec.payload, pool);
    const ends = endsOf(spec, this.context.ends(direction));
    const frame = this.transport(spec, ends, direction, pool);
    const { fragment } = spec;
    // Of a bare IP payload the line shows the fragment's own bytes, of all else the whole packet that it is cut from.
    if (fragment !== undefined && spec.kind !== 'ip') {
      if (fragment.to > frame.length) throw new UsageError('ERR_INVALID_OPTION', 'the fragment ends behind the packet');
      frame.end = frame.start + fragment.to;
      frame.start += fragment.from;
    }
    Ipv4Packet.emit(frame, {
      source: ipv4Of(ends.source),
      destination: ipv4Of(ends.destination),
      protocol: protocolOf(spec),
      tos: (spec.tos ?? 0) | (spec.ecn === undefined ? 0 : ECN_BITS[spec.ecn]),
      ...(spec.ttl === undefined ? {} : { ttl: spec.ttl }),
      identification: spec.ipId ?? 0,
      dontFragment: spec.dontFragment ?? false,
      moreFragments: fragment?.more ?? false,
      fragmentOffset: fragment?.from ?? 0,
    });
    if (spec.badIpChecksum === true) spoil(frame, frame.start + IPV4_CHECKSUM_OFFSET);
    return frame;
  }

  private transport(spec: PacketSpec, ends: Ends, direction: Direction, pool?: FramePool): Frame {
    switch (spec.kind) {
      case 'tcp':
        return this.tcp(spec, ends, direction, pool);
      case 'udp':
        return udp(spec, ends, pool);
      case 'icmp':
        return this.icmp(spec, direction, pool);
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
    const ack = spec.ack === undefined ? 0 : spec.ack + (spec.absoluteAck === true ? 0 : theirs);
    TcpSegment.emit(
      frame,
      {
        sourcePort: ends.sourcePort,
        destinationPort: ends.destinationPort,
        sequence: ((spec.sequence ?? 0) + (spec.absoluteSequence === true ? 0 : ours)) >>> 0,
        acknowledgment: ack >>> 0,
        flags: spec.flags & 0xff,
        window: spec.window ?? 0xffff,
        urgentPointer: spec.urgent ?? 0,
      },
      options.length,
    );
    frame.slab.bytes.set(options, frame.start + TCP_HEADER);
    if ((spec.flags & TCP_AE) !== 0) frame.slab.bytes[frame.start + 12] = (frame.slab.bytes[frame.start + 12] ?? 0) | 1;
    TcpSegment.seal(frame, pseudoSum(ends, IpProtocol.Tcp, frame.length));
    if (spec.badChecksum === true) spoil(frame, frame.start + TCP_CHECKSUM_OFFSET);
    return frame;
  }

  private icmp(spec: IcmpSpec, direction: Direction, pool?: FramePool): Frame {
    const frame =
      spec.quote === undefined
        ? payloadFrame(spec.payload ?? { length: 0, bytes: undefined }, pool)
        : payloadFrame(this.quote(spec.quote, opposite(direction)), pool);
    Icmpv4Message.emit(frame, spec.type, spec.code, restOf(spec));
    if (spec.badChecksum === true) spoil(frame, frame.start + ICMP_CHECKSUM_OFFSET);
    return frame;
  }

  private quote(spec: PacketSpec, direction: Direction): PayloadSpec {
    const quoted = this.network(spec, direction);
    const bytes = quoted.bytes().subarray(0, QUOTE_LIMIT);
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

function udp(spec: UdpSpec, ends: Ends, pool?: FramePool): Frame {
  const frame = payloadFrame(spec.payload, pool);
  const sum = pseudoSum(ends, IpProtocol.Udp, frame.length + UDP_HEADER);
  UdpDatagram.emit(frame, ends.sourcePort, ends.destinationPort, sum);
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
  return spec.kind === 'tcp' ? IpProtocol.Tcp : spec.kind === 'udp' ? IpProtocol.Udp : IpProtocol.Icmp;
}

function pseudoSum(ends: Ends, protocol: number, length: number): number {
  return ipv4PseudoHeaderSum(ipv4Of(ends.source), ipv4Of(ends.destination), protocol, length);
}

function ipv4Of(text: string): number {
  const address = parseIp(text);
  if (address instanceof Ipv4Address) return address.value;
  throw new UsageError('ERR_UNSUPPORTED', 'IPv6 is not implemented yet');
}

/** Makes a checksum wrong, without making it UDP's "none". */
function spoil(frame: Frame, at: number): void {
  const { view } = frame.slab;
  const right = view.getUint16(at);
  view.setUint16(at, right === 1 ? 3 : right ^ 1);
}
