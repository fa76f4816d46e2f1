/**
 * UDP of one host (RFC 768, RFC 1122 4.1), over either IP version: ports, demultiplexing, errors.
 *
 * The sets of datagrams that sockets receive do not overlap unless all sockets concerned asked for that with `reuseAddress`. A
 * unicast datagram goes to the one best socket: a connected one, then one bound to the address, then a wildcard; among equals to the
 * youngest. A broadcast datagram goes to every socket that it matches, a multicast one to those of them that are members.
 */

import { anyAddress, type IpAddress, type IpVersion, isSameAddress, unmapped } from '../core/address.js';
import { ByteCopies } from '../core/byte-copies.js';
import { copyRange } from '../core/copy.js';
import { DropReason } from '../core/drops.js';
import { type Device, type DeviceShare, NO_FEATURES } from '../core/device.js';
import type { Env } from '../core/env.js';
import { NetError } from '../core/errors.js';
import { asTxPacket, Cast, type Frame, GsoType, type TxPacket } from '../core/frame.js';
import type { IcmpReport } from '../l3/icmp-report.js';
import {
  DEFAULT_HOP_LIMIT,
  ipHeaderLength,
  IpOutput,
  type IpPath,
  type IpPaths,
  pseudoHeaderSum,
  pushIpHeader,
} from '../l3/ip-output.js';
import type { Multicast } from '../l3/multicast.js';
import { inZoneOf, receiverOf, senderOf } from '../l3/scope.js';
import { type IpFlow, type IpPacket, IpProtocol } from '../wire/ip.js';
import { MAX_DATAGRAMS } from '../wire/merging-datagrams.js';
import { UDP_HEADER, UdpDatagram } from '../wire/udp.js';
import { ephemeralPort } from './ports.js';
import { ownsNumber } from './share.js';
import type { Endpoint } from './tcp/api.js';
import type { UdpHandler, UdpOptions, UdpSocket, UdpSockets, UdpViewer } from './udp-api.js';
import { Arrival, Arrivals, type Departure, Departures } from './udp-flows.js';
import { UdpTunnels } from './udp-tunnels.js';
import { BoundSocket, isDualStack, NO_MATCH, type SocketHost } from './udp-socket.js';

// RFC 768: the length field counts header and payload; an IPv4 packet also holds its own header.
const MAX_PAYLOAD: Record<IpVersion, number> = { 4: 65535 - 20 - UDP_HEADER, 6: 65535 - UDP_HEADER };
const NAME = 'udp';

/** Offset of the length field (RFC 768). */
const LENGTH = 4;
/** Of what may be cut on its way. */
const NO_LIMIT = { mtu: Number.POSITIVE_INFINITY } as const;

/** Whom a datagram is for. */
type Recipient = Pick<Arrival<BoundSocket>, 'socket' | 'source' | 'destination'>;

/** The way of a datagram; of one to a group the device that it leaves by is chosen already. */
interface UdpPath extends IpPath {
  readonly device?: Device;
}

/** UDP of one host: feed it with packets, take packets from its `output`, open sockets on it. */
export class UdpHost implements UdpSockets, SocketHost {
  readonly output: IpOutput;
  /** Called with a datagram to a port without a socket, so that ICMP can say so. */
  unreachable: ((packet: IpPacket) => void) | undefined = undefined;
  /** The host's groups. Without them sockets can join none, and datagrams to groups go to every socket that they match. */
  multicast: Multicast | undefined = undefined;
  /** Takes over copies of datagrams to groups that this host is a member of, to bring them in again. */
  loopback: ((packet: TxPacket) => void) | undefined = undefined;
  /** Ports that tunnels have. */
  readonly tunnels: UdpTunnels;
  /** Which part of what comes to our addresses comes to us, where it is not all. */
  share: DeviceShare | undefined = undefined;
  private readonly paths: IpPaths;
  private readonly env: Env;
  /** The sockets of each, in the order in which they were bound. No list changes: who goes through one may call handlers, which bind and close. */
  private readonly ports = new Map<number, readonly BoundSocket[]>();
  private readonly arrivals: Arrivals<BoundSocket> = new Arrivals();
  private readonly departures: Departures<BoundSocket> = new Departures();
  private readonly copies: ByteCopies = new ByteCopies();
  /** Of the sockets: rises whenever datagrams may be another's than before. */
  private version = 0;
  private disposed = false;

  constructor(paths: IpPaths, env: Env) {
    this.paths = paths;
    this.env = env;
    this.output = new IpOutput(env, paths);
    this.tunnels = new UdpTunnels({ env, paths, output: this.output, hasSockets: (port) => this.ports.has(port) });
  }

