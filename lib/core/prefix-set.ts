/** Sets of IP prefixes of both versions, for rules: whether an address lies in one of them takes as long for a million as for a hundred. */

import { Cidr } from './address.js';
import { PrefixMap } from './prefix-map.js';

const MAPPED = 0xffff;

/** Prefixes of both versions. IPv4 addresses are told by their four words, as `IpAddress.word` and `PacketFields` give them: they are mapped. */
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

  /** Whether the address of these words lies in one of the prefixes. */
  has(a: number, b: number, c: number, d: number): boolean {
    const map = (a | b) === 0 && c === MAPPED ? this.prefixes4 : this.prefixes6;
    return map.lookup(a, b, c, d) >= 0;
  }

  /** Adds a prefix; returns false where it was there. @throws UsageError `ERR_INVALID_ADDRESS` */
  add(prefix: Cidr | string): boolean {
    const { address, length, version } = Cidr.of(prefix);
    const map = version === 4 ? this.prefixes4 : this.prefixes6;
    return map.set(address.word(0), address.word(1), address.word(2), address.word(3), length, 0) < 0;
  }

  /** Removes exactly this prefix; returns whether it was there. @throws UsageError `ERR_INVALID_ADDRESS` */
  delete(prefix: Cidr | string): boolean {
    const { address, length, version } = Cidr.of(prefix);
    const map = version === 4 ? this.prefixes4 : this.prefixes6;
    return map.delete(address.word(0), address.word(1), address.word(2), address.word(3), length) >= 0;
  }

  clear(): void {
    this.prefixes4.clear();
    this.prefixes6.clear();
  }
}
