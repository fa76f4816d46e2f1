/**
 * Router discovery of a host on one link (RFC 4861 6.3): solicits routers, and keeps what they advertise as long as they say: default
 * routers with preferences and more specific routes (RFC 4191), prefixes of the link, parameters, name servers and search domains
 * (RFC 8106). Prefixes to make addresses of are handed on to `Slaac`. Solicitations that never end (RFC 7559) are left out.
 */

import { Cidr, Ipv6Address } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import type { Timer } from '../core/timers.js';
import { IPV6_MINIMUM_MTU } from '../wire/ipv6.js';
import type { RouterAdvertisementFields } from '../wire/ndp.js';
import type { NdpOption, NdpPrefix, NdpRoute } from '../wire/ndp-options.js';
import { type LearntRoute, LearntRoutes } from './learnt-routes.js';
import { Lifetimes, lifetimeMs } from './lifetimes.js';

// RFC 4861 10, in milliseconds.
const MAX_RTR_SOLICITATION_DELAY = 1_000;
const RTR_SOLICITATION_INTERVAL = 4_000;
const MAX_RTR_SOLICITATIONS = 3;
const REACHABLE_TIME = 30_000;
const RETRANS_TIMER = 1_000;
/** Upper bound of an advertised reachable time (RFC 4861 6.2.1): one hour. */
const MAX_REACHABLE_TIME = 3_600_000;
/**
 * RFC 4861 bounds no retransmit timer, but with one below this no neighbour has time to answer, and with one above the other a query
 * that was lost is as good as never repeated.
 */
const MIN_RETRANS_TIMER = 10;
const MAX_RETRANS_TIMER = 60_000;
/** RFC 8106 5.3.1 asks for three of each at least. */
const MAX_NAMES = 8;

/** What routers say of the link; values that they leave unspecified stay as they were. */
export interface LinkParameters {
  /** Hop limit of packets that we send; 0: no router said. */
  readonly hopLimit: number;
  /** In bytes, 1280 or more, never above the device's own. */
  readonly mtu: number;
  /** Base of the neighbours' reachable time, in milliseconds. */
  readonly reachableTime: number;
  /** Time between neighbour solicitations, in milliseconds. */
  readonly retransmitTimer: number;
  /** Addresses are to be had by DHCPv6. */
  readonly managed: boolean;
  /** Other configuration is to be had by DHCPv6. */
  readonly other: boolean;
}

/** What {@link RouterDiscovery} tells. */
export type RouterEvent =
  /** A route whose preference changes is added as it is now, and then removed as it was: its router is there all the time. */
  | { readonly kind: 'route-added' | 'route-removed'; readonly route: LearntRoute }
  | { readonly kind: 'parameters'; readonly parameters: LinkParameters }
  | { readonly kind: 'dns'; readonly servers: readonly Ipv6Address[]; readonly domains: readonly string[] }
  /** A prefix to make addresses of; told with every advertisement. */
  | { readonly kind: 'prefix'; readonly prefix: NdpPrefix }
  /** Nobody answered the last solicitation: there is no router, so far. */
  | { readonly kind: 'no-router' };

/** What the discovery needs of the link. */
export interface RouterDiscoveryPort {
  /** Sends a router solicitation to all routers, from an address of the link or from ::. */
  solicit(): void;
  on(event: RouterEvent): void;
}

/** Router discovery on one link. */
export class RouterDiscovery {
  readonly routes: LearntRoutes;
  private readonly port: RouterDiscoveryPort;
  private readonly env: Env;
  private readonly linkMtu: number;
  private readonly timer: Timer;
  private readonly servers: Lifetimes<Ipv6Address>;
  private readonly domains: Lifetimes<string>;
  private current: LinkParameters;
  private sent = 0;
  /** A router answered, so that we need not go on once we asked at all. */
  private answered = false;
  /** Who is told of something may end everything: nothing is learnt from then on. */
  private over = false;

