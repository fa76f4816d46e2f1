/**
 * A DHCPv4 client (RFC 2131 4.4): gets an address, checks that nobody has it (RFC 5227), keeps it by renewing the lease, gives it up when
 * that fails. The states are those of the RFC's figure 5, with CHECKING for the time of the ARP probe.
 *
 * It asks servers to answer by broadcast, since IP here takes no packets for addresses that it does not have yet. Left out:
 * authentication (RFC 3118), DHCPINFORM.
 */

import { Ipv4Address } from '../core/address.js';
import type { Env } from '../core/env.js';
import type { Timer } from '../core/timers.js';
import type { AddressConflict } from '../l2/arp-claims.js';
import { type DhcpMessage, dhcpMessage, DhcpType, emitDhcp } from '../wire/dhcpv4.js';
import { DhcpOption, type DhcpOptions } from '../wire/dhcpv4-options.js';
import { type DhcpLease, type InterfaceConfiguration, isHost, leaseOf, reconfigure } from './dhcpv4-lease.js';
import type { DhcpPort } from './dhcpv4-port.js';

/** States of RFC 2131 figure 5, and what is not in it: CHECKING (is the address free?), STOPPED. */
export type DhcpState =
  | 'STOPPED'
  | 'INIT'
  | 'SELECTING'
  | 'REQUESTING'
  | 'CHECKING'
  | 'BOUND'
  | 'RENEWING'
  | 'REBINDING'
  | 'REBOOTING';

/** Why the lease of a client changed. */
export type DhcpEvent = 'bound' | 'renewed' | 'expired' | 'refused' | 'conflict' | 'released' | 'stopped';

/** Finds out whether addresses are free; `ArpClaims` is one. */
export interface AddressClaims {
  probe(address: number, done: (free: boolean) => void, within?: number): () => void;
  announce(address: number): void;
  release(address: number): void;
  observe(listener: (conflict: AddressConflict) => void): () => void;
}

/** Options of {@link Dhcpv4Client}. */
export interface Dhcpv4ClientOptions {
  readonly port: DhcpPort;
  /** What leases configure. */
  readonly configuration: InterfaceConfiguration;
  /** Who tells whether an address is free; without it addresses are taken unchecked. */
  readonly claims?: AddressClaims | undefined;
  /** The longest time that this takes, in milliseconds. Default: RFC 5227's seven seconds. */
  readonly verifyWithin?: number | undefined;
  readonly hostName?: string;
  /** Default: the MAC address (RFC 2132 9.14). */
  readonly clientId?: Uint8Array;
  /** The address of the last time: it is asked for again (INIT-REBOOT). */
  readonly previous?: Ipv4Address;
  /** Codes of the options to ask for. */
  readonly parameterList?: readonly number[];
  /** Most milliseconds to wait before the first message, so that not all hosts ask at once after a power failure. Default 1000. */
  readonly startDelay?: number;
  /** Starts when no server answers for some time, stops when one does: link-local addresses, say. */
  readonly fallback?: { start(): void; stop(): void };
  /** Is told of each change; it must not throw. */
  readonly changed?: (lease: DhcpLease | undefined, event: DhcpEvent) => void;
}

// RFC 2131 4.1: 4, 8, 16, 32, 64 s, each give or take one.
const FIRST_DELAY = 4000;
const MAX_DELAY = 64_000;
const JITTER = 1000;
/** RFC 2131 4.4.5. */
const MIN_RENEWAL_DELAY = 60_000;
/** RFC 2131 3.1 5. */
const DECLINE_DELAY = 10_000;
// So many messages without an answer: the offer has been forgotten (RFC 2131 3.1 5), or nobody is there.
const MAX_REQUESTS = 4;
const MAX_REBOOT_REQUESTS = 2;
const FALLBACK_AFTER = 3;

const PARAMETERS: readonly number[] = [
  DhcpOption.SubnetMask,
  // RFC 3442: before the router option.
  DhcpOption.ClasslessRoutes,
  DhcpOption.Routers,
  DhcpOption.DnsServers,
  DhcpOption.HostName,
  DhcpOption.DomainName,
  DhcpOption.Mtu,
  DhcpOption.Broadcast,
  DhcpOption.DomainSearch,
  DhcpOption.RenewalTime,
  DhcpOption.RebindingTime,
];

