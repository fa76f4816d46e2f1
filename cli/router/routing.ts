/** Routes and rules of a configuration, and how those of another one take their place between two packets. */

import { Cidr, type IpAddress, Ipv4Address, Ipv6Address, type IpVersion } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import { NOWHERE } from '../../lib/l3/fib.js';
import { isSameWay, type Route, type Routes } from '../../lib/l3/routes.js';
import type { RoutingRule, TableId } from '../../lib/l3/routing-rules.js';
import { MAIN_RULE } from '../../lib/l3/routing-tables.js';
import type { Router } from '../../operators/stack/router-api.js';
import type {
  NextHopConfiguration,
  PolicyConfiguration,
  RouteConfiguration,
  RouterConfiguration,
} from './configuration.js';

const MAIN = 'main';

interface Placed {
  readonly route: Route;
  readonly table: TableId;
}

/** A route of ours in its table, and the one that it took the place of there: such as that of a network of the device. */
interface Standing extends Placed {
  readonly displaced: Route | undefined;
}

/** See the module. */
export class StaticRouting {
  private readonly routing: Router['routing'];
  private readonly device: (name: string) => Device;
  private readonly owner: (address: IpAddress) => Device | undefined;
  private standing: readonly Standing[] = [];

  /**
   * @param device finds a device that is known to be there
   * @param owner finds the device that a neighbour is on the link of
   */
  constructor(
    routing: Router['routing'],
    device: (name: string) => Device,
    owner: (address: IpAddress) => Device | undefined,
  ) {
    this.routing = routing;
    this.device = device;
    this.owner = owner;
  }

  /** Takes the routes and rules of a configuration that was checked in place of those of the last one. */
  change({ routes = [], policy = [] }: RouterConfiguration): void {
    const wanted = routes.flatMap((route) => this.placedOf(route));
    const rules = policy.map((rule) => this.ruleOf(rule));
    // In the opposite order: of two by the same way the later one took the place of the earlier.
    for (const standing of this.standing.toReversed()) this.withdraw(standing);
    this.standing = wanted.map((placed) => this.place(placed));
    this.routing[4].replaceRules(rulesFor(rules, 4));
    this.routing[6].replaceRules(rulesFor(rules, 6));
  }

  private place({ route, table: id }: Placed): Standing {
    const table = this.table(route, id);
    const displaced = table.at(route.destination).find((one) => isSameWay(one, route));
    table.add(route);
    return { route, table: id, displaced };
  }

  private withdraw({ route, table: id, displaced }: Standing): void {
    const table = this.table(route, id);
    table.remove((one) => one === route);
    if (displaced !== undefined) table.add(displaced);
  }

  /** The table of a route, whose version it is of. */
  private table({ destination: { version } }: Route, id: TableId): Pick<Routes, 'add' | 'at' | 'remove'> {
    return (version === 4 ? this.routing[4] : this.routing[6]).table(id);
  }

  private placedOf(route: RouteConfiguration): Placed[] {
    const { to, type = 'unicast', through, metric = 0, mtu, table = MAIN } = route;
    const common = { metric, type, ...(mtu === undefined ? {} : { mtu }) };
    if (type !== 'unicast') {
      return to === 'default' ? [] : [{ route: { destination: to, device: NOWHERE, ...common }, table }];
    }
    return (through ?? [route]).map((hop) => ({ route: { ...this.hop(to, hop), ...common }, table }));
  }

  private hop(to: Cidr | 'default', { via, device, weight = 1 }: NextHopConfiguration): Omit<Route, 'type'> {
    const version = via?.version ?? (to === 'default' ? 4 : to.version);
    const destination = to === 'default' ? everywhere(version) : to;
    const owner = device === undefined && via !== undefined ? this.owner(via) : undefined;
    const leaves = owner ?? this.device(device ?? '');
    return { destination, device: leaves, weight, ...(via === undefined ? {} : { gateway: via }) };
  }

  private ruleOf({ device, ...rule }: PolicyConfiguration): RoutingRule {
    return device === undefined ? rule : { ...rule, device: this.device(device) };
  }
}

function everywhere(version: IpVersion): Cidr {
  return version === 4 ? new Cidr(Ipv4Address.ANY, 0) : new Cidr(Ipv6Address.ANY, 0);
}

/** The rules of a version, and the one that there is at first, unless one of them has its place. */
function rulesFor(rules: readonly RoutingRule[], version: IpVersion): readonly RoutingRule[] {
  const own = rules.filter((rule) => isFor(rule, version));
  return own.some(({ priority }) => priority === MAIN_RULE.priority) ? own : [...own, MAIN_RULE];
}

/** A rule that names no prefix is for both versions. */
function isFor({ from, to }: RoutingRule, version: IpVersion): boolean {
  const named = from ?? to;
  return named === undefined || Cidr.of(named).version === version;
}
