/** What a DHCPACK grants (RFC 2131 4.4.5), and how it is brought to an interface. */

import { Cidr, Ipv4Address } from '../core/address.js';
import type { Device } from '../core/device.js';
import type { Route } from '../l3/routes.js';
import type { IpTables } from '../l3/ip-tables.js';
import { DHCP_FOREVER, type DhcpMessage } from '../wire/dhcpv4.js';
import { nameLabels } from '../wire/dns-name.js';
import type { DhcpOptions, DhcpRoute } from '../wire/dhcpv4-options.js';
import type { DnsSettings } from './dns-sources.js';

/** A lease. Times are in milliseconds of the environment's clock; `Infinity` for never. */
export interface DhcpLease {
  readonly address: Cidr<4>;
  readonly server: Ipv4Address;
  readonly obtained: number;
  /** T1: ask the server to extend it. */
  readonly renewAt: number;
  /** T2: ask any server. */
  readonly rebindAt: number;
  readonly expiresAt: number;
  /** Where packets to other networks go, by option 121, or by option 3 where that is absent (RFC 3442). */
  readonly routes: readonly DhcpRoute[];
  readonly dnsServers: readonly Ipv4Address[];
  readonly search: readonly string[];
  readonly mtu: number | undefined;
  /** All options of the message. */
  readonly options: DhcpOptions;
}

const DEFAULT_ROUTE = new Cidr<4>(Ipv4Address.ANY, 0);
/** RFC 2132 5.1. */
const MINIMUM_MTU = 68;

/**
 * The lease that an acknowledgement grants, counted from when it was asked for; `undefined` where the message lacks what makes a lease.
 */
export function leaseOf(ack: DhcpMessage, asked: number, from: Ipv4Address): DhcpLease | undefined {
  const { options, yiaddr } = ack;
  const { leaseTime } = options;
  const length = prefixLength(options.subnetMask ?? classMask(yiaddr));
  if (leaseTime === undefined || leaseTime === 0 || !isHost(yiaddr) || length === undefined) return undefined;
  const at = (seconds: number) => (leaseTime === DHCP_FOREVER ? Infinity : asked + seconds * 1000);
  // Times that are out of order are replaced by the usual ones (RFC 2131 4.4.5).
  const given = options.rebindingTime;
  const rebind = given !== undefined && given > 0 && given <= leaseTime ? given : leaseTime * 0.875;
  const wanted = options.renewalTime;
  const renew = wanted !== undefined && wanted > 0 && wanted <= rebind ? wanted : Math.min(leaseTime * 0.5, rebind);
  const routers = options.routers ?? [];
  const gateways = routers.slice(0, 1).map((gateway) => ({ destination: DEFAULT_ROUTE, gateway }));
  return {
    address: new Cidr<4>(yiaddr, length),
    server: options.serverId ?? from,
    obtained: asked,
    renewAt: at(renew),
    rebindAt: at(rebind),
    expiresAt: at(leaseTime),
    routes: options.classlessRoutes ?? gateways,
    dnsServers: options.dnsServers ?? [],
    // Several domains in the option for one are common, too.
    search: (options.domainSearch ?? options.domainName?.trim().split(/\s+/) ?? []).filter(isDomain),
    mtu: options.mtu !== undefined && options.mtu >= MINIMUM_MTU ? options.mtu : undefined,
    options,
  };
}

/** Whether an address can be a host's. */
export function isHost(address: Ipv4Address): boolean {
  return !address.isUnspecified && !address.isLoopback && address.value >>> 24 < 224 && address.value >>> 24 !== 0;
}

/** Whether names can end in this: one that cannot would spoil all that are looked up. */
function isDomain(name: string): boolean {
  try {
    return nameLabels(name).length > 0;
  } catch {
    return false;
  }
}

function prefixLength(mask: Ipv4Address): number | undefined {
  const host = ~mask.value >>> 0;
  return (host & (host + 1)) === 0 ? 32 - Math.round(Math.log2(host + 1)) : undefined;
}

/** What servers mean that send no mask. */
function classMask(address: Ipv4Address): Ipv4Address {
  const top = address.value >>> 24;
  return new Ipv4Address(top < 128 ? 0xff00_0000 : top < 192 ? 0xffff_0000 : 0xffff_ff00);
}

/** An interface that can be configured. What it is told it must bear; nothing is said twice. */
export interface InterfaceConfiguration {
  addAddress(address: Cidr<4>): void;
  removeAddress(address: Ipv4Address): void;
  addRoute(route: DhcpRoute): void;
  removeRoute(route: DhcpRoute): void;
  /** Largest packet on the link, or `undefined` where the server does not say. */
  setMtu?(mtu: number | undefined): void;
  setDns?(servers: readonly Ipv4Address[], search: readonly string[]): void;
}

/** Configures a device of a host, and a resolver where there is one. */
export function configurationOf(
  tables: IpTables,
  device: Device,
  resolver?: DnsSettings<Ipv4Address>,
): InterfaceConfiguration {
  const gatewayOf = ({ gateway }: DhcpRoute) => (gateway.isUnspecified ? undefined : gateway);
  const sameRoute = (route: Route<4>, given: DhcpRoute): boolean => {
    const gateway = gatewayOf(given);
    const same = gateway === undefined ? route.gateway === undefined : route.gateway?.equals(gateway) === true;
    const isPlain = route.device === device && (route.metric ?? 0) === 0;
    return same && isPlain && route.destination.equals(given.destination);
  };
  const textOf = ({ destination, gateway }: DhcpRoute) => `${destination.toString()} ${gateway.toString()}`;
  // What was there before, by the user, is not DHCP's to take away.
  const added = new Set<string>();
  return {
    addAddress(address) {
      const has = tables.addresses
        .list()
        .some((one) => one.device === device && one.cidr.address.equals(address.address));
      if (has) return;
      tables.addAddress(device, address);
      added.add(address.address.toString());
    },
    removeAddress(address) {
      if (added.delete(address.toString())) tables.removeAddress(device, address);
    },
    addRoute(route) {
      const gateway = gatewayOf(route);
      const { destination } = route;
      if (tables.routes.at(destination).some((one) => sameRoute(one, route))) return;
      tables.addRoute({
        destination,
        device,
        ...(gateway === undefined ? {} : { gateway }),
      });
      added.add(textOf(route));
    },
    removeRoute(given) {
      if (added.delete(textOf(given))) tables.routes.remove((route) => sameRoute(route, given));
    },
    setMtu: (mtu) => tables.limitMtu(device, mtu ?? device.mtu),
    setDns: (servers, search) => resolver?.setServers(servers, search),
  };
}

/** Brings a lease to an interface in place of another: what is the same stays, so that connections do. */
export function reconfigure(
  to: InterfaceConfiguration,
  before: DhcpLease | undefined,
  now: DhcpLease | undefined,
): void {
  const stays = before !== undefined && now !== undefined && before.address.equals(now.address);
  for (const route of before?.routes ?? []) to.removeRoute(route);
  if (before !== undefined && !stays) to.removeAddress(before.address.address);
  if (now !== undefined && !stays) to.addAddress(now.address);
  to.setMtu?.(now?.mtu);
  for (const route of now?.routes ?? []) to.addRoute(route);
  to.setDns?.(now?.dnsServers ?? [], now?.search ?? []);
}