/** The client of one interface. */
export class Dhcpv4Client {
  state: DhcpState = 'STOPPED';
  /** The lease in use. */
  lease: DhcpLease | undefined = undefined;
  private readonly options: Dhcpv4ClientOptions;
  private readonly env: Env;
  private readonly clientId: Uint8Array;
  private readonly retry: Timer;
  private readonly lifetime: Timer;
  private readonly unobserve: (() => void) | undefined;
  private previous: Ipv4Address | undefined;
  private cancelProbe: (() => void) | undefined = undefined;
  private offered: { readonly address: Ipv4Address; readonly server: Ipv4Address } | undefined = undefined;
  private xid = 0;
  private began = 0;
  private secs = 0;
  private asked = 0;
  private tries = 0;
  private refusals = 0;

  /** Takes the port over. */
  constructor(options: Dhcpv4ClientOptions, env: Env) {
    this.options = options;
    this.env = env;
    this.previous = options.previous;
    const { mac } = options.port;
    const bytes = Array.from({ length: 6 }, (_, i) => Math.floor(mac.value / 2 ** (8 * (5 - i))) & 0xff);
    this.clientId = options.clientId ?? Uint8Array.of(1, ...bytes);
    this.retry = env.timers.timer(() => this.again());
    this.lifetime = env.timers.timer(() => this.age());
    options.port.received = (message, from) => this.received(message, from);
    this.unobserve = options.claims?.observe((conflict) => this.contested(conflict));
  }

  /** Begins; asks for the last address first, where one is known. */
  start(): void {
    if (this.state !== 'STOPPED') return;
    this.began = this.now;
    if (this.previous === undefined) this.init(this.env.random.float() * (this.options.startDelay ?? 1000));
    else this.reboot();
  }

  /** Stops without a word to the server: the address goes, and is asked for again by the next `start`. */
  stop(): void {
    if (this.state === 'STOPPED') return;
    this.halt();
    this.options.fallback?.stop();
    this.replace(undefined, 'stopped');
  }

  /** Gives the lease back (RFC 2131 4.4.6), and stops. */
  release(): void {
    const { lease } = this;
    if (lease !== undefined) {
      const options = { messageType: DhcpType.Release, serverId: lease.server, clientId: this.clientId };
      this.newExchange();
      this.options.port.send(this.message({ ciaddr: lease.address.address }, options), lease.server);
    }
    this.halt();
    this.options.fallback?.stop();
    this.replace(undefined, 'released');
    this.previous = undefined;
  }

  /** Asks to extend the lease now, before its time. */
  renew(): void {
    if (this.state === 'BOUND') this.extend('RENEWING');
  }

  /** The link was lost and is back, maybe to another network: asks whether the address still is good (RFC 2131 3.7), and free there (RFC 5227 2.1). */
  linkChanged(): void {
    if (this.state === 'STOPPED') return;
    this.halt();
    this.began = this.now;
    if (this.previous === undefined) this.init(0);
    else this.reboot();
  }

  /** Ends for good: stops, and closes the port. */
  dispose(): void {
    this.stop();
    this.unobserve?.();
    this.options.port.close();
  }

  private get now(): number {
    return this.env.timers.now();
  }

  private get isStopped(): boolean {
    return this.state === 'STOPPED';
  }

  private halt(): void {
    this.retry.cancel();
    this.lifetime.cancel();
    this.cancelProbe?.();
    this.cancelProbe = this.offered = undefined;
    this.state = 'STOPPED';
  }

  private init(delay: number): void {
    this.halt();
    this.state = 'INIT';
    this.retry.arm(this.now + delay);
  }

  private newExchange(): void {
    this.xid = this.env.random.uint32();
    this.tries = 0;
    this.secs = Math.floor((this.now - this.began) / 1000);
  }

  private discover(): void {
    this.state = 'SELECTING';
    this.newExchange();
    this.transmit();
  }

  private reboot(): void {
    this.state = 'REBOOTING';
    this.newExchange();
    this.transmit();
    if (this.lease !== undefined) this.lifetime.arm(this.lease.expiresAt);
  }

  /** `RENEWING`: asks the server that gave the lease. `REBINDING`: asks any. */
  private extend(state: 'RENEWING' | 'REBINDING'): void {
    const { lease } = this;
    if (lease === undefined) return;
    this.state = state;
    this.began = this.now;
    this.newExchange();
    this.lifetime.arm(state === 'RENEWING' ? lease.rebindAt : lease.expiresAt);
    this.transmit();
  }

  // --- timers

