/**
 * The addresses of one Ethernet by IPv4: they are taken into use once nobody has answered for them (RFC 5227 2.1), announced, defended, and
 * given up when another host insists (RFC 5227 2.4).
 */

import type { Cidr, Ipv4Address } from '../core/address.js';
import type { EthernetLink } from '../l2/ethernet-link.js';
import type { IpTables } from './ip-tables.js';

/** What {@link Interface4} tells; see `Interface6Event`. */
export interface Interface4Event {
  readonly kind: 'added' | 'duplicate' | 'failed';
  readonly address: Ipv4Address;
  readonly origin: 'static';
}

/** Options of {@link Interface4}. */
export interface Interface4Options {
  readonly link: EthernetLink;
  readonly tables: IpTables;
  readonly on: (event: Interface4Event) => void;
  /** Longest time that a probe takes, in milliseconds. Default: RFC 5227's seven seconds. */
  readonly within?: number | undefined;
}

/** Verified IPv4 addresses of one Ethernet. */
export class Interface4 {
  private readonly options: Interface4Options;
  private readonly undo: (() => void)[] = [];
  /** The addresses that were verified here, as numbers. */
  private readonly used = new Map<number, Ipv4Address>();

  constructor(options: Interface4Options) {
    this.options = options;
  }

  /** Begins to look out for hosts that use our addresses. */
  start(): void {
    const { claims } = this.options.link.arp;
    this.undo.push(
      claims.observe(({ kind, address }) => {
        const own = this.used.get(address);
        if (own !== undefined && kind === 'persistent') this.lose(own);
      }),
    );
  }

  /** Takes an address into use, and announces it, once it is known that nobody has it; `done` is told. */
  claim(cidr: Cidr<4>, done: (free: boolean) => void = () => {}): void {
    const { link, tables, on, within } = this.options;
    const { claims } = link.arp;
    const { address } = cidr;
    const told = (free: boolean): void => {
      if (free) {
        this.used.set(address.value, address);
        tables.addAddress(link.device, cidr);
        claims.announce(address.value);
        on({ kind: 'added', address, origin: 'static' });
      } else {
        this.gone(address);
      }
      done(free);
    };
    this.undo.push(claims.probe(address.value, told, within));
  }

  /** Calls off what is under way. */
  dispose(): void {
    for (const undo of this.undo.splice(0)) undo();
  }

  private lose(address: Ipv4Address): void {
    const { link, tables } = this.options;
    this.used.delete(address.value);
    link.arp.claims.release(address.value);
    tables.removeAddress(link.device, address);
    this.gone(address);
  }

  private gone(address: Ipv4Address): void {
    const { on } = this.options;
    on({ kind: 'duplicate', address, origin: 'static' });
    on({ kind: 'failed', address, origin: 'static' });
  }
}
