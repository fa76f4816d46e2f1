/**
 * Multicast listener discovery of a host on one link (RFC 3810, with RFC 2710 for older queriers): the packets of a
 * {@link GroupMembership}. Reports do not go through the routing table: they are about this link, and may be sent before it has an
 * address.
 */

import { Ipv6Address } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { asTxPacket, type Frame } from '../core/frame.js';
import type { IpLink } from '../l2/link.js';
import type { GroupRecord } from '../wire/group-records.js';
import { Icmpv6Type, pushIcmpv6Headers } from '../wire/icmpv6.js';
import { IPV6_HEADER, IPV6_MINIMUM_MTU, type Ipv6Packet } from '../wire/ipv6.js';
import { MLD2_ROUTERS, MldMessage, MldQuery, MldReport, MldReport2 } from '../wire/mld.js';
import { GroupMembership, type GroupPort } from './group-membership.js';
import { packRecords } from './group-reports.js';
import { ALL_NODES, ALL_ROUTERS, Scope, scopeOf } from './scope.js';

/** Options of {@link Mld}. */
export interface MldOptions {
  readonly link: IpLink;
  /** The link-local address to report from; :: is used where there is none yet (RFC 3590). */
  readonly source: () => Ipv6Address | undefined;
  /** The newest version to speak. Default 2. */
  readonly version?: 1 | 2;
}

const MLD1_LENGTH = 24;
const MLD2_HEADER = 8;
// The hop-by-hop header with the router alert.
const ALERT = 8;
const NAME = 'mld';

/** See the module. */
export class Mld implements GroupPort<Ipv6Address> {
  readonly groups: GroupMembership<Ipv6Address>;
  readonly onlyGeneralCounts = false;
  private readonly options: MldOptions;
  private readonly env: Env;
  /** Whether something was reported from ::, which routers may not have heeded (RFC 3590 4). */
  private nameless = false;

  constructor(options: MldOptions, env: Env) {
    const { version = 2 } = options;
    this.options = options;
    this.env = env;
    this.groups = new GroupMembership<Ipv6Address>(this, env, { generation: version === 1 ? 2 : 3 });
  }

  /** Takes a sound ICMPv6 packet of one of MLD's types. */
  receive(packet: Ipv6Packet): void {
    const { frame } = packet;
    const { drops } = this.env;
    const wrong = MldMessage.check(packet);
    if (wrong !== undefined) return drops.report(wrong, frame, NAME);
    if (this.heed(packet)) return drops.deliver(frame);
    return drops.report(DropReason.GroupIgnored, frame, NAME);
  }

  /** Addresses of the link have changed: if there is one to report from now, and there was none before, routers are told again. */
  addressesChanged(): void {
    if (!this.nameless || this.options.source() === undefined) return;
    this.nameless = false;
    this.groups.announce();
  }

  private heed({ frame, destinationAddress }: Ipv6Packet): boolean {
    const { type } = new MldMessage(frame, frame.start);
    if (type === Icmpv6Type.ListenerQuery) return this.query(new MldQuery(frame, frame.start));
    if (type !== Icmpv6Type.ListenerReport) return false;
    const { group } = new MldReport(frame, frame.start);
    return destinationAddress.equals(group) && this.groups.heard(group);
  }

  private query(query: MldQuery): boolean {
    const { version, maximumResponse, robustness, interval, sources, isGeneral } = query;
    const group = isGeneral ? undefined : query.group;
    const generation = version === 1 ? 2 : 3;
    return this.groups.query({ generation, group, sources, maximumResponse, robustness, interval });
  }

  // --- for GroupMembership

  /**
   * Not the group that every node is in, nor what does not leave the node (RFC 3810 6, RFC 2710 5); and nothing on a link that is too narrow for
   * IPv6 (RFC 8200 5).
   */
  reports(group: Ipv6Address): boolean {
    if (this.options.link.device.mtu < IPV6_MINIMUM_MTU) return false;
    return scopeOf(group) >= Scope.Link && !group.equals(ALL_NODES);
  }

  report(records: readonly GroupRecord<Ipv6Address>[]): void {
    const room = this.options.link.device.mtu - IPV6_HEADER - ALERT - MLD2_HEADER;
    for (const some of packRecords(records, room, 16)) {
      const frame = this.env.pool.alloc(room + MLD2_HEADER);
      MldReport2.emit(frame, some);
      this.send(frame, MLD2_ROUTERS);
    }
  }

  reportOld(group: Ipv6Address): void {
    const frame = this.env.pool.alloc(MLD1_LENGTH);
    MldReport.emit(frame, group);
    this.send(frame, group);
  }

  leave(group: Ipv6Address): void {
    const frame = this.env.pool.alloc(MLD1_LENGTH);
    MldReport.emit(frame, group, true);
    this.send(frame, ALL_ROUTERS);
  }

  private send(frame: Frame, destination: Ipv6Address): void {
    const { link, source } = this.options;
    const from = source();
    if (from === undefined) this.nameless = true;
    pushIcmpv6Headers(frame, { source: from ?? Ipv6Address.ANY, destination, hopLimit: 1 }, true);
    link.send(asTxPacket(frame), destination.a, destination.b, destination.c, destination.d);
  }
}
