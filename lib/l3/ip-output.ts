/** How transports hand packets to IP: the one place above `wire` that knows how each version's header is written. */

import type { IpAddress, Ipv6Address, IpVersion } from '../core/address.js';
import type { Device, DeviceFeatures } from '../core/device.js';
import { DropReason, type Drops } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { asTxPacket, type Frame, type TxPacket } from '../core/frame.js';
import type { IpFlow } from '../wire/ip.js';
import { Ipv4Packet, ipv4PseudoHeaderSum } from '../wire/ipv4.js';
import { Ipv6Packet, ipv6PseudoHeaderSum } from '../wire/ipv6.js';

// Longer packets, and more of them, are not held: they are of bulk, which wants its memory back.
const SHORT = 1024;
const MOST_HELD = 64;

/** Hop limit of what is sent, where neither sender nor router asks for another (RFC 1122 3.2.1.7). */
export const DEFAULT_HOP_LIMIT = 64;

/** The way to a destination, as far as a transport needs to know it. */
export interface IpPath {
  /** The address to send from. */
  readonly source: IpAddress;
  /** Largest IP packet, in bytes, that goes out in one piece. */
  readonly mtu: number;
  /** The same for the first link alone, whatever is known of the path behind it. Default: `mtu`. */
  readonly linkMtu?: number;
  /** Of packets whose sender does not care. Default {@link DEFAULT_HOP_LIMIT}. */
  readonly hopLimit?: number;
  /** What the device at the beginning of the way does for its frames. Default: nothing. */
  readonly features?: DeviceFeatures;
}

/** Knows the ways to destinations: the routing table and our addresses. */
export interface IpPaths {
  /**
   * Changes whenever the source, hop limit or device of a path may be another than before, so that whoever sends often need not ask each time.
   * MTUs change without it. Without this one has to ask.
   */
  readonly generation?: number;
  /** The way to `destination`, from `source` if it is given and ours; `undefined` where there is none. */
  path(destination: IpAddress, source?: IpAddress): IpPath | undefined;
  /** Whether packets may be sent from, and are received at, this unicast address; a link-local one in its zone, where it has one. */
  isLocal(address: IpAddress): boolean;
  /** Whether this is the limited broadcast address or that of a network of ours. */
  isBroadcast(address: IpAddress): boolean;
  /** The device that the zone of an address names (RFC 4007). Without it packets to link-local addresses go by that of their source. */
  zone?(address: Ipv6Address): Device | undefined;
  /**
   * A transport found out by itself that packets of `mtu` bytes get through to `destination`, and none that is larger (RFC 4821 5.2): from
   * now on that is the path's MTU, for all transports.
   */
  foundMtu?(destination: IpAddress, mtu: number): void;
}

/** Writes IP headers and emits the packets; each transport has one. */
export class IpOutput {
  /** Where packets go; whoever runs the transport sets it. Until then they are dropped. */
  emit: ((packet: TxPacket) => void) | undefined = undefined;
  private readonly drops: Drops;
  private readonly paths: IpPaths | undefined;
  private identification: number;
  private isHolding = false;
  /** Packets that wait; and how many of them went. */
  private readonly held: TxPacket[] = [];
  private gone = 0;

  /** @param paths know the zones of link-local destinations, of which a packet itself says nothing */
  constructor(env: Env, paths?: IpPaths) {
    this.paths = paths;
    this.drops = env.drops;
    this.identification = env.random.uint32() & 0xffff;
  }

  /** Pushes the IP header in front of the transport segment in `frame`, whose reference it takes over, and emits the packet. */
  send(frame: Frame, flow: IpFlow): void {
    if (this.emit === undefined) {
      this.drops.refuse(DropReason.DeviceDown, frame, 'ip-output');
      return;
    }
    // IDs are unique per datagram that may be fragmented (RFC 6864 4.2).
    this.identification = (this.identification + 1) & 0xffff;
    const { gsoSize } = frame;
    pushIpHeader(frame, flow, this.identification);
    // Each segment of a super-segment has the next one.
    if (gsoSize > 0) this.identification = (this.identification + Math.ceil(frame.length / gsoSize)) & 0xffff;
    const { destination } = flow;
    if (destination.version === 6 && destination.zone !== '') frame.device ??= this.paths?.zone?.(destination);
    const packet = asTxPacket(frame);
    const { held } = this;
    if (this.isHolding && frame.length <= SHORT && held.length < MOST_HELD) held.push(packet);
    else {
      if (held.length > 0) this.emitHeld();
      this.emit(packet);
    }
  }

  /**
   * From now on short packets wait until {@link letGo}, as long as they are few, for what comes after to be done for all of them: what a processor's cache
   * holds is the code that makes packets, or that on their way out. Their order stays.
   */
  hold(): void {
    this.isHolding = true;
  }

  /** Emits what waits. */
  letGo(): void {
    this.isHolding = false;
    if (this.held.length > 0) this.emitHeld();
  }

  private emitHeld(): void {
    const { held } = this;
    try {
      while (this.gone < held.length) this.emitNext(held[this.gone++]);
    } finally {
      // Where the way out threw, the others go nevertheless.
      if (this.gone < held.length) this.emitHeld();
      this.gone = 0;
      while (held.length > 0) held.pop();
    }
  }

  private emitNext(packet: TxPacket | undefined): void {
    if (packet === undefined) return;
    // Who was there may have left since.
    if (this.emit === undefined) this.drops.refuse(DropReason.DeviceDown, packet, 'ip-output');
    else this.emit(packet);
  }
}

/** Pushes the IP header that `flow` asks for in front of the frame, whose range is the payload. `identification` is IPv4's. */
export function pushIpHeader(frame: Frame, flow: IpFlow, identification: number): void {
  if (isVersion(flow, 4)) {
    const { source, destination, protocol, hopLimit, trafficClass, dontFragment } = flow;
    Ipv4Packet.push(
      frame,
      source.bits,
      destination.bits,
      protocol,
      hopLimit,
      trafficClass,
      identification,
      dontFragment,
    );
    return;
  }
  frame.dontFragment = flow.dontFragment;
  // `IpFlow` does not narrow by its version of itself.
  Ipv6Packet.emit(frame, flow as IpFlow<6>);
}

/** The pseudo-header's sum for a segment of `length` bytes of `flow`. */
export function pseudoHeaderSum(flow: IpFlow, length: number): number {
  if (isVersion(flow, 4)) {
    return ipv4PseudoHeaderSum(flow.source.bits, flow.destination.bits, flow.protocol, length);
  }
  const { source, destination, protocol } = flow as IpFlow<6>;
  return ipv6PseudoHeaderSum(source, destination, protocol, length);
}

/** Bytes of the IP header that {@link pushIpHeader} pushes. */
export function ipHeaderLength(version: IpVersion): 20 | 40 {
  return version === 4 ? 20 : 40;
}

function isVersion<V extends IpVersion>(flow: IpFlow, version: V): flow is IpFlow<V> {
  return flow.version === version;
}
