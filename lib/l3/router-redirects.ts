/**
 * Tells neighbours of a better first hop, when a packet leaves by the link that it came by (RFC 1812 5.2.7.2, RFC 4861 8.2). The packet goes on all the
 * same.
 */

import type { Ipv4Address, Ipv6Address } from '../core/address.js';
import type { Device } from '../core/device.js';
import type { Env } from '../core/env.js';
import type { TxPacket } from '../core/frame.js';
import { EthernetLink } from '../l2/ethernet-link.js';
import type { IpLink } from '../l2/link.js';
import type { Ipv4Packet } from '../wire/ipv4.js';
import type { Ipv6Packet } from '../wire/ipv6.js';
import { NdpRedirect } from '../wire/ndp.js';
import type { NdpOption } from '../wire/ndp-options.js';
import type { IcmpErrors } from './icmp-errors.js';
import { mayReportIpv6 } from './icmpv6-errors.js';
import { Icmpv6Type } from '../wire/icmpv6.js';
import type { IpTables } from './ip-tables.js';
import { TokenBucket } from './token-bucket.js';

/** Options of {@link RouterRedirects}. */
export interface RouterRedirectsOptions {
  readonly tables: IpTables;
  readonly links: readonly IpLink[];
  readonly errors: IcmpErrors;
  /** Sends them; takes over their references. */
  readonly send: (packet: TxPacket) => void;
  /** Redirects per second. Default 100. */
  readonly rate?: number;
  /** Redirects at once. Default 20. */
  readonly burst?: number;
}

/** What redirect headers and options take of the 1,280 bytes of a message (RFC 4861 4.6.3), with the target's address. */
const REDIRECT_OVERHEAD = 40 + 40 + 8 + 8;
const SMALLEST_MTU = 1280;

/** Redirects of one router. */
export class RouterRedirects {
  private readonly options: RouterRedirectsOptions;
  private readonly bucket: TokenBucket;

  constructor(options: RouterRedirectsOptions, env: Env) {
    this.options = options;
    this.bucket = new TokenBucket(env.timers, options.rate ?? 100, options.burst ?? 20);
  }

  /** Tells the sender of a packet that leaves by `device`, which it came by, for `gateway`, or for its destination where there is none. */
  tell(packet: Ipv4Packet | Ipv6Packet, device: Device, gateway: Ipv4Address | Ipv6Address | undefined): void {
    if (packet.version === 4) this.tell4(packet, device, gateway?.version === 4 ? gateway : packet.destinationAddress);
    else this.tell6(packet, device, gateway?.version === 6 ? gateway : undefined);
  }

  private tell4(packet: Ipv4Packet, device: Device, hop: Ipv4Address): void {
    const { tables, errors, send } = this.options;
    const { source } = packet;
    const back = tables.route(source);
    // Only who is on the same link can send there (RFC 1812 5.2.7.2).
    if (back === undefined || back.device !== device || back.gateway !== undefined || hop.value === source) return;
    if (tables.route(hop.value)?.device !== device || !this.bucket.take()) return;
    const redirect = errors.redirect(packet, hop);
    if (redirect !== undefined) send(redirect);
  }

  private tell6(packet: Ipv6Packet, device: Device, gateway: Ipv6Address | undefined): void {
    const { tables, links } = this.options;
    const link = links.find((one) => one.device === device);
    const target = gateway ?? packet.destinationAddress;
    // A router is known by its link-local address (RFC 4861 8.2).
    if (!(link instanceof EthernetLink) || (gateway !== undefined && !gateway.isLinkLocal)) return;
    const { sourceAddress: sender } = packet;
    const back = tables.route6(sender.a, sender.b, sender.c, sender.d, device);
    if (back === undefined || back.device !== device || back.gateway !== undefined || target.equals(sender)) return;
    if (!mayReportIpv6(packet, { type: Icmpv6Type.Redirect, code: 0, rest: 0 })) return;
    const own = tables.addresses6
      .list()
      .find(({ device: by, cidr, tentative }) => by === device && cidr.address.isLinkLocal && !tentative);
    if (own === undefined || !this.bucket.take()) return;
    const { bytes } = packet.frame.slab;
    const quoted = Math.min(packet.totalLength, SMALLEST_MTU - REDIRECT_OVERHEAD) & ~7;
    const mac = link.neighbours.get(target)?.mac;
    const options: NdpOption[] = mac === undefined ? [] : [{ kind: 'target-link-address', mac }];
    options.push({ kind: 'redirected', packet: bytes.slice(packet.offset, packet.offset + quoted) });
    const { destinationAddress } = packet;
    link.ndp.send(own.cidr.address, sender, (frame) => NdpRedirect.emit(frame, target, destinationAddress, options));
  }
}
