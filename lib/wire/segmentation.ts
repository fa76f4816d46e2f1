/**
 * Segmentation offload in software: what a device that takes super-segments does with them, for those that do not (VIRTIO 1.2 5.1.6.2,
 * RFC 9293 3.7). Of the frame's metadata its kind and segment size are heeded, and of its headers what they say of themselves: no hint of
 * a header's length is trusted. UDP fragmentation offload (`GsoType.Udp`) is left out, as no kernel does it any more.
 */

import { copyBytes } from '../core/copy.js';
import { DropReason } from '../core/drops.js';
import { ChecksumState, type Frame, type FramePool, GsoType, NOT_PARSED } from '../core/frame.js';
import { complement, copyAndSum, fold, halves, sum16 } from './checksum.js';
import { IpProtocol } from './ip.js';
import { IPV4_CHECKSUM, IPV4_IDENTIFICATION, IPV4_SOURCE, IPV4_TOTAL_LENGTH } from './ipv4.js';
import { IPV6_HEADER, IPV6_PAYLOAD_LENGTH, IPV6_SOURCE } from './ipv6.js';
import {
  TCP_ACKNOWLEDGMENT,
  TCP_CHECKSUM_OFFSET,
  TCP_DATA_OFFSET,
  TCP_SEQUENCE,
  TCP_URGENT,
  TCP_WINDOW,
  TcpFlag,
} from './tcp.js';
import { TransportHeaders } from './transport-headers.js';
import { UDP_CHECKSUM_OFFSET, UDP_HEADER, UDP_LENGTH } from './udp.js';

/** What only the last segment says, what only the first one does, and what none of several may say. */
const ONLY_LAST = TcpFlag.Fin | TcpFlag.Psh;
const ONLY_FIRST = TcpFlag.Cwr;
const UNDIVIDED = TcpFlag.Syn | TcpFlag.Rst | TcpFlag.Urg;

/** Nothing here calls out between finding headers and having read them. */
const found = new TransportHeaders();

/** Finds the headers of a super-segment, and says whether it can be cut. */
function isSound(frame: Frame, network: number): boolean {
  if (frame.gsoSize <= 0 || !found.find(frame, network)) return false;
  const { protocol, version } = found;
  if (frame.gsoType === GsoType.UdpL4) return protocol === IpProtocol.Udp;
  if (protocol !== IpProtocol.Tcp || frame.gsoType !== (version === 4 ? GsoType.TcpV4 : GsoType.TcpV6)) return false;
  if (found.end - found.payload <= frame.gsoSize) return true;
  return (frame.slab.view.getUint16(found.transport + TCP_DATA_OFFSET) & UNDIVIDED) === 0;
}

/**
 * Length of the longest IP packet, in bytes, that a super-segment stands for: its headers and one segment. -1 where it cannot be cut.
 *
 * @param network offset of its IP header
 */
export function longestSegment(frame: Frame, network: number): number {
  if (!isSound(frame, network)) return -1;
  return found.payload - network + Math.min(frame.gsoSize, found.end - found.payload);
}

/** Packets and bytes. */
export interface Tally {
  packets: number;
  bytes: number;
}

/**
 * Adds to `tally` what a wire would carry of a frame: of a super-segment its packets, each with the headers that are in the frame's range.
 *
 * @param network offset of its IP header
 */
export function tallyOnWire(frame: Frame, network: number, tally: Tally): void {
  tally.packets++;
  tally.bytes += frame.end - frame.start;
  if (frame.gsoType === GsoType.None || !isSound(frame, network)) return;
  const more = Math.max(0, Math.ceil((found.end - found.payload) / frame.gsoSize) - 1);
  tally.packets += more;
  tally.bytes += more * Math.max(0, found.payload - frame.start);
}

/** What all segments of a super-segment have in common. */
class Template {
  readonly source: Frame;
  readonly network: number;
  readonly transport: number;
  readonly payload: number;
  readonly end: number;
  readonly isTcp: boolean;
  readonly isIpv4: boolean;
  /** The data offset and the control bits, as the super-segment has them. */
  private readonly flags: number;
  private readonly sequence: number;
  private readonly identification: number;
  /** Of the IPv4 header without length, identification and checksum. */
  private readonly networkSum: number;
  /** Of pseudo-header and transport header without length, sequence number, flags and checksum. */
  private readonly transportSum: number;

  /** Takes what was found. */
  constructor(source: Frame) {
    const { network, transport, payload, end, protocol, version } = found;
    const { view } = source.slab;
    this.source = source;
    this.network = network;
    this.transport = transport;
    this.payload = payload;
    this.end = end;
    this.isTcp = protocol === IpProtocol.Tcp;
    this.isIpv4 = version === 4;
    this.flags = this.isTcp ? view.getUint16(transport + TCP_DATA_OFFSET) : 0;
    this.sequence = this.isTcp ? view.getUint32(transport + TCP_SEQUENCE) : 0;
    this.identification = this.isIpv4 ? view.getUint16(network + IPV4_IDENTIFICATION) : 0;
    this.networkSum = this.isIpv4 ? sumOfNetwork(view, network, transport) : 0;
    const addresses = network + (this.isIpv4 ? IPV4_SOURCE : IPV6_SOURCE);
    const pseudo = sum16(view, addresses, addresses + (this.isIpv4 ? 8 : 32), protocol);
    this.transportSum = this.isTcp
      ? sumOfTcp(view, transport, payload, pseudo)
      : sum16(view, transport, transport + UDP_LENGTH, pseudo);
  }

