/**
 * A host: an operator from received frames to frames to send. It is nothing but a composition of public operators; read
 * `pipeline()` below and take it apart, re-order it or replace its parts as you need.
 */

import { defer, EMPTY, merge, type Observable, type OperatorFunction, Subject, takeUntil, tap } from 'rxjs';
import type { Cidr, IpAddress } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import type { RxFrame, TxFrame, TxPacket } from '../../lib/core/frame.js';
import type { AddressConflict } from '../../lib/l2/arp-claims.js';
import { EthernetLink } from '../../lib/l2/ethernet-link.js';
import { type IpLink, PointToPointLink } from '../../lib/l2/link.js';
import type { NeighbourCache } from '../../lib/l2/neighbour.js';
import type { NeighbourTimes } from '../../lib/l2/neighbour-entry.js';
import type { IcmpOptions } from '../../lib/l3/icmp.js';
import type { IcmpErrorKind } from '../../lib/l3/icmp-report.js';
import { confirmNextHop } from '../../lib/l3/egress.js';
import { IcmpErrors, type IcmpErrorsOptions } from '../../lib/l3/icmp-errors.js';
import { IcmpReports } from '../../lib/l3/icmp-reports.js';
import { IpTables, type RouteOptions } from '../../lib/l3/ip-tables.js';
import type { TcpOptions } from '../../lib/l4/tcp/options.js';
import { TcpHost } from '../../lib/l4/tcp/tcp-host.js';
import { UdpHost } from '../../lib/l4/udp.js';
import { EtherType } from '../../lib/wire/ethernet.js';
import { type IpPacket, IpProtocol } from '../../lib/wire/ip.js';
import type { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { demux } from '../flow/demux.js';
import { arp } from '../l2/arp.js';
import { ethernet } from '../l2/ethernet.js';
import { rawIp } from '../l2/raw-ip.js';
import { icmp } from '../l3/icmp.js';
import { ipv4 } from '../l3/ipv4.js';
import { reassemble, type ReassembleOptions } from '../l3/reassemble.js';
import { routeAndResolve } from '../l3/route-and-resolve.js';
import { protocolUnreachable } from '../l3/unreachable.js';
import { tcp } from '../l4/tcp.js';
import { udp } from '../l4/udp.js';
import { defaultEnvironment } from '../time/environment.js';
import { Loopback } from './loopback.js';

/** A device of a host, and its addresses. */
export interface HostInterface {
  readonly device: Device;
  /** With prefix lengths, e.g. `10.77.0.2/24`: the network's route comes with the address. */
  readonly addresses?: readonly (Cidr | string)[];
}

/** Options of {@link host}: either one `device` with `addresses`, or `interfaces`. */
export interface HostOptions {
  readonly device?: Device;
  readonly addresses?: readonly (Cidr | string)[];
  readonly interfaces?: readonly HostInterface[];
  /** The default gateway, on the network of an interface. */
  readonly gateway?: IpAddress | string;
  readonly routes?: readonly RouteOptions[];
  /** Announce our addresses when the pipeline starts (RFC 5227 2.3). Default false. */
  readonly announce?: boolean;
  readonly neighbours?: Partial<NeighbourTimes>;
  readonly reassembly?: Omit<ReassembleOptions, 'expired'>;
  readonly icmp?: Omit<IcmpOptions, 'tables' | 'reports'>;
  readonly icmpErrors?: Omit<IcmpErrorsOptions, 'tables'>;
  readonly tcp?: TcpOptions;
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
  readonly tcp: TcpHost;
  readonly udp: UdpHost;
  /** Makes ICMP errors; their rate limit is the host's. */
  readonly icmpErrors: IcmpErrors;
  readonly reports: IcmpReports;
  /** The neighbour cache of an Ethernet device of this host. */
  neighbours(device: Device): NeighbourCache | undefined;
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
 * Makes a host: ARP, IPv4, ICMP, UDP and TCP over one or more devices.
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
 * const me = host({ device: tap, addresses: ['10.77.0.2/24'], gateway: '10.77.0.1' });
 * tap.frames$.pipe(me).subscribe(tap.sink);
 * nodeNet(me.tcp).createServer((socket) => socket.pipe(socket)).listen(7);
 */
export function host(options: HostOptions, env: Env = defaultEnvironment()): Host {
  const interfaces = interfacesOf(options);
  const tables = new IpTables(env);
  const reports = new IcmpReports();
  const icmpErrors = new IcmpErrors({ ...options.icmpErrors, tables }, env);
  const links = interfaces.map(({ device, addresses = [] }) => {
    for (const address of addresses) tables.addAddress(device, address);
    return linkOf(device, tables, options, env);
  });
  for (const route of options.routes ?? []) tables.addRoute(route);
  if (options.gateway !== undefined) addGateway(tables, options.gateway, interfaces);
  const tcpHost = new TcpHost(tables, options.tcp ?? {}, env);
  const udpHost = new UdpHost(tables, env);
  tcpHost.confirm = (remote) => confirmNextHop({ tables, links }, remote);
  reports.on(IpProtocol.Tcp, (report) => tcpHost.icmp(report));
  reports.on(IpProtocol.Udp, (report) => udpHost.icmp(report));
  const conflicts = new Subject<HostConflict>();
  for (const link of links) {
    if (!(link instanceof EthernetLink)) continue;
    link.arp.claims.observe((conflict) => conflicts.next({ ...conflict, device: link.device }));
  }
  const parts = { options, env, tables, reports, icmpErrors, links, tcpHost, udpHost };
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
    tcp: tcpHost,
    udp: udpHost,
    icmpErrors,
    reports,
    neighbours: (device: Device) => {
      const link = links.find((one) => one.device === device);
      return link instanceof EthernetLink ? link.neighbours : undefined;
    },
    conflicts$: conflicts.asObservable(),
    stats: () => statsOf(parts),
  });
}

