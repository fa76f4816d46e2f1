/** Path MTUs that routers reported (RFC 1191, RFC 8201) or transports found out (RFC 4821, RFC 8899), per destination. */

import type { Env } from '../core/env.js';

// RFC 1191 6.3: after ten minutes try larger packets again.
const LIFETIME = 600_000;
const MAX_ENTRIES = 256;
/** No link needs packets smaller than this; below it a report is an attack (RFC 791, Linux `min_pmtu` 552). */
export const MIN_PATH_MTU = 552;
/** IPv6 needs no packets smaller than this (RFC 8200 5, RFC 8201 4). */
export const MIN_PATH_MTU_IPV6 = 1280;
// RFC 1191 7.1: common MTUs, for routers that do not say theirs.
const PLATEAUS = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006] as const;

interface Entry {
  readonly mtu: number;
  readonly until: number;
}

/** Path MTUs by destination, the least recently reported forgotten first. A destination is a number (IPv4) or a text (IPv6). */
export class PathMtus<Key extends number | string = number> {
  private readonly env: Env;
  private readonly least: number;
  private readonly entries = new Map<Key, Entry>();

  /** @param least no report makes a path smaller than this */
  constructor(env: Env, least: number = MIN_PATH_MTU) {
    this.env = env;
    this.least = least;
  }

  get size(): number {
    return this.entries.size;
  }

  /** The path MTU to `destination`, `Infinity` if it is not known. */
  get(destination: Key): number {
    const entry = this.entries.get(destination);
    if (entry === undefined) return Number.POSITIVE_INFINITY;
    if (entry.until > this.env.timers.now()) return entry.mtu;
    this.entries.delete(destination);
    return Number.POSITIVE_INFINITY;
  }

  /**
   * A router said that a packet of `length` bytes is too big for a next hop of `mtu` (0: it did not say). Returns the path MTU from
   * now on. It only ever shrinks until it expires.
   */
  reported(destination: Key, mtu: number, length: number): number {
    const now = Math.min(this.estimate(mtu, length), this.get(destination));
    this.found(destination, now);
    return now;
  }

  /** What such a report makes of the path, if it is believed. */
  estimate(mtu: number, length: number): number {
    // Over IPv6 routers always say (RFC 4443 3.2).
    const isSaid = this.least === MIN_PATH_MTU_IPV6 || (mtu >= 68 && mtu < length);
    const said = isSaid ? mtu : (PLATEAUS.find((plateau) => plateau < length) ?? this.least);
    return Math.max(said, this.least);
  }

  /** A transport found out itself what gets through: unlike a report that may also be more than was known. `Infinity` forgets. */
  found(destination: Key, mtu: number): void {
    this.entries.delete(destination);
    if (mtu === Number.POSITIVE_INFINITY) return;
    this.entries.set(destination, { mtu, until: this.env.timers.now() + LIFETIME });
    if (this.entries.size > MAX_ENTRIES) {
      for (const oldest of this.entries.keys()) {
        this.entries.delete(oldest);
        break;
      }
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.entries.clear();
  }
}
