/**
 * The networks that a router knows, and which link leads where: to the link that is the network, to that over which a bridge holds the network
 * on lease, or else upstream. What came by a link never leaves by it again.
 */

import type { Device } from '../../core/device.js';
import type { Random } from '../../core/random.js';
import type { Timers } from '../../core/timers.js';
import { ProtocolError } from '../frame-error.js';
import { NET_LAST, NET_LOCAL, networkOf, nodeOf } from '../net-address.js';
import { LinkState } from '../profile.js';
import { Lease, LeaseTable, type LeaseTimes } from './leases.js';
import type { Port } from './port.js';
import type { ParentLease } from './seed-parent.js';

/** A network that a bridge below holds. */
export class SeedRoute extends Lease {
  /** The link that leads there. */
  readonly port: Port;
  /** Whence we have it ourselves, unless we gave it out. */
  parent: ParentLease | undefined = undefined;

  constructor(port: Port, seconds: number, times: LeaseTimes, now: number, random: Random) {
    super(port.network, seconds, times, now, random);
    this.port = port;
  }
}

/** The links of a router and the networks behind them. */
export class Networks {
  /** All but the one upstream, in the order in which they came. */
  readonly downlinks: Port[] = [];
  upstream: Port | undefined = undefined;
  readonly leases: LeaseTable<SeedRoute>;
  /** Where {@link Networks.way} leads. */
  via: Port | undefined = undefined;
  private readonly direct = new Map<number, Port>();
  private readonly byLink = new Map<Device, Port>();
  private readonly timers: Timers;

  constructor(leases: number, timers: Timers) {
    this.leases = new LeaseTable(leases);
    this.timers = timers;
  }

  of(link: Device): Port | undefined {
    return this.byLink.get(link);
  }

  add(port: Port): void {
    this.byLink.set(port.link, port);
    if (port.role === 'edge') this.upstream = port;
    else this.downlinks.push(port);
  }

  remove(port: Port): void {
    this.byLink.delete(port.link);
    if (port === this.upstream) this.upstream = undefined;
    const at = this.downlinks.indexOf(port);
    if (at >= 0) this.downlinks.splice(at, 1);
  }

  /** Makes a network that of a downlink; 0 for none. */
  name(port: Port, network: number): void {
    if (this.direct.get(port.network) === port) this.direct.delete(port.network);
    port.network = network;
    if (network !== NET_LOCAL && port.role === 'central') this.direct.set(network, port);
  }

  /** Ends all leases of networks behind a link. */
  endLeases(port: Port): void {
    const now = this.timers.now();
    for (const [, lease] of this.leases.entries()) if (lease.port === port) lease.terminate(now);
  }

  /** The downlink that is a network. */
  downlink(network: number): Port | undefined {
    return this.direct.get(network);
  }

  /** Whether a network is behind a downlink, or was until a short while ago. */
  isBelow(network: number): boolean {
    return this.direct.has(network) || this.leases.get(network, this.timers.now()) !== undefined;
  }

  isTaken(network: number): boolean {
    return this.isBelow(network) || this.upstream?.network === network;
  }

  /** The lowest network that is free, or 0. */
  free(): number {
    for (let network = NET_LOCAL + 1; network <= NET_LAST; network++) if (!this.isTaken(network)) return network;
    return NET_LOCAL;
  }

  /** Whether an address is one of ours. */
  isOwn(address: number): boolean {
    const network = networkOf(address);
    const { upstream } = this;
    if (network === NET_LOCAL) return false;
    const node = nodeOf(address);
    return this.direct.get(network)?.node === node || (upstream?.network === network && upstream.node === node);
  }

  /**
   * Finds the link that leads to an address, which is then in {@link Networks.via}; or says why there is none.
   *
   * @param from the link that the frame came by; `undefined` for what own sockets say
   */
  way(destination: number, from: Port | undefined): ProtocolError | undefined {
    const network = networkOf(destination);
    const node = nodeOf(destination);
    if (network === NET_LOCAL) return this.localWay(node, from);
    const port = this.direct.get(network);
    if (port !== undefined)
      return node === port.node || node === 0 ? ProtocolError.IseDestinationLocal : this.by(port, from);
    const { upstream } = this;
    if (upstream?.network === network) {
      return node === upstream.node || node === 0 ? ProtocolError.IseDestinationLocal : this.by(upstream, from);
    }
    const now = this.timers.now();
    const lease = this.leases.get(network, now);
    if (lease === undefined) return upstream === undefined ? ProtocolError.IseNoRouteToDest : this.by(upstream, from);
    return lease.isActive(now) ? this.by(lease.port, from) : ProtocolError.IseNoRouteToDest;
  }

  /** What is for this link alone: from own sockets, of a bridge, it goes to the router upstream; whatever else is for us. */
  private localWay(node: number, from: Port | undefined): ProtocolError | undefined {
    const { upstream } = this;
    const goesUp = from === undefined && upstream !== undefined && node !== 0 && node !== upstream.node;
    if (!goesUp) return ProtocolError.IseDestinationLocal;
    if (upstream.state === LinkState.Down) return ProtocolError.IseNoRouteToDest;
    this.via = upstream;
    return undefined;
  }

  private by(port: Port, from: Port | undefined): ProtocolError | undefined {
    if (port === from) return ProtocolError.IseRoutingLoop;
    if (!port.active) return ProtocolError.IseNoRouteToDest;
    this.via = port;
    return undefined;
  }
}
