/** IPv6 packets for the specs of l2 and l3, as bytes. */

import { Ipv6Address } from '../../../lib/core/address.js';
import { Frame } from '../../../lib/core/frame.js';
import { complement, sum16 } from '../../../lib/wire/checksum.js';
import { EtherType, EthernetFrame } from '../../../lib/wire/ethernet.js';
import { Icmpv6Message, Icmpv6Type, pushIcmpv6Headers } from '../../../lib/wire/icmpv6.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { groupMac, type Ipv6Fields, Ipv6Packet, ipv6PseudoHeaderSum, solicitedNode } from '../../../lib/wire/ipv6.js';
import { FragmentHeader, walkExtensions } from '../../../lib/wire/ipv6-extensions.js';
import { NeighbourAdvertisement, NeighbourSolicitation } from '../../../lib/wire/ndp.js';
import type { NdpOption } from '../../../lib/wire/ndp-options.js';
import { UdpDatagram } from '../../../lib/wire/udp.js';
import { bytesOf } from '../../lib/l2/fake-device.js';
import { mac, pattern, pushBytes } from './packets.js';

export const ip6 = (text: string): Ipv6Address => Ipv6Address.parse(text);

export interface Host6 {
  readonly ip: Ipv6Address;
  readonly linkLocal: Ipv6Address;
  readonly mac: number;
}

/** We are fd00::1 on 02:..:01, the peer is fd00::2 on 02:..:02; link-local addresses are made of the MAC addresses. */
export const US6: Host6 = { ip: ip6('fd00::1'), linkLocal: ip6('fe80::ff:fe00:1'), mac: mac('02:00:00:00:00:01') };
export const PEER6: Host6 = { ip: ip6('fd00::2'), linkLocal: ip6('fe80::ff:fe00:2'), mac: mac('02:00:00:00:00:02') };

/** An IPv6 packet without link header; by default from the peer to us. */
export function ip6Packet(fields: Partial<Ipv6Fields>, payload: Uint8Array): Uint8Array {
  return bytesOf((frame) => {
    pushBytes(frame, payload);
    Ipv6Packet.emit(frame, { source: PEER6.ip, destination: US6.ip, protocol: 253, ...fields });
  });
}

/** A packet in an Ethernet frame, by default to our MAC address or to that of its group. */
export function ether6(packet: Uint8Array, to?: number, from: number = PEER6.mac): Uint8Array {
  const { destinationAddress } = new Ipv6Packet(Frame.from(packet), 160);
  return bytesOf((frame) => {
    pushBytes(frame, packet);
    const own = destinationAddress.isMulticast ? groupMac(destinationAddress) : US6.mac;
    EthernetFrame.emit(frame, to ?? own, from, EtherType.Ipv6);
  });
}

/** Extension headers, each as its protocol number and its bytes without the first, in front of a payload of `protocol`. */
export function chain(
  headers: readonly (readonly [protocol: number, rest: readonly number[]])[],
  protocol: number,
  payload: Uint8Array,
): { readonly protocol: number; readonly bytes: Uint8Array } {
  const bytes = headers.flatMap(([, rest], at) => [headers[at + 1]?.[0] ?? protocol, ...rest]);
  return { protocol: headers[0]?.[0] ?? protocol, bytes: Uint8Array.from([...bytes, ...payload]) };
}

/** A packet with extension headers. */
export function chained(
  headers: Parameters<typeof chain>[0],
  protocol: number,
  payload: Uint8Array,
  fields: Partial<Ipv6Fields> = {},
): Uint8Array {
  const { protocol: first, bytes } = chain(headers, protocol, payload);
  return ip6Packet({ ...fields, protocol: first }, bytes);
}

/** A fragment: bytes `from` to `to` of what follows the fragment header in the whole packet. */
export interface Piece6 {
  readonly from: number;
  readonly to: number;
  readonly more?: boolean;
  readonly id?: number;
}

/** A fragment of a packet whose payload of `protocol` is `data`. */
export function fragment6(
  data: Uint8Array,
  protocol: number,
  { from, to, more = to < data.length, id = 7 }: Piece6,
  fields: Partial<Ipv6Fields> = {},
): Uint8Array {
  const fragment = bytesOf((frame) => {
    pushBytes(frame, data.slice(from, to));
    FragmentHeader.emit(frame, protocol, from, more, id);
  });
  return ip6Packet({ ...fields, protocol: IpProtocol.Fragment }, fragment);
}

type Ends = Partial<Pick<Ipv6Fields, 'source' | 'destination' | 'hopLimit' | 'trafficClass'>>;

/** An ICMPv6 message, its checksum right for these ends. */
export function icmp6Message(type: number, code: number, rest: number, data: Uint8Array, ends: Ends = {}): Uint8Array {
  const { source = PEER6.ip, destination = US6.ip } = ends;
  return bytesOf((frame) => {
    pushBytes(frame, data);
    const sum = ipv6PseudoHeaderSum(source, destination, IpProtocol.Icmpv6, data.length + 8);
    Icmpv6Message.emit(frame, type, code, rest, sum);
  });
}

