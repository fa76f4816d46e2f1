/**
 * The ways that packets took lately, so that those that follow need not be routed each: a packet from the same source to the same destination
 * goes the same way as long as addresses and routes are what they were.
 */

import type { IpVersion } from '../core/address.js';
import type { IpLink } from '../l2/link.js';
import { Ends, type EndsLength } from '../wire/ends.js';
import type { Route } from './routes.js';

// A power of two. Destinations that share a place take turns, which costs what routing costs.
const PLACES = 64;
/** No generation of tables. */
const NEVER = -1;

/** Where packets of one source and one destination go. */
export class Way<V extends IpVersion> {
  route: Route<V> | undefined = undefined;
  link: IpLink | undefined = undefined;
  /** To everybody on the link. */
  isBroadcast = false;
  /** The next hop, as the four words of `IpAddress.word`, but signed. */
  a = 0;
  b = 0;
  c = 0;
  d = 0;
  private generation = NEVER;
  private readonly ends: Ends = new Ends();

  /** Whether it is that of the packet whose source address is at `at`, by the tables of that generation. */
  leads(view: DataView, at: number, length: EndsLength, generation: number): boolean {
    return this.generation === generation && this.ends.are(view, at, length);
  }

  /** From now on it is, and whoever calls sets the rest. */
  claim(view: DataView, at: number, length: EndsLength, generation: number): void {
    this.generation = generation;
    this.ends.read(view, at, length);
  }

  /** It leads to this next hop, on whatever link. */
  goTo(a: number, b: number, c: number, d: number): void {
    this.a = a | 0;
    this.b = b | 0;
    this.c = c | 0;
    this.d = d | 0;
  }

  /** The next hop as it is now: once something else is sent, the way may be another packet's. */
  hop(): Way<V> {
    const hop = new Way<V>();
    hop.isBroadcast = this.isBroadcast;
    hop.goTo(this.a, this.b, this.c, this.d);
    return hop;
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
