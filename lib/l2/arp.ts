/**
 * ARP of one link (RFC 826), with the caution that half a century taught: replies create no entries, gratuitous ones only update,
 * senders that cannot be are refused, and who claims an address of ours is noticed (RFC 5227, in `arp-claims`).
 *
 * We answer for the addresses of this link only (for a host with several links that is Linux's `arp_ignore=1`, the strong model)
 * and for published ones (proxy ARP, RFC 1027).
 */

import { isGroupMac, MacAddress } from '../core/address.js';
import type { Device } from '../core/device.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { asTx, ChecksumState, type Frame, GsoType, type TxFrame } from '../core/frame.js';
import { ARP_LENGTH, type ArpFields, ArpOperation, ArpPacket } from '../wire/arp.js';
import { ETHERNET_HEADER, ETHERNET_MINIMUM, EtherType, EthernetFrame } from '../wire/ethernet.js';
import { ArpClaims } from './arp-claims.js';
import type { NeighbourCache } from './neighbour.js';

/** Our IPv4 addresses on one link, as they are at the moment of the call. */
export interface ArpAddresses {
  has(address: number): boolean;
  /** Which of them to ask for `target` with; 0 if there is none. */
  sourceFor(target: number): number;
}

/** Options of {@link Arp}. */
export interface ArpOptions {
  readonly device: Device;
  readonly addresses: ArpAddresses;
  readonly neighbours: NeighbourCache;
}

const MAPPED = 0xffff;
const BROADCAST = MacAddress.BROADCAST.value;

/** ARP of one link. */
export class Arp {
  /** Where frames go; the link sets it. */
  emit: ((frame: TxFrame) => void) | undefined = undefined;
  /** Says for which further addresses of others we answer. */
  proxy: ((target: number) => boolean) | undefined = undefined;
  /** Addresses that we claim: probing before use, conflicts, defence. */
  readonly claims: ArpClaims;
  private readonly env: Env;
  private readonly device: Device;
  private readonly mac: number;
  private readonly addresses: ArpAddresses;
  private readonly neighbours: NeighbourCache;
  private readonly published = new Map<number, number>();

  constructor(options: ArpOptions, env: Env) {
    this.env = env;
    this.device = options.device;
    this.mac = options.device.mac.value;
    this.addresses = options.addresses;
    this.neighbours = options.neighbours;
    this.claims = new ArpClaims((sender, target) => this.request(sender, target, 0, BROADCAST), env);
  }

  /** Answers for `address` from now on, with our MAC address or with another (RFC 1027). */
  publish(address: number, mac: number = this.mac): void {
    this.published.set(address, mac);
  }

  unpublish(address: number): void {
    this.published.delete(address);
  }

  /** Asks for `target`: everybody, or only `mac` (RFC 1122 2.3.2.1). */
  query(target: number, mac: number | undefined): void {
    this.request(this.addresses.sourceFor(target), target, mac ?? 0, mac ?? BROADCAST);
  }

  /** Handles a received frame whose payload is ARP; returns the reply, if there is one, which the caller then owns. */
  receive(ethernet: EthernetFrame): TxFrame | undefined {
    const { frame } = ethernet;
    const { drops } = this.env;
    const packet = new ArpPacket(frame, frame.start);
    const wrong = ArpPacket.check(frame, frame.start) ?? this.checkSender(packet);
    if (wrong !== undefined) return drops.report(wrong, frame, 'arp');
    if (this.claims.notice(packet, this.addresses.has(packet.senderIp))) drops.deliver(frame);
    else if (packet.senderIp === packet.targetIp) this.receiveGratuitous(packet);
    else if (packet.operation === ArpOperation.Reply) this.receiveReply(packet, ethernet.destination);
    else return this.receiveRequest(packet);
    return undefined;
  }

  dispose(): void {
    this.claims.dispose();
  }

  private checkSender(packet: ArpPacket): DropReason | undefined {
    const { senderMac: mac, senderIp: ip } = packet;
    // Class D and E and loopback addresses belong to no host; our own frames come back through loops and mirrors.
    const impossible = ip >>> 28 >= 14 || ip >>> 24 === 127 || mac === 0 || isGroupMac(mac) || mac === this.mac;
    return impossible ? DropReason.ArpBadSender : undefined;
  }

  private receiveGratuitous(packet: ArpPacket): void {
    const { senderIp, senderMac, frame } = packet;
    const fate = this.neighbours.advertised(0, 0, MAPPED, senderIp, senderMac, { solicited: false, override: true });
    if (fate !== 'unknown') return this.env.drops.deliver(frame);
    const isReply = packet.operation === ArpOperation.Reply;
    return this.env.drops.report(isReply ? DropReason.ArpUnsolicited : DropReason.ArpNotForUs, frame, 'arp');
  }

  private receiveReply(packet: ArpPacket, destination: number): void {
    const { senderIp, senderMac, frame } = packet;
    // Replies to us prove that the neighbour hears us; others (seen in promiscuous mode, or broadcast) only where it is.
    const solicited = destination === this.mac && packet.targetMac === this.mac;
    // RFC 826 knows no second opinion: the newest word replaces what we know.
    if (
      senderIp !== 0 &&
      this.neighbours.advertised(0, 0, MAPPED, senderIp, senderMac, { solicited, override: true }) !== 'unknown'
    ) {
      return this.env.drops.deliver(frame);
    }
    return this.env.drops.report(DropReason.ArpUnsolicited, frame, 'arp');
  }

  private receiveRequest(packet: ArpPacket): TxFrame | undefined {
    const { senderIp, senderMac, targetIp, frame } = packet;
    const isOurs = this.addresses.has(targetIp);
    const mac = isOurs || this.proxy?.(targetIp) === true ? this.mac : this.published.get(targetIp);
    // Sender 0 is a probe for an address (RFC 5227 1.1): answered, not learnt.
    if (senderIp !== 0) this.neighbours.heard(0, 0, MAPPED, senderIp, senderMac, isOurs);
    if (mac === undefined) return this.env.drops.report(DropReason.ArpNotForUs, frame, 'arp');
    const fields = {
      operation: ArpOperation.Reply,
      senderMac: mac,
      senderIp: targetIp,
      targetMac: senderMac,
      targetIp: senderIp,
    };
    this.env.drops.deliver(frame);
    return this.build(this.reuse(frame), fields, senderMac);
  }

  /** The request's own frame, emptied, if nobody else looks at it and it has room for padding; a new one else. */
  private reuse(frame: Frame): Frame {
    const room = frame.limit - frame.start + ETHERNET_HEADER;
    if (!frame.exclusive || room < ETHERNET_MINIMUM) return this.env.pool.alloc(ETHERNET_MINIMUM);
    frame.start = frame.end = frame.start + ARP_LENGTH;
    frame.checksum = ChecksumState.None;
    frame.gsoType = GsoType.None;
    return frame.retain();
  }

  private request(senderIp: number, targetIp: number, targetMac: number, destination: number): void {
    const fields = { operation: ArpOperation.Request, senderMac: this.mac, senderIp, targetMac, targetIp };
    const frame = this.build(this.env.pool.alloc(ETHERNET_MINIMUM), fields, destination);
    if (this.emit === undefined) frame.release();
    else this.emit(frame);
  }

  private build(frame: Frame, fields: ArpFields, destination: number): TxFrame {
    ArpPacket.emit(frame, fields);
    EthernetFrame.emit(frame, destination, this.mac, EtherType.Arp);
    frame.pad(ETHERNET_MINIMUM);
    frame.device = this.device;
    return asTx(frame);
  }
}
