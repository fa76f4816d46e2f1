/**
 * A host: an operator from received frames to frames to send. It is nothing but a composition of public operators; read
 * `pipeline()` below and take it apart, re-order it or replace its parts as you need.
 */

import {
  defer,
  EMPTY,
  finalize,
  ignoreElements,
  NEVER,
  type Observable,
  type OperatorFunction,
  Subject,
  takeUntil,
  tap,
} from 'rxjs';
import { Cidr, type IpAddress, ipOf } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import type { Frame, RxFrame, TxFrame, TxPacket } from '../../lib/core/frame.js';
import type { AddressConflict, ArpClaims } from '../../lib/l2/arp-claims.js';
import { EthernetLink } from '../../lib/l2/ethernet-link.js';
import { type IpLink, PointToPointLink } from '../../lib/l2/link.js';
import type { NeighbourCache } from '../../lib/l2/neighbour.js';
import type { NeighbourTimes } from '../../lib/l2/neighbour-entry.js';
import type { IcmpOptions } from '../../lib/l3/icmp.js';
import type { IcmpErrorKind } from '../../lib/l3/icmp-report.js';
import { orderDestinations } from '../../lib/l3/destination-order.js';
import { confirmNextHop, doubtNextHop } from '../../lib/l3/egress.js';
import type { Icmpv6Options } from '../../lib/l3/icmpv6.js';
import { IcmpErrors, type IcmpErrorsOptions } from '../../lib/l3/icmp-errors.js';
import { IcmpReports } from '../../lib/l3/icmp-reports.js';
import { DEFAULT_HOP_LIMIT } from '../../lib/l3/ip-output.js';
import { IpTables, type RouteOptions } from '../../lib/l3/ip-tables.js';
import { Multicast, type MulticastOptions } from '../../lib/l3/multicast.js';
import type { TcpOptions } from '../../lib/l4/tcp/options.js';
import { TcpHost } from '../../lib/l4/tcp/tcp-host.js';
import { UdpHost } from '../../lib/l4/udp.js';
import { PingHost } from '../../lib/l4/ping.js';
import { DnsSources } from '../../lib/l7/dns-sources.js';
import { DnsResolver, type DnsResolverOptions } from '../../lib/l7/dns-resolver.js';
import { type EthernetFrame, EtherType, type LinkPacket } from '../../lib/wire/ethernet.js';
import { type IpPacket, IpProtocol } from '../../lib/wire/ip.js';
import type { Ipv4Packet } from '../../lib/wire/ipv4.js';
import type { Ipv6Packet } from '../../lib/wire/ipv6.js';
import type { ExtensionProblem } from '../../lib/wire/ipv6-extensions.js';
import { demux } from '../flow/demux.js';
import { funnel } from '../flow/funnel.js';
import { where } from '../flow/where.js';
import { arp } from '../l2/arp.js';
import { ethernet } from '../l2/ethernet.js';
import { rawIp } from '../l2/raw-ip.js';
import { icmp } from '../l3/icmp.js';
import { icmpv6 } from '../l3/icmpv6.js';
import { igmp } from '../l3/igmp.js';
import { ipv4 } from '../l3/ipv4.js';
import { ipv6 } from '../l3/ipv6.js';
import { reassemble, type ReassembleOptions } from '../l3/reassemble.js';
import { routeAndResolve } from '../l3/route-and-resolve.js';
import { protocolUnreachable } from '../l3/unreachable.js';
import { echoRequests } from '../l4/echo-requests.js';
import { tcp } from '../l4/tcp.js';
import { udp } from '../l4/udp.js';
import { defaultEnvironment } from '../time/environment.js';
import { Autoconf, type AutoconfInterface, type AutoconfOptions } from './autoconf.js';
import { Loopback } from './loopback.js';

