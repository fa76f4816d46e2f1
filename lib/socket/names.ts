/**
 * From what an application writes as a host to an address: literals, `localhost`, and for every other name the `lookup` that the
 * application brings along, in the shape of Node's `dns.lookup`.
 */

import type { LookupOptions } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { type IpAddress, type IpVersion, Ipv4Address, Ipv6Address, mapped, parseIp } from '../core/address.js';
import type { Endpoint } from '../l4/tcp/api.js';
import { notFound, typeError } from './node-errors.js';

/** A literal address read, or `undefined` if `host` is a name. */
export function literal(host: string): IpAddress | undefined {
  try {
    return parseIp(host);
  } catch {
    return undefined;
  }
}

/** 4, 6, or 0 for what is no address, as `net.isIP`. */
export function isIP(text: string): 0 | IpVersion {
  return literal(String(text))?.version ?? 0;
}

/** Node's word for a version. */
export function familyName(version: IpVersion): 'IPv4' | 'IPv6' {
  return version === 4 ? 'IPv4' : 'IPv6';
}

/** Reads Node's ways of saying a version: 4, 6, 'IPv4', 'IPv6'; 0 for either. */
export function familyOf(family: unknown): 0 | IpVersion {
  if (family === 4 || family === 'IPv4') return 4;
  return family === 6 || family === 'IPv6' ? 6 : 0;
}

/** Node's description of an end: what `address()` gives. */
export interface EndpointInfo {
  address: string;
  family: 'IPv4' | 'IPv6';
  port: number;
}

/** An endpoint in Node's words; `asIpv6`: of a socket that is an IPv6 one, whose IPv4 ends are `::ffff:10.0.0.1`. */
export function describe(endpoint: Endpoint, asIpv6 = false): EndpointInfo {
  const { port } = endpoint;
  const address = asIpv6 ? mapped(endpoint.address) : endpoint.address;
  return { address: address.toString(), family: familyName(address.version), port };
}

/** What a lookup ends with. */
export type Resolved = (error: Error | null, address: IpAddress | undefined) => void;

/** The lookup used when none is given: knows `localhost` and nothing else. Answers in a later tick, like any lookup. */
export const localLookup: LookupFunction = (hostname, options, callback) => {
  const local = /^(?:localhost|.+\.localhost)\.?$/i.test(hostname);
  process.nextTick(() => {
    if (!local) return callback(notFound(hostname), '', 0);
    const family = familyOf(options.family);
    const all = [Ipv4Address.LOOPBACK, Ipv6Address.LOOPBACK].filter(({ version }) => (family || version) === version);
    const found = all.map((address) => ({ address: address.toString(), family: address.version }));
    if (options.all === true) callback(null, found);
    else callback(null, found[0]?.address ?? '', found[0]?.family);
  });
};

function firstAddress(answer: unknown): string {
  const first: unknown = Array.isArray(answer) ? answer[0] : answer;
  if (typeof first === 'object' && first !== null && 'address' in first) return String(first.address);
  return String(first);
}

/** Asks `lookup` for the address of `host`; takes the first one where it gives several. Tells in a later tick, even where the lookup does not. */
export function resolve(host: string, options: LookupOptions, lookup: LookupFunction, resolved: Resolved): void {
  lookup(host, { ...options, all: false }, (error, answer) => {
    if (error) return process.nextTick(resolved, error, undefined);
    const text = firstAddress(answer);
    const address = literal(text);
    if (address !== undefined) return process.nextTick(resolved, null, address);
    const wrong = typeError('ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${text}`);
    return process.nextTick(resolved, wrong, undefined);
  });
}
