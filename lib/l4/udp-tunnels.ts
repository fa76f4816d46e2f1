/**
 * UDP for tunnels (RFC 8085 3.1.11): a tunnel has a port of the host, takes what comes to it as it came in, without a copy, and sends
 * frames with headers pushed in front of them, from ports that it chooses for each, so that paths are shared evenly.
 */

import type { IpAddress } from '../core/address.js';
import { copyBytes } from '../core/copy.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { NetError } from '../core/errors.js';
import { ChecksumState, type Frame, GsoType } from '../core/frame.js';
import { DEFAULT_HOP_LIMIT, type IpOutput, type IpPaths, pseudoHeaderSum } from '../l3/ip-output.js';
import { inZoneOf } from '../l3/scope.js';
import { type IpFlow, type IpPacket, IpProtocol } from '../wire/ip.js';
import { UDP_HEADER, UdpDatagram } from '../wire/udp.js';

const NAME = 'udp';
const DESTINATION_PORT = 2;
const LENGTH = 4;

/** Takes the datagrams of a tunnel. */
export interface UdpTunnelReceiver {
  /**
   * A datagram: the frame's range is its payload, valid during the call; what becomes of it is the receiver's to say. `packet` is the one that
   * it came in, for its addresses and traffic class.
   */
  receive(frame: Frame, packet: IpPacket): void;
}

/** Options of {@link UdpTunnels.open}. */
export interface UdpTunnelOptions {
  /** Take IPv6 datagrams without a checksum (RFC 6936 4). Default false: they are dropped as `UdpBadChecksum`. */
  readonly acceptZeroChecksum6?: boolean;
}

/** How datagrams of a tunnel leave. */
export interface UdpTunnelEndOptions {
  /** The address to send from, by its device where it has a zone. Default: as the routes say. */
  readonly source?: IpAddress | undefined;
  /** Compute checksums. Without them what is in the datagrams has to have its own (RFC 6935, RFC 6936). */
  readonly checksum: boolean;
  /** Default 64. */
  readonly hopLimit?: number;
  /** Refuse what the path would have to cut, instead of sending it in fragments. Default false. */
  readonly dontFragment?: boolean;
}

/** What tunnels need of their host's UDP. */
export interface UdpTunnelHost {
  readonly paths: IpPaths;
  readonly output: IpOutput;
  readonly env: Env;
  /** Whether sockets have this port. */
  hasSockets(port: number): boolean;
}

/** The other end of a tunnel, with the way there: kept by whoever sends to it. */
export class UdpTunnelEnd {
  readonly address: IpAddress;
  private readonly host: UdpTunnelHost;
  private readonly options: UdpTunnelEndOptions;
  private generation: number | undefined = undefined;
  private isReachable = false;
  /** By traffic class. */
  private flows: (IpFlow | undefined)[] = [];
  private source: IpAddress | undefined = undefined;
  private sum = 0;
  private isPartial = false;

  constructor(host: UdpTunnelHost, address: IpAddress, options: UdpTunnelEndOptions) {
    this.host = host;
    this.address = inZoneOf(options.source, address);
    this.options = options;
  }

  /** Sends a frame, whose checksum is complete, as the payload of a datagram; takes over its reference. */
  send(frame: Frame, sourcePort: number, port: number, trafficClass: number): void {
    const { host, options } = this;
    const { generation } = host.paths;
    if (generation === undefined || generation !== this.generation) this.find(generation);
    if (!this.isReachable) return host.env.drops.refuse(DropReason.IpNoRoute, frame, NAME);
    const flow = this.flows[trafficClass] ?? this.flow(trafficClass);
    if (!options.checksum) {
      UdpDatagram.emitUnchecked(frame, sourcePort, port);
      frame.checksum = ChecksumState.None;
    } else {
      const sum = this.sum + UDP_HEADER + frame.length;
      if (this.isPartial) UdpDatagram.emitPartial(frame, sourcePort, port, sum);
      else UdpDatagram.emit(frame, sourcePort, port, sum);
    }
    return host.output.send(frame, flow);
  }

  /** Largest IP packet, in bytes, that goes there in one piece, as far as is known; `undefined` where there is no way. */
  get mtu(): number | undefined {
    return this.host.paths.path(this.address, this.options.source)?.mtu;
  }

  private find(generation: number | undefined): void {
    const path = this.host.paths.path(this.address, this.options.source);
    this.generation = generation;
    this.isReachable = path !== undefined;
    if (path === undefined) return;
    this.source = path.source;
    this.flows = [];
    this.isPartial = path.features?.checksum ?? false;
    this.sum = pseudoHeaderSum(this.flow(0), 0);
  }

