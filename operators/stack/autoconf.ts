/**
 * How the addresses of a host come to be: given ones, verified first where that is wanted, those made of what routers advertise, and the
 * link-local one. `host()` has one of these; the machines behind it are `Interface4` and `Interface6` of `lib/l3`.
 */

import { AsyncSubject, type Observable, Subject } from 'rxjs';
import { Cidr, type IpAddress, Ipv6Address } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import { EthernetLink } from '../../lib/l2/ethernet-link.js';
import type { IpLink } from '../../lib/l2/link.js';
import { Interface4, type Interface4Event } from '../../lib/l3/interface4.js';
import { type DadSettings, Interface6, type Interface6Event, type SlaacSettings } from '../../lib/l3/interface6.js';
import { eui64Address, randomAddress } from '../../lib/l3/interface-identifiers.js';
import type { IpTables } from '../../lib/l3/ip-tables.js';
import type { Multicast } from '../../lib/l3/multicast.js';
import type { RouterAdvertiserOptions } from '../../lib/l3/router-advertiser.js';

const LINK_LOCAL = Ipv6Address.parse('fe80::');

/** How an interface gets its addresses, and whether it hands some out. All of it is for Ethernet devices only. */
export interface AutoconfOptions {
  /**
   * Make IPv6 addresses of the prefixes that routers advertise, send by these routers, and heed what they say of the link (RFC 4862,
   * RFC 4861 6.3). Default false.
   */
  readonly slaac?: boolean | SlaacSettings;
  /**
   * Use given addresses only after nobody else has been found to have them (RFC 5227 2.1, RFC 4862 5.4), which takes up to seven seconds,
   * and give them up when somebody else has them after all. Default false: they are used at once, and stay. Autoconfigured ones are
   * verified in any case.
   */
  readonly dad?: boolean | VerificationOptions;
  /** Advertise a router (RFC 4861 6.2), that is, ourselves. Not together with `slaac`. Default: none. */
  readonly advertise?: RouterAdvertiserOptions;
}

/** How long verification takes. */
export interface VerificationOptions extends DadSettings {
  /** The longest time that it takes for IPv4, in milliseconds, instead of RFC 5227's seven seconds. */
  readonly within?: number;
}

/** What happens to the addresses of a device, and what its routers say. */
export type AutoconfEvent = (Interface4Event | Interface6Event) & { readonly device: Device };

/** A device, its addresses, and how it gets more. */
export interface AutoconfInterface extends AutoconfOptions {
  readonly device: Device;
  readonly addresses?: readonly (Cidr | string)[];
}

/** An interface that is being managed. */
interface Managed {
  readonly device: Device;
  readonly four: Interface4;
  readonly six: Interface6;
  /** Addresses to verify. */
  readonly claims: readonly Cidr[];
}

/** The addresses of one host. */
export class Autoconf {
  /** What happens to addresses (`added`, `duplicate`, ...), routes, parameters and name servers, from now on. */
  readonly events$: Observable<AutoconfEvent>;
  /** Says once, and completes, when no given address is being verified any more. */
  readonly settled$: Observable<void>;
  private readonly events = new Subject<AutoconfEvent>();
  private readonly settled = new AsyncSubject<void>();
  private readonly managed: readonly Managed[];
  private readonly tables: IpTables;
  private readonly multicast: Multicast | undefined;
  private readonly env: Env;
  private readonly announce: boolean;
  /** Given addresses that are to be verified. */
  private readonly pending: Set<Cidr>;
  private running = false;

  /**
   * Gives each device its addresses; those to be verified come after {@link Autoconf.start}.
   *
   * @throws UsageError `ERR_INVALID_ADDRESS`, `ERR_INVALID_OPTION`
   */
  constructor(
    options: {
      readonly interfaces: readonly AutoconfInterface[];
      readonly links: readonly IpLink[];
      readonly tables: IpTables;
      /** Who tells routers of the groups that addresses bring along. */
      readonly multicast?: Multicast;
      /** What holds for interfaces that do not say otherwise; a single one may also advertise. */
      readonly defaults?: AutoconfOptions;
      /** Whether to tell neighbours of verified IPv6 addresses (RFC 4861 7.2.6). */
      readonly announce?: boolean | undefined;
    },
    env: Env,
  ) {
    const { interfaces, links, tables, multicast, defaults = {}, announce = false } = options;
    this.env = env;
    this.multicast = multicast;
    this.tables = tables;
    this.announce = announce;
    this.events$ = this.events.asObservable();
    this.settled$ = this.settled.asObservable();
    this.managed = interfaces.flatMap(
      (one, index) => this.manage({ ...defaultsFor(one, defaults), ...one }, links[index]) ?? [],
    );
    this.pending = new Set(this.managed.flatMap(({ claims }) => claims));
  }