  /** @param linkMtu of the device, in bytes */
  constructor(port: RouterDiscoveryPort, env: Env, linkMtu: number) {
    this.port = port;
    this.env = env;
    this.linkMtu = linkMtu;
    this.timer = env.timers.timer(() => this.solicit());
    this.routes = new LearntRoutes(
      {
        added: (route) => port.on({ kind: 'route-added', route }),
        removed: (route) => port.on({ kind: 'route-removed', route }),
      },
      env.timers,
    );
    this.servers = new Lifetimes<Ipv6Address>(env.timers, () => this.tellNames());
    this.domains = new Lifetimes<string>(env.timers, () => this.tellNames());
    this.current = {
      hopLimit: 0,
      mtu: linkMtu,
      reachableTime: REACHABLE_TIME,
      retransmitTimer: RETRANS_TIMER,
      managed: false,
      other: false,
    };
  }

  get parameters(): LinkParameters {
    return this.current;
  }
  /** Name servers; link-local ones have the zone of the router that named them. */
  get dnsServers(): readonly Ipv6Address[] {
    return this.servers.values();
  }
  /** Search domains. */
  get searchDomains(): readonly string[] {
    return this.domains.values();
  }

  /** Begins to solicit routers, or begins anew: after the link came up, say. */
  start(): void {
    this.sent = 0;
    this.answered = this.over = false;
    this.timer.arm(this.env.timers.now() + this.env.random.float() * MAX_RTR_SOLICITATION_DELAY);
  }

  /** Solicits no more; what was learnt stays for its time. */
  stop(): void {
    this.timer.cancel();
  }

  /** Ends everything, and tells of the routes that go. */
  dispose(): void {
    this.over = true;
    this.stop();
    this.servers.clear();
    this.domains.clear();
    this.routes.clear();
  }

  /**
   * Takes in an advertisement that passed the checks of the wire (RFC 4861 6.1.2): returns what is wrong with it, if something is. `source`
   * has the zone of the link where links have zones.
   */
  received(
    source: Ipv6Address,
    fields: RouterAdvertisementFields,
    options: readonly NdpOption[],
  ): DropReason | undefined {
    if (!source.isLinkLocal) return DropReason.NdpBadSource;
    if (this.over) return undefined;
    if (fields.lifetime > 0) this.heardRouter();
    const mtu = options.find((option) => option.kind === 'mtu')?.mtu;
    this.learnParameters(fields, mtu);
    if (this.over) return undefined;
    // RFC 4191 3.1: the header's default route first, which a ::/0 among the route options overrides.
    this.learnRoute(source, Ipv6Address.ANY, 0, fields.lifetime > 0 ? fields.preference : 0, fields.lifetime);
    let named = false;
    for (const option of options) {
      if (this.over) return undefined;
      if (option.kind === 'prefix') this.learnPrefix(option);
      else if (option.kind === 'route') this.learnRouteOption(source, option);
      else if (option.kind === 'rdnss') named = this.learnServers(source, option.servers, option.lifetime) || named;
      else if (option.kind === 'dnssl') named = this.learnDomains(option.domains, option.lifetime) || named;
    }
    if (named && !this.over) this.tellNames();
    return undefined;
  }

  /** A neighbour that was a router says that it is none any more (RFC 4861 7.2.5): nothing goes by it from now on. */
  routerGone(router: Ipv6Address): void {
    this.routes.removeBy(router);
  }

  private solicit(): void {
    if (this.sent === MAX_RTR_SOLICITATIONS) {
      this.port.on({ kind: 'no-router' });
      return;
    }
    this.sent++;
    // Advertisements that came unasked may be incomplete, so one question is asked in any case (RFC 4861 6.3.7).
    if (!this.answered) {
      const last = this.sent === MAX_RTR_SOLICITATIONS;
      this.timer.arm(this.env.timers.now() + (last ? MAX_RTR_SOLICITATION_DELAY : RTR_SOLICITATION_INTERVAL));
    }
    this.port.solicit();
  }

  private heardRouter(): void {
    this.answered = true;
    if (this.sent > 0) this.timer.cancel();
  }

