/**
 * Neighbour discovery of one link (RFC 4861 7.2): asks for neighbours, answers for our addresses and published ones, and tells the
 * neighbour cache what it hears, redirects to hosts (RFC 4861 8.3) included. Every message is validated first (RFC 4861 7.1, RFC 6980).
 *
 * What else the messages are good for (duplicate address detection, routers) is left to observers: they are shown every sound message,
 * and send their own with {@link Ndp.send}.
 */

import { Ipv6Address, isGroupMac } from '../core/address.js';
import type { Device } from '../core/device.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { asTxPacket, type Frame, type TxPacket } from '../core/frame.js';
import { readMac } from '../wire/ethernet.js';
import { Icmpv6Type, pushIcmpv6Headers } from '../wire/icmpv6.js';
import { type Ipv6Packet, solicitedNode } from '../wire/ipv6.js';
import {
  NDP_HOP_LIMIT,
  NdpMessage,
  NdpRedirect,
  NeighbourAdvertisement,
  NeighbourSolicitation,
  RouterAdvertisement,
  RouterSolicitation,
} from '../wire/ndp.js';
import type { NdpOption } from '../wire/ndp-options.js';
import type { NeighbourCache } from './neighbour.js';

/** Our IPv6 addresses on one link, as they are at the moment of the call. */
export interface NdpAddresses {
  /** Whether this is an address of ours that is in use. */
  has(address: Ipv6Address): boolean;
  /** Whether this is one whose uniqueness is still being verified (RFC 4862 5.4). */
  isTentative(address: Ipv6Address): boolean;
  /** Which of them to ask for `target` with; `undefined` if there is none. */
  sourceFor(target: Ipv6Address): Ipv6Address | undefined;
  /**
   * `router`, on this link, says that packets to `destination` are better sent to `target`, which is another router, or the destination
   * itself, which then is on this link. Returns whether that is heeded. Without it no redirect is.
   */
  redirect?(router: Ipv6Address, destination: Ipv6Address, target: Ipv6Address): boolean;
  /** A next hop on this link does not answer. */
  nextHopFailed?(hop: Ipv6Address): void;
  /** A neighbour on this link says that it is no router, and is believed (RFC 4861 7.2.5). */
  routerGone?(neighbour: Ipv6Address): void;
  /** Listens to a group from now on, or once less: for addresses that are published. */
  join?(group: Ipv6Address): void;
  leave?(group: Ipv6Address): void;
}

/** What neighbour discovery needs of the link that it serves. */
export interface NdpLink {
  readonly device: Device;
  readonly addresses: NdpAddresses;
  readonly neighbours: NeighbourCache;
  /** Sends an IP packet to a neighbour or group, which is resolved; takes over its reference. */
  send(packet: TxPacket, a: number, b: number, c: number, d: number): void;
  /** Sends an IP packet to a MAC address; takes over its reference. */
  sendTo(packet: TxPacket, mac: number): void;
}

/** A sound message, as observers see it: both are valid during the call. */
export interface NdpEvent {
  readonly message:
    | NeighbourSolicitation
    | NeighbourAdvertisement
    | RouterSolicitation
    | RouterAdvertisement
    | NdpRedirect;
  readonly packet: Ipv6Packet;
  /** MAC address of the frame's sender, as a 48-bit number, or -1. */
  readonly from: number;
}

const ALL_NODES = new Ipv6Address(0xff02_0000, 0, 0, 1);

/** Neighbour discovery of one link. */
export class Ndp {
  /** Whether our advertisements say that we are a router: one heeds no redirects. */
  isRouter = false;
  /** Says for which further addresses of others we answer. */
  proxy: ((target: Ipv6Address) => boolean) | undefined = undefined;
  /** Is told of neighbours that say that they are no routers, and are believed (RFC 4861 7.2.5). */
  routerGone: ((neighbour: Ipv6Address) => void) | undefined = undefined;
  private readonly env: Env;
  private readonly link: NdpLink;
  private readonly published = new Set<string>();
  private listeners: readonly ((event: NdpEvent) => boolean | void)[] = [];

  constructor(link: NdpLink, env: Env) {
    this.link = link;
    this.env = env;
  }

