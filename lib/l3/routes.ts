/**
 * The routing table: longest prefix match (RFC 1812 5.2.4.3), then the lowest metric. Written for a host's few routes: an ordered
 * list and the last answer. Tables of routers stand behind the same methods.
 */

import type { Address, Cidr, IpVersion } from '../core/address.js';
import type { Device } from '../core/device.js';
import type { ChosenRoute } from '../core/frame.js';
import type { RouteQuery } from './routing-query.js';

/**
 * What becomes of packets by a route: sent on their way, or dropped; silently, with the word that there is no way, or that it is forbidden
 * (RFC 1812 5.2.7.1; RTN_UNICAST and its likes of Linux).
 */
export type RouteType = NonNullable<ChosenRoute['type']>;

/** A route: where packets to a prefix go. */
export interface Route<V extends IpVersion = IpVersion> extends ChosenRoute {
  readonly destination: Cidr<V>;
  /** Default `unicast`; the others lead nowhere, whatever the device. */
  readonly type?: RouteType;
  /** The next hop; without one the destination is on the link. */
  readonly gateway?: Address<V>;
  readonly device: Device;
  /** Of routes to the same prefix the one with the lowest metric is taken. Default 0. */
  readonly metric?: number;
  /** Its part, 1 to 256, of the flows that it shares with other routes of the same prefix and metric, where these are shared. Default 1. */
  readonly weight?: number;
  /** The address to send from where the sender does not care. Default: one of the device's. */
  readonly source?: Address<V>;
  /** Largest packet in bytes, where it is less than the device's. */
  readonly mtu?: number;
  /** What routers say of the link (RFC 4861 6.3.4); it may change. */
  readonly limit?: LinkParameters;
}

/** Whether packets by a route are sent. */
export function isUnicast({ type = 'unicast' }: Pick<Route, 'type'>): boolean {
  return type === 'unicast';
}

/** What routers say of a link. */
export interface LinkParameters {
  readonly mtu: number;
  /** Hop limit of what is sent; `undefined` where they leave the choice. */
  readonly hopLimit: number | undefined;
}

/** Largest packet, in bytes, that a route's first link takes. */
export function linkMtu({ mtu, limit, device }: Pick<ChosenRoute, 'mtu' | 'limit' | 'device'>): number {
  const most = limit === undefined ? device.mtu : Math.min(limit.mtu, device.mtu);
  return mtu === undefined ? most : Math.min(mtu, most);
}

/** A next hop of routes. */
export interface Gateway<V extends IpVersion = IpVersion> {
  readonly device: Device;
  readonly gateway: Address<V>;
}

/** Routes of one IP version, and which of them is taken. */
export interface Routes<V extends IpVersion = IpVersion> {
  /** Gateways whose routes are taken only where there is no other. */
  readonly avoided: readonly Gateway<V>[];
  /** Rises whenever an answer may have changed. */
  readonly version: number;
  readonly size: number;
  /** Whether answers depend on nothing but the destination: not on the flow, nor on rules. */
  readonly isByDestination: boolean;
  /** Adds a route; one to the same prefix by the same way and with the same metric is replaced. */
  add(route: Route<V>): void;
  /** Removes the routes that `isMeant` says; returns how many there were. Looks at every route. */
  remove(isMeant: (route: Route<V>) => boolean): number;
  /** The route to the address of these words (`IpAddress.word`); of equally good ones the one of that flow (see `FlowHash`). */
  lookup(a: number, b: number, c: number, d: number, flow?: number): Route<V> | undefined;
  /** The route of a packet, by all that there is to go by. */
  find(query: RouteQuery): Route<V> | undefined;
  /** The routes to exactly this prefix, the best first. */
  at(destination: Cidr<V>): readonly Route<V>[];
  /** Some route by which packets are sent, for those that any link will do for. */
  any(): Route<V> | undefined;
  /** All routes, the most specific first. */
  list(): Route<V>[];
  /** Prefers other routes to the same prefixes to those by this gateway; returns whether there are such. */
  avoid(device: Device, gateway: Address<V>): boolean;
  /** Whether a route goes by this gateway. Looks at every route. */
  goBy(device: Device, gateway: Address<V>): boolean;
  /** Takes routes by this gateway again. */
  trust(device: Device, gateway: Address<V>): void;
  /** Takes all routes again. */
  trustAll(): void;
}

interface Row<V extends IpVersion> {
  readonly route: Route<V>;
  readonly network: readonly [number, number, number, number];
  readonly mask: readonly [number, number, number, number];
}

function maskWord(length: number, index: number): number {
  const bits = length - index * 32;
  return bits <= 0 ? 0 : bits >= 32 ? 0xffff_ffff : (0xffff_ffff << (32 - bits)) >>> 0;
}

function rowOf<V extends IpVersion>(route: Route<V>): Row<V> {
  const { address, length } = route.destination;
  const bits = address.version === 4 ? length + 96 : length;
  const mask = [maskWord(bits, 0), maskWord(bits, 1), maskWord(bits, 2), maskWord(bits, 3)] as const;
  const word = (index: 0 | 1 | 2 | 3) => (address.word(index) & mask[index]) >>> 0;
  return { route, network: [word(0), word(1), word(2), word(3)], mask };
}

