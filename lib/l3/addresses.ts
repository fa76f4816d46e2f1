/**
 * The IPv4 addresses of a host's interfaces, the groups it joined, and what they make of a destination. Several addresses per
 * device and several devices; all of it may change at run time, and everybody sees the change at once.
 */

import type { Cidr, Ipv4Address } from '../core/address.js';
import type { Device } from '../core/device.js';
import { UsageError } from '../core/errors.js';
import { Cast } from '../core/frame.js';
import { ipv4GroupMac } from '../l2/ethernet-link.js';

/** An address of ours. */
export interface InterfaceAddress {
  readonly device: Device;
  readonly cidr: Cidr<4>;
}

const LIMITED_BROADCAST = 0xffff_ffff;
/** Every host is a member (RFC 1112 4). */
const ALL_HOSTS = 0xe000_0001;

/** Our IPv4 addresses. */
export class Ipv4Addresses {
  /** MAC addresses of the joined groups: give it to `ethernet({ multicast })`. */
  readonly groupMacs: ReadonlySet<number>;
  /** Rises whenever addresses or groups change. */
  version = 0;
  private readonly macs = new Set<number>([ipv4GroupMac(ALL_HOSTS)]);
  private readonly groups = new Map<number, number>([[ALL_HOSTS, 1]]);
  private readonly owned: InterfaceAddress[] = [];
  // What each destination of ours is; the directed broadcast addresses of our networks included.
  private readonly casts = new Map<number, Cast>();
  // The last that were looked up, since packets come in bursts: a destination with what it is, and a source that is not among them.
  private lastDestination = -1;
  private lastCast: Cast | undefined = undefined;
  private lastStranger = -1;

  constructor() {
    this.groupMacs = this.macs;
    this.rebuild();
  }

  /** @throws UsageError `ERR_INVALID_ADDRESS` for an address that no host can have, or that the device has already */
  add(device: Device, cidr: Cidr<4>): void {
    const { address } = cidr;
    if (address.isUnspecified || address.isMulticast || address.isBroadcast) {
      throw new UsageError('ERR_INVALID_ADDRESS', `${address.toString()} cannot be the address of a host`);
    }
    if (this.owned.some((other) => other.device === device && other.cidr.address.equals(address))) {
      throw new UsageError('ERR_INVALID_ADDRESS', `${device.name} already has the address ${address.toString()}`);
    }
    this.owned.push({ device, cidr });
    this.rebuild();
  }

  /** Returns whether the device had it. */
  remove(device: Device, address: Ipv4Address): boolean {
    const at = this.owned.findIndex((other) => other.device === device && other.cidr.address.equals(address));
    if (at < 0) return false;
    this.owned.splice(at, 1);
    this.rebuild();
    return true;
  }

  /** Accepts packets to a multicast group; as often as it is joined it must be left. `Multicast` does this, and tells routers. */
  join(group: Ipv4Address): void {
    if (!group.isMulticast) throw new UsageError('ERR_INVALID_ADDRESS', `${group.toString()} is not a multicast group`);
    this.groups.set(group.value, (this.groups.get(group.value) ?? 0) + 1);
    this.rebuild();
  }

  leave(group: Ipv4Address): void {
    const count = this.groups.get(group.value) ?? 0;
    if (count > 1) this.groups.set(group.value, count - 1);
    else this.groups.delete(group.value);
    this.rebuild();
  }

  /** How a packet to `destination` is addressed to us, or `undefined` if it is not. Loopback addresses are not on a wire. */
  accepts(destination: number): Cast | undefined {
    if (destination !== this.lastDestination) {
      this.lastDestination = destination;
      this.lastCast = this.casts.get(destination);
    }
    return this.lastCast;
  }

  /** Whether this is a unicast address of ours. */
  has(address: number): boolean {
    return this.casts.get(address) === Cast.Unicast;
  }

  /** Whether a packet from the wire cannot be from `source`, because it is one of ours or a broadcast address. */
  refusesSource(source: number): boolean {
    if (source === this.lastStranger) return false;
    if (this.casts.has(source)) return true;
    this.lastStranger = source;
    return false;
  }

  isBroadcast(address: number): boolean {
    return this.casts.get(address) === Cast.Broadcast;
  }

  /** Whether `device` has this address. */
  deviceHas(device: Device, address: number): boolean {
    return this.owned.some((other) => other.device === device && other.cidr.address.value === address);
  }

  /**
   * The address of `device` to talk to `target` with: one of the same network, else its first, else the first of any device
   * (RFC 1122 3.3.4.3), else `undefined`.
   */
  sourceFor(device: Device, target: Ipv4Address): Ipv4Address | undefined {
    let first: Ipv4Address | undefined;
    for (const { device: owner, cidr } of this.owned) {
      if (owner !== device) continue;
      if (cidr.contains(target)) return cidr.address;
      first ??= cidr.address;
    }
    return first ?? this.owned.find(({ cidr }) => !cidr.address.isLoopback)?.cidr.address;
  }

  list(): readonly InterfaceAddress[] {
    return this.owned;
  }

  private rebuild(): void {
    this.version++;
    this.lastDestination = this.lastStranger = -1;
    this.lastCast = undefined;
    this.casts.clear();
    this.macs.clear();
    for (const group of this.groups.keys()) {
      this.casts.set(group, Cast.Multicast);
      this.macs.add(ipv4GroupMac(group));
    }
    this.casts.set(LIMITED_BROADCAST, Cast.Broadcast);
    for (const { cidr } of this.owned) {
      if (cidr.broadcast !== undefined) this.casts.set(cidr.broadcast.value, Cast.Broadcast);
    }
    for (const { cidr } of this.owned) this.casts.set(cidr.address.value, Cast.Unicast);
  }
}
