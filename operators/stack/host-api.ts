/** What a host is made with, and what it is to those that use it. */

import type { Observable, OperatorFunction } from 'rxjs';
import type { Cidr, IpAddress } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import type { RxFrame, TxFrame } from '../../lib/core/frame.js';
import type { AddressConflict, ArpClaims } from '../../lib/l2/arp-claims.js';
import type { NeighbourCache } from '../../lib/l2/neighbour.js';
import type { NeighbourTimes } from '../../lib/l2/neighbour-entry.js';
import type { IcmpOptions } from '../../lib/l3/icmp.js';
import type { IcmpErrors, IcmpErrorsOptions } from '../../lib/l3/icmp-errors.js';
import type { IcmpReports } from '../../lib/l3/icmp-reports.js';
import type { Icmpv6Options } from '../../lib/l3/icmpv6.js';
import type { IpTables, RouteOptions } from '../../lib/l3/ip-tables.js';
import type { Multicast, MulticastOptions } from '../../lib/l3/multicast.js';
import type { PingHost } from '../../lib/l4/ping.js';
import type { TcpOptions } from '../../lib/l4/tcp/options.js';
import type { TcpHost } from '../../lib/l4/tcp/tcp-host.js';
import type { UdpHost } from '../../lib/l4/udp.js';
import type { DnsResolver, DnsResolverOptions } from '../../lib/l7/dns-resolver.js';
import type { DnsSources } from '../../lib/l7/dns-sources.js';
import type { ReassembleOptions } from '../l3/reassemble.js';
import type { Autoconf, AutoconfInterface, AutoconfOptions } from './autoconf.js';

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
  /**
   * The default gateway, on the network of an interface; of either version, or one of each. The zone of a link-local one is the name of its device,
   * where there are several.
   */
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
  /** Where ICMP errors about packets of ours go: who sends some of a further protocol takes its own there, else no MTU that they tell is believed. */
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
