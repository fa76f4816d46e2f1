/**
 * IGMP of a host on one link (RFC 3376, with RFC 2236 and RFC 1112 for older queriers): the packets of a {@link GroupMembership}.
 * Reports do not go through the routing table: they are about this link, and may be sent before it has an address.
 */

import { Ipv4Address } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { asTxPacket, type Frame } from '../core/frame.js';
import type { IpLink } from '../l2/link.js';
import type { GroupRecord } from '../wire/group-records.js';
import {
  IGMP3_ROUTERS,
  IGMP_HEADER,
  IGMP_ROUTER_ALERT,
  IgmpMessage,
  IgmpQuery,
  IgmpReport,
  IgmpReport3,
  IgmpType,
} from '../wire/igmp.js';
import { IpProtocol } from '../wire/ip.js';
import { Ipv4OptionType, Ipv4Packet } from '../wire/ipv4.js';
import { GroupMembership, type GroupPort } from './group-membership.js';
import { packRecords } from './group-reports.js';

/** Options of {@link Igmp}. */
export interface IgmpOptions {
  readonly link: IpLink;
  /** The address to report from; 0.0.0.0 is used where there is none yet (RFC 3376 4.2.13). */
  readonly source: () => Ipv4Address | undefined;
  /** The newest version to speak. Default 3. */
  readonly version?: 1 | 2 | 3;
}

const ALL_HOSTS = 0xe000_0001;
/** Where leaves go (RFC 2236 3). */
const ALL_ROUTERS = new Ipv4Address(0xe000_0002);
const MAPPED = 0xffff;
/** RFC 3376 4: internetwork control. */
const PRECEDENCE = 0xc0;
// The IP header with the router alert.
const IP_HEADER = 24;
const NAME = 'igmp';

/** See the module. */
export class Igmp implements GroupPort<Ipv4Address> {
  readonly groups: GroupMembership<Ipv4Address>;
  readonly onlyGeneralCounts = true;
  private readonly options: IgmpOptions;
  private readonly env: Env;

  constructor(options: IgmpOptions, env: Env) {
    const { version: generation = 3 } = options;
    this.options = options;
    this.env = env;
    this.groups = new GroupMembership<Ipv4Address>(this, env, { generation });
  }

  /** Takes a packet whose frame's range is an IGMP message. */
  receive(packet: Ipv4Packet): void {
    const { frame } = packet;
    const { drops } = this.env;
    const wrong = IgmpMessage.check(frame, frame.start) ?? checkHeader(packet);
    if (wrong !== undefined) return drops.report(wrong, frame, NAME);
    if (this.heed(packet)) return drops.deliver(frame);
    return drops.report(DropReason.GroupIgnored, frame, NAME);
  }

  private heed({ frame, destination }: Ipv4Packet): boolean {
    const { type, groupValue, group } = new IgmpMessage(frame, frame.start);
    if (type === IgmpType.Query) return this.query(new IgmpQuery(frame, frame.start));
    // Reports go to the group that they are about: one that does not come from somebody who wants us to be silent.
    if (type === IgmpType.Report1 || type === IgmpType.Report2) {
      return groupValue === destination && this.groups.heard(group);
    }
    return false;
  }

  private query(query: IgmpQuery): boolean {
    const { version: generation, maximumResponse, robustness, interval, sources, isGeneral } = query;
    const group = isGeneral ? undefined : query.group;
    return this.groups.query({ generation, group, sources, maximumResponse, robustness, interval });
  }

  // --- for GroupMembership

  reports(group: Ipv4Address): boolean {
    return group.value !== ALL_HOSTS;
  }

  report(records: readonly GroupRecord<Ipv4Address>[]): void {
    const room = this.options.link.device.mtu - IP_HEADER - IGMP_HEADER;
    for (const some of packRecords(records, room, 4)) {
      const frame = this.env.pool.alloc(room + IGMP_HEADER);
      IgmpReport3.emit(frame, some);
      this.send(frame, IGMP3_ROUTERS);
    }
  }

  reportOld(group: Ipv4Address, generation: 1 | 2): void {
    const frame = this.env.pool.alloc(IGMP_HEADER);
    IgmpReport.emit(frame, generation === 1 ? IgmpType.Report1 : IgmpType.Report2, group);
    this.send(frame, group, generation > 1);
  }

  leave(group: Ipv4Address): void {
    const frame = this.env.pool.alloc(IGMP_HEADER);
    IgmpReport.emit(frame, IgmpType.Leave, group);
    this.send(frame, ALL_ROUTERS);
  }

  private send(frame: Frame, destination: Ipv4Address, alert = true): void {
    const { link, source } = this.options;
    Ipv4Packet.emit(frame, {
      source: source()?.value ?? 0,
      destination: destination.value,
      protocol: IpProtocol.Igmp,
      ttl: 1,
      tos: PRECEDENCE,
      dontFragment: true,
      ...(alert ? { options: [IGMP_ROUTER_ALERT] } : {}),
    });
    link.send(asTxPacket(frame), 0, 0, MAPPED, destination.value);
  }
}

/**
 * What is wrong with the IP header of a sound message: no router forwards one, so that a TTL other than 1 gives a forged one away. So do a
 * missing router alert, but for version 1, and a general query that does not go to all hosts (RFC 3376 9.1).
 */
function checkHeader(packet: Ipv4Packet): DropReason | undefined {
  const { frame, destination, hopLimit } = packet;
  if (hopLimit !== 1) return DropReason.IgmpBadHeader;
  const { type } = new IgmpMessage(frame, frame.start);
  if (type !== IgmpType.Query) return undefined;
  const { isGeneral, version } = new IgmpQuery(frame, frame.start);
  if (isGeneral && destination !== ALL_HOSTS) return DropReason.IgmpBadHeader;
  const isAlert = version === 1 || packet.options().some((option) => option.type === Ipv4OptionType.RouterAlert);
  return isAlert ? undefined : DropReason.IgmpBadHeader;
}
