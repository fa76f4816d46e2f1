/**
 * A DHCPv6 client (RFC 8415 18.2) for the addresses of one association (IA_NA): finds a server, takes what it offers, verifies that nobody has
 * it, keeps it by renewing, gives it back. Lifetimes of addresses run whatever servers do: an address is deprecated, and in the end
 * removed.
 *
 * Left out: prefix delegation, temporary addresses (IA_TA; RFC 8981 has better ones), Reconfigure, authentication, unicast to servers.
 */

import type { Ipv6Address } from '../core/address.js';
import type { Env } from '../core/env.js';
import type { Timer } from '../core/timers.js';
import { Dhcpv6Type, type Dhcpv6Values } from '../wire/dhcpv6.js';
import { type Dhcpv6Option, Dhcpv6OptionCode, Dhcpv6Status } from '../wire/dhcpv6-options.js';
import { LeasedAddresses } from './dhcpv6-addresses.js';
import {
  CONFIRM_TIMES,
  DECLINE_TIMES,
  Dhcpv6Exchange,
  type Dhcpv6Times,
  REBIND_TIMES,
  RELEASE_TIMES,
  RENEW_TIMES,
  REQUEST_TIMES,
  SOL_MAX_RT,
  SOLICIT_TIMES,
} from './dhcpv6-exchange.js';
import {
  addressesOf,
  associationOf,
  type Dhcpv6Lease,
  type InterfaceConfiguration6,
  leaseOfReply,
  optionOf,
  serverOf,
  statusOf,
} from './dhcpv6-lease.js';
import type { Dhcpv6Port } from './dhcpv6-port.js';

/** What the client is doing; the names of RFC 8415's messages. */
export type Dhcpv6State =
  | 'STOPPED'
  | 'SOLICITING'
  | 'REQUESTING'
  | 'BOUND'
  | 'RENEWING'
  | 'REBINDING'
  | 'CONFIRMING'
  | 'DECLINING'
  | 'RELEASING';

/**
 * Why the lease changed. `bound`: there are new addresses that may be used; `renewed`: the same for longer; `deprecated`: some of them are
 * not for new conversations any more; `conflict`: somebody else has one, which is gone.
 */
export type Dhcpv6Change =
  | 'bound'
  | 'renewed'
  | 'deprecated'
  | 'expired'
  | 'refused'
  | 'conflict'
  | 'released'
  | 'stopped';

/** Options of {@link Dhcpv6Client}. */
export interface Dhcpv6ClientOptions {
  readonly port: Dhcpv6Port;
  readonly configuration: InterfaceConfiguration6;
  /** Who the client is (RFC 8415 11), for ever; `duidOfMac` makes one. */
  readonly duid: Uint8Array;
  /** Which of the client's interfaces this is, for ever: 32 bits. */
  readonly iaid: number;
  /** Accept addresses of the first message already, where a server wants that (RFC 8415 18.2.1). Default true. */
  readonly rapidCommit?: boolean;
  /** Is told of each change; it must not throw. */
  readonly changed?: (lease: Dhcpv6Lease | undefined, change: Dhcpv6Change) => void;
}

interface Advertisement {
  readonly server: Uint8Array;
  readonly preference: number;
  readonly addresses: readonly Ipv6Address[];
}

// RFC 8415 21.24: what a server may set SOL_MAX_RT to, in seconds.
const LEAST_MAX_RT = 60;
const MOST_MAX_RT = 86_400;
/** Preference of a server that need not be compared with others (RFC 8415 18.2.1). */
const BEST = 255;
/** Before asking again where a server refused, or gave what others have, in milliseconds. */
const PAUSE = 10_000;

const REQUESTED_OPTIONS: Dhcpv6Option = {
  kind: 'option-request',
  codes: [Dhcpv6OptionCode.DnsServers, Dhcpv6OptionCode.DomainList, Dhcpv6OptionCode.SolMaxRt],
};

/** The client of one interface. */
export class Dhcpv6Client {
  state: Dhcpv6State = 'STOPPED';
  /** The addresses that we have, those that are still being verified included. */
  lease: Dhcpv6Lease | undefined = undefined;
  private readonly options: Dhcpv6ClientOptions;
  private readonly env: Env;
  private readonly exchange: Dhcpv6Exchange;
  private readonly aging: Timer;
  private readonly addresses: LeasedAddresses;
  private best: Advertisement | undefined = undefined;
  private maxSolicit = SOL_MAX_RT;
  private finished: (() => void) | undefined = undefined;

