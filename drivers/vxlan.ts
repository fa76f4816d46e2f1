/**
 * A virtual network over IP (RFC 7348) as a device: Ethernet frames go to the other ends in UDP datagrams of an underlying host, which is
 * one of ours. Nothing is copied on the way in; on the way out headers are pushed in front of the frame.
 *
 * Left out: IP multicast underneath (RFC 7348 4.2); what is for many is sent to each named peer.
 */

import { type IpAddress, type IpVersion, ipOf, isSameAddress, MacAddress, unmapped } from '../lib/core/address.js';
import { type DeviceFeatures, NO_FEATURES } from '../lib/core/device.js';
import { DropReason } from '../lib/core/drops.js';
import type { Env } from '../lib/core/env.js';
import { UsageError } from '../lib/core/errors.js';
import { asTx, ChecksumState, type Frame, type TxFrame } from '../lib/core/frame.js';
import { AGEING, MOST_STATIONS, StationTable } from '../lib/l2/station-table.js';
import { DEFAULT_HOP_LIMIT } from '../lib/l3/ip-output.js';
import type { UdpTunnelEndOptions } from '../lib/l4/udp-tunnels.js';
import { type VxlanPeer, VxlanPeers } from '../lib/l4/vxlan-peers.js';
import { type VxlanNetwork, VxlanPort } from '../lib/l4/vxlan-port.js';
import { Entropy } from '../lib/wire/entropy.js';
import { ETHERNET_HEADER, EthernetFrame } from '../lib/wire/ethernet.js';
import type { IpPacket } from '../lib/wire/ip.js';
import { networkOffset } from '../lib/wire/network-offset.js';
import { decapsulateEcn, innerTrafficClass } from '../lib/wire/tunnel-ecn.js';
import { UDP_HEADER } from '../lib/wire/udp.js';
import { VXLAN_HEADER, VXLAN_PORT, VxlanHeader } from '../lib/wire/vxlan.js';
import { anyMac, endCopy, longestLinkHeader, withHeadroom } from './port.js';
import { checkMtu, LEAST_MTU, MOST_MTU, VirtualDevice } from './virtual-device.js';
import { checkVxlanOptions, type VxlanDevice, type VxlanDeviceOptions, type VxlanUnderlay } from './vxlan-options.js';

export type { VxlanDevice, VxlanDeviceOptions, VxlanStation, VxlanUnderlay } from './vxlan-options.js';

const ALL: DeviceFeatures = { checksum: true, segmentation: true, udpSegmentation: true };
const SOURCE = 6;
const ECN_MASK = 3;
/** Source ports: dynamic ones (RFC 7348 5, RFC 6335 6). */
const FIRST_PORT = 49_152;
const PORTS = 16_384;
const DEFAULT_MTU = 1500;
const VIRTIO_HEADER = 12;
const WORDS = [0, 1, 2, 3] as const;

/** Bytes that the outer IP packet has around the inner one. */
function overhead(version: IpVersion, linkHeader: number = ETHERNET_HEADER): number {
  return (version === 4 ? 20 : 40) + UDP_HEADER + VXLAN_HEADER + linkHeader;
}

/** With whatever tags an inner packet of this length has, there is an outer one for it. */
function mostMtu(version: IpVersion): number {
  return MOST_MTU - overhead(version, longestLinkHeader('ethernet'));
}

class VxlanEnd extends VirtualDevice implements VxlanDevice, VxlanNetwork {
  readonly vni: number;
  readonly version: IpVersion;
  mtu: number;
  readonly features: DeviceFeatures = ALL;
  private readonly local: IpAddress | undefined;
  private readonly localWords: Int32Array | undefined;
  /** The device that packets to a link-local address of ours come by (RFC 4007 6); empty where any will do. */
  private readonly localZone: string;
  private readonly options: VxlanDeviceOptions;
  private readonly way: UdpTunnelEndOptions;
  private readonly known: VxlanPeers;
  private readonly table: StationTable<VxlanPeer>;
  private readonly isLearning: boolean;
  /** Its MAC address, in halves. */
  private readonly ownHigh: number;
  private readonly ownLow: number;
  private readonly port: number;
  /** -1 is that of the packet inside. */
  private readonly dscp: number;
  private readonly headroom: number;
  private readonly entropy: Entropy = new Entropy();
  private flooded: readonly VxlanPeer[] = [];
  private joined: VxlanPort | undefined = undefined;
  private isSending = false;

