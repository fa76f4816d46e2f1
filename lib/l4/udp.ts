/**
 * UDP of one host (RFC 768, RFC 1122 4.1), over either IP version: ports, demultiplexing, errors.
 *
 * The sets of datagrams that sockets receive do not overlap unless all sockets concerned asked for that with `reuseAddress`. A
 * unicast datagram goes to the one best socket: a connected one, then one bound to the address, then a wildcard; among equals to the
 * youngest. A broadcast datagram goes to every socket that it matches, a multicast one to those of them that are members.
 */

import { anyAddress, type IpAddress, type IpVersion, isSameAddress, unmapped } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import type { Device } from '../core/device.js';
import type { Env } from '../core/env.js';
import { NetError } from '../core/errors.js';
import { asTxPacket, Cast, type Frame, type TxPacket } from '../core/frame.js';
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
import { senderOf } from '../l3/scope.js';
import { type IpFlow, type IpPacket, IpProtocol } from '../wire/ip.js';
import { UDP_HEADER, UdpDatagram } from '../wire/udp.js';
import { ephemeralPort } from './ports.js';
import type { Endpoint } from './tcp/api.js';
import { SocketGroups } from './udp-groups.js';
import type { UdpHandler, UdpOptions, UdpSocket, UdpSockets } from './udp-api.js';

// RFC 768: the length field counts header and payload; an IPv4 packet also holds its own header.
const MAX_PAYLOAD: Record<IpVersion, number> = { 4: 65535 - 20 - UDP_HEADER, 6: 65535 - UDP_HEADER };
const NAME = 'udp';

// How well a socket fits a datagram; the highest wins.
const NO_MATCH = 0;
const WILDCARD = 1;
const BOUND = 2;
const CONNECTED = 4;

/** The way of a datagram; of one to a group the device that it leaves by is chosen already. */
interface UdpPath extends IpPath {
  readonly device?: Device;
}

class BoundSocket implements UdpSocket {
  readonly host: UdpHost;
  readonly handler: UdpHandler;
  readonly reuse: boolean;
  /** Bound to all addresses of both versions (RFC 3493 3.7). */
  readonly isDual: boolean;
  local: Endpoint;
  remote: Endpoint | undefined = undefined;
  broadcast: boolean;
  /** What the application asked for; `undefined` where it leaves the choice to the way. */
  ownHopLimit: number | undefined;
  trafficClass: number;
  dontFragment: boolean;
  readonly groups: SocketGroups;
  /** The address as it was bound, which `connect` may narrow and undo. */
  readonly bound: IpAddress;
  closed = false;

  constructor(host: UdpHost, local: Endpoint, handler: UdpHandler, options: UdpOptions) {
    this.host = host;
    this.local = local;
    this.bound = local.address;
    this.handler = handler;
    this.reuse = options.reuseAddress ?? false;
    this.isDual = isDualStack(local.address, options);
    this.broadcast = options.broadcast ?? false;
    this.ownHopLimit = options.hopLimit;
    this.trafficClass = options.trafficClass ?? 0;
    this.dontFragment = options.dontFragment ?? false;
    this.groups = new SocketGroups(local.address.version, () => (this.closed ? undefined : host.multicast));
  }

  get hopLimit(): number {
    return this.ownHopLimit ?? DEFAULT_HOP_LIMIT;
  }

  set hopLimit(hops: number) {
    this.ownHopLimit = hops;
  }

  send(data: Uint8Array, to?: Endpoint): void {
    this.host.transmit(this, data, this.destination(to, 'send'));
  }

  pathMtu(to?: Endpoint): number {
    return this.host.pathTo(this, this.destination(to, 'getsockopt'), 'getsockopt').mtu;
  }

  private destination(to: Endpoint | undefined, syscall: string): Endpoint {
    if (this.closed) throw NetError.of('EBADF', syscall);
    if (to !== undefined && this.remote !== undefined) throw NetError.of('EISCONN', syscall);
    const destination = to ?? this.remote;
    if (destination === undefined) throw NetError.of('EDESTADDRREQ', syscall);
    return { address: unmapped(destination.address), port: destination.port };
  }

  connect(peer: Endpoint | undefined): void {
    if (this.closed) throw NetError.of('EBADF', 'connect');
    const to = peer && { address: unmapped(peer.address), port: peer.port };
    this.remote = to;
    const source = to === undefined ? this.bound : this.host.pathTo(this, to, 'connect').source;
    // A group is for receiving, and stays.
    this.local = { address: this.bound.isMulticast ? this.bound : source, port: this.local.port };
  }

  close(): void {
    if (this.closed) return;
    this.groups.close();
    this.closed = true;
    this.host.remove(this);
  }

  /** Whether it sends and receives packets of this version. */
  speaks(version: IpVersion): boolean {
    return this.bound.version === version || this.isDual;
  }

  /** Whether datagrams from `source` may be its own. */
  mayBeAt(source: IpAddress): boolean {
    const { bound } = this;
    return bound.isUnspecified ? this.speaks(source.version) : isSameAddress(bound, source);
  }

