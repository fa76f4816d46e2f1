/** The other ends of a VXLAN (RFC 7348 4.2): those that were named, and those that were heard of. */

import { type IpAddress, unmapped } from '../core/address.js';
import type { Device } from '../core/device.js';
import { onLinkOf } from '../l3/scope.js';
import { Ends } from '../wire/ends.js';
import type { IpPacket } from '../wire/ip.js';
import type { UdpTunnelEnd } from './udp-tunnels.js';

/** One other end. */
export class VxlanPeer {
  readonly address: IpAddress;
  /** The way there; made when something is first sent. */
  way: UdpTunnelEnd | undefined = undefined;
  /** Stations that were said to be behind it. */
  pins = 0;

  constructor(address: IpAddress) {
    this.address = address;
  }
}

interface Place {
  readonly ends: Ends;
  /** Which brought the packets: a link-local address is one of its link. */
  device: Device | undefined;
  peer: VxlanPeer | undefined;
}

// A power of two.
const PLACES = 64;

/** Finds the peers that packets are from. */
export class VxlanPeers {
  private readonly named = new Map<string, VxlanPeer>();
  private readonly places: readonly Place[] = Array.from({ length: PLACES }, () => ({
    ends: new Ends(),
    device: undefined,
    peer: undefined,
  }));
  /** Whether nothing is taken from any other. */
  readonly onlyNamed: boolean;

  constructor(onlyNamed: boolean) {
    this.onlyNamed = onlyNamed;
  }

  /** The peer of that address, from now on a named one. */
  name(address: IpAddress): VxlanPeer {
    const own = unmapped(address);
    const key = own.toString();
    const peer = this.named.get(key) ?? new VxlanPeer(own);
    this.named.set(key, peer);
    this.forgetPlaces();
    return peer;
  }

  /** The named peer of that address. */
  get(address: IpAddress): VxlanPeer | undefined {
    return this.named.get(unmapped(address).toString());
  }

  /** It no longer is a named one. */
  unname(peer: VxlanPeer): void {
    this.named.delete(peer.address.toString());
    this.forgetPlaces();
  }

  /** The peer that a packet is from; `undefined` where nothing is taken from there. */
  senderOf(packet: IpPacket): VxlanPeer | undefined {
    const { sourceOffset: at, addressLength } = packet;
    const { device, slab } = packet.frame;
    const { view } = slab;
    const place = this.places[(Math.imul(view.getInt32(at + addressLength - 4), 0x9e37_79b1) >>> 26) & (PLACES - 1)];
    if (place === undefined) return undefined;
    const length = addressLength === 4 ? 8 : 32;
    if (place.peer !== undefined && place.device === device && place.ends.are(view, at, length)) return place.peer;
    const address = packet.sourceAddress;
    const zoned = onLinkOf(device, address);
    const named = this.named.get(zoned.toString()) ?? this.named.get(address.toString());
    const peer = named ?? (this.onlyNamed ? undefined : new VxlanPeer(zoned));
    if (peer === undefined) return undefined;
    place.ends.read(view, at, length);
    place.device = device;
    place.peer = peer;
    return peer;
  }

  private forgetPlaces(): void {
    for (const place of this.places) place.peer = undefined;
  }
}
