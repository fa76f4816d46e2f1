/**
 * ICMP errors in the other version of IP (RFC 7915 4.2, 4.3, 5.2, 5.3): with the packet that they quote, once, and the extensions behind it
 * (RFC 4884). An error becomes a frame of its own: header upon header grows, and errors are few.
 */

import { copyBytes } from '../../core/copy.js';
import { DropReason } from '../../core/drops.js';
import { type Frame, type FramePool, NOT_PARSED } from '../../core/frame.js';
import { complement, sum16 } from '../../wire/checksum.js';
import { ICMPV4_HEADER, Icmpv4Message, Icmpv4Type, Icmpv4Unreachable } from '../../wire/icmpv4.js';
import { Icmpv6Message, Icmpv6Type } from '../../wire/icmpv6.js';
import { IpProtocol } from '../../wire/ip.js';
import { IPV4_HEADER, IPV4_IDENTIFICATION, IPV4_TOTAL_LENGTH } from '../../wire/ipv4.js';
import { IPV6_HEADER, IPV6_MINIMUM_MTU, IPV6_PAYLOAD_LENGTH, Ipv6Packet } from '../../wire/ipv6.js';
import { FRAGMENT_HEADER } from '../../wire/ipv6-extensions.js';
import { PacketFields } from '../../wire/packet-fields.js';
import { isIcmpError } from '../../wire/rewrite.js';
import { type EndsMapper, FINE, NewEnds } from './ends.js';
import { changeQuery, changeTransport, HeaderValues, settle, writeIpv4, writeIpv6 } from './headers.js';
import {
  type NextHopMtus,
  NO_POINTER,
  NOTHING_ALIKE,
  PROTOCOL_POINTER,
  toIcmpv4,
  toIcmpv6,
  toMtu4,
  toMtu6,
  toPointer4,
  toPointer6,
} from './icmp-types.js';
import { Ipv6Chain, NO_HEADER } from './ipv6-chain.js';

/** RFC 1812 4.3.2.3: errors of IPv4 are no longer than this; those of IPv6 fit into every link (RFC 4443 2.4 c). */
const LONGEST_V4 = 576;
const LONGEST_V6: number = IPV6_MINIMUM_MTU;
/** With extensions the quotation has at least this many bytes (RFC 4884 4.3, 4.4), counted in units of 4 or 8. */
const LEAST_EXTENDED = 128;
/** A quoted packet without a fragment header, as large as this in IPv4, was not to be fragmented (RFC 7915 5.1). */
const FRAGMENTABLE = 1260;
const ICMP_HEADER = ICMPV4_HEADER;

/** Where the parts of an error come to be. */
interface Layout {
  /** Bytes of the quotation that are kept, its new header included. */
  readonly quoted: number;
  /** Bytes that it is padded to, where extensions follow; else the same. */
  readonly padded: number;
  /** Bytes of extensions. */
  readonly extensions: number;
}

/** Translates ICMP errors; one per translator. */
export class ErrorTranslator {
  private readonly mapper: EndsMapper;
  private readonly mtus: NextHopMtus;
  private readonly pool: FramePool;
  private readonly quote = new PacketFields();
  private readonly ends = new NewEnds();
  private readonly quotedEnds = new NewEnds();
  private readonly quotedValues = new HeaderValues();
  private readonly chain = new Ipv6Chain();
  private rest = 0;
  private kind = 0;

  constructor(mapper: EndsMapper, mtus: NextHopMtus, pool: FramePool) {
    this.mapper = mapper;
    this.mtus = mtus;
    this.pool = pool;
  }

  /**
   * The error that fills `frame` in the other version, on a frame of its own, or why there is none. `values` are those of the error's own header;
   * `turning` says that it is on its way back.
   */
  translate(frame: Frame, fields: PacketFields, values: HeaderValues, turning: boolean): Frame | DropReason {
    const isFrom4 = fields.version === 4;
    const { quote } = this;
    const quoteEnd = isFrom4
      ? new Icmpv4Message(frame, fields.transport).quoteEnd
      : new Icmpv6Message(frame, fields.transport).quoteEnd;
    if (!quote.readQuoted(frame, fields.transport + ICMP_HEADER, quoteEnd)) return DropReason.NatBadQuote;
    if (quote.version !== fields.version || isIcmpError(quote)) return DropReason.NatBadQuote;
    const said = isFrom4 ? this.readMeaning4(fields) : this.readMeaning6(fields);
    if (!said) return DropReason.TranslateImpossible;
    const queryType = this.queryType();
    if (queryType === NOTHING_ALIKE) return DropReason.NatBadQuote;
    const wrong = this.mapper.mapError(fields, quote, this.ends, this.quotedEnds, turning);
    if (wrong !== FINE) return wrong;
    return this.write(frame, fields, values, queryType, quoteEnd);
  }

