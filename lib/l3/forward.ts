/**
 * Takes received packets further (RFC 1812 5.2, 5.3; RFC 8200 3): the hop limit falls by one, in the received buffer, and what ends a packet's
 * way is told to its sender. By which route a packet goes was decided before (`Decisions`), how it gets to the next hop is seen to after
 * (`Egress`), so that whatever there is to be said about packets can be said in between.
 */

import type { Device } from '../core/device.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { Cast, type ChosenRoute, type Frame, GsoType, type TxPacket } from '../core/frame.js';
import { updateChecksum } from '../wire/checksum.js';
import { HOP_BY_HOP } from '../wire/ip.js';
import { IPV4_CHECKSUM, IPV4_HEADER, IPV4_TTL, type Ipv4Packet } from '../wire/ipv4.js';
import { IPV6_HOP_LIMIT, type Ipv6Packet } from '../wire/ipv6.js';
import { readHopByHop } from '../wire/ipv6-extensions.js';
import { longestSegment } from '../wire/segmentation.js';
import { clampMss } from './clamp-mss.js';
import { OnWay, type Recorder, reasonOf, recordOnWay } from './forward-options.js';
import { isBeyondScope, staysOnLink4, staysOnLink6 } from './forward-rules.js';
import type { IcmpErrorKind } from './icmp-report.js';
import type { IcmpErrors } from './icmp-errors.js';
import type { IpTables } from './ip-tables.js';
import type { RouterRedirects } from './router-redirects.js';
import { isUnicast, linkMtu } from './routes.js';

/** An interface of a router. Its switches may change at run time. */
export interface ForwardInterface {
  readonly device: Device;
  /** Take what comes in by it further. Default true. */
  forwarding?: boolean;
  /** Tell hosts of a better first hop than us. Default true. */
  redirects?: boolean;
  /** Lower the segment size of TCP connections by way of it to what fits its MTU, or into packets of so many bytes. Default false. */
  clampMss?: boolean | number;
}

/** Counters of one interface. A super-segment is one packet. */
export interface ForwardCounters {
  /** Packets, and their bytes, that came in by it and were taken further. */
  readonly received: number;
  readonly receivedBytes: number;
  /** Packets, and their bytes, that were taken further by it. */
  readonly sent: number;
  readonly sentBytes: number;
}

/** Options of {@link Forwarder} and of the operator `forward`. */
export interface ForwardOptions {
  readonly interfaces: readonly ForwardInterface[];
  readonly tables: IpTables;
  /** Makes ICMP errors. */
  readonly errors: IcmpErrors;
  /** Sends them; takes over their references. */
  readonly complain: (error: TxPacket) => void;
  /** Tells hosts of better first hops. Default: nobody does. */
  readonly redirects?: RouterRedirects;
  /** Is shown packets on their way that ask routers to look at them (RFC 2113, RFC 2711), which then go on; valid during the call. */
  readonly alerted?: (packet: Ipv4Packet | Ipv6Packet) => void;
}

/** One less of the upper byte of the word that begins with the TTL. */
const ONE_HOP = 0x100;
const NAME = 'forward';

class Interface implements ForwardCounters {
  received = 0;
  receivedBytes = 0;
  sent = 0;
  sentBytes = 0;
  readonly options: ForwardInterface;

  constructor(options: ForwardInterface) {
    this.options = options;
  }
}

/** See the module. */
export class Forwarder {
  private readonly env: Env;
  private readonly options: ForwardOptions;
  private readonly interfaces = new Map<Device, Interface>();

  constructor(options: ForwardOptions, env: Env) {
    this.options = options;
    this.env = env;
    for (const one of options.interfaces) this.interfaces.set(one.device, new Interface(one));
  }

  /** What was taken further by way of an interface. */
  counters(device: Device): ForwardCounters | undefined {
    return this.interfaces.get(device);
  }

  /** The switches of an interface. */
  switches(device: Device): ForwardInterface | undefined {
    return this.interfaces.get(device)?.options;
  }

