/**
 * A router: a host that also takes packets of others further. Like a host it is nothing but a composition of public operators; read
 * `Crossroads` and take it apart, re-order it or replace its parts as you need.
 */

import { Cidr, type IpVersion } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { EthernetLink } from '../../lib/l2/ethernet-link.js';
import { IpTables } from '../../lib/l3/ip-tables.js';
import { proxyNeighbours } from '../../lib/l3/proxy-neighbours.js';
import type { RoutingRule, TableId } from '../../lib/l3/routing-rules.js';
import { RoutingTables } from '../../lib/l3/routing-tables.js';
import type { Route } from '../../lib/l3/routes.js';
import { defaultEnvironment } from '../time/environment.js';
import type { AutoconfInterface } from './autoconf.js';
import { Crossroads } from './crossroads.js';
import { type HostParts, hostOf, hostParts } from './host-parts.js';
import { hostPipeline } from './host-pipeline.js';
import type { Router, RouterInterface, RouterOptions } from './router-api.js';
import { RouterSwitches } from './router-switches.js';

export type {
  RoutedPacket,
  Router,
  RouterHook,
  RouterHooks,
  RouterInterface,
  RouterOptions,
  RouterRoute,
} from './router-api.js';

/**
 * Makes a router: a host of several devices that takes packets of either version from each of them to the others (RFC 1812, RFC 8200).
 *
 *     in   --p--e--r--|     p: from a to b, e: echo request to us, r: its hop limit ends here
 *     out  --P--E--R--|     P: to the next hop by b, E: echo reply, R: time exceeded
 *
 * Give the frames of all its devices in (`merge` them; each knows its device), and send what comes out with `toDevices`. A packet goes through
 * `hooks.prerouting`; then, if it is for the router, through `hooks.input` to its sockets, else one hop further, through `hooks.forward` and
 * `hooks.postrouting`, and out, in the buffer that it came in.
 *
 * **Drops** those of its operators. **State and timers** those of its operators.
 *
 * @throws UsageError as `host`
 * @example
 * const me = router({ interfaces: [
 *   { device: lan, addresses: ['10.0.0.1/24', 'fd00::1/64'] },
 *   { device: wan, addresses: ['192.0.2.2/24'] },
 * ], gateway: '192.0.2.1' });
 * merge(lan.frames$, wan.frames$).pipe(me).subscribe(toDevices(lan, wan));
 */
export function router(options: RouterOptions, env: Env = defaultEnvironment()): Router {
  const { routes = [], rules = [], ...rest } = options;
  const interfaces = options.interfaces.map(({ advertise, ...one }) => ({ ...one, ...advertisement(one, advertise) }));
  const routing = { 4: new RoutingTables(4), 6: new RoutingTables(6) } as const;
  const tables = new IpTables(env, routing[4], routing[6]);
  const parts = hostParts({ ...rest, interfaces }, env, tables);
  for (const { table = 'main', ...route } of routes) addRoute(routing, tables.routeOf(route), table);
  for (const rule of rules) addRule(routing, rule);
  const crossroads = new Crossroads(parts, options);
  const switches = switchesOf(parts, crossroads, options);
  return Object.assign(hostOf(parts, hostPipeline(parts, crossroads)), {
    routing,
    multicastRoutes: crossroads.multicastRoutes,
    forwarded: (device: Device) => crossroads.forwarder.counters(device),
    switches: (device: Device) => switches.get(device),
  });
}

function addRoute(routing: Router['routing'], route: Route, table: TableId): void {
  if (isOfVersion(route, 4)) routing[4].table(table).add(route);
  else if (isOfVersion(route, 6)) routing[6].table(table).add(route);
}

function isOfVersion<V extends IpVersion>(route: Route, version: V): route is Route<V> {
  return route.destination.version === version;
}

/** Adds a rule for the version that it speaks of, or for both. */
function addRule(routing: Router['routing'], rule: RoutingRule): void {
  const said = rule.from ?? rule.to;
  const version = said === undefined ? undefined : Cidr.of(said).version;
  if (version !== 6) routing[4].addRule(rule);
  if (version !== 4) routing[6].addRule(rule);
}

/** What makes a router of each interface, as others on its link see it. */
function switchesOf(
  parts: HostParts,
  { forwarder }: Crossroads,
  { interfaces }: RouterOptions,
): ReadonlyMap<Device, RouterSwitches> {
  const all = new Map<Device, RouterSwitches>();
  for (const [index, link] of parts.links.entries()) {
    const { proxy = false } = interfaces[index] ?? {};
    const { device } = link;
    if (link instanceof EthernetLink && proxy !== false)
      proxyNeighbours(link, parts.tables, proxy, () => forwarder.isOpen(device));
    const plain = forwarder.switches(device);
    if (plain !== undefined) all.set(device, new RouterSwitches(plain, parts));
  }
  return all;
}

/** What an interface advertises, if anything. */
function advertisement(
  { addresses = [], device }: Omit<RouterInterface, 'advertise'>,
  wanted: RouterInterface['advertise'] = false,
): Pick<AutoconfInterface, 'advertise'> {
  if (wanted === false) return {};
  const networks = addresses
    .map((one) => Cidr.of(one))
    .filter(({ address }) => address.version === 6 && !address.isLinkLocal);
  const prefixes = networks.map(({ network, length }) => ({ prefix: `${network.toString()}/${length}` }));
  return { advertise: { prefixes, mtu: device.mtu, ...(wanted === true ? {} : wanted) } };
}
