/**
 * The way out: finds the route and the link of an outgoing packet, cuts it to the path's MTU, and hands it to the link, which resolves
 * the next hop. What cannot leave is dropped, and reported to the transport that sent it.
 *
 * Reports are delivered from a timer, never from within the call that sent the packet: a transport in the middle of sending need not
 * expect to be told that it failed.
 */

import type { IpAddress, IpVersion } from '../core/address.js';
import type { Device } from '../core/device.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import type { NetCode } from '../core/errors.js';
import {
  asTx,
  asTxPacket,
  type ChosenRoute,
  type Frame,
  GsoType,
  type TxFrame,
  type TxPacket,
  UNDER_WAY,
} from '../core/frame.js';
import type { Timer } from '../core/timers.js';
import type { IpLink } from '../l2/link.js';
import { IPV4_DESTINATION, IPV4_SOURCE, Ipv4Packet } from '../wire/ipv4.js';
import { IPV6_DESTINATION, IPV6_SOURCE, Ipv6Packet, readIpv6 } from '../wire/ipv6.js';
import { longestSegment, segment } from '../wire/segmentation.js';
import { DeadGateways } from './dead-gateways.js';
import { fragmentIpv4, fragmentIpv6, isBeyondPacket } from './fragment.js';
import type { IcmpErrorKind } from './icmp-report.js';
import type { IcmpReports } from './icmp-reports.js';
import type { IpTables } from './ip-tables.js';
import { isUnicast, linkMtu } from './routes.js';
import { deviceOf, OwnRouting } from './routing-own.js';
import { isOnOneLink } from './scope.js';
import { Way, Ways } from './ways.js';

/** Options of {@link Egress} and of `routeAndResolve`. */
export interface EgressOptions {
  readonly tables: IpTables;
  /** One link per device that routes lead to. */
  readonly links: readonly IpLink[];
  /** Where packets to ourselves go; takes over the reference. Without it they are dropped as `IpNoRoute`. */
  readonly loopback?: (packet: TxPacket) => void;
  /** Who is told of packets that could not be sent. */
  readonly reports?: IcmpReports;
  /** Send packets from addresses that are not ours: for routers and for tests. Default false (RFC 1122 3.2.1.3). */
  readonly anySource?: boolean;
  /** Is told of packets that others sent and that could not be taken further, some time after; the packet is valid during the call. */
  readonly stranded?: (packet: Ipv4Packet | Ipv6Packet, kind: IcmpErrorKind, mtu: number) => void;
}

interface Failure {
  readonly frame: Frame;
  readonly kind: IcmpErrorKind;
  readonly code: NetCode;
  readonly mtu: number;
}

const MAPPED = 0xffff;
const IPV6_LAST_WORD = IPV6_DESTINATION + 12;

/** Routes packets to links. */
export class Egress {
  private readonly env: Env;
  private readonly options: EgressOptions;
  private readonly emit: (frame: TxFrame) => void;
  private readonly links = new Map<Device, IpLink>();
  private readonly ways4: Ways<4> = new Ways();
  private readonly ways6: Ways<6> = new Ways();
  private readonly ownRouting: OwnRouting;
  private readonly failures: Failure[] = [];
  private readonly reporter: Timer;
  private readonly deadGateways: DeadGateways;
  /** That of the packet at hand whose route was chosen before. */
  private readonly chosen: Way<IpVersion> = new Way();

  /** Takes the links over until {@link Egress.dispose}. */
  constructor(options: EgressOptions, emit: (frame: TxFrame) => void, env: Env) {
    this.options = options;
    this.emit = emit;
    this.env = env;
    this.ownRouting = new OwnRouting(options.tables);
    this.reporter = env.timers.timer(() => this.report());
    this.deadGateways = new DeadGateways(options.tables, options.links, env);
    for (const link of options.links) {
      this.links.set(link.device, link);
      link.emit = emit;
      link.failed = (packet) => this.fail(packet, 'host-unreachable', 'EHOSTUNREACH');
    }
  }

  /** Sends a packet on its way; takes over its reference. A frame that has its link header already goes out as it is. */
  send(frame: TxPacket | TxFrame): void {
    if (frame.start === frame.link) {
      this.emit(asTx(frame));
      return;
    }
    const version = frame.slab.view.getUint8(frame.start) >>> 4;
    const { route } = frame;
    if (route !== undefined) this.sendBy(asTxPacket(frame), route, version);
    else if (version === 4) this.send4(asTxPacket(frame));
    else if (version === 6) this.send6(asTxPacket(frame));
    else this.drop(DropReason.IpUnknownVersion, frame);
  }

