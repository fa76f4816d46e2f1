/**
 * The IP/ICMP translation algorithm (RFC 7915): packets of one version of IP become packets of the other, in place where that can be. Whose ends
 * become whose, a mapper says. Extension headers and options are left out but for fragment headers; AH covers addresses and is refused,
 * as are groups, and ICMP messages in pieces, since the length of the whole is a part of the checksum of ICMPv6 (RFC 7915 1.2).
 */

import type { IpAddress, Ipv4Address, Ipv6Address } from '../../core/address.js';
import { DropReason } from '../../core/drops.js';
import type { Env } from '../../core/env.js';
import { type Frame, GsoType, NOT_PARSED, type TxPacket, UNDER_WAY } from '../../core/frame.js';
import { IcmpErrors } from '../../l3/icmp-errors.js';
import type { IcmpErrorKind } from '../../l3/icmp-report.js';
import { fragmentIpv4, isBeyondPacket } from '../../l3/fragment.js';
import type { IpPaths } from '../../l3/ip-output.js';
import { HOP_BY_HOP, IpProtocol } from '../../wire/ip.js';
import { IPV4_FRAGMENT, IPV4_HEADER, Ipv4Packet } from '../../wire/ipv4.js';
import { IPV6_HEADER, IPV6_MINIMUM_MTU, Ipv6Packet } from '../../wire/ipv6.js';
import { FRAGMENT_HEADER, isExtension } from '../../wire/ipv6-extensions.js';
import { PacketFields } from '../../wire/packet-fields.js';
import { isIcmpError } from '../../wire/rewrite.js';
import { completeChecksum, longestSegment, segment } from '../../wire/segmentation.js';
import { UDP_CHECKSUM_OFFSET } from '../../wire/udp.js';
import { type EndsMapper, FINE, KEPT, NewEnds } from './ends.js';
import { ErrorTranslator } from './error-translator.js';
import { changeQuery, changeTransport, completeUdp, HeaderValues, settle, writeIpv4, writeIpv6 } from './headers.js';
import { type NextHopMtus, NOTHING_ALIKE, toIcmpv4, toIcmpv6 } from './icmp-types.js';
import { Ipv6Chain, NO_HEADER } from './ipv6-chain.js';

const V4_DONT_FRAGMENT = 0x4000;
/** A packet that is no larger than this in IPv4 may be fragmented there: in IPv6 it fitted into every link (RFC 7915 5.1). */
const FRAGMENTABLE = 1260;
/** What a packet grows by at most. */
const GROWTH: number = IPV6_HEADER + FRAGMENT_HEADER - IPV4_HEADER;
const NAME = 'nat64';

/** Options of {@link Translator}. */
export interface TranslatorOptions {
  /** Count this translator as a hop: one is taken off the TTL or hop limit, and packets whose last it was are answered. Default true. */
  readonly decrementHopLimit?: boolean;
  /** Copy the traffic class (DSCP and ECN) rather than make it 0 (RFC 7915 4.1, 5.1). Default true. */
  readonly copyTrafficClass?: boolean;
  /** IPv4 packets that may be fragmented are cut so that they fit into this many bytes in IPv6, 1,280 or more. Default 1280, which every link carries. */
  readonly ipv6FragmentSize?: number;
  /** MTUs of the links on both sides: what is larger is answered with an ICMP error. Default: not known here; a router or host on the way will say. */
  readonly mtu?: { readonly ipv4?: number; readonly ipv6?: number };
  /** Addresses that ICMP errors of the translator itself come from. Default: the destination of the packet in question. */
  readonly address?: { readonly ipv4?: Ipv4Address; readonly ipv6?: Ipv6Address };
}

/** Translates packets. It may be called again from within what it gives packets and errors to. */
export class Translator {
  /** Where ICMP errors of its own go, with their references; until it is set, they are not made. */
  reply: ((error: TxPacket) => void) | undefined = undefined;
  /** Packets that were translated: fragments and super-segments as one. */
  translated = 0;
  private readonly mapper: EndsMapper;
  private readonly env: Env;
  private readonly decrement: number;
  private readonly copiesClass: boolean;
  private readonly fragmentSize: number;
  private readonly mtus: NextHopMtus;
  private readonly icmpErrors: IcmpErrors;
  private readonly errors: ErrorTranslator;
  private readonly fields = new PacketFields();
  private readonly ends = new NewEnds();
  private readonly values = new HeaderValues();
  private readonly chain = new Ipv6Chain();
  private identification: number;
  private emit: (frame: Frame) => void = noOutput;
  /** Of a packet that is cut: given on when all of them are there, since whoever has one may send another packet through at once. */
  private pieces: Frame[] = [];
  private readonly cutPiece: (piece: Frame) => void;
  private readonly cutSegment: (piece: Frame) => void;
  private queryType = 0;
  private turning = false;

