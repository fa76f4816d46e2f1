/**
 * What a device with phone-number addresses does with frames: what came by a link is put into the device's own scope, the routing table says
 * where it goes, and on its way up its source is put into the parent's scope. All in plain numbers; address objects are made for own sockets only.
 *
 * Who sends what cannot go on is told by a protocol error, unless it was for several, or is an error itself.
 */

import type { Device } from '../../core/device.js';
import { DropReason } from '../../core/drops.js';
import type { Frame } from '../../core/frame.js';
import { PhoneAddress } from '../address.js';
import { MAX_ADDRESS_BITS } from '../address-text.js';
import { DEFAULT_TTL, FrameKind } from '../frame.js';
import { ProtocolError, ProtocolErrorBody, protocolErrorReason } from '../frame-error.js';
import { Message, Reach } from '../message.js';
import type { ProfileNode } from '../profile.js';
import { OWN_SOCKETS, RouteDecision, type RouteQuery, type RoutingTable } from '../routing.js';
import { type PhoneAddressing, reachOf } from './addressing.js';
import { LINK_SCOPE, PhoneCast, PhoneHeader } from './header.js';
import type { PhoneLink } from './link.js';
import { castOf, linkOf, PhoneTarget } from './target.js';

const NAME = 'phone';
/** What a protocol error says of an MTU at most. */
const LARGEST_MTU = 0xffff;

/** The device as its forwarder sees it. */
export interface ForwarderHost {
  readonly node: ProfileNode<PhoneAddress>;
  readonly table: RoutingTable;
  readonly addressing: PhoneAddressing;
  /** The links by their numbers. */
  readonly links: readonly (PhoneLink | undefined)[];
  linkOf(device: Device): PhoneLink | undefined;
}

/** The records of one packet at a time; receiving and sending have one each, since who is delivered to may send. */
class Work {
  readonly header = new PhoneHeader();
  readonly decision = new RouteDecision();
  readonly query: RouteQuery = {
    value: 0,
    bits: 0,
    source: 0,
    sourceBits: 0,
    sequence: 0,
    ttl: 0,
    broadcast: false,
    group: false,
    time: 0,
  };
}

/** Sends frames on their way. */
export class PhoneForwarder {
  private readonly host: ForwarderHost;
  private readonly received = new Work();
  private readonly sent = new Work();
  private readonly message: Message<PhoneAddress>;
  private readonly error = new ProtocolErrorBody();

  constructor(host: ForwarderHost) {
    this.host = host;
    this.message = new Message<PhoneAddress>(host.addressing.here);
  }

  /** See `Profile.receive`. */
  receive(link: PhoneLink, frame: Frame): void {
    const { header } = this.received;
    const wrong = header.read(frame);
    if (wrong !== undefined) return this.drop(wrong, frame);
    if (header.bits === LINK_SCOPE) {
      this.received.decision.clear();
      if (header.destination > this.host.addressing.lastPort)
        return this.refuse(link, frame, ProtocolError.NsseNoRoute);
      return this.deliver(link, frame);
    }
    if (!this.enter(link, header)) return this.drop(DropReason.ErgotBadSource, frame);
    const { decision } = this.decide(this.received, link.number, frame.time);
    if (decision.verdict !== 'route') return this.fail(link, frame);
    const mine = decision.own && this.isForOwn(header);
    if (decision.own && !mine && decision.links.length === 0) {
      return this.refuse(link, frame, ProtocolError.IseNoRouteToDest);
    }
    header.ttl--;
    this.forward(this.received, frame, mine ? undefined : link);
    if (mine) this.deliver(link, frame);
  }

  /** See `Profile.send`. */
  send(message: Message<PhoneAddress>, frame: Frame): ProtocolError | undefined {
    const { header, decision } = this.sent;
    const { destination } = message;
    header.cast = message.kind === FrameKind.Error ? PhoneCast.One : castOf(destination);
    header.destination = destination.value;
    header.sequence = message.sequence;
    header.kind = message.kind;
    header.ttl = DEFAULT_TTL - 1;
    header.keyLow = message.keyLow;
    header.keyHigh = message.keyHigh;
    header.name = message.name;
    const device = linkOf(destination);
    if (device !== undefined) return this.sendByLink(device, message, frame);
    header.sourceBits = this.host.table.bits;
    header.source = this.host.addressing.withPort(this.host.addressing.here, message.port).value;
    header.bits = Math.max(destination.bits, header.sourceBits);
    header.ttl = DEFAULT_TTL;
    this.decide(this.sent, OWN_SOCKETS, this.host.node.env.timers.now());
    if (decision.verdict !== 'route') return this.abandon(frame, ProtocolError.IseNoRouteToDest);
    if (decision.links.length === 0) {
      const here = header.cast === PhoneCast.Group || this.isForOwn(header);
      return here ? ProtocolError.IseDestinationLocal : this.abandon(frame, ProtocolError.IseNoRouteToDest);
    }
    header.ttl--;
    return this.sendAll(message, frame);
  }

