/** Which external address an internal host is given, and which of its ports: any that is free, or those of blocks that are the host's alone. */

import type { Random } from '../../core/random.js';
import type { ExternalAddress } from './externals.js';
import { MOST_BLOCKS, type NatHosts } from './hosts.js';
import type { Policies, SourcePolicy } from './policies.js';
import { NumberSet, type PortSet } from './port-set.js';
import { NatProtocol } from './protocols.js';
import type { PortRange } from './rules.js';

/** A host that is new is given one of so many addresses of its pool: the first, from a random one on, that has a port for it. */
const MOST_TRIED = 16;
const IDENTIFIERS: PortRange = { from: 1, to: 65_535 };

/** See the module. */
export class Allocation {
  private readonly policies: Policies;
  private readonly hosts: NatHosts;
  private readonly random: Random;
  /** Blocks that are no host's, by rule and external address. */
  private readonly blocks = new Map<SourcePolicy, Map<ExternalAddress, NumberSet>>();

  constructor(policies: Policies, hosts: NatHosts, random: Random) {
    this.policies = policies;
    this.hosts = hosts;
    this.random = random;
  }

  /** Takes a port for a port, or identifier, of a host; a host without mappings is given its address, too. 0 where there is none. */
  take(policy: SourcePolicy, host: number, protocol: NatProtocol, port: number): number {
    const { hosts } = this;
    const given = this.policies.externals.at(hosts.external(host));
    if (given !== undefined) return this.takeOf(policy, given, host, protocol, port);
    const { pool } = policy;
    const start = pool.length < 2 ? 0 : this.random.below(pool.length);
    for (let i = 0; i < Math.min(pool.length, MOST_TRIED); i++) {
      const external = pool[(start + i) % pool.length];
      const found = external === undefined ? 0 : this.takeOf(policy, external, host, protocol, port);
      if (external === undefined || found === 0) continue;
      hosts.setExternal(host, external.number);
      return found;
    }
    return 0;
  }

  /** A host is about to be forgotten: its blocks are nobody's again. */
  release(host: number): void {
    const { hosts, policies } = this;
    const policy = policies.sources.find(({ number }) => number === hosts.policy(host));
    const external = policies.externals.at(hosts.external(host));
    if (policy?.blocks === undefined || external === undefined) return;
    const free = this.freeBlocks(policy, external);
    for (let i = 0; i < MOST_BLOCKS; i++) {
      const block = hosts.block(host, i);
      if (block >= 0) free.add(block);
    }
  }

  /** An external address is none any more. */
  forget(external: ExternalAddress): void {
    for (const byAddress of this.blocks.values()) byAddress.delete(external);
  }

  private takeOf(
    policy: SourcePolicy,
    external: ExternalAddress,
    host: number,
    protocol: NatProtocol,
    port: number,
  ): number {
    const { high } = policy;
    const free = external.free(protocol);
    const like = protocol === NatProtocol.Udp ? port : -1;
    // Rather any other port of the rule's than none (RFC 4787 REQ-3 a, REQ-4: both are recommended only).
    if (policy.blocks !== undefined) {
      const found = this.takeOfBlocks(policy, external, host, free, like);
      return found === 0 && like >= 0 ? this.takeOfBlocks(policy, external, host, free, -1) : found;
    }
    const { from, to } = protocol === NatProtocol.Icmp ? IDENTIFIERS : policy.portsFor(port);
    if (policy.preservePorts && port >= from && port <= to && free.take(port)) return port;
    return (
      free.takeAny(from, to, like, this.random) ||
      free.takeAny(from, to, -1, this.random) ||
      free.takeAny(high.from, high.to, -1, this.random)
    );
  }

  /** From the blocks that the host has, or one more; `like` is a port whose parity it shall have, or -1. */
  private takeOfBlocks(
    policy: SourcePolicy,
    external: ExternalAddress,
    host: number,
    free: PortSet,
    like: number,
  ): number {
    const { size, most, count } = policy.blocks ?? { size: 1, most: 0, count: 0 };
    for (let i = 0; i < most; i++) {
      let block = this.hosts.block(host, i);
      const isNew = block < 0;
      if (isNew) block = this.freeBlocks(policy, external).near(this.random.below(count), 0, count - 1);
      if (block < 0) return 0;
      const from = policy.high.from + block * size;
      const found = free.takeAny(from, from + size - 1, like, this.random);
      if (found === 0) continue;
      if (isNew && this.freeBlocks(policy, external).remove(block)) this.hosts.setBlock(host, i, block);
      return found;
    }
    return 0;
  }

  private freeBlocks(policy: SourcePolicy, external: ExternalAddress): NumberSet {
    const byAddress = this.blocks.get(policy) ?? new Map<ExternalAddress, NumberSet>();
    this.blocks.set(policy, byAddress);
    const known = byAddress.get(external);
    if (known !== undefined) return known;
    const made = new NumberSet();
    made.fill(policy.blocks?.count ?? 0);
    byAddress.set(external, made);
    return made;
  }
}
