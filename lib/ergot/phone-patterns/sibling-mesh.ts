/**
 * What sibling routers know of each other: one to four routers of one layer, joined by whatever links they have ("virtual parent" of ergot
 * proposal 0146). Each says now and then whom it hears, whether it has a parent, and what the others last said, so that all come to know the same
 * graph, also where not every two of them are joined; from it each finds its ways, and all choose the same one to speak with the parent: the
 * lowest living one that has one.
 *
 * A machine without a clock: it is told the time, and when to say something is its user's business.
 */

import { UsageError } from '../../core/errors.js';
import { isSamePrefix, type Prefix } from '../phone/messages.js';

/** A layer has at most as many routers: their prefixes have two bits. */
export const MAX_SIBLINGS = 4;
/** Bits of their prefixes. */
export const SIBLING_BITS = 2;

/** What a router says of itself. */
export interface SiblingRecord {
  /** Its number, 0..3, which is its prefix. */
  readonly id: number;
  /** Grows with whatever it says, 32 bits and around. */
  readonly sequence: number;
  /** Bit `i` is set if it hears router `i` on a link of theirs. */
  readonly hears: number;
  /** Whether it has a parent that it could ask. */
  readonly parent: boolean;
  /** What the layer has of the parent, as far as it was this router that asked. */
  readonly prefix: Prefix | undefined;
}

/** A way to another router. */
export interface SiblingWay<L> {
  readonly link: L;
  /** Routers in between. */
  readonly distance: number;
}

interface Known {
  record: SiblingRecord;
  deadline: number;
}

interface Neighbour {
  readonly id: number;
  deadline: number;
}

/** What one router knows; its links are of whatever kind `L`. */
export class SiblingMesh<L> {
  readonly id: number;
  private readonly lifetime: number;
  private readonly known: (Known | undefined)[] = [undefined, undefined, undefined, undefined];
  private readonly neighbours = new Map<L, Neighbour>();
  private own: SiblingRecord;
  /** From when on this router may be chosen: by then it has heard of the others. */
  private readonly settled: number;

  /**
   * @param id 0..3
   * @param lifetime milliseconds after which who was not heard of is dead; for as long a new router does not put itself forward
   * @param now the time
   * @throws UsageError `ERR_INVALID_OPTION`
   */
  constructor(id: number, lifetime: number, now: number) {
    if (!isSibling(id)) throw new UsageError('ERR_INVALID_OPTION', `a sibling is number 0..3, not ${id}`);
    if (!(lifetime > 0)) throw new UsageError('ERR_INVALID_OPTION', `lifetime must be more than 0, not ${lifetime}`);
    this.id = id;
    this.lifetime = lifetime;
    this.settled = now + lifetime;
    this.own = { id, sequence: 0, hears: 0, parent: false, prefix: undefined };
  }

