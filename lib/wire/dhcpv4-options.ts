/**
 * Options of DHCPv4 (RFC 2132, RFC 3397, RFC 3442): what the bytes of each mean. Options that are not listed keep their bytes. One whose
 * bytes make no sense is as good as absent: servers in the field send such things, and the rest of the message is still of use.
 */

import { Cidr, Ipv4Address } from '../core/address.js';
import { NameWriter, readName } from './dns-name.js';

/** Codes of options (IANA). */
export const DhcpOption = {
  Pad: 0,
  SubnetMask: 1,
  Routers: 3,
  DnsServers: 6,
  HostName: 12,
  DomainName: 15,
  Mtu: 26,
  Broadcast: 28,
  RequestedAddress: 50,
  LeaseTime: 51,
  Overload: 52,
  MessageType: 53,
  ServerId: 54,
  ParameterList: 55,
  Message: 56,
  MaxMessageSize: 57,
  RenewalTime: 58,
  RebindingTime: 59,
  VendorClass: 60,
  ClientId: 61,
  TftpServer: 66,
  Bootfile: 67,
  DomainSearch: 119,
  ClasslessRoutes: 121,
  End: 255,
} as const;

/** A route of option 121; one by 0.0.0.0 is to the link itself. */
export interface DhcpRoute {
  readonly destination: Cidr<4>;
  readonly gateway: Ipv4Address;
}

/** The options of a message. Times are in seconds; 0xffffffff is for ever. */
export interface DhcpOptions {
  readonly messageType?: number;
  readonly subnetMask?: Ipv4Address;
  readonly routers?: readonly Ipv4Address[];
  readonly dnsServers?: readonly Ipv4Address[];
  readonly hostName?: string;
  readonly domainName?: string;
  readonly mtu?: number;
  readonly broadcast?: Ipv4Address;
  readonly requestedAddress?: Ipv4Address;
  readonly leaseTime?: number;
  readonly serverId?: Ipv4Address;
  readonly parameterList?: readonly number[];
  readonly message?: string;
  readonly maxMessageSize?: number;
  readonly renewalTime?: number;
  readonly rebindingTime?: number;
  readonly vendorClass?: string;
  readonly clientId?: Uint8Array;
  readonly tftpServer?: string;
  readonly bootfile?: string;
  readonly domainSearch?: readonly string[];
  readonly classlessRoutes?: readonly DhcpRoute[];
  /** All others, by code. */
  readonly others?: ReadonlyMap<number, Uint8Array>;
}

type Key = Exclude<keyof DhcpOptions, 'others'>;

/** How the bytes of an option are read and written. `read` gives `undefined` for bytes that make no sense. */
interface Codec<T> {
  read(bytes: Uint8Array): T | undefined;
  write(value: T): readonly number[] | Uint8Array;
}

const u8: Codec<number> = {
  read: (bytes) => (bytes.length === 1 ? bytes[0] : undefined),
  write: (value) => [value & 0xff],
};
const u16: Codec<number> = {
  read: (bytes) => (bytes.length === 2 ? numberAt(bytes, 0, 2) : undefined),
  write: (value) => [(value >> 8) & 0xff, value & 0xff],
};
const u32: Codec<number> = {
  read: (bytes) => (bytes.length === 4 ? numberAt(bytes, 0, 4) : undefined),
  write: (value) => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff],
};
const address: Codec<Ipv4Address> = {
  read: (bytes) => (bytes.length === 4 ? new Ipv4Address(numberAt(bytes, 0, 4)) : undefined),
  write: (value) => u32.write(value.value),
};
const addresses: Codec<readonly Ipv4Address[]> = {
  read: (bytes) => {
    if (bytes.length === 0 || bytes.length % 4 !== 0) return undefined;
    return Array.from({ length: bytes.length / 4 }, (_, i) => new Ipv4Address(numberAt(bytes, 4 * i, 4)));
  },
  write: (values) => values.flatMap((value) => [...address.write(value)]),
};
const text: Codec<string> = {
  // Some end strings with NUL, which RFC 2132 2 asks receivers to bear.
  read: (bytes) => new TextDecoder().decode(bytes).replace(/\0+$/, '') || undefined,
  write: (value) => new TextEncoder().encode(value),
};
const list: Codec<readonly number[]> = { read: (bytes) => [...bytes], write: (values) => values };
const raw: Codec<Uint8Array> = { read: (bytes) => (bytes.length > 1 ? bytes : undefined), write: (value) => value };

/** RFC 3397: names, compressed within the option. */
const names: Codec<readonly string[]> = {
  read: (bytes) => {
    const found: string[] = [];
    try {
      for (let at = 0; at < bytes.length; ) {
        const { name, next } = readName(bytes, at);
        found.push(name);
        at = next;
      }
    } catch {
      return undefined;
    }
    return found.length === 0 ? undefined : found;
  },
  write: (values) => {
    const out: number[] = [];
    const writer = new NameWriter();
    for (const value of values) writer.write(out, value, true);
    return out;
  },
};

