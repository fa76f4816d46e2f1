/**
 * What routers advertise of ways to go: default routers, prefixes of the link and more specific routes, as one list of routes with
 * lifetimes (RFC 4861 5.1, RFC 4191 3.1). `RouterRoutes` brings them into the routing table, and chooses among them.
 */

import type { Cidr, Ipv6Address } from '../core/address.js';
import type { Timers } from '../core/timers.js';
import type { RouterPreference } from '../wire/ndp-options.js';
import { Lifetimes } from './lifetimes.js';

/** A route that a router advertised. */
export interface LearntRoute {
  readonly destination: Cidr<6>;
  /** The advertising router; `undefined` for a prefix of the link itself. */
  readonly gateway: Ipv6Address | undefined;
  readonly preference: RouterPreference;
}

/** Who listens to {@link LearntRoutes}. A route whose preference changes is added as it is now, and then removed as it was. */
export interface LearntRoutesListener {
  added(route: LearntRoute): void;
  removed(route: LearntRoute): void;
}

/** So many routes at most, since anybody on the link can advertise (RFC 6583 has the like for neighbours). */
const MAX_ROUTES = 128;

/** The routes of one link. */
export class LearntRoutes {
  private readonly listener: LearntRoutesListener;
  private readonly routes: Lifetimes<LearntRoute>;

  constructor(listener: LearntRoutesListener, timers: Timers) {
    this.listener = listener;
    this.routes = new Lifetimes<LearntRoute>(timers, (routes) => {
      for (const route of routes) listener.removed(route);
    });
  }

  /** Adds or refreshes a route; a `lifetime` of 0 milliseconds removes it. Beyond 128 routes new ones are ignored. */
  set(route: LearntRoute, lifetime: number): void {
    const key = keyOf(route);
    const known = this.routes.get(key);
    if (lifetime <= 0) {
      this.remove(key);
    } else if (known !== undefined && known.preference === route.preference) {
      this.routes.set(key, known, lifetime);
    } else if (known !== undefined || this.routes.size < MAX_ROUTES) {
      this.routes.set(key, route, lifetime);
      this.listener.added(route);
      if (known !== undefined) this.listener.removed(known);
    }
  }

  /** Removes every route by `gateway`. */
  removeBy(gateway: Ipv6Address): void {
    for (const route of this.list()) {
      if (route.gateway?.equals(gateway) === true) this.remove(keyOf(route));
    }
  }

  /** Removes every route. */
  clear(): void {
    for (const route of this.list()) this.remove(keyOf(route));
  }

  list(): readonly LearntRoute[] {
    return this.routes.values();
  }

  /** The default routers, the preferred first. */
  defaultRouters(): Ipv6Address[] {
    const defaults = this.list().filter(({ destination }) => destination.length === 0);
    return defaults.sort(better).flatMap(({ gateway }) => gateway ?? []);
  }

  private remove(key: string): void {
    const route = this.routes.delete(key);
    if (route !== undefined) this.listener.removed(route);
  }
}

function better(one: LearntRoute, other: LearntRoute): number {
  return other.destination.length - one.destination.length || other.preference - one.preference;
}

function keyOf({ destination, gateway }: LearntRoute): string {
  return `${destination.network.toString()}/${destination.length} ${gateway?.toString() ?? ''}`;
}