  /** Open sockets. */
  get size(): number {
    let size = 0;
    for (const sockets of this.ports.values()) size += sockets.length;
    return size;
  }

  bind(local: Endpoint, handler: UdpHandler | UdpViewer, options: UdpOptions = {}): UdpSocket {
    const address = unmapped(local.address);
    if (this.disposed) throw NetError.of('ENETDOWN', 'bind', address.toString(), local.port);
    const isOurs = address.isUnspecified || address.isMulticast || this.paths.isLocal(address);
    if (!isOurs && !this.paths.isBroadcast(address)) {
      throw NetError.of('EADDRNOTAVAIL', 'bind', address.toString(), local.port);
    }
    const reuse = options.reuseAddress ?? false;
    const isDual = isDualStack(address, options);
    const free = (port: number) => !this.tunnels.has(port) && !this.conflicts(address, port, reuse, isDual);
    const port =
      local.port === 0
        ? ephemeralPort(this.env.random, (one) => ownsNumber(this.share, one) && !this.has(one))
        : local.port;
    if (port === undefined || !free(port)) throw NetError.of('EADDRINUSE', 'bind', address.toString(), local.port);
    const socket = new BoundSocket(this, { address, port }, handler, options);
    this.ports.set(port, [...(this.ports.get(port) ?? []), socket]);
    this.changed();
    return socket;
  }

  /** Takes a packet whose frame's range is a UDP datagram: delivers it, or drops it with a reason. */
  receive(packet: IpPacket): void {
    if (this.tunnels.size > 0 && this.tunnels.take(packet)) return undefined;
    const { frame } = packet;
    const { drops } = this.env;
    const wrong = UdpDatagram.check(packet);
    if (wrong !== undefined) return drops.report(wrong, frame, NAME);
    const isUnicast = frame.ipCast === Cast.Unicast;
    const arrival = isUnicast ? this.arrivals.find(packet, this.version) : undefined;
    const isTaken = arrival === undefined ? this.deliver(packet) : this.hand(packet, arrival);
    if (isTaken) return drops.deliver(frame);
    if (this.unreachable !== undefined && isUnicast) this.unreachable(packet);
    return drops.report(DropReason.UdpNoSocket, frame, NAME);
  }

  /** Takes an ICMP error about a datagram of ours: connected sockets hear of hard ones (RFC 1122 4.1.3.3). Says whether one did. */
  icmp(report: IcmpReport): boolean {
    const { view } = report.frame.slab;
    const localPort = view.getUint16(report.transport);
    const remotePort = view.getUint16(report.transport + 2);
    const destination = { address: report.destination, port: remotePort };
    this.tellReport(report, localPort, destination);
    const socket = this.ports.get(localPort)?.find((candidate) => {
      const { local, remote } = candidate;
      return remote !== undefined && isSameEnd(remote, destination) && isSameAddress(local.address, report.source);
    });
    if (socket === undefined) {
      const isOurs = this.tunnels.has(remotePort) || this.mayHaveSent(report, localPort);
      return report.kind === 'packet-too-big' && isOurs;
    }
    if (isHard(report, socket)) {
      const error = NetError.of(report.code, 'recv', report.destination.toString(), remotePort);
      this.tell(() => socket.handler.error(error));
    }
    return true;
  }

  /** Tells whoever asked for all reports, and may have sent the datagram. */
  private tellReport(report: IcmpReport, localPort: number, destination: Endpoint): void {
    const { kind, code, reporter, mtu, source } = report;
    for (const socket of this.ports.get(localPort) ?? []) {
      const { handler, remote, closed } = socket;
      if (closed || !socket.mayBeAt(source) || (remote !== undefined && !isSameEnd(remote, destination))) continue;
      this.tell(() => handler.report?.({ kind, code, reporter, mtu, destination }));
    }
  }

  private has(port: number): boolean {
    return this.ports.has(port) || this.tunnels.has(port);
  }

  /** Whether a socket that is not connected may have sent the datagram of a report. */
  private mayHaveSent(report: IcmpReport, localPort: number): boolean {
    const sockets = this.ports.get(localPort) ?? [];
    const { source } = report;
    return sockets.some((socket) => socket.remote === undefined && socket.mayBeAt(source));
  }

  /** Closes all sockets, for good; their handlers get `ENETDOWN`. */
  dispose(): void {
    // Whoever is told shall not begin anew.
    this.disposed = this.tunnels.ended = true;
    const open = [...this.ports.values()].flat();
    for (const socket of open) {
      if (socket.closed) continue;
      socket.close();
      this.tell(() => socket.handler.error(NetError.of('ENETDOWN', 'recv')));
    }
  }

