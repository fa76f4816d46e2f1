/** Reads frames as packet specifications, in which what goes without saying (the context's addresses and ports) is left out. */

import { Ipv4Address } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import type { Frame } from '../core/frame.js';
import { ArpOperation, type ArpPacket } from '../wire/arp.js';
import type { EthernetFrame } from '../wire/ethernet.js';
import { type Icmpv4Message, type Icmpv4Quote, Icmpv4Type, isIcmpv4Error } from '../wire/icmpv4.js';
import { type Icmpv6Message, type Icmpv6Quote, isIcmpv6Error } from '../wire/icmpv6.js';
import { HOP_BY_HOP, IpProtocol } from '../wire/ip.js';
import type { Ipv4Packet } from '../wire/ipv4.js';
import { IPV6_HEADER, type Ipv6Packet } from '../wire/ipv6.js';
import { extensionLength } from '../wire/ipv6-extensions.js';
import { TCP_HEADER, TcpFlag, type TcpSegment } from '../wire/tcp.js';
import { fragmentOf } from './describe.js';
import { Dissection } from './dissect.js';
import { reversed, shifted } from './notation-builder.js';
import { errorWord, readIcmpv6 } from './notation-icmpv6.js';
import { type Ends, type NotationContext, opposite, type SequenceMap } from './notation-context.js';
import { readTags } from './notation-vlan.js';
import {
  type ArpSpec,
  type Direction,
  type EnvelopeSpec,
  type ExtensionSpec,
  type IcmpSpec,
  type IpSpec,
  type PacketSpec,
  type PayloadSpec,
  type TcpSpec,
  type UdpSpec,
} from './packet-spec.js';
import { payloadData } from './payload-data.js';
import { readTcpOptionList } from './tcp-option-list.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What may be wrong with a tunnel's header, which the line shows as data whatever it says. */
const TUNNEL_FAULTS: ReadonlySet<DropReason> = new Set([DropReason.VxlanTruncated, DropReason.VxlanBadHeader]);

/** Reads frames for one context. */
export class PacketReader {
  private readonly context: NotationContext;
  private readonly sequences: SequenceMap;

  constructor(context: NotationContext, sequences: SequenceMap) {
    this.context = context;
    this.sequences = sequences;
  }

  /** What the frame, sent in `direction`, says; a SYN of ours teaches the map where our sequence numbers begin. Never throws. */
  read(frame: Frame, direction: Direction): PacketSpec {
    const packet = new Dissection(frame, { linkType: this.context.mediumOf(frame) });
    const body = packet.ip === undefined ? linkBody(packet, frame) : this.internet(packet, direction);
    return { ...body, direction, ...this.link(packet, body, direction) };
  }

  private link(packet: Dissection, body: PacketSpec, direction: Direction): EnvelopeSpec {
    const { ethernet, tags } = packet;
    if (ethernet === undefined) return {};
    const { source, destination } = ethernet;
    const target = body.kind === 'arp' && body.operation === ArpOperation.Reply ? body.targetIp : undefined;
    return {
      ...(target === undefined || target === this.context.ends(direction).destination ? {} : { to: target }),
      ...(source === this.context.ends(direction).macFrom ? {} : { macFrom: source }),
      ...(destination === this.context.macTo(body, direction) ? {} : { macTo: destination }),
      ...(tags.length === 0 ? {} : { tags: readTags(tags) }),
    };
  }

  private internet(packet: Dissection, direction: Direction): PacketSpec {
    const { ip, checksums } = packet;
    if (ip === undefined) return { kind: 'ip', protocol: 0, payload: payloadOf(packet.frame) };
    const defaults = this.context.ends(direction);
    const ends = portsOf(packet, {
      ...defaults,
      source: ip.sourceAddress.toString(),
      destination: ip.destinationAddress.toString(),
    });
    const body = this.transport(packet, ip, ends, direction);
    const envelope: Mutable<EnvelopeSpec> = envelopeOf(packet, ip);
    if (ends.source !== defaults.source) envelope.from = ends.source;
    if (ends.destination !== this.context.destination(body, direction)) envelope.to = ends.destination;
    if (checksums.ipv4 === 'bad') envelope.badIpChecksum = true;
    // Of a bare payload, a checksum is among the bytes that the line shows.
    const isBad = [checksums.tcp, checksums.udp, checksums.icmp, checksums.icmpv6].includes('bad');
    if (isBad && body.kind !== 'ip') envelope.badChecksum = true;
    if (checksums.udp === 'absent' && body.kind === 'udp') envelope.noChecksum = true;
    return { ...body, ...envelope };
  }

