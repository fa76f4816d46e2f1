/** A packet as plain data for machines: which layers it has, who talks to whom, and what is wrong with it. */

import { Ipv4Address, Ipv6Address, MacAddress } from '../core/address.js';
import { dropReasonName } from '../core/drops.js';
import type { Frame } from '../core/frame.js';
import { type ChecksumVerdict, Dissection, type DissectOptions, type LayerName } from './dissect.js';

/** What {@link describe} tells; keys are absent where they do not apply. */
export interface PacketDescription {
  /** Layers that could be read, outermost first. Fragments end at `ipv4`. */
  readonly layers: readonly LayerName[];
  /** MAC addresses. */
  readonly linkSrc?: string;
  readonly linkDst?: string;
  /** VLAN identifiers, outermost first. */
  readonly vlan?: readonly number[];
  /** Network addresses: of the IP header, or the sender's and target's in ARP. */
  readonly src?: string;
  readonly dst?: string;
  readonly sport?: number;
  readonly dport?: number;
  readonly checksums?: Readonly<Partial<Record<LayerName, ChecksumVerdict>>>;
  /** Of an IPv4 fragment: where it belongs, in bytes. */
  readonly fragment?: { readonly id: number; readonly offset: number; readonly more: boolean };
  /** Name of the drop reason for a header that is cut short or contradicts itself. A bad checksum is not that. */
  readonly malformed?: string;
}

/** Describes a frame. Never throws, whatever the bytes, and changes nothing. */
export function describe(frame: Frame, options: DissectOptions = {}): PacketDescription {
  const packet = new Dissection(frame, options);
  const { ethernet, ipv4, malformed } = packet;
  const { ports } = packet;
  const { view } = packet.frame.slab;
  return {
    layers: packet.layers,
    ...(ethernet === undefined
      ? {}
      : {
          linkSrc: new MacAddress(ethernet.source).toString(),
          linkDst: new MacAddress(ethernet.destination).toString(),
        }),
    ...(packet.tags.length > 0 ? { vlan: packet.tags.map((tag) => tag.vid) } : {}),
    ...addressesOf(packet),
    ...(ports < 0 ? {} : { sport: view.getUint16(ports), dport: view.getUint16(ports + 2) }),
    ...(Object.keys(packet.checksums).length > 0 ? { checksums: packet.checksums } : {}),
    ...(ipv4?.isFragment === true
      ? { fragment: { id: ipv4.identification, offset: ipv4.fragmentOffset, more: ipv4.moreFragments } }
      : {}),
    ...(malformed === undefined ? {} : { malformed: dropReasonName(malformed) }),
  };
}

/** The network addresses of a packet in text, where it has any. */
export function addressesOf(packet: Dissection): { readonly src: string; readonly dst: string } | undefined {
  const { arp, ipv4, ipv6 } = packet;
  if (ipv4 !== undefined) return { src: ipv4.sourceAddress.toString(), dst: ipv4.destinationAddress.toString() };
  if (arp !== undefined) {
    return { src: new Ipv4Address(arp.senderIp).toString(), dst: new Ipv4Address(arp.targetIp).toString() };
  }
  if (ipv6 < 0) return undefined;
  const { view } = packet.frame.slab;
  const read = (at: number) =>
    new Ipv6Address(view.getUint32(at), view.getUint32(at + 4), view.getUint32(at + 8), view.getUint32(at + 12));
  return { src: read(ipv6 + 8).toString(), dst: read(ipv6 + 24).toString() };
}
