/**
 * Static routes of multicast packets (RFC 1812 5.2.3): by source and group, through which interface they have to come and by which they go
 * further. Of several that fit the one with the longest source prefix is taken, then that with the longest group prefix; so (S,G) comes before
 * (*,G).
 */

import { Cidr, type IpAddress, Ipv4Address } from '../core/address.js';
import type { Device } from '../core/device.js';
import { UsageError } from '../core/errors.js';

/** One way out. */
export interface MulticastOutputOptions {
  readonly device: Device;
  /** Packets go by it that came with a higher TTL or hop limit than this, 1 to 255. Default 1. */
  readonly threshold?: number;
}

/** A route as users write it. */
export interface MulticastRouteOptions {
  /** A group, or a prefix of groups. Groups of one link (224.0.0.0/24, ff02::/16) are never forwarded. */
  readonly group: IpAddress | Cidr | string;
  /** Senders: an address or a prefix. Default: all. */
  readonly source?: IpAddress | Cidr | string;
  /** Where packets have to come from. */
  readonly from: Device;
  readonly to: readonly (Device | MulticastOutputOptions)[];
}

/** A way out of a route. */
export interface MulticastOutput {
  readonly device: Device;
  readonly threshold: number;
}

/** A route, and what it did so far. */
export interface MulticastRoute {
  readonly source: Cidr;
  readonly group: Cidr;
  readonly from: Device;
  readonly to: readonly MulticastOutput[];
  /** Packets, and their bytes, that came in by it; each counts once, however many ways it went. */
  readonly packets: number;
  readonly bytes: number;
  /** Packets that came in by another interface, and were dropped. */
  readonly wrongDevice: number;
}

/** See {@link MulticastRoute}; counters are written by whoever forwards. */
export class MulticastEntry implements MulticastRoute {
  readonly source: Cidr;
  readonly group: Cidr;
  readonly from: Device;
  readonly to: readonly MulticastOutput[];
  packets = 0;
  bytes = 0;
  wrongDevice = 0;
  /** Those of the source and of the group, signed, IPv4's as mapped addresses. */
  readonly words: Int32Array;
  /** The next one with the same hash. */
  next: MulticastEntry | undefined = undefined;

  constructor(source: Cidr, group: Cidr, from: Device, to: readonly MulticastOutput[]) {
    this.source = source;
    this.group = group;
    this.from = from;
    this.to = to;
    this.words = Int32Array.from([...wordsOf(source), ...wordsOf(group)]);
  }
}

const INDICES = [0, 1, 2, 3] as const;
const GROUPS4 = Cidr.of('224.0.0.0/4');
const GROUPS6 = Cidr.of('ff00::/8');
const ANY4 = new Cidr<4>(new Ipv4Address(0), 0);
const ANY6 = Cidr.of('::/0');

/** All routes whose prefixes have the same lengths: a hash table of masked words, source first. */
class Lengths {
  readonly source: number;
  readonly group: number;
  readonly masks: Int32Array;
  readonly heads = new Map<number, MulticastEntry>();

  constructor({ source, group }: MulticastEntry) {
    this.source = source.length + (source.version === 4 ? 96 : 0);
    this.group = group.length + (group.version === 4 ? 96 : 0);
    this.masks = Int32Array.from([...masksOf(this.source), ...masksOf(this.group)]);
  }

  isOf(entry: MulticastEntry): boolean {
    const { source, group } = new Lengths(entry);
    return this.source === source && this.group === group;
  }