  private transport(packet: Dissection, ip: Ipv4Packet | Ipv6Packet, ends: Ends, direction: Direction): PacketSpec {
    const { tcp, udp, icmp, icmpv6, frame, malformed } = packet;
    if (malformed !== undefined && !TUNNEL_FAULTS.has(malformed)) return rawIp(ip, frame);
    if (tcp !== undefined) return this.tcp(tcp, frame, ends, direction);
    if (udp !== undefined) return { kind: 'udp', ...shownPorts(ends, undefined), payload: payloadOf(frame) };
    if (icmp !== undefined) return this.icmp(icmp, frame, direction);
    if (icmpv6 !== undefined) return this.icmpv6(icmpv6, frame, direction);
    return rawIp(ip, frame);
  }

  private tcp(tcp: TcpSegment, frame: Frame, ends: Ends, direction: Direction): TcpSpec {
    const { view } = frame.slab;
    const { flags } = tcp;
    this.sequences.pass(direction, ends, flags, tcp.sequence);
    const ours = this.sequences.offset(direction, ends);
    const theirs = this.sequences.offset(opposite(direction), reversed(ends));
    const options = readTcpOptionList(view, tcp.offset + TCP_HEADER, tcp.payload);
    return {
      kind: 'tcp',
      ...shownPorts(ends, this.context.ends(direction)),
      flags,
      sequence: (tcp.sequence - ours) >>> 0,
      payload: payloadOf(frame),
      ...((flags & TcpFlag.Ack) === 0 ? {} : { ack: (tcp.acknowledgment - theirs) >>> 0 }),
      window: tcp.window,
      ...(tcp.urgentPointer === 0 ? {} : { urgent: tcp.urgentPointer }),
      ...(options.length === 0 ? {} : { options: shifted(options, -theirs) }),
    };
  }

  private icmp(icmp: Icmpv4Message, frame: Frame, direction: Direction): IcmpSpec {
    const { type, code } = icmp;
    const spec: Mutable<IcmpSpec> = { kind: 'icmp', type, code };
    if (!isIcmpv4Error(type)) {
      return { ...spec, id: icmp.identifier, seq: icmp.sequence, payload: payloadOf(frame) };
    }
    if (type === Icmpv4Type.DestinationUnreachable && code === 4) spec.mtu = icmp.mtu;
    if (type === Icmpv4Type.ParameterProblem) spec.pointer = icmp.pointer;
    if (type === Icmpv4Type.Redirect) spec.gateway = new Ipv4Address(icmp.rest).toString();
    const { quoted } = icmp;
    if (quoted === undefined) spec.payload = payloadOf(frame);
    else spec.quote = this.quote(quoted, opposite(direction));
    return spec;
  }

  private icmpv6(icmp: Icmpv6Message, frame: Frame, direction: Direction): IcmpSpec {
    const { type, code } = icmp;
    const quoted = isIcmpv6Error(type) ? icmp.quoted : undefined;
    if (quoted === undefined) return readIcmpv6(icmp, frame);
    return { kind: 'icmpv6', type, code, ...errorWord(icmp), quote: this.quote(quoted, opposite(direction)) };
  }

  /** The quoted packet went the other way; only what RFC 792 guarantees to be there is told. */
  private quote(quoted: Icmpv4Quote | Icmpv6Quote, direction: Direction): TcpSpec | UdpSpec | IcmpSpec | IpSpec {
    const { packet, transport, end, ports } = quoted;
    const { frame, totalLength, headerLength, protocol } = packet;
    const { view } = frame.slab;
    const defaults = this.context.ends(direction);
    const source = packet.sourceAddress.toString();
    const destination = packet.destinationAddress.toString();
    const addresses = {
      ...(source === defaults.source ? {} : { from: source }),
      ...(destination === defaults.destination ? {} : { to: destination }),
    };
    const size = totalLength - headerLength;
    const any = (header: number): PayloadSpec => ({ length: Math.max(0, size - header), bytes: 'any' });
    if (ports !== undefined && end - transport >= 8) {
      const ends = { ...defaults, source, destination, sourcePort: ports.source, destinationPort: ports.destination };
      if (protocol === IpProtocol.Udp)
        return { kind: 'udp', ...addresses, ...shownPorts(ends, undefined), payload: any(8) };
      const header = end - transport > 12 ? (view.getUint8(transport + 12) >>> 4) * 4 : TCP_HEADER;
      return {
        kind: 'tcp',
        ...addresses,
        ...shownPorts(ends, defaults),
        flags: TcpFlag.Ack,
        sequence: (view.getUint32(transport + 4) - this.sequences.offset(direction, ends)) >>> 0,
        payload: any(header),
      };
    }
    const whole = packet.version === 6 ? transport >= 0 : packet.fragmentOffset === 0;
    const kind = packet.version === 6 ? 'icmpv6' : 'icmp';
    if (protocol === (packet.version === 6 ? IpProtocol.Icmpv6 : IpProtocol.Icmp) && whole && end - transport >= 8) {
      const [type, code] = [view.getUint8(transport), view.getUint8(transport + 1)];
      const [id, seq] = [view.getUint16(transport + 4), view.getUint16(transport + 6)];
      return { kind, ...addresses, type, code, id, seq, payload: any(8) };
    }
    return { kind: 'ip', ...addresses, protocol, payload: any(0) };
  }
}