  constructor(options: VxlanDeviceOptions, env: Env) {
    const { vni, peers = [], stations = [], name = `vxlan${vni}`, mac, port = VXLAN_PORT } = options;
    super(name, mac === undefined ? anyMac(env) : MacAddress.of(mac), NO_FEATURES, env);
    const { ageing = AGEING, mostStations = MOST_STATIONS, hopLimit = DEFAULT_HOP_LIMIT, dscp = 'inherit' } = options;
    const first = options.local ?? peers[0] ?? stations[0]?.peer;
    this.options = options;
    this.vni = vni;
    this.port = port;
    this.version = first === undefined ? 4 : unmapped(ipOf(first)).version;
    if (options.mtu !== undefined) checkMtu(options.mtu, mostMtu(this.version));
    this.local = options.local === undefined ? undefined : unmapped(ipOf(options.local));
    this.localWords = this.local && Int32Array.from(WORDS, (index) => this.local?.word(index) ?? 0);
    this.localZone = this.local?.version === 6 && this.local.isLinkLocal ? this.local.zone : '';
    this.dscp = dscp === 'inherit' ? -1 : dscp << 2;
    this.isLearning = options.learning ?? true;
    this.ownHigh = Math.floor(this.mac.value / 0x1_0000_0000);
    this.ownLow = this.mac.value | 0;
    this.table = new StationTable(ageing, mostStations, env.random.uint32());
    this.known = new VxlanPeers(!(options.anyPeer ?? peers.length === 0));
    const { checksum = this.version === 6, dontFragment = false } = options;
    this.way = { source: this.local, checksum, hopLimit, dontFragment };
    const link = longestLinkHeader('ethernet') + VIRTIO_HEADER;
    this.headroom = overhead(this.version) - ETHERNET_HEADER + link;
    this.mtu = options.mtu ?? this.fittingMtu();
    for (const peer of peers) this.addPeer(peer);
    for (const station of stations) this.pin(station.mac, station.peer);
    if (options.underlay !== undefined) this.attach(options.underlay);
  }

  override get countsTags(): boolean {
    return true;
  }

  get peers(): readonly IpAddress[] {
    return this.flooded.map(({ address }) => address);
  }

  get stations(): VxlanDevice['stations'] {
    const entries = this.table.list(this.env.timers.now());
    return entries.map(({ mac, port, heardAt }) => ({ mac: new MacAddress(mac), peer: port.address, heardAt }));
  }

  attach({ udp: { tunnels } }: VxlanUnderlay): void {
    if (this.joined !== undefined || !this.open) {
      throw new UsageError('ERR_INVALID_STATE', `'${this.name}' is attached or closed`);
    }
    this.joined = VxlanPort.join(tunnels, this.port, this, this.env);
    if (this.options.acceptZeroChecksum6 === true) this.joined.tunnel.acceptZeroChecksum6 = true;
    this.fit();
  }

  addPeer(peer: IpAddress | string): void {
    const added = this.known.name(this.addressOf(peer));
    if (!this.flooded.includes(added)) this.floodTo([...this.flooded, added]);
  }

  removePeer(peer: IpAddress | string): boolean {
    const removed = this.known.get(ipOf(peer));
    if (removed === undefined || !this.flooded.includes(removed)) return false;
    this.floodTo(this.flooded.filter((other) => other !== removed));
    this.known.unname(removed);
    // As another peer it may have been heard before it was named.
    const behind = this.table.list(this.env.timers.now()).map(({ port }) => port);
    for (const peer of new Set(behind)) if (isSameAddress(peer.address, removed.address)) this.table.forget(peer);
    return true;
  }

