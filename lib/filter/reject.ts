/** What the senders of rejected packets are told: an ICMP error, or a TCP reset. */

import type { Env } from '../core/env.js';
import { Cast, ChecksumState, type Frame, NOT_PARSED, type TxPacket } from '../core/frame.js';
import { IcmpErrors } from '../l3/icmp-errors.js';
import { DEFAULT_HOP_LIMIT, IpOutput, type IpPaths, pseudoHeaderSum } from '../l3/ip-output.js';
import { hasChecksum, hasRightChecksum, hasUdpLength } from '../l4/conntrack/integrity.js';
import { type IpFlow, type IpPacket, IpProtocol } from '../wire/ip.js';
import { Ipv4Packet } from '../wire/ipv4.js';
import { Ipv6Packet } from '../wire/ipv6.js';
import type { PacketFields } from '../wire/packet-fields.js';
import { TCP_ACKNOWLEDGMENT, TCP_DATA_OFFSET, TCP_SEQUENCE, TcpFlag, TcpSegment } from '../wire/tcp.js';
import { findPayload } from '../wire/ipv6-extensions.js';
import type { RejectWith } from './model.js';

/** Where nobody knows addresses of our own, answers come from where the packet was to go, as a bridge does it. */
const AS_ADDRESSED: IpPaths = {
  path: () => undefined,
  isLocal: () => true,
  isBroadcast: () => false,
};

/**
 * Whether the packet is what its sender sent, as far as its transport's length and checksum tell: senders are told of nothing else. Of one of
 * several fragments they do not.
 */
function isIntact(frame: Frame, fields: PacketFields): boolean {
  if (frame.checksum !== ChecksumState.None || !hasChecksum(fields)) return true;
  if (fields.isFragment || fields.transport === NOT_PARSED) return false;
  return (fields.protocol !== IpProtocol.Udp || hasUdpLength(frame, fields)) && hasRightChecksum(frame, fields);
}

/** Makes answers to rejected packets. */
export class Rejections {
  private readonly env: Env;
  private readonly errors: Pick<IcmpErrors, 'about'>;
  private readonly output: IpOutput;
  private made: TxPacket | undefined = undefined;

  /** @param errors of the host or router, whose limit of errors is shared and whose addresses they come from */
  constructor(errors: Pick<IcmpErrors, 'about'> | undefined, env: Env) {
    this.env = env;
    this.errors = errors ?? new IcmpErrors({ tables: AS_ADDRESSED }, env);
    this.output = new IpOutput(env);
    this.output.emit = (packet) => {
      this.made = packet;
    };
  }

  /** The answer, which the caller then owns, or `undefined` where there must be none. */
  answer(what: RejectWith, frame: Frame, fields: PacketFields): TxPacket | undefined {
    const packet = fields.version === 4 ? new Ipv4Packet(frame, fields.network) : new Ipv6Packet(frame, fields.network);
    if (!isIntact(frame, fields)) return undefined;
    if (what === 'tcp-reset') return this.reset(packet, fields);
    // RFC 4443 3.4: a parameter problem points to the field that named the protocol.
    const pointed = packet instanceof Ipv6Packet && what === 'protocol-unreachable' && findPayload(packet, fields.end);
    return this.errors.about(packet, what, pointed ? packet.protocolField : 0);
  }

  /** A reset that is exact for the sender (RFC 9293 3.10.7.1): none for a reset, and none for what no single host can have sent. */
  private reset(packet: IpPacket, fields: PacketFields): TxPacket | undefined {
    const { view, transport, tcpFlags, end } = fields;
    if (fields.protocol !== IpProtocol.Tcp || transport < 0 || (tcpFlags & TcpFlag.Rst) !== 0) return undefined;
    const { frame: rejected, sourceAddress, destinationAddress } = packet;
    if (rejected.linkCast !== Cast.Unicast || rejected.ipCast !== Cast.Unicast) return undefined;
    if (sourceAddress.isUnspecified || sourceAddress.isMulticast || destinationAddress.isMulticast) return undefined;
    const flow = {
      version: packet.version,
      source: destinationAddress,
      destination: sourceAddress,
      protocol: IpProtocol.Tcp,
      hopLimit: DEFAULT_HOP_LIMIT,
      trafficClass: 0,
      dontFragment: true,
    } as IpFlow;
    const acked = (tcpFlags & TcpFlag.Ack) !== 0;
    const payload = end - transport - (view.getUint8(transport + TCP_DATA_OFFSET) >>> 4) * 4;
    const span = payload + ((tcpFlags & TcpFlag.Syn) >>> 1) + (tcpFlags & TcpFlag.Fin);
    const frame = this.env.pool.alloc(0);
    TcpSegment.emit(
      frame,
      {
        sourcePort: fields.destinationPort,
        destinationPort: fields.sourcePort,
        sequence: acked ? view.getUint32(transport + TCP_ACKNOWLEDGMENT) : 0,
        acknowledgment: acked ? 0 : (view.getUint32(transport + TCP_SEQUENCE) + span) >>> 0,
        flags: acked ? TcpFlag.Rst : TcpFlag.Rst | TcpFlag.Ack,
        window: 0,
        urgentPointer: 0,
      },
      0,
    );
    TcpSegment.seal(frame, pseudoHeaderSum(flow, frame.length));
    // On one link the sender is where the packet came from (RFC 4007 9).
    if (sourceAddress.version === 6 && sourceAddress.isLinkLocal) frame.device = rejected.device;
    this.output.send(frame, flow);
    const { made } = this;
    this.made = undefined;
    return made;
  }
}
