/**
 * Verifies that packets come from where their sources are (RFC 3704 2.2, 2.4, RFC 2827): against senders who write others' addresses into what they
 * send.
 */

import type { Cidr, IpVersion } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import type { Device } from '../core/device.js';
import { IPV4_SOURCE, type Ipv4Packet } from '../wire/ipv4.js';
import { IPV6_SOURCE, type Ipv6Packet } from '../wire/ipv6.js';
import type { IpTables } from './ip-tables.js';
import { type KeptRoute, KeptRoutes } from './kept-routes.js';
import { isUnicast, type Route } from './routes.js';
import { isOnOneLink } from './scope.js';

/** `strict`: answers would leave by the interface that the packet came by. `loose`: there is a route back, other than a default one. */
export type ReversePathMode = 'strict' | 'loose';

const MAPPED = 0xffff;

function isOf<V extends IpVersion>(cidr: Cidr, version: V): cidr is Cidr<V> {
  return cidr.version === version;
}

/** Knows the ways back. */
export class ReversePath {
  private readonly tables: IpTables;
  private readonly kept = new KeptRoutes();

  constructor(tables: IpTables) {
    this.tables = tables;
  }

  /** Why a packet, that came by `device`, is not to be believed, or `undefined`. Of addresses of one link nothing is known. */
  check(packet: Ipv4Packet | Ipv6Packet, device: Device | undefined, mode: ReversePathMode): DropReason | undefined {
    const { frame, offset } = packet;
    const { view } = frame.slab;
    const isIpv4 = packet.version === 4;
    const at = offset + (isIpv4 ? IPV4_SOURCE : IPV6_SOURCE);
    const a = isIpv4 ? 0 : view.getInt32(at);
    const b = isIpv4 ? 0 : view.getInt32(at + 4);
    const c = isIpv4 ? MAPPED : view.getInt32(at + 8);
    const d = view.getInt32(isIpv4 ? at : at + 12);
    // Hosts without an address ask for one; routers, queriers and neighbours speak from link-local ones.
    if (isIpv4 ? d === 0 : isOnOneLink(a) || (a | b | c | d) === 0) return undefined;
    // Mapped addresses are nobody's on a wire (RFC 4291 2.5.5.2); below they would be those of IPv4.
    if (!isIpv4 && a === 0 && b === 0 && c === MAPPED) return DropReason.ReversePathFailed;
    const { route } = this.find(a, b, c, d);
    if (route === undefined || !isUnicast(route)) return DropReason.ReversePathFailed;
    const isThere = mode === 'strict' ? this.leadsTo(route, device) : route.destination.length > 0;
    return isThere ? undefined : DropReason.ReversePathFailed;
  }

  /** Whether a route, or another one to the same prefix, leads to a device. */
  private leadsTo(route: Route, device: Device | undefined): boolean {
    if (route.device === device) return true;
    const { destination } = route;
    const { routes, routes6 } = this.tables;
    const others = isOf(destination, 6) ? routes6.at(destination) : isOf(destination, 4) ? routes.at(destination) : [];
    return others.some((other) => other.device === device);
  }

  private find(a: number, b: number, c: number, d: number): KeptRoute {
    const { generation } = this.tables;
    const known = this.kept.at(a, b, c, d);
    if (known.is(a, b, c, d, generation)) return known;
    const isIpv4 = a === 0 && b === 0 && c === MAPPED;
    known.claim(a, b, c, d, generation);
    known.route = isIpv4 ? this.tables.route(d >>> 0) : this.tables.route6(a >>> 0, b >>> 0, c >>> 0, d >>> 0);
    return known;
  }
}
