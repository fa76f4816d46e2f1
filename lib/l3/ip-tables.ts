/**
 * What a host knows about IP: its addresses and its routes, and the ways to destinations that follow from both.
 *
 * It is a weak end system (RFC 1122 3.3.4.2), as Linux is: a packet for any address of ours is accepted from any device, and may be
 * sent from any of them. ARP is strong: a device answers for its own addresses only. What IPv6 does differently has a name that ends in
 * 6; link-local addresses, and groups, are reached by the device that has the address that is sent from.
 */

import { Cidr, Ipv4Address, Ipv6Address, type IpAddress, ipOf } from '../core/address.js';
import type { Device } from '../core/device.js';
import { UsageError } from '../core/errors.js';
import type { Env } from '../core/env.js';
import type { ArpAddresses } from '../l2/arp.js';
import type { NdpAddresses } from '../l2/ndp.js';
import { Ipv4Addresses } from './addresses.js';
import { type Ipv6AddressState, Ipv6Addresses } from './addresses6.js';
import { DEFAULT_HOP_LIMIT, type IpPath, type IpPaths } from './ip-output.js';
import { MIN_PATH_MTU_IPV6, PathMtus } from './path-mtu.js';
import { Redirects } from './redirects.js';
import { NOWHERE } from './fib.js';
import { isUnicast, linkMtu, type Route, type Routes, RouteTable, type RouteType } from './routes.js';
import { RouteQuery } from './routing-query.js';
import { isOnOneLink } from './scope.js';

/** A route as users write it. */
export interface RouteOptions {
  /** `default` is short for 0.0.0.0/0, or ::/0 where the gateway is an IPv6 one. */
  readonly destination: Cidr | string;
  /** What becomes of the packets. Default `unicast`: they are sent. */
  readonly type?: RouteType;
  readonly gateway?: IpAddress | string;
  /** Only routes that lead nowhere can do without. */
  readonly device?: Device;
  readonly metric?: number;
  /** Its part of the flows, 1 to 256, where equally good routes share them. Default 1. */
  readonly weight?: number;
  readonly source?: IpAddress | string;
  readonly mtu?: number;
}

const MAPPED = 0xffff;
/** Nothing is cut on the way to ourselves. */
const LOOPBACK_MTU = 65_535;
const LIMITED_BROADCAST = 0xffff_ffff;
const LINK_LOCAL = new Cidr<6>(Ipv6Address.parse('fe80::'), 64);

/** What is known of a link besides what its device says. */
interface LinkLimit {
  mtu: number;
  hopLimit: number | undefined;
}

/** Addresses and routes of one host. */
export class IpTables implements IpPaths {
  readonly addresses: Ipv4Addresses = new Ipv4Addresses();
  readonly routes: Routes<4>;
  /** MTUs that routers reported (RFC 1191). */
  readonly mtus: PathMtus;
  readonly addresses6: Ipv6Addresses = new Ipv6Addresses();
  readonly routes6: Routes<6>;
  /** The same for IPv6 (RFC 8201), by the address's text. */
  readonly mtus6: PathMtus<string>;
  /** MAC addresses of all groups that we are members of; a live view, for `ethernet({ multicast })`. */
  readonly groupMacs: { has(mac: number): boolean } = {
    has: (mac) => this.addresses.groupMacs.has(mac) || this.addresses6.groupMacs.has(mac),
  };
  /** The way to the neighbours on each link that has an IPv6 address. */
  private readonly onLink = new Map<Device, Route<6>>();
  /** What routers say of the links, and what servers say by IPv4. */
  private readonly limits = new Map<Device, LinkLimit>();
  private readonly limits4 = new Map<Device, LinkLimit>();
  /** Routes to single hosts that routers told us, by the host, the oldest first. */
  private readonly redirects4: Redirects<4>;
  private readonly redirects6: Redirects<6>;
  private hops: number = DEFAULT_HOP_LIMIT;
  private changes = 0;