  constructor(mapper: EndsMapper, options: TranslatorOptions, env: Env) {
    this.mapper = mapper;
    this.env = env;
    this.decrement = options.decrementHopLimit === false ? 0 : 1;
    this.copiesClass = options.copyTrafficClass ?? true;
    this.fragmentSize = options.ipv6FragmentSize ?? IPV6_MINIMUM_MTU;
    this.mtus = { ipv4: options.mtu?.ipv4 ?? Infinity, ipv6: options.mtu?.ipv6 ?? Infinity };
    this.icmpErrors = new IcmpErrors({ tables: ownAddresses(options) }, env);
    this.errors = new ErrorTranslator(mapper, this.mtus, env.pool);
    this.identification = env.random.uint32() & 0xffff;
    this.cutPiece = (piece) => this.finishPiece(piece);
    this.cutSegment = (piece) => {
      if (this.fields.read(piece, piece.start)) this.cutOne(piece);
      piece.release();
    };
  }

  /**
   * Translates the packet whose IP header is at `network`, if the mapper takes it: `emit` is called with what it becomes, once, more often, or not at all;
   * frames are valid during that call and start at their IP header. The packet is checked, a fragment or a super-segment perhaps.
   *
   * @returns false where the packet is not to be translated: it is as it was
   */
  translate(frame: Frame, network: number, emit: (frame: Frame) => void): boolean {
    const { fields, env } = this;
    if (!fields.read(frame, network) || !this.mapper.takes(fields)) return false;
    frame.start = network;
    frame.end = fields.end;
    const inPlace = frame.exclusive && network - GROWTH >= frame.base;
    const own = inPlace ? frame : env.pool.copy(frame);
    if (!inPlace) own.network = own.start;
    if (!inPlace) fields.read(own, own.start);
    this.emit = emit;
    this.turn(own);
    if (inPlace) return true;
    if (own.fate !== UNDER_WAY && frame.fate === UNDER_WAY) frame.fate = own.fate;
    env.drops.deliver(frame);
    own.release();
    return true;
  }

  dispose(): void {
    // There is nothing to let go of.
  }

  /** Translates what `fields` were read of; a packet that goes back to the side that it came from (hairpinning) twice. */
  private turn(frame: Frame): void {
    this.turning = false;
    const wrong = this.fields.version === 4 ? this.to6(frame) : this.to4(frame);
    if (wrong !== FINE) return this.end(frame, wrong);
    this.translated++;
    this.turning = this.isTurning(frame);
    if (!this.turning) return this.emit(frame);
    const again = this.to6(frame);
    return again === FINE ? this.emit(frame) : this.end(frame, again);
  }

  private isTurning(frame: Frame): boolean {
    const { fields } = this;
    return fields.version === 6 && fields.read(frame, frame.start) && this.mapper.turnsBack(fields);
  }

  private end(frame: Frame, reason: DropReason | Outcome): void {
    if (reason !== CONSUMED && reason !== FINE) this.env.drops.report(reason, frame, NAME);
  }

  /** Why it cannot be IPv6; otherwise it is, or has been given on in pieces. */
  private to6(frame: Frame): DropReason | Outcome {
    const { fields } = this;
    const { view, network, protocol } = fields;
    const headerLength = (view.getUint8(network) & 0x0f) * 4;
    if (headerLength > IPV4_HEADER && new Ipv4Packet(frame, network).isOnRoute) {
      return this.refuse(frame, 'source-route-failed', 0, DropReason.Ipv4SourceRouted);
    }
    if (fields.hopLimit <= this.decrement) return this.refuse(frame, 'time-exceeded', 0, DropReason.HopLimitExceeded);
    if (isForeign(protocol, IpProtocol.Icmpv6)) return DropReason.NatUnsupported;
    const flags = view.getUint16(network + IPV4_FRAGMENT);
    this.setValues(IpProtocol.Icmp, IpProtocol.Icmpv6);
    this.setFragment6();
    const wrong = this.prepare(frame, toIcmpv6(fields.icmpType, fields.icmpCode));
    if (wrong !== FINE) return wrong;
    const mends = protocol === IpProtocol.Udp && lacksChecksum(fields);
    if (mends && fields.isFragment) return DropReason.TranslateImpossible;
    const unmapped = this.mapper.map(frame, fields, this.ends, this.turning);
    if (unmapped !== FINE) return this.unmapped(frame, unmapped);
    if (mends) completeUdp(fields);
    const length = longest(frame, network, fields.length) + IPV6_HEADER - headerLength;
    if ((flags & V4_DONT_FRAGMENT) === 0) {
      if (length + (fields.isFragment ? FRAGMENT_HEADER : 0) > this.fragmentSize) return this.cut(frame);
    } else if (length > this.mtus.ipv6) {
      return this.refuse(frame, 'packet-too-big', this.mtus.ipv6 - IPV6_HEADER + IPV4_HEADER, DropReason.IpTooBig);
    }
    this.write6(frame);
    return FINE;
  }