  pin(mac: MacAddress | string, peer: IpAddress | string): void {
    const { value, isGroup } = MacAddress.of(mac);
    if (isGroup) throw new UsageError('ERR_INVALID_OPTION', 'a group is behind no single peer');
    const named = this.known.name(this.addressOf(peer));
    const before = this.table.pinned(value);
    named.pins++;
    this.table.pin(value, named);
    if (before !== undefined) this.unpinned(before);
  }

  unpin(mac: MacAddress | string): boolean {
    const { value } = MacAddress.of(mac);
    const before = this.table.pinned(value);
    if (before === undefined) return false;
    this.table.unpin(value);
    this.unpinned(before);
    return true;
  }

  receive(frame: Frame, packet: IpPacket): void {
    const { drops } = this.env;
    const wrong = EthernetFrame.check(frame, frame.start);
    if (wrong !== undefined) return drops.report(wrong, frame, this.name);
    const peer = this.isToUs(packet) ? this.known.senderOf(packet) : undefined;
    if (peer === undefined) return drops.report(DropReason.VxlanUnknownNetwork, frame, this.name);
    const { view } = frame.slab;
    const high = view.getUint16(frame.start + SOURCE);
    const low = view.getInt32(frame.start + SOURCE + 2);
    if (low === this.ownLow && high === this.ownHigh) return drops.report(DropReason.TunnelLoop, frame, this.name);
    if (this.isLearning) this.table.learn(high, low, peer, this.env.timers.now());
    const own = frame.exclusive ? frame : this.env.pool.copy(frame);
    this.deliver(own, packet.trafficClass & ECN_MASK);
    endCopy(own, frame);
  }

  protected override transmit(frame: TxFrame): void {
    const { drops } = this.env;
    // The way to a peer may lead back here, be it by an address that has to be resolved first.
    if (this.isSending) return drops.refuse(DropReason.TunnelLoop, frame, this.name);
    const { view } = frame.slab;
    const { start } = frame;
    const peer = this.table.find(view.getUint16(start), view.getInt32(start + 2), this.env.timers.now());
    this.isSending = true;
    try {
      if (peer === undefined) this.flood(frame);
      else this.encapsulate(frame, peer);
    } finally {
      this.isSending = false;
    }
  }

  protected override detach(): void {
    this.joined?.leave(this);
    this.joined = undefined;
  }

  protected override fit(): void {
    if (this.options.mtu !== undefined) return;
    // The path may lead over a bridge that this is a port of: if that followed what is there now, both would shrink each time.
    this.mtu = DEFAULT_MTU;
    this.fitAbove();
    this.mtu = this.fittingMtu();
    this.fitAbove();
  }

  /** A station is behind that peer no longer: whom only stations named is nobody's peer without them. */
  private unpinned(peer: VxlanPeer): void {
    peer.pins--;
    if (peer.pins > 0 || this.flooded.includes(peer)) return;
    this.known.unname(peer);
    if (this.known.onlyNamed) this.table.forget(peer);
  }

  private floodTo(peers: readonly VxlanPeer[]): void {
    const [first] = this.flooded;
    this.flooded = peers;
    if (peers[0] !== first) this.fit();
  }

  private deliver(frame: Frame, outerEcn: number): void {
    const isOfInner = frame.checksum === ChecksumState.Partial && frame.checksumStart > frame.start;
    // What was verified is the outer datagram; what is inside may have been wrong before.
    if (!isOfInner) frame.checksum = ChecksumState.None;
    frame.renew();
    frame.wholeEnd = frame.end;
    if (!decapsulateEcn(frame, networkOffset(frame, 'ethernet'), outerEcn)) {
      return this.env.drops.report(DropReason.TunnelCongestion, frame, this.name);
    }
    return this.intake.pass(frame);
  }

