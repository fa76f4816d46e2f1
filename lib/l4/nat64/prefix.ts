/**
 * IPv4 addresses in IPv6 ones (RFC 6052): behind a prefix of 32, 40, 48, 56, 64 or 96 bits, around bits 64 to 71, which are 0. What follows
 * the address is written as 0 and not looked at.
 */

import { Cidr, Ipv4Address, Ipv6Address } from '../../core/address.js';
import { UsageError } from '../../core/errors.js';

/** RFC 6052 2.1. It stands for global IPv4 addresses alone (3.1). */
export const WELL_KNOWN_PREFIX = '64:ff9b::/96';

const LENGTHS: readonly number[] = [32, 40, 48, 56, 64, 96];
/** Bits 64 to 71, in the third word. */
const U_OCTET = 0xff00_0000;

/** A prefix that IPv4 addresses are embedded behind. Addresses of packets are four words, signed or not. */
export class Nat64Prefix {
  readonly cidr: Cidr<6>;
  /** Whether it is 64:ff9b::/96. */
  readonly isWellKnown: boolean;
  private readonly length: number;
  private readonly a: number;
  private readonly b: number;
  private readonly c: number;
  private readonly maskB: number;
  private readonly maskC: number;

  /** @throws UsageError `ERR_INVALID_ADDRESS`; `ERR_INVALID_OPTION` for a length that RFC 6052 does not have, or with host bits or bits 64 to 71 set */
  constructor(prefix: Cidr | string = WELL_KNOWN_PREFIX) {
    const { address, length } = Cidr.of(prefix);
    if (address.version !== 6 || !LENGTHS.includes(length)) {
      throw invalid(`not an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits: ${prefix.toString()}`);
    }
    this.cidr = new Cidr<6>(address, length);
    this.length = length;
    this.maskB = length === 32 ? 0 : length >= 64 ? -1 : -1 << (64 - length);
    this.maskC = length === 96 ? -1 : 0;
    this.a = address.a | 0;
    this.b = address.b | 0;
    this.c = address.c | 0;
    const { maskB, maskC } = this;
    if ((address.b & ~maskB) !== 0 || (address.c & (~maskC | U_OCTET)) !== 0 || address.d !== 0) {
      throw invalid(`bits are set behind the prefix, or among bits 64 to 71: ${prefix.toString()}`);
    }
    this.isWellKnown = new Cidr<6>(address, length).equals(Cidr.parse(WELL_KNOWN_PREFIX));
  }

  /** The words of the address that `ipv4` has behind this prefix, signed. */
  get word0(): number {
    return this.a;
  }
  word1(ipv4: number): number {
    return this.length >= 64 ? this.b : this.b | (ipv4 >>> (this.length - 32));
  }
  word2(ipv4: number): number {
    const { length } = this;
    if (length === 96) return this.c;
    if (length === 64) return ipv4 >>> 8;
    // What did not fit in front of bit 64: 0, 8, 16 or 24 bits, behind the eight that are 0.
    return length === 32 ? 0 : (ipv4 << (64 - length)) >>> 8;
  }
  word3(ipv4: number): number {
    return this.length === 96 ? ipv4 | 0 : this.length === 64 ? ipv4 << 24 : 0;
  }

  /** Whether an address is behind this prefix. */
  has(word0: number, word1: number, word2: number): boolean {
    return (
      (word0 | 0) === this.a &&
      (word1 & this.maskB) === this.b &&
      (word2 & this.maskC) === this.c &&
      (word2 & U_OCTET) === 0
    );
  }

  /** The IPv4 address, signed, in one that is behind this prefix. */
  ipv4(word1: number, word2: number, word3: number): number {
    const { length } = this;
    if (length === 96) return word3 | 0;
    if (length === 64) return (word2 << 8) | (word3 >>> 24);
    if (length === 32) return word1 | 0;
    return (word1 << (length - 32)) | ((word2 << 8) >>> (64 - length));
  }

  /** The address that stands for an IPv4 one. */
  embed(address: Ipv4Address): Ipv6Address {
    const { value } = address;
    return new Ipv6Address(this.word0, this.word1(value), this.word2(value), this.word3(value));
  }

  /** The IPv4 address that an address stands for, if it is behind this prefix. */
  extract({ a, b, c, d }: Ipv6Address): Ipv4Address | undefined {
    return this.has(a, b, c) ? new Ipv4Address(this.ipv4(b, c, d)) : undefined;
  }

  toString(): string {
    return this.cidr.toString();
  }
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', message);
}

/** Whether an IPv4 address is one that the well-known prefix must not stand for (RFC 6052 3.1, RFC 6890): private, shared, reserved and the like. */
export function isNotGlobal(address: number): boolean {
  const first = address >>> 24;
  const two = address >>> 16;
  switch (first) {
    case 0:
    case 10:
    case 127:
      return true;
    case 100:
      return (two & 0xffc0) === 0x6440;
    case 169:
      return two === 0xa9fe;
    case 172:
      return (two & 0xfff0) === 0xac10;
    case 192:
      return two === 0xc0a8 || address >>> 8 === 0xc00000 || address >>> 8 === 0xc00002;
    case 198:
      return (two & 0xfffe) === 0xc612 || address >>> 8 === 0xc63364;
    case 203:
      return address >>> 8 === 0xcb0071;
    default:
      return first >= 224;
  }
}
