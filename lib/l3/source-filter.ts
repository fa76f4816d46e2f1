/**
 * Source filters of multicast groups (RFC 3376 2, RFC 3810 3): from which sources somebody wants a group's packets. All values are
 * immutable.
 */

import { type IpAddress, Ipv6Address } from '../core/address.js';

/** `include` wants only the sources that are named, `exclude` all but those. */
export type FilterMode = 'include' | 'exclude';

/** Addresses by {@link addressKey}. */
export type SourceSet<A extends IpAddress = IpAddress> = ReadonlyMap<string, A>;

/** From which sources a group's packets are wanted. */
export interface SourceFilter<A extends IpAddress = IpAddress> {
  readonly mode: FilterMode;
  readonly sources: SourceSet<A>;
}

const NO_SOURCES: SourceSet<never> = new Map<string, never>();

/** Wants nothing: the filter of who is not a member. */
export const NOTHING: SourceFilter<never> = { mode: 'include', sources: NO_SOURCES };
/** Wants everything: any-source membership. */
export const EVERYTHING: SourceFilter<never> = { mode: 'exclude', sources: NO_SOURCES };

/** The key of an address in maps: its bits, without the zone. */
export function addressKey(address: IpAddress): string {
  if (address.version === 4) return `${address.value}`;
  return `${address.a}:${address.b}:${address.c}:${address.d}`;
}

/** The address as packets carry it. */
export function withoutZone(address: IpAddress): IpAddress {
  if (address.version === 4 || address.zone === '') return address;
  return new Ipv6Address(address.a, address.b, address.c, address.d);
}

/** A set of these addresses. */
export function sourceSet<A extends IpAddress>(sources: Iterable<A>): SourceSet<A> {
  const set = new Map<string, A>();
  for (const source of sources) set.set(addressKey(source), source);
  return set;
}

/** A filter of these sources. */
export function sourceFilter<A extends IpAddress>(mode: FilterMode, sources: Iterable<A> = []): SourceFilter<A> {
  return { mode, sources: sourceSet(sources) };
}

/** Whether no packet at all is wanted. */
export function isNothing({ mode, sources }: SourceFilter): boolean {
  return mode === 'include' && sources.size === 0;
}

/** Whether packets from `source` are wanted. */
export function admits({ mode, sources }: SourceFilter, source: IpAddress): boolean {
  // The key is text: most memberships need none.
  const named = sources.size > 0 && sources.has(addressKey(source));
  return named === (mode === 'include');
}

/** Whether two filters want the same. */
export function isSameFilter(one: SourceFilter, other: SourceFilter): boolean {
  if (one.mode !== other.mode || one.sources.size !== other.sources.size) return false;
  for (const key of one.sources.keys()) if (!other.sources.has(key)) return false;
  return true;
}

/** The addresses of `one` that are not in `other`. */
export function without<A extends IpAddress>(one: SourceSet<A>, other: SourceSet): SourceSet<A> {
  return filtered(one, (key) => !other.has(key));
}

/** The addresses of both. */
export function intersection<A extends IpAddress>(one: SourceSet<A>, other: SourceSet): SourceSet<A> {
  return filtered(one, (key) => other.has(key));
}

function filtered<A extends IpAddress>(set: SourceSet<A>, isWanted: (key: string) => boolean): SourceSet<A> {
  const result = new Map<string, A>();
  for (const [key, address] of set) if (isWanted(key)) result.set(key, address);
  return result;
}

/**
 * The filter of an interface: what at least one of its listeners wants (RFC 3376 3.2, RFC 3810 4.2). Where one of them excludes, the
 * sources to exclude are those that all of these exclude and nobody includes; otherwise everything that is included is.
 */
export function mergeFilters<A extends IpAddress>(filters: Iterable<SourceFilter<A>>): SourceFilter<A> {
  const included = new Map<string, A>();
  let excluded: SourceSet<A> | undefined;
  for (const { mode, sources } of filters) {
    if (mode === 'include') for (const [key, source] of sources) included.set(key, source);
    else excluded = excluded === undefined ? sources : intersection(excluded, sources);
  }
  if (excluded === undefined) return { mode: 'include', sources: included };
  return { mode: 'exclude', sources: without(excluded, included) };
}
