/** How the host of a command gets its addresses, routes and name servers where they are not given: by DHCP, and from routers. */

import { Subscription } from 'rxjs';
import type { IpVersion } from '../lib/core/address.js';
import type { Device } from '../lib/core/device.js';
import type { Env } from '../lib/core/env.js';
import { dhcpv4 } from '../operators/l7/dhcpv4.js';
import { dhcpv6, dhcpv6Information, type Dhcpv6InformationOptions } from '../operators/l7/dhcpv6.js';
import type { AutoconfEvent, VerificationOptions } from '../operators/stack/autoconf.js';
import type { Host } from '../operators/stack/host.js';
import { CommandError, messageOf } from './command.js';
import type { HostValues } from './host-options.js';
import { later } from './later.js';

/** How long a command waits for its address, and how often it looks, in milliseconds. */
const PATIENCE = 20_000;
const STEP = 20;
/** A short cable has nobody else who would take long to object to an IPv4 address, in milliseconds. */
const VERIFY_WITHIN = 1000;
/** Nor do many hosts come up on it at the same moment. */
export const VERIFICATION: VerificationOptions = { within: VERIFY_WITHIN, delay: false };

/** What was configured, and what became of it. */
export interface ConfigurationNews {
  readonly by: 'dhcpv4' | 'dhcpv6' | 'autoconf';
  /** `bound`, `renewed`, `expired`, ...; of addresses `added`, `duplicate`, `removed`, ... */
  readonly event: string;
  readonly addresses: readonly string[];
}

/** See the module. */
export class Configuration {
  private readonly me: Host;
  private readonly device: Device;
  private readonly env: Env;
  private readonly values: HostValues;
  private readonly news: (news: ConfigurationNews) => void;
  private readonly warn: (message: string) => void;
  private readonly leases = new Subscription();
  /** What DHCPv6 is asked for. */
  private asked6: 'nothing' | 'settings' | 'addresses' = 'nothing';
  /** Asks for settings. */
  private settings6: Subscription | undefined = undefined;

  constructor(
    parts: {
      readonly me: Host;
      readonly device: Device;
      readonly values: HostValues;
      readonly news: (news: ConfigurationNews) => void;
      readonly warn: (message: string) => void;
    },
    env: Env,
  ) {
    this.me = parts.me;
    this.device = parts.device;
    this.values = parts.values;
    this.news = parts.news;
    this.warn = parts.warn;
    this.env = env;
    this.me.autoconf.events$.subscribe((event) => this.heard(event));
  }

  /** Once frames can leave. */
  start(): void {
    if (!this.values.dhcp) return;
    const { me, device } = this;
    const resolver = me.nameServers.from('dhcpv4');
    const leases$ = dhcpv4(me, { device, resolver, startDelay: 0, verifyWithin: VERIFY_WITHIN });
    this.leases.add(
      leases$.subscribe({
        next: (event) => {
          const address = event.kind === 'link-local' ? event.address : event.lease?.address;
          this.tell('dhcpv4', event.kind, address === undefined ? [] : [address.toString()]);
        },
        error: (error) => this.warn(`DHCP: ${messageOf(error)}`),
      }),
    );
  }

  /** Gives leases back; returns whether there may have been some. */
  stop(): boolean {
    this.leases.unsubscribe();
    return this.values.dhcp;
  }

  /**
   * Resolves when the given addresses have been verified.
   *
   * @throws CommandError where other hosts have all of them
   */
  async settled(signal: AbortSignal): Promise<void> {
    const { address: given, dhcp, slaac } = this.values;
    await new Promise<void>((resolve) => {
      this.me.autoconf.settled$.subscribe({ complete: resolve });
      signal.addEventListener('abort', () => resolve(), { once: true });
      if (signal.aborted) resolve();
    });
    const { tables } = this.me;
    if (signal.aborted || dhcp || slaac || given.some(({ address }) => tables.isLocal(address))) return;
    throw new CommandError(`other hosts have ${given.map(({ address }) => address.toString()).join(' and ')}`);
  }

  /**
   * Resolves when there is an address to send from, of a version or of any; soon where it is given.
   *
   * @throws CommandError where nobody gives one
   */
  async ready(family: 0 | IpVersion, signal: AbortSignal): Promise<void> {
    await this.settled(signal);
    const { dhcp, slaac } = this.values;
    if (!(family === 4 ? dhcp : family === 6 ? slaac : dhcp || slaac)) return;
    const until = this.env.timers.now() + PATIENCE;
    while (!signal.aborted && !this.hasAddress(family)) {
      if (this.env.timers.now() > until) {
        const version = family === 0 ? '' : `IPv${family} `;
        throw new CommandError(`nobody has given us an ${version}address within ${PATIENCE / 1000} seconds`);
      }
      await later(this.env, STEP);
    }
  }

  /** A link-local IPv6 address leads nowhere, and is there before any other. */
  private hasAddress(family: 0 | IpVersion): boolean {
    const { addresses, addresses6 } = this.me.tables;
    const has4 = addresses.list().length > 0;
    const has6 = addresses6.list().some(({ cidr, tentative }) => !tentative && !cidr.address.isLinkLocal);
    return family === 4 ? has4 : family === 6 ? has6 : has4 || has6;
  }

  private heard(event: AutoconfEvent): void {
    // That a given address is in use is what everybody expects.
    const isExpected = event.kind === 'added' && event.origin === 'static';
    if ('address' in event && !isExpected) this.tell('autoconf', event.kind, [event.address.toString()]);
    if (event.kind !== 'parameters' || !this.values.dhcp) return;
    const { managed, other } = event.parameters;
    // Routers say whether addresses, or other settings only, are to be had (RFC 4861 4.2); each may say more than those before it.
    if (managed && this.asked6 !== 'addresses') this.lease6();
    else if (other && this.asked6 === 'nothing') this.inform6();
  }

  /** Who gives addresses gives the settings, too. */
  private lease6(): void {
    this.asked6 = 'addresses';
    this.settings6?.unsubscribe();
    const leases$ = dhcpv6(this.me, this.options6);
    this.leases.add(
      leases$.subscribe({
        next: ({ kind, lease }) => {
          this.tell('dhcpv6', kind, lease?.addresses.map(({ address }) => address.toString()) ?? []);
        },
        error: this.failed6,
      }),
    );
  }

  private inform6(): void {
    this.asked6 = 'settings';
    this.settings6 = dhcpv6Information(this.me, this.options6).subscribe({ error: this.failed6 });
    this.leases.add(this.settings6);
  }

  private get options6(): Dhcpv6InformationOptions {
    return { device: this.device, resolver: this.me.nameServers.from('dhcpv6') };
  }

  private readonly failed6 = (error: unknown): void => this.warn(`DHCPv6: ${messageOf(error)}`);

  private tell(by: ConfigurationNews['by'], event: string, addresses: readonly string[]): void {
    this.news({ by, event, addresses });
  }
}