  /** Lets go of the links; reports that were not delivered yet are not. */
  dispose(): void {
    this.reporter.cancel();
    this.deadGateways.dispose();
    for (const { frame } of this.failures.splice(0)) frame.release();
    for (const link of this.options.links) {
      if (link.emit === this.emit) link.emit = link.failed = undefined;
      link.dispose();
    }
  }

  /** The link by which packets of a route leave; those of routes that lead nowhere do not. */
  private linkOf(route: ChosenRoute): IpLink | undefined {
    return isUnicast(route) ? this.links.get(route.device) : undefined;
  }

  /** Sends a packet of somebody else by the route that was chosen for it. */
  private sendBy(frame: TxPacket, route: ChosenRoute, version: number): void {
    const link = this.linkOf(route);
    if (link === undefined) {
      this.noRoute(frame);
      return;
    }
    const { chosen } = this;
    const { view } = frame.slab;
    const { gateway } = route;
    const to = frame.start + (version === 4 ? IPV4_DESTINATION : IPV6_DESTINATION);
    if (gateway?.version === 4) chosen.goTo(0, 0, MAPPED, gateway.value | 0);
    else if (gateway !== undefined) chosen.goTo(gateway.a | 0, gateway.b | 0, gateway.c | 0, gateway.d | 0);
    else if (version === 4) chosen.goTo(0, 0, MAPPED, view.getInt32(to));
    else chosen.goTo(view.getInt32(to), view.getInt32(to + 4), view.getInt32(to + 8), view.getInt32(to + 12));
    const mtu = linkMtu(route);
    const { fragmentSize } = frame;
    if (fragmentSize > 0 && frame.length > fragmentSize)
      this.refragment(frame, chosen, link, Math.min(mtu, fragmentSize));
    else if (longest(frame) <= mtu) transmit(frame, chosen, link);
    else if (version === 4) this.sendInPieces(frame, chosen, link, mtu);
    else this.tooBig(frame, mtu);
  }

  /** Cuts what was put together on its way, as its source had cut it: into pieces that are no larger. */
  private refragment(frame: TxPacket, way: Way<IpVersion>, link: IpLink, mtu: number): void {
    const { pool, random } = this.env;
    const emit = piecesTo(way, link);
    const isIpv4 = frame.slab.view.getUint8(frame.start) >>> 4 === 4;
    const cut = isIpv4 ? fragmentIpv4(frame, mtu, pool, emit) : fragmentIpv6(frame, mtu, random.uint32(), pool, emit);
    if (cut) frame.release();
    else this.tooBig(frame, mtu);
  }

  private send4(frame: TxPacket): void {
    const { view } = frame.slab;
    const addresses = frame.start + IPV4_SOURCE;
    const { tables } = this.options;
    const way = this.ways4.at(view.getInt32(frame.start + IPV4_DESTINATION));
    if (!way.leads(view, addresses, 8, tables.generation) && !this.route4(frame, way)) return;
    const { route, link } = way;
    if (route === undefined || link === undefined) return;
    const isKnown = tables.mtus.size > 0 && !frame.mtuProbe;
    const mtu = isKnown ? tables.mtu(route, view.getUint32(frame.start + IPV4_DESTINATION)) : linkMtu(route);
    if (longest(frame) > mtu) this.sendInPieces(frame, way, link, mtu);
    else transmit(frame, way, link);
  }

  /** Finds the way of a packet; where there is none the packet is done with. */
  private route4(frame: TxPacket, way: Way<4>): boolean {
    const { tables, loopback, anySource = false } = this.options;
    const { view } = frame.slab;
    const source = view.getUint32(frame.start + IPV4_SOURCE);
    const destination = view.getUint32(frame.start + IPV4_DESTINATION);
    way.forget();
    if (tables.isOurs(destination) && loopback !== undefined) {
      loopback(frame);
      return false;
    }
    const fromLoopback = source >>> 24 === 127;
    const allowed = !fromLoopback && (anySource || source === 0 || tables.addresses.has(source));
    if (!allowed) return this.drop(DropReason.IpNotOurSource, frame);
    // Loopback addresses never appear on a wire (RFC 1122 3.2.1.3 g).
    const isGroup = destination >>> 28 === 14;
    const route = tables.isOurs(destination) ? undefined : this.ownRouting.route4(frame, destination);
    const link = route && this.linkOf(route);
    if (route === undefined || link === undefined) return this.noRoute(frame);
    way.route = route;
    way.link = link;
    way.isBroadcast = tables.addresses.isBroadcast(destination);
    way.goTo(0, 0, MAPPED, isGroup || route.gateway === undefined ? destination : route.gateway.value);
    if (!isGroup && tables.routes.isByDestination) way.claim(view, frame.start + IPV4_SOURCE, 8, tables.generation);
    return true;
  }

