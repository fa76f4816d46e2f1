/**
 * The profiles of nodes with several links (ergot 0.12, router): the root, which says what networks there are, and the bridge, which has a link
 * upstream and leases the networks of its other links there.
 */

import type { Device } from '../../core/device.js';
import { DropReason } from '../../core/drops.js';
import { UsageError } from '../../core/errors.js';
import type { Frame } from '../../core/frame.js';
import { ProtocolError, protocolErrorReason } from '../frame-error.js';
import { type Message, Reach } from '../message.js';
import {
  isAssignable,
  NET_LOCAL,
  NODE_CENTRAL,
  NODE_EDGE,
  netAddress,
  networkOf,
  nodeOf,
  PORT_ALL,
  PORT_ANY,
  portOf,
  withNetwork,
} from '../net-address.js';
import { type Addressing, LinkState, type LinkStatus, type Profile, type ProfileNode } from '../profile.js';
import { netAddressing, reach } from './addressing.js';
import { ClaimServer } from './claims.js';
import { Dispatch } from './dispatch.js';
import { Networks } from './networks.js';
import { Port, type PortOwner } from './port.js';
import { type BridgeOptions, checkOptions, type RouterOptions, type RouterSettings } from './router-options.js';
import { SeedClient, type SeedTenant } from './seed-client.js';
import { SeedParent } from './seed-parent.js';
import { serveSeeds } from './seed-server.js';

/** What there is once the profile was started. */
interface Running {
  readonly node: ProfileNode<number>;
  readonly dispatch: Dispatch;
  readonly networks: Networks;
  readonly claims: ClaimServer | undefined;
  /** The router above, of a bridge. */
  readonly parent: SeedParent | undefined;
}

class Router implements Profile<number>, PortOwner, SeedTenant {
  readonly addressing: Addressing<number> = netAddressing;
  private readonly settings: RouterSettings;
  private started: Running | undefined;
  /** Of a bridge: who keeps its links in networks. */
  private readonly clients = new Map<Port, SeedClient>();
  /** The name of the first link of a bridge, where no option says which is upstream. */
  private upstreamName: string | undefined;

  constructor(settings: RouterSettings) {
    this.settings = settings;
  }

  get links(): readonly LinkStatus<number>[] {
    const { networks } = this.running;
    const { upstream, downlinks } = networks;
    return (upstream === undefined ? downlinks : [upstream, ...downlinks]).map(({ status }) => status);
  }

  start(node: ProfileNode<number>): void {
    const { seedRoutes, claims: numbers, upstream, leases } = this.settings;
    const networks = new Networks(seedRoutes, node.env.timers);
    const parent = upstream === undefined ? undefined : new SeedParent(node.stack, () => this.doubt());
    const claims = numbers === 0 ? undefined : new ClaimServer(node, networks, numbers, leases);
    if (seedRoutes > 0) serveSeeds(node, networks, parent, leases);
    this.started = { node, dispatch: new Dispatch(node), networks, claims, parent };
  }

  stop(): void {
    const { upstream, downlinks } = this.running.networks;
    upstream?.close();
    for (const port of downlinks) port.close();
    for (const client of this.clients.values()) client.close(false);
  }

  attach(link: Device): void {
    const { node, networks } = this.running;
    if (networks.of(link) !== undefined)
      throw new UsageError('ERR_INVALID_OPTION', `'${link.name}' is attached already`);
    if (this.isUpstream(link)) this.attachUpstream(link);
    else this.attachDownlink(link);
    node.changed();
  }

  detach(link: Device): void {
    const { node, networks } = this.running;
    const port = networks.of(link);
    if (port === undefined) return;
    port.close();
    this.withdraw(port);
    networks.remove(port);
    node.changed();
  }

  lost(port: Port): void {
    if (port.state === LinkState.Down) this.withdraw(port);
    this.running.node.changed();
  }

  isFree(network: number): boolean {
    return isAssignable(netAddress(network, NODE_CENTRAL, 0)) && !this.running.networks.isTaken(network);
  }

  name(port: Port, network: number): void {
    const { node, networks, claims } = this.running;
    claims?.forget(port.network);
    networks.endLeases(port);
    networks.name(port, network);
    // Of one that is silent, a frame is to say that it is there.
    if (port.active || port.state === LinkState.ActiveLocal) revive(port);
    node.changed();
  }

  receive(link: Device, frame: Frame): void {
    const { dispatch, networks } = this.running;
    const port = networks.of(link);
    if (port === undefined) return dispatch.drop(DropReason.DeviceUnknown, frame);
    if (port.state === LinkState.Down) return dispatch.drop(DropReason.DeviceDown, frame);
    const reason = dispatch.read(frame) ?? this.place(port);
    if (reason !== undefined) return dispatch.drop(reason, frame);
    if (reach(dispatch.header.destination) === Reach.All) this.flood(frame, port);
    else this.pass(frame, port);
  }

