/** The parts that a host consists of, made of its options; what connects them is its pipeline. */

import { defer, type Observable, type OperatorFunction, Subject } from 'rxjs';
import { Cidr, type IpAddress, ipOf } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import type { RxFrame, TxFrame } from '../../lib/core/frame.js';
import { EthernetLink } from '../../lib/l2/ethernet-link.js';
import { type IpLink, PointToPointLink } from '../../lib/l2/link.js';
import { orderDestinations } from '../../lib/l3/destination-order.js';
import { confirmNextHop, doubtNextHop } from '../../lib/l3/egress.js';
import { IcmpErrors } from '../../lib/l3/icmp-errors.js';
import { IcmpReports } from '../../lib/l3/icmp-reports.js';
import { DEFAULT_HOP_LIMIT } from '../../lib/l3/ip-output.js';
import { IpTables } from '../../lib/l3/ip-tables.js';
import { Multicast } from '../../lib/l3/multicast.js';
import { PingHost } from '../../lib/l4/ping.js';
import { TcpHost } from '../../lib/l4/tcp/tcp-host.js';
import { UdpHost } from '../../lib/l4/udp.js';
import { DnsResolver, type DnsResolverOptions } from '../../lib/l7/dns-resolver.js';
import { DnsSources } from '../../lib/l7/dns-sources.js';
import { IpProtocol } from '../../lib/wire/ip.js';
import { Autoconf } from './autoconf.js';
import type { Host, HostConflict, HostInterface, HostOptions, HostStats } from './host-api.js';

/** What a host consists of. */
export interface HostParts {
  readonly options: HostOptions;
  readonly env: Env;
  readonly tables: IpTables;
  readonly reports: IcmpReports;
  readonly icmpErrors: IcmpErrors;
  readonly links: readonly IpLink[];
  readonly multicast: Multicast;
  readonly autoconf: Autoconf;
  readonly tcpHost: TcpHost;
  readonly udpHost: UdpHost;
  readonly pingHost: PingHost;
  readonly dns: DnsResolver;
}

/**
 * Makes the parts.
 *
 * @param tables empty ones; those of a router have more routes
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 */
export function hostParts(options: HostOptions, env: Env, tables: IpTables = new IpTables(env)): HostParts {
  const interfaces = interfacesOf(options);
  tables.hopLimit = hopLimitOf(options);
  const reports = new IcmpReports();
  const icmpErrors = new IcmpErrors({ ...options.icmpErrors, tables }, env);
  const links = interfaces.map(({ device }) => linkOf(device, tables, options, env));
  const multicast = new Multicast({ ...options.multicast, tables, links }, env);
  const autoconf = new Autoconf(
    { interfaces, links, tables, multicast, defaults: options, announce: options.announce },
    env,
  );
  for (const route of options.routes ?? []) tables.addRoute(route);
  for (const gateway of [options.gateway ?? []].flat()) addGateway(tables, gateway, interfaces);
  const known = { options, env, tables, reports, icmpErrors, links, multicast, autoconf };
  return { ...known, ...transportsOf(known) };
}

/** Makes a host of its parts and of what connects them, which is subscribed once. */
export function hostOf(parts: HostParts, pipeline: OperatorFunction<RxFrame, TxFrame>): Host {
  const { env, tables, multicast, autoconf, tcpHost, udpHost, pingHost, dns, icmpErrors, reports, links } = parts;
  let started = false;
  const operator: OperatorFunction<RxFrame, TxFrame> = (frames$) =>
    defer(() => {
      if (started) throw new UsageError('ERR_INVALID_STATE', 'a host is subscribed once: make another one');
      started = true;
      return pipeline(frames$);
    });
  return Object.assign(operator, {
    env,
    tables,
    multicast,
    autoconf,
    tcp: tcpHost,
    udp: udpHost,
    ping: pingHost,
    dns,
    nameServers: nameServersOf(dns, autoconf),
    icmpErrors,
    reports,
    neighbours: (device: Device) => ethernetOf(links, device)?.neighbours,
    claims: (device: Device) => ethernetOf(links, device)?.arp.claims,
    conflicts$: conflictsOf(links),
    stats: () => statsOf(parts),
  });
}

/** The transports, which hear of ICMP errors about what they sent. */
function transportsOf(parts: Omit<HostParts, 'tcpHost' | 'udpHost' | 'pingHost' | 'dns'>) {
  const { options, tables, reports, links, multicast, env } = parts;
  const tcpHost = new TcpHost(tables, options.tcp ?? {}, env);
  const udpHost = new UdpHost(tables, env);
  const pingHost = new PingHost(tables, env);
  udpHost.multicast = multicast;
  tcpHost.ports.share =
    udpHost.share =
    pingHost.share =
      links.find(({ device }) => device.share !== undefined)?.device.share;
  tcpHost.confirm = (remote) => confirmNextHop({ tables, links }, remote);
  tcpHost.doubt = (remote) => doubtNextHop({ tables, links }, remote);
  reports.on(IpProtocol.Tcp, (report) => tcpHost.icmp(report));
  reports.on(IpProtocol.Udp, (report) => udpHost.icmp(report));
  reports.on(IpProtocol.Icmp, (report) => pingHost.icmp(report));
  reports.on(IpProtocol.Icmpv6, (report) => pingHost.icmp(report));
  const dns = new DnsResolver({ udp: udpHost, tcp: tcpHost }, dnsOptions(options, tables), env);
  return { tcpHost, udpHost, pingHost, dns };
}

