/**
 * Router advertisements of a gateway on one link (RFC 4861 6.2): unasked at random intervals, in answer to solicitations, not more often
 * than allowed, and a last one when it ends. It says what it is told to say; that packets are really forwarded is not its business.
 * Comparing what other routers advertise (RFC 4861 6.2.7) is left out.
 */

import { Cidr, Ipv6Address } from '../core/address.js';
import type { Env } from '../core/env.js';
import { UsageError } from '../core/errors.js';
import type { Timer } from '../core/timers.js';
import { IPV6_HEADER, IPV6_MINIMUM_MTU } from '../wire/ipv6.js';
import { ROUTER_ADVERTISEMENT_HEADER, type RouterAdvertisementFields } from '../wire/ndp.js';
import { INFINITE_LIFETIME, ndpOptionBytes, type NdpOption, type RouterPreference } from '../wire/ndp-options.js';
import { ALL_NODES } from './scope.js';

// RFC 4861 10, in milliseconds.
const MAX_INITIAL_RTR_ADVERT_INTERVAL = 16_000;
const MAX_INITIAL_RTR_ADVERTISEMENTS = 3;
const MIN_DELAY_BETWEEN_RAS = 3_000;
const MAX_RA_DELAY_TIME = 500;
// RFC 4861 6.2.1: default and bounds, in milliseconds; router lifetime in seconds.
const DEFAULT_MAX_INTERVAL = 600_000;
const LEAST_MAX_INTERVAL = 4_000;
const MOST_MAX_INTERVAL = 1_800_000;
const LEAST_MIN_INTERVAL = 3_000;
const MOST_LIFETIME = 9_000;
/** AdvValidLifetime and AdvPreferredLifetime: 30 days and 7 days, in seconds. */
const VALID_LIFETIME = 2_592_000;
const PREFERRED_LIFETIME = 604_800;
/** Bytes of options in one advertisement, besides our link-layer address: so it fits into every link of IPv6 (RFC 8200 5). */
const ROOM = IPV6_MINIMUM_MTU - IPV6_HEADER - ROUTER_ADVERTISEMENT_HEADER - 8;
/** So many hosts at a time are answered alone; more are answered by an advertisement to all. */
const MAX_ANSWERS = 8;

/** A prefix to advertise; lifetimes in seconds, `Infinity` for those that do not end. */
export interface AdvertisedPrefix {
  readonly prefix: Cidr | string;
  /** Hosts with it are on this link. Default true. */
  readonly onLink?: boolean;
  /** Hosts may make addresses of it. Default true. */
  readonly autonomous?: boolean;
  /** Default: 30 days. */
  readonly validLifetime?: number;
  /** Default: 7 days, or the valid lifetime where that is less. */
  readonly preferredLifetime?: number;
}

/** A more specific route to advertise (RFC 4191); the lifetime is in seconds. */
export interface AdvertisedRoute {
  readonly prefix: Cidr | string;
  readonly preference?: RouterPreference;
  /** Default: the router's own. */
  readonly lifetime?: number;
}

/** Options of {@link RouterAdvertiser}: the variables of RFC 4861 6.2.1. */
export interface RouterAdvertiserOptions {
  /** MaxRtrAdvInterval, in milliseconds: 4,000 to 1,800,000. Default 600,000. */
  readonly maxInterval?: number;
  /** MinRtrAdvInterval, in milliseconds: 3,000 to 0.75 of `maxInterval`. Default: a third of it, at least 3,000. */
  readonly minInterval?: number;
  /** AdvDefaultLifetime in seconds; 0: we are no default router. Default: three times `maxInterval`. */
  readonly lifetime?: number;
  /** Hop limit that hosts are to use; 0: not said. Default 64. */
  readonly hopLimit?: number;
  /** Addresses are to be had by DHCPv6. Default false. */
  readonly managed?: boolean;
  /** Other configuration is to be had by DHCPv6. Default false. */
  readonly other?: boolean;
  /** Preference as a default router (RFC 4191 2.2). Default 0. */
  readonly preference?: RouterPreference;
  /** In milliseconds; 0: not said. Default 0. */
  readonly reachableTime?: number;
  /** In milliseconds; 0: not said. Default 0. */
  readonly retransmitTimer?: number;
  /** MTU of the link in bytes, 1280 or more. Default: not said. */
  readonly mtu?: number;
  readonly prefixes?: readonly AdvertisedPrefix[];
  readonly routes?: readonly AdvertisedRoute[];
  /** Recursive name servers (RFC 8106), 75 at most; known for three times `maxInterval`. */
  readonly dnsServers?: readonly (Ipv6Address | string)[];
  /** Search domains (RFC 8106), 1,208 bytes on the wire at most. */
  readonly searchDomains?: readonly string[];
}

