/**
 * Which of the workers that share a device a received frame is for: read from its bytes alone, before any layer.
 *
 * Segments and datagrams, errors that quote them and echo replies belong to the owner of their flow (`share`). Questions (ARP requests,
 * solicitations, echo requests) are for whoever got them, since each worker can answer them. What is news for all (answers about
 * neighbours, routers' words, queries about groups, datagrams to groups) is for all. Fragments are for the first worker, which finds out
 * whose they are (`fragment-steering`). What is malformed stays where it came in: the host there drops it for its reason.
 */

import type { IpVersion } from '../core/address.js';
import type { DeviceShare, Medium } from '../core/device.js';
import type { Frame } from '../core/frame.js';
import { ARP_LENGTH, ArpOperation } from '../wire/arp.js';
import { ETHERNET_HEADER, EtherType } from '../wire/ethernet.js';
import { ICMPV4_HEADER, Icmpv4Type } from '../wire/icmpv4.js';
import { Icmpv6Type, isIcmpv6Error, isMld } from '../wire/icmpv6.js';
import { IpProtocol } from '../wire/ip.js';
import {
  IPV4_DESTINATION,
  IPV4_FRAGMENT,
  IPV4_FRAGMENT_OFFSET,
  IPV4_HEADER,
  IPV4_IDENTIFICATION,
  IPV4_MORE_FRAGMENTS,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TOTAL_LENGTH,
} from '../wire/ipv4.js';
import { IPV6_DESTINATION, IPV6_HEADER, IPV6_NEXT_HEADER, IPV6_PAYLOAD_LENGTH, IPV6_SOURCE } from '../wire/ipv6.js';
import { FRAGMENT_HEADER, FRAGMENT_OFFSET, isExtension, MAX_EXTENSION_HEADERS } from '../wire/ipv6-extensions.js';
import { isVlanType, VLAN_TAG } from '../wire/vlan.js';
import { mix, ownerOfFlow } from './share.js';

/** For the worker that received it. */
export const HERE = -1;
/** For all workers. */
export const EVERYONE = -2;
/** A fragment of a packet to one of us. */
export const FRAGMENT = -3;

/** The worker that speaks for all: fragments come to it, and answers of DHCP servers, which have no flow to go by. */
export const FIRST_WORKER = 0;

const MOST_TAGS = 2;
const ARP_OPERATION = 6;
const ARP_SENDER = 14;
const ARP_TARGET = 24;
const V4_FIRST_GROUP = 0xe000_0000;
const V6_OFFSET = 0xfff8;
const V6_IDENTIFICATION = 4;
const ICMP_IDENTIFIER = 4;
const PORTS = 4;
const DHCPV4_CLIENT = 68;
const DHCPV6_CLIENT = 546;

/**
 * Reads the frames that come to one worker. What it found out about a packet is in its fields until it reads the next one.
 */
export class Steering {
  private readonly share: DeviceShare;
  private readonly ethernet: boolean;
  private view: DataView = new DataView(new ArrayBuffer(0));
  private end = 0;
  private version: IpVersion = 4;
  private toGroup = false;
  /** Offset of the IP header. */
  network = 0;
  /** Offset of what the IP packet carries. */
  transport = 0;
  protocol = 0;
  /** Of a fragment: bytes of the whole packet's payload before it, whether more follow, and the number of the packet. */
  offset = 0;
  more = false;
  identification = 0;

  constructor(share: DeviceShare, medium: Medium) {
    this.share = share;
    this.ethernet = medium === 'ethernet';
  }

  /** Offset behind what the IP packet carries, as its header says: there may be padding. */
  get transportEnd(): number {
    const { view, network } = this;
    if (this.version === 4) return network + view.getUint16(network + IPV4_TOTAL_LENGTH);
    return network + IPV6_HEADER + view.getUint16(network + IPV6_PAYLOAD_LENGTH);
  }

