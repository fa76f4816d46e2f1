/**
 * What becomes of received packets by their destination (RFC 1812 5.2.3): for us, or to be taken further, and by which route. Decisions are kept,
 * so that packets that follow to the same destination cost a comparison.
 */

import { Ipv6Address } from '../core/address.js';
import { type Frame } from '../core/frame.js';
import { IPV4_DESTINATION } from '../wire/ipv4.js';
import { IPV6_DESTINATION } from '../wire/ipv6.js';
import type { IpTables } from './ip-tables.js';
import type { Route } from './routes.js';
import { isOnOneLink } from './scope.js';

/** Where a packet goes. */
export const Destination = {
  /** To us, or nowhere: whoever reads packets for this host says which. */
  Here: 0,
  /** Past us, if there is a way. */
  Beyond: 1,
} as const;

// A power of two. Destinations that share a place take turns, which costs what routing costs.
const PLACES = 1024;
const MAPPED = 0xffff;
/** No generation of tables. */
const NEVER = -1;

/** What was decided of one destination; its words are signed, IPv4's are those of the mapped address. */
class Decision {
  a = 0;
  b = 0;
  c = 0;
  d = 0;
  generation: number = NEVER;
  isHere = true;
  route: Route | undefined = undefined;
}

const NOWHERE = new Decision();

/** See the module. */
export class Decisions {
  private readonly tables: IpTables;
  private readonly places: (Decision | undefined)[] = Array.from({ length: PLACES }, () => undefined);

  constructor(tables: IpTables) {
    this.tables = tables;
  }

  /** Decides where the packet goes whose IP header is at `frame.network`; of those that go further also chooses the route, if there is one. */
  decide(frame: Frame): number {
    const { network } = frame;
    const { view } = frame.slab;
    const decision =
      view.getUint8(network) >>> 4 === 4
        ? this.find(0, 0, MAPPED, view.getInt32(network + IPV4_DESTINATION))
        : this.find6(view, network + IPV6_DESTINATION);
    if (decision.isHere) return Destination.Here;
    const { route } = decision;
    frame.route = route;
    frame.output = route === undefined ? undefined : route.device;
    return Destination.Beyond;
  }

  private find6(view: DataView, at: number): Decision {
    const a = view.getInt32(at);
    const b = view.getInt32(at + 4);
    const c = view.getInt32(at + 8);
    // On a wire a mapped address is nobody's (RFC 4291 2.5.5.2); here it would be that of IPv4.
    return a === 0 && b === 0 && c === MAPPED ? NOWHERE : this.find(a, b, c, view.getInt32(at + 12));
  }

  private find(a: number, b: number, c: number, d: number): Decision {
    const hash = Math.imul(a ^ (b << 3) ^ (c << 7) ^ d, 0x9e37_79b1);
    const place = (hash >>> 16) & (PLACES - 1);
    const known = (this.places[place] ??= new Decision());
    const isKnown = known.d === d && known.c === c && known.b === b && known.a === a;
    if (!isKnown || known.generation !== this.tables.generation) this.learn(known, a, b, c, d);
    return known;
  }

  private learn(decision: Decision, a: number, b: number, c: number, d: number): void {
    const { tables } = this;
    decision.a = a;
    decision.b = b;
    decision.c = c;
    decision.d = d;
    decision.generation = tables.generation;
    const isIpv4 = a === 0 && b === 0 && c === MAPPED;
    decision.isHere = isIpv4 ? this.isHere4(d >>> 0) : this.isHere6(a >>> 0, b >>> 0, c >>> 0, d >>> 0);
    if (decision.isHere) decision.route = undefined;
    else decision.route = isIpv4 ? tables.route(d >>> 0) : tables.route6(a >>> 0, b >>> 0, c >>> 0, d >>> 0);
  }

  /** Ours, of a group, or of nobody: this network, loopback and reserved addresses (RFC 1812 5.3.7, RFC 6890). */
  private isHere4(address: number): boolean {
    const top = address >>> 24;
    if (top === 0 || top === 127 || top >= 224) return true;
    return this.tables.addresses.accepts(address) !== undefined;
  }

  /** The same; what is good on one link only is not taken to another (RFC 4007 9, RFC 4291 2.5). */
  private isHere6(a: number, b: number, c: number, d: number): boolean {
    if (isOnOneLink(a)) return true;
    const isSpecial = (a | b | c) === 0 && d < 2;
    if (isSpecial || this.tables.addresses6.accepts(a, b, c, d) !== undefined) return true;
    // One that is still being verified is nobody else's either.
    return this.tables.addresses6.list().some(({ cidr }) => cidr.address.equals(new Ipv6Address(a, b, c, d)));
  }
}
