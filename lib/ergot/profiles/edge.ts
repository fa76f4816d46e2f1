/**
 * The profile of a node at the edge: one link, to a router or to another node. It says whatever it has to say to whom it is linked with, and
 * learns from the first frame addressed to its node which network it is in (ergot 0.12, direct edge).
 *
 * Before that, and while its link is silent, it is heard on the link alone: what it sends to `0.1` comes from `0.2`, and the router puts the network in.
 */

import type { Device } from '../../core/device.js';
import { DropReason } from '../../core/drops.js';
import { UsageError } from '../../core/errors.js';
import type { Frame } from '../../core/frame.js';
import { FrameKind } from '../frame.js';
import { ProtocolError, protocolErrorReason } from '../frame-error.js';
import { type Message, Reach } from '../message.js';
import {
  isAssignable,
  NET_LAST,
  NET_LOCAL,
  netAddress,
  networkOf,
  nodeOf,
  PORT_ALL,
  withNetwork,
} from '../net-address.js';
import { type Addressing, LinkState, type LinkStatus, type Profile, type ProfileNode } from '../profile.js';
import { netAddressing, reach } from './addressing.js';
import { checkClaim, ClaimClient, type ClaimOptions, type ClaimTenant } from './claim-client.js';
import { Dispatch } from './dispatch.js';
import { checkLiveness, type LivenessOption, Port, type PortOwner } from './port.js';

/** Options of {@link edgeProfile}. */
export interface EdgeOptions {
  /** When the link counts as lost. Default: never. */
  readonly liveness?: LivenessOption;
  /** Between two nodes without a router one is in charge: the network that it says there is, 1 to 65,534. It is `.1` there. Default: the other is. */
  readonly network?: number;
  /** The link is one that many share: the node claims a number there instead of having number 2. */
  readonly claim?: ClaimOptions;
}

class EdgeProfile implements Profile<number>, PortOwner, ClaimTenant {
  readonly addressing: Addressing<number> = netAddressing;
  private readonly liveness: LivenessOption | undefined;
  /** The network that we are in charge of, or 0. */
  private readonly network: number;
  private readonly claim: ClaimOptions | undefined;
  private claims: ClaimClient | undefined;
  private started: { readonly node: ProfileNode<number>; readonly dispatch: Dispatch } | undefined;
  private port: Port | undefined;

  constructor(options: EdgeOptions) {
    const { liveness, network = NET_LOCAL, claim } = options;
    checkLiveness(liveness);
    const isNetwork = Number.isInteger(network) && network > NET_LOCAL && network <= NET_LAST;
    if (options.network !== undefined && !isNetwork) {
      throw new UsageError('ERR_INVALID_OPTION', `no network: ${network}`);
    }
    if (claim !== undefined && options.network !== undefined) {
      throw new UsageError('ERR_INVALID_OPTION', 'who is in charge of a network claims no number there');
    }
    checkClaim(claim ?? {});
    this.liveness = liveness;
    this.network = network;
    this.claim = claim;
  }

  get links(): readonly LinkStatus<number>[] {
    return this.port === undefined ? [] : [this.port.status];
  }

  start(node: ProfileNode<number>): void {
    this.started = { node, dispatch: new Dispatch(node) };
  }

  stop(): void {
    this.port?.close();
    this.claims?.close();
  }

  attach(link: Device): void {
    const { node } = this.running;
    if (this.port !== undefined) throw new UsageError('ERR_INVALID_OPTION', `the edge has a link: '${link.name}'`);
    const port = new Port(link, this.network === NET_LOCAL ? 'edge' : 'central', node.env, this.liveness, this);
    this.port = port;
    this.activate(port, this.network);
    if (port.active) port.heard();
    if (this.claim !== undefined) this.claims = new ClaimClient(this.claim, node.stack, this, node.env);
    node.changed();
  }

  detach(link: Device): void {
    if (this.port?.link !== link) return;
    this.stop();
    this.port = this.claims = undefined;
    this.running.node.changed();
  }

  /** Of a port: it was silent for too long. The network stays known, until a frame says another one. */
  lost(port: Port): void {
    if (port.state === LinkState.Down) this.claims?.close();
    this.running.node.changed();
  }

  propose(number: number): void {
    this.become(number, NET_LOCAL);
  }

  settle(network: number): void {
    if (this.port !== undefined) this.become(this.port.node, network);
  }

  receive(link: Device, frame: Frame): void {
    const { dispatch } = this.running;
    const { port } = this;
    if (port?.link !== link) return dispatch.drop(DropReason.DeviceUnknown, frame);
    if (port.state === LinkState.Down) return dispatch.drop(DropReason.DeviceDown, frame);
    const reason = dispatch.read(frame) ?? this.place(port, dispatch);
    if (reason !== undefined) return dispatch.drop(reason, frame);
    const error = dispatch.deliver(frame);
    if (error === undefined) return;
    dispatch.drop(protocolErrorReason(error), frame);
    if (dispatch.mayTellUndelivered) dispatch.tell(error, port);
  }

