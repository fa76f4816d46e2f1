/**
 * Multicast of a host: which groups each of its interfaces is a member of, for whom, and the machines that tell routers
 * (RFC 1112 7, RFC 3376 2, RFC 3810 3). The groups that come with IPv6 addresses are joined here by themselves (RFC 4291 2.8).
 */

import type { IpAddress, Ipv4Address, Ipv6Address } from '../core/address.js';
import type { Device } from '../core/device.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { UsageError } from '../core/errors.js';
import type { IpLink } from '../l2/link.js';
import type { Ipv4Packet } from '../wire/ipv4.js';
import { type Ipv6Packet, solicitedNode } from '../wire/ipv6.js';
import { Igmp } from './igmp.js';
import type { IpTables } from './ip-tables.js';
import { Mld } from './mld.js';
import { addressKey, EVERYTHING, isNothing, NOTHING, type SourceFilter, withoutZone } from './source-filter.js';

/** Options of {@link Multicast}. */
export interface MulticastOptions {
  readonly tables: IpTables;
  /** The interfaces. */
  readonly links: readonly IpLink[];
  /** The newest version of IGMP to speak. Default 3. */
  readonly igmpVersion?: 1 | 2 | 3;
  /** The newest version of MLD to speak. Default 2. */
  readonly mldVersion?: 1 | 2;
  /** Tell routers nothing, neither unasked nor asked: for links without switches that listen to reports, and for tests. Default false. */
  readonly silent?: boolean;
}

/** Names an interface: its device, an address of its, or an address with its name as the zone; an unspecified address leaves the choice. */
export type InterfaceChoice = Device | IpAddress;

/** One interface. */
class MulticastInterface {
  readonly link: IpLink;
  readonly igmp: Igmp;
  readonly mld: Mld;
  /** The solicited-node groups of its addresses. */
  readonly solicited = new Map<string, Ipv6Address>();
  /** How often the stack itself joined a group. */
  readonly counts = new Map<string, number>();

  constructor(link: IpLink, { tables, igmpVersion = 3, mldVersion = 2 }: MulticastOptions, env: Env) {
    const { device } = link;
    const own = () => tables.addresses.list().find((one) => one.device === device)?.cidr.address;
    const linkLocal = () =>
      tables.addresses6.list().find((one) => one.device === device && !one.tentative && one.cidr.address.isLinkLocal)
        ?.cidr.address;
    this.link = link;
    this.igmp = new Igmp({ link, source: own, version: igmpVersion }, env);
    this.mld = new Mld({ link, source: linkLocal, version: mldVersion }, env);
  }

  /** Joins the solicited-node groups of these addresses, and leaves those of all others. */
  follow(addresses: readonly Ipv6Address[]): void {
    const groups = new Map(addresses.map((address) => [addressKey(solicitedNode(address)), solicitedNode(address)]));
    for (const [key, group] of this.solicited) {
      if (groups.has(key)) continue;
      this.solicited.delete(key);
      this.mld.groups.listen(this.solicited, group, NOTHING);
    }
    for (const [key, group] of groups) {
      if (this.solicited.has(key)) continue;
      this.solicited.set(key, group);
      this.mld.groups.listen(this.solicited, group, EVERYTHING);
    }
    this.mld.addressesChanged();
  }
}

/** See the module. */
export class Multicast {
  private readonly tables: IpTables;
  private readonly env: Env;
  private readonly silent: boolean;
  private readonly interfaces = new Map<Device, MulticastInterface>();

  constructor(options: MulticastOptions, env: Env) {
    this.tables = options.tables;
    this.silent = options.silent ?? false;
    this.env = env;
    for (const link of options.links) this.interfaces.set(link.device, new MulticastInterface(link, options, env));
    this.tables.addresses6.observe(() => this.follow());
    this.follow();
  }

  /** Begins to tell routers: the links lead somewhere now. */
  start(): void {
    if (this.silent) return;
    for (const { igmp, mld } of this.interfaces.values()) {
      igmp.groups.start();
      mld.groups.start();
    }
  }

  /** Ends it, in silence; no timer is left. */
  stop(): void {
    for (const { igmp, mld } of this.interfaces.values()) {
      igmp.groups.stop();
      mld.groups.stop();
    }
  }

  /** Takes an IGMP packet. */
  receiveIgmp(packet: Ipv4Packet): void {
    const at = this.interfaceOf(packet.frame.device);
    if (at !== undefined) at.igmp.receive(packet);
    else this.env.drops.report(DropReason.GroupIgnored, packet.frame, 'igmp');
  }

  /** Takes a sound ICMPv6 packet of listener discovery: `listenerDiscovery` of `icmpv6`. */
  receiveMld(packet: Ipv6Packet): void {
    const at = this.interfaceOf(packet.frame.device);
    if (at !== undefined) at.mld.receive(packet);
    else this.env.drops.report(DropReason.GroupIgnored, packet.frame, 'mld');
  }

  /** The machine of one interface that tells of IPv4 groups, or of IPv6 ones; for people, and for tests. */
  igmp(device: Device): Igmp | undefined {
    return this.interfaces.get(device)?.igmp;
  }
  mld(device: Device): Mld | undefined {
    return this.interfaces.get(device)?.mld;
  }