  /** Takes the port over. */
  constructor(options: Dhcpv6ClientOptions, env: Env) {
    const { configuration, port } = options;
    this.options = options;
    this.env = env;
    this.exchange = new Dhcpv6Exchange(env);
    this.aging = env.timers.timer(() => this.age());
    this.addresses = new LeasedAddresses(configuration, (duplicates) => this.verified(duplicates));
    port.received = (message) => this.received(message);
  }

  start(): void {
    if (this.state === 'STOPPED') this.solicit(0);
  }

  /** Stops without a word to the server: the addresses go. */
  stop(): void {
    this.drop('stopped');
    this.end();
  }

  /** Gives the addresses back, which are gone at once; `done` is told when the server knows, or cannot be reached (RFC 8415 18.2.7). */
  release(done: () => void = () => undefined): void {
    const { lease } = this;
    this.drop('released');
    this.end();
    if (lease === undefined) return done();
    this.finished = done;
    this.state = 'RELEASING';
    const addresses = lease.addresses.map(({ address }) => address);
    const content = () => [serverId(lease.server), this.association(addresses)];
    return this.begin(RELEASE_TIMES, Dhcpv6Type.Release, content, () => this.end());
  }

  /** Asks to extend the lease now, before its time. */
  renew(): void {
    if (this.state === 'BOUND') this.extend('RENEWING');
  }

  /** The link was lost and is back: asks whether the addresses still are good there (RFC 8415 18.2.3). */
  linkChanged(): void {
    const { lease, state } = this;
    if (state === 'STOPPED' || state === 'RELEASING') return;
    if (lease === undefined) return this.solicit(0);
    this.state = 'CONFIRMING';
    // Nobody who knows better answers: the addresses may be used as long as they live.
    this.begin(
      CONFIRM_TIMES,
      Dhcpv6Type.Confirm,
      () => [this.ours()],
      () => this.settle(),
    );
    this.armAging();
  }

  /** Ends for good: stops, and closes the port. */
  dispose(): void {
    this.stop();
    this.options.port.close();
  }

  private get now(): number {
    return this.env.timers.now();
  }

  private get isStopped(): boolean {
    return this.state === 'STOPPED';
  }

  private end(): void {
    const { finished } = this;
    this.exchange.cancel();
    this.aging.cancel();
    this.state = 'STOPPED';
    this.finished = undefined;
    finished?.();
  }

  // --- sending

  /** Begins an exchange of messages of a type; `content` is what comes besides who we are. */
  private begin(
    times: Dhcpv6Times,
    type: number,
    content: () => readonly Dhcpv6Option[],
    failed: () => void,
    delay = 0,
  ): void {
    const { port, duid } = this.options;
    const transmit = (transaction: number, milliseconds: number) => {
      const own: Dhcpv6Option[] = [
        { kind: 'client-id', duid },
        { kind: 'elapsed-time', milliseconds },
      ];
      port.send({ type, transaction, options: [...own, ...content()] });
    };
    this.exchange.start(times, { transmit, failed, waited: () => this.waited() }, delay);
  }

  private solicit(delay: number): void {
    this.best = undefined;
    this.state = 'SOLICITING';
    const { rapidCommit = true } = this.options;
    const rapid: readonly Dhcpv6Option[] = rapidCommit ? [{ kind: 'rapid-commit' }] : [];
    const content = () => [...rapid, this.association([]), REQUESTED_OPTIONS];
    // Nobody ever gives up looking for a server.
    const times = { ...SOLICIT_TIMES, longest: this.maxSolicit };
    this.begin(times, Dhcpv6Type.Solicit, content, () => undefined, delay);
  }

  private request(server: Uint8Array, addresses: readonly Ipv6Address[]): void {
    this.state = 'REQUESTING';
    const content = () => [serverId(server), this.association(addresses), REQUESTED_OPTIONS];
    this.begin(REQUEST_TIMES, Dhcpv6Type.Request, content, () => this.unanswered());
  }

  /** The server that advertised does not answer. Addresses that we have all the same are rebound. */
  private unanswered(): void {
    if (this.lease === undefined) this.solicit(0);
    else this.extend('REBINDING');
  }