/** A device of a host, and its addresses; how it gets more is, where it is not said here, as the host's options say. */
export interface HostInterface extends AutoconfInterface {
  /**
   * With prefix lengths, e.g. `10.77.0.2/24`, `fd00::2/64`: the network's route comes with the address. A device with an IPv6 address
   * also gets a link-local one, unless that is among them.
   */
  readonly addresses?: readonly (Cidr | string)[];
}

/** Options of {@link host}: either one `device` with `addresses`, or `interfaces`. */
export interface HostOptions extends AutoconfOptions {
  readonly device?: Device;
  readonly addresses?: readonly (Cidr | string)[];
  readonly interfaces?: readonly HostInterface[];
  /** The default gateway, on the network of an interface; of either version, or one of each. */
  readonly gateway?: IpAddress | string | readonly (IpAddress | string)[];
  readonly routes?: readonly RouteOptions[];
  /** Hop limit, 1 to 255, of what applications send, where neither they nor an IPv6 router asks for another. Default 64. */
  readonly hopLimit?: number;
  /** Announce our addresses when the pipeline starts (RFC 5227 2.3, RFC 4861 7.2.6). Default false. */
  readonly announce?: boolean;
  readonly neighbours?: Partial<NeighbourTimes>;
  /** Limits of reassembly, for each version. */
  readonly reassembly?: Omit<ReassembleOptions, 'expired' | 'problem'>;
  readonly icmp?: Omit<IcmpOptions, 'tables' | 'reports'>;
  readonly icmpv6?: Omit<Icmpv6Options, 'tables' | 'reports' | 'neighbourDiscovery' | 'listenerDiscovery'>;
  /** How to tell routers of the groups that this host is a member of. */
  readonly multicast?: Omit<MulticastOptions, 'tables' | 'links'>;
  readonly icmpErrors?: Omit<IcmpErrorsOptions, 'tables'>;
  readonly tcp?: TcpOptions;
  /** Name servers, domains to search, and more, for {@link Host.dns}. */
  readonly dns?: DnsResolverOptions;
}

/** Another host uses, or wants to use, an address of ours on this device. */
export interface HostConflict extends AddressConflict {
  readonly device: Device;
}

/** A running host. Pipe frames through it: `device.frames$.pipe(me).subscribe(device.sink)`. */
export interface Host extends OperatorFunction<RxFrame, TxFrame> {
  readonly env: Env;
  /** Addresses and routes; they may change at run time. */
  readonly tables: IpTables;
  /** How addresses come and go, and what routers say. */
  readonly autoconf: Autoconf;
  /** The groups that this host is a member of. */
  readonly multicast: Multicast;
  readonly tcp: TcpHost;
  readonly udp: UdpHost;
  /** Ping sockets; see `ping` and `traceRoute` of the operators. */
  readonly ping: PingHost;
  /** Resolves names: `nodeNet(me.tcp, { lookup: lookup(me.dns) })`. Its servers may change at run time. */
  readonly dns: DnsResolver;
  /** Who tells `dns` of servers besides the user: routers do by themselves, DHCP by `dhcpv4(me, { resolver: me.nameServers.from('dhcpv4') })`. */
  readonly nameServers: DnsSources;
  /** Makes ICMP errors; their rate limit is the host's. */
  readonly icmpErrors: IcmpErrors;
  readonly reports: IcmpReports;
  /** The neighbour cache of an Ethernet device of this host, for both versions. */
  neighbours(device: Device): NeighbourCache | undefined;
  /** Finds out whether IPv4 addresses are free on an Ethernet device of this host (RFC 5227). */
  claims(device: Device): ArpClaims | undefined;
  /** Conflicts about our addresses (RFC 5227 2.4). */
  readonly conflicts$: Observable<HostConflict>;
  /** Counters, for people. */
  stats(): HostStats;
}

/** Counters of a host. */
export interface HostStats {
  readonly delivered: number;
  /** Drops by reason. */
  readonly drops: Readonly<Record<string, number>>;
  readonly tcp: Readonly<Record<string, number>>;
  /** TCP connections by state. */
  readonly connections: Readonly<Record<string, number>>;
  readonly udpSockets: number;
  /** Frames that are held somewhere in the stack. */
  readonly frames: number;
}

