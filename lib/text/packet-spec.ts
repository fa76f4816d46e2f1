/**
 * What one line of the packet notation says: the syntax tree between parser, builder, reader and formatter. Sequence numbers are as
 * written, relative to the connection. An absent value means "the default" in a packet to be built and "anything" in one that is expected.
 */

import type { VlanFields } from '../wire/vlan.js';
import type { TcpOptionItem } from './tcp-option-list.js';

/** `<`: the remote side sends it to us; `>`: we send it. */
export type Direction = '<' | '>';

/** Data of a packet: its length, and its bytes unless they are all zero (`undefined`) or do not matter (`any`). */
export interface PayloadSpec {
  /** `undefined` matches any length. */
  readonly length: number | undefined;
  readonly bytes: Uint8Array | 'any' | undefined;
}

/** An extension header of IPv6: what is behind its next-header and length bytes, 8 * n + 6 bytes, of `ah` 4 * n + 6. */
export interface ExtensionSpec {
  readonly kind: 'hopopts' | 'dstopts' | 'routing' | 'ah';
  readonly data: Uint8Array;
}

/** A VLAN tag; one that was read may have the VID 4095, which cannot be sent. */
export interface VlanTagSpec extends VlanFields {
  /** Tag protocol identifier; default that of a service tag, 0x88a8, in front of another tag, and 0x8100 in the innermost. */
  readonly protocol?: number;
}

/** What can be said of any packet's link and IP headers. */
export interface EnvelopeSpec {
  readonly direction?: Direction;
  /** MAC addresses as 48-bit numbers. */
  readonly macFrom?: number;
  readonly macTo?: number;
  /** VLAN tags, outermost first; absent means none. */
  readonly tags?: readonly VlanTagSpec[];
  /** IP addresses as text. */
  readonly from?: string;
  readonly to?: string;
  readonly ttl?: number;
  /** The whole traffic class; where `ecn` is given as well, that is its low two bits. */
  readonly tos?: number;
  /** `ect01`: one of both. */
  readonly ecn?: 'noecn' | 'ect0' | 'ect1' | 'ce' | 'ect01';
  /** Identification: 16 bits in IPv4, 32 in the fragment header of IPv6. */
  readonly ipId?: number;
  /** Of IPv4. */
  readonly dontFragment?: boolean;
  /** Of IPv6: 20 bits. */
  readonly flowLabel?: number;
  /** Extension headers of IPv6 in front of a fragment header and of the payload. */
  readonly extensions?: readonly ExtensionSpec[];
  /** Bytes `from` (inclusive) to `to` (exclusive) of the IP payload, and whether more follow. */
  readonly fragment?: { readonly from: number; readonly to: number; readonly more: boolean };
  /** The transport's, or the IP header's, checksum is wrong on purpose. */
  readonly badChecksum?: boolean;
  readonly badIpChecksum?: boolean;
  /** Of UDP: the sender computed no checksum. */
  readonly noChecksum?: boolean;
}

/** A TCP segment as packetdrill writes it. */
export interface TcpSpec extends EnvelopeSpec {
  readonly kind: 'tcp';
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** Nine control bits, `TcpFlag`. */
  readonly flags: number;
  readonly sequence?: number;
  /** The sequence number is the live one, not relative: `a:b(n)!`. */
  readonly absoluteSequence?: boolean;
  readonly payload: PayloadSpec;
  readonly ack?: number;
  readonly absoluteAck?: boolean;
  readonly window?: number;
  readonly urgent?: number;
  /** `any` for `<...>`; absent means none. */
  readonly options?: readonly TcpOptionItem[] | 'any';
}

export interface UdpSpec extends EnvelopeSpec {
  readonly kind: 'udp';
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly payload: PayloadSpec;
}

/** An ICMP message of either version; an error quotes a packet that went the other way. */
export interface IcmpSpec extends EnvelopeSpec {
  readonly kind: 'icmp' | 'icmpv6';
  readonly type: number;
  readonly code: number;
  readonly id?: number;
  readonly seq?: number;
  readonly mtu?: number;
  readonly pointer?: number;
  readonly gateway?: string;
  /** Neighbour discovery: the address that is asked for or spoken of. */
  readonly target?: string;
  /** Flags of a neighbour advertisement, some of `RSO`: router, solicited, override. */
  readonly flags?: string;
  /** The link address option, the source's in solicitations and the target's elsewhere, as a 48-bit number. */
  readonly linkAddress?: number;
  /** The word in front of the data of a message that has no notation of its own. */
  readonly rest?: number;
  readonly quote?: TcpSpec | UdpSpec | IcmpSpec | IpSpec;
  readonly payload?: PayloadSpec;
}

export interface ArpSpec extends EnvelopeSpec {
  readonly kind: 'arp';
  readonly operation: number;
  readonly senderIp: string;
  readonly targetIp?: string;
  /** 48-bit numbers; by default where the frame comes from, and in a request 0, elsewhere where the frame goes to. */
  readonly senderMac?: number;
  readonly targetMac?: number;
}

/** Any IP payload that has no notation of its own, fragments that were received among them. */
export interface IpSpec extends EnvelopeSpec {
  readonly kind: 'ip';
  readonly protocol: number;
  readonly payload: PayloadSpec;
}

/** Any other Ethernet frame. */
export interface EtherSpec extends EnvelopeSpec {
  readonly kind: 'ether';
  readonly etherType: number;
  readonly payload: PayloadSpec;
}

export type PacketSpec = TcpSpec | UdpSpec | IcmpSpec | ArpSpec | IpSpec | EtherSpec;

/** Letters of the control bits, in the order in which a line has them. */
export const TCP_FLAG_LETTERS: readonly (readonly [letter: string, bit: number])[] = [
  ['F', 0x01],
  ['S', 0x02],
  ['R', 0x04],
  ['P', 0x08],
  ['U', 0x20],
  ['E', 0x40],
  ['W', 0x80],
  ['A', 0x100],
];
