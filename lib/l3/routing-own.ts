/** The routes of packets that are sent from here: where more than the destination decides, each is asked for by its own fields. */

import { Cidr, Ipv4Address, Ipv6Address, type IpVersion } from '../core/address.js';
import type { Device } from '../core/device.js';
import type { Frame } from '../core/frame.js';
import type { Ipv4Packet } from '../wire/ipv4.js';
import type { Ipv6Packet } from '../wire/ipv6.js';
import { PacketFields } from '../wire/packet-fields.js';
import { FlowHash } from './fib-flow.js';
import type { IpTables } from './ip-tables.js';
import type { Route, Routes } from './routes.js';
import { RouteQuery } from './routing-query.js';
import { isOnOneLink } from './scope.js';

const GROUPS4 = new Cidr<4>(new Ipv4Address(0xe000_0000), 4);
const GROUPS6 = new Cidr<6>(new Ipv6Address(0xff00_0000, 0, 0, 0), 8);

/** See the module. */
export class OwnRouting {
  private readonly tables: IpTables;
  private readonly fields = new PacketFields();
  private readonly query = new RouteQuery();
  private readonly hash = new FlowHash(0);

  constructor(tables: IpTables) {
    this.tables = tables;
  }

  /**
   * Chooses the way of a packet, whatever becomes of its source and its mark afterwards: `ownRoute` and `output` of its frame say which, unless it
   * goes to ourselves.
   */
  choose(packet: Ipv4Packet | Ipv6Packet): void {
    const { frame } = packet;
    frame.ownRoute = undefined;
    frame.ownRoute = packet.version === 4 ? this.choose4(packet) : this.choose6(packet);
    frame.output = frame.ownRoute?.device;
  }

  private choose4({ frame, destination }: Ipv4Packet): Route<4> | undefined {
    return this.tables.isOurs(destination) ? undefined : this.route4(frame, destination);
  }

  private choose6({ frame, sourceAddress, destinationAddress: to }: Ipv6Packet): Route<6> | undefined {
    const { addresses6 } = this.tables;
    const { a, b, c, d } = sourceAddress;
    const via = deviceOf(frame, to) ?? addresses6.ownerOf(a, b, c, d);
    return this.tables.isOurs6(to.a, to.b, to.c, to.d, via) ? undefined : this.route6(frame, to, via);
  }

  /** The route of the IPv4 packet that a frame begins with, which is not for ourselves. */
  route4(frame: Frame, destination: number): Route<4> | undefined {
    const { tables } = this;
    const isGroup = destination >>> 28 === 14;
    if (!isGroup && tables.routes.isByDestination) return tables.route(destination);
    const kept = keptRoute<4>(frame);
    if (kept !== undefined || !isGroup) return kept ?? this.find(tables.routes, frame);
    return wayOut(frame.device, GROUPS4) ?? tables.route(destination);
  }

  /** The route of the IPv6 packet that a frame begins with, which is not for ourselves; on one link `via` leads there, if that is known. */
  route6(frame: Frame, to: Ipv6Address, via: Device | undefined): Route<6> | undefined {
    const { tables } = this;
    const { a, b, c, d } = to;
    const isOnLink = isOnOneLink(a);
    if (!isOnLink && tables.routes6.isByDestination) return tables.route6(a, b, c, d);
    const kept = keptRoute<6>(frame);
    if (kept !== undefined || !isOnLink) return kept ?? this.find(tables.routes6, frame);
    return (to.isMulticast ? wayOut(frame.device, GROUPS6) : undefined) ?? tables.route6(a, b, c, d, via);
  }

  private find<V extends IpVersion>(routes: Routes<V>, frame: Frame): Route<V> | undefined {
    const { fields } = this;
    if (!fields.read(frame, frame.start)) return undefined;
    return routes.find(this.query.read(fields, frame, undefined, this.hash.of(fields, frame)));
  }
}

/** The device that the sender of a packet chose: on one link the zone of the destination, or a group's socket, says which. */
export function deviceOf(frame: Frame, to: Ipv6Address): Device | undefined {
  return isOnOneLink(to.a) ? frame.device : undefined;
}

/** The way that was chosen before; what translates a packet to the other version forgets it. */
function keptRoute<V extends IpVersion>({ ownRoute }: Frame): Route<V> | undefined {
  return ownRoute as Route<V> | undefined;
}

/** The route of a packet to a group whose sender chose the device that it leaves by. */
function wayOut<V extends IpVersion>(device: Device | undefined, destination: Cidr<V>): Route<V> | undefined {
  return device && { destination, device };
}