  send(message: Message<number>, frame: Frame): ProtocolError | undefined {
    const { dispatch, networks } = this.running;
    if (message.reach === Reach.All) return this.sendToAll(message, frame);
    const { destination } = message;
    const error = networks.way(destination, undefined);
    if (error === ProtocolError.IseDestinationLocal) return error;
    const { via } = networks;
    if (error !== undefined || via === undefined)
      return dispatch.refuse(error ?? ProtocolError.IseInternalError, frame);
    if (!via.fits(frame.length)) return this.tooBig(message, frame, via);
    const network = networkOf(destination) === NET_LOCAL ? NET_LOCAL : via.network;
    dispatch.send(message, frame, via, netAddress(network, via.node, message.port), destination);
    return undefined;
  }

  private get running(): Running {
    if (this.started === undefined) throw new UsageError('ERR_INVALID_STATE', 'the profile was not started');
    return this.started;
  }

  private isUpstream(link: Device): boolean {
    const { upstream } = this.settings;
    if (upstream === undefined) return false;
    if (typeof upstream === 'function') return upstream(link);
    return link.name === (this.upstreamName ?? (upstream === '' ? link.name : upstream));
  }

  private attachUpstream(link: Device): void {
    const { node, networks } = this.running;
    const { upstream } = networks;
    if (upstream !== undefined) {
      throw new UsageError(
        'ERR_INVALID_OPTION',
        `'${upstream.link.name}' leads upstream, and so cannot '${link.name}'`,
      );
    }
    networks.add(new Port(link, 'edge', node.env, this.settings.liveness, this));
    this.upstreamName ??= link.name;
    for (const client of this.clients.values()) client.hurry();
  }

  private attachDownlink(link: Device): void {
    const { node, networks, parent } = this.running;
    const { links, liveness } = this.settings;
    if (networks.downlinks.length >= links) throw new UsageError('ERR_INVALID_OPTION', `${links} links at most`);
    const port = new Port(link, 'central', node.env, liveness, this);
    const network = parent === undefined ? networks.free() : NET_LOCAL;
    if (parent === undefined && network === NET_LOCAL) throw new UsageError('ERR_INVALID_OPTION', 'no network is free');
    networks.add(port);
    networks.name(port, network);
    revive(port);
    port.heard();
    if (parent !== undefined) this.clients.set(port, new SeedClient(port, parent, this, node.env));
  }

  /** Forgets what led to a link, and who had numbers there. */
  private withdraw(port: Port): void {
    const { networks, claims } = this.running;
    this.clients.get(port)?.close(true);
    this.clients.delete(port);
    claims?.forget(port.network);
    networks.endLeases(port);
    networks.name(port, NET_LOCAL);
  }

  /** The router above does not answer: perhaps its link is another network by now. */
  private doubt(): void {
    const { upstream } = this.running.networks;
    if (upstream !== undefined) upstream.confirmed = false;
  }

  /** Completes the addresses of a frame that came by a link, or says what is wrong with them. */
  private place(port: Port): DropReason | undefined {
    const { dispatch, networks } = this.running;
    const { source, destination } = dispatch.header;
    const isLocal = networkOf(source) === NET_LOCAL;
    if (isLocal ? !port.mayBeFrom(nodeOf(source)) : !isAssignable(source)) return DropReason.ErgotBadSource;
    port.heard();
    this.learn(port, destination);
    // Who is known on this link alone could not be answered from beyond it.
    const isForUs = networkOf(destination) === NET_LOCAL && reach(destination) !== Reach.All;
    if (port.network === NET_LOCAL && (port.role === 'central' || (isLocal && !isForUs)))
      return DropReason.ErgotNoNetwork;
    const from = isLocal ? withNetwork(source, port.network) : source;
    if (networks.isOwn(from)) return DropReason.ErgotBadSource;
    if (portOf(destination) !== PORT_ANY && !this.isAdmitted(port, from)) return DropReason.ErgotUnclaimed;
    dispatch.rewrite(from, networkOf(destination) === NET_LOCAL ? withNetwork(destination, port.network) : destination);
    return undefined;
  }

  /** Whether a node may send: who is not on this link itself is let pass by those between. */
  private isAdmitted({ role, network }: Port, source: number): boolean {
    if (role === 'edge' || networkOf(source) !== network) return true;
    const node = nodeOf(source);
    return node === NODE_EDGE || (this.running.claims?.holds(network, node) ?? false);
  }

  /**
   * Whatever comes says that a link is there. Of the one upstream a frame to our node says which network it is, if it is none below: what is for
   * those comes the same way. Once it is known it is believed until the link was silent.
   */
  private learn(port: Port, destination: number): void {
    const { node, networks } = this.running;
    const { state, network } = port;
    if (port.role === 'edge' && !port.confirmed && nodeOf(destination) === port.node && isAssignable(destination)) {
      const named = networkOf(destination);
      if (!networks.isBelow(named)) {
        networks.name(port, named);
        port.confirmed = true;
      }
    }
    if (!port.active) revive(port);
    if (port.state === state && port.network === network) return;
    if (port.role === 'edge') for (const client of this.clients.values()) client.hurry();
    node.changed();
  }