  /** How well a datagram from `source` to `destination` at this port fits. */
  match(source: IpAddress, sourcePort: number, destination: IpAddress): number {
    const { local, remote } = this;
    let score = WILDCARD;
    if (!local.address.isUnspecified) {
      if (!isSameAddress(local.address, destination)) return NO_MATCH;
      score += BOUND;
    } else if (!this.speaks(destination.version)) return NO_MATCH;
    if (remote !== undefined) {
      if (remote.port !== sourcePort || !isSameAddress(remote.address, source)) return NO_MATCH;
      score += CONNECTED;
    }
    return score;
  }
}

/** UDP of one host: feed it with packets, take packets from its `output`, open sockets on it. */
export class UdpHost implements UdpSockets {
  readonly output: IpOutput;
  /** Called with a datagram to a port without a socket, so that ICMP can say so. */
  unreachable: ((packet: IpPacket) => void) | undefined = undefined;
  /** The host's groups. Without them sockets can join none, and datagrams to groups go to every socket that they match. */
  multicast: Multicast | undefined = undefined;
  /** Takes over copies of datagrams to groups that this host is a member of, to bring them in again. */
  loopback: ((packet: TxPacket) => void) | undefined = undefined;
  private readonly paths: IpPaths;
  private readonly env: Env;
  private readonly ports = new Map<number, BoundSocket[]>();

  constructor(paths: IpPaths, env: Env) {
    this.paths = paths;
    this.env = env;
    this.output = new IpOutput(env, paths);
  }

  /** Open sockets. */
  get size(): number {
    let size = 0;
    for (const sockets of this.ports.values()) size += sockets.length;
    return size;
  }

  bind(local: Endpoint, handler: UdpHandler, options: UdpOptions = {}): UdpSocket {
    const address = unmapped(local.address);
    const isOurs = address.isUnspecified || address.isMulticast || this.paths.isLocal(address);
    if (!isOurs && !this.paths.isBroadcast(address)) {
      throw NetError.of('EADDRNOTAVAIL', 'bind', address.toString(), local.port);
    }
    const reuse = options.reuseAddress ?? false;
    const isDual = isDualStack(address, options);
    const free = (port: number) => !this.conflicts(address, port, reuse, isDual);
    const port =
      local.port === 0 ? ephemeralPort(this.env.random, (candidate) => !this.ports.has(candidate)) : local.port;
    if (port === undefined || !free(port)) throw NetError.of('EADDRINUSE', 'bind', address.toString(), local.port);
    const socket = new BoundSocket(this, { address, port }, handler, options);
    const sockets = this.ports.get(port);
    if (sockets === undefined) this.ports.set(port, [socket]);
    else sockets.push(socket);
    return socket;
  }

  /** Takes a packet whose frame's range is a UDP datagram: delivers it, or drops it with a reason. */
  receive(packet: IpPacket): void {
    const { frame } = packet;
    const { drops } = this.env;
    const wrong = UdpDatagram.check(packet);
    if (wrong !== undefined) return drops.report(wrong, frame, NAME);
    const datagram = new UdpDatagram(frame, frame.start);
    const sockets = this.ports.get(datagram.destinationPort);
    const taken = sockets === undefined ? 0 : this.deliver(packet, datagram, sockets);
    if (taken > 0) return drops.deliver(frame);
    if (this.unreachable !== undefined && frame.ipCast === Cast.Unicast) this.unreachable(packet);
    return drops.report(DropReason.UdpNoSocket, frame, NAME);
  }

  /** Takes an ICMP error about a datagram of ours: connected sockets hear of hard ones (RFC 1122 4.1.3.3). Says whether one did. */
  icmp(report: IcmpReport): boolean {
    const { view } = report.frame.slab;
    const localPort = view.getUint16(report.transport);
    const remotePort = view.getUint16(report.transport + 2);
    this.tellReport(report, localPort, remotePort);
    const socket = this.ports.get(localPort)?.find((candidate) => {
      const { local, remote } = candidate;
      return (
        remote !== undefined &&
        remote.port === remotePort &&
        isSameAddress(remote.address, report.destination) &&
        isSameAddress(local.address, report.source)
      );
    });
    if (socket === undefined) return report.kind === 'packet-too-big' && this.mayHaveSent(report, localPort);
    if (isHard(report, socket)) {
      socket.handler.error(NetError.of(report.code, 'recv', report.destination.toString(), remotePort));
    }
    return true;
  }

  /** Tells whoever asked for all reports, and may have sent the datagram. */
  private tellReport(report: IcmpReport, localPort: number, remotePort: number): void {
    const { kind, code, reporter, mtu, source } = report;
    const destination = { address: report.destination, port: remotePort };
    for (const socket of this.ports.get(localPort) ?? []) {
      const { handler, remote } = socket;
      if (!socket.mayBeAt(source) || (remote !== undefined && remote.port !== remotePort)) continue;
      handler.report?.({ kind, code, reporter, mtu, destination });
    }
  }

