/** An Ethernet as IP sees it: next hops are resolved to MAC addresses (RFC 826), groups are mapped (RFC 1112 6.4, RFC 2464 7). */

import type { Device } from '../core/device.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import type { Frame, TxFrame, TxPacket } from '../core/frame.js';
import { Ipv4Address, MacAddress } from '../core/address.js';
import { EtherType, EthernetFrame } from '../wire/ethernet.js';
import { readIpv6 } from '../wire/ipv6.js';
import { Arp, type ArpAddresses } from './arp.js';
import { type IpLink, transmit } from './link.js';
import { Ndp, type NdpAddresses } from './ndp.js';
import { NeighbourCache } from './neighbour.js';
import type { NeighbourTimes } from './neighbour-entry.js';

/** Options of {@link EthernetLink}. */
export interface EthernetLinkOptions {
  readonly device: Device;
  /** Our IPv4 addresses on this link; read live. */
  readonly addresses: ArpAddresses;
  /** Our IPv6 addresses on this link; read live. Default: none. */
  readonly addresses6?: NdpAddresses;
  /** Times and limits of the neighbour cache that differ from RFC 4861's. */
  readonly times?: Partial<NeighbourTimes>;
}

// Offset in an IPv6 header.
const SOURCE6 = 8;
const IPV4_GROUPS = 0x0100_5e00_0000;
const IPV6_GROUPS = 0x3333_0000_0000;

/** The MAC address of an IPv4 multicast group: its low 23 bits (RFC 1112 6.4). */
export function ipv4GroupMac(group: number): number {
  return IPV4_GROUPS + (group & 0x7f_ffff);
}

const NO_ADDRESSES: NdpAddresses = { has: () => false, isTentative: () => false, sourceFor: () => undefined };

/** The Ethernet side of one device: its neighbour cache, its ARP and its neighbour discovery. */
export class EthernetLink implements IpLink {
  readonly device: Device;
  readonly neighbours: NeighbourCache;
  readonly arp: Arp;
  readonly ndp: Ndp;
  emit: ((frame: TxFrame) => void) | undefined = undefined;
  failed: ((packet: Frame) => void) | undefined = undefined;
  private readonly env: Env;
  private readonly mac: number;
  private readonly macHigh: number;
  private readonly macLow: number;

  constructor(options: EthernetLinkOptions, env: Env) {
    const { device, addresses, addresses6 = NO_ADDRESSES, times } = options;
    this.device = device;
    this.env = env;
    this.mac = device.mac.value;
    this.macHigh = Math.floor(this.mac / 0x1_0000_0000);
    this.macLow = this.mac | 0;
    this.neighbours = new NeighbourCache(
      {
        solicit: (target, mac, waiting) => {
          if (target instanceof Ipv4Address) this.arp.query(target.value, mac);
          else this.ndp.query(target, mac, waiting && readIpv6(waiting.slab.view, waiting.start + SOURCE6));
        },
        resolved: (packet, mac) => this.frame(packet, mac),
        failed: (packet) => this.fail(packet),
      },
      env,
      times,
    );
    this.neighbours.observe(({ kind, address, state }) => {
      const failed = state === 'unreachable' || (kind === 'removed' && state === 'incomplete');
      if (failed && address.version === 6) addresses6.nextHopFailed?.(address);
    });
    this.arp = new Arp({ device, addresses, neighbours: this.neighbours }, env);
    this.arp.emit = (frame) => transmit(this, frame, env);
    const { neighbours } = this;
    this.ndp = new Ndp(
      {
        device,
        addresses: addresses6,
        neighbours,
        send: (packet, a, b, c, d) => this.send(packet, a, b, c, d),
        sendTo: (packet, mac) => this.frame(packet, mac),
      },
      env,
    );
  }

  send(packet: TxPacket, a: number, b: number, c: number, d: number): void {
    if (c === 0xffff && b === 0 && a === 0) {
      if (d >>> 28 === 14) return this.frame(packet, ipv4GroupMac(d));
    } else if (a >>> 24 === 0xff) {
      return this.frame(packet, IPV6_GROUPS + (d >>> 0));
    }
    const neighbour = this.neighbours.find(packet, a, b, c, d);
    if (neighbour === undefined) return undefined;
    const { macHigh, macLow } = neighbour;
    EthernetFrame.push(packet, macHigh, macLow, this.macHigh, this.macLow, etherTypeOf(packet));
    return transmit(this, packet, this.env);
  }

  broadcast(packet: TxPacket): void {
    this.frame(packet, MacAddress.BROADCAST.value);
  }

  confirm(a: number, b: number, c: number, d: number): void {
    this.neighbours.confirm(a, b, c, d);
  }

  dispose(): void {
    this.arp.dispose();
    this.neighbours.dispose();
  }

  private frame(packet: Frame, mac: number): void {
    EthernetFrame.emit(packet, mac, this.mac, etherTypeOf(packet));
    transmit(this, packet, this.env);
  }

  private fail(packet: Frame): void {
    this.failed?.(packet);
    this.env.drops.refuse(DropReason.NeighbourUnreachable, packet, 'neighbour');
  }
}

function etherTypeOf({ slab, start }: Frame): number {
  return slab.view.getUint8(start) >>> 4 === 6 ? EtherType.Ipv6 : EtherType.Ipv4;
}
