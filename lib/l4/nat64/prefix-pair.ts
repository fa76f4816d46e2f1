/**
 * A network that stands for another of the same size, host for host, without state: of IPv4 by the bits behind the prefix, of IPv6 as in RFC 6296, where
 * 16 bits behind the prefix make up for what the other prefix adds to a checksum.
 */

import { Cidr, type IpAddress, type IpVersion, Ipv4Address, Ipv6Address, mapped } from '../../core/address.js';
import { UsageError } from '../../core/errors.js';
import { fold } from '../../wire/checksum.js';

/** Bits behind which IPv6 networks are numbered: up to there the number of the subnet makes up for the prefix (RFC 6296 3.4). */
const SUBNET = 48;
/** The 16-bit words of an address that hold the subnet's number and the interface's identifier. */
const SUBNET_WORD = 3;
const FIRST_OF_IDENTIFIER = 4;
const MAPPED_BITS = 96;
const ONES = 0xffff;

/** Two networks. Addresses of packets are four words, signed, IPv4 mapped. */
export class PrefixPair {
  readonly version: IpVersion;
  readonly internal: Cidr;
  readonly external: Cidr;
  private readonly mask: Int32Array;
  private readonly inside: Int32Array;
  private readonly outside: Int32Array;
  /** What the internal prefix adds to a sum more than the external one, and the other way round. */
  private readonly surplus: number;
  private readonly deficit: number;

  /**
   * @throws UsageError `ERR_INVALID_OPTION` for networks of different size or version, or the same one twice; of IPv6 for more than 112 bits, where nothing
   * can make up for the prefix; `ERR_INVALID_ADDRESS`
   */
  constructor(internal: Cidr | string, external: Cidr | string) {
    this.internal = Cidr.of(internal);
    this.external = Cidr.of(external);
    const { version, length } = this.internal;
    this.version = version;
    const text = `${this.internal.toString()} and ${this.external.toString()}`;
    if (version !== this.external.version || length !== this.external.length) {
      throw invalid(`not of the same version and size: ${text}`);
    }
    if (this.internal.contains(this.external.network)) throw invalid(`the same network twice: ${text}`);
    if (version === 6 && length > 112) throw invalid(`prefixes of more than 112 bits: ${text}`);
    const bits = version === 4 ? length + MAPPED_BITS : length;
    this.mask = Int32Array.from({ length: 4 }, (_, index) => maskWord(bits - 32 * index));
    this.inside = wordsOf(this.internal.network);
    this.outside = wordsOf(this.external.network);
    const [sumInside, sumOutside] = [sumOf(this.inside), sumOf(this.outside)];
    this.surplus = fold(sumInside + (~sumOutside & ONES));
    this.deficit = fold(sumOutside + (~sumInside & ONES));
  }

  isInternal(word0: number, word1: number, word2: number, word3: number): boolean {
    return this.has(this.inside, word0, word1, word2, word3);
  }

  isExternal(word0: number, word1: number, word2: number, word3: number): boolean {
    return this.has(this.outside, word0, word1, word2, word3);
  }

  /** Makes an internal address, in `words`, the external one. False where there is none (RFC 6296 3.4, 3.5). */
  toExternal(words: Int32Array): boolean {
    return this.move(words, this.outside, this.surplus);
  }

  /** The other way round. */
  toInternal(words: Int32Array): boolean {
    return this.move(words, this.inside, this.deficit);
  }

  /** The external address of an internal one, or `undefined`. For the control plane. */
  externalOf(address: IpAddress): IpAddress | undefined {
    const words = wordsOf(address);
    if (address.version !== this.version || !this.internal.contains(address) || !this.toExternal(words))
      return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = words;
    return this.version === 4 ? new Ipv4Address(d) : new Ipv6Address(a, b, c, d);
  }

  private has(network: Int32Array, word0: number, word1: number, word2: number, word3: number): boolean {
    const { mask } = this;
    return (
      (word3 & (mask[3] ?? 0)) === network[3] &&
      (word0 & (mask[0] ?? 0)) === network[0] &&
      (word1 & (mask[1] ?? 0)) === network[1] &&
      (word2 & (mask[2] ?? 0)) === network[2]
    );
  }

  private move(words: Int32Array, network: Int32Array, change: number): boolean {
    const at = this.version === 6 ? this.balance(words) : SUBNET_WORD;
    if (at < 0) return false;
    for (let i = 0; i < 4; i++) words[i] = ((words[i] ?? 0) & ~(this.mask[i] ?? 0)) | (network[i] ?? 0);
    if (this.version === 4) return true;
    const sum = fold(half(words, at) + change);
    // Of the two zeros of ones' complement the other one is kept free.
    setHalf(words, at, sum === ONES ? 0 : sum);
    return true;
  }

  /** The 16-bit word that makes up for the prefix, or -1. */
  private balance(words: Int32Array): number {
    if (this.internal.length <= SUBNET) return half(words, SUBNET_WORD) === ONES ? -1 : SUBNET_WORD;
    // The anycast address of the subnet's routers has no other (RFC 6296 3.5).
    if (words[2] === 0 && words[3] === 0) return -1;
    const first = Math.max(FIRST_OF_IDENTIFIER, (this.internal.length + 15) >>> 4);
    for (let at = first; at < 8; at++) if (half(words, at) !== ONES) return at;
    return -1;
  }
}

function half(words: Int32Array, at: number): number {
  const word = words[at >>> 1] ?? 0;
  return (at & 1) === 0 ? word >>> 16 : word & ONES;
}

function setHalf(words: Int32Array, at: number, value: number): void {
  const word = words[at >>> 1] ?? 0;
  words[at >>> 1] = (at & 1) === 0 ? (value << 16) | (word & ONES) : (word & ~ONES) | value;
}

function sumOf(words: Int32Array): number {
  let sum = 0;
  for (let at = 0; at < 8; at++) sum += half(words, at);
  return fold(sum);
}

function maskWord(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
}

function wordsOf(address: IpAddress): Int32Array {
  const { a, b, c, d } = mapped(address);
  return Int32Array.of(a, b, c, d);
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', message);
}
