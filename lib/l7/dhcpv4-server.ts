/**
 * A DHCPv4 server for one link (RFC 2131 4.3): a pool, reservations, leases kept in memory. It speaks for its network alone: requests for
 * addresses that it does not give are refused (`authoritative`). Relayed requests are answered only for its own network.
 *
 * Time passes lazily: a lease that has ended is free when somebody looks. Left out: storage, probing addresses before they are offered (clients
 * do), dynamic DNS.
 */

import { Cidr, Ipv4Address, MacAddress } from '../core/address.js';
import type { Env } from '../core/env.js';
import { UsageError } from '../core/errors.js';
import {
  DHCP_DEFAULT_SIZE,
  DHCP_FOREVER,
  DHCP_SERVER_PORT,
  type DhcpMessage,
  dhcpMessage,
  DhcpType,
  emitDhcp,
} from '../wire/dhcpv4.js';
import { type DhcpOptions, requestedOptions } from '../wire/dhcpv4-options.js';
import { DhcpPool, type DhcpBinding } from './dhcpv4-pool.js';
import type { DhcpPort } from './dhcpv4-port.js';

/** Options of {@link Dhcpv4Server}. */
export interface Dhcpv4ServerOptions {
  readonly port: DhcpPort;
  /** Our address on the link, with its network. */
  readonly address: Cidr | string;
  /** First and last address to give. */
  readonly pool: readonly [first: Ipv4Address | string, last: Ipv4Address | string];
  /** Seconds; `Infinity` for ever. Default an hour. */
  readonly leaseTime?: number;
  /** What to tell clients that ask for it: routers, DNS servers, domain, MTU, routes. The mask is told in any case. */
  readonly options?: DhcpOptions;
  /** Addresses by MAC address; they may be outside the pool. */
  readonly reservations?: Readonly<Record<string, Ipv4Address | string>>;
  /** Whether to refuse what we know nothing of. Default true. */
  readonly authoritative?: boolean;
  /** Is told of addresses given, given back and found in use by others; must not throw. */
  readonly changed?: (binding: DhcpBinding, event: 'bound' | 'released' | 'declined') => void;
}

/** An offer is kept for so long, in milliseconds: longer than a client takes to ask for it. */
const OFFER_TIME = 60_000;
/** An address that somebody else was found to use is not given for so long. */
const DECLINED_TIME = 600_000;
const DEFAULT_LEASE = 3600;
/** What clients call themselves has a length of one byte (RFC 2132 9.14). Whoever sends more in parts (RFC 3396) is not listened to: it is kept. */
const MAX_CLIENT_ID = 255;
/** A client may ask for larger messages, within reason: what fits an Ethernet frame. */
const LARGEST = 1472;

/** The server of one link. */
export class Dhcpv4Server {
  readonly pool: DhcpPool;
  private readonly options: Dhcpv4ServerOptions;
  private readonly env: Env;
  private readonly address: Cidr<4>;
  private readonly leaseTime: number;

  /** Takes the port over. @throws UsageError `ERR_INVALID_ADDRESS`, `ERR_INVALID_OPTION` */
  constructor(options: Dhcpv4ServerOptions, env: Env) {
    this.options = options;
    this.env = env;
    const cidr = Cidr.of(options.address);
    if (cidr.address.version !== 4) throw new UsageError('ERR_INVALID_ADDRESS', 'a DHCPv4 server has an IPv4 address');
    this.address = new Cidr<4>(cidr.address, cidr.length);
    const [first, last] = options.pool.map(ip4);
    this.leaseTime = Math.min(options.leaseTime ?? DEFAULT_LEASE, DHCP_FOREVER);
    if (first === undefined || last === undefined || !(this.leaseTime >= 1)) {
      throw new UsageError('ERR_INVALID_OPTION', 'a DHCP server needs a pool, and leases of a second at least');
    }
    const reserved = Object.entries(options.reservations ?? {}).map(
      ([mac, address]) => [MacAddress.parse(mac).value, ip4(address)] as const,
    );
    this.pool = new DhcpPool({ first, last, network: this.address, reserved: new Map(reserved) }, env.timers);
    options.port.setAddress(cidr.address);
    options.port.received = (message, from) => this.received(message, from);
  }

  dispose(): void {
    this.options.port.close();
  }

  private received(message: DhcpMessage, from: Ipv4Address): void {
    const { giaddr, options } = message;
    if ((options.clientId?.length ?? 0) > MAX_CLIENT_ID) return;
    if (!message.request || (!giaddr.isUnspecified && !this.address.contains(giaddr))) return;
    const others = options.serverId !== undefined && !options.serverId.equals(this.address.address);
    switch (options.messageType) {
      case DhcpType.Discover:
        return this.discover(message);
      case DhcpType.Request:
        return others ? this.pool.forgetOffer(message) : this.request(message);
      case DhcpType.Decline:
        return others ? undefined : this.declined(message);
      case DhcpType.Release:
        return others ? undefined : this.released(message, from);
      case DhcpType.Inform:
        return this.inform(message);
      default:
    }
  }