  /** The IPv6 side of an Ethernet device. */
  interface6(device: Device): Interface6 | undefined {
    return this.managed.find((one) => one.device === device)?.six;
  }

  /** Name servers that routers advertise (RFC 8106), of all devices. */
  get dnsServers(): readonly IpAddress[] {
    return this.managed.flatMap(({ six }) => six.discovery?.dnsServers ?? []);
  }

  /** Search domains that routers advertise (RFC 8106), of all devices. */
  get searchDomains(): readonly string[] {
    return this.managed.flatMap(({ six }) => six.discovery?.searchDomains ?? []);
  }

  /** Begins, once frames can leave. */
  start(): void {
    this.running = true;
    for (const one of this.managed) this.begin(one);
    if (this.pending.size === 0) this.settle();
  }

  /** Ends: no timer is left. */
  dispose(): void {
    this.running = false;
    for (const { four, six } of this.managed) {
      four.dispose();
      six.dispose();
    }
    this.events.complete();
    this.settled.complete();
  }

  /** Where addresses are not asked for, their users are told at once, and may end everything. */
  private begin({ four, six, claims }: Managed): void {
    if (!this.running) return;
    four.start();
    six.start();
    for (const cidr of claims) {
      if (!this.running) return;
      if (isVersion6(cidr)) six.claim(cidr, 'static', () => this.verified(cidr));
      else four.claim(cidr, () => this.verified(cidr));
    }
  }

  private manage(one: AutoconfInterface, link: IpLink | undefined): Managed | undefined {
    const { device, addresses = [], slaac = false, dad = false, advertise } = one;
    const given = addresses.map((address) => Cidr.of(address));
    const isEthernet = link instanceof EthernetLink;
    if (!isEthernet && (slaac !== false || advertise !== undefined)) {
      throw new UsageError('ERR_INVALID_OPTION', `${device.name} is no Ethernet: nobody advertises there`);
    }
    if (slaac !== false && advertise !== undefined) {
      throw new UsageError('ERR_INVALID_OPTION', 'a router does not configure itself from advertisements');
    }
    const wanted = withLinkLocal(given, device, slaac !== false, advertise !== undefined, this.env);
    const claims = isEthernet && dad !== false ? wanted : [];
    if (claims.length === 0) for (const cidr of wanted) this.tables.addAddress(device, cidr);
    if (!isEthernet) return undefined;
    const settings = typeof dad === 'object' ? dad : {};
    const on = (event: Interface4Event | Interface6Event) => this.tell(link, event);
    const six = {
      link,
      tables: this.tables,
      multicast: this.multicast,
      on,
      slaac: slaac === false ? undefined : slaac === true ? {} : slaac,
      dad: settings,
      advertise,
    };
    return {
      device,
      claims,
      four: new Interface4({ link, tables: this.tables, on, within: settings.within }),
      six: new Interface6(six, this.env),
    };
  }

  private tell(link: EthernetLink, event: Interface4Event | Interface6Event): void {
    if (this.announce && event.kind === 'added' && event.address.version === 6) link.ndp.advertise(event.address);
    this.events.next({ ...event, device: link.device });
    if (event.kind !== 'disabled') return;
    // Nobody will tell of what was being verified there.
    const claims = this.managed.find(({ device }) => device === link.device)?.claims ?? [];
    for (const cidr of claims) if (isVersion6(cidr)) this.verified(cidr);
  }

  private verified(cidr: Cidr): void {
    if (this.pending.delete(cidr) && this.pending.size === 0) this.settle();
  }

  private settle(): void {
    this.settled.next();
    this.settled.complete();
  }
}

/** Not every interface of a host that has several is an Ethernet, nor is it to advertise the same. */
function defaultsFor({ device }: AutoconfInterface, { slaac, dad, advertise }: AutoconfOptions): AutoconfOptions {
  return {
    ...(slaac === undefined || device.medium === 'ip' ? {} : { slaac }),
    ...(dad === undefined ? {} : { dad }),
    ...(advertise === undefined ? {} : { advertise }),
  };
}

/**
 * The given addresses, and a link-local one where there is IPv6 but none yet (RFC 4291 2.1): of the MAC address, or random where there is
 * none. With autoconfiguration that makes its own.
 */
function withLinkLocal(
  given: readonly Cidr[],
  device: Device,
  automatic: boolean,
  needed: boolean,
  env: Env,
): readonly Cidr[] {
  const six = given.filter(isVersion6);
  if (automatic || (six.length === 0 && !needed) || six.some(({ address }) => address.isLinkLocal)) return given;
  const { value } = device.mac;
  const address = value === 0 ? randomAddress(LINK_LOCAL, env.random) : eui64Address(LINK_LOCAL, value);
  return [...given, new Cidr<6>(address, 64)];
}

function isVersion6(cidr: Cidr): cidr is Cidr<6> {
  return cidr.version === 6;
}
