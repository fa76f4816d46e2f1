/**
 * Longest-prefix match by how many routes there are: time of a lookup, of a change, of filling the table, and memory; beside a map of addresses
 * for each length of prefix, which is what comes first to mind.
 */

import { Cidr, type IpVersion, Ipv4Address, Ipv6Address } from '../lib/core/address.js';
import { PrefixMap } from '../lib/core/prefix-map.js';
import { Fib, NOWHERE } from '../lib/l3/fib.js';
import { bytesInUse } from './memory.js';
import { drawAddresses, drawPrefixes, type PrefixKind, type Prefixes } from './prefixes.js';
import { type Row, row } from './report.js';

const LOOKUPS = 'Longest-prefix match: lookups';
const TABLES = 'Longest-prefix match: tables';
const COUNTS = [10, 10_000, 1_000_000];
/** Addresses that are looked up in turn, more than caches hold. */
const ADDRESSES = 1 << 18;
const TURNS = 1 << 20;
const CHANGES = 20_000;
const MAPPED = 0xffff;
const BEST_OF = 3;

/** Results of the lookups, so that they are made. */
let sink = 0;

/** A map for each length, asked from the longest on. */
class NaiveMap {
  private readonly maps = new Map<number, Map<number, number>>();
  private lengths: number[] = [];

  set(high: number, low: number, length: number, value: number): void {
    const known = this.maps.get(length);
    const map = known ?? new Map<number, number>();
    map.set(keyOf(high, low, length), value);
    if (known !== undefined) return;
    this.maps.set(length, map);
    this.lengths = [...this.maps.keys()].toSorted((one, other) => other - one);
  }

  lookup(high: number, low: number): number {
    for (const length of this.lengths) {
      const value = this.maps.get(length)?.get(keyOf(high, low, length));
      if (value !== undefined) return value;
    }
    return -1;
  }
}

/** Exact up to 53 bits, which is more than prefixes of these benchmarks have that are many. */
function keyOf(high: number, low: number, length: number): number {
  if (length <= 32) return length === 0 ? 0 : high >>> (32 - length);
  return (high >>> 0) * 2 ** (length - 32) + (low >>> (64 - length));
}

function nanoseconds(count: number, work: () => void): number {
  const begun = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - begun) / count;
}

function best(count: number, work: () => void): number {
  work();
  return Math.min(...Array.from({ length: BEST_OF }, () => nanoseconds(count, work)));
}

function fill(map: PrefixMap, { high, low, lengths }: Prefixes): void {
  for (let i = 0; i < lengths.length; i++) map.set(high[i] ?? 0, low[i] ?? 0, 0, high[i] ?? 0, lengths[i] ?? 0, i);
}

/** Looks addresses up, each when the answer to the one before is known, as it is where there is more to be done with a packet. */
function lookups(find: (high: number, low: number) => number, addresses: Int32Array): () => void {
  const mask = addresses.length - 2;
  return () => {
    let found = 0;
    for (let i = 0; i < TURNS; i++) {
      // What is found has no sign.
      const at = (2 * (i + (found >>> 31))) & mask;
      found = find(addresses[at] ?? 0, addresses[at + 1] ?? 0);
      sink ^= found;
    }
  };
}

function changes(map: PrefixMap, { high, low, lengths }: Prefixes): () => void {
  return () => {
    for (let turn = 0; turn < CHANGES; turn++) {
      const i = Math.imul(turn, 0x9e37_79b1) % lengths.length;
      const at = i < 0 ? i + lengths.length : i;
      const [a = 0, b = 0, length = 0] = [high[at], low[at], lengths[at]];
      map.delete(a, b, 0, a, length);
      map.set(a, b, 0, a, length, at);
    }
  };
}

/** One size and kind of table. */
interface Measured {
  readonly lookup: number;
  readonly naive: number;
  readonly build: number;
  readonly change: number;
  readonly longest: number;
  readonly bytes: number;
}

