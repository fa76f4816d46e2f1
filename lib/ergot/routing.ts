/**
 * The routing table of an ergot device (proposal 0146), in its own scope: which links a packet leaves by. Ranges of children and siblings lead
 * to their links; what is in none is the device's own; what is of a longer scope goes up. Multicast addresses and broadcasts go by several.
 *
 * A packet never circulates: it never leaves by the link that it came by, what came from above never goes up again, a packet that comes back
 * from a sibling is known (loops exist only among siblings, in one layer), and each hop takes from its time to live. One exception is none in
 * truth: who says a near address in a long form, `202^10` where `082^9` would do, has its packet turn around where that scope is; it goes down
 * to the child that it came from, in the child's own scope, and so never up again.
 *
 * A broadcast has address 0 of a scope, and its bit set. In this scope it goes to all but the parent; if it is of a longer one, it does so on
 * its way up. Copies for children get address 0 of the child's scope; others stay as they are.
 */

import { UsageError } from '../core/errors.js';
import { isScope, scopeSize } from './address-text.js';
import { RouteGroups } from './routing-groups.js';
import { type Hop, RouteRanges, withHop } from './routing-ranges.js';
import { RecentPackets, Seen } from './routing-recent.js';

/** The device itself, as the origin of a packet or as a subscriber. */
export const OWN_SOCKETS = -1;

/** What is at the other end of a link. */
export type LinkKind = 'parent' | 'child' | 'sibling';

/** What is to be done with a packet; a `copy` is one that was made of a packet on its way, which was here already. */
export type RouteVerdict = 'route' | 'no-route' | 'loop' | 'copy' | 'ttl-expired';

/** What the table goes by. One record can serve for all packets. */
export interface RouteQuery {
  /** The destination, and its scope. */
  value: number;
  bits: number;
  /** The source as it is in this device's scope, or further. */
  source: number;
  /** The source's scope, where it matters which: the same number in another scope is somebody else. Default 0. */
  sourceBits?: number;
  sequence: number;
  /** How many more hops the packet may make. */
  ttl: number;
  broadcast: boolean;
  /** Whether the destination is a multicast address. Default: if somebody has subscribed to it. */
  group?: boolean;
  /** When it came, in milliseconds. Default 0: nothing is too long ago to be remembered. */
  time?: number;
}

/** Where a packet goes. Made once, filled for each packet. */
export class RouteDecision {
  verdict: RouteVerdict = 'no-route';
  /** Whether the device's own sockets get it. */
  own = false;
  /** The links that it leaves by. */
  readonly links: number[] = [];

  /** Takes all links out. By its length an array would lose its memory, and each packet take some anew. */
  clear(): void {
    while (this.links.length > 0) this.links.pop();
  }
}

/** The members of a group that has none. */
const NOBODY: ReadonlySet<number> = new Set();

interface Link {
  readonly kind: LinkKind;
  up: boolean;
}

/** The routes of one scope. */
export class RoutingTable {
  /** The scope that the table decides in. */
  readonly bits: number;
  private readonly links = new Map<number, Link>();
  private readonly ranges = new RouteRanges();
  private readonly groups = new RouteGroups();
  private readonly recent = new RecentPackets();
  private upwards: readonly Hop[] = [];
  private siblings = 0;

  /** @throws UsageError `ERR_INVALID_ADDRESS` for a scope other than 1..32 */
  constructor(bits: number) {
    if (!isScope(bits)) throw new UsageError('ERR_INVALID_ADDRESS', `^${bits} is no scope: it must be within ^1..^32`);
    this.bits = bits;
  }

  /** How many ranges have a route. */
  get size(): number {
    return this.ranges.size;
  }

  /**
   * Adds a link; one to the parent leads up at once.
   *
   * @throws UsageError `ERR_INVALID_OPTION` for a number that is taken, or none (0 and more)
   */
  addLink(link: number, kind: LinkKind): void {
    if (!Number.isInteger(link) || link < 0 || this.links.has(link)) {
      throw new UsageError('ERR_INVALID_OPTION', `${link} is taken, or no number of a link`);
    }
    this.links.set(link, { kind, up: true });
    if (kind === 'sibling') this.siblings++;
    if (kind === 'parent') this.upwards = withHop(this.upwards, link, 0);
  }

  /** Forgets a link, and everything that led to it. */
  removeLink(link: number): void {
    if (this.links.get(link)?.kind === 'sibling') this.siblings--;
    this.links.delete(link);
    this.ranges.removeLink(link);
    this.upwards = this.upwards.filter((hop) => hop.link !== link);
    this.groups.deleteLink(link);
  }

  /** Says whether a link works: one that does not is passed over, and keeps its routes. */
  setLink(link: number, up: boolean): void {
    const found = this.links.get(link);
    if (found !== undefined) found.up = up;
  }

  /** Adds a way to the 2^`len` addresses from `first` on. False if the link or the range is none, or the range overlaps another. */
  add(first: number, len: number, link: number, metric = 0): boolean {
    return this.links.has(link) && this.ranges.add(first, len, this.bits, link, metric);
  }

  /** Forgets the way by `link` to the range that begins at `first`; false if there is none. */
  remove(first: number, link: number): boolean {
    return this.ranges.remove(first, link);
  }

  /** Lets `link`, a sibling's, lead up too: by a sibling that has the parent. False if there is no such link. */
  addUpward(link: number, metric: number): boolean {
    if (this.links.get(link)?.kind !== 'sibling') return false;
    this.upwards = withHop(this.upwards, link, metric);
    return true;
  }