  /** Type, code and the word behind them, of an error of ICMPv4. False where there is nothing like it. */
  private readMeaning4({ view, transport, icmpType, icmpCode }: PacketFields): boolean {
    this.kind = toIcmpv6(icmpType, icmpCode);
    this.rest = 0;
    if (this.kind === NOTHING_ALIKE) return false;
    if (this.kind >>> 8 === Icmpv6Type.PacketTooBig) {
      const { quote } = this;
      const mtu = view.getUint16(transport + 6);
      this.rest = toMtu6(mtu, view.getUint16(quote.network + IPV4_TOTAL_LENGTH), this.mtus);
    } else if (icmpType === Icmpv4Type.ParameterProblem) {
      this.rest = toPointer6(view.getUint8(transport + 4));
    } else if (icmpCode === Icmpv4Unreachable.Protocol && icmpType === Icmpv4Type.DestinationUnreachable) {
      this.rest = PROTOCOL_POINTER;
    }
    return this.rest !== NO_POINTER;
  }

  private readMeaning6({ view, transport, icmpType, icmpCode }: PacketFields): boolean {
    this.kind = toIcmpv4(icmpType, icmpCode);
    this.rest = 0;
    const { quote, chain } = this;
    if (this.kind === NOTHING_ALIKE || !chain.read(view, quote.network, quote.end)) return false;
    const word = view.getUint32(transport + 4);
    if (icmpType === Icmpv6Type.PacketTooBig) {
      this.rest = toMtu4(word, chain.fragment !== NO_HEADER, this.mtus);
    } else if (this.kind >>> 8 === Icmpv4Type.ParameterProblem) {
      const pointer = toPointer4(word);
      if (pointer === NO_POINTER) return false;
      this.rest = pointer << 24;
    }
    return true;
  }

  /** The type that the quoted query of ICMP gets; 0 where it is none; {@link NOTHING_ALIKE} where there is nothing like it. */
  private queryType(): number {
    const { protocol, version, isFragment, transport, icmpType, icmpCode } = this.quote;
    if (protocol === (version === 4 ? IpProtocol.Icmpv6 : IpProtocol.Icmp)) return NOTHING_ALIKE;
    if (protocol !== IpProtocol.Icmp && protocol !== IpProtocol.Icmpv6) return 0;
    // The checksum of a piece cannot be brought up to date: the whole length is a part of ICMPv6's.
    if (isFragment || transport === NOT_PARSED) return NOTHING_ALIKE;
    const kind = version === 4 ? toIcmpv6(icmpType, icmpCode) : toIcmpv4(icmpType, icmpCode);
    return kind === NOTHING_ALIKE ? NOTHING_ALIKE : kind >>> 8;
  }

  private write(frame: Frame, fields: PacketFields, values: HeaderValues, queryType: number, quoteEnd: number): Frame {
    const { quote, quotedValues, ends } = this;
    const isFrom4 = fields.version === 4;
    const payload = isFrom4 ? this.readQuoted4() : this.readQuoted6();
    const header = isFrom4 ? IPV6_HEADER + (quotedValues.isFragment ? FRAGMENT_HEADER : 0) : IPV4_HEADER;
    const layout = layOut(isFrom4, header + quote.end - payload, this.hasExtensions() ? fields.end - quoteEnd : 0);
    const outer = isFrom4 ? IPV6_HEADER : IPV4_HEADER;
    const size = ICMP_HEADER + layout.padded + layout.extensions;
    const out = this.pool.alloc(outer + size);
    const message = out.put(outer + size) + outer;
    const { view, bytes } = out.slab;
    const quoted = message + ICMP_HEADER;
    const kept = layout.quoted - header;
    copyBytes(frame.slab, payload, out.slab, quoted + header, kept);
    bytes.fill(0, quoted + layout.quoted, quoted + layout.padded);
    copyBytes(frame.slab, quoteEnd, out.slab, quoted + layout.padded, layout.extensions);
    this.writeQuoted(out, quoted + header, payload, kept, queryType);
    view.setUint16(message, this.kind);
    view.setUint16(message + 2, 0);
    view.setUint32(message + 4, this.rest >>> 0);
    if (layout.extensions > 0) view.setUint8(message + (isFrom4 ? 4 : 5), layout.padded / (isFrom4 ? 8 : 4));
    const at = isFrom4 ? writeIpv6(view, message, size, values, ends) : writeIpv4(view, message, size, values, ends);
    this.seal(out, at, message);
    out.device = frame.device;
    out.time = frame.time;
    out.mark = frame.mark;
    settle(out, at);
    return out;
  }