  /** Sends a frame where its destination is. */
  private pass(frame: Frame, from: Port): void {
    const { dispatch, networks } = this.running;
    const { header } = dispatch;
    const error = networks.way(header.destination, from);
    if (error === ProtocolError.IseDestinationLocal) {
      const wrong = dispatch.deliver(frame);
      if (wrong !== undefined) this.fail(wrong, frame, from, dispatch.mayTellUndelivered);
      return;
    }
    const { via } = networks;
    // On a link of many, who is meant heard it.
    const isHeard = error === ProtocolError.IseRoutingLoop && from.role === 'central';
    if (error !== undefined || via === undefined) {
      return this.fail(error ?? ProtocolError.IseInternalError, frame, from, dispatch.mayTell && !isHeard);
    }
    if (header.ttl === 0) return this.fail(ProtocolError.IseTtlExpired, frame, from, dispatch.mayTell);
    if (via.fits(frame.end - header.body)) return dispatch.forward(frame, via);
    this.fail(ProtocolError.IsePacketTooBig, frame, from, dispatch.mayTell, via.link.mtu);
  }

  /** Ends a frame that came in, and tells its sender, where that is to be told. */
  private fail(error: ProtocolError, frame: Frame, from: Port, tells: boolean, mtu = 0): void {
    const { dispatch, networks } = this.running;
    dispatch.drop(protocolErrorReason(error), frame);
    if (!tells) return;
    const { source } = dispatch.header;
    const isLocal = networkOf(source) === NET_LOCAL;
    if (!isLocal && networks.way(source, undefined) !== undefined) return;
    const via = isLocal ? from : networks.via;
    if (via !== undefined) dispatch.tell(error, via, mtu);
  }

  /** Gives a frame that is for all to own sockets, and by all links but its own to the others. */
  private flood(frame: Frame, from: Port): void {
    const { dispatch, networks } = this.running;
    const { header } = dispatch;
    let copies = 0;
    if (header.ttl > 0) {
      const body = frame.end - header.body;
      for (const port of networks.downlinks) if (this.copyTo(port, frame, body, from)) copies++;
      if (networks.upstream !== undefined && this.copyTo(networks.upstream, frame, body, from)) copies++;
    }
    const error = dispatch.deliver(frame);
    if (error !== undefined && copies === 0) dispatch.drop(protocolErrorReason(error), frame);
  }

  private copyTo(port: Port, frame: Frame, body: number, from: Port): boolean {
    if (port === from || !port.active || !port.fits(body)) return false;
    this.running.dispatch.copy(frame, port, netAddress(port.network, port.peer, PORT_ALL));
    return true;
  }

  /** What own sockets say to all goes by all links; the last takes the frame itself. */
  private sendToAll(message: Message<number>, frame: Frame): ProtocolError | undefined {
    const { node, networks } = this.running;
    const { upstream, downlinks } = networks;
    let last: Port | undefined;
    let tooSmall: Port | undefined;
    for (let i = upstream === undefined ? 0 : -1; i < downlinks.length; i++) {
      const port = i < 0 ? upstream : downlinks[i];
      if (port === undefined || !port.active) continue;
      if (!port.fits(frame.length)) {
        tooSmall = port;
        continue;
      }
      if (last !== undefined) this.sendToPeer(message, node.env.pool.copy(frame), last);
      last = port;
    }
    if (last !== undefined) this.sendToPeer(message, frame, last);
    else if (tooSmall !== undefined) return this.tooBig(message, frame, tooSmall);
    else return ProtocolError.IseRoutingLoop;
    return undefined;
  }

  private sendToPeer(message: Message<number>, frame: Frame, port: Port): void {
    const { network, node, peer } = port;
    const to = netAddress(network, peer, PORT_ALL);
    this.running.dispatch.send(message, frame, port, netAddress(network, node, message.port), to);
  }

  private tooBig(message: Message<number>, frame: Frame, port: Port): ProtocolError {
    message.mtu = port.link.mtu;
    return this.running.dispatch.refuse(ProtocolError.IsePacketTooBig, frame);
  }
}

/** What a link is that is there. */
function revive(port: Port): void {
  if (port.network !== NET_LOCAL) port.state = LinkState.Active;
  else if (port.role === 'central') port.state = LinkState.ActiveLocal;
}

/**
 * Makes the profile of the root of a network: each of its links is a network of its own, and it gives out networks for links further down.
 *
 * @throws UsageError `ERR_INVALID_OPTION`
 * @example
 * const root = ergot(routerProfile({ links: 8 }));
 */
export function routerProfile(options: RouterOptions = {}): Profile<number> {
  return new Router(checkOptions(options, undefined));
}

/**
 * Makes the profile of a router below another one. What it has no route for goes upstream; its other links have no network, and carry
 * nothing, until it was given one for each.
 *
 * @throws UsageError `ERR_INVALID_OPTION`
 * @example
 * const bridge = ergot(bridgeProfile({ upstream: 'uplink' }));
 */
export function bridgeProfile(options: BridgeOptions = {}): Profile<number> {
  return new Router(checkOptions(options, options.upstream ?? ''));
}