  private sendByLink(device: Device, message: Message<PhoneAddress>, frame: Frame): ProtocolError | undefined {
    const { header } = this.sent;
    const link = this.host.linkOf(device);
    header.sourceBits = header.bits = LINK_SCOPE;
    header.source = message.port;
    if (link === undefined) return this.abandon(frame, ProtocolError.IseNoRouteToDest);
    if (header.size + frame.length > device.mtu) return this.tooBig(message, frame, device);
    header.push(frame);
    this.host.node.transmit(device, frame);
    return undefined;
  }

  /** Sends the frame that begins with its body by all links of the decision. */
  private sendAll(message: Message<PhoneAddress>, frame: Frame): ProtocolError | undefined {
    const { header, decision } = this.sent;
    const { links } = decision;
    if (links.length === 1) {
      const link = this.linkAt(links[0]);
      if (link !== undefined && this.sizeBy(link, header) + frame.length > link.device.mtu) {
        return this.tooBig(message, frame, link.device);
      }
    }
    const { pool, drops } = this.host.node.env;
    for (let i = 0; i < links.length; i++) {
      const link = this.linkAt(links[i]);
      if (link === undefined) continue;
      const out = i === links.length - 1 ? frame : pool.copy(frame);
      if (this.sizeBy(link, header) + out.length > link.device.mtu) drops.refuse(DropReason.ErgotTooLarge, out, NAME);
      else this.emit(this.sent, out, link);
    }
    return undefined;
  }

  private tooBig(message: Message<PhoneAddress>, frame: Frame, device: Device): ProtocolError {
    message.mtu = Math.min(device.mtu, LARGEST_MTU);
    return this.abandon(frame, ProtocolError.IsePacketTooBig);
  }

  private abandon(frame: Frame, error: ProtocolError): ProtocolError {
    this.host.node.env.drops.refuse(protocolErrorReason(error), frame, NAME);
    return error;
  }

  /** Puts the addresses of what came by `link` into the device's scope. False if nobody there can have the source. */
  private enter(link: PhoneLink, header: PhoneHeader): boolean {
    const { table } = this.host;
    if (link.kind === 'child') {
      if (header.sourceBits !== table.bits || !table.leadsTo(header.source, link.number)) return false;
    } else if (link.kind === 'parent') {
      const { uplink } = link;
      if (uplink === undefined || header.sourceBits < uplink.bits) return false;
      this.descend(header, uplink.bits, link);
    } else if (header.sourceBits < table.bits) return false;
    if (header.bits < table.bits) header.bits = table.bits;
    return true;
  }

  /** Puts the destination of what came from the parent, whose scope has `bits`, into the device's scope, if it is in that. */
  private descend(header: PhoneHeader, bits: number, link: PhoneLink): void {
    const own = this.host.table.bits;
    if (header.cast === PhoneCast.All && header.destination === 0) {
      header.bits = own;
      return;
    }
    if (header.bits > bits || header.cast === PhoneCast.Group) return;
    const local = link.uplink?.down(header.destination) ?? -1;
    header.bits = bits;
    if (local < 0) return;
    header.destination = local;
    header.bits = own;
  }

  private decide(work: Work, from: number, time: number): Work {
    const { header, query } = work;
    query.value = header.destination;
    query.bits = header.bits;
    query.source = header.source;
    query.sourceBits = header.sourceBits;
    query.sequence = header.sequence;
    query.ttl = header.ttl;
    query.broadcast = header.cast === PhoneCast.All;
    query.group = header.cast === PhoneCast.Group;
    query.time = time;
    this.host.table.decide(query, from, work.decision);
    return work;
  }

  /** Whether what the routing table takes for this device's is for sockets that there are. */
  private isForOwn(header: PhoneHeader): boolean {
    const { addressing, table } = this.host;
    if (header.cast === PhoneCast.Group) return table.isSubscribed(header.destination, header.bits, OWN_SOCKETS);
    if (header.cast === PhoneCast.All && header.destination === 0) return true;
    return header.bits <= table.bits && addressing.isOwn(header.destination);
  }

  /** Sends a received frame by all links of the decision; in its own memory by the last, if nobody is to see it after. */
  private forward(work: Work, frame: Frame, from: PhoneLink | undefined): void {
    const { links } = work.decision;
    const { pool } = this.host.node.env;
    const { header } = work;
    for (let i = 0; i < links.length; i++) {
      const link = this.linkAt(links[i]);
      if (link === undefined) continue;
      const { mtu } = link.device;
      if (this.sizeBy(link, header) + frame.end - header.body > mtu) {
        if (links.length > 1 || from === undefined) {
          this.drop(DropReason.ErgotTooLarge);
          continue;
        }
        return this.refuse(from, frame, ProtocolError.IsePacketTooBig, Math.min(mtu, LARGEST_MTU));
      }
      const last = from !== undefined && i === links.length - 1 && frame.exclusive;
      const inPlace = last && header.body - this.sizeBy(link, header) >= frame.base;
      const out = inPlace ? frame.handOver() : pool.copy(frame);
      out.start += header.body - frame.start;
      this.emit(work, out, link);
    }
  }