  /** Whether what it becomes has a place for the length of its quotation: in IPv6 fewer errors do (RFC 4884 4.4, 4.5). */
  private hasExtensions(): boolean {
    if (this.quote.version === 6) return true;
    const type = this.kind >>> 8;
    return type === Icmpv6Type.DestinationUnreachable || type === Icmpv6Type.TimeExceeded;
  }

  /** What the quoted packet's header is to say; returns where its payload is. */
  private readQuoted4(): number {
    const { quote, quotedValues: to } = this;
    const { view, network } = quote;
    to.trafficClass = quote.trafficClass;
    to.hopLimit = quote.hopLimit;
    to.protocol = quote.protocol === IpProtocol.Icmp ? IpProtocol.Icmpv6 : quote.protocol;
    to.isFragment = quote.isFragment;
    to.fragmentField = quote.fragmentOffset | (quote.moreFragments ? 1 : 0);
    to.identification = view.getUint16(network + IPV4_IDENTIFICATION);
    return network + (view.getUint8(network) & 0x0f) * 4;
  }

  private readQuoted6(): number {
    const { quote, quotedValues: to, chain } = this;
    to.trafficClass = quote.trafficClass;
    to.hopLimit = quote.hopLimit;
    to.protocol = quote.protocol === IpProtocol.Icmpv6 ? IpProtocol.Icmp : quote.protocol;
    to.fragmentField = chain.fragmentField & ~6;
    to.identification = chain.identification & 0xffff;
    const whole = IPV4_HEADER + this.quotedLength(chain.payload);
    to.dontFragment = chain.fragment === NO_HEADER && whole > FRAGMENTABLE;
    return chain.payload;
  }

  /** Length of the quoted packet's payload, all of it, by its header. */
  private quotedLength(payload: number): number {
    const { view, network, version } = this.quote;
    const whole = version === 4 ? IPV4_TOTAL_LENGTH : IPV6_PAYLOAD_LENGTH;
    const length = view.getUint16(network + whole) + (version === 4 ? 0 : IPV6_HEADER);
    return Math.max(0, length - (payload - network));
  }

  /** The quoted packet's transport and header, at `at`; `kept` bytes of its payload are there. */
  private writeQuoted(out: Frame, at: number, payload: number, kept: number, queryType: number): void {
    const { quote, quotedEnds, quotedValues } = this;
    const length = this.quotedLength(payload);
    const { version } = quote;
    const { view } = out.slab;
    quote.view = view;
    quote.end = at + kept;
    if (quote.transport !== NOT_PARSED) {
      quote.transport = at;
      if (quote.protocol === IpProtocol.Icmp || quote.protocol === IpProtocol.Icmpv6) {
        changeQuery(quote, quotedEnds, queryType, length);
      } else {
        changeTransport(out, quote, quotedEnds);
      }
    }
    if (version === 4) writeIpv6(view, at, length, quotedValues, quotedEnds);
    else writeIpv4(view, at, length, quotedValues, quotedEnds);
  }

  private seal(out: Frame, network: number, message: number): void {
    const { view } = out.slab;
    const isTo6 = view.getUint8(network) >>> 4 === 6;
    const pseudo = isTo6 ? new Ipv6Packet(out, network).pseudoHeaderSum(IpProtocol.Icmpv6, out.end - message) : 0;
    view.setUint16(message + 2, complement(sum16(view, message, out.end, pseudo)));
  }
}

/** Fits a quotation of `length` bytes and its extensions into the longest error that there may be; extensions that have no room are left out. */
function layOut(isTo6: boolean, length: number, extensions: number): Layout {
  const room = (isTo6 ? LONGEST_V6 - IPV6_HEADER : LONGEST_V4 - IPV4_HEADER) - ICMP_HEADER;
  const unit = isTo6 ? 8 : 4;
  const roomBesides = (room - extensions) & -unit;
  if (extensions <= 0 || roomBesides < LEAST_EXTENDED) {
    const quoted = Math.min(length, room);
    return { quoted, padded: quoted, extensions: 0 };
  }
  const padded = Math.min(roomBesides, Math.max(LEAST_EXTENDED, (length + unit - 1) & -unit));
  return { quoted: Math.min(length, padded), padded, extensions };
}
