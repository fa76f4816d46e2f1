/**
 * Receive offload in software: packets of one flow that came in a row become one super-segment, so that what is above works once for all
 * of them. The rule is that `segment()` gives back exactly the packets that went in, byte for byte; whatever does not fit that is left
 * alone. What that asks of packets is what Linux asks (napi_gro_receive): the same addresses, ports, hop limit, class and options, the same
 * acknowledgment and window, sequence numbers and identifications that go up in step, all of one length but the last, right checksums.
 */

import { copyBytes } from '../core/copy.js';
import { ChecksumState, type Frame, type FramePool, GsoType, NOT_PARSED } from '../core/frame.js';
import { copyAndSum, fold, sum16 } from './checksum.js';
import { IpProtocol } from './ip.js';
import {
  IPV4_CHECKSUM,
  IPV4_FRAGMENT,
  IPV4_HEADER,
  IPV4_IDENTIFICATION,
  IPV4_SOURCE,
  IPV4_TOTAL_LENGTH,
  IPV4_TTL,
  refreshIpv4Checksum,
} from './ipv4.js';
import { IPV6_HEADER, IPV6_NEXT_HEADER, IPV6_PAYLOAD_LENGTH, IPV6_SOURCE } from './ipv6.js';
import {
  TCP_ACKNOWLEDGMENT,
  TCP_CHECKSUM_OFFSET,
  TCP_DATA_OFFSET,
  TCP_HEADER,
  TCP_SEQUENCE,
  TCP_URGENT,
  TCP_WINDOW,
  TcpFlag,
} from './tcp.js';
import { sameWords } from './same-words.js';
import { TransportHeaders } from './transport-headers.js';
import { UDP_CHECKSUM_OFFSET, UDP_LENGTH } from './udp.js';

const MAX_PACKET = 65_535;
const LONGEST_LINK_HEADER = 22;

/** Control bits that end a super-segment, that only its first segment may have, and that nothing in it may have. */
const ENDS = TcpFlag.Fin | TcpFlag.Psh;
const BEGINS = TcpFlag.Cwr;
const ALONE = TcpFlag.Syn | TcpFlag.Rst | TcpFlag.Urg;
/** Of the two bytes that hold the data offset: all that may not differ, reserved bits among them. */
const KEPT = 0xffff & ~(ENDS | BEGINS);

/** Flows of which a packet is held, unless told otherwise. */
const FLOWS = 8;

/** A packet that waits for more of its flow, or a super-segment in the making. */
class Held {
  frame: Frame | undefined = undefined;
  readonly headers: TransportHeaders = new TransportHeaders();
  /** Whether `frame` is one of ours, with room for more. */
  merged = false;
  /** Payload bytes of its first packet. */
  gsoSize = 0;
  /** What the next packet must say. */
  sequence = 0;
  identification = 0;
  /** Of its addresses; known once there was a second packet. */
  addressSum = 0;
}

/** Options of {@link Coalescer}. */
export interface CoalescerOptions {
  /** Merge datagrams of UDP, too, as `GsoType.UdpL4`: for pipelines that take those apart again. Default false. */
  readonly udp?: boolean;
  /** Flows that are looked for at once. Default 8. */
  readonly flows?: number;
}

/**
 * Merges packets of flows. Give it the frames of a batch one by one, and tell it when the batch is over.
 *
 * Packets of one flow keep their order; those of another may overtake the ones that are held, as on Linux.
 */
export class Coalescer {
  private readonly pool: FramePool;
  private readonly emit: (frame: Frame) => void;
  private readonly udp: boolean;
  /** The first `count` are in use, the oldest first. */
  private readonly held: Held[];
  private count = 0;
  /** Of the packet that is looked at. */
  private readonly found: TransportHeaders = new TransportHeaders();

  /** @param emit takes over the reference of each frame that it is given; it must not push */
  constructor(pool: FramePool, emit: (frame: Frame) => void, options: CoalescerOptions = {}) {
    this.pool = pool;
    this.emit = emit;
    this.udp = options.udp ?? false;
    this.held = Array.from({ length: Math.max(1, options.flows ?? FLOWS) }, () => new Held());
  }

