/** The addresses of a DHCP server, and who has them. Bounded by the number of addresses, whatever clients claim to be. */

import type { Cidr } from '../core/address.js';
import { Ipv4Address, type MacAddress } from '../core/address.js';
import { UsageError } from '../core/errors.js';
import type { Timers } from '../core/timers.js';
import type { DhcpMessage } from '../wire/dhcpv4.js';

/** An address that a client has, was offered, or had. */
export interface DhcpBinding {
  readonly address: Ipv4Address;
  readonly mac: MacAddress;
  /** What it calls itself, where that is no longer than a name can be. */
  readonly hostName: string | undefined;
  /** `offered` until the client asks for it; `blocked` when somebody else was found to use it. */
  readonly state: 'offered' | 'bound' | 'free' | 'blocked';
  /** When the state ends, in milliseconds of the clock; the address is then free, but kept for the same client while others are. */
  readonly expiresAt: number;
}

/** Options of {@link DhcpPool}. */
export interface DhcpPoolOptions {
  readonly first: Ipv4Address;
  readonly last: Ipv4Address;
  /** The server's own address and network. */
  readonly network: Cidr<4>;
  /** Addresses of particular clients, by MAC address. */
  readonly reserved: ReadonlyMap<number, Ipv4Address>;
}

/** Longest name that is kept of a client, in characters: no host has a longer one (RFC 1035 2.3.4). */
const MAX_HOST_NAME = 255;

interface Entry extends DhcpBinding {
  readonly key: string;
  state: DhcpBinding['state'];
  expiresAt: number;
}

/** The addresses of one network. */
export class DhcpPool {
  private readonly options: DhcpPoolOptions;
  private readonly timers: Timers;
  private readonly byKey = new Map<string, Entry>();
  private readonly byAddress = new Map<number, Entry>();
  private readonly reservedAddresses: ReadonlySet<number>;
  private next: number;

  /** @throws UsageError `ERR_INVALID_OPTION` for a pool or a reservation that is not of the network */
  constructor(options: DhcpPoolOptions, timers: Timers) {
    const { first, last, network, reserved } = options;
    const all = [first, last, ...reserved.values()];
    const stranger = all.find((address) => !network.contains(address));
    if (stranger !== undefined || first.value > last.value) {
      throw new UsageError(
        'ERR_INVALID_OPTION',
        `the pool ${first.toString()} to ${last.toString()} is not of the network`,
      );
    }
    this.options = options;
    this.timers = timers;
    this.reservedAddresses = new Set([...reserved.values()].map(({ value }) => value));
    this.next = first.value;
  }

  /** Those who have an address now. */
  bindings(): readonly DhcpBinding[] {
    return [...this.byAddress.values()].filter((entry) => entry.state === 'bound' && !this.isOver(entry));
  }

  /** What a client has or had, if nobody else got it since. */
  of(message: DhcpMessage): DhcpBinding | undefined {
    const entry = this.byKey.get(keyOf(message));
    return entry?.state === 'blocked' ? undefined : entry;
  }

  /** An address for a client: the one reserved for it, the one that it had, the one that it wishes, any other; none if all are taken. */
  offer(message: DhcpMessage, until: number): DhcpBinding | undefined {
    const known = this.byKey.get(keyOf(message));
    const reserved = this.options.reserved.get(message.mac.value);
    const wish = message.options.requestedAddress;
    for (const address of [reserved, known?.address, wish, this.any()]) {
      const binding = address && this.take(message, address, until);
      if (binding !== undefined) return binding;
    }
    return undefined;
  }

