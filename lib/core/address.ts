/**
 * Addresses of the control plane: parsed, compared, printed. The hot path reads numbers straight from the packets instead:
 * an IPv4 address as an unsigned 32-bit number, a MAC address as a 48-bit one, IPv6 as four words.
 */

import { UsageError } from './errors.js';

/** A version of the Internet Protocol. */
export type IpVersion = 4 | 6;

/** The address type of one IP version. */
export type Address<V extends IpVersion> = V extends 4 ? Ipv4Address : Ipv6Address;

/** An address of either version. */
export type IpAddress = Ipv4Address | Ipv6Address;

function invalid(kind: string, text: string): UsageError {
  return new UsageError('ERR_INVALID_ADDRESS', `not ${kind}: ${JSON.stringify(text)}`);
}

/** An IEEE 802 MAC address; `value` is its 48 bits as a number. */
export class MacAddress {
  static readonly ZERO: MacAddress = new MacAddress(0);
  static readonly BROADCAST: MacAddress = new MacAddress(0xffff_ffff_ffff);
  readonly value: number;

  /** @throws UsageError `ERR_INVALID_ADDRESS` unless `value` is an integer of 48 bits */
  constructor(value: number) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff_ffff)
      throw invalid('a MAC address', String(value));
    this.value = value;
  }

  /** @throws UsageError `ERR_INVALID_ADDRESS` unless `text` is six hex bytes joined by `:` or `-` */
  static parse(text: string): MacAddress {
    const match = /^[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}$/i.exec(text);
    if (match === null) throw invalid('a MAC address', text);
    return new MacAddress(Number.parseInt(text.replace(/[:-]/g, ''), 16));
  }

  /** Reads a MAC address given either way. */
  static of(address: MacAddress | string): MacAddress {
    return typeof address === 'string' ? MacAddress.parse(address) : address;
  }

  /** Whether the group bit is set: multicast or broadcast. */
  get isGroup(): boolean {
    return isGroupMac(this.value);
  }

  equals(other: MacAddress): boolean {
    return this.value === other.value;
  }

  toString(): string {
    const hex = this.value.toString(16).padStart(12, '0');
    return hex.replace(/..(?!$)/g, '$&:');
  }

  toJSON(): string {
    return this.toString();
  }
}

/** Whether a MAC address, as a number, is multicast or broadcast. */
export function isGroupMac(value: number): boolean {
  return (Math.floor(value / 0x100_0000_0000) & 1) === 1;
}

/** An IPv4 address; `value` is an unsigned 32-bit number. */
export class Ipv4Address {
  static readonly ANY: Ipv4Address = new Ipv4Address(0);
  static readonly BROADCAST: Ipv4Address = new Ipv4Address(0xffff_ffff);
  static readonly LOOPBACK: Ipv4Address = new Ipv4Address(0x7f00_0001);
  readonly version = 4;
  /** The 32 bits as a signed number: one without a sign takes memory of its own wherever it goes, if its highest bit is set. */
  readonly bits: number;

  constructor(value: number) {
    this.bits = value | 0;
  }

  get value(): number {
    return this.bits >>> 0;
  }

  /** @throws UsageError `ERR_INVALID_ADDRESS` unless `text` is a dotted quad without leading zeros */
  static parse(text: string): Ipv4Address {
    const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
    let value = 0;
    for (const part of match?.slice(1) ?? []) {
      if (Number(part) > 255 || (part.length > 1 && part.startsWith('0'))) throw invalid('an IPv4 address', text);
      value = value * 256 + Number(part);
    }
    if (match === null) throw invalid('an IPv4 address', text);
    return new Ipv4Address(value);
  }

  get isUnspecified(): boolean {
    return this.bits === 0;
  }
  get isLoopback(): boolean {
    return this.bits >>> 24 === 127;
  }
  get isMulticast(): boolean {
    return this.bits >>> 28 === 14;
  }
  /** The limited broadcast address. */
  get isBroadcast(): boolean {
    return this.bits === -1;
  }
  get isLinkLocal(): boolean {
    return this.bits >>> 16 === 0xa9fe;
  }

  equals(other: IpAddress): boolean {
    return other.version === 4 && other.bits === this.bits;
  }

  /** Word 0 (most significant) to 3 of the address in 128-bit form, IPv4-mapped: one table serves both versions. */
  word(index: 0 | 1 | 2 | 3): number {
    return index === 3 ? this.value : index === 2 ? 0xffff : 0;
  }

  /** Writes the address in network order; returns its length, 4. */
  write(view: DataView, at: number): number {
    view.setInt32(at, this.bits);
    return 4;
  }