  /** `RENEWING`: asks the server that gave the lease, until T2. `REBINDING`: asks any, until the last address ends. */
  private extend(wanted: 'RENEWING' | 'REBINDING'): void {
    const { lease } = this;
    if (lease === undefined) return;
    const isRenewal = wanted === 'RENEWING' && this.now < lease.rebindAt;
    this.state = isRenewal ? 'RENEWING' : 'REBINDING';
    const whom = isRenewal ? [serverId(lease.server)] : [];
    const type = isRenewal ? Dhcpv6Type.Renew : Dhcpv6Type.Rebind;
    const content = () => [...whom, this.ours(), REQUESTED_OPTIONS];
    this.begin(isRenewal ? RENEW_TIMES : REBIND_TIMES, type, content, () => undefined);
    this.armAging();
  }

  /** Somebody else has these addresses: the server is told (RFC 8415 18.2.8). */
  private decline(lease: Dhcpv6Lease, duplicates: readonly Ipv6Address[]): void {
    const { configuration, changed } = this.options;
    const addresses = lease.addresses.filter(({ address }) => !duplicates.some((one) => one.equals(address)));
    this.lease = addresses.length === 0 ? undefined : { ...lease, addresses };
    if (this.lease === undefined) configuration.setDns?.([], []);
    this.state = 'DECLINING';
    const content = () => [serverId(lease.server), this.association(duplicates)];
    this.begin(DECLINE_TIMES, Dhcpv6Type.Decline, content, () => this.settle());
    this.armAging();
    changed?.(this.lease, 'conflict');
  }

  /** Nothing is to be asked for now; unless we have nothing. */
  private settle(): void {
    this.exchange.cancel();
    if (this.lease === undefined) return this.solicit(PAUSE);
    this.state = 'BOUND';
    return this.age();
  }

  /** Our association with these addresses. Times are left to the server (RFC 8415 21.4, 21.6). */
  private association(addresses: readonly Ipv6Address[]): Dhcpv6Option {
    const options = addresses.map((address): Dhcpv6Option => {
      return { kind: 'ia-address', address, preferredLifetime: 0, validLifetime: 0, options: [] };
    });
    return { kind: 'ia-na', iaid: this.options.iaid, t1: 0, t2: 0, options };
  }

  /** Our association with the addresses that we have. */
  private ours(): Dhcpv6Option {
    return this.association((this.lease?.addresses ?? []).map(({ address }) => address));
  }

  // --- receiving

  private received({ type, transaction, options }: Dhcpv6Values): void {
    if (transaction !== this.exchange.transaction) return;
    const server = serverOf(options, this.options.duid);
    if (server === undefined) return;
    const seconds = optionOf(options, 'sol-max-rt')?.seconds ?? 0;
    if (seconds >= LEAST_MAX_RT && seconds <= MOST_MAX_RT) this.maxSolicit = seconds * 1000;
    // It counts at once, and whatever else the message says (RFC 8415 18.2.9).
    if (this.state === 'SOLICITING') this.exchange.limit(this.maxSolicit);
    if (type === Dhcpv6Type.Advertise) this.receivedAdvertise(options, server);
    else if (type === Dhcpv6Type.Reply) this.receivedReply(options, server);
  }

  /** Servers are compared until the first wait is over; afterwards the first one is taken (RFC 8415 18.2.1). */
  private receivedAdvertise(options: readonly Dhcpv6Option[], server: Uint8Array): void {
    if (this.state !== 'SOLICITING' || statusOf(options) !== Dhcpv6Status.Success) return;
    const association = associationOf(options, this.options.iaid);
    if (association === undefined || statusOf(association.options) !== Dhcpv6Status.Success) return;
    const living = addressesOf(association, this.now).filter(({ validUntil }) => validUntil > this.now);
    if (living.length === 0) return;
    const addresses = living.map(({ address }) => address);
    const preference = optionOf(options, 'preference')?.value ?? 0;
    if (this.best === undefined || preference > this.best.preference) this.best = { server, preference, addresses };
    if (preference === BEST || this.exchange.sent > 1) this.choose();
  }

  /** The wait for answers to a message is over. */
  private waited(): void {
    if (this.state === 'SOLICITING') this.choose();
  }

  private choose(): void {
    const { best } = this;
    this.best = undefined;
    if (best !== undefined) this.request(best.server, best.addresses);
  }

  private receivedReply(options: readonly Dhcpv6Option[], server: Uint8Array): void {
    switch (this.state) {
      case 'SOLICITING':
        if (this.options.rapidCommit === false || optionOf(options, 'rapid-commit') === undefined) return undefined;
        return this.granted(options, server);
      case 'REQUESTING':
      case 'RENEWING':
      case 'REBINDING':
        return this.granted(options, server);
      case 'CONFIRMING':
        return statusOf(options) === Dhcpv6Status.NotOnLink ? this.lose('refused', 0) : this.settle();
      case 'DECLINING':
        return this.settle();
      case 'RELEASING':
        // Whatever the server thinks of it (RFC 8415 18.2.10.2).
        return this.end();
      default:
        return undefined;
    }
  }

