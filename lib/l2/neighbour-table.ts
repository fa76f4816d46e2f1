/**
 * A hash table of neighbours by address, for both IP versions: keys are four words, IPv4 in its mapped form. They may be signed or not: as
 * arguments of calls unsigned ones may be objects in memory.
 */

import { type IpAddress, Ipv4Address, Ipv6Address } from '../core/address.js';
import type { NeighbourEntry } from './neighbour-entry.js';

/** For an IPv4 address this is the address itself, so that IPv4 tables have no collisions. */
function hash(a: number, b: number, c: number, d: number): number {
  return d ^ Math.imul(a ^ Math.imul(b, 31), 0x9e3779b1) ^ Math.imul(c ^ 0xffff, 0x85ebca6b);
}

/** The address whose words these are. */
export function addressOfWords(a: number, b: number, c: number, d: number): IpAddress {
  return a === 0 && b === 0 && c === 0xffff ? new Ipv4Address(d) : new Ipv6Address(a, b, c, d);
}

/** Neighbours by address. */
export class NeighbourTable {
  private readonly heads = new Map<number, NeighbourEntry>();
  /** The last that was found: packets come in bursts. */
  private last: NeighbourEntry | undefined = undefined;
  size = 0;

  find(a: number, b: number, c: number, d: number): NeighbourEntry | undefined {
    if (this.last?.is(a, b, c, d) === true) return this.last;
    let entry = this.heads.get(hash(a, b, c, d));
    while (entry !== undefined && !entry.is(a, b, c, d)) entry = entry.next;
    if (entry !== undefined) this.last = entry;
    return entry;
  }

  /** Adds an entry whose address is not in the table. */
  insert(entry: NeighbourEntry): void {
    const key = hash(entry.a, entry.b, entry.c, entry.d);
    entry.next = this.heads.get(key);
    this.heads.set(key, entry);
    this.size++;
  }

  delete(entry: NeighbourEntry): void {
    if (this.last === entry) this.last = undefined;
    const key = hash(entry.a, entry.b, entry.c, entry.d);
    const head = this.heads.get(key);
    if (head === entry) {
      if (entry.next === undefined) this.heads.delete(key);
      else this.heads.set(key, entry.next);
      this.size--;
      return;
    }
    for (let at = head; at !== undefined; at = at.next) {
      if (at.next !== entry) continue;
      at.next = entry.next;
      this.size--;
      return;
    }
  }

  /** All entries, as they are now. */
  entries(): NeighbourEntry[] {
    const found: NeighbourEntry[] = [];
    for (const head of this.heads.values()) {
      for (let at: NeighbourEntry | undefined = head; at !== undefined; at = at.next) found.push(at);
    }
    return found;
  }
}