  /** Routes are kept in simple tables, unless there are others: `Fib`, `RoutingTables`. */
  constructor(env: Env, routes: Routes<4> = new RouteTable(), routes6: Routes<6> = new RouteTable()) {
    this.routes = routes;
    this.routes6 = routes6;
    this.redirects4 = new Redirects(routes);
    this.redirects6 = new Redirects(routes6);
    this.mtus = new PathMtus(env);
    this.mtus6 = new PathMtus(env, MIN_PATH_MTU_IPV6);
  }

  /** Hop limit of what applications send, where neither they nor a router asks for another. */
  get hopLimit(): number {
    return this.hops;
  }

  set hopLimit(hops: number) {
    this.hops = hops;
    this.changes++;
  }

  get generation(): number {
    return this.changes + this.routes.version + this.routes6.version + this.addresses.version + this.addresses6.version;
  }

  /**
   * Gives `device` an address, and adds the route to its network. Of IPv6 addresses `state` says in which part of their life they are.
   *
   * @throws UsageError `ERR_INVALID_ADDRESS`
   */
  addAddress(device: Device, address: Cidr | string, state?: Ipv6AddressState): void {
    const cidr = Cidr.of(address);
    if (cidr.address.version === 6) {
      this.addresses6.add(device, new Cidr<6>(cidr.address, cidr.length), state);
      this.connect6(device, cidr, state?.noPrefixRoute === true);
      return;
    }
    const own = cidr4(cidr);
    this.addresses.add(device, own);
    this.connect(device, own);
  }

  /** Takes an address away, with its network's route unless another address of the device needs it. */
  removeAddress(device: Device, address: IpAddress | string): void {
    const ip = ipOf(address);
    if (ip.version === 6) return this.removeAddress6(device, ip);
    if (!this.addresses.remove(device, ip)) return undefined;
    this.routes.remove((route) => route.device === device && route.source?.equals(ip) === true);
    for (const other of this.addresses.list()) {
      if (other.device === device) this.connect(device, other.cidr);
    }
    return undefined;
  }

  /** @throws UsageError `ERR_INVALID_ADDRESS`, `ERR_INVALID_OPTION` */
  addRoute(options: RouteOptions): void {
    if (isVersion6(options)) this.routes6.add(this.route6Of(options));
    else this.routes.add(this.route4Of(options));
  }

  /** The route that options describe, for another table than those here. @throws as {@link IpTables.addRoute} */
  routeOf(options: RouteOptions): Route {
    return isVersion6(options) ? this.route6Of(options) : this.route4Of(options);
  }

  /** Removes the routes to exactly this prefix; returns how many there were. */
  removeRoute(destination: Cidr | string): number {
    const cidr = Cidr.of(destination === 'default' ? '0.0.0.0/0' : destination);
    if (cidr.version === 6) return this.routes6.remove((route) => route.destination.equals(cidr));
    return this.routes.remove((route) => route.destination.equals(cidr));
  }

  /** The route that a packet to this IPv4 address takes; for group and limited broadcast addresses any device will do. */
  route(destination: number): Route<4> | undefined {
    const route = this.routes.lookup(0, 0, MAPPED, destination);
    if (route !== undefined || (destination >>> 28 !== 14 && destination !== LIMITED_BROADCAST)) return route;
    return this.routes.any();
  }

  /** The device that leads to an address that is not ours, or `undefined`. */
  deviceTo(address: IpAddress | string): Device | undefined {
    const destination = ipOf(address);
    if (destination.version === 4) return this.route(destination.value)?.device;
    return this.route6(destination.a, destination.b, destination.c, destination.d, this.zone(destination))?.device;
  }

  /**
   * The route that a packet to this IPv6 address takes. For addresses of one link, and for groups, that is the way out of `device`, or
   * of the first that has addresses where that is not known.
   */
  route6(a: number, b: number, c: number, d: number, device?: Device): Route<6> | undefined {
    if (!isOnOneLink(a)) return this.routes6.lookup(a, b, c, d);
    if (device !== undefined) return this.onLink.get(device);
    for (const route of this.onLink.values()) return route;
    return undefined;
  }

