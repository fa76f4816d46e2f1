/**
 * Options of neighbour discovery (RFC 4861 4.6): link-layer addresses of Ethernet (RFC 2464 6), prefix information, redirected header, MTU,
 * nonce (RFC 3971 5.3.2), route information (RFC 4191 2.3), RDNSS and DNSSL (RFC 8106 5). Others are kept as they are.
 */

import type { Ipv6Address } from '../core/address.js';
import { Ipv6Address as Address } from '../core/address.js';
import { UsageError } from '../core/errors.js';
import { readDomainNames, writeDomainNames } from './domain-names.js';
import { readMac, writeMac } from './ethernet.js';
import { readIpv6 } from './ipv6.js';

/** Option types (IANA). */
export const NdpOptionType = {
  SourceLinkAddress: 1,
  TargetLinkAddress: 2,
  PrefixInformation: 3,
  RedirectedHeader: 4,
  Mtu: 5,
  Nonce: 14,
  RouteInformation: 24,
  Rdnss: 25,
  Dnssl: 31,
} as const;

/** A lifetime that never ends, in seconds. */
export const INFINITE_LIFETIME = 0xffff_ffff;

/** Preference of a router or route (RFC 4191 2.1): 0 stands also for the reserved value. */
export type RouterPreference = -1 | 0 | 1;

/** A prefix of the link (RFC 4861 4.6.2); lifetimes in seconds. */
export interface NdpPrefix {
  readonly kind: 'prefix';
  readonly prefix: Ipv6Address;
  /** Leading bits that count, 0..128. */
  readonly length: number;
  /** Hosts with it are on this link. */
  readonly onLink: boolean;
  /** Addresses may be made of it (RFC 4862). */
  readonly autonomous: boolean;
  /** The prefix is the router's whole address (RFC 6275 7.2). */
  readonly routerAddress: boolean;
  readonly validLifetime: number;
  readonly preferredLifetime: number;
}

/** A route through the advertising router (RFC 4191 2.3); the lifetime is in seconds. */
export interface NdpRoute {
  readonly kind: 'route';
  readonly prefix: Ipv6Address;
  readonly length: number;
  readonly preference: RouterPreference;
  readonly lifetime: number;
}

/** One option. MAC addresses are 48-bit numbers. */
export type NdpOption =
  | { readonly kind: 'source-link-address' | 'target-link-address'; readonly mac: number }
  | NdpPrefix
  | { readonly kind: 'redirected'; readonly packet: Uint8Array }
  | { readonly kind: 'mtu'; readonly mtu: number }
  | { readonly kind: 'nonce'; readonly nonce: Uint8Array }
  | NdpRoute
  | { readonly kind: 'rdnss'; readonly lifetime: number; readonly servers: readonly Ipv6Address[] }
  | { readonly kind: 'dnssl'; readonly lifetime: number; readonly domains: readonly string[] }
  | { readonly kind: 'unknown'; readonly type: number; readonly data: Uint8Array };

const LENGTH = 1;
/** In bytes: the length counts units of eight. */
const LONGEST = 255 * 8;
const ON_LINK = 0x80;
const AUTONOMOUS = 0x40;
const ROUTER_ADDRESS = 0x20;

/** Whether the options between `from` and `to` are whole, none of length 0: if not, the message is to be dropped (RFC 4861 4.6). */
export function checkNdpOptions(view: DataView, from: number, to: number): boolean {
  let at = from;
  while (to - at >= 8) {
    const length = view.getUint8(at + LENGTH) * 8;
    if (length === 0 || length > to - at) return false;
    at += length;
  }
  return at === to;
}

/** Offset of the first option of `type` in checked options, or -1. */
export function findNdpOption(view: DataView, from: number, to: number, type: number): number {
  for (let at = from; to - at >= 8; at += view.getUint8(at + LENGTH) * 8) {
    if (view.getUint8(at) === type) return at;
  }
  return -1;
}