  /**
   * Shows `listener` every sound message from now on, before it is handled here; returns how to stop. A listener that returns true has
   * handled it: nothing more is done. Listeners must not throw.
   */
  observe(listener: (event: NdpEvent) => boolean | void): () => void {
    const own = (event: NdpEvent) => listener(event);
    this.listeners = [...this.listeners, own];
    return () => {
      this.listeners = this.listeners.filter((other) => other !== own);
    };
  }

  /**
   * Answers for `address` from now on, as a proxy (RFC 4861 7.2.8): at once, since there is but one. Answered is who asks the group; that
   * the owner is there still, who is asked alone is not for us to say.
   */
  publish(address: Ipv6Address): void {
    const key = address.toString();
    if (this.published.has(key)) return;
    this.published.add(key);
    this.link.addresses.join?.(solicitedNode(address));
  }

  unpublish(address: Ipv6Address): void {
    if (this.published.delete(address.toString())) this.link.addresses.leave?.(solicitedNode(address));
  }

  /**
   * Asks for `target`: its group, or only `mac` (RFC 4861 7.2.2, 7.3.3); from `preferred`, where the packet that waits comes from, if
   * that is an address of ours on this link. Without an address of ours nobody can be asked.
   */
  query(target: Ipv6Address, mac: number | undefined, preferred?: Ipv6Address): void {
    const { addresses } = this.link;
    const isOurs = preferred !== undefined && addresses.has(preferred);
    const source = isOurs ? preferred : addresses.sourceFor(target);
    if (source === undefined) return;
    const destination = mac === undefined ? solicitedNode(target) : target;
    const write = (frame: Frame) => NeighbourSolicitation.emit(frame, target, [this.sourceLinkAddress]);
    this.send(source, destination, write, mac);
  }

  /** Says that `target` is here: to everybody, or in answer to one (RFC 4861 7.2.4, 7.2.6). Default: unsolicited, overriding. */
  advertise(
    target: Ipv6Address,
    options: { readonly source?: Ipv6Address; readonly to?: Ipv6Address; readonly override?: boolean } = {},
  ): void {
    const { source = target, to, override = true } = options;
    const flags = { router: this.isRouter, solicited: to !== undefined, override };
    const link: NdpOption = { kind: 'target-link-address', mac: this.link.device.mac.value };
    this.send(source, to ?? ALL_NODES, (frame) => NeighbourAdvertisement.emit(frame, target, flags, [link]));
  }

  /** The option that says where we live. */
  get sourceLinkAddress(): NdpOption {
    return { kind: 'source-link-address', mac: this.link.device.mac.value };
  }

  /** Sends a message, which `write` writes into an empty frame, on this link; to `mac` without resolution where it is given. */
  send(source: Ipv6Address, destination: Ipv6Address, write: (frame: Frame) => void, mac?: number): void {
    const frame = this.env.pool.alloc(this.link.device.mtu);
    write(frame);
    pushIcmpv6Headers(frame, { source, destination, hopLimit: NDP_HOP_LIMIT });
    frame.network = frame.start;
    const packet = asTxPacket(frame);
    const { a, b, c, d } = destination;
    if (mac === undefined) this.link.send(packet, a, b, c, d);
    else this.link.sendTo(packet, mac);
  }

  /** Handles a packet whose frame's range is an ICMPv6 message of neighbour discovery, its checksum verified. */
  receive(packet: Ipv6Packet): void {
    const { frame } = packet;
    const wrong = NdpMessage.check(packet);
    if (wrong !== undefined) return this.drop(wrong, packet);
    const message = messageAt(frame, frame.start);
    const { view } = frame.slab;
    const from = frame.link < 0 ? -1 : readMac(view, frame.link + 6);
    const event = { message, packet, from };
    let handled = false;
    for (const listener of this.listeners) {
      // One may have been stopped by who was shown it before.
      if (this.listeners.includes(listener)) handled = listener(event) === true || handled;
    }
    if (handled) return this.env.drops.deliver(frame);
    if (message instanceof NeighbourSolicitation) return this.receiveSolicitation(packet, message);
    if (message instanceof NeighbourAdvertisement) return this.receiveAdvertisement(packet, message);
    if (message instanceof RouterAdvertisement) return this.receiveRouter(packet, message);
    if (message instanceof NdpRedirect) return this.receiveRedirect(packet, message);
    // Router solicitations are the business of routers.
    return this.drop(DropReason.NdpNotForUs, packet);
  }