  private discover(message: DhcpMessage): void {
    const binding = this.pool.offer(message, this.env.timers.now() + OFFER_TIME);
    // Nothing is left to give: silence lets other servers answer.
    if (binding === undefined) return;
    this.reply(message, { yiaddr: binding.address }, { ...this.times(), messageType: DhcpType.Offer });
  }

  /** RFC 2131 4.3.2: what is asked for depends on which fields are there. */
  private request(message: DhcpMessage): void {
    const { options, ciaddr } = message;
    const wanted = ciaddr.isUnspecified ? options.requestedAddress : ciaddr;
    const known = this.pool.of(message);
    if (wanted === undefined) return;
    if (known?.address.equals(wanted) === true) return this.grant(message, known);
    const isSelecting = options.serverId !== undefined;
    const { authoritative = true } = this.options;
    // A client of another network, or one whose address somebody else has now.
    if (isSelecting || known !== undefined || !this.address.contains(wanted)) return this.refuse(message);
    // It remembers what we have forgotten: a restart, say. An address that is free may be had again.
    const again = this.pool.take(message, wanted, this.env.timers.now() + OFFER_TIME);
    if (again !== undefined) return this.grant(message, again);
    return authoritative ? this.refuse(message) : undefined;
  }

  private grant(message: DhcpMessage, binding: DhcpBinding): void {
    const forever = this.leaseTime === DHCP_FOREVER;
    this.pool.bind(binding, forever ? Infinity : this.env.timers.now() + this.leaseTime * 1000);
    const fields = { yiaddr: binding.address, ciaddr: message.ciaddr };
    this.reply(message, fields, { ...this.times(), messageType: DhcpType.Ack });
    this.options.changed?.(binding, 'bound');
  }

  private declined(message: DhcpMessage): void {
    const binding = this.pool.of(message);
    const { requestedAddress } = message.options;
    if (binding === undefined || requestedAddress?.equals(binding.address) !== true) return;
    this.pool.block(binding, this.env.timers.now() + DECLINED_TIME);
    this.options.changed?.(binding, 'declined');
  }

  private released(message: DhcpMessage, from: Ipv4Address): void {
    const binding = this.pool.of(message);
    if (binding?.address.equals(message.ciaddr) !== true || !from.equals(message.ciaddr)) return;
    this.pool.release(binding);
    this.options.changed?.(binding, 'released');
  }

  /** The client has an address of its own, and wants the rest (RFC 2131 4.3.5). */
  private inform(message: DhcpMessage): void {
    if (message.ciaddr.isUnspecified) return;
    this.reply(message, { ciaddr: message.ciaddr }, { messageType: DhcpType.Ack });
  }

  private times(): DhcpOptions {
    const { leaseTime } = this;
    if (leaseTime === DHCP_FOREVER) return { leaseTime };
    const half = Math.floor(leaseTime / 2);
    return { leaseTime, renewalTime: half, rebindingTime: Math.max(half, Math.floor(leaseTime * 0.875)) };
  }

  private reply(message: DhcpMessage, fields: Partial<DhcpMessage>, options: DhcpOptions): void {
    const { parameterList, maxMessageSize = DHCP_DEFAULT_SIZE } = message.options;
    const told: DhcpOptions = { subnetMask: this.mask(), ...this.options.options };
    const asked = parameterList === undefined ? told : requestedOptions(told, parameterList);
    const all = { ...asked, ...options, subnetMask: this.mask(), serverId: this.address.address };
    this.transmit(message, { ...fields, options: all }, Math.min(maxMessageSize - 28, LARGEST));
  }

  private refuse(message: DhcpMessage): void {
    const options = { messageType: DhcpType.Nak, serverId: this.address.address };
    // The client's address is no good, so all must hear it; a relay must broadcast it too (RFC 2131 4.3.2).
    this.transmit({ ...message, ciaddr: Ipv4Address.ANY, broadcast: true }, { options }, DHCP_DEFAULT_SIZE);
  }

  /** To whom an answer goes: RFC 2131 4.1. */
  private transmit(message: DhcpMessage, fields: Partial<DhcpMessage>, size: number): void {
    const { port } = this.options;
    const { xid, mac, giaddr, broadcast, ciaddr } = message;
    const bytes = emitDhcp(dhcpMessage({ request: false, xid, mac, giaddr, broadcast, ...fields }), size);
    const { yiaddr } = fields;
    if (!giaddr.isUnspecified) port.send(bytes, giaddr, DHCP_SERVER_PORT);
    else if (!ciaddr.isUnspecified) port.send(bytes, ciaddr);
    else if (broadcast || yiaddr === undefined) port.broadcast(bytes, this.address.address);
    else port.sendTo(bytes, yiaddr, mac);
  }

  private mask(): Ipv4Address {
    const { length } = this.address;
    return new Ipv4Address(length === 0 ? 0 : 0xffff_ffff << (32 - length));
  }
}

function ip4(address: Ipv4Address | string): Ipv4Address {
  return typeof address === 'string' ? Ipv4Address.parse(address) : address;
}