/** What the advertiser needs of the link. */
export interface RouterAdvertiserPort {
  /**
   * Sends an advertisement from our link-local address, with our link-layer address; `to` is a host or all nodes. Several with the same fields
   * are sent where the options do not fit into one.
   */
  advertise(to: Ipv6Address, fields: Partial<RouterAdvertisementFields>, options: readonly NdpOption[]): void;
}

/** Advertises one router on one link. */
export class RouterAdvertiser {
  private readonly port: RouterAdvertiserPort;
  private readonly env: Env;
  private readonly fields: Partial<RouterAdvertisementFields>;
  /** The options of each advertisement. */
  private readonly parts: readonly (readonly NdpOption[])[];
  private readonly minInterval: number;
  private readonly maxInterval: number;
  private readonly timer: Timer;
  /** Answers to single hosts that wait for their moment. */
  private readonly answers = new Map<string, Timer>();
  private last = Number.NEGATIVE_INFINITY;
  private sent = 0;
  private running = false;

  /** @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS` */
  constructor(port: RouterAdvertiserPort, env: Env, options: RouterAdvertiserOptions = {}) {
    const { maxInterval = DEFAULT_MAX_INTERVAL } = options;
    const { minInterval = Math.max(maxInterval / 3, LEAST_MIN_INTERVAL) } = options;
    within('maxInterval', maxInterval, LEAST_MAX_INTERVAL, MOST_MAX_INTERVAL);
    within('minInterval', minInterval, LEAST_MIN_INTERVAL, Math.max(0.75 * maxInterval, LEAST_MIN_INTERVAL));
    const { lifetime = Math.min(Math.ceil((3 * maxInterval) / 1_000), MOST_LIFETIME) } = options;
    if (lifetime !== 0) within('lifetime', lifetime, Math.floor(maxInterval / 1_000), MOST_LIFETIME);
    this.port = port;
    this.env = env;
    this.minInterval = minInterval;
    this.maxInterval = maxInterval;
    this.fields = fieldsOf(options, lifetime);
    // What cannot be said is found out now, not when it is time to say it.
    this.parts = divide(optionsOf(options, lifetime, Math.ceil((3 * maxInterval) / 1_000)));
    this.timer = env.timers.timer(() => this.toAll());
  }

  /** Becomes an advertising router: the first advertisement goes out as soon as it may, the next ones soon (RFC 4861 6.2.4). */
  start(): void {
    if (this.running) return;
    this.running = true;
    this.sent = 0;
    this.timer.arm(Math.max(this.env.timers.now(), this.last + MIN_DELAY_BETWEEN_RAS));
  }

  /**
   * A sound solicitation came, from `source` or from :: (RFC 4861 6.2.6). It is answered within half a second: to all, or alone where
   * all were told within the last three seconds.
   */
  solicited(source: Ipv6Address): void {
    if (!this.running) return;
    const now = this.env.timers.now();
    const at = now + this.env.random.float() * MAX_RA_DELAY_TIME;
    if (this.timer.deadline <= at) return;
    const soonest = this.last + MIN_DELAY_BETWEEN_RAS;
    if (at >= soonest || source.isUnspecified || this.answers.size >= MAX_ANSWERS) {
      this.timer.arm(Math.min(this.timer.deadline, Math.max(at, soonest + (at - now))));
    } else {
      this.answer(source, at);
    }
  }

  /** Ceases to be a router: says so once, where it is a default router to somebody (RFC 4861 6.2.5). */
  stop(): void {
    if (!this.running) return;
    this.cancel();
    this.last = this.env.timers.now();
    this.advertise(ALL_NODES, { ...this.fields, lifetime: 0 });
  }

  /** Ends without a word. */
  dispose(): void {
    this.cancel();
  }

  private cancel(): void {
    this.running = false;
    this.timer.cancel();
    for (const timer of this.answers.values()) timer.cancel();
    this.answers.clear();
  }

  private toAll(): void {
    const now = this.env.timers.now();
    const interval = this.minInterval + this.env.random.float() * (this.maxInterval - this.minInterval);
    this.last = now;
    this.sent++;
    const initial = this.sent < MAX_INITIAL_RTR_ADVERTISEMENTS;
    this.timer.arm(now + (initial ? Math.min(interval, MAX_INITIAL_RTR_ADVERT_INTERVAL) : interval));
    this.advertise(ALL_NODES);
  }