  /** When something is to be forgotten next, so that {@link expire} has work; `Infinity` for never. */
  get deadline(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const one of this.known) if (one !== undefined) first = Math.min(first, one.deadline);
    for (const { deadline } of this.neighbours.values()) first = Math.min(first, deadline);
    return first;
  }

  /** When this router may be chosen first. */
  get settledAt(): number {
    return this.settled;
  }

  /** Says what there is at this end: whether there is a parent, and what it gave. True if that is news. */
  set(parent: boolean, prefix: Prefix | undefined): boolean {
    const before = this.own;
    this.own = { ...before, parent, prefix };
    return !isSame(before, this.own);
  }

  /** What to tell the others: on every link, at every interval, and at once after news. */
  say(): SiblingRecord[] {
    this.own = { ...this.own, sequence: (this.own.sequence + 1) | 0 };
    return [this.own, ...this.known.flatMap((one) => (one === undefined ? [] : [one.record]))];
  }

  /**
   * Hears what router `from` said on a link. True if it is news, and the others should hear it too. Who has our own number is not listened to: two
   * routers were given one prefix.
   */
  hear(link: L, from: number, records: readonly SiblingRecord[], now: number): boolean {
    if (!isSibling(from) || from === this.id) return false;
    const deadline = now + this.lifetime;
    const before = this.neighbours.get(link);
    let news = before?.id !== from;
    this.neighbours.set(link, { id: from, deadline });
    for (const record of records) if (this.learn(record, deadline)) news = true;
    return this.listen() || news;
  }

  /** Forgets a link. True if that is news. */
  forget(link: L): boolean {
    return this.neighbours.delete(link) && this.listen();
  }

  /** Forgets who was not heard of for too long. True if that is news. */
  expire(now: number): boolean {
    let news = false;
    for (const [link, { deadline }] of this.neighbours) {
      if (deadline > now) continue;
      // It is news too if the same router is heard on another link: there is one way less.
      this.neighbours.delete(link);
      news = true;
    }
    for (const [id, one] of this.known.entries()) {
      if (one === undefined || one.deadline > now) continue;
      this.known[id] = undefined;
      news = true;
    }
    return this.listen() || news;
  }

  /** Whether there is a way to a router, or it is this one. */
  reaches(id: number): boolean {
    return id === this.id || this.ways(id).length > 0;
  }

  /** The ways to another router, the nearest first; one by each link that leads there without coming back. */
  ways(id: number): SiblingWay<L>[] {
    const ways: SiblingWay<L>[] = [];
    for (const [link, neighbour] of this.neighbours) {
      if (!this.joined(this.id, neighbour.id)) continue;
      const distance = this.distance(neighbour.id, id);
      if (distance >= 0) ways.push({ link, distance });
    }
    return ways.sort((a, b) => a.distance - b.distance);
  }

  /** The router that speaks with the parent; `undefined` while there is none. */
  chosen(now: number): number | undefined {
    for (let id = 0; id < MAX_SIBLINGS; id++) {
      const ready = id !== this.id || now >= this.settled;
      if (ready && this.recordOf(id)?.parent === true && this.reaches(id)) return id;
    }
    return undefined;
  }

  /** Where the layer lies, as the router that speaks with the parent says. */
  prefix(now: number): Prefix | undefined {
    const chosen = this.chosen(now);
    return chosen === undefined ? undefined : this.recordOf(chosen)?.prefix;
  }

  private recordOf(id: number): SiblingRecord | undefined {
    return id === this.id ? this.own : this.known[id]?.record;
  }

  private learn(record: SiblingRecord, deadline: number): boolean {
    const { id, sequence } = record;
    if (!isSibling(id)) return false;
    if (id === this.id) {
      // What we said before we began anew: the others believe the newest only.
      if (((sequence - this.own.sequence) | 0) > 0) this.own = { ...this.own, sequence };
      return false;
    }
    const before = this.known[id];
    if (before !== undefined && ((sequence - before.record.sequence) | 0) <= 0) return false;
    this.known[id] = { record, deadline };
    return before === undefined || !isSame(before.record, record);
  }

  /** Notes whom we hear. True if that is news. */
  private listen(): boolean {
    let hears = 0;
    for (const { id } of this.neighbours.values()) hears |= 1 << id;
    if (hears === this.own.hears) return false;
    this.own = { ...this.own, hears };
    return true;
  }

  /** Whether two routers hear each other. */
  private joined(a: number, b: number): boolean {
    const [one, other] = [this.recordOf(a), this.recordOf(b)];
    return one !== undefined && other !== undefined && hears(one, b) && hears(other, a);
  }

  /** Routers between this one and `to`, by its neighbour `from`, without coming back; -1 for no way. */
  private distance(from: number, to: number): number {
    const distances = [-1, -1, -1, -1];
    distances[from] = 0;
    const queue = [from];
    for (const at of queue) {
      if (at === to) return distances[at] ?? -1;
      for (let next = 0; next < MAX_SIBLINGS; next++) {
        if (next === this.id || distances[next] !== -1 || !this.joined(at, next)) continue;
        distances[next] = (distances[at] ?? 0) + 1;
        queue.push(next);
      }
    }
    return -1;
  }
}

/** Whether it is the number of a router, 0..3. */
export function isSibling(id: number): boolean {
  return Number.isInteger(id) && id >= 0 && id < MAX_SIBLINGS;
}

function hears(record: SiblingRecord, id: number): boolean {
  return (record.hears & (1 << id)) !== 0;
}

/** Whether two records say the same, at whatever time. */
function isSame(a: SiblingRecord, b: SiblingRecord): boolean {
  return a.hears === b.hears && a.parent === b.parent && isSamePrefix(a.prefix, b.prefix);
}
