/**
 * A stub resolver (RFC 1034 5.3.1): asks recursive servers, follows aliases, remembers answers. Names known here (literals, hosts entries,
 * `localhost`) are never asked for. Who asks what is being asked already shares the answer (RFC 5452 5: fewer questions, fewer guesses).
 *
 * Left out: recursion from the root, DNSSEC validation, DNS over TLS.
 */

import { type IpAddress, type IpVersion, ipOf, type Ipv4Address, type Ipv6Address } from '../core/address.js';
import type { Env } from '../core/env.js';
import { UsageError } from '../core/errors.js';
import type { Timers } from '../core/timers.js';
import type { Endpoint } from '../l4/tcp/api.js';
import { type DnsQuestion, type DnsRecord, DnsType } from '../wire/dns.js';
import { canonicalName, nameLabels } from '../wire/dns-name.js';
import { DnsCache, type DnsCacheOptions, type DnsFinding, findingOf, MAX_ALIASES } from './dns-cache.js';
import { type DnsCode, DnsError } from './dns-error.js';
import { DnsExchange, type DnsTransports } from './dns-exchange.js';
import { type HostsEntries, literalAddress, LocalNames, reverseName, searchNames } from './dns-names.js';
import { FamilyStages, type StagesHandler } from './dns-stages.js';

const DNS_PORT = 53;
// Larger answers could be fragmented, and fragments forged (RFC 9715).
const UDP_SIZE = 1232;

/** Options of {@link DnsResolver}. */
export interface DnsResolverOptions extends DnsCacheOptions {
  /** Recursive servers, in the order in which they are asked. Port 53 where none is given. */
  readonly servers?: readonly (Endpoint | IpAddress | string)[];
  /** Domains that are tried behind a name that looks incomplete. */
  readonly search?: readonly string[];
  /** A name with so many dots looks complete, and is first asked for as it is. Default 1. */
  readonly ndots?: number;
  readonly hosts?: HostsEntries;
  /** Milliseconds to wait for a server in the first round; doubled in each further one. Default 2000. */
  readonly timeout?: number;
  /** How often each server is asked. Default 3. */
  readonly attempts?: number;
  /** Largest answer over UDP, in bytes, that is asked for (RFC 6891); 0 asks without EDNS. Default 1232. */
  readonly udpSize?: number;
  /** Which family comes first in the answers of `lookup`. Default 4. */
  readonly prefer?: IpVersion;
  /** Puts the addresses of an answer in the order in which to try them (RFC 6724 6), instead of `prefer`. */
  readonly order?: (addresses: readonly IpAddress[]) => readonly IpAddress[];
}

/** Options of one request. */
export interface DnsRequestOptions {
  /** Gives the request up; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of {@link DnsResolver.lookup}. */
export interface DnsLookupOptions extends DnsRequestOptions {
  /** Which addresses will do: 4, 6, or 0 for any (default). */
  readonly family?: 0 | IpVersion;
}

/** An answer: the records asked for, and the aliases that led to them. TTLs are what is left of them. */
export interface DnsAnswer {
  readonly records: readonly DnsRecord[];
  readonly aliases: readonly DnsRecord[];
}

interface Waiter {
  readonly resolve: (finding: DnsFinding) => void;
  readonly reject: (reason: unknown) => void;
}

interface Asked {
  readonly question: DnsQuestion;
  readonly exchange: DnsExchange;
  readonly waiters: Set<Waiter>;
}

/**
 * Resolves names over a host's sockets.
 *
 * @example
 * const resolver = new DnsResolver(me, { servers: ['10.77.0.1'], search: ['example.test'] }, env);
 * const [address] = await resolver.lookup('www');
 */
export class DnsResolver {
  private readonly transports: DnsTransports;
  private readonly env: Env;
  private readonly options: DnsResolverOptions;
  private readonly local: LocalNames;
  private readonly cache: DnsCache;
  private readonly asked = new Map<string, Asked>();
  /** Of the servers. It is part of each question's key: what former servers are still asked is nothing to share. */
  private generation = 0;
  private servers: readonly Endpoint[];
  private search: readonly string[];

  /** @throws UsageError `ERR_INVALID_ADDRESS`, `ERR_INVALID_OPTION` */
  constructor(transports: DnsTransports, options: DnsResolverOptions, env: Env) {
    const { timeout = 2000, attempts = 3 } = options;
    if (!(timeout > 0) || !Number.isInteger(attempts) || attempts < 1) {
      throw new UsageError('ERR_INVALID_OPTION', 'a resolver needs a timeout and a number of attempts above zero');
    }
    this.transports = transports;
    this.options = options;
    this.env = env;
    this.local = new LocalNames(options.hosts);
    this.cache = new DnsCache(options, env.timers);
    this.servers = (options.servers ?? []).map(serverOf);
    this.search = options.search ?? [];
  }

