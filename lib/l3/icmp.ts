/**
 * ICMPv4 of a host (RFC 792, RFC 1122 3.2.2): answers echo requests, brings errors to the transports, learns path MTUs. Source
 * quench is ignored (RFC 6633), and so are address masks (RFC 6918) and timestamps.
 */

import { Ipv4Address } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { asTxPacket, Cast, ChecksumState, GsoType, NOT_PARSED, type TxPacket } from '../core/frame.js';
import { updateChecksum } from '../wire/checksum.js';
import { ICMPV4_HEADER, Icmpv4Message, Icmpv4Type, isIcmpv4Error } from '../wire/icmpv4.js';
import { IpProtocol } from '../wire/ip.js';
import { Ipv4Packet } from '../wire/ipv4.js';
import { type IcmpReports, meaningOfIcmpv4 } from './icmp-reports.js';
import type { IpTables } from './ip-tables.js';

/** Options of {@link IcmpHost}. */
export interface IcmpOptions {
  readonly tables: IpTables;
  /** Where received errors go. */
  readonly reports: IcmpReports;
  /** Answer echo requests to broadcast and multicast addresses. Default false (RFC 1122 3.2.2.6 leaves the choice). */
  readonly echoBroadcasts?: boolean;
  /** Heed redirects, where they pass RFC 1122 3.2.2.2. Default false: a host with one router has no use for them. */
  readonly redirects?: boolean;
  /** For ping sockets: is shown echo replies, and says whether one was its own. The message is valid during the call. */
  readonly echoReplies?: (message: Icmpv4Message, packet: Ipv4Packet) => boolean;
}

// Of a message: the checksum field. Of a reply: only the type changes, from 8 to 0.
const CHECKSUM = 2;
const ECHO_REQUEST_WORD = Icmpv4Type.EchoRequest << 8;
const ECN_MASK = 0x03;

/** ICMPv4 of one host. */
export class IcmpHost {
  private readonly env: Env;
  private readonly options: IcmpOptions;
  private identification: number;

  constructor(options: IcmpOptions, env: Env) {
    this.env = env;
    this.options = options;
    this.identification = env.random.uint32() & 0xffff;
  }

  /** Handles a received message; returns the answer, if there is one, which the caller then owns. */
  receive(packet: Ipv4Packet): TxPacket | undefined {
    const { frame } = packet;
    const wrong = Icmpv4Message.check(frame, frame.start);
    if (wrong !== undefined) return this.drop(wrong, packet);
    const message = new Icmpv4Message(frame, frame.start);
    const { type } = message;
    if (type === Icmpv4Type.EchoRequest) return this.echo(packet);
    if (type === Icmpv4Type.EchoReply) {
      if (this.options.echoReplies?.(message, packet) !== true) return this.drop(DropReason.Icmpv4Unsolicited, packet);
      this.env.drops.deliver(frame);
      return undefined;
    }
    if (type === Icmpv4Type.Redirect) return this.redirected(packet, message);
    if (type === Icmpv4Type.SourceQuench) return this.drop(DropReason.Icmpv4Ignored, packet);
    if (isIcmpv4Error(type)) return this.reported(packet, message);
    return this.drop(DropReason.Icmpv4UnknownType, packet);
  }

  private drop(reason: DropReason, packet: Ipv4Packet): undefined {
    return this.env.drops.report(reason, packet.frame, 'icmp');
  }

  private echo(packet: Ipv4Packet): TxPacket | undefined {
    const { frame, destinationAddress } = packet;
    let source = destinationAddress.value;
    if (frame.ipCast !== Cast.Unicast || frame.linkCast !== Cast.Unicast) {
      if (this.options.echoBroadcasts !== true) return this.drop(DropReason.Icmpv4Broadcast, packet);
      // A reply never comes from a group's address (RFC 1122 3.2.2.6).
      const own = this.options.tables.path(packet.sourceAddress)?.source;
      if (own?.version !== 4) return this.drop(DropReason.Icmpv4Broadcast, packet);
      source = own.value;
    }
    const { source: destination, trafficClass } = packet;
    this.env.drops.deliver(frame);
    const reply = frame.exclusive ? frame.handOver() : this.env.pool.copy(frame);
    const { view } = reply.slab;
    const checksum = view.getUint16(reply.start + CHECKSUM);
    view.setUint8(reply.start, Icmpv4Type.EchoReply);
    // 0 would be wrong where the reply is nothing but zeros, and 0xffff is right everywhere (RFC 1624 3).
    view.setUint16(reply.start + CHECKSUM, updateChecksum(checksum, ECHO_REQUEST_WORD, 0) || 0xffff);
    reply.checksum = ChecksumState.None;
    reply.gsoType = GsoType.None;
    reply.link = NOT_PARSED;
    this.identification = (this.identification + 1) & 0xffff;
    Ipv4Packet.emit(reply, {
      source,
      destination,
      protocol: IpProtocol.Icmp,
      tos: trafficClass & ~ECN_MASK,
      identification: this.identification,
    });
    return asTxPacket(reply);
  }

  private reported(packet: Ipv4Packet, message: Icmpv4Message): undefined {
    const { tables, reports } = this.options;
    const { quoted } = message;
    const meaning = meaningOfIcmpv4(message.type, message.code);
    if (meaning === undefined) return this.drop(DropReason.Icmpv4UnknownType, packet);
    const usable =
      quoted !== undefined &&
      quoted.packet.fragmentOffset === 0 &&
      quoted.end - quoted.transport >= ICMPV4_HEADER &&
      tables.isLocal(quoted.packet.sourceAddress);
    if (!usable) return this.drop(DropReason.Icmpv4BadQuote, packet);
    const { sourceAddress: source, destinationAddress: destination, protocol, totalLength } = quoted.packet;
    const tooBig = meaning.kind === 'packet-too-big';
    const mtu = tooBig ? tables.estimateMtu(destination, message.mtu, totalLength) : 0;
    const { frame } = packet;
    this.env.drops.deliver(frame);
    const reporter = packet.sourceAddress;
    const { transport } = quoted;
    const believed = reports.deliver({ ...meaning, reporter, source, destination, protocol, mtu, frame, transport });
    if (tooBig && believed) tables.tooBig(destination, mtu, totalLength);
    return undefined;
  }

  private redirected(packet: Ipv4Packet, message: Icmpv4Message): undefined {
    const { tables, redirects } = this.options;
    if (redirects !== true) return this.drop(DropReason.Icmpv4Ignored, packet);
    const { quoted } = message;
    if (quoted === undefined || !tables.isLocal(quoted.packet.sourceAddress)) {
      return this.drop(DropReason.Icmpv4BadQuote, packet);
    }
    const gateway = new Ipv4Address(message.rest);
    if (!tables.redirect(packet.sourceAddress, quoted.packet.destinationAddress, gateway)) {
      return this.drop(DropReason.Icmpv4Ignored, packet);
    }
    this.env.drops.deliver(packet.frame);
    return undefined;
  }
}
