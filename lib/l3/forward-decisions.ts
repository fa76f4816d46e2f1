/**
 * What becomes of received packets (RFC 1812 5.2.3): for us, or to be taken further, and by which route. Where nothing but the destination counts
 * decisions are kept, so that packets that follow to the same destination cost a comparison; where rules choose between tables, or flows share
 * routes, each packet is looked at.
 */

import { Ipv6Address } from '../core/address.js';
import type { Frame } from '../core/frame.js';
import { IPV4_DESTINATION } from '../wire/ipv4.js';
import { IPV6_DESTINATION } from '../wire/ipv6.js';
import { PacketFields } from '../wire/packet-fields.js';
import { FlowHash } from './fib-flow.js';
import type { IpTables } from './ip-tables.js';
import { KeptRoute, KeptRoutes } from './kept-routes.js';
import { RouteQuery } from './routing-query.js';
import type { Route } from './routes.js';
import { isOnOneLink } from './scope.js';

/** Where a packet goes. */
export const Destination = {
  /** To us, or nowhere: whoever reads packets for this host says which. */
  Here: 0,
  /** Past us, if there is a way. */
  Beyond: 1,
  /** To those who are members of a group, of whom we may be one. */
  Group: 2,
  /** To whom a packet came from that could not be taken further, as what we say ourselves. */
  Back: 3,
} as const;

const MAPPED = 0xffff;
/** No generation of tables. */
const NEVER = -1;

const NOWHERE = new KeptRoute();

/** See the module. */
export class Decisions {
  private readonly tables: IpTables;
  private readonly kept = new KeptRoutes();
  private readonly fields = new PacketFields();
  private readonly query = new RouteQuery();
  private readonly hash: FlowHash;
  private generation: number = NEVER;
  private isByDestination4 = true;
  private isByDestination6 = true;

  /** @param seed 32 bits by which flows choose between equally good routes (RFC 2991) */
  constructor(tables: IpTables, seed = 0) {
    this.tables = tables;
    this.hash = new FlowHash(seed);
  }

  /** Decides where the packet goes whose IP header is at `frame.network`; of those that go further also chooses the route, if there is one. */
  decide(frame: Frame): number {
    const { network } = frame;
    const { view } = frame.slab;
    const { generation } = this.tables;
    if (generation !== this.generation) this.renew(generation);
    const isIpv4 = view.getUint8(network) >>> 4 === 4;
    const decision = isIpv4
      ? this.find(0, 0, MAPPED, view.getInt32(network + IPV4_DESTINATION))
      : this.find6(view, network + IPV6_DESTINATION);
    if (decision.isHere) return Destination.Here;
    const isKept = isIpv4 ? this.isByDestination4 : this.isByDestination6;
    const route = isKept ? decision.route : this.choose(frame, isIpv4);
    frame.route = route;
    frame.output = route?.device;
    return Destination.Beyond;
  }

  private renew(generation: number): void {
    const { routes, routes6 } = this.tables;
    this.generation = generation;
    this.isByDestination4 = routes.isByDestination;
    this.isByDestination6 = routes6.isByDestination;
  }

  /** The route of a packet by all that there is to go by. */
  private choose(frame: Frame, isIpv4: boolean): Route | undefined {
    const { fields } = this;
    const { routes, routes6 } = this.tables;
    if (!fields.read(frame, frame.network)) return undefined;
    const query = this.query.read(fields, frame, frame.device, this.hash.of(fields, frame));
    return isIpv4 ? routes.find(query) : routes6.find(query);
  }

  private find6(view: DataView, at: number): KeptRoute {
    const a = view.getInt32(at);
    const b = view.getInt32(at + 4);
    const c = view.getInt32(at + 8);
    // On a wire a mapped address is nobody's (RFC 4291 2.5.5.2); here it would be that of IPv4.
    return a === 0 && b === 0 && c === MAPPED ? NOWHERE : this.find(a, b, c, view.getInt32(at + 12));
  }

  private find(a: number, b: number, c: number, d: number): KeptRoute {
    const known = this.kept.at(a, b, c, d);
    if (!known.is(a, b, c, d, this.generation)) this.learn(known, a, b, c, d);
    return known;
  }

  private learn(decision: KeptRoute, a: number, b: number, c: number, d: number): void {
    const { tables } = this;
    decision.claim(a, b, c, d, this.generation);
    decision.route = undefined;
    const isIpv4 = a === 0 && b === 0 && c === MAPPED;
    decision.isHere = isIpv4 ? this.isHere4(d >>> 0) : this.isHere6(a >>> 0, b >>> 0, c >>> 0, d >>> 0);
    if (decision.isHere) return;
    if (isIpv4 && this.isByDestination4) decision.route = tables.routes.lookup(a, b, c, d);
    else if (!isIpv4 && this.isByDestination6) decision.route = tables.routes6.lookup(a, b, c, d);
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
