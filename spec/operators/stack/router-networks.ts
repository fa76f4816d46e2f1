/** Simulated networks with routers of ours in the middle, and what is asked of them. */

import { lastValueFrom, toArray } from 'rxjs';
import type { IpVersion } from '../../../lib/core/address.js';
import type { PingEvent } from '../../../lib/l7/ping.js';
import { ping, type PingObservableOptions } from '../../../operators/l7/ping.js';
import { router, type Router, type RouterInterface, type RouterOptions } from '../../../operators/stack/router.js';
import type { Host } from '../../../operators/stack/host.js';
import {
  type Network,
  network,
  type NetworkHostOptions,
  type NetworkLinkOptions,
  type NetworkNode,
} from '../../../operators/testing/index.js';

/** What a router of a test is, by the names of its links. */
export interface RouterPlan extends Omit<RouterOptions, 'interfaces' | 'routes'> {
  readonly on: Readonly<Record<string, Omit<RouterInterface, 'device'>>>;
  readonly routes?: readonly { readonly destination: string; readonly gateway?: string; readonly link: string }[];
}

/** A network and its routers, which are there once the network is made. */
export interface RoutedNetwork<H extends string> {
  readonly net: Network<H>;
  readonly routers: Readonly<Record<string, Router>>;
  readonly router: Router;
}

/** Makes a network of hosts and routers. */
export function routed<H extends string>(
  hosts: Readonly<Record<H, NetworkHostOptions>>,
  plans: Readonly<Record<string, RouterPlan>>,
  links: Readonly<Record<string, NetworkLinkOptions>>,
): RoutedNetwork<H> {
  const routers: Record<string, Router> = {};
  const node =
    (name: string, { on, routes = [], ...rest }: RouterPlan): NetworkNode =>
    (devices, env) => {
      const device = (link: string) => {
        const found = devices[link];
        if (found === undefined) throw new Error(`${name} is not on ${link}`);
        return found;
      };
      const made = router(
        {
          ...rest,
          interfaces: Object.entries(on).map(([link, own]) => ({ ...own, device: device(link) })),
          routes: routes.map(({ link, ...route }) => ({ ...route, device: device(link) })),
        },
        env,
      );
      routers[name] = made;
      return made;
    };
  const nodes = Object.fromEntries(Object.entries(plans).map(([name, plan]) => [name, node(name, plan)]));
  const net: Network<H> = network<H, string, string>({ hosts, nodes, links });
  const [first] = Object.values(routers);
  if (first === undefined) throw new Error('a network without a router');
  return { net, routers, router: first };
}

/** Addresses of {@link pair}. */
export interface Places {
  readonly a: string;
  readonly b: string;
  /** The router's, on either side. */
  readonly left: string;
  readonly right: string;
  /** In the network of `b`, and in none that anybody knows. */
  readonly nobody: string;
  readonly nowhere: string;
}

/** See {@link Places}. */
export const PLACES: Readonly<Record<IpVersion, Places>> = {
  4: { a: '10.1.0.2', b: '10.2.0.2', left: '10.1.0.1', right: '10.2.0.1', nobody: '10.2.0.99', nowhere: '192.0.2.1' },
  6: { a: 'fd01::2', b: 'fd02::2', left: 'fd01::1', right: 'fd02::1', nobody: 'fd02::99', nowhere: '2001:db8::1' },
};

/** What of {@link pair} differs. */
export interface PairOptions {
  readonly router?: Partial<RouterPlan>;
  readonly left?: Omit<RouterInterface, 'device' | 'addresses'>;
  readonly right?: Omit<RouterInterface, 'device' | 'addresses'>;
  readonly links?: { readonly left?: NetworkLinkOptions; readonly right?: NetworkLinkOptions };
  readonly host?: Omit<NetworkHostOptions, 'addresses'>;
}

/** Two hosts, each on a link of its own, and a router between them: `a --left-- r --right-- b`, with both IP versions. */
export function pair(options: PairOptions = {}): RoutedNetwork<'a' | 'b'> {
  const { router: plan, left, right, links = {}, host } = options;
  const on = {
    left: { ...left, addresses: ['10.1.0.1/24', 'fd01::1/64'] },
    right: { ...right, addresses: ['10.2.0.1/24', 'fd02::1/64'] },
  };
  return routed(
    {
      a: { ...host, addresses: ['10.1.0.2/24', 'fd01::2/64'], gateway: ['10.1.0.1', 'fd01::1'] },
      b: { ...host, addresses: ['10.2.0.2/24', 'fd02::2/64'], gateway: ['10.2.0.1', 'fd02::1'] },
    },
    { r: { on, ...plan } },
    { left: { ...links.left, between: ['a', 'r'] }, right: { ...links.right, between: ['b', 'r'] } },
  );
}

/** Pings from a host and lets time pass until all of it is settled. */
export function pinged(
  net: Network,
  host: Host,
  to: string,
  options: PingObservableOptions = {},
): Promise<readonly PingEvent[]> {
  const events = lastValueFrom(ping(host.ping, to, { count: 1, ...options }, host.env).pipe(toArray()));
  return net.runUntilSettled(events);
}
