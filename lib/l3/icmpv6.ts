/**
 * ICMPv6 of a host (RFC 4443): answers echo requests, brings errors to the transports, learns path MTUs (RFC 8201), and hands neighbour
 * and listener discovery over. Node information queries (RFC 4620) are not answered.
 */

import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { asTxPacket, Cast, ChecksumState, type Frame, GsoType, NOT_PARSED, type TxPacket } from '../core/frame.js';
import { updateChecksum } from '../wire/checksum.js';
import { Icmpv6Message, Icmpv6Type, isIcmpv6Error, isMld, isNdp, pushIcmpv6Headers } from '../wire/icmpv6.js';
import { IpProtocol } from '../wire/ip.js';
import { Ipv6Packet } from '../wire/ipv6.js';
import type { IcmpReports } from './icmp-reports.js';
import { meaningOfIcmpv6 } from './icmpv6-meaning.js';
import type { IpTables } from './ip-tables.js';
import { onLinkOf } from './scope.js';

/** Options of {@link Icmpv6Host}. */
export interface Icmpv6Options {
  readonly tables: IpTables;
  /** Where received errors go. */
  readonly reports: IcmpReports;
  /** Answer echo requests to groups. Default true (RFC 4443 4.2 recommends it). */
  readonly echoGroups?: boolean;
  /** For ping sockets: is shown echo replies, and says whether one was its own. The message is valid during the call. */
  readonly echoReplies?: (message: Icmpv6Message, packet: Ipv6Packet) => boolean;
  /** Takes messages of neighbour discovery; it ends their way. Without it they are dropped. */
  readonly neighbourDiscovery?: (packet: Ipv6Packet) => void;
  /** Takes messages of multicast listener discovery; it ends their way. Without it they are dropped. */
  readonly listenerDiscovery?: (packet: Ipv6Packet) => void;
}

// Of a message: the checksum field. Of a reply: only the type changes.
const CHECKSUM = 2;
const REQUEST_WORD = Icmpv6Type.EchoRequest << 8;
const REPLY_WORD = Icmpv6Type.EchoReply << 8;
const ECN_MASK = 0x03;
// What must be quoted of a transport header: ports and sequence number.
const MIN_TRANSPORT = 8;

/** ICMPv6 of one host. */
export class Icmpv6Host {
  private readonly env: Env;
  private readonly options: Icmpv6Options;

  constructor(options: Icmpv6Options, env: Env) {
    this.env = env;
    this.options = options;
  }

  /** Handles a received message; returns the answer, if there is one, which the caller then owns. */
  receive(packet: Ipv6Packet): TxPacket | undefined {
    const { frame } = packet;
    const wrong = Icmpv6Message.check(packet);
    if (wrong !== undefined) return this.drop(wrong, packet);
    const message = new Icmpv6Message(frame, frame.start);
    const { type } = message;
    if (type === Icmpv6Type.EchoRequest) return this.echo(packet);
    if (isNdp(type)) return this.handOver(packet, this.options.neighbourDiscovery, DropReason.NdpNotForUs);
    if (isMld(type)) return this.handOver(packet, this.options.listenerDiscovery, DropReason.GroupIgnored);
    if (type === Icmpv6Type.EchoReply) {
      if (this.options.echoReplies?.(message, packet) !== true) return this.drop(DropReason.Icmpv6Unsolicited, packet);
      this.env.drops.deliver(frame);
      return undefined;
    }
    if (isIcmpv6Error(type)) return this.reported(packet, message);
    return this.drop(DropReason.Icmpv6UnknownType, packet);
  }

  private drop(reason: DropReason, packet: Ipv6Packet): undefined {
    return this.env.drops.report(reason, packet.frame, 'icmpv6');
  }

  private handOver(
    packet: Ipv6Packet,
    to: ((packet: Ipv6Packet) => void) | undefined,
    otherwise: DropReason,
  ): undefined {
    if (to === undefined) return this.drop(otherwise, packet);
    to(packet);
    return undefined;
  }

  private echo(packet: Ipv6Packet): TxPacket | undefined {
    if (packet.frame.ipCast !== Cast.Unicast) return this.echoToGroup(packet);
    const reply = this.replyTo(packet);
    const { view } = reply.slab;
    // The pseudo-header's sum stays as it is: the same addresses, exchanged.
    const checksum = view.getUint16(reply.start + CHECKSUM);
    view.setUint16(reply.start + CHECKSUM, updateChecksum(checksum, REQUEST_WORD, REPLY_WORD));
    Ipv6Packet.emitReply(reply, packet, IpProtocol.Icmpv6, packet.trafficClass & ~ECN_MASK);
    return asTxPacket(reply);
  }

  /** A reply never comes from a group's address. */
  private echoToGroup(packet: Ipv6Packet): TxPacket | undefined {
    const { sourceAddress: destination, trafficClass } = packet;
    const isAnswered = !destination.isUnspecified && this.options.echoGroups !== false;
    const source = isAnswered ? this.sourceFor(packet) : undefined;
    if (source?.version !== 6) return this.drop(DropReason.Icmpv6Unsolicited, packet);
    const reply = this.replyTo(packet);
    pushIcmpv6Headers(reply, { source, destination, trafficClass: trafficClass & ~ECN_MASK });
    return asTxPacket(reply);
  }

  /** The request's frame, or a copy of it where somebody else looks at it, which says that it is a reply. */
  private replyTo({ frame }: Ipv6Packet): Frame {
    this.env.drops.deliver(frame);
    const reply = frame.exclusive ? frame.handOver() : this.env.pool.copy(frame);
    reply.checksum = ChecksumState.None;
    reply.gsoType = GsoType.None;
    reply.link = NOT_PARSED;
    reply.slab.view.setUint8(reply.start, Icmpv6Type.EchoReply);
    return reply;
  }

  private sourceFor({ frame, sourceAddress }: Ipv6Packet) {
    const { tables } = this.options;
    const { device } = frame;
    return device === undefined
      ? tables.path(sourceAddress)?.source
      : tables.addresses6.sourceFor(device, sourceAddress);
  }

  private reported(packet: Ipv6Packet, message: Icmpv6Message): undefined {
    const { tables, reports } = this.options;
    const { quoted } = message;
    const meaning = meaningOfIcmpv6(message.type, message.code);
    if (meaning === undefined) return this.drop(DropReason.Icmpv6UnknownType, packet);
    const usable =
      quoted !== undefined &&
      quoted.transport >= 0 &&
      quoted.end - quoted.transport >= MIN_TRANSPORT &&
      tables.isLocal(quoted.packet.sourceAddress);
    if (!usable) return this.drop(DropReason.Icmpv6BadQuote, packet);
    const { sourceAddress: source, destinationAddress: destination, totalLength } = quoted.packet;
    const tooBig = meaning.kind === 'packet-too-big';
    const mtu = tooBig ? tables.estimateMtu(destination, message.mtu, totalLength) : 0;
    const { frame } = packet;
    this.env.drops.deliver(frame);
    const { protocol, transport } = quoted;
    const ends = { source: onLinkOf(frame.device, source), destination: onLinkOf(frame.device, destination) };
    const reporter = packet.sourceAddress;
    const believed = reports.deliver({ ...meaning, reporter, ...ends, protocol, mtu, frame, transport });
    if (tooBig && believed) tables.tooBig(destination, mtu, totalLength);
    return undefined;
  }
}
