/**
 * Brings the routes that routers advertise into the routing table: behind the user's own, ordered by the routers' preference, and routers
 * that do not answer behind those that do (RFC 4861 6.3.6, RFC 4191 3.2). Where none answers, they take turns.
 */

import { Ipv6Address } from '../core/address.js';
import type { Env } from '../core/env.js';
import type { Timer } from '../core/timers.js';
import type { EthernetLink } from '../l2/ethernet-link.js';
import type { NeighbourEvent } from '../l2/neighbour-entry.js';
import type { IpTables } from './ip-tables.js';
import type { LearntRoute } from './learnt-routes.js';

/** Metric of a route of medium preference; the user's routes have 0 unless he says otherwise. */
const METRIC = 1_024;
/** Added to that of routers which do not answer. */
const SUSPECT = 1_000;
/** RFC 4191 3.2: routers that do not answer are asked once a minute, in milliseconds. */
const PROBE_INTERVAL = 60_000;

/** The routes by the routers of one link. */
export class RouterRoutes {
  private readonly link: EthernetLink;
  private readonly tables: IpTables;
  private readonly env: Env;
  /** The routes in the table, and the metrics that they have there. */
  private readonly installed = new Map<LearntRoute, number>();
  /** Routers that do not answer, by their text, and what that adds to their metrics. */
  private readonly suspects = new Map<string, { readonly router: Ipv6Address; readonly penalty: number }>();
  private readonly prober: Timer;
  private readonly unobserve: () => void;
  private failures = 0;

  constructor(link: EthernetLink, tables: IpTables, env: Env) {
    this.link = link;
    this.tables = tables;
    this.env = env;
    this.prober = env.timers.timer(() => this.probe());
    this.unobserve = link.neighbours.observe((event) => this.neighbour(event));
  }

  add(route: LearntRoute): void {
    const metric = this.metricOf(route);
    const { destination, gateway } = route;
    const { device } = this.link;
    this.installed.set(route, metric);
    const way = gateway === undefined ? {} : { gateway: withoutZone(gateway) };
    this.tables.addRoute({ destination, device, metric, ...way });
  }

  remove(route: LearntRoute): void {
    this.uninstall(route);
    const { gateway } = route;
    if (gateway === undefined) return;
    const left = this.routesBy(gateway);
    if (left.length === 0) this.suspects.delete(keyOf(gateway));
    if (this.suspects.size === 0) this.prober.cancel();
    // RFC 4861 6.3.5: it is none of the default routers any more.
    if (isDefault(route) && !left.some(isDefault)) this.tables.routerGone(this.link.device, gateway);
  }

  /** A neighbour that answered: if it is a router that did not, and was forgotten, it is known again. */
  answered(router: Ipv6Address, mac: number): void {
    if (!this.suspects.has(keyOf(router)) || this.link.neighbours.get(withoutZone(router))) return;
    this.link.ndp.learn(router, mac);
  }

  private routesBy(router: Ipv6Address): LearntRoute[] {
    const key = keyOf(router);
    return [...this.installed.keys()].filter(({ gateway }) => gateway !== undefined && keyOf(gateway) === key);
  }

  /** Cancels the timer; takes the routes out of the table. */
  dispose(): void {
    this.unobserve();
    this.prober.cancel();
    for (const route of this.installed.keys()) this.uninstall(route);
    this.suspects.clear();
  }

  private uninstall(route: LearntRoute): void {
    const metric = this.installed.get(route);
    if (metric === undefined) return;
    this.installed.delete(route);
    const { device } = this.link;
    const { destination } = route;
    const by = route.gateway && keyOf(route.gateway);
    this.tables.routes6.remove(
      (one) =>
        one.device === device &&
        one.metric === metric &&
        one.destination.equals(destination) &&
        (one.gateway && keyOf(one.gateway)) === by,
    );
  }

  private metricOf({ gateway, preference }: LearntRoute): number {
    return METRIC - preference + ((gateway && this.suspects.get(keyOf(gateway))?.penalty) ?? 0);
  }

  private neighbour({ kind, address, state }: NeighbourEvent): void {
    if (address.version !== 6 || this.routesBy(address).length === 0) return;
    const known = this.suspects.has(keyOf(address));
    const unanswered = kind === 'removed' && state === 'incomplete';
    if (unanswered || (state === 'unreachable' && !known)) this.suspect(address);
    else if (known && kind !== 'removed' && (state === 'reachable' || state === 'stale')) this.trust(address);
  }

  /** The newest failure comes last: so those that fail take turns. */
  private suspect(router: Ipv6Address): void {
    this.suspects.set(keyOf(router), { router, penalty: SUSPECT + this.failures++ });
    this.reorder(router);
    if (!this.prober.armed) this.prober.arm(this.env.timers.now() + PROBE_INTERVAL);
  }

  private trust(router: Ipv6Address): void {
    this.suspects.delete(keyOf(router));
    this.reorder(router);
    if (this.suspects.size === 0) this.prober.cancel();
  }

  private reorder(router: Ipv6Address): void {
    for (const route of this.routesBy(router)) {
      this.uninstall(route);
      this.add(route);
    }
  }

  private probe(): void {
    this.prober.arm(this.env.timers.now() + PROBE_INTERVAL);
    for (const { router } of this.suspects.values()) this.link.ndp.query(router, undefined);
  }
}

function isDefault({ destination }: LearntRoute): boolean {
  return destination.length === 0;
}

/** Without the zone: all this is about one link. */
function keyOf({ a, b, c, d }: Ipv6Address): string {
  return `${a},${b},${c},${d}`;
}

function withoutZone(address: Ipv6Address): Ipv6Address {
  return address.zone === '' ? address : new Ipv6Address(address.a, address.b, address.c, address.d);
}