  /** Writes the packet of `fields` as IPv6 in its place. */
  private write6(frame: Frame): void {
    this.changePayload(frame, this.fields.end - this.payload4());
    this.writeHeader6(frame);
  }

  /** Where the payload of the IPv4 packet of `fields` is. */
  private payload4(): number {
    const { view, network } = this.fields;
    return network + (view.getUint8(network) & 0x0f) * 4;
  }

  private writeHeader6(frame: Frame): void {
    const { fields, values, ends } = this;
    const { view, end } = fields;
    const payload = this.payload4();
    settle(frame, writeIpv6(view, payload, end - payload, values, ends));
  }

  /** Cuts an IPv4 packet so that its pieces fit into every link of IPv6, and gives them on. */
  private cut(frame: Frame): Outcome | DropReason {
    const { env, fields, emit } = this;
    if (isBeyondPacket(fields.fragmentOffset, fields.length)) return DropReason.FragmentBad;
    if (frame.gsoType === GsoType.None) {
      this.cutOne(frame);
    } else {
      const wrong = segment(frame, fields.network, env.pool, this.cutSegment);
      if (wrong !== undefined) return wrong;
    }
    const { pieces } = this;
    this.pieces = [];
    this.translated++;
    env.drops.deliver(frame);
    for (const piece of pieces) {
      emit(piece);
      piece.release();
    }
    return CONSUMED;
  }

  /** The payload is changed first, while it is whole: its length may be a part of its checksum. */
  private cutOne(frame: Frame): void {
    this.changePayload(frame, this.fields.end - this.payload4());
    fragmentIpv4(frame, this.fragmentSize - GROWTH, this.env.pool, this.cutPiece);
  }

  private finishPiece(piece: Frame): void {
    if (!this.fields.read(piece, piece.start)) return piece.release();
    this.setFragment6();
    this.writeHeader6(piece);
    this.pieces.push(piece);
  }

  /** Why it cannot be IPv4; otherwise it is, or has been given on as another frame. */
  private to4(frame: Frame): DropReason | Outcome {
    const { fields, chain, ends, values } = this;
    const { view, network, end } = fields;
    if (!chain.read(view, network, end)) return DropReason.Ipv6BadExtension;
    if (chain.segmentsLeft !== NO_HEADER) {
      return this.refuse(frame, 'parameter-problem', chain.segmentsLeft - network, DropReason.Ipv6SourceRouted);
    }
    if (fields.hopLimit <= this.decrement) return this.refuse(frame, 'time-exceeded', 0, DropReason.HopLimitExceeded);
    if (chain.isOpaque || isForeign(fields.protocol, IpProtocol.Icmp)) return DropReason.NatUnsupported;
    const { payload } = chain;
    const isWhole = chain.fragment === NO_HEADER;
    const length = longest(frame, network, fields.length) - (payload - network) + IPV4_HEADER;
    values.fragmentField = chain.fragmentField & ~6;
    values.dontFragment = isWhole && length > FRAGMENTABLE;
    values.identification = isWhole ? this.nextIdentification(frame) : chain.identification & 0xffff;
    this.setValues(IpProtocol.Icmpv6, IpProtocol.Icmp);
    const wrong = this.prepare(frame, toIcmpv4(fields.icmpType, fields.icmpCode));
    if (wrong !== FINE) return wrong;
    if (end - payload + IPV4_HEADER > 0xffff) return DropReason.IpTooBig;
    if (length > this.mtus.ipv4 && values.dontFragment) {
      return this.refuse(frame, 'packet-too-big', this.mtus.ipv4 + IPV6_HEADER - IPV4_HEADER, DropReason.IpTooBig);
    }
    const unmapped = this.mapper.map(frame, fields, ends, false);
    if (unmapped !== FINE) return this.unmapped(frame, unmapped);
    this.changePayload(frame, end - payload);
    settle(frame, writeIpv4(view, payload, end - payload, values, ends));
    return FINE;
  }

  /** What the new header takes from the old one. */
  private setValues(icmpBefore: number, icmpAfter: number): void {
    const { fields, values } = this;
    values.trafficClass = this.copiesClass ? fields.trafficClass : 0;
    values.hopLimit = fields.hopLimit - this.decrement;
    values.protocol = fields.protocol === icmpBefore ? icmpAfter : fields.protocol;
  }

