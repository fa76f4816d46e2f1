/**
 * The multicast memberships of one UDP socket, with the source filters of RFC 3678: any-source groups, from which sources may be
 * blocked, and source-specific ones, to which sources are added. Error codes are those of Linux.
 */

import { anyAddress, type IpAddress, type IpVersion } from '../core/address.js';
import type { Device } from '../core/device.js';
import { NetError } from '../core/errors.js';
import type { InterfaceChoice, Multicast } from '../l3/multicast.js';
import {
  addressKey,
  admits,
  EVERYTHING,
  isNothing,
  NOTHING,
  type SourceFilter,
  sourceFilter,
  withoutZone,
} from '../l3/source-filter.js';
import type { GroupOptions, UdpGroups } from './udp-api.js';

/** Sources that one membership can name. */
const MAX_SOURCES = 128;

interface Membership {
  readonly device: Device;
  readonly group: IpAddress;
  readonly filter: SourceFilter;
}

/** See the module. */
export class SocketGroups implements UdpGroups {
  hopLimit = 1;
  loopback = true;
  private readonly version: IpVersion;
  private readonly multicast: () => Multicast | undefined;
  private memberships: readonly Membership[] = [];
  private by: InterfaceChoice | undefined = undefined;

  /** @param multicast the host's, once it has one: without it there are no interfaces to choose from */
  constructor(version: IpVersion, multicast: () => Multicast | undefined) {
    this.version = version;
    this.multicast = multicast;
  }

  join(group: IpAddress, options: GroupOptions = {}): void {
    const { source } = options;
    const device = this.deviceFor('join', group, options);
    const filter = this.find(device, group)?.filter;
    if (source === undefined) {
      if (filter !== undefined) throw this.refused('EADDRINUSE', 'join', group);
      this.put(device, group, EVERYTHING);
      return;
    }
    if (filter?.mode === 'exclude') throw this.refused('EINVAL', 'join', group);
    this.put(device, group, this.plus('join', group, filter ?? NOTHING, source));
  }

  leave(group: IpAddress, options: GroupOptions = {}): void {
    const { source } = options;
    const device = this.deviceFor('leave', group, options);
    const filter = this.find(device, group)?.filter;
    if (source === undefined) {
      if (filter === undefined) throw this.refused('EADDRNOTAVAIL', 'leave', group);
      this.put(device, group, NOTHING);
      return;
    }
    if (filter?.mode !== 'include') throw this.refused('EINVAL', 'leave', group);
    this.put(device, group, this.minus('leave', group, filter, source));
  }

  block(group: IpAddress, source: IpAddress, options: GroupOptions = {}): void {
    const device = this.deviceFor('block', group, { ...options, source });
    const filter = this.find(device, group)?.filter;
    if (filter?.mode !== 'exclude') throw this.refused('EINVAL', 'block', group);
    this.put(device, group, this.plus('block', group, filter, source));
  }

  unblock(group: IpAddress, source: IpAddress, options: GroupOptions = {}): void {
    const device = this.deviceFor('unblock', group, { ...options, source });
    const filter = this.find(device, group)?.filter;
    if (filter?.mode !== 'exclude') throw this.refused('EINVAL', 'unblock', group);
    this.put(device, group, this.minus('unblock', group, filter, source));
  }

  setFilter(group: IpAddress, filter: SourceFilter, options: GroupOptions = {}): void {
    const device = this.deviceFor('setFilter', group, options);
    const sources = [...filter.sources.values()];
    if (sources.length > MAX_SOURCES) throw this.refused('ENOBUFS', 'setFilter', group);
    if (!sources.every((source) => this.isSource(source))) throw this.refused('EINVAL', 'setFilter', group);
    this.put(device, group, sourceFilter(filter.mode, sources));
  }

  filter(group: IpAddress, options: GroupOptions = {}): SourceFilter | undefined {
    return this.find(this.deviceFor('filter', group, options), group)?.filter;
  }