  private sendInPieces(frame: TxPacket, way: Way<IpVersion>, link: IpLink, mtu: number): void {
    const { dontFragment, fragmentOffset, totalLength } = new Ipv4Packet(frame, frame.start);
    if (dontFragment) return this.tooBig(frame, mtu);
    if (frame.gsoType !== GsoType.None) return this.cut(frame);
    if (isBeyondPacket(fragmentOffset, totalLength)) return void this.drop(DropReason.FragmentBad, frame);
    const emit = piecesTo(way, link);
    if (!fragmentIpv4(frame, mtu, this.env.pool, emit)) return this.tooBig(frame, mtu);
    return frame.release();
  }

  private send6(frame: TxPacket): void {
    const { view } = frame.slab;
    const addresses = frame.start + IPV6_SOURCE;
    const { tables } = this.options;
    const way = this.ways6.at(view.getInt32(frame.start + IPV6_LAST_WORD));
    if (!way.leads(view, addresses, 32, tables.generation) && !this.route6(frame, way)) return;
    const { route, link } = way;
    if (route === undefined || link === undefined) return;
    const isKnown = tables.mtus6.size > 0 && !frame.mtuProbe;
    const mtu = isKnown ? tables.mtu6(route, readIpv6(view, frame.start + IPV6_DESTINATION)) : linkMtu(route);
    if (longest(frame) > mtu) this.sendInPieces6(frame, way, link, mtu);
    else transmit(frame, way, link);
  }

  private route6(frame: TxPacket, way: Way<6>): boolean {
    const { tables, loopback, anySource = false } = this.options;
    const { view } = frame.slab;
    const from = frame.start + IPV6_SOURCE;
    const to = readIpv6(view, frame.start + IPV6_DESTINATION);
    const { a, b, c, d } = to;
    way.forget();
    const source = readIpv6(view, from);
    const owner = tables.addresses6.ownerOf(source.a, source.b, source.c, source.d);
    const via = deviceOf(frame, to) ?? owner;
    const toOurselves = tables.isOurs6(a, b, c, d, via);
    if (toOurselves && loopback !== undefined) {
      loopback(frame);
      return false;
    }
    if (owner === undefined && !anySource && !source.isUnspecified) {
      return this.drop(DropReason.IpNotOurSource, frame);
    }
    const route = toOurselves ? undefined : this.ownRouting.route6(frame, to, via);
    const link = route && this.linkOf(route);
    // A link-local source means nothing on another link (RFC 4007 9).
    const isElsewhere = owner !== undefined && owner !== route?.device && source.isLinkLocal;
    const isAbroad = isElsewhere && route && !tables.addresses6.deviceHas(route.device, source);
    if (route === undefined || link === undefined || isAbroad) return this.noRoute(frame);
    const hop = to.isMulticast ? to : (route.gateway ?? to);
    way.route = route;
    way.link = link;
    way.goTo(hop.a, hop.b, hop.c, hop.d);
    if (!isOnOneLink(a) && tables.routes6.isByDestination) way.claim(view, from, 32, tables.generation);
    return true;
  }

  private sendInPieces6(frame: TxPacket, way: Way<6>, link: IpLink, mtu: number): void {
    const { pool, random } = this.env;
    if (frame.dontFragment) return this.tooBig(frame, mtu);
    if (frame.gsoType !== GsoType.None) return this.cut(frame);
    const emit = piecesTo(way, link);
    if (!fragmentIpv6(frame, mtu, random.uint32(), pool, emit)) return this.tooBig(frame, mtu);
    return frame.release();
  }

  /** Of a super-segment the packets that it stands for are cut each. */
  private cut(frame: TxPacket): void {
    const wrong = segment(frame, frame.start, this.env.pool, (piece) => this.send(asTxPacket(piece)));
    if (wrong === undefined) frame.release();
    else this.drop(wrong, frame);
  }

  private noRoute(frame: TxPacket): false {
    this.fail(frame, 'net-unreachable', 'ENETUNREACH');
    return this.drop(DropReason.IpNoRoute, frame);
  }

  private tooBig(frame: TxPacket, mtu: number): void {
    this.fail(frame, 'packet-too-big', 'EMSGSIZE', mtu);
    this.drop(DropReason.IpTooBig, frame);
  }

