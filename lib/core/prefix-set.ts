/** Sets of IP prefixes of both versions, for rules: whether an address lies in one of them takes as long for a million as for a hundred. */

import { Cidr, type IpVersion } from './address.js';
import { PrefixMap } from './prefix-map.js';

/**
 * Prefixes of both versions. Addresses are asked for by four words, as `IpAddress.word` and `PacketFields` give them: those of IPv4 are mapped. Of which
 * version an address is has to be said, since one of IPv6 may be a mapped one, too.
 */
export class PrefixSet {
  private readonly prefixes4 = new PrefixMap(4);
  private readonly prefixes6 = new PrefixMap(6);

  /** A set of these prefixes. @throws UsageError `ERR_INVALID_ADDRESS` */
  static of(prefixes: Iterable<Cidr | string>): PrefixSet {
    const set = new PrefixSet();
    for (const prefix of prefixes) set.add(prefix);
    return set;
  }

  get size(): number {
    return this.prefixes4.size + this.prefixes6.size;
  }

  /** Bytes that it takes. */
  get bytes(): number {
    return this.prefixes4.bytes + this.prefixes6.bytes;
  }

  /** Whether the address of these words, signed or not, lies in one of the prefixes of its version. */
  has(version: IpVersion, a: number, b: number, c: number, d: number): boolean {
    return this.mapOf(version).lookup(a, b, c, d) >= 0;
  }

  /** Adds a prefix; returns false where it was there. @throws UsageError `ERR_INVALID_ADDRESS` */
  add(prefix: Cidr | string): boolean {
    const { address, length, version } = Cidr.of(prefix);
    const map = this.mapOf(version);
    return map.set(address.word(0), address.word(1), address.word(2), address.word(3), length, 0) < 0;
  }

  /** Removes exactly this prefix; returns whether it was there. @throws UsageError `ERR_INVALID_ADDRESS` */
  delete(prefix: Cidr | string): boolean {
    const { address, length, version } = Cidr.of(prefix);
    const map = this.mapOf(version);
    return map.delete(address.word(0), address.word(1), address.word(2), address.word(3), length) >= 0;
  }

  clear(): void {
    this.prefixes4.clear();
    this.prefixes6.clear();
  }

  private mapOf(version: IpVersion): PrefixMap {
    return version === 4 ? this.prefixes4 : this.prefixes6;
  }
}