  /** The number of the worker that a received frame is for, or {@link HERE}, {@link EVERYONE} or {@link FRAGMENT}. */
  destination(frame: Frame): number {
    const { start, end } = frame;
    const { view } = frame.slab;
    this.view = view;
    this.end = end;
    if (!this.ethernet) {
      this.toGroup = false;
      return start < end && view.getUint8(start) >>> 4 === 6 ? this.ipv6(start) : this.ipv4(start);
    }
    let at = start + ETHERNET_HEADER;
    if (at > end) return HERE;
    this.toGroup = (view.getUint8(start) & 1) !== 0;
    let type = view.getUint16(at - 2);
    for (let tags = 0; tags < MOST_TAGS && isVlanType(type) && at + VLAN_TAG <= end; tags++) {
      at += VLAN_TAG;
      type = view.getUint16(at - 2);
    }
    if (type === EtherType.Ipv4) return this.ipv4(at);
    if (type === EtherType.Ipv6) return this.ipv6(at);
    return type === EtherType.Arp ? this.arp(at) : HERE;
  }

  /** Of a packet's first fragment: the worker that the whole packet is for. */
  whole(): number {
    const worker = this.unicast();
    return worker >= 0 ? worker : FIRST_WORKER;
  }

  private arp(at: number): number {
    const { view, end } = this;
    if (at + ARP_LENGTH > end) return HERE;
    if (view.getUint16(at + ARP_OPERATION) === ArpOperation.Reply) return EVERYONE;
    return view.getUint32(at + ARP_SENDER) === view.getUint32(at + ARP_TARGET) ? EVERYONE : HERE;
  }

  private ipv4(at: number): number {
    const { view } = this;
    if (!this.readIpv4(at)) return HERE;
    if (this.toGroup || view.getUint32(at + IPV4_DESTINATION) >= V4_FIRST_GROUP) return this.group();
    return this.offset > 0 || this.more ? FRAGMENT : this.unicast();
  }

  private ipv6(at: number): number {
    const { view } = this;
    const fragment = this.readIpv6(at);
    if (fragment === undefined) return HERE;
    if (this.toGroup || view.getUint8(at + IPV6_DESTINATION) === 0xff) return this.group();
    return fragment ? FRAGMENT : this.unicast();
  }

  private group(): number {
    const { protocol } = this;
    if (protocol === IpProtocol.Udp || protocol === IpProtocol.Igmp) return EVERYONE;
    return protocol === IpProtocol.Icmpv6 ? this.icmpv6() : HERE;
  }

  private unicast(): number {
    const { protocol } = this;
    if (protocol === IpProtocol.Tcp || protocol === IpProtocol.Udp) return this.flow();
    if (protocol === IpProtocol.Icmp && this.version === 4) return this.icmp();
    return protocol === IpProtocol.Icmpv6 && this.version === 6 ? this.icmpv6() : HERE;
  }

  private flow(): number {
    const { view, transport, share } = this;
    if (transport + PORTS > this.end) return HERE;
    const localPort = view.getUint16(transport + 2);
    if (this.protocol === IpProtocol.Udp && (localPort === DHCPV4_CLIENT || localPort === DHCPV6_CLIENT))
      return FIRST_WORKER;
    const from = this.network + (this.version === 4 ? IPV4_SOURCE : IPV6_SOURCE);
    return ownerOfFlow(this.hash(from), localPort, view.getUint16(transport), share);
  }

  /** The hash of the remote address at `at`. */
  private hash(at: number): number {
    const { view } = this;
    const { secret } = this.share;
    if (this.version === 4) return mix(secret, view.getUint32(at));
    const half = mix(mix(secret, view.getUint32(at)), view.getUint32(at + 4));
    return mix(mix(half, view.getUint32(at + 8)), view.getUint32(at + 12));
  }

  private icmp(): number {
    const { view, transport } = this;
    if (transport + ICMPV4_HEADER > this.end) return HERE;
    switch (view.getUint8(transport)) {
      case Icmpv4Type.EchoReply:
        return this.echo(transport);
      case Icmpv4Type.DestinationUnreachable:
      case Icmpv4Type.TimeExceeded:
      case Icmpv4Type.ParameterProblem:
        return this.readIpv4(transport + ICMPV4_HEADER) ? this.quoted(IPV4_DESTINATION, Icmpv4Type.EchoRequest) : HERE;
      case Icmpv4Type.Redirect:
      case Icmpv4Type.RouterAdvertisement:
        return EVERYONE;
      default:
        return HERE;
    }
  }

