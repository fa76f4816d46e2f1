/**
 * The IPv6 addresses of a host's interfaces, the groups it joined, and what they make of a destination (RFC 4291 2.8). Addresses have
 * a life: while a claim to one is being verified it is tentative (RFC 4862 5.4), and before it ends it is deprecated (RFC 4862 5.5.4);
 * whoever manages that says so with {@link Ipv6Addresses.update}. Reporting memberships to routers is not done here.
 */

import { type Cidr, type Ipv6Address, Ipv6Address as Address } from '../core/address.js';
import type { Device } from '../core/device.js';
import { UsageError } from '../core/errors.js';
import { Cast } from '../core/frame.js';
import { groupMac, IPV6_MINIMUM_MTU, solicitedNode } from '../wire/ipv6.js';
import { ALL_NODES } from './scope.js';
import { PolicyTable } from './policy-table.js';
import { betterSource, isCandidate } from './source-selection.js';

// The first ten bits of fe80::/10.
const LINK_LOCAL = 0x3fa;

/** What is known of an address besides the address. */
export interface Ipv6AddressState {
  /** Not verified to be unique yet: nothing is accepted at it, nothing sent from it. */
  readonly tentative?: boolean;
  /** Not to be used for new conversations. */
  readonly deprecated?: boolean;
  /** A temporary address (RFC 8981). */
  readonly temporary?: boolean;
  /** It says nothing of its network, so that no route comes and goes with it (RFC 5942 4): routers say what is on the link. */
  readonly noPrefixRoute?: boolean;
}

/** An address of ours. */
export interface InterfaceAddress6 extends Required<Ipv6AddressState> {
  readonly device: Device;
  readonly cidr: Cidr<6>;
}

/** What a destination of ours is, in a chain of those with the same last word. */
interface Entry {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly cast: Cast;
  /** Of unicast addresses. */
  readonly device: Device | undefined;
  readonly next: Entry | undefined;
}

/** The address to talk to `target` with. */
interface Answer {
  readonly device: Device;
  readonly target: Ipv6Address;
  readonly policies: PolicyTable;
  readonly source: Ipv6Address | undefined;
}

/** Our IPv6 addresses. Addresses on the hot path are given as the four words of `IpAddress.word`. */
export class Ipv6Addresses {
  /** MAC addresses of the joined groups, those that come with addresses included. */
  readonly groupMacs: ReadonlySet<number>;
  /** Rises whenever addresses, groups or policies change. */
  version = 0;
  private readonly macs = new Set<number>();
  private readonly groups = new Map<string, { readonly group: Ipv6Address; count: number }>();
  private owned: InterfaceAddress6[] = [];
  private readonly table = new Map<number, Entry>();
  /** The last answer of {@link Ipv6Addresses.sourceFor}. */
  private last: Answer | undefined = undefined;
  private listeners: readonly (() => void)[] = [];
  private preferences: PolicyTable = PolicyTable.DEFAULT;

  constructor() {
    this.groupMacs = this.macs;
  }

  /** What the choice of source and destination addresses prefers (RFC 6724 2.1). */
  get policies(): PolicyTable {
    return this.preferences;
  }

  set policies(policies: PolicyTable) {
    this.preferences = policies;
    this.version++;
  }

  /**
   * @throws UsageError `ERR_INVALID_ADDRESS` for an address that no interface can have, or that the device has already;
   *   `ERR_INVALID_OPTION` for a device that does not carry what every IPv6 link does (RFC 8200 5)
   */
  add(device: Device, cidr: Cidr<6>, state: Ipv6AddressState = {}): void {
    const { address } = cidr;
    if (address.isUnspecified || address.isMulticast || address.isLoopback) {
      throw new UsageError('ERR_INVALID_ADDRESS', `${address.toString()} cannot be the address of an interface`);
    }
    if (device.mtu < IPV6_MINIMUM_MTU) {
      throw new UsageError(
        'ERR_INVALID_OPTION',
        `IPv6 needs an MTU of ${IPV6_MINIMUM_MTU}, and ${device.name} has ${device.mtu}`,
      );
    }
    if (this.find(device, address) !== undefined) {
      throw new UsageError('ERR_INVALID_ADDRESS', `${device.name} already has the address ${address.toString()}`);
    }
    const { tentative = false, deprecated = false, temporary = false, noPrefixRoute = false } = state;
    this.owned = [...this.owned, { device, cidr, tentative, deprecated, temporary, noPrefixRoute }];
    this.rebuild();
  }

  /** Changes what is known of an address; returns whether the device has it. */
  update(device: Device, address: Ipv6Address, state: Ipv6AddressState): boolean {
    const known = this.find(device, address);
    if (known === undefined) return false;
    this.owned = this.owned.map((one) => (one === known ? { ...known, ...state } : one));
    this.rebuild();
    return true;
  }

  /** Returns whether the device had it. */
  remove(device: Device, address: Ipv6Address): boolean {
    const known = this.find(device, address);
    if (known === undefined) return false;
    this.owned = this.owned.filter((one) => one !== known);
    this.rebuild();
    return true;
  }