  /** Other servers, and other domains to search, from now on: from a DHCP lease, say. What was remembered is forgotten. */
  setServers(servers: readonly (Endpoint | IpAddress | string)[], search: readonly string[] = this.search): void {
    this.servers = servers.map(serverOf);
    this.generation++;
    this.search = search;
    this.cache.clear();
  }

  getServers(): readonly Endpoint[] {
    return this.servers;
  }

  /** Domains that are tried behind a name that looks incomplete. */
  getSearch(): readonly string[] {
    return this.search;
  }

  /** The clock that its patience goes by. */
  get timers(): Timers {
    return this.env.timers;
  }

  /** Questions that are being asked now. */
  get pending(): number {
    return this.asked.size;
  }

  /**
   * The records of a type that exactly this name has.
   *
   * @throws DnsError (rejects); the signal's reason
   */
  async resolve(name: string, type: number, options: DnsRequestOptions = {}): Promise<DnsAnswer> {
    const aliases: DnsRecord[] = [];
    let asked = name;
    while (aliases.length <= MAX_ALIASES) {
      const finding = await this.find(asked, type, name, options.signal);
      if (finding.kind === 'none') throw new DnsError(finding.code, type, name);
      aliases.push(...finding.aliases);
      if (finding.kind === 'found') return { records: finding.records, aliases };
      asked = finding.target;
    }
    throw new DnsError('EBADRESP', type, name);
  }

  /** The IPv4 addresses of exactly this name. @throws as {@link resolve} */
  async resolve4(name: string, options: DnsRequestOptions = {}): Promise<Ipv4Address[]> {
    const addresses = addressesIn(await this.resolve(name, DnsType.A, options));
    return addresses.filter((address) => address.version === 4);
  }

  /** The IPv6 addresses of exactly this name. @throws as {@link resolve} */
  async resolve6(name: string, options: DnsRequestOptions = {}): Promise<Ipv6Address[]> {
    const addresses = addressesIn(await this.resolve(name, DnsType.AAAA, options));
    return addresses.filter((address) => address.version === 6);
  }

  /** The names of an address. @throws as {@link resolve}; UsageError `ERR_INVALID_ADDRESS` */
  async reverse(address: IpAddress | string, options: DnsRequestOptions = {}): Promise<string[]> {
    const ip = ipOf(address);
    const known = this.local.names(ip);
    if (known !== undefined) return [...known];
    const { records } = await this.resolve(reverseName(ip), DnsType.PTR, options);
    return records.flatMap(({ data }) => (data.kind === 'name' ? [data.name] : []));
  }

  /**
   * The addresses of what a user wrote: a literal, a hosts entry, a name to be completed by the search list.
   *
   * @param options `family`: 4 or 6, or 0 for both (default)
   * @throws DnsError (rejects): `ENOTFOUND` where no name of the search list has addresses, `ENODATA` where one exists without
   */
  async lookup(name: string, options: DnsLookupOptions = {}): Promise<IpAddress[]> {
    const found: IpAddress[] = [];
    await this.inStages(name, options, (addresses) => found.push(...addresses));
    return [...this.ordered(found)];
  }

  /**
   * As {@link lookup}, with the addresses told as they come, for those who connect to them (RFC 8305 3).
   *
   * @returns how to give up; nothing is told afterwards
   */
  stages(name: string, options: Pick<DnsLookupOptions, 'family'>, handler: StagesHandler): () => void {
    const giveUp = new AbortController();
    const { signal } = giveUp;
    const unlessGivenUp = (tell: () => void) => {
      if (!signal.aborted) tell();
    };
    this.inStages(name, { ...options, signal }, (addresses) => unlessGivenUp(() => handler.found(addresses))).then(
      () => unlessGivenUp(() => handler.done(undefined)),
      (error: Error) => unlessGivenUp(() => handler.done(error)),
    );
    return () => giveUp.abort();
  }

  /** Gives up all that is being asked: it rejects with `ECANCELLED`. */
  cancel(): void {
    for (const [key, { question, exchange, waiters }] of this.asked) {
      const { name, type } = question;
      this.asked.delete(key);
      exchange.cancel();
      for (const { reject } of waiters) reject(new DnsError('ECANCELLED', type, name));
    }
  }

  /** Forgets what was learnt. */
  clear(): void {
    this.cache.clear();
  }

