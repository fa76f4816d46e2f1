/** ARP for IPv4 over Ethernet (RFC 826). */

import { DropReason } from '../core/drops.js';
import type { Frame } from '../core/frame.js';
import { EtherType, readMac, writeMac } from './ethernet.js';

const HARDWARE = 0;
const PROTOCOL = 2;
const HARDWARE_LENGTH = 4;
const PROTOCOL_LENGTH = 5;
const OPERATION = 6;
const SENDER_MAC = 8;
const SENDER_IP = 14;
const TARGET_MAC = 18;
const TARGET_IP = 24;
export const ARP_LENGTH = 28;

const ETHERNET = 1;

export const ArpOperation = { Request: 1, Reply: 2 } as const;

/** The values of an ARP packet: MAC addresses as 48-bit, IPv4 addresses as 32-bit numbers. */
export interface ArpFields {
  readonly operation: number;
  readonly senderMac: number;
  readonly senderIp: number;
  readonly targetMac: number;
  readonly targetIp: number;
}

/** An ARP packet, read in place. Sound once {@link ArpPacket.check} has found nothing wrong. */
export class ArpPacket implements ArpFields {
  readonly frame: Frame;
  readonly offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  static check(frame: Frame, offset: number): DropReason | undefined {
    const { view } = frame.slab;
    if (frame.end - offset < SENDER_MAC) return DropReason.ArpTruncated;
    const supported =
      view.getUint16(offset + HARDWARE) === ETHERNET &&
      view.getUint16(offset + PROTOCOL) === EtherType.Ipv4 &&
      view.getUint8(offset + HARDWARE_LENGTH) === 6 &&
      view.getUint8(offset + PROTOCOL_LENGTH) === 4;
    if (!supported) return DropReason.ArpUnsupported;
    if (frame.end - offset < ARP_LENGTH) return DropReason.ArpTruncated;
    const operation = view.getUint16(offset + OPERATION);
    if (operation !== ArpOperation.Request && operation !== ArpOperation.Reply) return DropReason.ArpUnsupported;
    return undefined;
  }

  /** Pushes an ARP packet in front of the frame. */
  static emit(frame: Frame, fields: ArpFields): void {
    const at = frame.push(ARP_LENGTH);
    const { view } = frame.slab;
    view.setUint16(at + HARDWARE, ETHERNET);
    view.setUint16(at + PROTOCOL, EtherType.Ipv4);
    view.setUint8(at + HARDWARE_LENGTH, 6);
    view.setUint8(at + PROTOCOL_LENGTH, 4);
    view.setUint16(at + OPERATION, fields.operation);
    writeMac(view, at + SENDER_MAC, fields.senderMac);
    view.setUint32(at + SENDER_IP, fields.senderIp);
    writeMac(view, at + TARGET_MAC, fields.targetMac);
    view.setUint32(at + TARGET_IP, fields.targetIp);
  }

  get operation(): number {
    return this.frame.slab.view.getUint16(this.offset + OPERATION);
  }
  get senderMac(): number {
    return readMac(this.frame.slab.view, this.offset + SENDER_MAC);
  }
  get senderIp(): number {
    return this.frame.slab.view.getUint32(this.offset + SENDER_IP);
  }
  get targetMac(): number {
    return readMac(this.frame.slab.view, this.offset + TARGET_MAC);
  }
  get targetIp(): number {
    return this.frame.slab.view.getUint32(this.offset + TARGET_IP);
  }
}
