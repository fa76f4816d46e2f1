/** Routes that were looked up lately, by address, so that packets that follow cost a comparison. */

import type { Route } from './routes.js';

// A power of two. Addresses that share a place take turns, which costs what looking up costs.
const PLACES = 4096;
/** No generation of tables. */
const NEVER = -1;

/** What was found out of one address. Its words are signed, IPv4's are those of the mapped address. */
export class KeptRoute {
  route: Route | undefined = undefined;
  /** Whether packets to it stay here. */
  isHere = true;
  private a = 0;
  private b = 0;
  private c = 0;
  private d = 0;
  private generation: number = NEVER;

  /** Whether it is of that address, by the tables of that generation. */
  is(a: number, b: number, c: number, d: number, generation: number): boolean {
    return this.d === d && this.c === c && this.b === b && this.a === a && this.generation === generation;
  }

  /** From now on it is, and whoever calls sets the rest. */
  claim(a: number, b: number, c: number, d: number, generation: number): void {
    this.a = a;
    this.b = b;
    this.c = c;
    this.d = d;
    this.generation = generation;
  }
}

/** See the module. */
export class KeptRoutes {
  private readonly places: (KeptRoute | undefined)[] = Array.from({ length: PLACES }, () => undefined);

  /** What is in the place of that address, which may be another's. */
  at(a: number, b: number, c: number, d: number): KeptRoute {
    const hash = Math.imul(a ^ Math.imul(b, 31) ^ Math.imul(c, 0x85eb_ca6b) ^ d, 0x9e37_79b1);
    return (this.places[(hash >>> 16) & (PLACES - 1)] ??= new KeptRoute());
  }
}