  /** Bytes of the header that a frame has on a link. */
  private sizeBy(link: PhoneLink, header: PhoneHeader): number {
    if (link.kind !== 'parent') return header.size;
    const { source } = header;
    header.source = Math.max(0, link.uplink?.up(source) ?? 0);
    const { size } = header;
    header.source = source;
    return size;
  }

  /** Pushes the header in front of a body and transmits it. Takes over the reference. */
  private emit({ header }: Work, frame: Frame, link: PhoneLink): void {
    const { node } = this.host;
    if (link.kind !== 'parent') {
      header.push(frame);
      return node.transmit(link.device, frame);
    }
    const { source, sourceBits } = header;
    const above = link.uplink?.up(source) ?? -1;
    if (above < 0) return node.env.drops.refuse(DropReason.ErgotBadSource, frame, NAME);
    header.source = above;
    header.sourceBits = link.uplink?.bits ?? sourceBits;
    header.push(frame);
    header.source = source;
    header.sourceBits = sourceBits;
    node.transmit(link.device, frame);
  }

  private linkAt(number: number | undefined): PhoneLink | undefined {
    return this.host.links[number ?? -1];
  }

  /** Ends what has no way. */
  private fail(link: PhoneLink, frame: Frame): void {
    switch (this.received.decision.verdict) {
      case 'ttl-expired':
        return this.refuse(link, frame, ProtocolError.IseTtlExpired);
      case 'loop':
        return this.refuse(link, frame, ProtocolError.IseRoutingLoop);
      case 'copy':
        return this.drop(DropReason.ErgotRoutingLoop, frame);
      default:
        return this.refuse(link, frame, ProtocolError.IseNoRouteToDest);
    }
  }

  /** Gives own sockets the frame whose header was received. */
  private deliver(link: PhoneLink, frame: Frame): void {
    const { header } = this.received;
    const { message } = this;
    const atLink = header.bits === LINK_SCOPE;
    message.kind = header.kind;
    message.sequence = header.sequence;
    message.reach = reachOf(header.cast);
    message.port = atLink ? header.destination : header.destination - this.host.addressing.here.value;
    message.source = atLink
      ? new PhoneTarget(header.source, MAX_ADDRESS_BITS, PhoneCast.One, link.device)
      : new PhoneAddress(header.source, header.sourceBits);
    message.destination = atLink
      ? this.host.addressing.withPort(this.host.addressing.here, message.port)
      : new PhoneTarget(header.destination, header.bits, header.cast);
    message.keyLow = header.keyLow;
    message.keyHigh = header.keyHigh;
    message.name = header.name;
    message.body = header.body;
    const error = misdirected(header, message.port) ?? this.host.node.deliver(message, frame);
    if (error === undefined || (message.reach === Reach.All && this.received.decision.links.length > 0)) return;
    this.refuse(link, frame, error);
  }

  /** Ends a received frame, and tells who sent it. */
  private refuse(link: PhoneLink, frame: Frame, error: ProtocolError, mtu = 0): void {
    const { header } = this.received;
    const tell = header.kind !== FrameKind.Error && (header.cast === PhoneCast.One || header.cast === PhoneCast.Any);
    this.drop(protocolErrorReason(error), frame);
    if (!tell) return;
    const { message } = this;
    message.kind = FrameKind.Error;
    message.sequence = header.sequence;
    message.port = 0;
    message.destination =
      header.sourceBits === LINK_SCOPE
        ? new PhoneTarget(header.source, MAX_ADDRESS_BITS, PhoneCast.One, link.device)
        : new PhoneAddress(header.source, header.sourceBits);
    this.error.error = error;
    this.error.mtu = mtu;
    const told = this.host.node.env.pool.alloc(8);
    this.error.put(told);
    if (this.send(message, told) === ProtocolError.IseDestinationLocal) told.release();
  }

  private drop(reason: DropReason, frame?: Frame): void {
    this.host.node.env.drops.report(reason, frame, NAME);
  }
}

/** What is wrong with how a frame for own sockets is addressed, by the number of the socket. */
function misdirected({ cast, kind, destination }: PhoneHeader, port: number): ProtocolError | undefined {
  if (cast === PhoneCast.One && port === 0 && kind !== FrameKind.Error) return ProtocolError.NsseAnyPortMissingKey;
  return cast === PhoneCast.Any && port !== 0 && destination !== 0 ? ProtocolError.NsseNoRoute : undefined;
}
