/**
 * The ways that packets took lately, so that those that follow need not be routed each: a packet from the same source to the same destination
 * goes the same way as long as addresses and routes are what they were.
 */

import type { IpVersion } from '../core/address.js';
import type { IpLink } from '../l2/link.js';
import type { Route } from './routes.js';

// A power of two. Destinations that share a place take turns, which costs what routing costs.
const PLACES = 64;
/** No generation of tables. */
const NEVER = -1;

/** Where packets of one source and one destination go. Words of addresses are signed: other numbers would be objects in memory. */
export class Way<V extends IpVersion> {
  route: Route<V> | undefined = undefined;
  link: IpLink | undefined = undefined;
  /** To everybody on the link. */
  isBroadcast = false;
  /** The next hop, as the four words of `IpAddress.word`. */
  a = 0;
  b = 0;
  c = 0;
  d = 0;
  private generation = NEVER;
  private readonly ends = new Int32Array(8);

  /** Whether it is for the addresses in front of which `at` points, `length` bytes both together, and the tables of that generation. */
  leads(view: DataView, at: number, length: 8 | 32, generation: number): boolean {
    if (this.generation !== generation) return false;
    const { ends } = this;
    for (let i = 0; i < length; i += 4) if (ends[i >>> 2] !== view.getInt32(at + i)) return false;
    return true;
  }

  /** From now on it is, and whoever calls sets the rest. */
  claim(view: DataView, at: number, length: 8 | 32, generation: number): void {
    this.generation = generation;
    for (let i = 0; i < length; i += 4) this.ends[i >>> 2] = view.getInt32(at + i);
  }

  /** It is good for one packet only. */
  forget(): void {
    this.generation = NEVER;
  }
}

/** Ways by the last word of the destination. */
export class Ways<V extends IpVersion> {
  private readonly places: (Way<V> | undefined)[] = Array.from({ length: PLACES }, () => undefined);

  /** The way in the place of that destination, which may be another's. */
  at(word: number): Way<V> {
    const place = (word ^ (word >>> 8) ^ (word >>> 16)) & (PLACES - 1);
    return (this.places[place] ??= new Way());
  }
}
