/** `node:dns` of a program: knows the other hosts of the network by their names, and otherwise what the host's resolver finds. */

import type { LookupFunction } from 'node:net';
import { promisify } from 'node:util';
import { Ipv4Address, Ipv6Address, type IpAddress } from '../../../lib/core/address.js';
import { lookup } from '../../../lib/socket/lookup.js';
import { familyOf, literal } from '../../../lib/socket/names.js';
import { notFound } from '../../../lib/socket/node-errors.js';
import type { Host } from '../../stack/host.js';

/** The addresses of the network's hosts, by name. */
export type HostNames = (name: string) => readonly IpAddress[] | undefined;

/** What a host of a network is reached by: its addresses, IPv4 first, link-local ones left out. */
export function addressesOf({ tables }: Host): readonly IpAddress[] {
  const six = tables.addresses6.list().map(({ cidr }) => cidr.address);
  return [...tables.addresses.list().map(({ cidr }) => cidr.address), ...six.filter((one) => !one.isLinkLocal)];
}

/** A `dns.lookup` that knows the network's hosts. */
export function programLookup(stack: Host, names: HostNames): LookupFunction {
  const resolver = lookup(stack.dns);
  return (name, options, callback) => {
    const found = known(name, names);
    if (found === undefined) return resolver(name, options, callback);
    const family = familyOf(options.family);
    const all = found
      .filter(({ version }) => family === 0 || version === family)
      .map((address) => ({ address: address.toString(), family: address.version }));
    const [first] = all;
    process.nextTick(() => {
      if (first === undefined) callback(notFound(name), '', 0);
      else if (options.all === true) callback(null, all);
      else callback(null, first.address, first.family);
    });
  };
}

function known(name: string, names: HostNames): readonly IpAddress[] | undefined {
  if (name === 'localhost') return [Ipv4Address.LOOPBACK, Ipv6Address.LOOPBACK];
  const address = literal(name);
  return address === undefined ? names(name) : [address];
}

type Answer = (error: Error | null, address?: unknown, family?: number) => void;

/** The modules `node:dns` and `node:dns/promises`: `lookup`, `resolve4`, `resolve6`; nothing else is asked of a network. */
export function programDns(find: LookupFunction): Record<string, unknown> {
  const lookupOf = (name: string, how: unknown, done?: Answer): void => {
    const callback = (typeof how === 'function' ? how : done) as Answer;
    const options = typeof how === 'object' && how !== null ? how : { family: typeof how === 'number' ? how : 0 };
    find(name, options, callback);
  };
  const lookupPromise = (name: string, options: { all?: boolean } = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      lookupOf(name, options, (error, address, family) => {
        if (error !== null) reject(error);
        else resolve(options.all === true ? address : { address, family });
      });
    });
  Object.defineProperty(lookupOf, promisify.custom, { value: lookupPromise });
  const resolveOf =
    (family: 4 | 6) =>
    async (name: string): Promise<unknown> => {
      const all = (await lookupPromise(name, { all: true, family } as object)) as { address: string }[];
      return all.map(({ address }) => address);
    };
  const called = (promised: (name: string) => Promise<unknown>) => (name: string, done: Answer) =>
    void promised(name).then(
      (all) => done(null, all),
      (error: Error) => done(error),
    );
  const [resolve4, resolve6] = [resolveOf(4), resolveOf(6)];
  return {
    lookup: lookupOf,
    resolve4: called(resolve4),
    resolve6: called(resolve6),
    promises: { lookup: lookupPromise, resolve4, resolve6 },
  };
}