/** Routes of one IP version. Of equally good ones the one that was added first is taken. */
export class RouteTable<V extends IpVersion = IpVersion> implements Routes<V> {
  avoided: readonly Gateway<V>[] = [];
  version = 0;
  readonly isByDestination = true;
  private rows: Row<V>[] = [];
  private cached: Route<V> | undefined = undefined;
  private valid = false;
  private a = 0;
  private b = 0;
  private c = 0;
  private d = 0;

  get size(): number {
    return this.rows.length;
  }

  add(route: Route<V>): void {
    this.remove((other) => isSameWay(other, route));
    const order = (row: Row<V>) => -row.route.destination.length * 2 ** 32 + (row.route.metric ?? 0);
    this.rows.push(rowOf(route));
    this.rows.sort((one, other) => order(one) - order(other));
    this.changed();
  }

  remove(isMeant: (route: Route<V>) => boolean): number {
    const before = this.rows.length;
    this.rows = this.rows.filter((row) => !isMeant(row.route));
    this.changed();
    return before - this.rows.length;
  }

  lookup(a: number, b: number, c: number, d: number): Route<V> | undefined {
    if (this.valid && this.d === d && this.c === c && this.b === b && this.a === a) return this.cached;
    this.a = a;
    this.b = b;
    this.c = c;
    this.d = d;
    this.valid = true;
    const best = this.rows.find((row) => matches(row, a, b, c, d))?.route;
    this.cached = best !== undefined && this.isAvoided(best) ? (this.alternative(best) ?? best) : best;
    return this.cached;
  }

  avoid(device: Device, gateway: Address<V>): boolean {
    const has = this.rows.some(({ route }) => goesBy(route, device, gateway) && this.alternative(route) !== undefined);
    if (!has || this.avoided.some((one) => isSameGateway(one, device, gateway))) return has;
    this.avoided = [...this.avoided, { device, gateway }];
    this.changed();
    return true;
  }

  goBy(device: Device, gateway: Address<V>): boolean {
    return this.rows.some(({ route }) => goesBy(route, device, gateway));
  }

  trust(device: Device, gateway: Address<V>): void {
    if (this.avoided.length === 0) return;
    this.avoided = this.avoided.filter((one) => !isSameGateway(one, device, gateway));
    this.changed();
  }

  trustAll(): void {
    this.avoided = [];
    this.changed();
  }

  private changed(): void {
    this.valid = false;
    this.version++;
  }

  private isAvoided({ device, gateway }: Route<V>): boolean {
    return gateway !== undefined && this.avoided.some((one) => isSameGateway(one, device, gateway));
  }

  /** The best other route to the same prefix whose gateway is not avoided. */
  private alternative(route: Route<V>): Route<V> | undefined {
    const { destination, gateway } = route;
    return this.rows.find((row) => {
      const other = row.route;
      if (other.destination.length !== destination.length || this.isAvoided(other)) return false;
      const isOtherWay =
        other.device !== route.device || gateway === undefined || other.gateway?.equals(gateway) !== true;
      return isOtherWay && other.destination.network.equals(destination.network);
    })?.route;
  }

  find({ a, b, c, d }: RouteQuery): Route<V> | undefined {
    return this.lookup(a, b, c, d);
  }

  at(destination: Cidr<V>): readonly Route<V>[] {
    const isMeant = ({ route }: Row<V>) => isSamePrefix(route.destination, destination);
    return this.rows.filter(isMeant).map(({ route }) => route);
  }

  any(): Route<V> | undefined {
    return this.rows.find(({ route }) => isUnicast(route))?.route;
  }

  list(): Route<V>[] {
    return this.rows.map((row) => row.route);
  }
}

function matches<V extends IpVersion>({ network, mask }: Row<V>, a: number, b: number, c: number, d: number): boolean {
  return (
    ((d & mask[3]) ^ network[3]) === 0 &&
    ((c & mask[2]) ^ network[2]) === 0 &&
    ((b & mask[1]) ^ network[1]) === 0 &&
    ((a & mask[0]) ^ network[0]) === 0
  );
}

/** Whether a gateway is this one. */
export function isSameGateway<V extends IpVersion>(one: Gateway<V>, device: Device, gateway: Address<V>): boolean {
  return one.device === device && one.gateway.equals(gateway);
}

/** Whether a route goes by this gateway. */
export function goesBy<V extends IpVersion>(route: Route<V>, device: Device, gateway: Address<V>): boolean {
  return route.device === device && route.gateway?.equals(gateway) === true;
}

function isSamePrefix<V extends IpVersion>(one: Cidr<V>, other: Cidr<V>): boolean {
  return one.length === other.length && one.network.equals(other.network);
}

/** Whether one route takes the place of another. */
export function isSameWay<V extends IpVersion>(one: Route<V>, other: Route<V>): boolean {
  const { gateway } = one;
  const sameGateway = gateway === undefined ? other.gateway === undefined : other.gateway?.equals(gateway) === true;
  return (
    isSamePrefix(one.destination, other.destination) &&
    one.device === other.device &&
    (one.metric ?? 0) === (other.metric ?? 0) &&
    sameGateway
  );
}