  /** The same of the fragment header that it gets where it is a fragment in IPv4. */
  private setFragment6(): void {
    const { fields, values } = this;
    values.isFragment = fields.isFragment;
    values.fragmentField = fields.fragmentOffset | (fields.moreFragments ? 1 : 0);
    values.identification = fields.identification;
  }

  /** Looks at ICMP: errors are given on as frames of their own; of the others the new type is kept. */
  private prepare(frame: Frame, kind: number): DropReason | Outcome {
    const { fields, values } = this;
    if (fields.protocol !== IpProtocol.Icmp && fields.protocol !== IpProtocol.Icmpv6) return FINE;
    if (fields.isFragment || fields.transport === NOT_PARSED) return DropReason.TranslateImpossible;
    completeChecksum(frame);
    if (!isIcmpError(fields)) {
      this.queryType = kind >>> 8;
      return kind === NOTHING_ALIKE ? DropReason.TranslateImpossible : FINE;
    }
    const made = this.errors.translate(frame, fields, values, this.turning);
    if (typeof made === 'number') return made;
    this.env.drops.deliver(frame);
    this.translated++;
    this.turning = this.isTurning(made);
    if (this.turning) this.end(made, this.to6(made));
    else this.emit(made);
    made.release();
    return CONSUMED;
  }

  private changePayload(frame: Frame, length: number): void {
    const { fields, ends } = this;
    const isIcmp = fields.protocol === IpProtocol.Icmp || fields.protocol === IpProtocol.Icmpv6;
    if (isIcmp) changeQuery(fields, ends, this.queryType, length);
    else changeTransport(frame, fields, ends);
  }

  /**
   * The sender is told why there are no ends for its packet, where it should be (RFC 6146 3.5.1): of TCP later or not at all, since a connection may
   * be opened from both sides.
   */
  private unmapped(frame: Frame, reason: DropReason | typeof KEPT): DropReason | Outcome {
    if (reason === KEPT) {
      this.env.drops.deliver(frame);
      return CONSUMED;
    }
    const { version, protocol, transport } = this.fields;
    const isTold =
      reason === DropReason.NatNoPort ||
      (reason === DropReason.NatNoMapping && version === 4 && protocol !== IpProtocol.Tcp && transport !== NOT_PARSED);
    return isTold ? this.refuse(frame, 'host-unreachable', 0, reason) : reason;
  }

  /** Answers a packet that nobody takes after all; it is the range of its frame. */
  answer(frame: Frame, kind: IcmpErrorKind): void {
    if (this.fields.read(frame, frame.start)) this.refuse(frame, kind, 0, DropReason.NatNoMapping);
  }

  private refuse(frame: Frame, kind: IcmpErrorKind, detail: number, reason: DropReason): DropReason {
    if (this.reply === undefined) return reason;
    const packet = this.fields.version === 4 ? new Ipv4Packet(frame, frame.start) : new Ipv6Packet(frame, frame.start);
    const error = this.icmpErrors.about(packet, kind, detail);
    if (error !== undefined) this.reply(error);
    return reason;
  }

  private nextIdentification(frame: Frame): number {
    const { identification } = this;
    const count = frame.gsoSize > 0 ? Math.ceil(frame.length / frame.gsoSize) : 1;
    this.identification = (identification + count) & 0xffff;
    return identification;
  }
}

/** It has been given on as something else. */
const CONSUMED = -1;

type Outcome = typeof FINE | typeof CONSUMED;

function noOutput(): void {
  // Set before anything is translated.
}

/** Length of a packet as a wire would carry it: of a super-segment that of its longest segment. */
function longest(frame: Frame, network: number, length: number): number {
  return frame.gsoType === GsoType.None ? length : longestSegment(frame, network);
}

/** Whether a protocol belongs to the other version alone, or covers the addresses in a way that cannot be brought up to date. */
function isForeign(protocol: number, otherIcmp: number): boolean {
  return protocol === otherIcmp || protocol === HOP_BY_HOP || isExtension(protocol) || protocol === IpProtocol.Igmp;
}

function lacksChecksum({ view, transport }: PacketFields): boolean {
  return transport !== NOT_PARSED && view.getUint16(transport + UDP_CHECKSUM_OFFSET) === 0;
}

/** Errors come from where the packet was to go, or from the address that was given. */
function ownAddresses({ address }: TranslatorOptions): IpPaths {
  const own = ({ version }: IpAddress) => (version === 4 ? address?.ipv4 : address?.ipv6);
  return {
    isLocal: (destination) => own(destination) === undefined,
    isBroadcast: () => false,
    path: (destination) => {
      const source = own(destination);
      return source && { source, mtu: Infinity };
    },
  };
}