  private answer(to: Ipv6Address, at: number): void {
    const key = to.toString();
    if (this.answers.has(key)) return;
    const timer = this.env.timers.timer(() => {
      this.answers.delete(key);
      this.advertise(to);
    });
    this.answers.set(key, timer);
    timer.arm(at);
  }

  private advertise(to: Ipv6Address, fields: Partial<RouterAdvertisementFields> = this.fields): void {
    for (const part of this.parts) this.port.advertise(to, fields, part);
  }
}

/** More options than fit into one advertisement go out in several (RFC 4861 6.2.3). */
function divide(options: readonly NdpOption[]): readonly (readonly NdpOption[])[] {
  let part: NdpOption[] = [];
  const parts = [part];
  let left = ROOM;
  for (const option of options) {
    const { length } = ndpOptionBytes([option]);
    if (length > ROOM) throw invalid(`an option of ${length} bytes does not fit an advertisement, which holds ${ROOM}`);
    if (length > left) {
      part = [];
      parts.push(part);
      left = ROOM;
    }
    part.push(option);
    left -= length;
  }
  return parts;
}

function fieldsOf(options: RouterAdvertiserOptions, lifetime: number): Partial<RouterAdvertisementFields> {
  const { hopLimit = 64, reachableTime = 0, retransmitTimer = 0 } = options;
  within('hopLimit', hopLimit, 0, 255);
  within('reachableTime', reachableTime, 0, 3_600_000);
  within('retransmitTimer', retransmitTimer, 0, 0xffff_ffff);
  return {
    hopLimit,
    managed: options.managed ?? false,
    other: options.other ?? false,
    // RFC 4191 2.2: who is no default router has no preference.
    preference: lifetime === 0 ? 0 : (options.preference ?? 0),
    lifetime,
    reachableTime,
    retransmitTimer,
  };
}

function optionsOf(options: RouterAdvertiserOptions, lifetime: number, nameLifetime: number): NdpOption[] {
  const { mtu, prefixes = [], routes = [], dnsServers = [], searchDomains = [] } = options;
  if (mtu !== undefined) within('mtu', mtu, 1_280, 0xffff_ffff);
  const servers = dnsServers.map((server) => (typeof server === 'string' ? Ipv6Address.parse(server) : server));
  return [
    ...(mtu === undefined ? [] : [{ kind: 'mtu', mtu } as const]),
    ...prefixes.map(prefixOption),
    ...routes.map((route) => routeOption(route, lifetime)),
    ...(servers.length === 0 ? [] : [{ kind: 'rdnss', lifetime: nameLifetime, servers } as const]),
    ...(searchDomains.length === 0 ? [] : [{ kind: 'dnssl', lifetime: nameLifetime, domains: searchDomains } as const]),
  ];
}

function prefixOption(given: AdvertisedPrefix): NdpOption {
  const { onLink = true, autonomous = true, validLifetime = VALID_LIFETIME } = given;
  const { preferredLifetime = Math.min(PREFERRED_LIFETIME, validLifetime) } = given;
  const { network, length } = network6(given.prefix);
  if (network.isLinkLocal) throw invalid(`${network.toString()}/${length} is not for routers to advertise`);
  if (preferredLifetime > validLifetime) throw invalid(`${network.toString()} is preferred for longer than valid`);
  return {
    kind: 'prefix',
    prefix: network,
    length,
    onLink,
    autonomous,
    routerAddress: false,
    validLifetime: seconds(validLifetime),
    preferredLifetime: seconds(preferredLifetime),
  };
}

function routeOption(given: AdvertisedRoute, routerLifetime: number): NdpOption {
  const { preference = 0, lifetime = routerLifetime } = given;
  const { network, length } = network6(given.prefix);
  return { kind: 'route', prefix: network, length, preference, lifetime: seconds(lifetime) };
}

function network6(prefix: Cidr | string): { readonly network: Ipv6Address; readonly length: number } {
  const cidr = Cidr.of(prefix);
  const { network, length } = cidr;
  if (network.version !== 6 || network.isMulticast) throw invalid(`${cidr.toString()} is not an IPv6 prefix`);
  return { network, length };
}

/** As it is on the wire. */
function seconds(lifetime: number): number {
  if (lifetime === Infinity) return INFINITE_LIFETIME;
  within('lifetime', lifetime, 0, INFINITE_LIFETIME);
  return Math.floor(lifetime);
}

function within(name: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw invalid(`${name} is ${value}, but goes from ${least} to ${most}`);
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', message);
}
