/**
 * What was learnt from DNS, for as long as it is valid: answers by the least TTL of their records (RFC 1035 3.2.1), answers that there is
 * nothing by the SOA record that comes with them (RFC 2308 5), and by the aliases that led there. Bounded; what was not used for the longest time goes first.
 */

import type { Timers } from '../core/timers.js';
import { type DnsMessage, DnsRcode, type DnsRecord, DnsType } from '../wire/dns.js';
import { canonicalName } from '../wire/dns-name.js';

/** Longer chains of aliases than this are loops, or somebody's joke. */
export const MAX_ALIASES = 16;

/** What a response says about a question. */
export type DnsFinding =
  /** Records of the type; `aliases` led there. */
  | { readonly kind: 'found'; readonly records: readonly DnsRecord[]; readonly aliases: readonly DnsRecord[] }
  /** The name is an alias, and the response does not say what the other name has. */
  | { readonly kind: 'alias'; readonly target: string; readonly aliases: readonly DnsRecord[] }
  /** There is nothing, at the end of `aliases` where there are some. */
  | {
      readonly kind: 'none';
      readonly code: 'ENOTFOUND' | 'ENODATA' | 'EBADRESP';
      readonly aliases: readonly DnsRecord[];
    };

/** Options of {@link DnsCache}. */
export interface DnsCacheOptions {
  /** Most questions that are remembered; 0 remembers nothing. Default 1000. */
  readonly cacheSize?: number;
  /** Longest time in seconds that an answer is believed. Default a day. */
  readonly maxTtl?: number;
  /** Longest time in seconds that there being nothing is believed (RFC 2308 5 asks for hours at most). Default 3 hours. */
  readonly maxNegativeTtl?: number;
}

interface Entry {
  readonly finding: DnsFinding;
  readonly stored: number;
  readonly expires: number;
}

/** Reads a response: follows the aliases in it, and believes only records that the question leads to. */
export function findingOf(response: DnsMessage, name: string, type: number): DnsFinding {
  const aliases: DnsRecord[] = [];
  const seen = new Set<string>();
  let owner = canonicalName(name);
  for (;;) {
    const mine = response.answers.filter((record) => canonicalName(record.name) === owner);
    const records = mine.filter((record) => type === DnsType.ANY || record.type === type);
    if (records.length > 0) return { kind: 'found', records, aliases };
    const alias = mine.find((record) => record.type === DnsType.CNAME);
    seen.add(owner);
    if (alias === undefined || alias.data.kind !== 'name') break;
    if (aliases.length === MAX_ALIASES) return { kind: 'none', code: 'EBADRESP', aliases };
    aliases.push(alias);
    owner = canonicalName(alias.data.name);
    if (seen.has(owner)) break;
  }
  if (response.rcode === DnsRcode.NameError) return { kind: 'none', code: 'ENOTFOUND', aliases };
  const last = aliases.at(-1);
  // An authority's SOA says that the chain is complete, and that its end has nothing (RFC 2308 2.2).
  if (last?.data.kind !== 'name' || soaOf(response) !== undefined) return { kind: 'none', code: 'ENODATA', aliases };
  return { kind: 'alias', target: last.data.name, aliases };
}

/** Seconds that a finding is valid; 0 for one that must not be remembered. */
function validity(response: DnsMessage, finding: DnsFinding): number {
  const records = finding.kind === 'found' ? [...finding.aliases, ...finding.records] : finding.aliases;
  const least = Math.min(...records.map(({ ttl }) => ttl));
  if (finding.kind !== 'none') return least;
  const soa = finding.code === 'EBADRESP' ? undefined : soaOf(response);
  return soa?.data.kind === 'soa' ? Math.min(soa.ttl, soa.data.minimum, least) : 0;
}

function soaOf(response: DnsMessage): DnsRecord | undefined {
  return response.authorities.find(({ type }) => type === DnsType.SOA);
}

/** Findings by question. */
export class DnsCache {
  private readonly timers: Timers;
  private readonly size: number;
  private readonly maxTtl: number;
  private readonly maxNegativeTtl: number;
  // In the order of their last use.
  private readonly entries = new Map<string, Entry>();

  constructor(options: DnsCacheOptions, timers: Timers) {
    this.timers = timers;
    this.size = options.cacheSize ?? 1000;
    this.maxTtl = options.maxTtl ?? 86_400;
    this.maxNegativeTtl = options.maxNegativeTtl ?? 10_800;
  }

  /** Questions that are remembered. */
  get length(): number {
    return this.entries.size;
  }

  /** What is known, with TTLs counted down. */
  get(key: string): DnsFinding | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    this.entries.delete(key);
    const now = this.timers.now();
    if (now >= entry.expires) return undefined;
    this.entries.set(key, entry);
    return aged(entry.finding, Math.floor((now - entry.stored) / 1000));
  }

  put(key: string, response: DnsMessage, finding: DnsFinding): void {
    const limit = finding.kind === 'none' ? this.maxNegativeTtl : this.maxTtl;
    const seconds = Math.min(validity(response, finding), limit);
    if (seconds <= 0 || this.size <= 0) return;
    const now = this.timers.now();
    this.entries.delete(key);
    this.entries.set(key, { finding, stored: now, expires: now + seconds * 1000 });
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= this.size) break;
      this.entries.delete(oldest);
    }
  }

  clear(): void {
    this.entries.clear();
  }
}

function aged(finding: DnsFinding, seconds: number): DnsFinding {
  if (finding.kind === 'none' || seconds === 0) return finding;
  const older = (record: DnsRecord) => ({ ...record, ttl: Math.max(0, record.ttl - seconds) });
  const aliases = finding.aliases.map(older);
  return finding.kind === 'alias'
    ? { ...finding, aliases }
    : { ...finding, aliases, records: finding.records.map(older) };
}