  /** The segment of `size` bytes that starts `done` bytes into the payload, after `count` others. */
  cut(done: number, size: number, count: number, pool: FramePool): Frame {
    const { source, payload } = this;
    const headers = payload - source.start;
    const piece = pool.alloc(headers + size);
    const at = piece.put(headers + size);
    copyBytes(source.slab, source.start, piece.slab, at, headers);
    const sum = copyAndSum(source.slab, payload + done, piece.slab, at + headers, size);
    describe(piece, source, this.network);
    this.finishNetwork(piece, size, count);
    if (this.isTcp) this.finishTcp(piece, done, size, sum);
    else this.finishUdp(piece, size, sum);
    return piece;
  }

  private finishNetwork(piece: Frame, size: number, count: number): void {
    const { view } = piece.slab;
    const { network } = piece;
    const length = this.payload - this.network + size;
    if (!this.isIpv4) {
      view.setUint16(network + IPV6_PAYLOAD_LENGTH, length - IPV6_HEADER);
      return;
    }
    const identification = (this.identification + count) & 0xffff;
    view.setUint16(network + IPV4_TOTAL_LENGTH, length);
    view.setUint16(network + IPV4_IDENTIFICATION, identification);
    view.setUint16(network + IPV4_CHECKSUM, complement(fold(this.networkSum + length + identification)));
  }

  private finishTcp(piece: Frame, done: number, size: number, payloadSum: number): void {
    const { view } = piece.slab;
    const at = piece.network + this.transport - this.network;
    const sequence = (this.sequence + done) >>> 0;
    let { flags } = this;
    if (done > 0) flags &= ~ONLY_FIRST;
    if (this.payload + done + size < this.end) flags &= ~ONLY_LAST;
    view.setUint32(at + TCP_SEQUENCE, sequence);
    view.setUint16(at + TCP_DATA_OFFSET, flags);
    const length = this.payload - this.transport + size;
    const sum = this.transportSum + length + halves(sequence) + flags + payloadSum;
    view.setUint16(at + TCP_CHECKSUM_OFFSET, complement(fold(sum)));
  }

  private finishUdp(piece: Frame, size: number, payloadSum: number): void {
    const { view } = piece.slab;
    const at = piece.network + this.transport - this.network;
    const length = UDP_HEADER + size;
    view.setUint16(at + UDP_LENGTH, length);
    // The length counts twice: in the pseudo-header and in the header.
    const sum = this.transportSum + 2 * length + payloadSum;
    view.setUint16(at + UDP_CHECKSUM_OFFSET, complement(fold(sum)) || 0xffff);
  }
}

function sumOfNetwork(view: DataView, network: number, end: number): number {
  const first = view.getUint16(network) + view.getUint16(network + IPV4_IDENTIFICATION + 2);
  return sum16(view, network + IPV4_SOURCE, end, first + view.getUint16(network + IPV4_CHECKSUM - 2));
}

function sumOfTcp(view: DataView, at: number, end: number, pseudo: number): number {
  const ports = halves(view.getUint32(at)) + view.getUint16(at + TCP_WINDOW);
  return sum16(view, at + TCP_URGENT, end, ports + halves(view.getUint32(at + TCP_ACKNOWLEDGMENT)) + pseudo);
}

/** Says of a segment what is known of it from the super-segment that it was cut from. */
function describe(piece: Frame, source: Frame, network: number): void {
  piece.adopt(source);
  piece.link = source.link < source.start ? NOT_PARSED : piece.link;
  piece.network = piece.start + network - source.start;
  piece.wholeEnd = piece.end;
  piece.checksum = ChecksumState.Valid;
  piece.checksumStart = piece.checksumField = 0;
  piece.gsoType = GsoType.None;
  piece.gsoSize = 0;
}

/**
 * Cuts a super-segment into the packets that it stands for, with complete checksums, and gives each to `emit`, which takes its reference
 * over. The super-segment itself is left as it is and stays the caller's. What is in front of its IP header is repeated, what is behind the
 * IP packet is not. One whose payload fits one segment comes out as one packet.
 *
 * Of TCP the sequence number rises by what came before, FIN and PSH are the last segment's and CWR is the first one's alone; of IPv4 the
 * identification rises by one, modulo 65,536.
 *
 * @param network offset of its IP header
 * @returns why it cannot be cut: then nothing was emitted
 */
export function segment(
  frame: Frame,
  network: number,
  pool: FramePool,
  emit: (segment: Frame) => void,
): DropReason | undefined {
  if (!isSound(frame, network)) return DropReason.SuperSegmentBad;
  const template = new Template(frame);
  const { gsoSize } = frame;
  const length = template.end - template.payload;
  let count = 0;
  let done = 0;
  do {
    const size = Math.min(gsoSize, length - done);
    emit(template.cut(done, size, count++, pool));
    done += size;
  } while (done < length);
  return undefined;
}

/**
 * Completes a checksum of which only the pseudo-header's sum is in the field, in place. Not for super-segments: of these {@link segment}
 * makes new ones.
 */
export function completeChecksum(frame: Frame): void {
  if (frame.checksum !== ChecksumState.Partial) return;
  const { view } = frame.slab;
  const { checksumStart: start, checksumField: field } = frame;
  // The field holds the pseudo-header's sum, and so takes part.
  const sum = complement(sum16(view, start, frame.end));
  // Of UDP 0 means that there is none (RFC 768).
  view.setUint16(field, sum === 0 && field - start === UDP_CHECKSUM_OFFSET ? 0xffff : sum);
  frame.checksum = ChecksumState.Valid;
}