  /** The contract forbids to throw; the stack shall not suffer. */
  private tell(call: () => void): void {
    try {
      call();
    } catch {
      this.env.drops.report(DropReason.CallbackThrew, undefined, NAME);
    }
  }

  /** For sockets: sends datagrams, all but the last of `segmentSize` bytes; one, where that is all. */
  transmit(socket: BoundSocket, bytes: Uint8Array, from: number, end: number, to: Endpoint, segmentSize: number): void {
    const way = this.departures.find(socket, to, this.paths.generation) ?? this.departure(socket, to);
    const { version } = to.address;
    const length = end - from;
    const isMany = segmentSize < length;
    const needsMtu = isMany || socket.dontFragment;
    const { mtu } = needsMtu ? this.pathTo(socket, to, 'send') : NO_LIMIT;
    const whole = Math.min(mtu - ipHeaderLength(version) - UDP_HEADER, MAX_PAYLOAD[version]);
    if (Math.min(segmentSize, length) > whole || (isMany && !(segmentSize >= 1))) {
      throw NetError.of('EMSGSIZE', 'send', to.address.toString(), to.port);
    }
    if (!isMany) return this.dispatch(way, bytes, from, end, 0);
    // As many at once as one packet can stand for, where the device cuts it.
    const { udpSegmentation, checksum } = way.features;
    const atOnce = udpSegmentation && checksum && way.device === undefined;
    const most = Math.min(MAX_DATAGRAMS, Math.floor(MAX_PAYLOAD[version] / segmentSize));
    const step = atOnce ? most * segmentSize : segmentSize;
    for (let at = from; at < end; at += step) this.dispatch(way, bytes, at, Math.min(at + step, end), segmentSize);
    return undefined;
  }

  /** Sends one packet: a datagram, or, of more bytes than `segmentSize`, what stands for many. */
  private dispatch(
    way: Departure<BoundSocket>,
    bytes: Uint8Array,
    from: number,
    end: number,
    segmentSize: number,
  ): void {
    const { socket, port, flow, device } = way;
    const length = end - from;
    const frame = this.env.pool.alloc(length);
    copyRange(bytes, from, frame.slab.bytes, frame.put(length), length);
    const sum = way.sum + UDP_HEADER + length;
    if (way.features.checksum) UdpDatagram.emitPartial(frame, socket.local.port, port, sum);
    else UdpDatagram.emit(frame, socket.local.port, port, sum);
    if (segmentSize > 0 && length > segmentSize) {
      frame.gsoType = GsoType.UdpL4;
      frame.gsoSize = segmentSize;
    }
    frame.device = device;
    if (device !== undefined && socket.groups.loopback) this.loopBack(frame, flow);
    if (flow.hopLimit > 0) this.output.send(frame, flow);
    else frame.release();
  }

  /** Finds the way of datagrams to `to`, and keeps it for those that follow. */
  private departure(socket: BoundSocket, to: Endpoint): Departure<BoundSocket> {
    const { address, port } = to;
    const { source, device, hopLimit = DEFAULT_HOP_LIMIT, features = NO_FEATURES } = this.pathTo(socket, to, 'send');
    const { isMulticast, version } = address;
    const flow = {
      version,
      source,
      destination: inZoneOf(socket.bound, address),
      protocol: IpProtocol.Udp,
      hopLimit: isMulticast ? socket.groups.hopLimit : (socket.ownHopLimit ?? hopLimit),
      trafficClass: socket.trafficClass,
      dontFragment: socket.dontFragment,
    } as IpFlow;
    const { revision } = socket;
    const { generation } = this.paths;
    const sum = pseudoHeaderSum(flow, 0);
    const departure = { socket, address, port, generation, revision, flow, sum, device, features };
    // What is said of groups may change without notice.
    if (!isMulticast) this.departures.keep(departure);
    return departure;
  }

  /** Members on this host receive what is sent to their group, too (RFC 1112 6.1). */
  private loopBack(frame: Frame, flow: IpFlow): void {
    const { device } = frame;
    if (device === undefined || this.loopback === undefined) return;
    if (this.multicast?.isMember(device, flow.destination) !== true) return;
    const copy = this.env.pool.copy(frame);
    pushIpHeader(copy, flow, 0);
    this.loopback(asTxPacket(copy));
  }

  /** For sockets: the way of datagrams to `to`. */
  pathTo(socket: BoundSocket, to: Endpoint, syscall: string): UdpPath {
    const { address, port } = to;
    if (!socket.speaks(address.version) || port < 1 || port > 65535) {
      throw NetError.of('EINVAL', syscall, address.toString(), port);
    }
    const { bound } = socket;
    const isAny = bound.isUnspecified || bound.isMulticast || this.paths.isBroadcast(bound);
    const wanted = isAny ? undefined : bound;
    const isGroup = address.isMulticast && this.multicast !== undefined;
    const path = isGroup ? this.pathToGroup(socket, address, wanted) : this.paths.path(address, wanted);
    if (path === undefined) throw NetError.of('ENETUNREACH', syscall, address.toString(), port);
    if (this.paths.isBroadcast(address) && !socket.broadcast) {
      throw NetError.of('EACCES', syscall, address.toString(), port);
    }
    return path;
  }