function conflictsOf(links: readonly IpLink[]): Observable<HostConflict> {
  const conflicts = new Subject<HostConflict>();
  for (const link of links) {
    if (!(link instanceof EthernetLink)) continue;
    link.arp.claims.observe((conflict) => conflicts.next({ ...conflict, device: link.device }));
  }
  return conflicts.asObservable();
}

function ethernetOf(links: readonly IpLink[], device: Device): EthernetLink | undefined {
  const link = links.find((one) => one.device === device);
  return link instanceof EthernetLink ? link : undefined;
}

function linkOf(device: Device, tables: IpTables, options: HostOptions, env: Env): IpLink {
  if (device.medium === 'ip') return new PointToPointLink(device, env);
  if (device.medium !== 'ethernet') {
    throw new UsageError('ERR_INVALID_OPTION', `'${device.name}' brings no IP packets: its medium is ${device.medium}`);
  }
  const times = options.neighbours;
  const addresses = tables.arpAddresses(device);
  const addresses6 = tables.ndpAddresses(device);
  return new EthernetLink({ device, addresses, addresses6, ...(times === undefined ? {} : { times }) }, env);
}

/** What the user said comes first; then what routers advertise (RFC 8106). */
function nameServersOf(dns: DnsResolver, autoconf: Autoconf): DnsSources {
  const sources = new DnsSources(dns, { servers: dns.getServers(), search: dns.getSearch() });
  autoconf.events$.subscribe(({ kind }) => {
    if (kind !== 'dns' && kind !== 'disabled') return;
    sources.set('routers', autoconf.dnsServers, autoconf.searchDomains);
  });
  return sources;
}

/** The addresses of a name come in the order in which to try them from where we are (RFC 6724 6), unless the user says otherwise. */
function dnsOptions({ dns = {} }: HostOptions, tables: IpTables): DnsResolverOptions {
  if (dns.prefer !== undefined) return dns;
  const isDeprecated = (source: IpAddress) =>
    tables.addresses6.list().some(({ cidr, deprecated }) => deprecated && cidr.address.equals(source));
  return {
    order: (addresses) => orderDestinations(addresses, tables, isDeprecated, tables.addresses6.policies),
    ...dns,
  };
}

function interfacesOf(options: HostOptions): readonly HostInterface[] {
  const { device, addresses, interfaces } = options;
  if ((device === undefined) === (interfaces === undefined)) {
    throw new UsageError('ERR_INVALID_OPTION', 'a host needs either a device or interfaces');
  }
  if (interfaces === undefined) return device === undefined ? [] : [{ device, addresses: addresses ?? [] }];
  if (addresses !== undefined) throw new UsageError('ERR_INVALID_OPTION', 'addresses belong to the interfaces');
  return interfaces;
}

function hopLimitOf({ hopLimit = DEFAULT_HOP_LIMIT }: HostOptions): number {
  if (Number.isInteger(hopLimit) && hopLimit >= 1 && hopLimit <= 255) return hopLimit;
  throw new UsageError('ERR_INVALID_OPTION', `a hop limit is a whole number from 1 to 255, not ${hopLimit}`);
}

function addGateway(tables: IpTables, gateway: IpAddress | string, interfaces: readonly HostInterface[]): void {
  const device = deviceTo(tables, ipOf(gateway), interfaces);
  if (device === undefined) {
    throw new UsageError('ERR_INVALID_OPTION', `no interface leads to the gateway ${gateway.toString()}`);
  }
  tables.addRoute({ destination: 'default', gateway, device });
}

/** The device that leads to an address; those of ours that are still to be verified are not in the tables yet. */
function deviceTo(tables: IpTables, address: IpAddress, interfaces: readonly HostInterface[]): Device | undefined {
  if (address.version === 6 && address.zone !== '')
    return interfaces.find(({ device }) => device.name === address.zone)?.device;
  const known = tables.deviceTo(address);
  if (known !== undefined) return known;
  const contains = (own: Cidr | string) => Cidr.of(own).contains(address);
  const given =
    interfaces.length === 1 ? interfaces[0] : interfaces.find(({ addresses = [] }) => addresses.some(contains));
  return given?.device;
}

function statsOf({ env, tcpHost, udpHost }: HostParts): HostStats {
  const connections: Record<string, number> = {};
  for (const { state } of tcpHost.connections()) connections[state] = (connections[state] ?? 0) + 1;
  return {
    delivered: env.drops.delivered,
    drops: env.drops.toJSON(),
    tcp: Object.fromEntries(Object.entries(tcpHost.counters)),
    connections,
    udpSockets: udpHost.size,
    frames: env.pool.outstanding,
  };
}