  toString(): string {
    const v = this.bits;
    return `${v >>> 24}.${(v >>> 16) & 0xff}.${(v >>> 8) & 0xff}.${v & 0xff}`;
  }

  toJSON(): string {
    return this.toString();
  }
}

/** An IPv6 address: four unsigned 32-bit words, most significant first, and a zone where it is link-local. */
export class Ipv6Address {
  static readonly ANY: Ipv6Address = new Ipv6Address(0, 0, 0, 0);
  static readonly LOOPBACK: Ipv6Address = new Ipv6Address(0, 0, 0, 1);
  readonly version = 6;
  // Signed, as the bits of an IPv4 address.
  private readonly word0: number;
  private readonly word1: number;
  private readonly word2: number;
  private readonly word3: number;
  /** Name of the interface that a link-local address belongs to (RFC 4007), or empty. */
  readonly zone: string;

  constructor(a: number, b: number, c: number, d: number, zone = '') {
    this.word0 = a | 0;
    this.word1 = b | 0;
    this.word2 = c | 0;
    this.word3 = d | 0;
    this.zone = zone;
  }

  /** Reads RFC 4291 2.2 text, with `%zone`. @throws UsageError `ERR_INVALID_ADDRESS` */
  static parse(text: string): Ipv6Address {
    const [address = '', zone = '', more] = text.split('%');
    const groups = more === undefined ? parseGroups(address) : undefined;
    if (groups === undefined || (text.includes('%') && zone === '')) throw invalid('an IPv6 address', text);
    const word = (i: number) => ((groups[i] ?? 0) << 16) | (groups[i + 1] ?? 0);
    return new Ipv6Address(word(0), word(2), word(4), word(6), zone);
  }

  /** The words, unsigned: `a` is the most significant. */
  get a(): number {
    return this.word0 >>> 0;
  }
  get b(): number {
    return this.word1 >>> 0;
  }
  get c(): number {
    return this.word2 >>> 0;
  }
  get d(): number {
    return this.word3 >>> 0;
  }
  get isUnspecified(): boolean {
    return (this.word0 | this.word1 | this.word2 | this.word3) === 0;
  }
  get isLoopback(): boolean {
    return (this.word0 | this.word1 | this.word2) === 0 && this.word3 === 1;
  }
  get isMulticast(): boolean {
    return this.word0 >>> 24 === 0xff;
  }
  get isBroadcast(): boolean {
    return false;
  }
  get isLinkLocal(): boolean {
    return this.word0 >>> 22 === 0x3fa;
  }
  /** Whether it stands for an IPv4 address (RFC 4291 2.5.5.2). */
  get isMapped(): boolean {
    return (this.word0 | this.word1) === 0 && this.word2 === 0xffff;
  }

  equals(other: IpAddress): boolean {
    return (
      other.version === 6 &&
      this.word0 === other.word0 &&
      this.word1 === other.word1 &&
      this.word2 === other.word2 &&
      this.word3 === other.word3 &&
      this.zone === other.zone
    );
  }

  /** Word 0 (most significant) to 3. */
  word(index: 0 | 1 | 2 | 3): number {
    return index === 0 ? this.a : index === 1 ? this.b : index === 2 ? this.c : this.d;
  }

  /** Writes the address in network order; returns its length, 16. */
  write(view: DataView, at: number): number {
    view.setInt32(at, this.word0);
    view.setInt32(at + 4, this.word1);
    view.setInt32(at + 8, this.word2);
    view.setInt32(at + 12, this.word3);
    return 16;
  }

  /** RFC 5952 canonical text, with the zone if there is one. */
  toString(): string {
    const zone = this.zone === '' ? '' : `%${this.zone}`;
    if (this.isMapped) return `::ffff:${new Ipv4Address(this.d).toString()}${zone}`;
    const groups = [this.a, this.b, this.c, this.d].flatMap((word) => [word >>> 16, word & 0xffff]);
    let best = 0;
    let bestLength = 1;
    for (let i = 0; i < 8; i++) {
      let length = 0;
      while (i + length < 8 && groups[i + length] === 0) length++;
      if (length > bestLength) [best, bestLength] = [i, length];
    }
    const hex = (from: number, to: number) =>
      groups
        .slice(from, to)
        .map((group) => group.toString(16))
        .join(':');
    if (bestLength === 1) return hex(0, 8) + zone;
    return `${hex(0, best)}::${hex(best + bestLength, 8)}${zone}`;
  }

  toJSON(): string {
    return this.toString();
  }
}

