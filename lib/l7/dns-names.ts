/** What can be said about names without asking a server: the search list, hosts entries, names of special use (RFC 6761). */

import { type IpAddress, Ipv4Address, Ipv6Address, ipOf, parseIp } from '../core/address.js';
import { canonicalName } from '../wire/dns-name.js';

/** Addresses by name, as in a hosts file. */
export type HostsEntries = Readonly<Record<string, IpAddress | string | readonly (IpAddress | string)[]>>;

/** The names to ask for, in order, for what a user wrote: `ndots` dots make it look complete, a final dot makes it so. */
export function searchNames(name: string, search: readonly string[], ndots: number): string[] {
  if (name.endsWith('.')) return [name];
  const dots = name.split('.').length - 1;
  const longer = search.map((suffix) => (suffix === '.' || suffix === '' ? name : `${name}.${suffix}`));
  const all = dots >= ndots ? [name, ...longer] : [...longer, name];
  return [...new Set(all)];
}

/** The name under which the PTR record of an address is (RFC 1035 3.5, RFC 3596 2.5). */
export function reverseName(address: IpAddress): string {
  if (address.version === 4) return `${address.toString().split('.').toReversed().join('.')}.in-addr.arpa`;
  const hex = ([0, 1, 2, 3] as const).map((index) => address.word(index).toString(16).padStart(8, '0')).join('');
  return `${hex.split('').toReversed().join('.')}.ip6.arpa`;
}

/** A literal address read, or `undefined` for a name. */
export function literalAddress(name: string): IpAddress | undefined {
  if (!/^[\d.]+$|:/.test(name)) return undefined;
  try {
    return parseIp(name);
  } catch {
    return undefined;
  }
}

/** Names that are known here, and never asked for. */
export class LocalNames {
  private readonly byName = new Map<string, IpAddress[]>();
  private readonly byAddress = new Map<string, string[]>();

  /** @throws UsageError `ERR_INVALID_ADDRESS` */
  constructor(hosts: HostsEntries = {}) {
    for (const [name, written] of Object.entries(hosts)) {
      const addresses = Array.isArray(written) ? (written as readonly (IpAddress | string)[]) : [written as IpAddress];
      const read = addresses.map(ipOf);
      this.byName.set(canonicalName(name), read);
      for (const address of read) {
        const names = this.byAddress.get(address.toString());
        if (names === undefined) this.byAddress.set(address.toString(), [name]);
        else names.push(name);
      }
    }
  }

  /** The addresses of a name; an empty list for one that cannot exist; `undefined` for one to ask servers about. */
  addresses(name: string): readonly IpAddress[] | undefined {
    const canonical = canonicalName(name);
    const known = this.byName.get(canonical);
    if (known !== undefined) return known;
    // RFC 6761 6.3 and 6.4: localhost is here, and nobody is at invalid.
    if (/(?:^|\.)localhost$/.test(canonical)) return [Ipv4Address.LOOPBACK, Ipv6Address.LOOPBACK];
    return /(?:^|\.)invalid$/.test(canonical) ? [] : undefined;
  }

  names(address: IpAddress): readonly string[] | undefined {
    const known = this.byAddress.get(address.toString());
    return known ?? (address.isLoopback ? ['localhost'] : undefined);
  }
}