  private drop(reason: DropReason, frame: Frame): false {
    this.env.drops.refuse(reason, frame, 'routeAndResolve');
    return false;
  }

  /** Remembers to report a packet, which still is the caller's. */
  private fail(frame: Frame, kind: IcmpErrorKind, code: NetCode, mtu = 0): void {
    const { reports, stranded } = this.options;
    if (reports === undefined && stranded === undefined) return;
    this.failures.push({ frame: frame.retain(), kind, code, mtu });
    if (!this.reporter.armed) this.reporter.arm(this.env.timers.now());
  }

  private report(): void {
    const { reports, stranded } = this.options;
    for (const { frame, kind, code, mtu } of this.failures.splice(0)) {
      if (frame.route === undefined) reports?.local(frame, kind, code, mtu);
      else stranded?.(packetAt(frame), kind, mtu);
      frame.release();
    }
  }
}

function packetAt(frame: Frame): Ipv4Packet | Ipv6Packet {
  const version = frame.slab.view.getUint8(frame.start) >>> 4;
  return version === 4 ? new Ipv4Packet(frame, frame.start) : new Ipv6Packet(frame, frame.start);
}

/** Hands a packet to the link, for the next hop of its way. */
function transmit(frame: TxPacket, way: Way<IpVersion>, link: IpLink): void {
  frame.network = frame.start;
  if (way.isBroadcast) link.broadcast(frame);
  else link.send(frame, way.a, way.b, way.c, way.d);
}

/** What takes the pieces of a packet: all of them go where the first does, though sending one may send other packets by the same egress. */
function piecesTo(way: Way<IpVersion>, link: IpLink): (piece: Frame) => void {
  const hop = way.hop();
  return (piece) => transmit(asTxPacket(piece), hop, link);
}

/** Length of the longest packet, in bytes, that the device will make of this one. */
function longest(frame: TxPacket): number {
  return frame.gsoType === GsoType.None ? frame.length : longestSegment(frame, frame.start);
}

type NextHops = Pick<EgressOptions, 'tables' | 'links'>;
type OnNextHop = (link: IpLink, a: number, b: number, c: number, d: number) => void;

/** An upper layer made progress with `destination`: its next hop is reachable, and need not be asked (RFC 4861 7.3.1). */
export function confirmNextHop(options: NextHops, destination: IpAddress): void {
  withNextHop(options, destination, (link, a, b, c, d) => link.confirm(a, b, c, d));
}

/** An upper layer makes no progress with `destination`: its next hop is to be asked whether it is there (RFC 9293 3.8.3). */
export function doubtNextHop(options: NextHops, destination: IpAddress): void {
  withNextHop(options, destination, (link, a, b, c, d) => link.neighbours?.doubt(a, b, c, d));
}

function withNextHop({ tables, links }: NextHops, destination: IpAddress, act: OnNextHop): void {
  if (destination.version === 4) {
    const { value } = destination;
    // Who shares routes among flows, or has rules, does not know the next hop by the destination.
    const route = tables.isOurs(value) || !tables.routes.isByDestination ? undefined : tables.route(value);
    const link = route && links.find((one) => one.device === route.device);
    if (link !== undefined) act(link, 0, 0, MAPPED, route?.gateway?.value ?? value);
    return;
  }
  const { a, b, c, d } = destination;
  if (destination.isLinkLocal) {
    // Which link it is on only the neighbour caches know.
    for (const link of links) act(link, a, b, c, d);
    return;
  }
  if (tables.isOurs6(a, b, c, d)) return;
  const route = tables.routes6.isByDestination ? tables.route6(a, b, c, d) : undefined;
  const link = route && links.find((one) => one.device === route.device);
  const hop = route?.gateway ?? destination;
  if (link !== undefined) act(link, hop.a, hop.b, hop.c, hop.d);
}

/**
 * Makes a packet to ourselves look as if it had just come in: what was known of its sending is forgotten. A copy of one to a group comes in
 * by the device that the packet leaves by.
 */
export function loopBack(packet: TxPacket, now: number): Frame {
  packet.fate = UNDER_WAY;
  if (!isToGroup(packet)) packet.device = undefined;
  packet.link = packet.network = -1;
  packet.mtuProbe = packet.dontFragment = false;
  packet.linkCast = packet.ipCast = 0;
  packet.wholeEnd = packet.end;
  packet.time = now;
  return packet;
}

function isToGroup({ slab: { view }, start }: TxPacket): boolean {
  return view.getUint8(start) >>> 4 === 4 ? view.getUint8(start + 16) >>> 4 === 14 : view.getUint8(start + 24) === 0xff;
}