  /** Largest packet, in bytes, for a destination by a route. */
  mtu(route: Route<4>, destination: number): number {
    const mtu = linkMtu(route);
    return this.mtus.size === 0 ? mtu : Math.min(mtu, this.mtus.get(destination));
  }

  /** The same for an IPv6 destination. */
  mtu6(route: Route<6>, destination: Ipv6Address): number {
    const mtu = linkMtu(route);
    return this.mtus6.size === 0 ? mtu : Math.min(mtu, this.mtus6.get(mtuKey(destination)));
  }

  /** A server says that packets by IPv4 on the link of `device` have up to `mtu` bytes (RFC 2132 5.1), which may be less than the device sends. */
  limitMtu(device: Device, mtu: number): void {
    this.limitOf(device, this.limits4).mtu = mtu;
    this.changes++;
  }

  /** Routers say that packets by IPv6 on the link of `device` have up to `mtu` bytes, which may be less than the device sends. */
  limitMtu6(device: Device, mtu: number): void {
    this.limitOf(device).mtu = mtu;
    this.changes++;
  }

  /** A router asks that what leaves by `device` begins with this hop limit, 1 to 255 (RFC 4861 6.3.4). */
  adviseHopLimit6(device: Device, hopLimit: number): void {
    this.limitOf(device).hopLimit = hopLimit;
    this.changes++;
  }

  /**
   * A router said that a packet of ours of `length` bytes is too big for a next hop of `mtu` (0: it did not say). Returns the path MTU
   * to `destination` from now on.
   */
  tooBig(destination: IpAddress, mtu: number, length: number): number {
    return destination.version === 4
      ? this.mtus.reported(destination.value, mtu, length)
      : this.mtus6.reported(mtuKey(destination), mtu, length);
  }

  /** What such a report makes of the path, if it is believed; nothing is kept. */
  estimateMtu({ version }: IpAddress, mtu: number, length: number): number {
    return (version === 4 ? this.mtus : this.mtus6).estimate(mtu, length);
  }

  foundMtu(destination: IpAddress, mtu: number): void {
    const isWhole = mtu >= (this.path(destination)?.linkMtu ?? 0);
    const known = isWhole ? Number.POSITIVE_INFINITY : mtu;
    if (destination.version === 4) this.mtus.found(destination.value, known);
    else this.mtus6.found(mtuKey(destination), known);
  }

  /** Whether packets to this IPv6 address stay on this host; to a link-local one on the link of `device`, where that is known. */
  isOurs6(a: number, b: number, c: number, d: number, device?: Device): boolean {
    return this.addresses6.has(a, b, c, d, device) || ((a | b | c) === 0 && d === 1);
  }

  /** Whether packets to this IPv4 address stay on this host. */
  isOurs(address: number): boolean {
    return address >>> 24 === 127 || this.addresses.has(address);
  }

  path(destination: IpAddress, source?: IpAddress): IpPath | undefined {
    if (destination.isUnspecified) return undefined;
    if (source !== undefined && !source.isUnspecified && !this.isLocal(source)) return undefined;
    const wanted = source === undefined || source.isUnspecified ? undefined : source;
    if (destination.version === 6) return this.path6(destination, wanted);
    if (wanted?.version === 6) return undefined;
    if (this.isOurs(destination.value)) return { source: wanted ?? destination, mtu: LOOPBACK_MTU };
    const isPlain = this.routes.isByDestination || destination.isMulticast;
    const route = isPlain ? this.route(destination.value) : this.routes.find(RouteQuery.to(destination, wanted));
    if (route === undefined || !isUnicast(route)) return undefined;
    const from = wanted ?? route.source ?? this.addresses.sourceFor(route.device, route.gateway ?? destination);
    const { hopLimit } = this;
    const { features } = route.device;
    return (
      from && { source: from, mtu: this.mtu(route, destination.value), linkMtu: linkMtu(route), hopLimit, features }
    );
  }