  /** Whether a socket that is not connected may have sent the datagram of a report. */
  private mayHaveSent(report: IcmpReport, localPort: number): boolean {
    const sockets = this.ports.get(localPort) ?? [];
    const { source } = report;
    return sockets.some((socket) => socket.remote === undefined && socket.mayBeAt(source));
  }

  /** Closes all sockets; their handlers get `ENETDOWN`. */
  dispose(): void {
    const open = [...this.ports.values()].flat();
    for (const socket of open) {
      socket.close();
      socket.handler.error(NetError.of('ENETDOWN', 'recv'));
    }
  }

  /** For sockets: sends one datagram. */
  transmit(socket: BoundSocket, data: Uint8Array, to: Endpoint): void {
    const { source, mtu, device, hopLimit = DEFAULT_HOP_LIMIT } = this.pathTo(socket, to, 'send');
    const { version, isMulticast } = to.address;
    const { dontFragment } = socket;
    const whole = dontFragment ? mtu - ipHeaderLength(version) - UDP_HEADER : Number.POSITIVE_INFINITY;
    if (data.length > Math.min(whole, MAX_PAYLOAD[version]))
      throw NetError.of('EMSGSIZE', 'send', to.address.toString(), to.port);
    const flow = {
      version,
      source,
      destination: to.address,
      protocol: IpProtocol.Udp,
      hopLimit: isMulticast ? socket.groups.hopLimit : (socket.ownHopLimit ?? hopLimit),
      trafficClass: socket.trafficClass,
      dontFragment,
    } as IpFlow;
    const frame = this.env.pool.alloc(data.length);
    frame.slab.bytes.set(data, frame.put(data.length));
    const length = UDP_HEADER + data.length;
    UdpDatagram.emit(frame, socket.local.port, to.port, pseudoHeaderSum(flow, length));
    frame.device = device;
    if (isMulticast && socket.groups.loopback) this.loopBack(frame, flow);
    if (flow.hopLimit > 0) this.output.send(frame, flow);
    else frame.release();
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

  /** For sockets: forgets a closed one. */
  remove(socket: BoundSocket): void {
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
      return other.bound.isUnspecified || address.isUnspecified || other.bound.equals(address);
    });
  }

  private deliver(packet: IpPacket, datagram: UdpDatagram, sockets: readonly BoundSocket[]): number {
    const { frame } = packet;
    const source = senderOf(packet);
    const destination: IpAddress = packet.destinationAddress;
    const isGroup = frame.ipCast !== Cast.Unicast;
    const asksMembers = frame.ipCast === Cast.Multicast && this.multicast !== undefined;
    let best: BoundSocket | undefined;
    let bestScore = NO_MATCH;
    let taken = 0;
    for (const socket of sockets) {
      const score = socket.match(source, datagram.sourcePort, destination);
      if (score === NO_MATCH) continue;
      if (asksMembers && !socket.groups.admits(frame.device, destination, packet.sourceAddress)) continue;
      if (isGroup) {
        this.hand(socket, packet, datagram, source, destination);
        taken++;
      } else if (score >= bestScore) {
        best = socket;
        bestScore = score;
      }
    }
    if (best === undefined) return taken;
    this.hand(best, packet, datagram, source, destination);
    return 1;
  }

  private hand(
    socket: BoundSocket,
    packet: IpPacket,
    datagram: UdpDatagram,
    source: IpAddress,
    destination: IpAddress,
  ): void {
    const { offset } = datagram;
    const message = {
      data: packet.frame.slab.bytes.slice(offset + UDP_HEADER, offset + datagram.length),
      source: { address: source, port: datagram.sourcePort },
      destination: { address: destination, port: datagram.destinationPort },
      hopLimit: packet.hopLimit,
      trafficClass: packet.trafficClass,
      device: packet.frame.device,
    };
    try {
      socket.handler.message(message);
    } catch {
      // The contract forbids it; neither the stack nor the other sockets shall suffer.
      this.env.drops.report(DropReason.CallbackThrew, packet.frame, NAME);
    }
  }
}

/** Errors that end what was asked for, as opposed to those that may pass (RFC 1122 4.2.3.9, as deployed for UDP). */
function isHard(report: IcmpReport, socket: UdpSocket): boolean {
  if (report.kind === 'packet-too-big') return socket.dontFragment;
  return report.kind === 'port-unreachable' || report.kind === 'protocol-unreachable' || report.kind === 'prohibited';
}

/** Whether a socket bound to `address` is one of both versions. */
function isDualStack(address: IpAddress, { ipv6Only }: UdpOptions): boolean {
  return address.version === 6 && address.isUnspecified && ipv6Only !== true;
}

/** The unspecified endpoint of a version at `port`. */
export function anyEndpoint(version: IpVersion, port: number): Endpoint {
  return { address: anyAddress(version), port };
}
