/**
 * The forwarding information base of a router: longest-prefix match over a million routes (RFC 1812 5.2.4.3), then the lowest metric; flows share
 * what is equally good. Routes come and go one by one, each at the cost of a few lookups.
 */

import { type Address, addressBits, type Cidr, type IpVersion, MacAddress } from '../core/address.js';
import { type Device, NO_FEATURES } from '../core/device.js';
import { UsageError } from '../core/errors.js';
import { PrefixMap } from '../core/prefix-map.js';
import { RouteGroup } from './fib-group.js';
import { type Gateway, goesBy, isSameGateway, isSameWay, isUnicast, type Route, type Routes } from './routes.js';
import type { RouteQuery } from './routing-query.js';

const MAX_WEIGHT = 256;
const MAX_METRIC = 0xffff_ffff;

/** The device of routes that lead nowhere: it drops whatever it is given. */
export const NOWHERE: Device = {
  name: 'nowhere',
  mac: MacAddress.ZERO,
  mtu: 65_535,
  medium: 'ip',
  features: NO_FEATURES,
  get frames$(): never {
    throw new UsageError('ERR_UNSUPPORTED', 'nothing comes from nowhere');
  },
  sink: { next: (frame) => frame.release(), error: () => {}, complete: () => {} },
  close: () => Promise.resolve(),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/** How often routes changed. */
export interface RouteChanges {
  count: number;
}

/** Routes of one IP version, many of them. */
export class Fib<V extends IpVersion = IpVersion> implements Routes<V> {
  readonly ipVersion: V;
  avoided: readonly Gateway<V>[] = [];
  private readonly changes: RouteChanges;
  /** Twice the number of a prefix, and 1 where its best routes share the flows. */
  private prefixes: PrefixMap;
  /** By the number of a prefix: the best route. */
  private best: (Route<V> | undefined)[] = [];
  /** Of prefixes with several routes. */
  private groups = new Map<number, RouteGroup<V>>();
  private readonly isAvoided = (route: Route<V>): boolean => this.avoids(route);
  /** Numbers of prefixes that are not there any more. */
  private free: number[] = [];
  private count = 0;
  private shared = 0;

  /** @param changes what several tables count their changes in */
  constructor(version: V, changes: RouteChanges = { count: 0 }) {
    this.ipVersion = version;
    this.prefixes = new PrefixMap(version);
    this.changes = changes;
  }

  get version(): number {
    return this.changes.count;
  }

  /** How many routes there are. */
  get size(): number {
    return this.count;
  }

  /** Bytes of the tables over all prefixes, without what the routes themselves take. */
  get bytes(): number {
    return this.prefixes.bytes + this.best.length * 8;
  }

  /** False once flows share routes. */
  get isByDestination(): boolean {
    return this.shared === 0;
  }

  lookup(a: number, b: number, c: number, d: number, flow = 0): Route<V> | undefined {
    const value = this.prefixes.lookup(a, b, c, d);
    if (value < 0) return undefined;
    return (value & 1) === 0 ? this.best[value >>> 1] : this.groups.get(value >>> 1)?.choose(flow);
  }

  find({ a, b, c, d, flow }: RouteQuery): Route<V> | undefined {
    return this.lookup(a, b, c, d, flow);
  }

  /** @throws UsageError `ERR_INVALID_OPTION` for a route of the other version, or a metric or weight out of range */
  add(route: Route<V>): void {
    this.check(route);
    const value = this.value(route.destination);
    const others = this.routesOf(value).filter((other) => !isSameWay(other, route));
    this.put(route.destination, value, [...others, route]);
  }

  remove(isMeant: (route: Route<V>) => boolean): number {
    const before = this.count;
    for (const [number, route] of this.best.entries()) {
      const isAny = route !== undefined && (this.groups.get(number)?.routes.some(isMeant) ?? isMeant(route));
      if (isAny) this.removeAt(route.destination, isMeant);
    }
    return before - this.count;
  }

  /** Removes routes to exactly this prefix: all, or those that `isMeant` says. Returns how many there were. */
  removeAt(destination: Cidr<V>, isMeant: (route: Route<V>) => boolean = () => true): number {
    const before = this.count;
    const value = this.value(destination);
    const left = this.routesOf(value).filter((route) => !isMeant(route));
    if (value >= 0) this.put(destination, value, left);
    return before - this.count;
  }

  /** Removes the routes that lead to a device, which has gone. */
  removeDevice(device: Device): number {
    return this.remove((route) => route.device === device);
  }

  /**
   * Replaces all routes at once: by those of another table, which then is empty, in no time, or by any others. If one of these is wrong, nothing
   * has changed.
   *
   * @throws UsageError as {@link Fib.add}
   */
  replace(all: Fib<V> | Iterable<Route<V>>): void {
    if (all === this) return;
    const next = all instanceof Fib ? all : new Fib<V>(this.ipVersion);
    if (next.ipVersion !== this.ipVersion)
      throw wrong(`a table of IPv${next.ipVersion} in place of IPv${this.ipVersion}`);
    if (!(all instanceof Fib)) for (const route of all) next.add(route);
    this.adopt(next);
    next.clear();
    this.regroup();
  }

  /** Removes all routes. */
  clear(): void {
    this.prefixes = new PrefixMap(this.ipVersion);
    this.best = [];
    this.groups = new Map();
    this.free = [];
    this.count = this.shared = 0;
    this.changes.count++;
  }

  at(destination: Cidr<V>): readonly Route<V>[] {
    return this.routesOf(this.value(destination));
  }

  any(): Route<V> | undefined {
    return this.best.find((route) => route !== undefined && isUnicast(route));
  }

  list(): Route<V>[] {
    const most = addressBits(this.ipVersion);
    const bySpare = Array.from({ length: most + 1 }, (): Route<V>[] => []);
    for (const [number, route] of this.best.entries()) {
      if (route === undefined) continue;
      const routes = bySpare[most - route.destination.length];
      for (const one of this.groups.get(number)?.routes ?? [route]) routes?.push(one);
    }
    return bySpare.flat();
  }

  avoid(device: Device, gateway: Address<V>): boolean {
    const isBy = (route: Route<V>) => goesBy(route, device, gateway);
    const hasOther = ({ routes }: RouteGroup<V>) =>
      routes.some(isBy) && routes.some((route) => !isBy(route) && !this.avoids(route));
    const has = [...this.groups.values()].some(hasOther);
    if (!has || this.avoided.some((one) => isSameGateway(one, device, gateway))) return has;
    this.avoided = [...this.avoided, { device, gateway }];
    this.regroup();
    return true;
  }

  goBy(device: Device, gateway: Address<V>): boolean {
    const isBy = (route: Route<V>) => goesBy(route, device, gateway);
    return this.best.some(
      (route, number) => route !== undefined && (this.groups.get(number)?.routes.some(isBy) ?? isBy(route)),
    );
  }

  trust(device: Device, gateway: Address<V>): void {
    const left = this.avoided.filter((one) => !isSameGateway(one, device, gateway));
    if (left.length === this.avoided.length) return;
    this.avoided = left;
    this.regroup();
  }

  trustAll(): void {
    if (this.avoided.length === 0) return;
    this.avoided = [];
    this.regroup();
  }

  private check({ destination, metric = 0, weight = 1 }: Route<V>): void {
    if (destination.version !== this.ipVersion) throw wrong(`${destination.toString()} is not of IPv${this.ipVersion}`);
    if (!Number.isInteger(metric) || metric < 0 || metric > MAX_METRIC) throw wrong(`metric ${metric} is out of range`);
    if (!Number.isInteger(weight) || weight < 1 || weight > MAX_WEIGHT) throw wrong(`weight ${weight} is out of range`);
  }

  private avoids({ device, gateway }: Route<V>): boolean {
    return gateway !== undefined && this.avoided.some((one) => isSameGateway(one, device, gateway));
  }

  /** What the prefix map says of exactly this prefix. */
  private value({ address, length }: Cidr<V>): number {
    return this.prefixes.get(address.word(0), address.word(1), address.word(2), address.word(3), length);
  }

  private routesOf(value: number): readonly Route<V>[] {
    const route = value < 0 ? undefined : this.best[value >>> 1];
    return this.groups.get(value >>> 1)?.routes ?? (route === undefined ? [] : [route]);
  }

  /** Makes these the routes of the prefix that had `value` until now. */
  private put(destination: Cidr<V>, value: number, routes: readonly Route<V>[]): void {
    const { address, length } = destination;
    this.changes.count++;
    this.count += routes.length - this.routesOf(value).length;
    this.shared -= value > 0 ? value & 1 : 0;
    const [first] = routes;
    const number = value < 0 ? (this.free.pop() ?? this.best.length) : value >>> 1;
    const group = routes.length > 1 ? new RouteGroup(routes, this.isAvoided) : undefined;
    this.best[number] = group?.taken[0] ?? first;
    if (group === undefined) this.groups.delete(number);
    else this.groups.set(number, group);
    const [a, b, c, d] = [address.word(0), address.word(1), address.word(2), address.word(3)] as const;
    if (first === undefined) {
      this.prefixes.delete(a, b, c, d, length);
      this.free.push(number);
      return;
    }
    const isShared = group !== undefined && group.taken.length > 1 ? 1 : 0;
    this.shared += isShared;
    const next = number * 2 + isShared;
    if (next !== value) this.prefixes.set(a, b, c, d, length, next);
  }

  /** Chooses anew among the routes of each prefix. */
  private regroup(): void {
    for (const { routes } of this.groups.values()) {
      const [{ destination } = {}] = routes;
      if (destination !== undefined) this.put(destination, this.value(destination), routes);
    }
    this.changes.count++;
  }

  private adopt(other: Fib<V>): void {
    this.prefixes = other.prefixes;
    this.best = other.best;
    this.groups = other.groups;
    this.free = other.free;
    this.count = other.count;
    this.shared = other.shared;
  }
}

function wrong(message: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', message);
}
