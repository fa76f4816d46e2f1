/** What a DHCPv6 reply grants (RFC 8415 18.2.10), and how it is brought to an interface. */

import { Cidr, type Ipv6Address } from '../core/address.js';
import type { Device } from '../core/device.js';
import type { DadVerdict } from '../l2/dad.js';
import type { IpTables } from '../l3/ip-tables.js';
import type { DnsSettings } from './dns-sources.js';
import type { Dhcpv6Association, Dhcpv6Option } from '../wire/dhcpv6-options.js';

/** An address of a lease. Times are in milliseconds of the environment's clock; `Infinity` for never. */
export interface Dhcpv6LeaseAddress {
  readonly address: Ipv6Address;
  /** From then on it is not for new conversations. */
  readonly preferredUntil: number;
  readonly validUntil: number;
}

/** A lease: the addresses of one association, and the settings that came with them. */
export interface Dhcpv6Lease {
  readonly addresses: readonly Dhcpv6LeaseAddress[];
  /** DUID of the server. */
  readonly server: Uint8Array;
  /** T1: ask the server to extend it. */
  readonly renewAt: number;
  /** T2: ask any server. */
  readonly rebindAt: number;
  readonly dnsServers: readonly Ipv6Address[];
  readonly search: readonly string[];
}

const FOREVER = 0xffff_ffff;
/** So many addresses of one association are taken, and kept. */
const MAX_ADDRESSES = 16;
/** T1 may not make a storm of packets (RFC 8415 14.2), whoever chooses it; in milliseconds. */
const SOONEST = 10_000;

/** The options that may be of kind `K`. */
export type Dhcpv6OptionOf<K, O = Dhcpv6Option> = O extends { readonly kind: infer Kinds }
  ? K extends Kinds
    ? O
    : never
  : never;

/** The options of one kind. */
export function optionsOf<K extends Dhcpv6Option['kind']>(
  options: readonly Dhcpv6Option[],
  kind: K,
): Dhcpv6OptionOf<K>[] {
  return options.filter((one) => one.kind === kind) as Dhcpv6OptionOf<K>[];
}

/** The first option of a kind. */
export function optionOf<K extends Dhcpv6Option['kind']>(
  options: readonly Dhcpv6Option[],
  kind: K,
): Dhcpv6OptionOf<K> | undefined {
  return optionsOf(options, kind)[0];
}

/** The status that options say; without one it is success (RFC 8415 21.13). */
export function statusOf(options: readonly Dhcpv6Option[]): number {
  return optionOf(options, 'status')?.code ?? 0;
}

/** The server that sent a message for the client of this DUID; `undefined` if it does not say that it is (RFC 8415 16.3, 16.10). */
export function serverOf(options: readonly Dhcpv6Option[], client: Uint8Array): Uint8Array | undefined {
  const server = optionOf(options, 'server-id')?.duid;
  const named = optionOf(options, 'client-id')?.duid;
  const isOurs = named?.length === client.length && named.every((byte, at) => byte === client[at]);
  return isOurs && server !== undefined && server.length > 0 ? server : undefined;
}

/** Our association in a message, unless it is nonsense (RFC 8415 21.4). */
export function associationOf(options: readonly Dhcpv6Option[], iaid: number): Dhcpv6Association | undefined {
  const found = options.find((one): one is Dhcpv6Association => one.kind === 'ia-na' && one.iaid === iaid);
  return found === undefined || (found.t2 > 0 && found.t1 > found.t2) ? undefined : found;
}

/** The addresses that an association holds now; those that end at once are told with `validUntil` of now. */
export function addressesOf(association: Dhcpv6Association, now: number): Dhcpv6LeaseAddress[] {
  const end = (seconds: number) => (seconds === FOREVER ? Infinity : now + seconds * 1000);
  return optionsOf(association.options, 'ia-address')
    .filter(({ address, preferredLifetime, validLifetime, options }) => {
      const isHost = !address.isMulticast && !address.isUnspecified && !address.isLoopback && !address.isLinkLocal;
      return isHost && preferredLifetime <= validLifetime && statusOf(options) === 0;
    })
    .slice(0, MAX_ADDRESSES)
    .filter(({ address }, at, all) => all.findIndex((other) => other.address.equals(address)) === at)
    .map(({ address, preferredLifetime, validLifetime }) => {
      return { address, preferredUntil: end(preferredLifetime), validUntil: end(validLifetime) };
    });
}