  private learnParameters(fields: RouterAdvertisementFields, mtu: number | undefined): void {
    const { current } = this;
    const usable = mtu !== undefined && mtu >= IPV6_MINIMUM_MTU && mtu <= this.linkMtu;
    const reachable = fields.reachableTime > 0 && fields.reachableTime <= MAX_REACHABLE_TIME;
    const { retransmitTimer } = fields;
    const repeats = retransmitTimer >= MIN_RETRANS_TIMER && retransmitTimer <= MAX_RETRANS_TIMER;
    const next: LinkParameters = {
      hopLimit: fields.hopLimit === 0 ? current.hopLimit : fields.hopLimit,
      mtu: usable ? mtu : current.mtu,
      reachableTime: reachable ? fields.reachableTime : current.reachableTime,
      retransmitTimer: repeats ? retransmitTimer : current.retransmitTimer,
      managed: fields.managed,
      other: fields.other,
    };
    if (PARAMETERS.every((name) => next[name] === current[name])) return;
    this.current = next;
    this.port.on({ kind: 'parameters', parameters: next });
  }

  private learnRoute(
    gateway: Ipv6Address | undefined,
    prefix: Ipv6Address,
    length: number,
    preference: LearntRoute['preference'],
    lifetime: number,
  ): void {
    this.routes.set({ destination: networkOf(prefix, length), gateway, preference }, lifetimeMs(lifetime));
  }

  private learnRouteOption(source: Ipv6Address, option: NdpRoute): void {
    if (option.length > 0 && isNotForHosts(option.prefix)) return;
    this.learnRoute(source, option.prefix, option.length, option.preference, option.lifetime);
  }

  /** RFC 4861 6.3.4: the link-local prefix is ignored, and a prefix without the on-link flag says nothing of the link. */
  private learnPrefix(option: NdpPrefix): void {
    if (isNotForHosts(option.prefix)) return;
    if (option.onLink) this.learnRoute(undefined, option.prefix, option.length, 0, option.validLifetime);
    if (option.autonomous) this.port.on({ kind: 'prefix', prefix: option });
  }

  private learnServers(source: Ipv6Address, servers: readonly Ipv6Address[], lifetime: number): boolean {
    let changed = false;
    for (const server of servers) {
      if (server.isMulticast || server.isUnspecified || server.isLoopback) continue;
      const zoned = server.isLinkLocal ? withZone(server, source.zone) : server;
      changed = learn(this.servers, zoned.toString(), zoned, lifetime) || changed;
    }
    return changed;
  }

  private learnDomains(domains: readonly string[], lifetime: number): boolean {
    let changed = false;
    for (const domain of domains) changed = learn(this.domains, domain.toLowerCase(), domain, lifetime) || changed;
    return changed;
  }

  private tellNames(): void {
    this.port.on({ kind: 'dns', servers: this.dnsServers, domains: this.searchDomains });
  }
}

const PARAMETERS = ['hopLimit', 'mtu', 'reachableTime', 'retransmitTimer', 'managed', 'other'] as const;

/** Whether the set changed. */
function learn<V>(known: Lifetimes<V>, key: string, value: V, lifetime: number): boolean {
  const had = known.get(key) !== undefined;
  if (lifetime === 0) {
    known.delete(key);
    return had;
  }
  if (!had && known.size >= MAX_NAMES) return false;
  known.set(key, value, lifetimeMs(lifetime));
  return !had;
}

function isNotForHosts(prefix: Ipv6Address): boolean {
  return prefix.isLinkLocal || prefix.isMulticast;
}

function withZone({ a, b, c, d }: Ipv6Address, zone: string): Ipv6Address {
  return new Ipv6Address(a, b, c, d, zone);
}

/** The network, with what is behind the prefix cleared: RFC 4861 4.6.2 lets senders leave anything there. */
function networkOf(prefix: Ipv6Address, length: number): Cidr<6> {
  const { network } = new Cidr<6>(prefix, length);
  return new Cidr<6>(network.version === 6 ? network : prefix, length);
}
