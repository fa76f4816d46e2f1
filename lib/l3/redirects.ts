/**
 * Routes to single hosts that routers taught us by redirects (RFC 1122 3.2.2.2, RFC 4861 8.3), of one IP version. They are few, so that a hostile
 * router cannot fill the table, and are undone when the next hop that they lead to does not answer (RFC 4861 7.3.3), or is no router any more
 * (RFC 4861 6.3.5, 7.2.5).
 */

import type { Address, IpAddress, IpVersion } from '../core/address.js';
import type { Device } from '../core/device.js';
import type { Route, Routes } from './routes.js';

/** Beyond so many the oldest goes. */
const MAX_REDIRECTS = 64;

/** The redirects that are in force. */
export class Redirects<V extends IpVersion> {
  private readonly routes: Routes<V>;
  /** By destination, the oldest first. */
  private readonly taught = new Map<string, Route<V>>();

  constructor(routes: Routes<V>) {
    this.routes = routes;
  }

  /** Whether a route is one of them. */
  has(route: Route<V>): boolean {
    return this.taught.get(keyOf(route)) === route;
  }

  /** Puts a route to one host into the table, in place of an earlier one that a redirect made. */
  add(route: Route<V>): void {
    this.forget(keyOf(route));
    this.routes.add(route);
    this.taught.set(keyOf(route), route);
    for (const oldest of this.taught.keys()) {
      if (this.taught.size <= MAX_REDIRECTS) break;
      this.forget(oldest);
    }
  }

  /** A next hop on the link of `device` does not answer: what was redirected to it takes the former way. */
  failed(device: Device, hop: Address<V>): void {
    for (const [key, { device: by, gateway, destination }] of this.taught) {
      if (by === device && areSame(gateway ?? destination.address, hop)) this.forget(key);
    }
  }

  /** A neighbour on the link of `device` is no router any more: what was redirected to others by way of it takes the former way. */
  routerGone(device: Device, router: Address<V>): void {
    for (const [key, { device: by, gateway }] of this.taught) {
      if (by === device && gateway !== undefined && areSame(gateway, router)) this.forget(key);
    }
  }

  private forget(key: string): void {
    const route = this.taught.get(key);
    if (route === undefined) return;
    this.taught.delete(key);
    this.routes.remove((one) => one === route);
  }
}

function keyOf({ destination }: Route): string {
  return destination.address.toString();
}

/** Zones do not count: all this is about one link. */
function areSame(one: IpAddress, other: IpAddress): boolean {
  return ([3, 2, 1, 0] as const).every((index) => one.word(index) === other.word(index));
}
