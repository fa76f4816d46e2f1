/**
 * A stateless DHCPv6 client (RFC 8415 18.2.6): asks for settings but no addresses, and asks again when they are old. For links whose routers
 * say that there is "other configuration" (RFC 4861 4.2).
 */

import type { Ipv6Address } from '../core/address.js';
import type { Env } from '../core/env.js';
import type { Timer } from '../core/timers.js';
import { Dhcpv6Type, type Dhcpv6Values } from '../wire/dhcpv6.js';
import { type Dhcpv6Option, Dhcpv6OptionCode } from '../wire/dhcpv6-options.js';
import { Dhcpv6Exchange, INFORMATION_TIMES } from './dhcpv6-exchange.js';
import { type InterfaceConfiguration6, optionOf, serverOf, statusOf } from './dhcpv6-lease.js';
import type { Dhcpv6Port } from './dhcpv6-port.js';

/** What a server told. */
export interface Dhcpv6Information {
  readonly dnsServers: readonly Ipv6Address[];
  readonly search: readonly string[];
  /** When it is asked for again, in milliseconds of the clock, or `Infinity`. */
  readonly refreshAt: number;
}

/** Options of {@link Dhcpv6InformationClient}. */
export interface Dhcpv6InformationOptions {
  readonly port: Dhcpv6Port;
  readonly configuration: Pick<InterfaceConfiguration6, 'setDns'>;
  /** Who the client is (RFC 8415 11). */
  readonly duid: Uint8Array;
  /** Is told of each answer; it must not throw. */
  readonly changed?: (information: Dhcpv6Information) => void;
}

// RFC 8415 7.6, in seconds.
const IRT_DEFAULT = 86_400;
const IRT_MINIMUM = 600;
const FOREVER = 0xffff_ffff;
// RFC 8415 21.25: what a server may set INF_MAX_RT to, in seconds.
const LEAST_MAX_RT = 60;
const MOST_MAX_RT = 86_400;

const REQUESTED_OPTIONS: Dhcpv6Option = {
  kind: 'option-request',
  codes: [
    Dhcpv6OptionCode.DnsServers,
    Dhcpv6OptionCode.DomainList,
    Dhcpv6OptionCode.InformationRefreshTime,
    Dhcpv6OptionCode.InfMaxRt,
  ],
};

/** The client of one interface. */
export class Dhcpv6InformationClient {
  information: Dhcpv6Information | undefined = undefined;
  private readonly options: Dhcpv6InformationOptions;
  private readonly env: Env;
  private readonly exchange: Dhcpv6Exchange;
  private readonly refresh: Timer;
  private longest: number = INFORMATION_TIMES.longest ?? Infinity;
  private running = false;

  /** Takes the port over. */
  constructor(options: Dhcpv6InformationOptions, env: Env) {
    this.options = options;
    this.env = env;
    this.exchange = new Dhcpv6Exchange(env);
    this.refresh = env.timers.timer(() => this.ask());
    options.port.received = (message) => this.received(message);
  }

  start(): void {
    if (this.running) return;
    this.running = true;
    this.ask();
  }

  /** Asks again: the link was lost and is back, maybe to another network. */
  linkChanged(): void {
    if (this.running) this.ask();
  }

  /** What was told is not true any more. */
  stop(): void {
    this.running = false;
    this.exchange.cancel();
    this.refresh.cancel();
    if (this.information === undefined) return;
    this.information = undefined;
    this.options.configuration.setDns?.([], []);
  }

  /** Ends for good: stops, and closes the port. */
  dispose(): void {
    this.stop();
    this.options.port.close();
  }

  private ask(): void {
    const { port, duid } = this.options;
    this.refresh.cancel();
    const transmit = (transaction: number, milliseconds: number) => {
      const options: Dhcpv6Option[] = [
        { kind: 'client-id', duid },
        { kind: 'elapsed-time', milliseconds },
        REQUESTED_OPTIONS,
      ];
      port.send({ type: Dhcpv6Type.InformationRequest, transaction, options });
    };
    // Nobody ever gives up looking for a server.
    this.exchange.start({ ...INFORMATION_TIMES, longest: this.longest }, { transmit, failed: () => undefined });
  }

  private received({ type, transaction, options }: Dhcpv6Values): void {
    if (type !== Dhcpv6Type.Reply || transaction !== this.exchange.transaction) return;
    if (serverOf(options, this.options.duid) === undefined) return;
    const limit = optionOf(options, 'inf-max-rt')?.seconds ?? 0;
    if (limit >= LEAST_MAX_RT && limit <= MOST_MAX_RT) this.longest = limit * 1000;
    // It counts at once, and whatever else the message says (RFC 8415 18.2.10).
    this.exchange.limit(this.longest);
    if (statusOf(options) !== 0) return;
    this.exchange.cancel();
    const seconds = optionOf(options, 'information-refresh-time')?.seconds ?? IRT_DEFAULT;
    const refreshAt = seconds === FOREVER ? Infinity : this.env.timers.now() + Math.max(seconds, IRT_MINIMUM) * 1000;
    const dnsServers = optionOf(options, 'dns-servers')?.servers ?? [];
    const search = optionOf(options, 'domain-list')?.domains ?? [];
    this.information = { dnsServers, search, refreshAt };
    this.refresh.arm(refreshAt);
    this.options.configuration.setDns?.(dnsServers, search);
    this.options.changed?.(this.information);
  }
}