  send(message: Message<number>, frame: Frame): ProtocolError | undefined {
    const { dispatch } = this.running;
    const { port } = this;
    const { destination } = message;
    const isForAll = message.reach === Reach.All;
    if (port === undefined || port.state === LinkState.Down) {
      return isForAll ? ProtocolError.IseRoutingLoop : dispatch.refuse(ProtocolError.IseNoRouteToDest, frame);
    }
    if (!isForAll && this.isOwn(port, destination)) return ProtocolError.IseDestinationLocal;
    const isLocal = isForAll ? !port.active : networkOf(destination) === NET_LOCAL;
    if (!isLocal && !port.active) return dispatch.refuse(ProtocolError.IseNoRouteToDest, frame);
    if (!port.fits(frame.length)) {
      message.mtu = port.link.mtu;
      return dispatch.refuse(ProtocolError.IsePacketTooBig, frame);
    }
    const network = isLocal ? NET_LOCAL : port.network;
    const to = isForAll ? netAddress(network, port.peer, PORT_ALL) : destination;
    dispatch.send(message, frame, port, netAddress(network, port.node, message.port), to);
    return undefined;
  }

  private get running(): { readonly node: ProfileNode<number>; readonly dispatch: Dispatch } {
    if (this.started === undefined) throw new UsageError('ERR_INVALID_STATE', 'the profile was not started');
    return this.started;
  }

  private isOwn(port: Port, address: number): boolean {
    const network = networkOf(address);
    const node = nodeOf(address);
    if (network === NET_LOCAL) return node === 0 || node === port.node;
    return port.active && network === port.network && node === port.node;
  }

  /** Whether a frame to an address is for this node. On a link that many share, the same number is heard of in other networks, too. */
  private isHere(port: Port, destination: number): boolean {
    if (nodeOf(destination) !== port.node) return false;
    const network = networkOf(destination);
    return this.claim === undefined || port.network === NET_LOCAL || network === NET_LOCAL || network === port.network;
  }

  /** Learns from a frame which network this is, and completes its addresses; or says what is wrong with it. */
  private place(port: Port, dispatch: Dispatch): DropReason | undefined {
    const { source, destination, kind } = dispatch.header;
    const isLocal = networkOf(source) === NET_LOCAL;
    if (isLocal ? !port.mayBeFrom(nodeOf(source)) : !isAssignable(source)) return DropReason.ErgotBadSource;
    port.heard();
    this.learn(port, destination);
    if (this.isOwn(port, source)) return DropReason.ErgotBadSource;
    if (reach(destination) !== Reach.All) {
      // A number that is only proposed may be another one's, who is to answer what is for it.
      const isAnswer = kind === FrameKind.Response || kind === FrameKind.Error;
      const isProposed = this.claim !== undefined && port.network === NET_LOCAL;
      if (!this.isHere(port, destination) || (isProposed && !isAnswer)) return DropReason.ErgotNotForUs;
    }
    if (isLocal && port.active) dispatch.rewrite(withNetwork(source, port.network), destination);
    return undefined;
  }

  /**
   * What is to our node says which network that is, at any time: a link of two has no other. Where node numbers are claimed, so is the network.
   * Whatever comes says that the link is there again.
   */
  private learn(port: Port, destination: number): void {
    const learns = port.role === 'edge' && this.claim === undefined;
    const names = learns && nodeOf(destination) === port.node && isAssignable(destination);
    const { state, network } = port;
    this.activate(port, names ? networkOf(destination) : network);
    if (port.state !== state || port.network !== network) this.running.node.changed();
  }

  private activate(port: Port, network: number): void {
    port.network = network;
    if (network !== NET_LOCAL) port.state = LinkState.Active;
    else if (this.claim !== undefined) port.state = LinkState.ActiveLocal;
  }

  /** What came of a claim. */
  private become(node: number, network: number): void {
    const { port } = this;
    if (port === undefined) return;
    port.node = node;
    // Of a link that is silent, a frame is to say that it is there.
    if (port.state === LinkState.Inactive) port.network = network;
    else this.activate(port, network);
    this.running.node.changed();
  }
}

/**
 * Makes the profile of a node with one link. It has address `.2` in a network that it learns, or, where many share the link, the number that it
 * claims; to whom it is linked, `0.1` is a name at any time.
 *
 * @throws UsageError `ERR_INVALID_OPTION`
 * @example
 * const sensor = ergot(edgeProfile());
 * sensor.plug(device);
 */
export function edgeProfile(options: EdgeOptions = {}): Profile<number> {
  return new EdgeProfile(options);
}
