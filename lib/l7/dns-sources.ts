/**
 * Name servers from several sources at the same time (what the user set, DHCP of both versions, router advertisements) for one resolver, which
 * asks those of the first source first. A source that changes its mind does not touch what others said.
 */

import type { IpAddress } from '../core/address.js';
import type { Endpoint } from '../l4/tcp/api.js';

/** Takes name servers and search domains; a `DnsResolver` does. */
export interface DnsSettings<A extends IpAddress = IpAddress> {
  setServers(servers: readonly A[], search: readonly string[]): void;
}

/** What is configured in the end; a `DnsResolver` is one. */
export interface DnsTarget {
  setServers(servers: readonly (Endpoint | IpAddress)[], search: readonly string[]): void;
}

interface Source {
  readonly servers: readonly (Endpoint | IpAddress)[];
  readonly search: readonly string[];
}

/**
 * See the module.
 *
 * @example
 * const sources = new DnsSources(me.dns);
 * dhcpv4(me, { device, resolver: sources.from('dhcpv4') }).subscribe();
 * dhcpv6(me, { device, resolver: sources.from('dhcpv6') }).subscribe();
 */
export class DnsSources {
  private readonly target: DnsTarget;
  private readonly sources = new Map<string, Source>();

  /** `fixed` comes first, whatever others say. */
  constructor(target: DnsTarget, fixed: Partial<Source> = {}) {
    this.target = target;
    this.sources.set('', { servers: fixed.servers ?? [], search: fixed.search ?? [] });
  }

  /** Replaces what a source said. Sources keep the order in which they first spoke. */
  set(source: string, servers: readonly IpAddress[], search: readonly string[]): void {
    const before = this.sources.get(source);
    if (before !== undefined && isSame(before, { servers, search })) return;
    this.sources.set(source, { servers, search });
    const all = [...this.sources.values()];
    const once = new Map(all.flatMap((one) => one.servers).map((server) => [keyOf(server), server]));
    this.target.setServers([...once.values()], [...new Set(all.flatMap((one) => one.search))]);
  }

  /** The face of one source. */
  from(source: string): DnsSettings {
    return { setServers: (servers, search) => this.set(source, servers, search) };
  }
}

function isSame(one: Source, other: Source): boolean {
  const textOf = ({ servers, search }: Source) => [...servers.map(keyOf), '', ...search].join(' ');
  return textOf(one) === textOf(other);
}

function keyOf(server: Endpoint | IpAddress): string {
  return 'port' in server ? `${server.address.toString()} port ${server.port}` : server.toString();
}