  /** Packets and super-segments that wait for more. */
  get waiting(): number {
    return this.count;
  }

  /**
   * Takes a received frame, and its reference: emits it, holds it, or merges it.
   *
   * @param network offset of its IP header, or `NOT_PARSED`
   */
  push(frame: Frame, network: number): void {
    const { found } = this;
    if (network === NOT_PARSED || !found.find(frame, network)) {
      this.emit(frame);
      return;
    }
    const index = this.indexOf(frame);
    const candidate = this.isCandidate(frame);
    if (index < 0) {
      this.hold(frame, candidate);
      return;
    }
    const held = this.held[index];
    if (candidate && held !== undefined && this.merge(held, frame)) {
      if (this.isLast(held, frame)) this.release(index);
      frame.release();
      return;
    }
    // The packets in front of it go first.
    this.release(index);
    this.hold(frame, candidate);
  }

  /** The batch is over: emits what is held, in the order in which it came. */
  flush(): void {
    while (this.count > 0) this.release(0);
  }

  /** Which of those held is of the same flow, or -1. */
  private indexOf(frame: Frame): number {
    const { found } = this;
    const { view } = frame.slab;
    const ports = view.getUint32(found.transport);
    for (let i = 0; i < this.count; i++) {
      const held = this.held[i];
      if (held?.frame === undefined) continue;
      const { headers } = held;
      const other = held.frame.slab.view;
      if (other.getUint32(headers.transport) !== ports || headers.protocol !== found.protocol) continue;
      if (headers.version === found.version && sameAddresses(view, found, other, headers.network)) return i;
    }
    return -1;
  }

  /** Whether a packet may be part of a super-segment at all. */
  private isCandidate(frame: Frame): boolean {
    const { found } = this;
    const { payload, transport, end } = found;
    if (payload === end || frame.end !== end || frame.gsoType !== GsoType.None) return false;
    if (frame.checksum === ChecksumState.Partial || frame.start + LONGEST_LINK_HEADER < found.network) return false;
    if (transport - found.network !== (found.version === 4 ? IPV4_HEADER : IPV6_HEADER)) return false;
    const { view } = frame.slab;
    // Both forms of zero are right, but a sum that is made anew comes out as only one of them.
    if (found.version === 4 && view.getUint16(found.network + IPV4_CHECKSUM) === 0xffff) return false;
    if (found.protocol === IpProtocol.Tcp) {
      if (view.getUint16(transport + TCP_CHECKSUM_OFFSET) === 0xffff) return false;
      return (view.getUint16(transport + TCP_DATA_OFFSET) & ALONE) === 0;
    }
    if (!this.udp || view.getUint16(transport + UDP_LENGTH) !== end - transport) return false;
    return view.getUint16(transport + UDP_CHECKSUM_OFFSET) !== 0;
  }

  /** Holds the first packet of a flow, or emits it where nothing could follow it. */
  private hold(frame: Frame, candidate: boolean): void {
    const { found } = this;
    const { view } = frame.slab;
    const isTcp = found.protocol === IpProtocol.Tcp;
    const ends = isTcp && (view.getUint16(found.transport + TCP_DATA_OFFSET) & ENDS) !== 0;
    if (!candidate || ends) {
      this.emit(frame);
      return;
    }
    if (this.count === this.held.length) this.release(0);
    const held = this.held[this.count++];
    if (held === undefined) return;
    held.frame = frame;
    held.merged = false;
    held.headers.copy(found);
    held.gsoSize = found.end - found.payload;
    held.sequence = isTcp ? (view.getUint32(found.transport + TCP_SEQUENCE) + held.gsoSize) >>> 0 : 0;
    held.identification = found.version === 4 ? (view.getUint16(found.network + IPV4_IDENTIFICATION) + 1) & 0xffff : 0;
  }