function parseGroups(text: string): number[] | undefined {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted !== null) {
    try {
      const { value } = Ipv4Address.parse(dotted[2] ?? '');
      return parseGroups(`${dotted[1]}${(value >>> 16).toString(16)}:${(value & 0xffff).toString(16)}`);
    } catch {
      return undefined;
    }
  }
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const read = (half: string) => (half === '' ? [] : half.split(':'));
  const head = read(halves[0] ?? '');
  const tail = halves.length === 2 ? read(halves[1] ?? '') : [];
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...tail];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return groups.map((group) => Number.parseInt(group, 16));
}

/** Reads an address of either version. @throws UsageError `ERR_INVALID_ADDRESS` */
export function parseIp(text: string): IpAddress {
  return text.includes(':') ? Ipv6Address.parse(text) : Ipv4Address.parse(text);
}

/** The address itself, or what its text says. */
export function ipOf(address: IpAddress | string): IpAddress {
  return typeof address === 'string' ? parseIp(address) : address;
}

/** The IPv4 address that an IPv4-mapped one stands for; any other address as it is. */
export function unmapped(address: IpAddress): IpAddress {
  return address.version === 6 && address.isMapped ? new Ipv4Address(address.d) : address;
}

/** An IPv4 address in IPv6 form, `::ffff:10.0.0.1`; any other as it is. */
export function mapped(address: IpAddress): Ipv6Address {
  return address.version === 4 ? new Ipv6Address(0, 0, 0xffff, address.value) : address;
}

/** Whether two addresses are the same; one that names no zone is so in any. */
export function isSameAddress(one: IpAddress, other: IpAddress): boolean {
  if (one.version === 4 || other.version === 4) return one.equals(other);
  const { a, b, c, d, zone } = other;
  if (one.d !== d || one.c !== c || one.b !== b || one.a !== a) return false;
  return one.zone === zone || one.zone === '' || zone === '';
}

/** The unspecified address of a version. */
export function anyAddress(version: IpVersion): IpAddress {
  return version === 4 ? Ipv4Address.ANY : Ipv6Address.ANY;
}

/** Bits of an address of a version. */
export function addressBits(version: IpVersion): 32 | 128 {
  return version === 4 ? 32 : 128;
}

/** An address and a prefix length: a network, or an interface's address within its network. */
export class Cidr<V extends IpVersion = IpVersion> {
  readonly address: Address<V>;
  /** Leading bits that are the network's: 0..32 or 0..128. */
  readonly length: number;

  constructor(address: Address<V>, length: number) {
    if (!Number.isInteger(length) || length < 0 || length > addressBits(address.version)) {
      throw new UsageError('ERR_INVALID_ADDRESS', `prefix length ${length} of ${address.toString()} is out of range`);
    }
    this.address = address;
    this.length = length;
  }

  /** Reads `10.0.0.1/24`; without a length it is a single host. @throws UsageError `ERR_INVALID_ADDRESS` */
  static parse(text: string): Cidr {
    const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text);
    if (match === null) throw invalid('a prefix', text);
    const address = parseIp(match[1] ?? '');
    return new Cidr(address, match[2] === undefined ? addressBits(address.version) : Number(match[2]));
  }

  static of(cidr: Cidr | string): Cidr {
    return typeof cidr === 'string' ? Cidr.parse(cidr) : cidr;
  }

  get version(): IpVersion {
    return this.address.version;
  }

  /** Word `index` of the network mask, in the same 128-bit form as `word()` of addresses. */
  private mask(index: 0 | 1 | 2 | 3): number {
    const bits = this.length + (this.address.version === 4 ? 96 : 0) - index * 32;
    return bits <= 0 ? 0 : bits >= 32 ? 0xffff_ffff : (0xffff_ffff << (32 - bits)) >>> 0;
  }

  contains(address: IpAddress): boolean {
    if (address.version !== this.address.version) return false;
    for (const index of [0, 1, 2, 3] as const) {
      if (((address.word(index) ^ this.address.word(index)) & this.mask(index)) !== 0) return false;
    }
    return true;
  }

  /** The network's first address: host bits zero. */
  get network(): IpAddress {
    const { address } = this;
    const word = (index: 0 | 1 | 2 | 3) => address.word(index) & this.mask(index);
    return address.version === 4 ? new Ipv4Address(word(3)) : new Ipv6Address(word(0), word(1), word(2), word(3));
  }

  /** The directed broadcast address of an IPv4 network with room for one (RFC 3021), else `undefined`. */
  get broadcast(): Ipv4Address | undefined {
    const { address } = this;
    if (address.version !== 4 || this.length > 30) return undefined;
    return new Ipv4Address((address.value & this.mask(3)) | ~this.mask(3));
  }

  equals(other: Cidr): boolean {
    return this.length === other.length && this.address.equals(other.address);
  }

  toString(): string {
    return `${this.address.toString()}/${this.length}`;
  }

  toJSON(): string {
    return this.toString();
  }
}