  hash(words: Int32Array): number {
    let hash = 0;
    for (let i = 0; i < words.length; i++) {
      hash = Math.imul(hash ^ ((words[i] ?? 0) & (this.masks[i] ?? 0)), 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    return hash;
  }
}

/** See the module. */
export class MulticastRoutes {
  private readonly entries: MulticastEntry[] = [];
  /** The most specific first. */
  private lengths: Lengths[] = [];
  private readonly devices = new Set<Device>();
  private changes = 0;

  /** Rises with each change. */
  get version(): number {
    return this.changes;
  }

  get size(): number {
    return this.entries.length;
  }

  /**
   * Adds a route; one of the same source and group is replaced, its counters go on.
   *
   * @throws UsageError `ERR_INVALID_ADDRESS`, `ERR_INVALID_OPTION`
   */
  add(options: MulticastRouteOptions): void {
    const entry = entryOf(options);
    const old = this.find(entry.source, entry.group);
    if (old !== undefined) {
      entry.packets = old.packets;
      entry.bytes = old.bytes;
      entry.wrongDevice = old.wrongDevice;
      this.take(old);
    }
    this.entries.push(entry);
    this.index(entry);
    this.changes++;
  }

  /** Takes away the route of exactly this source and group; says whether there was one. */
  remove({ group, source }: Pick<MulticastRouteOptions, 'group' | 'source'>): boolean {
    const groups = groupOf(group);
    const old = this.find(sourceOf(source, groups), groups);
    if (old === undefined) return false;
    this.take(old);
    this.changes++;
    return true;
  }

  list(): readonly MulticastRoute[] {
    return this.entries;
  }

  /** Whether packets of groups may come in by this device. */
  listensOn(device: Device): boolean {
    return this.devices.has(device);
  }

  /** The route of a packet, given by eight signed words: those of its source and of its group, IPv4's as mapped addresses. */
  lookup(words: Int32Array): MulticastEntry | undefined {
    const { lengths } = this;
    for (let i = 0; i < lengths.length; i++) {
      const table = lengths[i];
      if (table === undefined) return undefined;
      let entry = table.heads.get(table.hash(words));
      while (entry !== undefined && !fits(entry, table.masks, words)) entry = entry.next;
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  private find(source: Cidr, group: Cidr): MulticastEntry | undefined {
    return this.entries.find((entry) => entry.source.equals(source) && entry.group.equals(group));
  }

  private take(entry: MulticastEntry): void {
    this.entries.splice(this.entries.indexOf(entry), 1);
    this.lengths = [];
    this.devices.clear();
    for (const other of this.entries) this.index(other);
  }

  private index(entry: MulticastEntry): void {
    this.devices.add(entry.from);
    let table = this.lengths.find((one) => one.isOf(entry));
    if (table === undefined) {
      table = new Lengths(entry);
      this.lengths.push(table);
      this.lengths.sort((one, other) => other.source - one.source || other.group - one.group);
    }
    const key = table.hash(entry.words);
    entry.next = table.heads.get(key);
    table.heads.set(key, entry);
  }
}

function wordsOf({ address }: Cidr): readonly number[] {
  return INDICES.map((index) => address.word(index));
}

/** The mask of so many bits, in words. */
function masksOf(length: number): readonly number[] {
  return INDICES.map((index) => {
    const bits = Math.min(Math.max(length - index * 32, 0), 32);
    return bits === 0 ? 0 : -1 << (32 - bits);
  });
}

function fits({ words: own }: MulticastEntry, masks: Int32Array, words: Int32Array): boolean {
  for (let i = 0; i < own.length; i++) {
    if ((((words[i] ?? 0) ^ (own[i] ?? 0)) & (masks[i] ?? 0)) !== 0) return false;
  }
  return true;
}

function entryOf({ group, source, from, to }: MulticastRouteOptions): MulticastEntry {
  const outputs = to.map((one) => {
    const { device, threshold = 1 } = 'device' in one ? one : { device: one };
    if (!(Number.isInteger(threshold) && threshold >= 1 && threshold <= 255)) {
      throw new UsageError('ERR_INVALID_OPTION', `a threshold is a whole number from 1 to 255, not ${threshold}`);
    }
    if (device === from) throw new UsageError('ERR_INVALID_OPTION', `'${from.name}' is where the packets come from`);
    return { device, threshold };
  });
  if (new Set(outputs.map(({ device }) => device)).size < outputs.length) {
    throw new UsageError('ERR_INVALID_OPTION', 'a route leads twice to the same device');
  }
  const groups = groupOf(group);
  return new MulticastEntry(sourceOf(source, groups), groups, from, outputs);
}

function groupOf(group: MulticastRouteOptions['group']): Cidr {
  const cidr = prefixOf(group);
  const all = cidr.version === 4 ? GROUPS4 : GROUPS6;
  if (cidr.length >= all.length && all.contains(cidr.address)) return cidr;
  throw new UsageError('ERR_INVALID_OPTION', `${cidr.toString()} is no multicast group`);
}

function sourceOf(source: MulticastRouteOptions['source'], group: Cidr): Cidr {
  const cidr = source === undefined ? (group.version === 4 ? ANY4 : ANY6) : prefixOf(source);
  const isOdd = cidr.version !== group.version || (cidr.address.isMulticast && cidr.length > 0);
  if (isOdd) throw new UsageError('ERR_INVALID_OPTION', `${cidr.toString()} sends to no group of IPv${group.version}`);
  return cidr;
}

/** A prefix, without the bits behind it. */
function prefixOf(from: IpAddress | Cidr | string): Cidr {
  const cidr = Cidr.of(from instanceof Cidr || typeof from !== 'string' ? from.toString() : from);
  return Cidr.of(`${cidr.network.toString()}/${cidr.length}`);
}