  /**
   * Joins a group for the stack itself: every packet to it is accepted. As often as it is joined it must be left. The first report may wait
   * for `delay` milliseconds (RFC 4862 5.4.2).
   *
   * @throws UsageError `ERR_INVALID_ADDRESS`, `ERR_INVALID_OPTION` for a device that is no interface of ours
   */
  join(device: Device, group: IpAddress, delay = 0): void {
    const { counts } = this.known(device);
    const key = `${group.version}/${addressKey(group)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    this.listen(counts, device, group, EVERYTHING, delay);
  }

  /** Undoes one `join`. */
  leave(device: Device, group: IpAddress): void {
    const { counts } = this.known(device);
    const key = `${group.version}/${addressKey(group)}`;
    const count = counts.get(key) ?? 0;
    if (count > 1) counts.set(key, count - 1);
    else if (counts.delete(key)) this.listen(counts, device, group, NOTHING);
  }

  /** The report of a group that was joined at this moment may wait for `delay` milliseconds: for `DadPort.join`. */
  postpone(device: Device, group: Ipv6Address, delay: number): void {
    this.interfaces.get(device)?.mld.groups.postpone(group, delay);
  }

  /**
   * Sets what `listener`, an object that stands for a socket, wants of a group on an interface: `NOTHING` ends it. Sources are of the
   * group's version.
   *
   * @throws UsageError `ERR_INVALID_ADDRESS`, `ERR_INVALID_OPTION` for a device that is no interface of ours
   */
  listen(listener: object, device: Device, address: IpAddress, filter: SourceFilter, delay = 0): void {
    const { igmp, mld } = this.known(device);
    const group = withoutZone(address);
    if (!group.isMulticast) throw new UsageError('ERR_INVALID_ADDRESS', `${group.toString()} is not a multicast group`);
    const is = !isNothing(filter);
    if (group.version === 4) {
      const was = igmp.groups.of(listener, group) !== undefined;
      igmp.groups.listen(listener, group, filter as SourceFilter<Ipv4Address>, delay);
      if (is && !was) this.tables.addresses.join(group);
      if (was && !is) this.tables.addresses.leave(group);
      return;
    }
    const was = mld.groups.of(listener, group) !== undefined;
    mld.groups.listen(listener, group, filter as SourceFilter<Ipv6Address>, delay);
    if (is && !was) this.tables.addresses6.join(group);
    if (was && !is) this.tables.addresses6.leave(group);
  }

  /** Whether somebody on this host wants packets to `group` on `device`. */
  isMember(device: Device, group: IpAddress): boolean {
    const at = this.interfaces.get(device);
    if (at === undefined) return false;
    return !isNothing(group.version === 4 ? at.igmp.groups.filter(group) : at.mld.groups.filter(group));
  }

  /** The interface that is meant: by choice, by the group's zone, or else by the routes; `undefined` if there is none. */
  deviceFor(group: IpAddress, choice?: InterfaceChoice): Device | undefined {
    if (choice !== undefined && !('version' in choice)) return this.interfaces.has(choice) ? choice : undefined;
    if (choice?.version === 6 && choice.zone !== '') return this.named(choice.zone);
    if (choice !== undefined && !choice.isUnspecified) return this.ownerOf(choice);
    if (group.version === 6 && group.zone !== '') return this.named(group.zone);
    const [first] = this.interfaces.keys();
    return this.tables.deviceTo(group) ?? first;
  }

  /** The address to send to `group` with by `device`. */
  sourceFor(device: Device, group: IpAddress): IpAddress | undefined {
    return group.version === 4
      ? this.tables.addresses.sourceFor(device, group)
      : this.tables.addresses6.sourceFor(device, group);
  }

  /** The device that brought a packet; where there is only one, frames need not know it. */
  ingress(device: Device | undefined): Device | undefined {
    return this.interfaceOf(device)?.link.device;
  }

  private follow(): void {
    const owned = this.tables.addresses6.list();
    for (const [device, at] of this.interfaces) {
      at.follow(owned.filter((one) => one.device === device).map(({ cidr }) => cidr.address));
    }
  }

  private known(device: Device): MulticastInterface {
    const at = this.interfaces.get(device);
    if (at === undefined) throw new UsageError('ERR_INVALID_OPTION', `${device.name} is no interface of this host`);
    return at;
  }

  private interfaceOf(device: Device | undefined): MulticastInterface | undefined {
    if (device !== undefined) return this.interfaces.get(device);
    const [only, another] = this.interfaces.values();
    return another === undefined ? only : undefined;
  }

  private named(name: string): Device | undefined {
    for (const device of this.interfaces.keys()) if (device.name === name) return device;
    return undefined;
  }

  private ownerOf(address: IpAddress): Device | undefined {
    const { addresses, addresses6 } = this.tables;
    const owner =
      address.version === 4
        ? addresses.list().find(({ cidr }) => cidr.address.equals(address))?.device
        : addresses6.ownerOf(address.a, address.b, address.c, address.d);
    return owner !== undefined && this.interfaces.has(owner) ? owner : undefined;
  }
}