  private isToUs({ frame: { slab, device }, destinationOffset, addressLength }: IpPacket): boolean {
    const { localWords, localZone } = this;
    if (localWords === undefined) return true;
    const first = 4 - addressLength / 4;
    for (let i = first; i < 4; i++) {
      if (slab.view.getInt32(destinationOffset + 4 * (i - first)) !== localWords[i]) return false;
    }
    return localZone === '' || device === undefined || device.name === localZone;
  }

  /** To each peer a copy, to the last one the frame itself. */
  private flood(frame: TxFrame): void {
    const { flooded, env } = this;
    const final = flooded.length - 1;
    const last = flooded[final];
    if (last === undefined) return env.drops.refuse(DropReason.IpNoRoute, frame, this.name);
    for (let i = 0; i < final; i++) {
      const peer = flooded[i];
      if (peer !== undefined) this.encapsulate(asTx(env.pool.copy(frame)), peer);
    }
    return this.encapsulate(frame, last);
  }

  /** Takes over the frame's reference. */
  private encapsulate(frame: TxFrame, peer: VxlanPeer): void {
    const { env, joined, port, dscp } = this;
    if (joined === undefined) return env.drops.refuse(DropReason.DeviceDown, frame, this.name);
    const network = networkOffset(frame, 'ethernet');
    const trafficClass = innerTrafficClass(frame, network);
    const sourcePort = FIRST_PORT + (this.entropy.of(frame, network) & (PORTS - 1));
    const own = withHeadroom(frame, this.headroom, env.pool);
    VxlanHeader.emit(own, this.vni);
    own.renew();
    peer.way ??= joined.tunnel.end(peer.address, this.way);
    return peer.way.send(own, sourcePort, port, dscp < 0 ? trafficClass : dscp | (trafficClass & ECN_MASK));
  }

  private addressOf(peer: IpAddress | string): IpAddress {
    const address = unmapped(ipOf(peer));
    const isOdd = address.isMulticast || address.isUnspecified || address.version !== this.version;
    if (!isOdd && !(this.local !== undefined && isSameAddress(address, this.local))) return address;
    throw new UsageError('ERR_INVALID_OPTION', `${address.toString()} is no other end of '${this.name}'`);
  }

  private fittingMtu(): number {
    const [first] = this.flooded;
    const mtu = first && this.joined?.tunnel.end(first.address, this.way).mtu;
    const fitting = (mtu ?? DEFAULT_MTU) - overhead(this.version);
    return Math.min(Math.max(LEAST_MTU, fitting), mostMtu(this.version));
  }
}

/**
 * Makes an end of a virtual Ethernet over an IP network (RFC 7348). Frames to a station go to the peer behind which it was last heard of, or was
 * said to be; all others, and those to groups and to everybody, to each named peer. What comes from a peer is never sent to one again.
 *
 * Several networks may share a port of a host. The underlying host may be the one that uses the device: make the device without
 * `underlay`, give it to the host or router, and {@link VxlanDevice.attach} it.
 *
 * **Drops** on the way in `VxlanTruncated`, `VxlanBadHeader`, `VxlanUnknownNetwork`, `EthernetTruncated`, `EthernetBadSource`, `TunnelLoop`,
 * `TunnelCongestion`; on the way out `IpNoRoute` without a peer or a way there, `TunnelLoop`, `DeviceDown`.
 * **State and timers** the table of stations; no timer.
 *
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`; NetError `EADDRINUSE`, `ENETDOWN` (the host has ended)
 * @example
 * const under = host({ device: tap, addresses: ['192.0.2.1/24'] }, env);
 * const overlay = vxlanDevice({ vni: 42, underlay: under, local: '192.0.2.1', peers: ['192.0.2.2'] }, env);
 * overlay.frames$.pipe(host({ device: overlay, addresses: ['10.0.0.1/24'] }, env)).subscribe(overlay.sink);
 */
export function vxlanDevice(options: VxlanDeviceOptions, env: Env): VxlanDevice {
  checkVxlanOptions(options);
  return new VxlanEnd(options, env);
}