function linkBody(packet: Dissection, frame: Frame): PacketSpec {
  const { arp, ethernet } = packet;
  if (arp !== undefined && ethernet !== undefined) return resolution(arp, ethernet);
  if (ethernet === undefined) return { kind: 'ether', etherType: 0, payload: payloadOf(frame) };
  return { kind: 'ether', etherType: packet.etherType, payload: payloadOf(packet.frame) };
}

/** The link addresses are those of the frame, unless they are said; a reply always says whose address it tells. */
function resolution(arp: ArpPacket, { source, destination }: EthernetFrame): ArpSpec {
  const { operation, senderMac, targetMac } = arp;
  const usualTarget = operation === ArpOperation.Request ? 0 : destination;
  return {
    kind: 'arp',
    operation,
    senderIp: new Ipv4Address(arp.senderIp).toString(),
    targetIp: new Ipv4Address(arp.targetIp).toString(),
    ...(senderMac === source && operation !== ArpOperation.Reply ? {} : { senderMac }),
    ...(targetMac === usualTarget ? {} : { targetMac }),
  };
}

function envelopeOf(packet: Dissection, ip: Ipv4Packet | Ipv6Packet): Mutable<EnvelopeSpec> {
  const envelope: Mutable<EnvelopeSpec> = { ttl: ip.hopLimit, tos: ip.trafficClass };
  const fragment = fragmentOf(packet);
  // A header may say that it is longer than the packet.
  const length = Math.max(0, packet.frame.end - ip.offset - ip.headerLength);
  if (fragment !== undefined) {
    const { offset, more } = fragment;
    envelope.fragment = { from: offset, to: offset + length, more };
  } else if (ip.version === 6 && ip.fragmented) envelope.fragment = { from: 0, to: length, more: false };
  if (ip.version === 4) return { ...envelope, ipId: ip.identification, dontFragment: ip.dontFragment };
  if (fragment !== undefined) envelope.ipId = fragment.id;
  if (ip.flowLabel !== 0) envelope.flowLabel = ip.flowLabel;
  const extensions = extensionsOf(ip);
  if (extensions.length > 0) envelope.extensions = extensions;
  return envelope;
}

const EXTENSION_KINDS: ReadonlyMap<number, ExtensionSpec['kind']> = new Map([
  [HOP_BY_HOP, 'hopopts'],
  [IpProtocol.DestinationOptions, 'dstopts'],
  [IpProtocol.Routing, 'routing'],
  [IpProtocol.Ah, 'ah'],
]);

/** The extension headers in front of the payload, a fragment's excepted. */
function extensionsOf({ frame, offset, headerLength, nextHeader }: Ipv6Packet): ExtensionSpec[] {
  const { view, bytes } = frame.slab;
  const found: ExtensionSpec[] = [];
  let at = offset + IPV6_HEADER;
  let protocol = nextHeader;
  const end = offset + headerLength;
  while (at < end) {
    const length = extensionLength(view, protocol, at, end);
    const kind = EXTENSION_KINDS.get(protocol);
    if (kind !== undefined) found.push({ kind, data: bytes.slice(at + 2, at + length) });
    protocol = view.getUint8(at);
    at += length;
  }
  return found;
}

function portsOf(packet: Dissection, ends: Ends): Ends {
  if (packet.ports < 0) return ends;
  const { view } = packet.frame.slab;
  return {
    ...ends,
    sourcePort: view.getUint16(packet.ports),
    destinationPort: view.getUint16(packet.ports + 2),
  };
}

/** The ports, unless both are those that go without saying. */
function shownPorts(ends: Ends, defaults: Ends | undefined): Pick<UdpSpec, 'sourcePort' | 'destinationPort'> {
  const { sourcePort, destinationPort } = ends;
  return sourcePort === defaults?.sourcePort && destinationPort === defaults.destinationPort
    ? {}
    : { sourcePort, destinationPort };
}

/** All that is behind the IP header, however far its own headers could be read. */
function rawIp({ protocol, offset, headerLength }: Ipv4Packet | Ipv6Packet, frame: Frame): IpSpec {
  return { kind: 'ip', protocol, payload: payloadOf(frame, offset + headerLength) };
}

function payloadOf(frame: Frame, from = frame.start): PayloadSpec {
  return payloadData(frame.slab.bytes.slice(from, frame.end));
}
