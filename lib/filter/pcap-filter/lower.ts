/**
 * What a filter's words mean in bytes, for frames that start with an Ethernet header and for bare IP packets. The rules are those of
 * libpcap, which others know by heart: ports and bytes of a transport are looked for in first fragments of IPv4 and directly behind
 * the header of IPv6 (or a fragment header, where only the protocol is asked for), and behind `vlan` all offsets move by the tag.
 *
 * What asks for a link header is false of packets that have none.
 */

import { EtherType } from '../../wire/ethernet.js';
import { IPV6_HEADER } from '../../wire/ipv6.js';
import type { CastNode, Direction, FilterNode, Ipv4Node, Ipv6Node, MacNode, PortNode, Primitive } from './ast.js';
import { all, any, Compare, type Condition, masked, NEVER, not, Source, test } from './condition.js';
import { word6Mask } from './items.js';
import { Layout, type PcapLinkType } from './layout.js';
import { lowerCompare } from './lower-compare.js';
import { PROTOCOL_KEYWORDS } from './names.js';

// Offsets in the headers (IEEE 802.3, RFC 826, RFC 791, RFC 8200).
const MAC_DESTINATION = 0;
const MAC_SOURCE = 6;
const ARP_SENDER = 14;
const ARP_TARGET = 24;
const V4_SOURCE = 12;
const V4_DESTINATION = 16;
const V6_SOURCE = 8;
const V6_DESTINATION = 24;
const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;
const VID = 0xfff;
/** First byte of the lowest multicast address of IPv4, and that of all of IPv6. */
const V4_MULTICAST = 224;
const V6_MULTICAST = 0xff;
/** Types of tags: IEEE 802.1Q, 802.1ad, and the one that was used before that. */
const TAGS: readonly number[] = [EtherType.Vlan, EtherType.QinQ, 0x9100];
const TRANSPORTS = ['tcp', 'udp', 'sctp'] as const;

/** The condition that a filter sets to packets of a kind of link; `netmask` is what `ip broadcast` goes by, unsigned. */
export function lower(node: FilterNode, linkType: PcapLinkType, netmask: number): Condition {
  return new Lowering(linkType, netmask).condition(node);
}

/** Goes through the text in its order, since tags move what follows. */
class Lowering {
  private readonly layout: Layout;
  private readonly netmask: number;

  constructor(linkType: PcapLinkType, netmask: number) {
    this.layout = new Layout(linkType);
    this.netmask = netmask;
  }

  condition(node: FilterNode): Condition {
    switch (node.kind) {
      case 'and':
      case 'or':
        return { kind: node.kind, operands: node.operands.map((operand) => this.condition(operand)) };
      case 'not':
        return not(this.condition(node.operand));
      default:
        return this.primitive(node);
    }
  }

  private primitive(node: Primitive): Condition {
    switch (node.kind) {
      case 'ipv4':
        return this.ipv4(node);
      case 'ipv6':
        return this.ipv6(node);
      case 'mac':
        return this.mac(node);
      case 'port':
        return any(this.port(node, 6), this.port(node, 4));
      case 'protocol':
        return this.layout.isProtocol(node.layer, node.number);
      case 'broadcast':
      case 'multicast':
        return this.cast(node);
      case 'vlan':
        return this.vlan(node.id);
      case 'compare':
        return lowerCompare(node, this.layout);
    }
  }

  private ipv4({ protocol, direction, address, mask }: Ipv4Node): Condition {
    const { layout } = this;
    const among = (etherType: number, source: number, destination: number) =>
      all(
        layout.carries(etherType),
        directed(direction, (isSource) =>
          masked(Source.Word, layout.payload + (isSource ? source : destination), address, mask),
        ),
      );
    const inArp = (name: string) => among(PROTOCOL_KEYWORDS.get(name)?.number ?? 0, ARP_SENDER, ARP_TARGET);
    if (protocol === 'ip') return among(EtherType.Ipv4, V4_SOURCE, V4_DESTINATION);
    if (protocol !== undefined) return inArp(protocol);
    return any(among(EtherType.Ipv4, V4_SOURCE, V4_DESTINATION), inArp('arp'), inArp('rarp'));
  }