/**
 * Makes a host: ARP, neighbour discovery, IPv4, IPv6, ICMP, UDP and TCP over one or more devices.
 *
 *     in   --a--e--s-----|     a: who has our address? e: echo request, s: SYN to a listener
 *     out  --A--E--S-----|     A: it is at our MAC, E: echo reply, S: SYN-ACK
 *
 * Give the frames of all its devices in (`merge` them; each knows its device), and send what comes out by `frame.device` (with
 * one device that is its sink). The host lives as long as the subscription, of which there is one: when it ends, connections end
 * with `ENETDOWN`, and no timer and no frame is left. Listeners and sockets may be made before.
 *
 * **Drops** those of its operators. **State and timers** those of its operators.
 *
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`; when subscribed twice, `ERR_INVALID_STATE`
 * @example
 * const me = host({ device: tap, addresses: ['10.77.0.2/24', 'fd77::2/64'], gateway: '10.77.0.1' });
 * tap.frames$.pipe(me).subscribe(tap.sink);
 * nodeNet(me.tcp).createServer((socket) => socket.pipe(socket)).listen(7);
 */
export function host(options: HostOptions, env: Env = defaultEnvironment()): Host {
  const interfaces = interfacesOf(options);
  const tables = new IpTables(env);
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
  const parts: Parts = { ...known, ...transportsOf(known) };
  const { tcpHost, udpHost, pingHost, dns } = parts;
  let started = false;
  const operator: OperatorFunction<RxFrame, TxFrame> = (frames$) =>
    defer(() => {
      if (started) throw new UsageError('ERR_INVALID_STATE', 'a host is subscribed once: make another one');
      started = true;
      return pipeline(frames$, parts);
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
function transportsOf(parts: Omit<Parts, 'tcpHost' | 'udpHost' | 'pingHost' | 'dns'>) {
  const { options, tables, reports, links, multicast, env } = parts;
  const tcpHost = new TcpHost(tables, options.tcp ?? {}, env);
  const udpHost = new UdpHost(tables, env);
  const pingHost = new PingHost(tables, env);
  udpHost.multicast = multicast;
  tcpHost.share = udpHost.share = pingHost.share = links.find(({ device }) => device.share !== undefined)?.device.share;
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

interface Parts {
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

/** The composition that a host is. */
function pipeline(frames$: Observable<RxFrame>, parts: Parts): Observable<TxFrame> {
  const { options, env, tables, reports, icmpErrors, links, multicast, tcpHost, udpHost, pingHost } = parts;
  const ended = new Subject<void>();
  const loopback = new Loopback(env);
  const complaints = complaintsOf(parts);
  udpHost.loopback = (packet) => loopback.send(packet);

  const number = deviceNumber(links);
  const devices$ = demux(frames$, number, {}, env);
  const strangers$ = devices$.rest$.pipe(where<RxFrame>(() => false, DropReason.DeviceUnknown, env));
  const looped = { frames$: loopback.packets$.pipe(takeUntil(ended)), loopback: true };
  const inputs = [
    ...links.map((link, index) => linkInput({ frames$: devices$.on(index), link }, tables, complaints, env)),
    linkInput(looped, tables, complaints, env),
  ];
  const { expired, problem } = complaints;
  const reassembly = { ...options.reassembly, expired, problem };
  const whole4$ = funnel(...inputs.map(({ ipv4$ }) => ipv4$)).pipe(reassemble(reassembly, env));
  const whole6$ = funnel(...inputs.map(({ ipv6$ }) => ipv6$)).pipe(reassemble(reassembly, env));
  const net4$ = demux(whole4$, (packet) => packet.protocol, {}, env);
  const net6$ = demux(whole6$, (packet) => packet.protocol, {}, env);
  const { icmpOptions, icmpv6Options } = icmpOptionsOf(parts, number);
  return funnel<TxFrame | TxPacket>(
    // They end when the source does, as each of its branches.
    strangers$.pipe(ignoreElements(), tap({ complete: () => ended.next() })),
    ...inputs.map(({ replies$ }) => replies$),
    net4$.on(IpProtocol.Icmp).pipe(icmp(icmpOptions, env)),
    net6$.on(IpProtocol.Icmpv6).pipe(icmpv6(icmpv6Options, env)),
    net4$.on(IpProtocol.Igmp).pipe(igmp(multicast)),
    funnel<IpPacket>(net4$.on(IpProtocol.Udp), net6$.on(IpProtocol.Udp)).pipe(udp(udpHost)),
    funnel<IpPacket>(net4$.on(IpProtocol.Tcp), net6$.on(IpProtocol.Tcp)).pipe(tcp(tcpHost)),
    NEVER.pipe(takeUntil(ended), echoRequests(pingHost)),
    funnel<IpPacket>(net4$.rest$, net6$.rest$).pipe(protocolUnreachable(icmpErrors, env)),
    complaints.errors$.pipe(takeUntil(ended)),
    // Last, when there is a way out.
    defer(() => start(parts)),
  ).pipe(
    routeAndResolve({ tables, links, reports, loopback: (packet) => loopback.send(packet) }, env),
    finalize(() => [...lives(parts), loopback].forEach((part) => part.dispose())),
  );
}

/** What operators tell of packets that ICMP errors are to be sent about, and those errors. */
interface Complaints {
  readonly errors$: Observable<TxPacket>;
  readonly problem: (packet: Ipv6Packet, wrong: ExtensionProblem) => void;
  readonly routed: (packet: Ipv4Packet) => void;
  readonly expired: (first: IpPacket) => void;
}

function complaintsOf({ icmpErrors, udpHost }: Parts): Complaints {
  const errors = new Subject<TxPacket>();
  const send = (error: TxPacket | undefined): void => {
    if (error !== undefined) errors.next(error);
  };
  const complain = (kind: IcmpErrorKind) => (packet: IpPacket) => send(icmpErrors.about(packet, kind));
  udpHost.unreachable = complain('port-unreachable');
  return {
    errors$: errors.asObservable(),
    problem: (packet, wrong) => send(icmpErrors.problem(packet, wrong)),
    routed: complain('source-route-failed'),
    expired: complain('reassembly-timeout'),
  };
}

/** Whom ICMP of each version hands its messages to. */
function icmpOptionsOf(
  { options, env, tables, reports, links, multicast, pingHost }: Parts,
  number: (frame: Frame) => number,
): { readonly icmpOptions: IcmpOptions; readonly icmpv6Options: Icmpv6Options } {
  const neighbourDiscovery = (packet: Ipv6Packet): void => {
    const link = links[number(packet.frame)];
    if (link instanceof EthernetLink) link.ndp.receive(packet);
    else env.drops.report(DropReason.NdpNotForUs, packet.frame, 'ndp');
  };
  const listenerDiscovery = (packet: Ipv6Packet): void => multicast.receiveMld(packet);
  const echoReplies: Icmpv6Options['echoReplies'] & IcmpOptions['echoReplies'] = (message, packet) =>
    pingHost.received(message, packet);
  return {
    icmpOptions: { echoReplies, ...options.icmp, tables, reports },
    icmpv6Options: { echoReplies, ...options.icmpv6, tables, reports, neighbourDiscovery, listenerDiscovery },
  };
}

/** Once there is a way out: addresses are verified, routers looked for, and ours announced. */
function start(parts: Parts): Observable<never> {
  parts.autoconf.start();
  announce(parts);
  return EMPTY;
}

/** What lives as long as the pipeline, in the order of its end. */
function lives({ autoconf, dns, pingHost, tcpHost, udpHost }: Parts): readonly { dispose(): void }[] {
  return [autoconf, { dispose: () => dns.cancel() }, pingHost, tcpHost, udpHost];
}

/** Where frames come from: a link, or ourselves. */
interface Source {
  readonly frames$: Observable<RxFrame>;
  readonly link?: IpLink;
  readonly loopback?: boolean;
}

/** What comes in by one link: packets, and frames that answer at once. */
interface Input {
  readonly ipv4$: Observable<Ipv4Packet>;
  readonly ipv6$: Observable<Ipv6Packet>;
  readonly replies$: Observable<TxFrame>;
}

function linkInput(
  { frames$, link, loopback = false }: Source,
  tables: IpTables,
  { problem, routed }: Complaints,
  env: Env,
): Input {
  const isEthernet = link instanceof EthernetLink;
  const packets$: Observable<LinkPacket> = isEthernet
    ? frames$.pipe(ethernet({ mac: link.device.mac, multicast: tables.groupMacs }, env))
    : frames$.pipe(rawIp(env));
  const link$ = demux(packets$, ({ etherType }) => etherType, { reason: DropReason.EthernetUnknownType }, env);
  const ipv4$ = link$.on(EtherType.Ipv4).pipe(ipv4({ addresses: tables.addresses, loopback, routed }, env));
  const ipv6$ = link$.on(EtherType.Ipv6).pipe(ipv6({ addresses: tables.addresses6, loopback, problem }, env));
  if (!isEthernet) return { ipv4$, ipv6$, replies$: EMPTY };
  // Only Ethernet has ARP.
  const arp$ = link$.on(EtherType.Arp) as Observable<EthernetFrame>;
  return { ipv4$, ipv6$, replies$: arp$.pipe(arp(link)) };
}

function linkOf(device: Device, tables: IpTables, options: HostOptions, env: Env): IpLink {
  if (device.medium === 'ip') return new PointToPointLink(device, env);
  const times = options.neighbours;
  const addresses = tables.arpAddresses(device);
  const addresses6 = tables.ndpAddresses(device);
  return new EthernetLink({ device, addresses, addresses6, ...(times === undefined ? {} : { times }) }, env);
}

/** The index of the link that a frame came by; with a single link frames need not know their device. */
function deviceNumber(links: readonly IpLink[]): (frame: Frame) => number {
  if (links.length === 1) return () => 0;
  const numbers = new Map(links.map((link, number) => [link.device, number]));
  return (frame) => (frame.device === undefined ? -1 : (numbers.get(frame.device) ?? -1));
}

/** What the user said comes first; then what routers advertise (RFC 8106). */
function nameServersOf(dns: DnsResolver, autoconf: Autoconf): DnsSources {
  const sources = new DnsSources(dns, { servers: dns.getServers(), search: dns.getSearch() });
  autoconf.events$.subscribe(({ kind }) => {
    if (kind === 'dns') sources.set('routers', autoconf.dnsServers, autoconf.searchDomains);
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

function announce({ options, links, tables }: Parts): void {
  if (options.announce !== true) return;
  for (const link of links) {
    if (!(link instanceof EthernetLink)) continue;
    for (const { device, cidr } of tables.addresses.list()) {
      if (device === link.device) link.arp.claims.announce(cidr.address.value);
    }
    for (const { device, cidr, tentative } of tables.addresses6.list()) {
      if (device === link.device && !tentative) link.ndp.advertise(cidr.address);
    }
  }
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
  // Addresses that are still to be verified are not in the tables yet.
  const contains = (address: Cidr | string) => Cidr.of(address).contains(ipOf(gateway));
  const given =
    interfaces.length === 1 ? interfaces[0] : interfaces.find(({ addresses = [] }) => addresses.some(contains));
  const device = tables.deviceTo(gateway) ?? given?.device;
  if (device === undefined) {
    throw new UsageError('ERR_INVALID_OPTION', `no interface leads to the gateway ${gateway.toString()}`);
  }
  tables.addRoute({ destination: 'default', gateway, device });
}

function statsOf({ env, tcpHost, udpHost }: Parts): HostStats {
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