function measure(prefixes: Prefixes): Measured {
  const { version, high, low, lengths } = prefixes;
  const count = lengths.length;
  const map = new PrefixMap(version);
  const build = nanoseconds(count, () => fill(map, prefixes));
  const addresses = drawAddresses(prefixes, ADDRESSES);
  const lookup = best(
    TURNS,
    lookups((a, b) => map.lookup(a, b, 0, a), addresses),
  );
  const change = best(CHANGES, changes(map, prefixes));
  const naiveMap = new NaiveMap();
  for (let i = 0; i < count; i++) naiveMap.set(high[i] ?? 0, low[i] ?? 0, lengths[i] ?? 0, i);
  const naive = best(
    TURNS,
    lookups((a, b) => naiveMap.lookup(a, b), addresses),
  );
  return { lookup, naive, build, change, longest: longestSet(prefixes), bytes: map.bytes / map.size };
}

/** Longest time that adding one prefix took, in microseconds, of a table that is filled once more. */
function longestSet({ version, high, low, lengths }: Prefixes): number {
  const map = new PrefixMap(version);
  let longest = 0;
  for (let i = 0; i < lengths.length; i++) {
    const begun = process.hrtime.bigint();
    map.set(high[i] ?? 0, low[i] ?? 0, 0, high[i] ?? 0, lengths[i] ?? 0, i);
    longest = Math.max(longest, Number(process.hrtime.bigint() - begun));
  }
  return longest / 1000;
}

/** Bytes of a whole `Fib` by route, the routes themselves included. */
function fibBytes({ version, high, low, lengths }: Prefixes): number {
  const before = bytesInUse();
  const fib = new Fib<IpVersion>(version);
  const gateway = version === 4 ? new Ipv4Address(1) : new Ipv6Address(0, 0, 0, 1);
  for (let i = 0; i < lengths.length; i++) {
    const [a = 0, b = 0] = [high[i], low[i]];
    const address = version === 4 ? new Ipv4Address(a) : new Ipv6Address(a, b, 0, 0);
    fib.add({ destination: new Cidr<IpVersion>(address, lengths[i] ?? 0), device: NOWHERE, gateway });
  }
  const bytes = (bytesInUse() - before) / fib.size;
  sink ^= fib.lookup(0, 0, MAPPED, 0)?.destination.length ?? 0;
  return bytes;
}

/** Measures all tables, `rounds` times, interleaved. */
export function lookupBenchmark(rounds: number): Row[] {
  const tables = ([4, 6] as const).flatMap((version) =>
    (['random', 'internet'] as const satisfies readonly PrefixKind[]).flatMap((kind) =>
      COUNTS.map((count) => ({
        name: `IPv${version}, ${count.toLocaleString('en')} ${kind === 'random' ? 'random prefixes' : 'prefixes like the Internet’s'}`,
        prefixes: drawPrefixes(version, kind, count),
      })),
    ),
  );
  const measured = tables.map((): Measured[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, { prefixes }] of tables.entries()) measured[i]?.push(measure(prefixes));
  }
  const rows = tables.flatMap(({ name, prefixes }, i) => {
    const values = (key: keyof Measured) => (measured[i] ?? []).map((one) => one[key]);
    const naive = row(LOOKUPS, `${name}: a map for each length`, 'ns', values('naive'));
    const compared = [row(LOOKUPS, name, 'ns', values('lookup'), { ...naive, name: 'a map for each length' }), naive];
    const { length: count } = prefixes.lengths;
    // Of a few the first call of everything is most of it.
    if (count === COUNTS[0]) return compared;
    return [
      ...compared,
      row(TABLES, `${name}: adding one`, 'ns', values('build')),
      row(TABLES, `${name}: adding the one that took longest`, 'µs', values('longest')),
      row(TABLES, `${name}: removing one and adding it again`, 'ns', values('change')),
      row(TABLES, `${name}: memory of each`, 'B', values('bytes')),
      ...(count === COUNTS.at(-1)
        ? [row(TABLES, `${name}: memory of each with its route`, 'B', [fibBytes(prefixes)])]
        : []),
    ];
  });
  if (Number.isNaN(sink)) throw new Error('nothing was looked up');
  return rows;
}
