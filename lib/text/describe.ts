/** A packet as plain data for machines: which layers it has, who talks to whom, and what is wrong with it. */

import { Ipv4Address, MacAddress } from '../core/address.js';
import { dropReasonName } from '../core/drops.js';
import type { Frame } from '../core/frame.js';
import type { ErgotDescription } from '../ergot/frame-description.js';
import { FragmentHeader } from '../wire/ipv6-extensions.js';
import { type ChecksumVerdict, Dissection, type DissectOptions, type LayerName } from './dissect.js';

/** What {@link describe} tells; keys are absent where they do not apply. */
export interface PacketDescription {
  /** Layers that could be read, outermost first. Fragments end at `ipv4` or `fragment`. */
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
  /** Of a fragment: where it belongs, in bytes. */
  readonly fragment?: { readonly id: number; readonly offset: number; readonly more: boolean };
  /** Identifier of the virtual network, and the frame in it. */
  readonly vni?: number;
  readonly inner?: PacketDescription;
  readonly ergot?: ErgotDescription;
  /** Name of the drop reason for a header that is cut short or contradicts itself. A bad checksum is not that. */
  readonly malformed?: string;
}

/** Describes a frame. Never throws, whatever the bytes, and changes nothing. */
export function describe(frame: Frame, options: DissectOptions = {}): PacketDescription {
  return describeLayers(new Dissection(frame, options));
}

function describeLayers(packet: Dissection): PacketDescription {
  const { ethernet, vxlan, inner, ergot } = packet;
  const malformed = packet.malformed === undefined ? ergot?.malformed : dropReasonName(packet.malformed);
  const fragment = fragmentOf(packet);
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
    ...(fragment === undefined ? {} : { fragment }),
    ...(vxlan === undefined ? {} : { vni: vxlan.vni }),
    ...(inner === undefined ? {} : { inner: describeLayers(inner) }),
    ...(ergot === undefined ? {} : { ergot }),
    ...(malformed === undefined ? {} : { malformed }),
  };
}

/** Where a fragment belongs, in bytes; `undefined` for whole packets. */
export function fragmentOf(packet: Dissection): PacketDescription['fragment'] {
  const { ipv4, ipv6 } = packet;
  if (ipv4?.isFragment === true) {
    return { id: ipv4.identification, offset: ipv4.fragmentOffset, more: ipv4.moreFragments };
  }
  if (ipv6?.isFragment !== true) return undefined;
  const { identification, fragmentOffset, moreFragments } = new FragmentHeader(
    ipv6.frame,
    ipv6.offset + ipv6.fragmentHeader,
  );
  return { id: identification, offset: fragmentOffset, more: moreFragments };
}

/** The network addresses of a packet in text, where it has any. */
export function addressesOf(packet: Dissection): { readonly src: string; readonly dst: string } | undefined {
  const { arp, ip } = packet;
  if (ip !== undefined) return { src: ip.sourceAddress.toString(), dst: ip.destinationAddress.toString() };
  if (arp === undefined) return undefined;
  return { src: new Ipv4Address(arp.senderIp).toString(), dst: new Ipv4Address(arp.targetIp).toString() };
}
