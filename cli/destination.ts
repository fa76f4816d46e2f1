/** Whom a command talks to: an address, or a name that our own resolver finds. */

import type { IpAddress, IpVersion } from '../lib/core/address.js';
import type { NetError } from '../lib/core/errors.js';
import { DnsError } from '../lib/l7/dns-error.js';
import { literalAddress } from '../lib/l7/dns-names.js';
import { ArgumentError, flag, type Flag } from './args.js';
import { CommandError } from './command.js';
import type { RunningHost } from './running-host.js';

/** Options for the version, as of ping and traceroute. */
export const VERSION_OPTIONS: { readonly ipv4: Flag; readonly ipv6: Flag } = {
  ipv4: flag('Use IPv4 only.', '4'),
  ipv6: flag('Use IPv6 only.', '6'),
};

/** What the user says of a destination. */
export interface Destination {
  readonly name: string;
  readonly family: 0 | IpVersion;
}

/** Reads the one positional argument. @throws ArgumentError */
export function destinationOf(
  positionals: readonly string[],
  { ipv4, ipv6 }: { readonly ipv4: boolean; readonly ipv6: boolean },
): Destination {
  const [name, more] = positionals;
  if (name === undefined) throw new ArgumentError('name a HOST');
  if (more !== undefined) throw new ArgumentError(`one HOST only: what is ${JSON.stringify(more)}?`);
  if (ipv4 && ipv6) throw new ArgumentError('either -4 or -6, not both');
  const family = ipv4 ? 4 : ipv6 ? 6 : 0;
  const literal = literalAddress(name);
  if (literal !== undefined && family !== 0 && literal.version !== family)
    throw new ArgumentError(`${name} is an IPv${literal.version} address, and -${family} asks for IPv${family}`);
  return { name, family };
}

/** The address to use: the first of those that the name has, in the order of RFC 6724. @throws CommandError */
export async function addressOf({ name, family }: Destination, running: RunningHost): Promise<IpAddress> {
  const { me, signal } = running;
  await running.configured(literalAddress(name)?.version ?? family);
  try {
    const [first] = await me.dns.lookup(name, { family, signal });
    if (first !== undefined) return first;
  } catch (error) {
    if (!(error instanceof DnsError)) throw error;
    throw new CommandError(`${name}: ${dnsText(error, me.dns.getServers().length)}`);
  }
  throw new CommandError(`${name}: there is no such name (ENOTFOUND)`);
}

/** Why a name has no address, for people. */
export function dnsText({ code }: DnsError, servers: number): string {
  const words: Readonly<Partial<Record<DnsError['code'], string>>> = {
    ENOTFOUND: 'there is no such name',
    ENODATA: 'the name has no record of that kind',
    ETIMEOUT: 'no name server answered in time',
    ECONNREFUSED: servers === 0 ? 'there is no name server to ask: give one with --dns' : 'no name server is there',
    EBADNAME: 'that cannot be a name',
    EREFUSED: 'the name servers refuse to answer',
  };
  return `${words[code] ?? 'the name servers fail'} (${code})`;
}

/** Why nothing can be sent, for people. */
export function netText({ code, address, message }: NetError): string {
  if (code === 'ENETUNREACH')
    return `there is no way to ${address}: it is in no network of ours, and no gateway leads there (${code})`;
  if (code === 'EMSGSIZE') return `that is too much for one packet to ${address} (${code})`;
  return message;
}