  private flow(trafficClass: number): IpFlow {
    const { hopLimit = DEFAULT_HOP_LIMIT, dontFragment = false } = this.options;
    const { address: destination, source = destination } = this;
    const { version } = destination;
    const protocol = IpProtocol.Udp;
    const flow = { version, source, destination, protocol, hopLimit, trafficClass, dontFragment } as IpFlow;
    this.flows[trafficClass] = flow;
    return flow;
  }
}

/** A tunnel's port of a host. */
export class UdpTunnel {
  readonly port: number;
  readonly receiver: UdpTunnelReceiver;
  /** See {@link UdpTunnelOptions}. */
  acceptZeroChecksum6: boolean;
  private readonly host: UdpTunnelHost;
  private readonly ports: Map<number, UdpTunnel>;

  constructor(
    host: UdpTunnelHost,
    ports: Map<number, UdpTunnel>,
    port: number,
    receiver: UdpTunnelReceiver,
    options: UdpTunnelOptions,
  ) {
    this.host = host;
    this.ports = ports;
    this.port = port;
    this.receiver = receiver;
    this.acceptZeroChecksum6 = options.acceptZeroChecksum6 ?? false;
  }

  /** Another end, to send to. */
  end(address: IpAddress, options: UdpTunnelEndOptions): UdpTunnelEnd {
    return new UdpTunnelEnd(this.host, address, options);
  }

  /** Gives the port back. */
  close(): void {
    if (this.ports.get(this.port) === this) this.ports.delete(this.port);
  }
}

/** The tunnels of a host. */
export class UdpTunnels {
  /** The host has ended: there are no new ones. */
  ended = false;
  private readonly host: UdpTunnelHost;
  private readonly ports = new Map<number, UdpTunnel>();

  constructor(host: UdpTunnelHost) {
    this.host = host;
  }

  /** Open tunnels. */
  get size(): number {
    return this.ports.size;
  }

  /** Whether a tunnel has this port. */
  has(port: number): boolean {
    return this.ports.has(port);
  }

  /**
   * Takes a port, of all addresses of the host.
   *
   * @throws NetError `EADDRINUSE`, `ENETDOWN` (the host has ended)
   */
  open(port: number, receiver: UdpTunnelReceiver, options: UdpTunnelOptions = {}): UdpTunnel {
    if (this.ended) throw NetError.of('ENETDOWN', 'bind', '', port);
    if (this.has(port) || this.host.hasSockets(port)) throw NetError.of('EADDRINUSE', 'bind', '', port);
    const tunnel = new UdpTunnel(this.host, this.ports, port, receiver, options);
    this.ports.set(port, tunnel);
    return tunnel;
  }

  /** Takes a packet whose frame's range is a UDP datagram, if it is to a tunnel; says whether it was. */
  take(packet: IpPacket): boolean {
    const { frame } = packet;
    const { view } = frame.slab;
    if (frame.length < UDP_HEADER) return false;
    const tunnel = this.ports.get(view.getUint16(frame.start + DESTINATION_PORT));
    if (tunnel === undefined) return false;
    const wrong = UdpDatagram.check(packet, packet.version === 4 || tunnel.acceptZeroChecksum6);
    if (wrong !== undefined) {
      this.host.env.drops.report(wrong, frame, NAME);
      return true;
    }
    frame.end = frame.start + view.getUint16(frame.start + LENGTH);
    frame.start += UDP_HEADER;
    if (frame.gsoType === GsoType.None) tunnel.receiver.receive(frame, packet);
    else if (frame.gsoType === GsoType.UdpL4 && frame.gsoSize > 0) this.takeEach(packet, tunnel.receiver);
    else this.host.env.drops.report(DropReason.SuperSegmentBad, frame, NAME);
    return true;
  }

  /** Of a frame that stands for many datagrams each is one of its own: they may be kept, and answered in place. */
  private takeEach(packet: IpPacket, receiver: UdpTunnelReceiver): void {
    const { pool, drops } = this.host.env;
    const { frame } = packet;
    const { start, end, gsoSize } = frame;
    drops.deliver(frame);
    for (let at = start; at < end; at += gsoSize) {
      const length = Math.min(gsoSize, end - at);
      const piece = pool.alloc(length);
      copyBytes(frame.slab, at, piece.slab, piece.put(length), length);
      piece.device = frame.device;
      piece.time = frame.time;
      piece.mark = frame.mark;
      piece.checksum = ChecksumState.Valid;
      receiver.receive(piece, packet);
      piece.release();
    }
  }
}