  private async inStages(
    name: string,
    { family = 0, signal }: DnsLookupOptions,
    found: (addresses: readonly IpAddress[]) => void,
  ): Promise<void> {
    signal?.throwIfAborted();
    const literal = literalAddress(name);
    const known = literal === undefined ? this.local.addresses(name) : [literal];
    if (known !== undefined) {
      const fitting = known.filter(({ version }) => family === 0 || version === family);
      if (fitting.length > 0) return found(this.ordered(fitting));
      throw new DnsError('ENOTFOUND', family === 6 ? DnsType.AAAA : DnsType.A, name);
    }
    const types = family === 0 ? [DnsType.AAAA, DnsType.A] : [family === 4 ? DnsType.A : DnsType.AAAA];
    let code: DnsCode = 'ENOTFOUND';
    for (const candidate of searchNames(name, this.search, this.options.ndots ?? 1)) {
      const both = new FamilyStages((addresses) => found(this.ordered(addresses)), this.env.timers);
      const why = await both.ask(types, async (type) => addressesIn(await this.resolve(candidate, type, { signal })));
      if (why === undefined) return undefined;
      if (why === 'ENODATA') code = why;
      // A suffix may make a name too long: that is no fault of the name's.
      else if (why !== 'ENOTFOUND' && (why !== 'EBADNAME' || candidate === name))
        throw new DnsError(why, types.at(-1) ?? DnsType.A, name);
    }
    throw new DnsError(code, types.at(-1) ?? DnsType.A, name);
  }

  private ordered(addresses: readonly IpAddress[]): readonly IpAddress[] {
    const { prefer = 4, order } = this.options;
    if (order !== undefined) return order(addresses);
    return [
      ...addresses.filter(({ version }) => version === prefer),
      ...addresses.filter(({ version }) => version !== prefer),
    ];
  }

  /** What is remembered of a question, or what servers say. */
  private find(name: string, type: number, hostname: string, signal: AbortSignal | undefined): Promise<DnsFinding> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const key = `${this.generation} ${keyOf(checked(name, type), type)}`;
      const known = this.cache.get(key);
      if (known !== undefined) return resolve(known);
      if (this.servers.length === 0) throw new DnsError('ECONNREFUSED', type, hostname);
      const asked = this.asked.get(key) ?? this.ask(key, { name, type });
      const waiter = { resolve: settled(resolve), reject: settled(reject) };
      const abort = () => {
        waiter.reject(signal?.reason);
        this.leave(key, asked, waiter);
      };
      function settled<T>(settle: (value: T) => void): (value: T) => void {
        return (value) => {
          signal?.removeEventListener('abort', abort);
          settle(value);
        };
      }
      asked.waiters.add(waiter);
      signal?.addEventListener('abort', abort);
    });
  }

  private ask(key: string, question: DnsQuestion): Asked {
    const { servers } = this;
    const { name, type } = question;
    const { timeout = 2000, attempts = 3, udpSize = UDP_SIZE } = this.options;
    const waiters = new Set<Waiter>();
    const options = { servers, timeout, attempts, udpSize };
    const exchange = new DnsExchange(question, this.transports, options, this.env, (result) => {
      if (this.asked.get(key) === asked) this.asked.delete(key);
      if (typeof result === 'string') {
        for (const { reject } of waiters) reject(new DnsError(result, type, name));
        return;
      }
      const finding = findingOf(result, name, type);
      // What servers said that we no longer ask is not kept.
      if (this.servers === servers) this.cache.put(key, result, finding);
      for (const { resolve } of waiters) resolve(finding);
    });
    const asked = { question, exchange, waiters };
    this.asked.set(key, asked);
    return asked;
  }

  /** Nobody else waits: the question is withdrawn. */
  private leave(key: string, asked: Asked, waiter: Waiter): void {
    asked.waiters.delete(waiter);
    if (asked.waiters.size > 0) return;
    asked.exchange.cancel();
    if (this.asked.get(key) === asked) this.asked.delete(key);
  }
}

function keyOf(name: string, type: number): string {
  return `${type} ${canonicalName(name)}`;
}

function checked(name: string, type: number): string {
  try {
    nameLabels(name);
    return name;
  } catch {
    throw new DnsError('EBADNAME', type, name);
  }
}

function serverOf(server: Endpoint | IpAddress | string): Endpoint {
  if (typeof server === 'object' && 'port' in server) return server;
  return { address: ipOf(server), port: DNS_PORT };
}

function addressesIn({ records }: DnsAnswer): IpAddress[] {
  return records.flatMap(({ data }) => (data.kind === 'address' ? [data.address] : []));
}