  /**
   * Takes a packet one hop further, whose frame is the whole of it and whose bytes may be changed. False if its way has ended here: it was
   * dropped, and its sender told where that is due.
   */
  take(packet: Ipv4Packet | Ipv6Packet): boolean {
    const { frame } = packet;
    const from = frame.device === undefined ? undefined : this.interfaces.get(frame.device);
    if (from === undefined || from.options.forwarding === false) {
      return this.drop(packet.version === 4 ? DropReason.Ipv4NotForUs : DropReason.Ipv6NotForUs, frame);
    }
    if (!this.mayLeave(packet)) return false;
    if (packet.hopLimit <= 1) return this.refuse(packet, DropReason.HopLimitExceeded, 'time-exceeded');
    const { route } = frame;
    const to = route === undefined || !isUnicast(route) ? undefined : this.interfaces.get(route.device);
    if (route === undefined || to === undefined) return this.leadsNowhere(packet);
    const mtu = linkMtu(route);
    if (longest(frame) > mtu && !this.mayBeCut(packet, mtu)) return false;
    // Hosts that reach each other by external addresses are not to know better (RFC 4787 REQ-9).
    if (from === to && from.options.redirects !== false && frame.translation === 0)
      this.options.redirects?.tell(packet, route.device, route.gateway);
    if (!this.readOptions(packet, route)) return false;
    if (from.options.clampMss !== undefined || to.options.clampMss !== undefined) clamp(frame, from, to, mtu);
    spendHop(packet);
    count(frame.length, from, to);
    return true;
  }

  /** Whether packets are taken further by way of an interface. */
  isOpen(device: Device | undefined): boolean {
    const one = device === undefined ? undefined : this.interfaces.get(device);
    return one !== undefined && one.options.forwarding !== false;
  }

  /** Counts a packet that somebody else took further. */
  counted(bytes: number, from: Device, to: Device): void {
    const [source, target] = [this.interfaces.get(from), this.interfaces.get(to)];
    if (source !== undefined && target !== undefined) count(bytes, source, target);
  }

  /** Whether the rules let it go to another link. */
  private mayLeave(packet: Ipv4Packet | Ipv6Packet): boolean {
    const { frame, offset } = packet;
    const { view } = frame.slab;
    // RFC 1812 5.3.4: what went to all on the link has reached them.
    const isBound =
      frame.linkCast !== Cast.Unicast ||
      (packet.version === 4 ? staysOnLink4(view, offset) : staysOnLink6(view, offset));
    if (isBound) return this.drop(DropReason.ForwardNotAllowed, frame);
    if (packet.version === 4 || !isBeyondScope(view, offset)) return true;
    return this.refuse(packet, DropReason.ForwardNotAllowed, 'beyond-scope');
  }

  /** Ends the way of a packet that there is no route for, or one that says so (RFC 1812 5.2.7.1). */
  private leadsNowhere(packet: Ipv4Packet | Ipv6Packet): false {
    switch (packet.frame.route?.type) {
      case 'blackhole':
        return this.drop(DropReason.RouteBlackhole, packet.frame);
      case 'unreachable':
        // ICMPv6 has one word for both.
        return this.refuse(
          packet,
          DropReason.RouteUnreachable,
          packet.version === 4 ? 'host-unreachable' : 'net-unreachable',
        );
      case 'prohibit':
        return this.refuse(packet, DropReason.RouteProhibited, 'prohibited');
      default:
        return this.refuse(packet, DropReason.IpNoRoute, 'net-unreachable');
    }
  }

  /** Whether a packet that is too big may be cut on the way; its sender is told if not. */
  private mayBeCut(packet: Ipv4Packet | Ipv6Packet, mtu: number): boolean {
    const { fragmentSize } = packet.frame;
    // What came in pieces that fit leaves in such.
    if (fragmentSize > 0 && fragmentSize <= mtu) return true;
    if (packet.version === 4 && !packet.dontFragment) return true;
    return this.refuse(packet, DropReason.IpTooBig, 'packet-too-big', mtu);
  }

