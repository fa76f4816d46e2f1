/** Explicit address mappings (RFC 7757): which IPv4 network is which IPv6 network, each address of one the address at the same place of the other. */

import { Cidr } from '../../core/address.js';
import { UsageError } from '../../core/errors.js';

/** One pair of networks. The IPv6 one has at least as many host bits as the IPv4 one: what is behind these is 0. */
export interface AddressMapping {
  readonly ipv4: Cidr | string;
  readonly ipv6: Cidr | string;
}

/** A pair as numbers; words are signed. */
class Pair {
  readonly network4: number;
  readonly mask4: number;
  readonly length4: number;
  readonly length6: number;
  readonly network6: Int32Array;
  readonly mask6: Int32Array;

  constructor(ipv4: Cidr, ipv6: Cidr) {
    this.length4 = ipv4.length;
    this.length6 = ipv6.length;
    this.mask4 = maskWord(ipv4.length, 0);
    this.network4 = ipv4.network.word(3) | 0;
    this.mask6 = Int32Array.from({ length: 4 }, (_, index) => maskWord(ipv6.length, index));
    const { network } = ipv6;
    this.network6 = Int32Array.of(network.word(0), network.word(1), network.word(2), network.word(3));
  }

  /** Word `index` of the IPv6 address of an IPv4 one: its host bits stand right behind the prefix. */
  word(index: number, ipv4: number): number {
    const suffix = ipv4 & ~this.mask4;
    const bits = 32 - this.length4;
    // The last bit of the suffix is this many bits in front of the end of the word.
    const shift = 32 * (index + 1) - (this.length6 + bits);
    const part = shift >= 32 || shift <= -32 ? 0 : shift >= 0 ? suffix << shift : suffix >>> -shift;
    return (this.network6[index] ?? 0) | part;
  }

  has(a: number, b: number, c: number, d: number): boolean {
    const { mask6, network6 } = this;
    return (
      (a & (mask6[0] ?? 0)) === network6[0] &&
      (b & (mask6[1] ?? 0)) === network6[1] &&
      (c & (mask6[2] ?? 0)) === network6[2] &&
      (d & (mask6[3] ?? 0)) === network6[3]
    );
  }

  /** The IPv4 address of an IPv6 one of this network. */
  ipv4(a: number, b: number, c: number, d: number): number {
    let suffix = 0;
    const bits = 32 - this.length4;
    for (let bit = 0; bit < bits; bit++) {
      const at = this.length6 + bit;
      const word = at < 32 ? a : at < 64 ? b : at < 96 ? c : d;
      suffix = (suffix << 1) | ((word >>> (31 - (at & 31))) & 1);
    }
    return this.network4 | suffix;
  }
}

function maskWord(length: number, index: number): number {
  const bits = length - index * 32;
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
}

/** The table of explicit mappings: the longest prefix that fits counts, in either direction. Made for tens of pairs, which are looked at one by one. */
export class AddressMap {
  private readonly by4: readonly Pair[];
  private readonly by6: readonly Pair[];
  private found: Pair | undefined = undefined;
  /** The IPv4 address that {@link AddressMap.find6} found, signed. */
  ipv4 = 0;

  /** @throws UsageError `ERR_INVALID_OPTION` for networks that do not fit each other, or one of them twice; `ERR_INVALID_ADDRESS` */
  constructor(mappings: readonly AddressMapping[]) {
    const pairs = mappings.map(({ ipv4, ipv6 }) => pairOf(Cidr.of(ipv4), Cidr.of(ipv6)));
    this.by4 = [...pairs].sort((one, other) => other.length4 - one.length4);
    this.by6 = [...pairs].sort((one, other) => other.length6 - one.length6);
  }

  /** Whether an IPv4 address is mapped; then {@link AddressMap.word} has its IPv6 address. */
  find4(ipv4: number): boolean {
    this.found = undefined;
    for (const pair of this.by4) {
      if ((ipv4 & pair.mask4) !== pair.network4) continue;
      this.found = pair;
      return true;
    }
    return false;
  }

  /** Word 0 to 3 of the IPv6 address of the IPv4 one that was found last, signed. */
  word(index: number, ipv4: number): number {
    return this.found?.word(index, ipv4) ?? 0;
  }

  /** Whether an IPv6 address is mapped; then {@link AddressMap.ipv4} is its IPv4 address. */
  find6(a: number, b: number, c: number, d: number): boolean {
    for (const pair of this.by6) {
      if (!pair.has(a, b, c, d)) continue;
      this.ipv4 = pair.ipv4(a, b, c, d);
      return true;
    }
    return false;
  }
}

function pairOf(ipv4: Cidr, ipv6: Cidr): Pair {
  const text = `${ipv4.toString()} and ${ipv6.toString()}`;
  if (ipv4.version !== 4 || ipv6.version !== 6) throw invalid(`not an IPv4 and an IPv6 network: ${text}`);
  if (32 - ipv4.length > 128 - ipv6.length) throw invalid(`the IPv6 network has room for fewer hosts: ${text}`);
  return new Pair(ipv4, ipv6);
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', message);
}