  private ipv6({ direction, words, bits }: Ipv6Node): Condition {
    const { layout } = this;
    const matches = (isSource: boolean) => {
      const at = layout.payload + (isSource ? V6_SOURCE : V6_DESTINATION);
      return all(...words.map((word, i) => masked(Source.Word, at + 4 * i, word, word6Mask(bits, i))));
    };
    return all(layout.carries(EtherType.Ipv6), directed(direction, matches));
  }

  private mac({ direction, address }: MacNode): Condition {
    if (!this.layout.isEthernet) return NEVER;
    return directed(direction, (isSource) => isMac(isSource ? MAC_SOURCE : MAC_DESTINATION, address));
  }

  private port({ protocol, direction, low, high }: PortNode, version: 4 | 6): Condition {
    const { layout } = this;
    const { payload } = layout;
    const at = version === 4 ? payload : payload + IPV6_HEADER;
    const base = version === 4 ? payload : -1;
    const has = (isSource: boolean) => {
      const port = { ...test(Source.Half, at + (isSource ? SOURCE_PORT : DESTINATION_PORT), low), base };
      if (low === high) return port;
      const above = { ...port, compare: Compare.Above, value: high } as const;
      return all({ ...port, compare: Compare.AtLeast }, not(above));
    };
    const behind = (name: string) => {
      const number = PROTOCOL_KEYWORDS.get(name)?.number ?? 0;
      if (version === 6) return all(layout.isNextHeader(number), directed(direction, has));
      return all(layout.isIpv4Protocol(number), layout.isFirstFragment(), directed(direction, has));
    };
    const transport = protocol === undefined ? any(...TRANSPORTS.map(behind)) : behind(protocol);
    return all(layout.carries(version === 4 ? EtherType.Ipv4 : EtherType.Ipv6), transport);
  }

  private cast({ kind, layer }: CastNode): Condition {
    const { layout, netmask } = this;
    if (layer === 'ether') {
      if (!layout.isEthernet) return NEVER;
      return kind === 'broadcast' ? isMac(MAC_DESTINATION, 0xffff_ffff_ffff) : test(Source.Byte, MAC_DESTINATION, 1, 1);
    }
    if (layer === 'ip6') {
      const first = test(Source.Byte, layout.payload + V6_DESTINATION, V6_MULTICAST);
      return all(layout.carries(EtherType.Ipv6), first);
    }
    const at = layout.payload + V4_DESTINATION;
    const group = { ...test(Source.Byte, at, V4_MULTICAST), compare: Compare.AtLeast };
    const host = ~netmask;
    const everybody = any(masked(Source.Word, at, 0, host), masked(Source.Word, at, host, host));
    return all(layout.carries(EtherType.Ipv4), kind === 'multicast' ? group : everybody);
  }

  private vlan(id: number | undefined): Condition {
    const { layout } = this;
    if (!layout.isEthernet) return NEVER;
    const isTagged = any(...TAGS.map((type) => layout.carries(type)));
    const tag = layout.payload;
    layout.enterTag();
    return id === undefined ? isTagged : all(isTagged, test(Source.Half, tag, id, VID));
  }
}

/** A condition of the source, the destination, either or both. */
function directed(direction: Direction, condition: (isSource: boolean) => Condition): Condition {
  if (direction === 'src') return condition(true);
  if (direction === 'dst') return condition(false);
  const operands = [condition(true), condition(false)];
  return direction === 'both' ? all(...operands) : any(...operands);
}

function isMac(at: number, address: number): Condition {
  return all(
    test(Source.Word, at + 2, address % 0x1_0000_0000),
    test(Source.Half, at, Math.floor(address / 0x1_0000_0000)),
  );
}
