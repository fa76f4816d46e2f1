/**
 * What a host knows about IP: its addresses and its routes, and the ways to destinations that follow from both.
 *
 * It is a weak end system (RFC 1122 3.3.4.2), as Linux is: a packet for any address of ours is accepted from any device, and may be
 * sent from any of them. ARP is strong: a device answers for its own addresses only.
 */

import { Cidr, Ipv4Address, type IpAddress, ipOf } from '../core/address.js';
import type { Device } from '../core/device.js';
import { UsageError } from '../core/errors.js';
import type { ArpAddresses } from '../l2/arp.js';
import { Ipv4Addresses } from './addresses.js';
import type { IpPath, IpPaths } from './ip-output.js';
import { PathMtus } from './path-mtu.js';
import { type Route, RouteTable } from './routes.js';
import type { Env } from '../core/env.js';

/** A route as users write it. */
export interface RouteOptions {
  /** `default` is short for 0.0.0.0/0. */
  readonly destination: Cidr | string;
  readonly gateway?: IpAddress | string;
  readonly device: Device;
  readonly metric?: number;
  readonly source?: IpAddress | string;
  readonly mtu?: number;
}

const MAPPED = 0xffff;
/** Nothing is cut on the way to ourselves. */
const LOOPBACK_MTU = 65_535;
const LIMITED_BROADCAST = 0xffff_ffff;

/** Addresses and routes of one host. */
export class IpTables implements IpPaths {
  readonly addresses: Ipv4Addresses = new Ipv4Addresses();
  readonly routes: RouteTable<4> = new RouteTable();
  /** MTUs that routers reported (RFC 1191). */
  readonly mtus: PathMtus;

  constructor(env: Env) {
    this.mtus = new PathMtus(env);
  }

  /** Gives `device` an address, and adds the route to its network. @throws UsageError `ERR_INVALID_ADDRESS` */
  addAddress(device: Device, address: Cidr | string): void {
    const cidr = cidr4(address);
    this.addresses.add(device, cidr);
    this.connect(device, cidr);
  }

  /** Takes an address away, with its network's route unless another address of the device needs it. */
  removeAddress(device: Device, address: IpAddress | string): void {
    const ip = ip4(address);
    if (!this.addresses.remove(device, ip)) return;
    this.routes.remove((route) => route.device === device && route.source?.equals(ip) === true);
    for (const other of this.addresses.list()) {
      if (other.device === device) this.connect(device, other.cidr);
    }
  }

  /** @throws UsageError `ERR_INVALID_ADDRESS`, `ERR_INVALID_OPTION` */
  addRoute(options: RouteOptions): void {
    const { destination, gateway, device, metric, source, mtu } = options;
    this.routes.add({
      destination: cidr4(destination === 'default' ? '0.0.0.0/0' : destination),
      device,
      ...(gateway === undefined ? {} : { gateway: ip4(gateway) }),
      ...(metric === undefined ? {} : { metric }),
      ...(source === undefined ? {} : { source: ip4(source) }),
      ...(mtu === undefined ? {} : { mtu }),
    });
  }

  /** Removes the routes to exactly this prefix; returns how many there were. */
  removeRoute(destination: Cidr | string): number {
    const cidr = cidr4(destination === 'default' ? '0.0.0.0/0' : destination);
    return this.routes.remove((route) => route.destination.equals(cidr));
  }

  /** The route that a packet to this IPv4 address takes; for group and limited broadcast addresses any device will do. */
  route(destination: number): Route<4> | undefined {
    const route = this.routes.lookup(0, 0, MAPPED, destination);
    if (route !== undefined || (destination >>> 28 !== 14 && destination !== LIMITED_BROADCAST)) return route;
    return this.routes.list()[0];
  }

  /** The device that leads to an address that is not ours, or `undefined`. */
  deviceTo(address: IpAddress | string): Device | undefined {
    const destination = ipOf(address);
    return destination.version === 4 ? this.route(destination.value)?.device : undefined;
  }

  /** Largest packet, in bytes, for a destination by a route. */
  mtu(route: Route<4>, destination: number): number {
    const mtu = Math.min(route.mtu ?? Number.POSITIVE_INFINITY, route.device.mtu);
    return this.mtus.size === 0 ? mtu : Math.min(mtu, this.mtus.get(destination));
  }

  /** Whether packets to this IPv4 address stay on this host. */
  isOurs(address: number): boolean {
    return address >>> 24 === 127 || this.addresses.has(address);
  }

  path(destination: IpAddress, source?: IpAddress): IpPath | undefined {
    if (destination.version !== 4 || destination.isUnspecified) return undefined;
    if (source !== undefined && !source.isUnspecified && !this.isLocal(source)) return undefined;
    const wanted = source === undefined || source.isUnspecified ? undefined : source;
    if (this.isOurs(destination.value)) return { source: wanted ?? destination, mtu: LOOPBACK_MTU };
    const route = this.route(destination.value);
    if (route === undefined) return undefined;
    const from = wanted ?? route.source ?? this.addresses.sourceFor(route.device, route.gateway ?? destination);
    return from && { source: from, mtu: this.mtu(route, destination.value) };
  }

  isLocal(address: IpAddress): boolean {
    return address.version === 4 && this.isOurs(address.value);
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
    const known = this.routes
      .list()
      .some((one) => one.destination.length === 32 && one.destination.address.equals(destination));
    // One redirect per destination at a time, so that a hostile router cannot fill the table with ways to one host.
    if (known) this.removeRoute(new Cidr<4>(destination, 32));
    this.addRoute({ destination: new Cidr<4>(destination, 32), gateway, device: route.device });
    return true;
  }

  /** Adds the route to an address's network, unless an earlier address of it has done so: the first is the one to send from. */
  private connect(device: Device, cidr: Cidr<4>): void {
    const destination = cidr4(`${cidr.network.toString()}/${cidr.length}`);
    const isThere = this.routes
      .list()
      .some((route) => route.device === device && route.gateway === undefined && route.destination.equals(destination));
    if (cidr.length < 32 && !isThere) this.routes.add({ destination, device, source: cidr.address });
  }

  /** What ARP on `device` needs to know; a live view. */
  arpAddresses(device: Device): ArpAddresses {
    return {
      has: (address) => this.addresses.deviceHas(device, address),
      sourceFor: (target) => this.addresses.sourceFor(device, new Ipv4Address(target))?.value ?? 0,
    };
  }
}

function cidr4(cidr: Cidr | string): Cidr<4> {
  const parsed = Cidr.of(cidr);
  if (parsed.address.version === 4) return new Cidr<4>(parsed.address, parsed.length);
  throw new UsageError('ERR_UNSUPPORTED', 'IPv6 is not implemented yet');
}

function ip4(address: IpAddress | string): Ipv4Address {
  const parsed = ipOf(address);
  if (parsed.version === 4) return parsed;
  throw new UsageError('ERR_UNSUPPORTED', 'IPv6 is not implemented yet');
}
