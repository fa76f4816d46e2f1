/**
 * Ping sockets of one host: ICMP echo requests (RFC 792, RFC 4443 4.1), their replies, and errors about them, told apart by identifier. The
 * answering side is in `lib/l3/icmp.ts` and `lib/l3/icmpv6.ts`.
 */

import type { IpVersion } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import type { DeviceShare } from '../core/device.js';
import type { Env } from '../core/env.js';
import { NetError } from '../core/errors.js';
import type { IcmpReport } from '../l3/icmp-report.js';
import { DEFAULT_HOP_LIMIT, IpOutput, type IpPaths, pseudoHeaderSum } from '../l3/ip-output.js';
import { inZoneOf, senderOf } from '../l3/scope.js';
import { ICMPV4_HEADER, Icmpv4Message, Icmpv4Type } from '../wire/icmpv4.js';
import { ICMPV6_HEADER, Icmpv6Message, Icmpv6Type } from '../wire/icmpv6.js';
import { type IpFlow, type IpPacket, IpProtocol } from '../wire/ip.js';
import { ownsNumber } from './share.js';
import type { EchoRequest, PingHandler, PingSocket, PingSockets } from './ping-api.js';

const IDENTIFIERS = 0x1_0000;
const NOTHING = new Uint8Array(0);
// What an IP packet holds besides its own header and that of ICMP; the length of IPv6 does not count its header.
const MAX_DATA: Record<IpVersion, number> = { 4: 65_535 - 20 - ICMPV4_HEADER, 6: 65_535 - ICMPV6_HEADER };
// Offsets in a quoted echo request.
const IDENTIFIER = 4;
const SEQUENCE = 6;

class EchoSocket implements PingSocket {
  readonly version: IpVersion;
  readonly identifier: number;
  readonly handler: PingHandler;
  private readonly host: PingHost;
  private closed = false;

  constructor(host: PingHost, version: IpVersion, identifier: number, handler: PingHandler) {
    this.host = host;
    this.version = version;
    this.identifier = identifier;
    this.handler = handler;
  }

  send(request: EchoRequest): void {
    if (this.closed) throw NetError.of('EBADF', 'send');
    this.host.transmit(this, request);
  }

  close(): void {
    this.closed = true;
    this.host.remove(this);
  }
}

/** ICMP echo of one host: feed it with replies and reports, take requests from its `output`, open sockets on it. */
export class PingHost implements PingSockets {
  readonly output: IpOutput;
  /** Which part of what comes to our addresses comes to us, where it is not all. */
  share: DeviceShare | undefined = undefined;
  private readonly paths: IpPaths;
  private readonly env: Env;
  private readonly sockets = new Map<number, EchoSocket>();
  private disposed = false;

  constructor(paths: IpPaths, env: Env) {
    this.paths = paths;
    this.env = env;
    this.output = new IpOutput(env, paths);
  }

  /** Open sockets. */
  get size(): number {
    return this.sockets.size;
  }

  open(version: IpVersion, handler: PingHandler): PingSocket {
    if (this.disposed) throw NetError.of('ENETDOWN', 'socket');
    // Random, so that nobody who does not see the requests can answer them.
    const start = this.env.random.below(IDENTIFIERS);
    for (let i = 0; i < IDENTIFIERS; i++) {
      const identifier = (start + i) % IDENTIFIERS;
      if (this.sockets.has(identifier) || !ownsNumber(this.share, identifier)) continue;
      const socket = new EchoSocket(this, version, identifier, handler);
      this.sockets.set(identifier, socket);
      return socket;
    }
    throw NetError.of('ENOBUFS', 'socket');
  }

  /** Is shown an echo reply; says whether it was a socket's. For `echoReplies` of `icmp` and `icmpv6`. */
  received(message: Icmpv4Message | Icmpv6Message, packet: IpPacket): boolean {
    const socket = this.sockets.get(message.identifier);
    if (socket === undefined || socket.version !== packet.version) return false;
    const { frame } = packet;
    const reply = {
      source: senderOf(packet),
      sequence: message.sequence,
      data: frame.slab.bytes.slice(message.payload, frame.end),
      hopLimit: packet.hopLimit,
      trafficClass: packet.trafficClass,
    };
    this.tell(() => socket.handler.reply(reply), packet);
    return true;
  }

  /** Takes an ICMP error about a packet of ICMP, or ICMPv6, of ours; says whether it was about a socket's. */
  icmp(report: IcmpReport): boolean {
    const { frame, transport, destination, reporter, kind, code, mtu } = report;
    const { view } = frame.slab;
    const { version } = destination;
    const socket = this.sockets.get(view.getUint16(transport + IDENTIFIER));
    if (socket?.version !== version || view.getUint8(transport) !== requestType(version)) return false;
    const sequence = view.getUint16(transport + SEQUENCE);
    this.tell(() => socket.handler.error({ sequence, destination, reporter, kind, code, mtu }));
    return true;
  }

  /** Closes all sockets, for good. */
  dispose(): void {
    this.disposed = true;
    for (const socket of this.sockets.values()) socket.close();
  }

  /** For sockets: sends one request. */
  transmit(socket: EchoSocket, request: EchoRequest): void {
    const { sequence, data = NOTHING, source: wanted } = request;
    const destination = inZoneOf(wanted, request.destination);
    const { version } = socket;
    const where = destination.toString();
    if (destination.version !== version || destination.isUnspecified) throw NetError.of('EINVAL', 'send', where);
    if (wanted !== undefined && !this.paths.isLocal(wanted))
      throw NetError.of('EADDRNOTAVAIL', 'send', wanted.toString());
    const path = this.paths.path(destination, wanted);
    if (path === undefined) throw NetError.of('ENETUNREACH', 'send', where);
    if (data.length > MAX_DATA[version]) throw NetError.of('EMSGSIZE', 'send', where);
    const flow = {
      version,
      source: path.source,
      destination,
      protocol: version === 4 ? IpProtocol.Icmp : IpProtocol.Icmpv6,
      hopLimit: request.hopLimit ?? path.hopLimit ?? DEFAULT_HOP_LIMIT,
      trafficClass: request.trafficClass ?? 0,
      dontFragment: request.dontFragment ?? false,
    } as IpFlow;
    const frame = this.env.pool.alloc(data.length);
    frame.slab.bytes.set(data, frame.put(data.length));
    const rest = ((socket.identifier << 16) | (sequence & 0xffff)) >>> 0;
    if (version === 4) Icmpv4Message.emit(frame, Icmpv4Type.EchoRequest, 0, rest);
    else {
      const sum = pseudoHeaderSum(flow, ICMPV6_HEADER + data.length);
      Icmpv6Message.emit(frame, Icmpv6Type.EchoRequest, 0, rest, sum);
    }
    this.output.send(frame, flow);
  }

  /** For sockets: forgets a closed one. */
  remove(socket: EchoSocket): void {
    if (this.sockets.get(socket.identifier) === socket) this.sockets.delete(socket.identifier);
  }

  /** The contract forbids to throw; the stack shall not suffer. */
  private tell(call: () => void, packet?: IpPacket): void {
    try {
      call();
    } catch {
      this.env.drops.report(DropReason.CallbackThrew, packet?.frame, 'ping');
    }
  }
}

function requestType(version: IpVersion): number {
  return version === 4 ? Icmpv4Type.EchoRequest : Icmpv6Type.EchoRequest;
}
