/**
 * The addresses of a lease on their interface (RFC 8415 18.2.10.1): verified to be unique before they are used, deprecated and removed in time.
 */

import type { Ipv6Address } from '../core/address.js';
import type { DadVerdict } from '../l2/dad.js';
import type { Dhcpv6LeaseAddress, InterfaceConfiguration6 } from './dhcpv6-lease.js';

/** Verifies that addresses are unique (RFC 4862 5.4). */
export interface AddressDetection {
  /** As `DuplicateAddressDetection.start`. */
  detect(address: Ipv6Address, done: (verdict: DadVerdict) => void, delayed: boolean): () => void;
  /** An address will not be used any more. */
  release(address: Ipv6Address): void;
}

/** Options of {@link LeasedAddresses}. */
export interface LeasedAddressesOptions {
  readonly configuration: InterfaceConfiguration6;
  /** Without it addresses are taken unverified. */
  readonly detection?: AddressDetection | undefined;
  /** All new addresses were verified; somebody else has these. */
  readonly verified: (duplicates: readonly Ipv6Address[]) => void;
}

interface Entry {
  readonly address: Ipv6Address;
  deprecated: boolean;
  /** Stops the verification, while there is one. */
  cancel: (() => void) | undefined;
}

/** See the module. */
export class LeasedAddresses {
  private readonly options: LeasedAddressesOptions;
  private readonly entries = new Map<string, Entry>();
  private duplicates: Ipv6Address[] = [];

  constructor(options: LeasedAddressesOptions) {
    this.options = options;
  }

  /** Whether addresses are still being verified. */
  get busy(): boolean {
    for (const { cancel } of this.entries.values()) if (cancel !== undefined) return true;
    return false;
  }

  /** These are the addresses from now on. Returns whether some are new; `verified` is told of them later, or before this returns. */
  set(addresses: readonly Dhcpv6LeaseAddress[]): boolean {
    const wanted = new Set(addresses.map(({ address }) => address.toString()));
    for (const [key, entry] of this.entries) if (!wanted.has(key)) this.remove(key, entry);
    const { configuration, detection } = this.options;
    const fresh = addresses.filter(({ address }) => !this.entries.has(address.toString()));
    for (const { address } of fresh) {
      this.entries.set(address.toString(), { address, deprecated: false, cancel: undefined });
      configuration.addAddress(address, detection !== undefined);
    }
    if (fresh.length === 0) return false;
    if (detection === undefined) this.options.verified([]);
    else this.verify(fresh, detection);
    return true;
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
      this.options.configuration.setPreferred(address, !deprecated);
    }
    return some;
  }

  clear(): void {
    for (const [key, entry] of this.entries) this.remove(key, entry);
    this.duplicates = [];
  }

  private verify(fresh: readonly Dhcpv6LeaseAddress[], detection: AddressDetection): void {
    // A verdict may come at once, before all have begun.
    const begun = fresh.map(({ address }) => ({ address, entry: this.entries.get(address.toString()) }));
    for (const { entry } of begun) if (entry !== undefined) entry.cancel = () => undefined;
    for (const { address, entry } of begun) {
      if (entry === undefined) continue;
      const cancel = detection.detect(address, (verdict) => this.judged(entry, verdict), false);
      if (entry.cancel !== undefined) entry.cancel = cancel;
    }
  }

  private judged(entry: Entry, verdict: DadVerdict): void {
    const { configuration, verified } = this.options;
    const { address } = entry;
    entry.cancel = undefined;
    if (verdict === 'unique') configuration.confirmAddress(address);
    else {
      this.entries.delete(address.toString());
      this.duplicates.push(address);
      configuration.removeAddress(address);
    }
    if (!this.busy) verified(this.duplicates.splice(0));
  }

  private remove(key: string, { address, cancel }: Entry): void {
    const { configuration, detection } = this.options;
    this.entries.delete(key);
    configuration.removeAddress(address);
    if (cancel === undefined) detection?.release(address);
    else cancel();
  }
}