  /** This address for a client, if it may have it. */
  take(message: DhcpMessage, address: Ipv4Address, until: number): DhcpBinding | undefined {
    const key = keyOf(message);
    const entry = this.byAddress.get(address.value);
    if (!this.mayHave(message, address) || (entry !== undefined && !this.isFreeFor(entry, key))) return undefined;
    if (entry?.key === key && entry.state === 'bound' && !this.isOver(entry)) return entry;
    const former = this.byKey.get(key);
    if (entry !== undefined && this.byKey.get(entry.key) === entry) this.byKey.delete(entry.key);
    // What somebody else uses stays out of use, whoever found that.
    if (former !== undefined && former.state !== 'blocked') this.byAddress.delete(former.address.value);
    const { mac, options } = message;
    const hostName = (options.hostName?.length ?? 0) > MAX_HOST_NAME ? undefined : options.hostName;
    const made: Entry = { key, address, mac, hostName, state: 'offered', expiresAt: until };
    this.byKey.set(key, made);
    this.byAddress.set(address.value, made);
    return made;
  }

  bind(binding: DhcpBinding, until: number): void {
    this.change(binding, 'bound', until);
  }

  /** The client gave it back; it gets it again if it comes soon. */
  release(binding: DhcpBinding): void {
    this.change(binding, 'free', 0);
  }

  /** Somebody else uses it: nobody gets it for a while. */
  block(binding: DhcpBinding, until: number): void {
    this.change(binding, 'blocked', until);
  }

  /** The client took another server's offer. */
  forgetOffer(message: DhcpMessage): void {
    const entry = this.byKey.get(keyOf(message));
    if (entry?.state === 'offered') this.change(entry, 'free', 0);
  }

  private change(binding: DhcpBinding, state: DhcpBinding['state'], until: number): void {
    const entry = this.byAddress.get(binding.address.value);
    if (entry === undefined) return;
    entry.state = state;
    entry.expiresAt = until;
  }

  private isOver(entry: Entry): boolean {
    return this.timers.now() >= entry.expiresAt;
  }

  private isFreeFor(entry: Entry, key: string): boolean {
    return this.isOver(entry) || (entry.key === key && entry.state !== 'blocked');
  }

  private mayHave({ mac }: DhcpMessage, address: Ipv4Address): boolean {
    const { first, last, network, reserved } = this.options;
    if (reserved.get(mac.value)?.equals(address) === true) return true;
    if (address.equals(network.address) || network.broadcast?.equals(address) === true) return false;
    if (network.network.equals(address) || this.reservedAddresses.has(address.value)) return false;
    return address.value >= first.value && address.value <= last.value;
  }

  /** An address that nobody ever had, else the one that has been free for the longest time. */
  private any(): Ipv4Address | undefined {
    const { first, last, network } = this.options;
    for (; this.next <= last.value; this.next++) {
      const isUsable = this.next !== network.address.value && !this.reservedAddresses.has(this.next);
      const isHost = network.broadcast?.value !== this.next && network.network.word(3) !== this.next;
      if (isUsable && isHost && !this.byAddress.has(this.next)) return new Ipv4Address(this.next);
    }
    let oldest: Entry | undefined;
    for (const entry of this.byAddress.values()) {
      const { value } = entry.address;
      if (!this.isOver(entry) || value < first.value || value > last.value || this.reservedAddresses.has(value))
        continue;
      if (oldest === undefined || entry.expiresAt < oldest.expiresAt) oldest = entry;
    }
    // Addresses whose entry moved on to another one have none any more.
    return oldest?.address ?? this.neverHeld();
  }

  private neverHeld(): Ipv4Address | undefined {
    const { first, last, network } = this.options;
    for (let value = first.value; value <= last.value; value++) {
      const isOurs = value === network.address.value || value === network.broadcast?.value;
      if (!isOurs && !this.byAddress.has(value) && !this.reservedAddresses.has(value)) return new Ipv4Address(value);
    }
    return undefined;
  }
}

/** Who a client is: what it calls itself, else its MAC address (RFC 2131 4.2). */
function keyOf({ mac, options }: DhcpMessage): string {
  return options.clientId === undefined ? mac.toString() : `id ${options.clientId.join('.')}`;
}