/** The MAC address in the first option of `type` in checked options, or -1. */
export function linkAddressIn(view: DataView, from: number, to: number, type: number): number {
  const at = findNdpOption(view, from, to, type);
  return at < 0 || view.getUint8(at + LENGTH) !== 1 ? -1 : readMac(view, at + 2);
}

/** Checked options as values, in order. Known types of an impossible length are `unknown`. */
export function readNdpOptions(view: DataView, from: number, to: number): NdpOption[] {
  const options: NdpOption[] = [];
  for (let at = from; to - at >= 8; ) {
    const length = view.getUint8(at + LENGTH) * 8;
    if (length === 0 || length > to - at) break;
    options.push(readOption(view, at, length) ?? unknown(view, at, length));
    at += length;
  }
  return options;
}

function unknown(view: DataView, at: number, length: number): NdpOption {
  return { kind: 'unknown', type: view.getUint8(at), data: copy(view, at + 2, at + length) };
}

function readOption(view: DataView, at: number, length: number): NdpOption | undefined {
  switch (view.getUint8(at)) {
    case NdpOptionType.SourceLinkAddress:
      return length === 8 ? { kind: 'source-link-address', mac: readMac(view, at + 2) } : undefined;
    case NdpOptionType.TargetLinkAddress:
      return length === 8 ? { kind: 'target-link-address', mac: readMac(view, at + 2) } : undefined;
    case NdpOptionType.PrefixInformation:
      return length === 32 && view.getUint8(at + 2) <= 128 ? readPrefix(view, at) : undefined;
    case NdpOptionType.RedirectedHeader:
      return { kind: 'redirected', packet: copy(view, at + 8, at + length) };
    case NdpOptionType.Mtu:
      return length === 8 ? { kind: 'mtu', mtu: view.getUint32(at + 4) } : undefined;
    case NdpOptionType.Nonce:
      return { kind: 'nonce', nonce: copy(view, at + 2, at + length) };
    case NdpOptionType.RouteInformation:
      return readRoute(view, at, length);
    case NdpOptionType.Rdnss:
      return length >= 24 && length % 16 === 8 ? readServers(view, at, length) : undefined;
    case NdpOptionType.Dnssl:
      return length >= 16 ? readDomains(view, at, length) : undefined;
    default:
      return undefined;
  }
}

function readPrefix(view: DataView, at: number): NdpPrefix {
  const flags = view.getUint8(at + 3);
  return {
    kind: 'prefix',
    prefix: readIpv6(view, at + 16),
    length: view.getUint8(at + 2),
    onLink: (flags & ON_LINK) !== 0,
    autonomous: (flags & AUTONOMOUS) !== 0,
    routerAddress: (flags & ROUTER_ADDRESS) !== 0,
    validLifetime: view.getUint32(at + 4),
    preferredLifetime: view.getUint32(at + 8),
  };
}

/** The prefix takes 0, 8 or 16 bytes; what is missing is zero (RFC 4191 2.3). */
function readRoute(view: DataView, at: number, size: number): NdpOption | undefined {
  const length = view.getUint8(at + 2);
  if (size > 24 || length > (size - 8) * 8) return undefined;
  const preference = view.getUint8(at + 3) & 0x18;
  // RFC 4191 2.3: an option with the reserved preference is ignored.
  if (preference === 0x10) return undefined;
  const word = (index: number) => (8 + index * 4 < size ? view.getUint32(at + 8 + index * 4) : 0);
  return {
    kind: 'route',
    prefix: new Address(word(0), word(1), word(2), word(3)),
    length,
    preference: preferenceOf(preference),
    lifetime: view.getUint32(at + 4),
  };
}

/** The preference in bits 3 and 4 of a byte. */
export function preferenceOf(byte: number): RouterPreference {
  const bits = byte & 0x18;
  return bits === 0x08 ? 1 : bits === 0x18 ? -1 : 0;
}

/** Bits 3 and 4 that say `preference`. */
export function preferenceBits(preference: RouterPreference): number {
  return (preference & 3) << 3;
}

