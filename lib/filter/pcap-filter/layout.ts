/** Where headers are in a packet of one kind of link, and by which tests one knows that they are there. */

import { ETHERNET_HEADER, EtherType } from '../../wire/ethernet.js';
import { IpProtocol } from '../../wire/ip.js';
import { IPV6_HEADER } from '../../wire/ipv6.js';
import { VLAN_TAG } from '../../wire/vlan.js';
import { all, ALWAYS, any, Compare, type Condition, NEVER, not, Source, test } from './condition.js';
import { PROTOCOL_KEYWORDS, type ProtocolLayer } from './names.js';

/** What packets start with. */
export type PcapLinkType = 'ethernet' | 'ip';

// Offsets in the headers (IEEE 802.3, RFC 791, RFC 8200).
const TYPE = 12;
const V4_FRAGMENT = 6;
const V4_PROTOCOL = 9;
const V4_OFFSET = 0x1fff;
const V6_NEXT = 6;
/** Types up to here are lengths of 802.3 frames. */
const LONGEST = 1500;
// Service access points of IP, NetBIOS and ISO, which stand in both halves of the LLC header; IPX and AppleTalk have several ways.
const SAP_BOTH: readonly number[] = [0x06, 0xf0, 0xfe];
const SAP_IPX = 0xe0;
const IPX = 0x8137;
const AARP = 0x80f3;
const ATALK = 0x809b;
const APPLE = 0x08_0007;

/** Where a header begins, and what must hold for it to be there. */
export interface Place {
  readonly guard: Condition;
  /** Offset of its first byte; counted from the end of the IPv4 header at `base` if that is not negative. */
  readonly at: number;
  readonly base: number;
}

/** The headers of a packet, as far as words before have led. */
export class Layout {
  readonly isEthernet: boolean;
  /** Offset of the EtherType. */
  private type: number = TYPE;
  /** Offset of what it is the type of. */
  payload: number;

  constructor(linkType: PcapLinkType) {
    this.isEthernet = linkType === 'ethernet';
    this.payload = this.isEthernet ? ETHERNET_HEADER : 0;
  }

  /** From here on, everything is about what is behind a tag. */
  enterTag(): void {
    this.type += VLAN_TAG;
    this.payload += VLAN_TAG;
  }

  /** Whether the payload is of an EtherType, or of an 802.2 service access point where the number is that small. */
  carries(etherType: number): Condition {
    if (!this.isEthernet) {
      if (etherType === EtherType.Ipv4) return test(Source.Byte, this.payload, 0x40, 0xf0);
      return etherType === EtherType.Ipv6 ? test(Source.Byte, this.payload, 0x60, 0xf0) : NEVER;
    }
    if (etherType === SAP_IPX) return any(this.isType(IPX), all(this.isLength(), this.ipxOf8022()));
    if (etherType === AARP) return any(this.isType(AARP), all(this.isLength(), this.snap(0, AARP)));
    if (etherType === ATALK) return any(this.isType(ATALK), all(this.isLength(), this.snap(APPLE, ATALK)));
    if (etherType > LONGEST) return this.isType(etherType);
    if (SAP_BOTH.includes(etherType)) return all(this.isLength(), test(Source.Half, this.payload, etherType * 0x101));
    return all(this.isLength(), test(Source.Byte, this.payload, etherType));
  }

  private isType(etherType: number): Condition {
    return test(Source.Half, this.type, etherType);
  }

  private isLength(): Condition {
    return not({ ...test(Source.Half, this.type, LONGEST), compare: Compare.Above });
  }

  private ipxOf8022(): Condition {
    const dsap = test(Source.Byte, this.payload, SAP_IPX);
    return any(this.snap(0, IPX), dsap, test(Source.Half, this.payload, 0xffff));
  }

  /** A SNAP header of an organisation (RFC 1042). */
  private snap(organisation: number, etherType: number): Condition {
    const low = (((organisation & 0xffff) << 16) | etherType) >>> 0;
    const high = (0xaaaa_0300 | (organisation >>> 16)) >>> 0;
    return all(test(Source.Word, this.payload + 4, low), test(Source.Word, this.payload, high));
  }

  /** Whether the packet is of a protocol; in IPv6 also directly behind a fragment header. */
  isProtocol(layer: ProtocolLayer, number: number): Condition {
    if (layer === 'ether') return this.carries(number);
    if (layer === 'any') return any(this.isProtocol('ip', number), this.isProtocol('ip6', number));
    if (layer === 'ip') return all(this.carries(EtherType.Ipv4), this.isIpv4Protocol(number));
    const behindFragment = test(Source.Byte, this.payload + IPV6_HEADER, number);
    const next = any(this.isNextHeader(number), all(this.isNextHeader(IpProtocol.Fragment), behindFragment));
    return all(this.carries(EtherType.Ipv6), next);
  }

  /** Of an IPv4 header. */
  isIpv4Protocol(number: number): Condition {
    return test(Source.Byte, this.payload + V4_PROTOCOL, number);
  }

  /** Of an IPv6 header. */
  isNextHeader(number: number): Condition {
    return test(Source.Byte, this.payload + V6_NEXT, number);
  }

  /** Of an IPv4 header: no later fragment, so that the transport's header is there. */
  isFirstFragment(): Condition {
    return test(Source.Half, this.payload + V4_FRAGMENT, 0, V4_OFFSET);
  }

  /** Where the header of a protocol begins, by its keyword. */
  place(protocol: string): Place {
    if (protocol === 'ether') return { guard: this.isEthernet ? ALWAYS : NEVER, at: 0, base: -1 };
    const { layer, number } = PROTOCOL_KEYWORDS.get(protocol) ?? { layer: 'ether', number: 0 };
    if (layer === 'ether') return { guard: this.carries(number), at: this.payload, base: -1 };
    if (layer === 'ip6') {
      const guard = all(this.carries(EtherType.Ipv6), this.isNextHeader(number));
      return { guard, at: this.payload + IPV6_HEADER, base: -1 };
    }
    const guard = all(this.carries(EtherType.Ipv4), this.isIpv4Protocol(number), this.isFirstFragment());
    return { guard, at: this.payload, base: this.payload };
  }
}