  /** Nobody answered in time, or a pause is over. */
  private again(): void {
    this.tries++;
    switch (this.state) {
      case 'INIT':
        return this.discover();
      case 'REQUESTING':
        return this.tries < MAX_REQUESTS ? this.transmit() : this.init(0);
      case 'REBOOTING':
        return this.tries < MAX_REBOOT_REQUESTS ? this.transmit() : this.unanswered();
      case 'SELECTING':
        if (this.tries === FALLBACK_AFTER) this.options.fallback?.start();
        return this.transmit();
      default:
        return this.transmit();
    }
  }

  /** No server says that the address is bad: it may be used until the lease ends (RFC 2131 3.2 3). */
  private unanswered(): void {
    const { lease } = this;
    if (lease === undefined) return this.init(0);
    return this.check(lease, () => {
      this.state = 'BOUND';
      this.lifetime.arm(lease.renewAt);
    });
  }

  /** The lease has come to an age. */
  private age(): void {
    if (this.state === 'BOUND') this.extend('RENEWING');
    else if (this.state === 'RENEWING') this.extend('REBINDING');
    else this.lose('expired', 0);
  }

  // --- sending

  private transmit(): void {
    this.asked = this.now;
    const { port } = this.options;
    const none = Ipv4Address.ANY;
    const request = { ...this.identity(), messageType: DhcpType.Request };
    const own = this.lease?.address.address;
    switch (this.state) {
      case 'SELECTING': {
        this.secs = Math.floor((this.now - this.began) / 1000);
        const wish = this.previous === undefined ? {} : { requestedAddress: this.previous };
        const options = { ...this.identity(), ...wish, messageType: DhcpType.Discover };
        port.broadcast(this.message({ broadcast: true }, options), none);
        break;
      }
      case 'REQUESTING': {
        if (this.offered === undefined) return;
        const { address: requestedAddress, server: serverId } = this.offered;
        port.broadcast(this.message({ broadcast: true }, { ...request, requestedAddress, serverId }), none);
        break;
      }
      case 'REBOOTING': {
        const wish = this.previous === undefined ? {} : { requestedAddress: this.previous };
        port.broadcast(this.message({ broadcast: true }, { ...request, ...wish }), none);
        break;
      }
      case 'RENEWING':
        if (own !== undefined) port.send(this.message({ ciaddr: own }, request), this.lease?.server ?? none);
        break;
      case 'REBINDING':
        if (own !== undefined) port.broadcast(this.message({ ciaddr: own }, request), own);
        break;
      default:
        return;
    }
    this.retry.arm(this.now + this.patience());
  }

  /** Milliseconds until the message is sent again. */
  private patience(): number {
    if (this.state === 'RENEWING' || this.state === 'REBINDING') {
      // A lease for ever may be renewed all the same, by `renew`.
      const left = Number.isFinite(this.lifetime.deadline) ? this.lifetime.deadline - this.now : 0;
      return Math.max(MIN_RENEWAL_DELAY, left / 2);
    }
    return this.backOff(this.tries);
  }

  private backOff(tries: number): number {
    return Math.min(FIRST_DELAY * 2 ** tries, MAX_DELAY) + (this.env.random.float() * 2 - 1) * JITTER;
  }

  private identity(): DhcpOptions {
    const { hostName, parameterList = PARAMETERS } = this.options;
    return {
      clientId: this.clientId,
      maxMessageSize: 1472,
      parameterList,
      ...(hostName === undefined ? {} : { hostName }),
    };
  }

  private message(fields: Partial<DhcpMessage>, options: DhcpOptions): Uint8Array {
    const { mac } = this.options.port;
    return emitDhcp(dhcpMessage({ request: true, xid: this.xid, secs: this.secs, mac, ...fields, options }));
  }

  // --- receiving

  private received(message: DhcpMessage, from: Ipv4Address): void {
    const { port } = this.options;
    if (message.request || message.xid !== this.xid || !message.mac.equals(port.mac)) return;
    switch (message.options.messageType) {
      case DhcpType.Offer:
        return this.receivedOffer(message);
      case DhcpType.Ack:
        return this.receivedAck(message, from);
      case DhcpType.Nak:
        return this.receivedNak(message);
      default:
    }
  }

  /** The first usable offer is taken. */
  private receivedOffer({ yiaddr, options }: DhcpMessage): void {
    if (this.state !== 'SELECTING' || options.serverId === undefined || !isHost(yiaddr)) return;
    this.offered = { address: yiaddr, server: options.serverId };
    this.state = 'REQUESTING';
    this.tries = 0;
    this.transmit();
  }

