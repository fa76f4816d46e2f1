/**
 * Several routes to one prefix, and which of them a flow takes. Equally good ones share the flows by rendezvous hashing (Thaler and Ravishankar,
 * 1998; weighted as in Schindelhauer and Schomaker, 2005): each flow goes to the way that scores highest for it, by a hash of both. So a way that
 * goes away hands its own flows to the others, one that comes takes its part from all, and nothing else moves: whatever came or went
 * before, and in whatever order.
 */

import type { IpVersion } from '../core/address.js';
import type { Route } from './routes.js';

/** Routes to one prefix. */
export class RouteGroup<V extends IpVersion = IpVersion> {
  /** All of them, the lowest metric first. */
  readonly routes: readonly Route<V>[];
  /** Those that are taken: of the lowest metric, and not avoided as long as there are others. */
  readonly taken: readonly Route<V>[];
  private readonly keys: Int32Array;
  private readonly weights: Float64Array;
  private readonly isEven: boolean;

  constructor(routes: readonly Route<V>[], isAvoided: (route: Route<V>) => boolean) {
    this.routes = [...routes].sort(byMetric);
    const wanted = this.routes.filter((route) => !isAvoided(route));
    const candidates = wanted.length > 0 ? wanted : this.routes;
    const lowest = candidates[0]?.metric ?? 0;
    const taken = candidates.filter(({ metric = 0 }) => metric === lowest);
    // In an order of their own, so that it does not matter which was there first, even where two score the same.
    this.taken = taken.sort((one, other) => keyOf(one) - keyOf(other));
    this.keys = Int32Array.from(this.taken, keyOf);
    this.weights = Float64Array.from(this.taken, ({ weight = 1 }) => weight);
    this.isEven = this.weights.every((weight) => weight === this.weights[0]);
  }

  /** The route of the flow with this hash, of any 32 bits. */
  choose(flow: number): Route<V> | undefined {
    return this.taken[this.isEven ? this.highest(flow) : this.highestByWeight(flow)];
  }

  private highest(flow: number): number {
    const { keys } = this;
    let best = 0;
    let highest = score(flow, keys[0] ?? 0);
    for (let i = 1; i < keys.length; i++) {
      const other = score(flow, keys[i] ?? 0);
      if (other > highest) {
        best = i;
        highest = other;
      }
    }
    return best;
  }

  private highestByWeight(flow: number): number {
    const { keys, weights } = this;
    let best = 0;
    let highest = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < keys.length; i++) {
      const uniform = (score(flow, keys[i] ?? 0) + 0.5) / 0x1_0000_0000;
      const other = Math.log(uniform) / (weights[i] ?? 1);
      if (other > highest) {
        best = i;
        highest = other;
      }
    }
    return best;
  }
}

function byMetric<V extends IpVersion>(one: Route<V>, other: Route<V>): number {
  return (one.metric ?? 0) - (other.metric ?? 0);
}

/** What tells a way from the others of its group, the same in every process. */
function keyOf<V extends IpVersion>({ device, gateway }: Route<V>): number {
  let hash = 0x811c_9dc5;
  for (const char of `${device.name} ${gateway?.toString() ?? ''}`) {
    hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x0100_0193);
  }
  return mixed(hash);
}

/** How well a flow and a way go together, an unsigned number. */
function score(flow: number, key: number): number {
  return mixed(mixed(flow) ^ key) >>> 0;
}

/** The finalisation of MurmurHash3: every bit depends on every bit. */
export function mixed(word: number): number {
  const once = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b);
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2_ae35);
  return twice ^ (twice >>> 16);
}
