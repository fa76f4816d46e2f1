/** Things that routers say for a while: routes, addresses' prefixes, name servers. One timer serves all of a kind. */

import type { Timer, Timers } from '../core/timers.js';
import { INFINITE_LIFETIME } from '../wire/ndp-options.js';

/** Milliseconds of a lifetime in seconds, as neighbour discovery writes it: all ones never ends. */
export function lifetimeMs(seconds: number): number {
  return seconds === INFINITE_LIFETIME ? Infinity : seconds * 1_000;
}

interface Entry<V> {
  readonly value: V;
  readonly until: number;
}

/** A map whose entries end at a time. */
export class Lifetimes<V> {
  private readonly entries = new Map<string, Entry<V>>();
  private readonly timers: Timers;
  private readonly timer: Timer;
  private readonly expired: (values: readonly V[]) => void;

  /** `expired` is told of the values whose time has come, after they were removed. */
  constructor(timers: Timers, expired: (values: readonly V[]) => void) {
    this.timers = timers;
    this.expired = expired;
    this.timer = timers.timer(() => this.sweep());
  }

  get size(): number {
    return this.entries.size;
  }

  get(key: string): V | undefined {
    return this.entries.get(key)?.value;
  }

  /** When the entry ends, in milliseconds of the clock; `undefined` if there is none. */
  until(key: string): number | undefined {
    return this.entries.get(key)?.until;
  }

  /** Sets or replaces an entry that ends `lifetime` milliseconds from now; it keeps its place in the order. */
  set(key: string, value: V, lifetime: number): void {
    this.entries.set(key, { value, until: this.timers.now() + lifetime });
    this.arm();
  }

  delete(key: string): V | undefined {
    const value = this.entries.get(key)?.value;
    this.entries.delete(key);
    this.arm();
    return value;
  }

  /** The values, in the order in which they first came. */
  values(): V[] {
    return Array.from(this.entries.values(), ({ value }) => value);
  }

  /** Forgets everything without a word. */
  clear(): void {
    this.entries.clear();
    this.timer.cancel();
  }

  private sweep(): void {
    const now = this.timers.now();
    const ended = [...this.entries].filter(([, { until }]) => until <= now);
    for (const [key] of ended) this.entries.delete(key);
    this.arm();
    if (ended.length > 0) this.expired(ended.map(([, { value }]) => value));
  }

  private arm(): void {
    let first = Infinity;
    for (const { until } of this.entries.values()) first = Math.min(first, until);
    this.timer.arm(first);
  }
}