  /** The device's address with these bits, tentative or not. */
  find(device: Device, address: Ipv6Address): InterfaceAddress6 | undefined {
    return this.owned.find((one) => one.device === device && isSame(one.cidr.address, address));
  }

  /** Accepts packets to a multicast group; as often as it is joined it must be left. `Multicast` does this, and tells routers. */
  join(group: Ipv6Address): void {
    if (!group.isMulticast) throw new UsageError('ERR_INVALID_ADDRESS', `${group.toString()} is not a multicast group`);
    const known = this.groups.get(group.toString());
    if (known === undefined) this.groups.set(group.toString(), { group, count: 1 });
    else known.count++;
    this.rebuild();
  }

  leave(group: Ipv6Address): void {
    const known = this.groups.get(group.toString());
    if (known === undefined) return;
    if (--known.count === 0) this.groups.delete(group.toString());
    this.rebuild();
  }

  /** The groups that we are members of: joined ones, and those that come with having addresses (RFC 4291 2.8). */
  memberships(): Ipv6Address[] {
    if (this.owned.length === 0) return [...this.groups.values()].map(({ group }) => group);
    const solicited = this.owned.map(({ cidr }) => solicitedNode(cidr.address));
    return [ALL_NODES, ...solicited, ...[...this.groups.values()].map(({ group }) => group)];
  }

  /**
   * How a packet to this destination is addressed to us, or `undefined` if it is not. A link-local address is accepted from the device
   * that has it (RFC 4007 9), where the device is known.
   */
  accepts(a: number, b: number, c: number, d: number, device?: Device): Cast | undefined {
    const entry = this.entry(a, b, c, d);
    const anyDevice = a >>> 22 !== LINK_LOCAL || device === undefined || entry?.device === device;
    if (entry === undefined || anyDevice) return entry?.cast;
    // Two devices may have the same.
    return this.deviceHas(device, new Address(a, b, c, d)) ? entry.cast : undefined;
  }

  /**
   * Whether this is a unicast address of ours that is in use; a link-local one on the link of `device`, where that is known: on another link
   * it may be a neighbour's (RFC 4007 6).
   */
  has(a: number, b: number, c: number, d: number, device?: Device): boolean {
    return this.accepts(a, b, c, d, device) === Cast.Unicast;
  }

  /** The device that has this unicast address. */
  ownerOf(a: number, b: number, c: number, d: number): Device | undefined {
    return this.entry(a, b, c, d)?.device;
  }

  /** Whether `device` has this address, and it is in use. */
  deviceHas(device: Device, address: Ipv6Address): boolean {
    return this.find(device, address)?.tentative === false;
  }

  /** The address of `device`, else of any, to talk to `target` with (RFC 6724 5); `undefined` if there is none that could. */
  sourceFor(device: Device, target: Ipv6Address): Ipv6Address | undefined {
    const { last } = this;
    // Whoever sends often sends to the same.
    if (last?.device === device && last.policies === this.policies && isSame(last.target, target)) return last.source;
    let best: InterfaceAddress6 | undefined;
    for (const one of this.owned) {
      if (!isCandidate(one, device, target)) continue;
      if (best === undefined || betterSource(one, best, device, target, this.policies)) best = one;
    }
    const source = best?.cidr.address;
    this.last = { device, target, policies: this.policies, source };
    return source;
  }

  list(): readonly InterfaceAddress6[] {
    return this.owned;
  }

  /** Calls `listener` after each change of addresses or groups from now on; returns how to stop. Listeners must not throw. */
  observe(listener: () => void): () => void {
    const own = () => listener();
    this.listeners = [...this.listeners, own];
    return () => {
      this.listeners = this.listeners.filter((other) => other !== own);
    };
  }

  private entry(a: number, b: number, c: number, d: number): Entry | undefined {
    let entry = this.table.get(d);
    while (entry !== undefined && (entry.c !== c || entry.b !== b || entry.a !== a)) entry = entry.next;
    return entry;
  }

  private rebuild(): void {
    this.version++;
    this.last = undefined;
    this.table.clear();
    this.macs.clear();
    for (const group of this.memberships()) {
      this.enter(group, Cast.Multicast, undefined);
      this.macs.add(groupMac(group));
    }
    for (const { device, cidr, tentative } of this.owned) {
      if (!tentative) this.enter(cidr.address, Cast.Unicast, device);
    }
    for (const listener of this.listeners) {
      // One may have been stopped by who was told before.
      if (this.listeners.includes(listener)) listener();
    }
  }

  private enter({ a, b, c, d }: Ipv6Address, cast: Cast, device: Device | undefined): void {
    if (this.entry(a, b, c, d) !== undefined) return;
    this.table.set(d, { a, b, c, cast, device, next: this.table.get(d) });
  }
}

function isSame(one: Ipv6Address, other: Ipv6Address): boolean {
  return one.d === other.d && one.c === other.c && one.b === other.b && one.a === other.a;
}
