/** Which link leads to which range of a scope: disjoint ranges in order, found by halving; for each its links, the nearest first. */

import { isScope, scopeSize } from './address-text.js';

/** One way to somewhere. */
export interface Hop {
  readonly link: number;
  /** Less is nearer. */
  readonly metric: number;
}

interface Entry {
  readonly first: number;
  readonly size: number;
  hops: readonly Hop[];
}

/** Puts a hop among others, in place of a former one by the same link: nearest first, then by the link's number. */
export function withHop(hops: readonly Hop[], link: number, metric: number): readonly Hop[] {
  return [...hops.filter((hop) => hop.link !== link), { link, metric }].sort(
    (a, b) => a.metric - b.metric || a.link - b.link,
  );
}

/** Ranges of numbers, and the links that lead to them. */
export class RouteRanges {
  private entries: Entry[] = [];

  /** How many ranges there are. */
  get size(): number {
    return this.entries.length;
  }

  /** Adds a way to 2^`len` numbers from `first` on, below 2^`bits`. False if they are not, or overlap another range than just this one. */
  add(first: number, len: number, bits: number, link: number, metric: number): boolean {
    const size = scopeSize(len);
    if (!isScope(len) || !Number.isInteger(first) || first < 0 || first + size > scopeSize(bits)) return false;
    const index = this.after(first);
    const before = this.entries[index - 1];
    if (before?.first === first && before.size === size) {
      before.hops = withHop(before.hops, link, metric);
      return true;
    }
    if (before !== undefined && before.first + before.size > first) return false;
    const next = this.entries[index];
    if (next !== undefined && next.first < first + size) return false;
    this.entries.splice(index, 0, { first, size, hops: [{ link, metric }] });
    return true;
  }

  /** Forgets the way by `link` to the range that begins at `first`; false if there is none. */
  remove(first: number, link: number): boolean {
    const index = this.after(first) - 1;
    const entry = this.entries[index];
    if (entry?.first !== first || !entry.hops.some((hop) => hop.link === link)) return false;
    entry.hops = entry.hops.filter((hop) => hop.link !== link);
    if (entry.hops.length === 0) this.entries.splice(index, 1);
    return true;
  }

  /** Forgets all ways by `link`. */
  removeLink(link: number): void {
    for (const entry of this.entries) entry.hops = entry.hops.filter((hop) => hop.link !== link);
    this.entries = this.entries.filter(({ hops }) => hops.length > 0);
  }

  /** The ways to `value`; `undefined` if no range has it. */
  lookup(value: number): readonly Hop[] | undefined {
    const entry = this.entries[this.after(value) - 1];
    return entry !== undefined && value < entry.first + entry.size ? entry.hops : undefined;
  }

  /** How many ranges begin at `value` or below. */
  private after(value: number): number {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.entries[middle]?.first ?? 0) <= value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