  private receiveSolicitation(packet: Ipv6Packet, message: NeighbourSolicitation): void {
    const { addresses } = this.link;
    const { target } = message;
    const source = packet.sourceAddress;
    const isOurs = addresses.has(target);
    const isProxied = !isOurs && this.isPublished(target);
    // Nothing is answered at a tentative address (RFC 4862 5.4.3): whoever verifies it observes.
    if (!isOurs && !isProxied) return this.drop(DropReason.NdpNotForUs, packet);
    this.learn(source, message.sourceLinkAddress);
    this.env.drops.deliver(packet.frame);
    const own = isOurs ? target : addresses.sourceFor(source);
    if (own === undefined) return undefined;
    // A proxy must not displace the owner (RFC 4861 7.2.8). Who has no address yet is answered through the group.
    const options = { source: own, override: isOurs };
    return this.advertise(target, source.isUnspecified ? options : { ...options, to: source });
  }

  private isPublished(target: Ipv6Address): boolean {
    return (this.published.size > 0 && this.published.has(target.toString())) || this.proxy?.(target) === true;
  }

  private receiveAdvertisement(packet: Ipv6Packet, message: NeighbourAdvertisement): void {
    const { neighbours, addresses } = this.link;
    const { target, solicited, override, router: isRouter } = message;
    // Somebody else has our address: not a neighbour to be learnt.
    if (addresses.has(target) || addresses.isTentative(target)) return this.drop(DropReason.NdpUnsolicited, packet);
    // Without a link address it confirms the one that we know, and is useless where we know none (RFC 4861 7.2.5).
    const said = message.targetLinkAddress;
    const mac = said < 0 ? neighbours.get(target)?.mac : said;
    const { a, b, c, d } = target;
    const usable = mac !== undefined && !this.isImpossible(mac);
    const fate = usable ? neighbours.advertised(a, b, c, d, mac, { solicited, override, isRouter }) : 'unknown';
    if (fate === 'unknown') return this.drop(DropReason.NdpUnsolicited, packet);
    if (!isRouter && fate === 'taken') {
      addresses.routerGone?.(target);
      this.routerGone?.(target);
    }
    return this.env.drops.deliver(packet.frame);
  }

  private receiveRouter(packet: Ipv6Packet, message: RouterAdvertisement): void {
    const { sourceAddress } = packet;
    this.learn(sourceAddress, message.sourceLinkAddress);
    this.link.neighbours.knowRouter(sourceAddress, true);
    this.env.drops.deliver(packet.frame);
  }

  private receiveRedirect(packet: Ipv6Packet, message: NdpRedirect): void {
    const { addresses, neighbours } = this.link;
    const { target, destination } = message;
    // A router's routes are not for others to change (RFC 4861 8.2).
    const heeded = !this.isRouter && addresses.redirect?.(packet.sourceAddress, destination, target) === true;
    if (!heeded) return this.drop(DropReason.NdpUnsolicited, packet);
    this.learn(target, message.targetLinkAddress);
    if (!target.equals(destination)) neighbours.knowRouter(target, true);
    return this.env.drops.deliver(packet.frame);
  }

  /**
   * Who told us its MAC address, which is -1 where it did not, is there, but need not hear us (RFC 4861 7.2.3, 6.2.6, 6.3.4); returns whether
   * it is a neighbour now. No neighbour has the address of a group, nor ours.
   */
  learn(source: Ipv6Address, mac: number): boolean {
    if (mac < 0 || source.isUnspecified || this.isImpossible(mac)) return false;
    return this.link.neighbours.heard(source.a, source.b, source.c, source.d, mac, true);
  }

  private isImpossible(mac: number): boolean {
    return mac === 0 || isGroupMac(mac) || mac === this.link.device.mac.value;
  }

  private drop(reason: DropReason, packet: Ipv6Packet): void {
    this.env.drops.report(reason, packet.frame, 'ndp');
  }
}

function messageAt(frame: Frame, at: number): NdpEvent['message'] {
  switch (frame.slab.view.getUint8(at)) {
    case Icmpv6Type.NeighbourSolicitation:
      return new NeighbourSolicitation(frame, at);
    case Icmpv6Type.NeighbourAdvertisement:
      return new NeighbourAdvertisement(frame, at);
    case Icmpv6Type.RouterAdvertisement:
      return new RouterAdvertisement(frame, at);
    case Icmpv6Type.RouterSolicitation:
      return new RouterSolicitation(frame, at);
    default:
      return new NdpRedirect(frame, at);
  }
}