  isLocal(address: IpAddress): boolean {
    if (address.version === 4) return this.isOurs(address.value);
    const device = this.zone(address);
    if (address.zone !== '' && device === undefined) return false;
    return this.isOurs6(address.a, address.b, address.c, address.d, device);
  }

  isBroadcast(address: IpAddress): boolean {
    return address.version === 4 && this.addresses.isBroadcast(address.value);
  }

  /**
   * A router says that another one is nearer to `destination`. Heeded if it is our router for that destination, and the other is on the
   * same link (RFC 1122 3.2.2.2); returns whether it was.
   */
  redirect(router: Ipv4Address, destination: Ipv4Address, gateway: Ipv4Address): boolean {
    const { value } = destination;
    const route = this.isOurs(value) ? undefined : this.route(value);
    if (route?.gateway?.equals(router) !== true || this.isOurs(gateway.value)) return false;
    const way = this.route(gateway.value);
    if (way === undefined || way.gateway !== undefined || way.device !== route.device) return false;
    // What the user says of exactly this host holds.
    if (route.destination.length === 32 && !this.redirects4.has(route)) return false;
    const { device } = route;
    const limit = this.limitOf(device, this.limits4);
    this.redirects4.add({ destination: new Cidr<4>(destination, 32), gateway, device, limit });
    return true;
  }

  /**
   * The same for IPv6 (RFC 4861 8.1, 8.3): `router` is our first hop to `destination` by `device`, `target` another router on that link or the
   * destination itself.
   */
  redirect6(device: Device, router: Ipv6Address, destination: Ipv6Address, target: Ipv6Address): boolean {
    const { a, b, c, d } = destination;
    if (isOnOneLink(a) || this.isOurs6(a, b, c, d)) return false;
    if (this.isOurs6(target.a, target.b, target.c, target.d, device)) return false;
    const route = this.route6(a, b, c, d);
    if (route?.gateway === undefined || route.device !== device || !areSame(route.gateway, router)) return false;
    if (route.destination.length === 128 && !this.redirects6.has(route)) return false;
    const direct = areSame(target, destination);
    const way = direct ? {} : { gateway: target };
    this.redirects6.add({ destination: new Cidr<6>(destination, 128), device, limit: this.limitOf(device), ...way });
    return true;
  }

  /** A next hop on the link of `device` does not answer: destinations that were redirected to it take the former way (RFC 4861 7.3.3). */
  nextHopFailed(device: Device, hop: IpAddress): void {
    if (hop.version === 4) this.redirects4.failed(device, hop);
    else this.redirects6.failed(device, hop);
  }

  /** A neighbour on the link of `device` is no router any more: destinations that were redirected to it take the former way (RFC 4861 6.3.5, 7.2.5). */
  routerGone(device: Device, router: Ipv6Address): void {
    this.redirects6.routerGone(device, router);
  }

  /** Adds the route to an address's network, unless an earlier address of it has done so: the first is the one to send from. */
  private connect(device: Device, cidr: Cidr<4>): void {
    const destination = cidr4(`${cidr.network.toString()}/${cidr.length}`);
    const isThere = this.routes.at(destination).some((route) => route.device === device && route.gateway === undefined);
    const limit = this.limitOf(device, this.limits4);
    if (cidr.length < 32 && !isThere) this.routes.add({ destination, device, limit, source: cidr.address });
  }

  private limitOf(device: Device, limits: Map<Device, LinkLimit> = this.limits): LinkLimit {
    const known = limits.get(device);
    if (known !== undefined) return known;
    const limit = { mtu: device.mtu, hopLimit: undefined };
    limits.set(device, limit);
    return limit;
  }