  /** The link that leads up now; -1 for none. */
  get upward(): number {
    return this.upwards.find(({ link }) => this.links.get(link)?.up === true)?.link ?? -1;
  }

  /** Lets a sibling's `link` lead up no more. */
  removeUpward(link: number): void {
    if (this.links.get(link)?.kind === 'sibling') this.upwards = this.upwards.filter((hop) => hop.link !== link);
  }

  /**
   * Lets `link`, or {@link OWN_SOCKETS}, have what is sent to a multicast address. True if it is the first to subscribe: if the address is of
   * a longer scope, the parent has to be asked now.
   *
   * @throws UsageError `ERR_INVALID_OPTION` for an unknown link, `ERR_INVALID_ADDRESS` for what is no address, or address 0
   */
  subscribe(value: number, bits: number, link: number): boolean {
    if (link !== OWN_SOCKETS && !this.links.has(link)) throw new UsageError('ERR_INVALID_OPTION', `${link} is no link`);
    if (!isScope(bits) || !Number.isInteger(value) || value < 1 || value >= scopeSize(bits)) {
      throw new UsageError('ERR_INVALID_ADDRESS', `${value} is no multicast address of ^${bits}`);
    }
    return this.groups.add(value, bits, link);
  }

  /** Takes a subscription back. True if it was the last. */
  unsubscribe(value: number, bits: number, link: number): boolean {
    return this.groups.delete(value, bits, link);
  }

  /** Whether `link`, or {@link OWN_SOCKETS}, has what is sent to a multicast address. */
  isSubscribed(value: number, bits: number, link: number): boolean {
    return this.groups.members(value, bits)?.has(link) ?? false;
  }

  /** Whether `value` of this scope is in a range that `link` leads to. */
  leadsTo(value: number, link: number): boolean {
    const hops = this.ranges.lookup(value);
    if (hops === undefined) return false;
    for (let i = 0; i < hops.length; i++) if (hops[i]?.link === link) return true;
    return false;
  }

  /** Decides where a packet that came by `from` goes, and writes it into `out`. */
  decide(query: RouteQuery, from: number, out: RouteDecision): RouteDecision {
    out.verdict = 'no-route';
    out.own = false;
    out.clear();
    const came = this.links.get(from)?.kind;
    if (this.siblings > 0) {
      const before = this.recent.note(query.source, query.value, seen(query), query.ttl, query.time);
      if (before !== Seen.No && came === 'sibling') {
        out.verdict = before === Seen.Copy ? 'copy' : 'loop';
        return out;
      }
    }
    const members = query.broadcast ? undefined : this.groups.members(query.value, query.bits);
    if (query.broadcast && query.value === 0) this.flood(query, from, came, out);
    else if (members !== undefined || query.group === true) this.multicast(members ?? NOBODY, query, from, came, out);
    else this.unicast(query, from, came, out);
    if (out.links.length > 0 && query.ttl <= 0) {
      out.clear();
      out.verdict = 'ttl-expired';
    }
    if (out.own || out.links.length > 0) out.verdict = 'route';
    return out;
  }

  private unicast(query: RouteQuery, from: number, came: LinkKind | undefined, out: RouteDecision): void {
    if (query.bits > this.bits) {
      if (came === 'parent') out.verdict = 'loop';
      else this.choose(this.upwards, from, out);
      return;
    }
    const hops = this.ranges.lookup(query.value);
    if (hops === undefined) out.own = true;
    else this.choose(hops, from, out);
  }

  private choose(hops: readonly Hop[], from: number, out: RouteDecision): void {
    for (const { link } of hops) {
      const found = this.links.get(link);
      if (found?.up !== true) continue;
      if (link !== from || found.kind === 'child') {
        out.links.push(link);
        return;
      }
      out.verdict = 'loop';
    }
  }

  private multicast(
    members: ReadonlySet<number>,
    query: RouteQuery,
    from: number,
    came: LinkKind | undefined,
    out: RouteDecision,
  ): void {
    for (const link of members) {
      if (link === OWN_SOCKETS) out.own = true;
      else if (link !== from && this.links.get(link)?.up === true) out.links.push(link);
    }
    if (this.siblings > 0) this.toSiblings(from, out);
    if (query.bits > this.bits && came !== 'parent') this.alsoUp(from, out);
  }

  /** What is for a group goes to all siblings: any of them may have a member below it, and none gets it twice. */
  private toSiblings(from: number, out: RouteDecision): void {
    for (const [link, { kind, up }] of this.links) {
      if (kind === 'sibling' && up && link !== from && !out.links.includes(link)) out.links.push(link);
    }
  }

  private flood(query: RouteQuery, from: number, came: LinkKind | undefined, out: RouteDecision): void {
    if (query.bits > this.bits && came === 'parent') {
      out.verdict = 'loop';
      return;
    }
    out.own = true;
    for (const [link, { kind, up }] of this.links) if (up && link !== from && kind !== 'parent') out.links.push(link);
    if (query.bits > this.bits) this.alsoUp(from, out);
  }

  /** Sends a copy up, by one way, unless that way has one already. */
  private alsoUp(from: number, out: RouteDecision): void {
    const hop = this.upwards.find(({ link }) => this.links.get(link)?.up === true);
    if (hop !== undefined && hop.link !== from && !out.links.includes(hop.link)) out.links.push(hop.link);
  }
}

/** What tells two packets between the same numbers apart: 16 bits of sequence number, the scopes of 6 bits each, the bit. */
function seen({ sequence, bits, sourceBits = 0, broadcast }: RouteQuery): number {
  return (sequence & 0xffff) | (bits << 16) | (sourceBits << 22) | (broadcast ? 1 << 28 : 0);
}