/** RFC 3442: a prefix length, as many bytes of the prefix as that needs, and the router. */
const routes: Codec<readonly DhcpRoute[]> = {
  read: (bytes) => {
    const found: DhcpRoute[] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = bytes[at] ?? 0;
      const size = Math.ceil(length / 8);
      if (length > 32 || at + 1 + size + 4 > bytes.length) return undefined;
      const network = new Ipv4Address(numberAt(bytes, at + 1, size) * 2 ** (8 * (4 - size)));
      const masked = new Cidr<4>(network, length).network;
      if (masked.version !== 4) return undefined;
      const gateway = new Ipv4Address(numberAt(bytes, at + 1 + size, 4));
      found.push({ destination: new Cidr<4>(masked, length), gateway });
      at += 5 + size;
    }
    return found.length === 0 ? undefined : found;
  },
  write: (values) =>
    values.flatMap(({ destination, gateway }) => [
      destination.length,
      ...[...address.write(destination.address)].slice(0, Math.ceil(destination.length / 8)),
      ...address.write(gateway),
    ]),
};

function numberAt(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let i = 0; i < size; i++) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}

interface Row<K extends Key> {
  readonly key: K;
  readonly code: number;
  readonly codec: Codec<NonNullable<DhcpOptions[K]>>;
}

function row<K extends Key>(key: K, code: number, codec: Codec<NonNullable<DhcpOptions[K]>>): Row<K> {
  return { key, code, codec };
}

// In the order in which they are written: what everybody needs to see first comes first.
const ROWS = [
  row('messageType', DhcpOption.MessageType, u8),
  row('serverId', DhcpOption.ServerId, address),
  row('leaseTime', DhcpOption.LeaseTime, u32),
  row('renewalTime', DhcpOption.RenewalTime, u32),
  row('rebindingTime', DhcpOption.RebindingTime, u32),
  row('requestedAddress', DhcpOption.RequestedAddress, address),
  row('clientId', DhcpOption.ClientId, raw),
  row('maxMessageSize', DhcpOption.MaxMessageSize, u16),
  row('parameterList', DhcpOption.ParameterList, list),
  row('subnetMask', DhcpOption.SubnetMask, address),
  // RFC 3442: before the router option.
  row('classlessRoutes', DhcpOption.ClasslessRoutes, routes),
  row('routers', DhcpOption.Routers, addresses),
  row('dnsServers', DhcpOption.DnsServers, addresses),
  row('broadcast', DhcpOption.Broadcast, address),
  row('mtu', DhcpOption.Mtu, u16),
  row('hostName', DhcpOption.HostName, text),
  row('domainName', DhcpOption.DomainName, text),
  row('domainSearch', DhcpOption.DomainSearch, names),
  row('vendorClass', DhcpOption.VendorClass, text),
  row('tftpServer', DhcpOption.TftpServer, text),
  row('bootfile', DhcpOption.Bootfile, text),
  row('message', DhcpOption.Message, text),
] as const;

const rowsByCode = new Map<number, Row<Key>>(ROWS.map((one) => [one.code, one as unknown as Row<Key>]));

/** Reads options from their bytes by code, each with all its parts put together. */
export function readOptions(bytes: ReadonlyMap<number, Uint8Array>): DhcpOptions {
  const options: { [key: string]: unknown } = {};
  const others = new Map<number, Uint8Array>();
  for (const [code, data] of bytes) {
    const known = rowsByCode.get(code);
    if (known === undefined) others.set(code, data);
    else {
      const value: unknown = known.codec.read(data);
      if (value !== undefined) options[known.key] = value;
    }
  }
  if (others.size > 0) options['others'] = others;
  return options;
}

/** The bytes of options, in the order in which they are to be written. Lists and texts without anything in them are left out: none may be empty (RFC 2132). */
export function writeOptions(options: DhcpOptions): [code: number, bytes: Uint8Array][] {
  const written: [number, Uint8Array][] = [];
  for (const { key, code, codec } of ROWS as readonly unknown[] as readonly Row<Key>[]) {
    const value = options[key];
    const bytes = value === undefined ? undefined : Uint8Array.from((codec as Codec<unknown>).write(value));
    if (bytes !== undefined && bytes.length > 0) written.push([code, bytes]);
  }
  for (const [code, data] of options.others ?? []) written.push([code, data]);
  return written;
}

/** The options whose codes a client listed (RFC 2132 9.8). */
export function requestedOptions(options: DhcpOptions, codes: readonly number[]): DhcpOptions {
  const kept: { [key: string]: unknown } = {};
  for (const { key, code } of ROWS) {
    if (codes.includes(code) && options[key] !== undefined) kept[key] = options[key];
  }
  const others = [...(options.others ?? [])].filter(([code]) => codes.includes(code));
  if (others.length > 0) kept['others'] = new Map(others);
  return kept;
}