  private connect6(device: Device, cidr: Cidr, alone: boolean): void {
    const limit = this.limitOf(device);
    if (!this.onLink.has(device)) this.onLink.set(device, { destination: LINK_LOCAL, device, limit });
    this.changes++;
    const { network } = cidr;
    if (network.version !== 6 || cidr.length === 128 || network.isLinkLocal || alone) return;
    const destination = new Cidr<6>(network, cidr.length);
    // Routes with a metric came otherwise, and will go otherwise.
    const isConnected = (route: Route<6>) => route.device === device && (route.gateway ?? route.metric) === undefined;
    if (!this.routes6.at(destination).some(isConnected)) this.routes6.add({ destination, device, limit });
  }

  private removeAddress6(device: Device, address: Ipv6Address): void {
    const known = this.addresses6.find(device, address);
    if (known === undefined) return;
    this.addresses6.remove(device, address);
    const left = this.addresses6.list().filter((one) => one.device === device);
    if (left.length === 0) this.onLink.delete(device);
    this.changes++;
    const { length } = known.cidr;
    const isNeeded = left.some(
      ({ cidr, noPrefixRoute }) => !noPrefixRoute && cidr.length === length && cidr.contains(address),
    );
    if (known.noPrefixRoute || isNeeded) return;
    const isNetwork = ({ destination, gateway, device: by, metric }: Route<6>) =>
      by === device &&
      (gateway ?? metric) === undefined &&
      destination.length === length &&
      destination.contains(address);
    this.routes6.remove(isNetwork);
  }

  private route4Of(options: RouteOptions): Route<4> {
    const { destination, gateway, source } = options;
    const device = deviceOf(options);
    return {
      destination: cidr4(destination === 'default' ? '0.0.0.0/0' : destination),
      device,
      limit: this.limitOf(device, this.limits4),
      ...(gateway === undefined ? {} : { gateway: ip4(gateway) }),
      ...(source === undefined ? {} : { source: ip4(source) }),
      ...qualities(options),
    };
  }

  private route6Of(options: RouteOptions): Route<6> {
    const { destination, gateway, source } = options;
    const device = deviceOf(options);
    return {
      destination: cidr6(destination === 'default' ? '::/0' : destination),
      device,
      limit: this.limitOf(device),
      ...(gateway === undefined ? {} : { gateway: ip6(gateway) }),
      ...(source === undefined ? {} : { source: ip6(source) }),
      ...qualities(options),
    };
  }

  private path6(destination: Ipv6Address, wanted: IpAddress | undefined): IpPath | undefined {
    const { a, b, c, d } = destination;
    if (wanted?.version === 4) return undefined;
    const owner = wanted && (this.zone(wanted) ?? this.addresses6.ownerOf(wanted.a, wanted.b, wanted.c, wanted.d));
    const device = destination.zone === '' ? owner : this.zone(destination);
    if (destination.zone !== '' && device === undefined) return undefined;
    if (this.isOurs6(a, b, c, d, device)) return { source: withoutZone(wanted ?? destination), mtu: LOOPBACK_MTU };
    const isPlain = this.routes6.isByDestination || isOnOneLink(a);
    const route = isPlain ? this.route6(a, b, c, d, device) : this.routes6.find(RouteQuery.to(destination, wanted));
    if (route === undefined || !isUnicast(route)) return undefined;
    // A link-local source means nothing on another link than that of its zone (RFC 4007 9).
    if (wanted?.isLinkLocal === true && wanted.zone !== '' && route.device !== owner) return undefined;
    const from = wanted ?? route.source ?? this.addresses6.sourceFor(route.device, destination);
    const hopLimit = route.limit?.hopLimit ?? this.hopLimit;
    const { features } = route.device;
    const mtu = this.mtu6(route, destination);
    return from && { source: withoutZone(from), mtu, linkMtu: linkMtu(route), hopLimit, features };
  }