  sendBy(choice: InterfaceChoice | undefined): void {
    const multicast = this.multicast();
    if (choice !== undefined && 'version' in choice && choice.version !== this.version) {
      throw NetError.of('EINVAL', 'sendBy', choice.toString());
    }
    if (
      choice !== undefined &&
      !isOpen(choice) &&
      multicast?.deviceFor(anyAddress(this.version), choice) === undefined
    ) {
      throw NetError.of('EADDRNOTAVAIL', 'sendBy', 'version' in choice ? choice.toString() : choice.name);
    }
    this.by = choice;
  }

  /** The device that datagrams to `group` leave by; `undefined` leaves it to the routes. A zone of the group says more than `sendBy`. */
  egress(group: IpAddress, bound: IpAddress | undefined): Device | undefined {
    const hasZone = group.version === 6 && group.zone !== '';
    const choice = hasZone ? undefined : this.by === undefined || isOpen(this.by) ? bound : this.by;
    return this.multicast()?.deviceFor(group, choice);
  }

  /** Whether the socket wants a datagram from `source` to `group` that came in by `device`. */
  admits(device: Device | undefined, group: IpAddress, source: IpAddress): boolean {
    if (this.memberships.length === 0) return false;
    const ingress = this.multicast()?.ingress(device);
    return this.memberships.some(
      (one) => one.device === ingress && one.group.equals(group) && admits(one.filter, source),
    );
  }

  /** Leaves all groups. */
  close(): void {
    for (const { device, group } of this.memberships) this.multicast()?.listen(this, device, group, NOTHING);
    this.memberships = [];
  }

  private deviceFor(call: string, group: IpAddress, { interface: choice, source }: GroupOptions): Device {
    const isWrong =
      !group.isMulticast ||
      group.version !== this.version ||
      (choice !== undefined && 'version' in choice && choice.version !== this.version) ||
      (source !== undefined && !this.isSource(source));
    if (isWrong) throw this.refused('EINVAL', call, group);
    const device = this.multicast()?.deviceFor(group, choice);
    if (device === undefined) throw this.refused('ENODEV', call, group);
    return device;
  }

  private isSource(source: IpAddress): boolean {
    return source.version === this.version && !source.isMulticast && !source.isUnspecified;
  }

  private find(device: Device, group: IpAddress): Membership | undefined {
    const plain = withoutZone(group);
    return this.memberships.find((one) => one.device === device && one.group.equals(plain));
  }

  private put(device: Device, group: IpAddress, filter: SourceFilter): void {
    const plain = withoutZone(group);
    const others = this.memberships.filter((one) => !(one.device === device && one.group.equals(plain)));
    this.memberships = isNothing(filter) ? others : [...others, { device, group: plain, filter }];
    this.multicast()?.listen(this, device, plain, filter);
  }

  private plus(call: string, group: IpAddress, { mode, sources }: SourceFilter, source: IpAddress): SourceFilter {
    if (sources.has(addressKey(source))) throw this.refused('EADDRNOTAVAIL', call, group);
    if (sources.size >= MAX_SOURCES) throw this.refused('ENOBUFS', call, group);
    return sourceFilter(mode, [...sources.values(), source]);
  }

  private minus(call: string, group: IpAddress, { mode, sources }: SourceFilter, source: IpAddress): SourceFilter {
    if (!sources.has(addressKey(source))) throw this.refused('EADDRNOTAVAIL', call, group);
    const key = addressKey(source);
    return sourceFilter(
      mode,
      [...sources.values()].filter((other) => addressKey(other) !== key),
    );
  }

  private refused(
    code: 'EADDRINUSE' | 'EADDRNOTAVAIL' | 'EINVAL' | 'ENOBUFS' | 'ENODEV',
    call: string,
    group: IpAddress,
  ): NetError {
    return NetError.of(code, call, group.toString());
  }
}

/** Whether the choice is left to the routes. */
function isOpen(choice: InterfaceChoice): boolean {
  return 'version' in choice && choice.isUnspecified && (choice.version === 4 || choice.zone === '');
}