  private granted(options: readonly Dhcpv6Option[], server: Uint8Array): void {
    const association = associationOf(options, this.options.iaid);
    const status = statusOf(options) || statusOf(association?.options ?? []);
    if (status !== Dhcpv6Status.Success) return this.denied(status, server);
    // Where it says nothing of our addresses, the message goes on to be sent, ever more rarely (RFC 8415 18.2.10.1).
    if (association === undefined || addressesOf(association, this.now).length === 0) return undefined;
    const lease = leaseOfReply(options, association, server, this.lease, this.now);
    return lease.addresses.length > 0 ? this.adopt(lease) : this.lose('expired', PAUSE);
  }

  private denied(status: number, server: Uint8Array): void {
    switch (status) {
      case Dhcpv6Status.UnspecFail:
      case Dhcpv6Status.UseMulticast:
        // The message goes on to be sent (RFC 8415 18.2.10).
        return undefined;
      case Dhcpv6Status.NotOnLink:
        return this.lose('refused', PAUSE);
      case Dhcpv6Status.NoBinding: {
        // The server has forgotten us, or never knew: it may give us what we have (RFC 8415 18.2.10.1).
        const addresses = (this.lease?.addresses ?? []).map(({ address }) => address);
        return this.state === 'REQUESTING' ? undefined : this.request(server, addresses);
      }
      default:
        // It has none to give. What we have we keep asking for, maybe of others in time.
        return this.lease === undefined ? this.solicit(PAUSE) : undefined;
    }
  }

  // --- the lease

  private adopt(lease: Dhcpv6Lease): void {
    const { configuration, changed } = this.options;
    this.exchange.cancel();
    this.state = 'BOUND';
    this.lease = lease;
    configuration.setDns?.(lease.dnsServers, lease.search);
    if (!this.addresses.set(lease.addresses) && !this.addresses.busy) changed?.(lease, 'renewed');
    // Who was told may have stopped us, or somebody else has it.
    if (this.lease === lease) this.age();
  }

  private verified(duplicates: readonly Ipv6Address[]): void {
    const { lease } = this;
    if (lease === undefined) return;
    if (duplicates.length > 0) this.decline(lease, duplicates);
    else this.options.changed?.(lease, 'bound');
  }

  /** Time passes: addresses are deprecated and end, the lease is to be extended. */
  private age(): void {
    const { lease, now, state } = this;
    if (lease === undefined) return undefined;
    const addresses = lease.addresses.filter(({ validUntil }) => validUntil > now);
    if (addresses.length === 0) return this.lose('expired', 0);
    if (addresses.length < lease.addresses.length) {
      this.lease = { ...lease, addresses };
      this.addresses.set(addresses);
      this.options.changed?.(this.lease, 'expired');
    }
    if (this.addresses.age(addresses, now)) this.options.changed?.(this.lease, 'deprecated');
    if (state === 'BOUND' && now >= lease.renewAt) return this.extend('RENEWING');
    if (state === 'RENEWING' && now >= lease.rebindAt) return this.extend('REBINDING');
    return this.armAging();
  }

  private armAging(): void {
    const { lease, now, state } = this;
    const ends = (lease?.addresses ?? []).flatMap(({ preferredUntil, validUntil }) => [preferredUntil, validUntil]);
    if (lease !== undefined && state === 'BOUND') ends.push(lease.renewAt);
    if (lease !== undefined && state === 'RENEWING') ends.push(lease.rebindAt);
    // What is past has been seen to.
    this.aging.arm(Math.min(...ends.filter((at) => at > now)));
  }

  private lose(change: Dhcpv6Change, delay: number): void {
    this.drop(change);
    // Who was told may have stopped us.
    if (!this.isStopped) this.solicit(delay);
  }

  private drop(change: Dhcpv6Change): void {
    const { lease } = this;
    this.exchange.cancel();
    this.aging.cancel();
    this.addresses.clear();
    if (lease === undefined) return;
    this.lease = undefined;
    this.options.configuration.setDns?.([], []);
    this.options.changed?.(undefined, change);
  }
}

function serverId(duid: Uint8Array): Dhcpv6Option {
  return { kind: 'server-id', duid };
}