  /** Appends a packet to what is held of its flow; false where it does not fit, or either of them is not right. */
  private merge(held: Held, frame: Frame): boolean {
    const { found } = this;
    const { frame: first, headers } = held;
    const size = found.end - found.payload;
    if (first === undefined || size > held.gsoSize || headers.end - headers.network + size > MAX_PACKET) return false;
    if (!follows(held, first, found, frame)) return false;
    if (!held.merged && !this.isRightFirst(held, first)) return false;
    const whole = held.merged ? first : this.enlarge(held, first);
    if (!append(whole, frame, found, held.addressSum)) return false;
    headers.end += size;
    held.sequence = (held.sequence + size) >>> 0;
    held.identification = (held.identification + 1) & 0xffff;
    return true;
  }

  /** Whether the checksums of the first packet are right. If so the frame knows it from now on. */
  private isRightFirst(held: Held, first: Frame): boolean {
    const { headers } = held;
    const { view } = first.slab;
    held.addressSum = sumOfAddresses(view, headers);
    if (!isRightHeader(view, headers)) return false;
    if (first.checksum !== ChecksumState.Valid) {
      const { transport, end, protocol } = headers;
      if (sum16(view, transport, end, held.addressSum + protocol + end - transport) !== 0xffff) return false;
      first.checksum = ChecksumState.Valid;
    }
    return true;
  }

  /** Moves the first packet to where there is room for others. */
  private enlarge(held: Held, first: Frame): Frame {
    const { headers } = held;
    const whole = this.pool.alloc(MAX_PACKET + LONGEST_LINK_HEADER);
    const { length } = first;
    copyBytes(first.slab, first.start, whole.slab, whole.put(length), length);
    whole.adopt(first);
    headers.shift(whole.start - first.start);
    whole.gsoSize = held.gsoSize;
    whole.gsoType =
      headers.protocol === IpProtocol.Udp ? GsoType.UdpL4 : headers.version === 4 ? GsoType.TcpV4 : GsoType.TcpV6;
    first.release();
    held.frame = whole;
    held.merged = true;
    return whole;
  }

  /** Whether nothing can follow the packet that was merged last; its flags become those of the whole. */
  private isLast(held: Held, frame: Frame): boolean {
    const { found } = this;
    const { headers, frame: whole } = held;
    const isShort = found.end - found.payload < held.gsoSize;
    if (found.protocol !== IpProtocol.Tcp || whole === undefined) return isShort;
    const flags = frame.slab.view.getUint16(found.transport + TCP_DATA_OFFSET) & ENDS;
    if (flags === 0) return isShort;
    const { view } = whole.slab;
    const at = headers.transport + TCP_DATA_OFFSET;
    view.setUint16(at, view.getUint16(at) | flags);
    return true;
  }

  /** Emits what is held of a flow, and forgets it. */
  private release(index: number): void {
    const { held } = this;
    const one = held[index];
    const frame = one?.frame;
    if (one === undefined || frame === undefined) return;
    one.frame = undefined;
    this.count--;
    for (let i = index; i < this.count; i++) held[i] = held[i + 1] ?? one;
    held[this.count] = one;
    if (one.merged) finish(frame, one.headers);
    this.emit(frame);
  }
}

function sameAddresses(view: DataView, found: TransportHeaders, other: DataView, network: number): boolean {
  const isIpv4 = found.version === 4;
  const offset = isIpv4 ? IPV4_SOURCE : IPV6_SOURCE;
  const length = isIpv4 ? 8 : 32;
  return sameWords(view, found.network + offset, other, network + offset, length);
}

/** Whether the packet that was found in `frame` is the one after those held, by all that its headers say. */
function follows(held: Held, first: Frame, found: TransportHeaders, frame: Frame): boolean {
  const { headers } = held;
  const { network } = found;
  const one = first.slab.view;
  const { view } = frame.slab;
  const link = network - frame.start;
  if (link !== headers.network - first.start) return false;
  for (let i = 0; i < link; i += 2) {
    if (view.getUint16(frame.start + i) !== one.getUint16(first.start + i)) return false;
  }
  if (found.version === 4) {
    if (view.getUint16(network) !== one.getUint16(headers.network)) return false;
    if (view.getUint16(network + IPV4_IDENTIFICATION) !== held.identification) return false;
    if (view.getUint16(network + IPV4_FRAGMENT) !== one.getUint16(headers.network + IPV4_FRAGMENT)) return false;
    if (view.getUint16(network + IPV4_TTL) !== one.getUint16(headers.network + IPV4_TTL)) return false;
  } else {
    if (view.getUint32(network) !== one.getUint32(headers.network)) return false;
    if (view.getUint16(network + IPV6_NEXT_HEADER) !== one.getUint16(headers.network + IPV6_NEXT_HEADER)) return false;
  }
  return found.protocol === IpProtocol.Udp || followsInTcp(held, first, found, frame);
}