/**
 * The lease that a reply makes of an earlier one: addresses that it does not speak of stay as they are, those with no lifetime left go
 * (RFC 8415 18.2.10.1). Where they are too many together, those that it speaks of come first.
 */
export function leaseOfReply(
  options: readonly Dhcpv6Option[],
  association: Dhcpv6Association,
  server: Uint8Array,
  before: Dhcpv6Lease | undefined,
  now: number,
): Dhcpv6Lease {
  const told = addressesOf(association, now);
  const isTold = (one: Dhcpv6LeaseAddress) => told.some(({ address }) => address.equals(one.address));
  const lasts = ({ validUntil }: Dhcpv6LeaseAddress) => validUntil > now;
  const granted = told.filter(lasts);
  const kept = (before?.addresses ?? []).filter((one) => lasts(one) && !isTold(one));
  const addresses = [...kept.slice(0, MAX_ADDRESSES - granted.length), ...granted];
  const firstEnd = addresses.reduce((least, { validUntil }) => Math.min(least, validUntil), Infinity) - now;
  // T1 and T2 of zero leave it to us: RFC 8415 14.2 and 21.4 suggest these parts of the shortest preferred lifetime, of those that the server
  // is to extend: not of an address that it lets go.
  const preferred = addresses.map(({ preferredUntil }) => preferredUntil - now).filter((time) => time > 0);
  const shortest = preferred.length > 0 ? Math.min(...preferred) : firstEnd;
  const soonest = Math.min(SOONEST, firstEnd * 0.5); // in time for addresses that end soon
  const at = (seconds: number, otherwise: number) =>
    now + (seconds === FOREVER ? Infinity : Math.max(seconds === 0 ? otherwise : seconds * 1000, soonest));
  const rebindAt = at(association.t2, shortest * 0.8);
  return {
    addresses,
    server,
    renewAt: Math.min(at(association.t1, shortest * 0.5), rebindAt),
    rebindAt,
    dnsServers: optionOf(options, 'dns-servers')?.servers ?? [],
    search: optionOf(options, 'domain-list')?.domains ?? [],
  };
}

/** An interface that gets addresses and settings by DHCPv6. */
export interface InterfaceConfiguration6 {
  /**
   * Takes an address into use once nobody else is known to have it, which `done` is told, maybe at once; unless the returned function, which
   * gives the address up, is called before.
   */
  claim(address: Ipv6Address, done: (verdict: DadVerdict) => void): () => void;
  /** Whether it is for new conversations. */
  setPreferred(address: Ipv6Address, preferred: boolean): void;
  setDns?(servers: readonly Ipv6Address[], search: readonly string[]): void;
}

/** Verifies addresses before they are used; an `Interface6` does. */
export interface Claims6 {
  claim(cidr: Cidr<6>, origin: 'dhcp', done: (verdict: DadVerdict) => void, delayed: boolean): () => void;
}

/**
 * Configures a device of a host, and a resolver where there is one. An address comes without the network around it: which prefixes
 * are on the link routers say (RFC 8415 18.2.10.1).
 *
 * @param claims without it addresses are taken unverified
 */
export function configuration6Of(
  tables: IpTables,
  device: Device,
  claims?: Claims6,
  resolver?: DnsSettings<Ipv6Address>,
): InterfaceConfiguration6 {
  const { addresses6 } = tables;
  return {
    claim(address, done) {
      const cidr = new Cidr<6>(address, 128);
      // What the user gave us, or we made ourselves, is not DHCP's to take away.
      const isThere = addresses6.find(device, address) !== undefined;
      if (!isThere && claims !== undefined) return claims.claim(cidr, 'dhcp', done, false);
      if (!isThere) tables.addAddress(device, cidr);
      done('unique');
      return () => {
        if (!isThere) tables.removeAddress(device, address);
      };
    },
    setPreferred: (address, preferred) => void addresses6.update(device, address, { deprecated: !preferred }),
    setDns: (servers, search) => resolver?.setServers(servers, search),
  };
}
