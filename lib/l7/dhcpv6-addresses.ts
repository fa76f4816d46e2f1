/**
 * The addresses of a lease on their interface (RFC 8415 18.2.10.1): verified to be unique before they are used, deprecated and given up in time.
 */

import type { Ipv6Address } from '../core/address.js';
import type { DadVerdict } from '../l2/dad.js';
import type { Dhcpv6LeaseAddress, InterfaceConfiguration6 } from './dhcpv6-lease.js';

interface Entry {
  readonly address: Ipv6Address;
  verdict: DadVerdict | undefined;
  deprecated: boolean;
  giveUp: () => void;
}

/** See the module. */
export class LeasedAddresses {
  private readonly configuration: InterfaceConfiguration6;
  private readonly verified: (duplicates: readonly Ipv6Address[]) => void;
  private readonly entries = new Map<string, Entry>();

  /** `verified` is told when all new addresses were verified; these of them somebody else has. */
  constructor(configuration: InterfaceConfiguration6, verified: (duplicates: readonly Ipv6Address[]) => void) {
    this.configuration = configuration;
    this.verified = verified;
  }

  /** Whether addresses are still being verified. */
  get busy(): boolean {
    for (const { verdict } of this.entries.values()) if (verdict === undefined) return true;
    return false;
  }

  /** These are the addresses from now on. Returns whether some are new; of these `verified` is told later, or before this returns. */
  set(addresses: readonly Dhcpv6LeaseAddress[]): boolean {
    const wanted = new Set(addresses.map(({ address }) => address.toString()));
    for (const [key, entry] of this.entries) if (!wanted.has(key)) this.remove(key, entry);
    const fresh = addresses.filter(({ address }) => !this.entries.has(address.toString()));
    const entries = fresh.map(({ address }): Entry => {
      const entry = { address, verdict: undefined, deprecated: false, giveUp: () => undefined };
      this.entries.set(address.toString(), entry);
      return entry;
    });
    // All are known before the first verdict, which may come at once.
    for (const entry of entries) {
      entry.giveUp = this.configuration.claim(entry.address, (verdict) => this.judged(entry, verdict));
      // It may have been removed by who was told of the verdict, before there was anything to give up.
      const isOurs = this.entries.get(entry.address.toString()) === entry;
      if (!isOurs && entry.verdict !== 'duplicate') entry.giveUp();
    }
    return entries.length > 0;
  }

  /** Deprecates those whose time has come, and undoes that for those that got more; returns whether any is deprecated now. */
  age(addresses: readonly Dhcpv6LeaseAddress[], now: number): boolean {
    let some = false;
    for (const { address, preferredUntil } of addresses) {
      const entry = this.entries.get(address.toString());
      const deprecated = preferredUntil <= now;
      if (entry === undefined || entry.deprecated === deprecated) continue;
      entry.deprecated = deprecated;
      some ||= deprecated;
      this.configuration.setPreferred(address, !deprecated);
    }
    return some;
  }

  clear(): void {
    for (const [key, entry] of this.entries) this.remove(key, entry);
  }

  private judged(entry: Entry, verdict: DadVerdict): void {
    entry.verdict = verdict;
    if (this.busy) return;
    const duplicates = [...this.entries].filter(([, one]) => one.verdict === 'duplicate');
    for (const [key] of duplicates) this.entries.delete(key);
    this.verified(duplicates.map(([, { address }]) => address));
  }

  private remove(key: string, { verdict, giveUp }: Entry): void {
    this.entries.delete(key);
    // Another's address is not ours to give up.
    if (verdict !== 'duplicate') giveUp();
  }
}