  /** Does what the options of a packet ask for; false if that ends its way. */
  private readOptions(packet: Ipv4Packet | Ipv6Packet, route: ChosenRoute): boolean {
    if (packet.version === 4) return packet.headerLength === IPV4_HEADER || this.readOptions4(packet, route);
    return packet.nextHeader !== HOP_BY_HOP || this.readOptions6(packet);
  }

  private readOptions4(packet: Ipv4Packet, { device }: ChosenRoute): boolean {
    const { addresses } = this.options.tables;
    const recorder: Recorder = {
      address: addresses.sourceFor(device, packet.destinationAddress)?.value ?? 0,
      now: this.env.timers.now(),
      isOurs: (address) => addresses.has(address),
    };
    const found = recordOnWay(packet, recorder);
    if (found === OnWay.SourceRoute) return this.refuse(packet, reasonOf(found), 'source-route-failed');
    if (found === OnWay.Full) return this.drop(reasonOf(found), packet.frame);
    if (found === OnWay.Alert) this.options.alerted?.(packet);
    return true;
  }

  private readOptions6(packet: Ipv6Packet): boolean {
    const wrong = readHopByHop(packet);
    if (wrong === undefined) {
      if (packet.routerAlert >= 0) this.options.alerted?.(packet);
      return true;
    }
    const error = this.options.errors.problem(packet, wrong);
    if (error !== undefined) this.options.complain(error);
    return this.drop(wrong.reason, packet.frame);
  }

  private refuse(packet: Ipv4Packet | Ipv6Packet, reason: DropReason, kind: IcmpErrorKind, detail = 0): false {
    const error = this.options.errors.about(packet, kind, detail);
    if (error !== undefined) this.options.complain(error);
    return this.drop(reason, packet.frame);
  }

  private drop(reason: DropReason, frame: Frame): false {
    this.env.drops.report(reason, frame, NAME);
    return false;
  }
}

/** Length of the longest packet, in bytes, that a device will make of this one. */
function longest(frame: Frame): number {
  return frame.gsoType === GsoType.None ? frame.length : longestSegment(frame, frame.start);
}

/** Segments of a connection are to fit both ways: through the interface that a packet came by, and by its route. */
function clamp(frame: Frame, from: Interface, to: Interface, mtu: number): void {
  const path = Math.min(mtu, from.options.device.mtu);
  clampMss(frame, Math.min(most(from.options.clampMss, path), most(to.options.clampMss, path)));
}

/** Largest packet that a switch asks for, on a path that carries so much. */
function most(setting: boolean | number | undefined, path: number): number {
  if (typeof setting === 'number') return setting;
  return setting === true ? path : Number.POSITIVE_INFINITY;
}

function count(bytes: number, from: Interface, to: Interface): void {
  from.received++;
  from.receivedBytes += bytes;
  to.sent++;
  to.sentBytes += bytes;
}

/** Takes one off the hop limit of a packet, whose bytes may be changed. */
export function spendHop(packet: Ipv4Packet | Ipv6Packet): void {
  if (packet.version === 4) decrementTtl(packet);
  else decrementHopLimit(packet);
}

/** Takes one off the TTL, and its part off the checksum (RFC 1624 3). */
function decrementTtl({ frame, offset }: Ipv4Packet): void {
  const { view } = frame.slab;
  const before = view.getUint16(offset + IPV4_TTL);
  const after = before - ONE_HOP;
  view.setUint16(offset + IPV4_TTL, after);
  view.setUint16(offset + IPV4_CHECKSUM, updateChecksum(view.getUint16(offset + IPV4_CHECKSUM), before, after));
}

function decrementHopLimit({ frame, offset }: Ipv6Packet): void {
  const { view } = frame.slab;
  view.setUint8(offset + IPV6_HOP_LIMIT, view.getUint8(offset + IPV6_HOP_LIMIT) - 1);
}
