/**
 * IPv4 link-local addresses (RFC 3927), for when no server answers: a random address of 169.254/16 that nobody has, defended as RFC 5227
 * says, given up for another when somebody else insists on it. The first choice depends on the MAC address alone, so that a host tends to
 * keep its address.
 */

import { Cidr, Ipv4Address, type MacAddress } from '../core/address.js';
import type { Env } from '../core/env.js';
import { SeededRandom } from '../core/random.js';
import type { Timer } from '../core/timers.js';
import type { AddressConflict } from '../l2/arp-claims.js';
import type { AddressClaims } from './dhcpv4-client.js';
import type { InterfaceConfiguration } from './dhcpv4-lease.js';

// RFC 3927 2.1: 169.254.1.0 to 169.254.254.255.
const FIRST = 0xa9fe_0100;
const COUNT = 0xfe00;
const PREFIX = 16;

/** Options of {@link Ipv4LinkLocal}. */
export interface Ipv4LinkLocalOptions {
  readonly mac: MacAddress;
  readonly claims: AddressClaims;
  readonly configuration: Pick<InterfaceConfiguration, 'addAddress' | 'removeAddress'>;
  /** The address of the last time, to begin with. */
  readonly previous?: Ipv4Address;
  /** Is told of each change; must not throw. */
  readonly changed?: (address: Ipv4Address | undefined) => void;
}

/** The link-local address of one interface. */
export class Ipv4LinkLocal {
  /** The address in use. */
  address: Ipv4Address | undefined = undefined;
  private readonly options: Ipv4LinkLocalOptions;
  private readonly random: SeededRandom;
  private readonly env: Env;
  /** Tries the next candidate from a timer: conflicts are told from within the handling of a packet about the old one. */
  private readonly next: Timer;
  private readonly unobserve: () => void;
  private candidate: Ipv4Address;
  private cancelProbe: (() => void) | undefined = undefined;
  private running = false;

  constructor(options: Ipv4LinkLocalOptions, env: Env) {
    const { mac, claims, previous } = options;
    this.options = options;
    this.env = env;
    this.next = env.timers.timer(() => this.probe());
    this.random = new SeededRandom((mac.value % 2 ** 32) ^ Math.floor(mac.value / 2 ** 32));
    this.candidate = previous?.isLinkLocal === true ? previous : this.choose();
    this.unobserve = claims.observe((conflict) => this.contested(conflict));
  }

  start(): void {
    if (this.running) return;
    this.running = true;
    this.probe();
  }

  /**
   * The link was lost and is back, maybe to another network: finds out anew whether the address is free (RFC 3927 2.2). It stays in use
   * meanwhile, for the sake of connections.
   */
  linkChanged(): void {
    if (this.running) this.probe();
  }

  /** Gives the address up: a server was found. It is tried first the next time. */
  stop(): void {
    this.running = false;
    this.next.cancel();
    this.cancelProbe?.();
    this.cancelProbe = undefined;
    this.drop();
  }

  dispose(): void {
    this.stop();
    this.unobserve();
  }

  private choose(): Ipv4Address {
    return new Ipv4Address(FIRST + this.random.below(COUNT));
  }

  private probe(): void {
    const { claims } = this.options;
    const { candidate } = this;
    // Ten conflicts slow the probes down to one a minute (RFC 3927 2.2.1): the claims see to that.
    this.cancelProbe = claims.probe(candidate.value, (free) => {
      this.cancelProbe = undefined;
      if (free) this.take(candidate);
      else this.giveIn();
    });
  }

  private take(address: Ipv4Address): void {
    const { claims, configuration, changed } = this.options;
    const isNew = this.address === undefined;
    this.address = address;
    if (isNew) configuration.addAddress(new Cidr<4>(address, PREFIX));
    claims.announce(address.value);
    if (isNew) changed?.(address);
  }

  /** A second conflict within ten seconds: RFC 3927 2.5 says that we must give in. */
  private contested({ address, kind }: AddressConflict): void {
    if (kind === 'persistent' && this.address?.value === address) this.giveIn();
  }

  /** Somebody else has the address. */
  private giveIn(): void {
    this.drop();
    // Who was told may have stopped us.
    if (!this.running) return;
    this.candidate = this.choose();
    this.next.arm(this.env.timers.now());
  }

  private drop(): void {
    const { address } = this;
    if (address === undefined) return;
    const { claims, configuration, changed } = this.options;
    this.address = undefined;
    claims.release(address.value);
    configuration.removeAddress(address);
    changed?.(undefined);
  }
}