  private get isAsking(): boolean {
    const { state } = this;
    return state === 'REQUESTING' || state === 'RENEWING' || state === 'REBINDING' || state === 'REBOOTING';
  }

  /** Whether a message is from the server that we asked. */
  private isFromOurs({ options: { serverId } }: DhcpMessage): boolean {
    return this.state !== 'REQUESTING' || serverId === undefined || this.offered?.server.equals(serverId) === true;
  }

  private receivedAck(message: DhcpMessage, from: Ipv4Address): void {
    if (!this.isAsking || !this.isFromOurs(message)) return;
    const lease = leaseOf(message, this.asked, from);
    if (lease === undefined) return;
    this.refusals = 0;
    this.retry.cancel();
    this.lifetime.cancel();
    const isSame = this.lease?.address.equals(lease.address) === true;
    const mayHaveMoved = this.state === 'REBOOTING';
    if (this.options.claims === undefined || (isSame && !mayHaveMoved)) return this.bind(lease);
    this.state = 'CHECKING';
    if (!isSame) this.replace(undefined, 'refused');
    // Who was told may have stopped us.
    if (!this.isStopped) this.check(lease, () => this.bind(lease));
    return undefined;
  }

  private receivedNak(message: DhcpMessage): void {
    if (!this.isAsking || !this.isFromOurs(message)) return;
    // Servers that refuse again and again are not asked in a tight circle.
    const delay = this.refusals === 0 ? 0 : this.backOff(Math.min(this.refusals - 1, 4));
    this.refusals++;
    this.lose('refused', delay);
  }

  // --- the lease

  /** Looks whether the address of a lease is free; `use` takes it into use. One that is in use already stays so, for the sake of connections. */
  private check(lease: DhcpLease, use: () => void): void {
    const { claims, verifyWithin } = this.options;
    if (claims === undefined) return use();
    const { value } = lease.address.address;
    const told = (free: boolean) => {
      this.cancelProbe = undefined;
      if (!free) return this.decline(lease);
      use();
      return this.isStopped ? undefined : claims.announce(value);
    };
    this.state = 'CHECKING';
    this.cancelProbe = claims.probe(value, told, verifyWithin);
    return undefined;
  }

  private bind(lease: DhcpLease): void {
    const event = this.lease?.address.equals(lease.address) === true ? 'renewed' : 'bound';
    this.offered = undefined;
    this.state = 'BOUND';
    this.replace(lease, event);
    if (!this.isStopped) this.lifetime.arm(lease.renewAt);
  }

  /** Somebody else has the address: the server is told (RFC 2131 3.1 5). */
  private decline({ address, server }: Pick<DhcpLease, 'address' | 'server'>): void {
    const options = {
      messageType: DhcpType.Decline,
      clientId: this.clientId,
      requestedAddress: address.address,
      serverId: server,
    };
    this.newExchange();
    this.options.port.broadcast(this.message({}, options), Ipv4Address.ANY);
    this.lose('conflict', DECLINE_DELAY);
  }

  /** A second host defends the address that we use (RFC 5227 2.4): we are the one to go. */
  private contested({ address, kind }: AddressConflict): void {
    const { lease } = this;
    if (kind === 'persistent' && lease !== undefined && lease.address.address.value === address) this.decline(lease);
  }

  private lose(event: DhcpEvent, delay: number): void {
    this.replace(undefined, event);
    this.previous = undefined;
    this.began = this.now;
    if (!this.isStopped) this.init(delay);
  }

  private replace(lease: DhcpLease | undefined, event: DhcpEvent): void {
    const { configuration, port, claims, fallback, changed } = this.options;
    const before = this.lease;
    if (before === lease) return;
    const moved = before === undefined || lease === undefined || !before.address.equals(lease.address);
    if (before !== undefined && moved) {
      port.setAddress(undefined);
      claims?.release(before.address.address.value);
    }
    this.lease = lease;
    this.previous = lease?.address.address ?? this.previous;
    reconfigure(configuration, before, lease);
    if (lease !== undefined && moved) port.setAddress(lease.address.address);
    if (lease !== undefined) fallback?.stop();
    // Who was told by it that there is a server may have stopped us, which gives this lease back.
    if (this.lease !== lease) return;
    changed?.(lease, event);
  }
}