interface Parts {
  readonly options: HostOptions;
  readonly env: Env;
  readonly tables: IpTables;
  readonly reports: IcmpReports;
  readonly icmpErrors: IcmpErrors;
  readonly links: readonly IpLink[];
  readonly tcpHost: TcpHost;
  readonly udpHost: UdpHost;
}

/** The composition that a host is. */
function pipeline(frames$: Observable<RxFrame>, parts: Parts): Observable<TxFrame> {
  const { options, env, tables, reports, icmpErrors, links, tcpHost, udpHost } = parts;
  const ended = new Subject<void>();
  const loopback = new Loopback(env);
  const errors = new Subject<TxPacket>();
  const complain = (packet: IpPacket, kind: IcmpErrorKind): void => {
    const error = icmpErrors.about(packet, kind);
    if (error !== undefined) errors.next(error);
  };
  udpHost.unreachable = (packet) => complain(packet, 'port-unreachable');
  const expired = (first: IpPacket): void => complain(first, 'reassembly-timeout');

  const source$ = frames$.pipe(tap({ complete: () => ended.next() }));
  const devices$ = demux(source$, deviceNumber(links), { reason: DropReason.DeviceUnknown }, env);
  const inputs = links.map((link, number) => linkInput(devices$.on(number), link, tables, env));
  const looped$ = loopback.packets$.pipe(rawIp(env), ipv4({ addresses: tables.addresses, loopback: true }, env));
  const packets$ = merge(looped$.pipe(takeUntil(ended)), ...inputs.map((input) => input.packets$));
  const whole$ = packets$.pipe(reassemble({ ...options.reassembly, expired }, env));
  const net$ = demux(whole$, (packet) => packet.protocol, {}, env);
  return merge(
    ...inputs.map((input) => input.replies$),
    net$.on(IpProtocol.Icmp).pipe(icmp({ ...options.icmp, tables, reports }, env)),
    net$.on(IpProtocol.Udp).pipe(udp(udpHost)),
    net$.on(IpProtocol.Tcp).pipe(tcp(tcpHost)),
    net$.rest$.pipe(protocolUnreachable(icmpErrors, env)),
    errors.pipe(takeUntil(ended)),
    // Last, when there is a way out.
    defer(() => {
      announce(parts);
      return EMPTY;
    }),
  ).pipe(
    routeAndResolve({ tables, links, reports, loopback: (packet) => loopback.send(packet) }, env),
    tap({
      finalize: () => {
        tcpHost.dispose();
        udpHost.dispose();
        loopback.dispose();
      },
    }),
  );
}

/** What comes in by one link: IPv4 packets, and frames that answer at once. */
function linkInput(
  frames$: Observable<RxFrame>,
  link: IpLink,
  tables: IpTables,
  env: Env,
): { packets$: Observable<Ipv4Packet>; replies$: Observable<TxFrame> } {
  const ip = ipv4({ addresses: tables.addresses }, env);
  if (!(link instanceof EthernetLink)) return { packets$: frames$.pipe(rawIp(env), ip), replies$: merge() };
  const ethernet$ = frames$.pipe(ethernet({ mac: link.device.mac, multicast: tables.addresses.groupMacs }, env));
  const link$ = demux(ethernet$, (frame) => frame.etherType, { reason: DropReason.EthernetUnknownType }, env);
  return { packets$: link$.on(EtherType.Ipv4).pipe(ip), replies$: link$.on(EtherType.Arp).pipe(arp(link)) };
}

function linkOf(device: Device, tables: IpTables, options: HostOptions, env: Env): IpLink {
  if (device.medium === 'ip') return new PointToPointLink(device, env);
  const times = options.neighbours;
  const addresses = tables.arpAddresses(device);
  return new EthernetLink({ device, addresses, ...(times === undefined ? {} : { times }) }, env);
}

/** The index of the link that a frame came by; with a single link frames need not know their device. */
function deviceNumber(links: readonly IpLink[]): (frame: RxFrame) => number {
  if (links.length === 1) return () => 0;
  const numbers = new Map(links.map((link, number) => [link.device, number]));
  return (frame) => (frame.device === undefined ? -1 : (numbers.get(frame.device) ?? -1));
}

function announce({ options, links, tables }: Parts): void {
  if (options.announce !== true) return;
  for (const link of links) {
    if (!(link instanceof EthernetLink)) continue;
    for (const { device, cidr } of tables.addresses.list()) {
      if (device === link.device) link.arp.claims.announce(cidr.address.value);
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

function addGateway(tables: IpTables, gateway: IpAddress | string, interfaces: readonly HostInterface[]): void {
  const device = tables.deviceTo(gateway) ?? (interfaces.length === 1 ? interfaces[0]?.device : undefined);
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