  private icmpv6(): number {
    const { view, transport } = this;
    if (transport + ICMPV4_HEADER > this.end) return HERE;
    const type = view.getUint8(transport);
    if (type === Icmpv6Type.EchoReply) return this.echo(transport);
    if (isIcmpv6Error(type)) {
      const isWhole = this.readIpv6(transport + ICMPV4_HEADER) !== undefined;
      return isWhole ? this.quoted(IPV6_DESTINATION, Icmpv6Type.EchoRequest) : HERE;
    }
    const isAnswer =
      type === Icmpv6Type.RouterAdvertisement ||
      type === Icmpv6Type.NeighbourAdvertisement ||
      type === Icmpv6Type.Redirect;
    return isAnswer || isMld(type) ? EVERYONE : HERE;
  }

  private echo(at: number): number {
    return this.view.getUint16(at + ICMP_IDENTIFIER) % this.share.of;
  }

  /** The owner of a packet of ours that an error quotes: its destination, at that offset, is the remote end. */
  private quoted(remote: number, echoRequest: number): number {
    const { view, transport, protocol } = this;
    if (this.offset > 0 || transport + ICMPV4_HEADER > this.end) return HERE;
    if (protocol === IpProtocol.Icmp || protocol === IpProtocol.Icmpv6)
      return view.getUint8(transport) === echoRequest ? this.echo(transport) : HERE;
    if (protocol !== IpProtocol.Tcp && protocol !== IpProtocol.Udp) return HERE;
    const hash = this.hash(this.network + remote);
    return ownerOfFlow(hash, view.getUint16(transport), view.getUint16(transport + 2), this.share);
  }

  /** Reads a header; false if it is cut short. */
  private readIpv4(at: number): boolean {
    const { view } = this;
    if (at + IPV4_HEADER > this.end) return false;
    const fragment = view.getUint16(at + IPV4_FRAGMENT);
    this.version = 4;
    this.network = at;
    this.transport = at + (view.getUint8(at) & 0xf) * 4;
    this.protocol = view.getUint8(at + IPV4_PROTOCOL);
    this.offset = (fragment & IPV4_FRAGMENT_OFFSET) * 8;
    this.more = (fragment & IPV4_MORE_FRAGMENTS) !== 0;
    this.identification = view.getUint16(at + IPV4_IDENTIFICATION);
    return true;
  }

  /** Reads a header and its extensions, up to that of a fragment: says whether it is one, or `undefined` if a header is cut short. */
  private readIpv6(at: number): boolean | undefined {
    const { view, end } = this;
    if (at + IPV6_HEADER > end) return undefined;
    this.version = 6;
    this.network = at;
    this.transport = at + IPV6_HEADER;
    this.protocol = view.getUint8(at + IPV6_NEXT_HEADER);
    this.offset = 0;
    this.more = false;
    for (let headers = 0; isExtension(this.protocol); headers++) {
      const { transport, protocol } = this;
      if (headers === MAX_EXTENSION_HEADERS || transport + FRAGMENT_HEADER > end) return undefined;
      this.protocol = view.getUint8(transport);
      if (protocol === IpProtocol.Fragment) return this.readFragment(transport);
      const length = view.getUint8(transport + 1);
      this.transport += protocol === IpProtocol.Ah ? (length + 2) * 4 : (length + 1) * 8;
    }
    return false;
  }

  private readFragment(at: number): true {
    const { view } = this;
    const field = view.getUint16(at + FRAGMENT_OFFSET);
    this.offset = field & V6_OFFSET;
    this.more = (field & 1) !== 0;
    this.identification = view.getUint32(at + V6_IDENTIFICATION);
    this.transport = at + FRAGMENT_HEADER;
    return true;
  }
}