function followsInTcp(held: Held, first: Frame, found: TransportHeaders, frame: Frame): boolean {
  const at = found.transport;
  const before = held.headers.transport;
  const one = first.slab.view;
  const { view } = frame.slab;
  if (view.getUint32(at + TCP_SEQUENCE) !== held.sequence) return false;
  if (view.getUint32(at + TCP_ACKNOWLEDGMENT) !== one.getUint32(before + TCP_ACKNOWLEDGMENT)) return false;
  const flags = view.getUint16(at + TCP_DATA_OFFSET);
  // The data offset is among them: their options are of one length.
  if (((flags ^ one.getUint16(before + TCP_DATA_OFFSET)) & KEPT) !== 0 || (flags & BEGINS) !== 0) return false;
  if (view.getUint16(at + TCP_WINDOW) !== one.getUint16(before + TCP_WINDOW)) return false;
  if (view.getUint16(at + TCP_URGENT) !== one.getUint16(before + TCP_URGENT)) return false;
  return sameWords(view, at + TCP_HEADER, one, before + TCP_HEADER, found.payload - at - TCP_HEADER);
}

/** Of the pseudo-header, what packets of one flow have in common. */
function sumOfAddresses(view: DataView, { network, version }: TransportHeaders): number {
  const addresses = network + (version === 4 ? IPV4_SOURCE : IPV6_SOURCE);
  return sum16(view, addresses, addresses + (version === 4 ? 8 : 32));
}

function isRightHeader(view: DataView, { network, version }: TransportHeaders): boolean {
  return version === 6 || sum16(view, network, network + IPV4_HEADER) === 0xffff;
}

/** Copies the payload of a packet behind what is in `whole`, unless that finds its checksums wrong: then `whole` is as before. */
function append(whole: Frame, frame: Frame, found: TransportHeaders, addressSum: number): boolean {
  const { transport, payload, end, protocol } = found;
  const { view } = frame.slab;
  if (!isRightHeader(view, found)) return false;
  const at = whole.put(end - payload);
  const headerSum = sum16(view, transport, payload, addressSum + protocol + end - transport);
  const payloadSum = copyAndSum(frame.slab, payload, whole.slab, at, end - payload);
  if (frame.checksum === ChecksumState.Valid || fold(headerSum + payloadSum) === 0xffff) return true;
  whole.end = at;
  return false;
}

/** Makes the headers of the first packet those of the super-segment, with a partial checksum as a device would deliver it. */
function finish(frame: Frame, headers: TransportHeaders): void {
  const { network, transport, payload, end } = headers;
  if (end - payload === frame.gsoSize) {
    // The second packet turned out to be wrong: the first one is as it came.
    frame.gsoType = GsoType.None;
    frame.gsoSize = 0;
    return;
  }
  const { view } = frame.slab;
  if (headers.version === 4) {
    view.setUint16(network + IPV4_TOTAL_LENGTH, end - network);
    refreshIpv4Checksum(view, network);
  } else view.setUint16(network + IPV6_PAYLOAD_LENGTH, end - network - IPV6_HEADER);
  const isUdp = headers.protocol === IpProtocol.Udp;
  if (isUdp) view.setUint16(transport + UDP_LENGTH, end - transport);
  frame.wholeEnd = frame.end;
  frame.checksum = ChecksumState.Partial;
  frame.checksumStart = transport;
  frame.checksumField = transport + (isUdp ? UDP_CHECKSUM_OFFSET : TCP_CHECKSUM_OFFSET);
  const sum = fold(sumOfAddresses(view, headers) + headers.protocol + end - transport);
  view.setUint16(frame.checksumField, sum);
}