function readServers(view: DataView, at: number, length: number): NdpOption {
  const servers: Ipv6Address[] = [];
  for (let i = at + 8; i < at + length; i += 16) servers.push(readIpv6(view, i));
  return { kind: 'rdnss', lifetime: view.getUint32(at + 4), servers };
}

function readDomains(view: DataView, at: number, length: number): NdpOption | undefined {
  const domains = readDomainNames(view, at + 8, at + length);
  return domains === undefined ? undefined : { kind: 'dnssl', lifetime: view.getUint32(at + 4), domains };
}

function copy(view: DataView, from: number, to: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice(from, to);
}

/** The bytes of options in this order, each padded with zeros to a multiple of 8. @throws UsageError `ERR_INVALID_OPTION` */
export function ndpOptionBytes(options: readonly NdpOption[]): Uint8Array {
  const parts = options.map(optionBytes);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** An option of `type` with room for `size` bytes in all, rounded up. */
function blank(type: number, size: number): { readonly bytes: Uint8Array; readonly view: DataView } {
  if (size > LONGEST) throw new UsageError('ERR_INVALID_OPTION', `an option holds ${LONGEST} bytes, not ${size}`);
  const bytes = new Uint8Array((size + 7) & ~7);
  bytes[0] = type;
  bytes[LENGTH] = bytes.length / 8;
  return { bytes, view: new DataView(bytes.buffer) };
}

function optionBytes(option: NdpOption): Uint8Array {
  switch (option.kind) {
    case 'source-link-address':
    case 'target-link-address': {
      const { SourceLinkAddress, TargetLinkAddress } = NdpOptionType;
      const { bytes, view } = blank(option.kind === 'source-link-address' ? SourceLinkAddress : TargetLinkAddress, 8);
      writeMac(view, 2, option.mac);
      return bytes;
    }
    case 'prefix':
      return prefixBytes(option);
    case 'redirected':
      return withData(NdpOptionType.RedirectedHeader, 8, option.packet);
    case 'mtu': {
      const { bytes, view } = blank(NdpOptionType.Mtu, 8);
      view.setUint32(4, option.mtu);
      return bytes;
    }
    case 'nonce':
      return withData(NdpOptionType.Nonce, 2, option.nonce);
    case 'route':
      return routeBytes(option);
    case 'rdnss': {
      const { bytes, view } = blank(NdpOptionType.Rdnss, 8 + 16 * option.servers.length);
      view.setUint32(4, option.lifetime);
      option.servers.forEach((server, index) => server.write(view, 8 + 16 * index));
      return bytes;
    }
    case 'dnssl': {
      const bytes = withData(NdpOptionType.Dnssl, 8, writeDomainNames(option.domains));
      new DataView(bytes.buffer).setUint32(4, option.lifetime);
      return bytes;
    }
    case 'unknown':
      return withData(option.type, 2, option.data);
  }
}

function withData(type: number, header: number, data: Uint8Array): Uint8Array {
  const { bytes } = blank(type, header + data.length);
  bytes.set(data, header);
  return bytes;
}

function prefixBytes(option: NdpPrefix): Uint8Array {
  const { bytes, view } = blank(NdpOptionType.PrefixInformation, 32);
  bytes[2] = option.length;
  bytes[3] =
    (option.onLink ? ON_LINK : 0) | (option.autonomous ? AUTONOMOUS : 0) | (option.routerAddress ? ROUTER_ADDRESS : 0);
  view.setUint32(4, option.validLifetime);
  view.setUint32(8, option.preferredLifetime);
  option.prefix.write(view, 16);
  return bytes;
}

function routeBytes(option: NdpRoute): Uint8Array {
  const { bytes, view } = blank(NdpOptionType.RouteInformation, 24);
  bytes[2] = option.length;
  bytes[3] = preferenceBits(option.preference);
  view.setUint32(4, option.lifetime);
  option.prefix.write(view, 8);
  return bytes;
}
