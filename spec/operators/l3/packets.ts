/** Packets for the specs of l2 and l3, as bytes. */

import { Ipv4Address, MacAddress } from '../../../lib/core/address.js';
import type { Frame } from '../../../lib/core/frame.js';
import { ArpOperation, ArpPacket } from '../../../lib/wire/arp.js';
import { EtherType, EthernetFrame } from '../../../lib/wire/ethernet.js';
import { Icmpv4Message, Icmpv4Type } from '../../../lib/wire/icmpv4.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { type Ipv4Fields, Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { UdpDatagram } from '../../../lib/wire/udp.js';
import { bytesOf } from '../../lib/l2/fake-device.js';

export const ip = (text: string): number => Ipv4Address.parse(text).value;
export const mac = (text: string): number => MacAddress.parse(text).value;

export interface Host {
  readonly ip: number;
  readonly mac: number;
}

/** We are 10.0.0.1 on 02:..:01, the peer is 10.0.0.2 on 02:..:02. */
export const US: Host = { ip: ip('10.0.0.1'), mac: mac('02:00:00:00:00:01') };
export const PEER: Host = { ip: ip('10.0.0.2'), mac: mac('02:00:00:00:00:02') };
export const BROADCAST_MAC: number = mac('ff:ff:ff:ff:ff:ff');

export interface Ends {
  readonly to?: number;
  readonly from?: number;
}

function ether(frame: Frame, type: number, ends: Ends): void {
  EthernetFrame.emit(frame, ends.to ?? US.mac, ends.from ?? PEER.mac, type);
}

export interface ArpText {
  readonly operation?: number;
  readonly senderMac?: number;
  readonly senderIp?: number;
  readonly targetMac?: number;
  readonly targetIp?: number;
}

/** An ARP frame; by default the peer's broadcast request for our address. */
export function arpFrame(fields: ArpText = {}, ends: Ends = {}): Uint8Array {
  return bytesOf((frame) => {
    ArpPacket.emit(frame, {
      operation: fields.operation ?? ArpOperation.Request,
      senderMac: fields.senderMac ?? PEER.mac,
      senderIp: fields.senderIp ?? PEER.ip,
      targetMac: fields.targetMac ?? 0,
      targetIp: fields.targetIp ?? US.ip,
    });
    const to = fields.operation === ArpOperation.Reply ? US.mac : BROADCAST_MAC;
    ether(frame, EtherType.Arp, { to, from: fields.senderMac ?? PEER.mac, ...ends });
  });
}

/** The peer's reply to our query. */
export function arpReply(fields: ArpText = {}, ends: Ends = {}): Uint8Array {
  return arpFrame({ operation: ArpOperation.Reply, targetMac: US.mac, ...fields }, ends);
}

/** An IPv4 packet without link header; by default from the peer to us. */
export function ipPacket(fields: Partial<Ipv4Fields>, payload: Uint8Array): Uint8Array {
  return bytesOf((frame) => {
    pushBytes(frame, payload);
    Ipv4Packet.emit(frame, { source: PEER.ip, destination: US.ip, protocol: 253, ...fields });
  });
}

/** An IPv4 packet in an Ethernet frame. */
export function ipFrame(fields: Partial<Ipv4Fields>, payload: Uint8Array, ends: Ends = {}): Uint8Array {
  return bytesOf((frame) => {
    pushBytes(frame, ipPacket(fields, payload));
    ether(frame, EtherType.Ipv4, ends);
  });
}

export function icmpMessage(type: number, code: number, rest: number, data: Uint8Array): Uint8Array {
  return bytesOf((frame) => {
    pushBytes(frame, data);
    Icmpv4Message.emit(frame, type, code, rest);
  });
}

export function echoRequest(data: Uint8Array = pattern(56), rest = 0x0007_0001): Uint8Array {
  return icmpMessage(Icmpv4Type.EchoRequest, 0, rest, data);
}

export function icmpFrame(message: Uint8Array, fields: Partial<Ipv4Fields> = {}, ends: Ends = {}): Uint8Array {
  return ipFrame({ protocol: IpProtocol.Icmp, ...fields }, message, ends);
}

export function udpPacket(fields: Partial<Ipv4Fields> = {}, data: Uint8Array = pattern(20)): Uint8Array {
  const udp = bytesOf((frame) => {
    pushBytes(frame, data);
    UdpDatagram.emit(frame, 1000, 2000, 0);
  });
  return ipPacket({ protocol: IpProtocol.Udp, ...fields }, udp);
}

/** Bytes that differ from their neighbours. */
export function pattern(length: number, first = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + first + (i >>> 8)) & 0xff);
}

/** Pushes bytes in front of a frame. */
export function pushBytes(frame: Frame, bytes: Uint8Array): void {
  frame.slab.bytes.set(bytes, frame.push(bytes.length));
}