  /** The device that the zone of an address names (RFC 4007). */
  zone(address: Ipv6Address): Device | undefined {
    if (address.zone === '') return undefined;
    for (const device of this.onLink.keys()) if (device.name === address.zone) return device;
    return undefined;
  }

  /** What neighbour discovery on `device` needs to know; a live view. */
  ndpAddresses(device: Device): NdpAddresses {
    return {
      has: (address) => this.addresses6.deviceHas(device, address),
      isTentative: (address) => this.addresses6.find(device, address)?.tentative === true,
      sourceFor: (target) => this.addresses6.sourceFor(device, target),
      redirect: (router, destination, target) => this.redirect6(device, router, destination, target),
      nextHopFailed: (hop) => this.nextHopFailed(device, hop),
      routerGone: (router) => this.routerGone(device, router),
      join: (group) => this.addresses6.join(group),
      leave: (group) => this.addresses6.leave(group),
    };
  }

  /** What ARP on `device` needs to know; a live view. */
  arpAddresses(device: Device): ArpAddresses {
    return {
      has: (address) => this.addresses.deviceHas(device, address),
      sourceFor: (target) => this.addresses.sourceFor(device, new Ipv4Address(target))?.value ?? 0,
    };
  }
}

/** @throws UsageError `ERR_INVALID_OPTION` where the route needs a device, and has none */
function deviceOf({
  destination,
  type = 'unicast',
  device = type === 'unicast' ? undefined : NOWHERE,
}: RouteOptions): Device {
  if (device !== undefined) return device;
  throw new UsageError('ERR_INVALID_OPTION', `the route to ${destination.toString()} has no device`);
}

function qualities({ type, metric, weight, mtu }: RouteOptions): Pick<Route, 'type' | 'metric' | 'weight' | 'mtu'> {
  return {
    ...(type === undefined ? {} : { type }),
    ...(metric === undefined ? {} : { metric }),
    ...(weight === undefined ? {} : { weight }),
    ...(mtu === undefined ? {} : { mtu }),
  };
}

function cidr4(cidr: Cidr | string): Cidr<4> {
  const parsed = Cidr.of(cidr);
  if (parsed.address.version === 4) return new Cidr<4>(parsed.address, parsed.length);
  throw new UsageError('ERR_INVALID_OPTION', `${parsed.toString()} is not an IPv4 prefix`);
}

function ip4(address: IpAddress | string): Ipv4Address {
  const parsed = ipOf(address);
  if (parsed.version === 4) return parsed;
  throw new UsageError('ERR_INVALID_OPTION', `${parsed.toString()} is not an IPv4 address`);
}

function cidr6(cidr: Cidr | string): Cidr<6> {
  const parsed = Cidr.of(cidr);
  if (parsed.address.version === 6) return new Cidr<6>(parsed.address, parsed.length);
  throw new UsageError('ERR_INVALID_OPTION', `${parsed.toString()} is not an IPv6 prefix`);
}

function ip6(address: IpAddress | string): Ipv6Address {
  const parsed = ipOf(address);
  if (parsed.version === 6) return parsed;
  throw new UsageError('ERR_INVALID_OPTION', `${parsed.toString()} is not an IPv6 address`);
}

function isVersion6({ destination, gateway }: RouteOptions): boolean {
  if (destination !== 'default') return Cidr.of(destination).version === 6;
  return gateway !== undefined && ipOf(gateway).version === 6;
}

/** Whether two addresses are the same but for the zone. */
function areSame(one: Ipv6Address, other: Ipv6Address): boolean {
  return one.d === other.d && one.c === other.c && one.b === other.b && one.a === other.a;
}

/** Packets carry no zones. */
function withoutZone(address: Ipv6Address): Ipv6Address {
  return address.zone === '' ? address : new Ipv6Address(address.a, address.b, address.c, address.d);
}

function mtuKey({ a, b, c, d }: Ipv6Address): string {
  return `${a}.${b}.${c}.${d}`;
}