  private pathToGroup(socket: BoundSocket, group: IpAddress, wanted: IpAddress | undefined): UdpPath | undefined {
    const device = socket.groups.egress(group, wanted);
    const source = device && (wanted ?? this.multicast?.sourceFor(device, group));
    return source && device && { source, mtu: device.mtu, device };
  }

  /** For sockets: datagrams may be another's than before. */
  changed(): void {
    this.version++;
  }

  /** For sockets: forgets a closed one. */
  remove(socket: BoundSocket): void {
    this.changed();
    const { port } = socket.local;
    const rest = (this.ports.get(port) ?? []).filter((other) => other !== socket);
    if (rest.length === 0) this.ports.delete(port);
    else this.ports.set(port, rest);
  }

  private conflicts(address: IpAddress, port: number, reuse: boolean, isDual: boolean): boolean {
    const sockets = this.ports.get(port) ?? [];
    return sockets.some((other) => {
      if (other.reuse && reuse) return false;
      if (other.bound.version !== address.version) return other.isDual || isDual;
      return other.bound.isUnspecified || address.isUnspecified || isSameAddress(other.bound, address);
    });
  }

  /** Looks for the sockets that a datagram is for; says whether there are any. */
  private deliver(packet: IpPacket): boolean {
    const { frame } = packet;
    const { view } = frame.slab;
    const source = { address: senderOf(packet), port: view.getUint16(frame.start) };
    const destination: Endpoint = { address: receiverOf(packet), port: view.getUint16(frame.start + 2) };
    const isUnicast = frame.ipCast === Cast.Unicast;
    const asksMembers = frame.ipCast === Cast.Multicast && this.multicast !== undefined;
    let best: BoundSocket | undefined;
    let bestScore = NO_MATCH;
    let isTaken = false;
    for (const socket of this.ports.get(destination.port) ?? []) {
      const score = socket.match(source.address, source.port, destination.address);
      if (score === NO_MATCH || socket.closed) continue;
      if (asksMembers && !socket.groups.admits(frame.device, destination.address, packet.sourceAddress)) continue;
      if (!isUnicast) isTaken = this.hand(packet, { socket, source, destination });
      else if (score >= bestScore) {
        best = socket;
        bestScore = score;
      }
    }
    if (best === undefined) return isTaken;
    const arrival = new Arrival(packet, this.version, best, source, destination);
    this.arrivals.keep(packet, arrival);
    return this.hand(packet, arrival);
  }

  /** Gives a socket its datagram; of one that stands for many, each. */
  private hand(packet: IpPacket, { socket, source, destination }: Recipient): true {
    const { frame, hopLimit, trafficClass } = packet;
    const { slab, start, device } = frame;
    const { bytes } = slab;
    const { handler } = socket;
    const end = start + slab.view.getUint16(start + LENGTH);
    const size = frame.gsoType === GsoType.UdpL4 && frame.gsoSize > 0 ? frame.gsoSize : end - start;
    let at = start + UDP_HEADER;
    do {
      const to = Math.min(at + size, end);
      try {
        if ('view' in handler) {
          handler.view(bytes, at, to, { source, destination, hopLimit, trafficClass, device });
        } else {
          const data = this.copies.of(bytes, at, to - at);
          handler.message({ data, source, destination, hopLimit, trafficClass, device });
        }
      } catch {
        // The contract forbids it; neither the stack nor the other sockets shall suffer.
        this.env.drops.report(DropReason.CallbackThrew, frame, NAME);
      }
      at += size;
    } while (at < end && !socket.closed);
    return true;
  }
}

function isSameEnd(one: Endpoint, other: Endpoint): boolean {
  return one.port === other.port && isSameAddress(one.address, other.address);
}

/** Errors that end what was asked for, as opposed to those that may pass (RFC 1122 4.2.3.9, as deployed for UDP). */
function isHard(report: IcmpReport, socket: UdpSocket): boolean {
  if (report.kind === 'packet-too-big') return socket.dontFragment;
  return report.kind === 'port-unreachable' || report.kind === 'protocol-unreachable' || report.kind === 'prohibited';
}

/** The unspecified endpoint of a version at `port`. */
export function anyEndpoint(version: IpVersion, port: number): Endpoint {
  return { address: anyAddress(version), port };
}
