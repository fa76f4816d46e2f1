/**
 * Takes packets to groups further by static routes (RFC 1812 5.2.3): by each interface of their route whose threshold they pass, their hop
 * limit one less. No error of ICMP is sent about them on the way in (RFC 1122 3.2.2). What IPv4 options ask of routers is left out.
 */

import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import type { Frame } from '../core/frame.js';
import { IPV4_DESTINATION, IPV4_SOURCE, Ipv4Packet } from '../wire/ipv4.js';
import { IPV6_DESTINATION, IPV6_SOURCE, Ipv6Packet } from '../wire/ipv6.js';
import { type Forwarder, spendHop } from './forward.js';
import { isBeyondScope, staysOnLink4, staysOnLink6 } from './forward-rules.js';
import type { IpTables } from './ip-tables.js';
import type { MulticastEntry, MulticastOutput, MulticastRoutes } from './multicast-routes.js';
import { Scope } from './scope.js';

/** Options of {@link GroupForwarder}. */
export interface GroupForwardOptions {
  readonly routes: MulticastRoutes;
  /** Knows the interfaces, and counts. */
  readonly forwarder: Forwarder;
  /** Know of which groups this host is a member. */
  readonly tables: IpTables;
}

const MAPPED = 0xffff;
/** 224.0.0.0/24, which stays on its link (RFC 5771 4). */
const LOCAL_BLOCK = 0xe00000;
const NAME = 'forward';

/** See the module. */
export class GroupForwarder {
  private readonly options: GroupForwardOptions;
  private readonly env: Env;
  /** Of the packet at hand: its source and its group. */
  private readonly words: Int32Array = new Int32Array(8);

  constructor(options: GroupForwardOptions, env: Env) {
    this.options = options;
    this.env = env;
  }

  /** Whether the packet whose IP header is at `frame.network` may have a route here: one to a group of more than a link, if there are routes. */
  concerns(frame: Frame): boolean {
    if (this.options.routes.size === 0) return false;
    const { view } = frame.slab;
    const { network } = frame;
    if (view.getUint8(network) >>> 4 === 4) {
      const group = view.getUint32(network + IPV4_DESTINATION);
      return group >>> 28 === 14 && group >>> 8 !== LOCAL_BLOCK;
    }
    const group = view.getUint16(network + IPV6_DESTINATION);
    return group >>> 8 === 0xff && (group & 0xf) > Scope.Link;
  }

  /**
   * Takes a packet to a group further, whose frame is the whole of it: gives `emit` one for each way, its route chosen, valid during the call;
   * then the packet itself without a route, if this host is a member. Where it does neither, the packet is dropped.
   */
  take(packet: Ipv4Packet | Ipv6Packet, emit: (packet: Ipv4Packet | Ipv6Packet) => void): void {
    const { frame } = packet;
    frame.route = undefined;
    const isMember = this.isMember(packet);
    const entry = this.routeOf(packet);
    const sent = typeof entry === 'number' ? 0 : this.send(packet, entry, !isMember && frame.exclusive, emit);
    if (isMember) emit(packet);
    else if (sent === 0) {
      this.env.drops.report(typeof entry === 'number' ? entry : DropReason.HopLimitExceeded, frame, NAME);
    }
  }

  /** The route of a packet, or why it has none. */
  private routeOf(packet: Ipv4Packet | Ipv6Packet): MulticastEntry | DropReason {
    const { frame, offset, version } = packet;
    const { view } = frame.slab;
    const stays =
      version === 4 ? staysOnLink4(view, offset) : staysOnLink6(view, offset) || isBeyondScope(view, offset);
    if (stays) return DropReason.ForwardNotAllowed;
    const { routes, forwarder } = this.options;
    const entry = routes.lookup(this.read(view, offset, version));
    if (entry === undefined || !forwarder.isOpen(frame.device)) return DropReason.MulticastNoRoute;
    if (entry.from === frame.device) return entry;
    entry.wrongDevice++;
    return DropReason.MulticastNoRoute;
  }

  /** @returns by how many ways it went; the last one may have the packet itself where that is `spare` */
  private send(
    packet: Ipv4Packet | Ipv6Packet,
    entry: MulticastEntry,
    spare: boolean,
    emit: (packet: Ipv4Packet | Ipv6Packet) => void,
  ): number {
    const { frame, hopLimit } = packet;
    const { forwarder } = this.options;
    const { length } = frame;
    let waiting: MulticastOutput | undefined;
    let sent = 0;
    entry.packets++;
    entry.bytes += length;
    for (const output of entry.to) {
      if (hopLimit <= output.threshold || !forwarder.isOpen(output.device)) continue;
      if (waiting !== undefined) this.sendCopy(packet, waiting, emit);
      waiting = output;
      sent++;
      forwarder.counted(length, entry.from, output.device);
    }
    if (waiting === undefined) return sent;
    if (spare) go(packet, waiting, emit);
    else this.sendCopy(packet, waiting, emit);
    return sent;
  }

  private sendCopy(
    packet: Ipv4Packet | Ipv6Packet,
    output: MulticastOutput,
    emit: (packet: Ipv4Packet | Ipv6Packet) => void,
  ): void {
    const copy = this.env.pool.copy(packet.frame);
    const { start } = copy;
    copy.network = start;
    go(packet.version === 4 ? Ipv4Packet.of(copy, start) : Ipv6Packet.of(copy, start), output, emit);
    copy.release();
  }

  private isMember(packet: Ipv4Packet | Ipv6Packet): boolean {
    const { addresses, addresses6 } = this.options.tables;
    const { view } = packet.frame.slab;
    if (packet.version === 4) return addresses.accepts(view.getUint32(packet.offset + IPV4_DESTINATION)) !== undefined;
    const at = packet.offset + IPV6_DESTINATION;
    const [a, b, c, d] = [view.getUint32(at), view.getUint32(at + 4), view.getUint32(at + 8), view.getUint32(at + 12)];
    return addresses6.accepts(a, b, c, d, packet.frame.device) !== undefined;
  }

  private read(view: DataView, offset: number, version: 4 | 6): Int32Array {
    const { words } = this;
    if (version === 6) {
      for (let i = 0; i < 4; i++) {
        words[i] = view.getInt32(offset + IPV6_SOURCE + 4 * i);
        words[4 + i] = view.getInt32(offset + IPV6_DESTINATION + 4 * i);
      }
      return words;
    }
    words.fill(0);
    words[2] = words[6] = MAPPED;
    words[3] = view.getInt32(offset + IPV4_SOURCE);
    words[7] = view.getInt32(offset + IPV4_DESTINATION);
    return words;
  }
}

/** Sends a packet whose bytes may be changed. */
function go(
  packet: Ipv4Packet | Ipv6Packet,
  output: MulticastOutput,
  emit: (packet: Ipv4Packet | Ipv6Packet) => void,
): void {
  const { frame } = packet;
  spendHop(packet);
  frame.route = output;
  frame.output = output.device;
  emit(packet);
}