/** A packet with an ICMPv6 message. */
export function icmp6Packet(type: number, code: number, rest: number, data: Uint8Array, ends: Ends = {}): Uint8Array {
  return ip6Packet({ protocol: IpProtocol.Icmpv6, ...ends }, icmp6Message(type, code, rest, data, ends));
}

export function echo6Message(data: Uint8Array = pattern(56), ends: Ends = {}): Uint8Array {
  return icmp6Message(Icmpv6Type.EchoRequest, 0, 0x0007_0001, data, ends);
}

export function echo6(data: Uint8Array = pattern(56), ends: Ends = {}): Uint8Array {
  return ip6Packet({ protocol: IpProtocol.Icmpv6, ...ends }, echo6Message(data, ends));
}

export function udp6Packet(ends: Ends = {}, data: Uint8Array = pattern(20)): Uint8Array {
  const { source = PEER6.ip, destination = US6.ip } = ends;
  const udp = bytesOf((frame) => {
    pushBytes(frame, data);
    const sum = ipv6PseudoHeaderSum(source, destination, IpProtocol.Udp, data.length + 8);
    UdpDatagram.emit(frame, 1000, 2000, sum);
  });
  return ip6Packet({ protocol: IpProtocol.Udp, ...ends }, udp);
}

const SOURCE_LINK: NdpOption = { kind: 'source-link-address', mac: PEER6.mac };
const TARGET_LINK: NdpOption = { kind: 'target-link-address', mac: PEER6.mac };

/** A message of neighbour discovery that `write` writes, in a packet with hop limit 255. */
export function ndpPacket(write: (frame: Frame) => void, ends: Ends): Uint8Array {
  return bytesOf((frame) => {
    const room = new Frame(frame.slab, frame.base, frame.limit);
    room.start = room.end = 1_000;
    write(room);
    pushIcmpv6Headers(room, { source: PEER6.ip, destination: US6.ip, hopLimit: 255, ...ends });
    pushBytes(frame, room.bytes());
  });
}

/** A solicitation; by default the peer's for our address, to its group. */
export function solicitation(
  target: Ipv6Address = US6.ip,
  ends: Ends = {},
  options: readonly NdpOption[] = [SOURCE_LINK],
): Uint8Array {
  return ndpPacket((frame) => NeighbourSolicitation.emit(frame, target, options), {
    destination: solicitedNode(target),
    ...ends,
  });
}

/** An advertisement; by default the peer's answer to us. */
export function advertisement(
  target: Ipv6Address = PEER6.ip,
  flags: { router?: boolean; solicited?: boolean; override?: boolean } = {},
  ends: Ends = {},
  options: readonly NdpOption[] = [TARGET_LINK],
): Uint8Array {
  const all = { router: false, solicited: true, override: true, ...flags };
  return ndpPacket((frame) => NeighbourAdvertisement.emit(frame, target, all, options), ends);
}

/** A packet that was sent, checked and entered as a receiver would. */
export function entered(bytes: Uint8Array): Ipv6Packet {
  const frame = Frame.from(bytes);
  const wrong = Ipv6Packet.check(frame, frame.start);
  if (wrong !== undefined) throw new Error(`drop reason ${wrong}`);
  const packet = new Ipv6Packet(frame, frame.start);
  const problem = walkExtensions(packet);
  if (problem !== undefined) throw new Error(`drop reason ${problem.reason}`);
  frame.end = packet.offset + packet.totalLength;
  frame.start = packet.offset + packet.headerLength;
  return packet;
}

/** The ICMPv6 message of a packet that was sent, its checksum verified. */
export function messageIn(bytes: Uint8Array): { readonly packet: Ipv6Packet; readonly message: Icmpv6Message } {
  const packet = entered(bytes);
  const wrong = Icmpv6Message.check(packet);
  if (wrong !== undefined || packet.protocol !== IpProtocol.Icmpv6) throw new Error(`no ICMPv6: ${wrong}`);
  return { packet, message: new Icmpv6Message(packet.frame, packet.frame.start) };
}

/**
 * A packet with an ICMPv6 message and with something else in it; its payload length, and unless told otherwise its checksum, are made
 * right.
 */
export function changedMessage(packet: Uint8Array, change: (view: DataView) => void, repair = true): Uint8Array {
  const bytes = Uint8Array.from(packet);
  const view = new DataView(bytes.buffer);
  change(view);
  view.setUint16(4, bytes.length - 40);
  if (!repair || bytes.length < 44) return bytes;
  view.setUint16(42, 0);
  const pseudo = sum16(view, 8, 40, bytes.length - 40 + IpProtocol.Icmpv6);
  view.setUint16(42, complement(sum16(view, 40, bytes.length, pseudo)));
  return bytes;
}
