/**
 * Segmentation offload of UDP for those who did not ask for it: a datagram that is sent behind another of its flow joins it, and both become
 * one super-segment (`GsoType.UdpL4`) for a device that takes such. The rule is that of coalescing: `segment()` gives back exactly the packets that
 * went in. So they have everything in common but length, checksums and an IPv4 identification that goes up in step; all but the last are of
 * one length. Only datagrams whose checksum is left to the device take part, which those of our own sockets are: nothing is summed.
 */

import { copyBytes } from '../core/copy.js';
import type { Medium } from '../core/device.js';
import { ChecksumState, type Frame, type FramePool, GsoType, NOT_PARSED } from '../core/frame.js';
import { fold, sum16, updateChecksum } from './checksum.js';
import { IpProtocol } from './ip.js';
import { IPV4_CHECKSUM, IPV4_HEADER, IPV4_IDENTIFICATION, IPV4_SOURCE, IPV4_TOTAL_LENGTH, IPV4_TTL } from './ipv4.js';
import { IPV6_HEADER, IPV6_NEXT_HEADER, IPV6_PAYLOAD_LENGTH, IPV6_SOURCE } from './ipv6.js';
import { networkOffset } from './network-offset.js';
import { sameWords } from './same-words.js';
import { UDP_CHECKSUM_OFFSET, UDP_HEADER, UDP_LENGTH } from './udp.js';

/** What Linux takes as one; 128 since version 6.8. */
export const MAX_DATAGRAMS = 64;
const MAX_PACKET = 65_535;
// Source and destination; the ports are behind them.
const ADDRESSES4 = 8;
const ADDRESSES6 = 32;
const PORTS = 4;
const FRAGMENT = 0x3fff;
const SIMPLE_IPV4 = 0x45;

/** Whether a frame may be a datagram that leaves its checksum to the device: all that is asked of most frames. */
export function leavesChecksumOfUdp(frame: Frame): boolean {
  return frame.checksum === ChecksumState.Partial && frame.checksumField - frame.checksumStart === UDP_CHECKSUM_OFFSET;
}

/**
 * Appends the datagram in `frame` to the one, or to the super-segment, in `last`, which is ahead of it on the same way out.
 *
 * @param medium what both start with
 * @returns `last`, or a frame with more room that has taken its place, its reference included; `undefined` where they cannot be one. Then
 * both are as they were. `frame` stays the caller's
 */
export function mergeDatagram(last: Frame, frame: Frame, medium: Medium, pool: FramePool): Frame | undefined {
  if (!leavesChecksumOfUdp(last) || !leavesChecksumOfUdp(frame) || frame.gsoType !== GsoType.None) return undefined;
  if (last.gsoType !== GsoType.None && last.gsoType !== GsoType.UdpL4) return undefined;
  const network = networkOffset(frame, medium);
  if (network === NOT_PARSED) return undefined;
  const count = countOf(last, frame);
  if (count === 0 || !isNext(last, frame, network, count)) return undefined;
  const size = frame.end - frame.checksumStart - UDP_HEADER;
  const whole = last.exclusive && last.end + size <= last.limit ? last : enlarged(last, size, pool);
  append(whole, frame, network - frame.start, size);
  return whole;
}

/** How many datagrams are in `last`; 0 where by their lengths alone `frame` cannot be the next one. */
function countOf(last: Frame, frame: Frame): number {
  const { view } = frame.slab;
  const length = view.getUint16(frame.checksumStart + UDP_LENGTH);
  const size = length - UDP_HEADER;
  // Padding would get between them.
  if (size <= 0 || frame.end - frame.checksumStart !== length) return 0;
  const all = last.end - last.checksumStart;
  if (last.slab.view.getUint16(last.checksumStart + UDP_LENGTH) !== all) return 0;
  const done = all - UDP_HEADER;
  const each = last.gsoType === GsoType.None ? done : last.gsoSize;
  // A shorter one is the last one.
  if (size > each || done % each !== 0) return 0;
  const count = done / each;
  return count < MAX_DATAGRAMS ? count : 0;
}

/** Whether the headers of `frame` are those that the datagram behind the `count` in `last` would have. */
function isNext(last: Frame, frame: Frame, network: number, count: number): boolean {
  const at = last.start + network - frame.start;
  const one = last.slab.view;
  const { view } = frame.slab;
  if (last.checksumStart - at !== frame.checksumStart - network) return false;
  const isSound =
    view.getUint8(network) === SIMPLE_IPV4
      ? isNext4(one, at, last.end, view, network, frame, count)
      : isNext6(one, at, last.end, view, network, frame);
  return isSound && isSameLink(last, frame, network - frame.start) && isSameSum(last, frame);
}

function isNext4(
  one: DataView,
  at: number,
  end: number,
  view: DataView,
  network: number,
  frame: Frame,
  count: number,
): boolean {
  if (frame.checksumStart !== network + IPV4_HEADER) return false;
  if (!sameWords(one, at + IPV4_SOURCE, view, network + IPV4_SOURCE, ADDRESSES4 + PORTS)) return false;
  const total = frame.end - network;
  const all = end - at;
  if (view.getUint16(network + IPV4_TOTAL_LENGTH) !== total || one.getUint16(at + IPV4_TOTAL_LENGTH) !== all)
    return false;
  if (all + total - IPV4_HEADER - UDP_HEADER > MAX_PACKET || one.getUint16(at) !== view.getUint16(network))
    return false;
  // Identification and flags; hops, protocol and checksum.
  const first = one.getUint32(at + IPV4_IDENTIFICATION);
  const next = view.getUint32(network + IPV4_IDENTIFICATION);
  const identification = ((first >>> 16) + count) & 0xffff;
  if (next !== ((identification << 16) | (first & 0xffff)) >>> 0 || (next & FRAGMENT) !== 0) return false;
  const hops = one.getUint32(at + IPV4_TTL);
  const theirs = view.getUint32(network + IPV4_TTL);
  if ((hops ^ theirs) >>> 16 !== 0 || ((hops >>> 16) & 0xff) !== IpProtocol.Udp) return false;
  // The header of what stands for many was right when they became one; that of the next differs by what lengths and identifications do.
  const sum = (~hops & 0xffff) + (~all & 0xffff) + (~(first >>> 16) & 0xffff) + total + identification;
  return fold(sum) === (~theirs & 0xffff) && (count > 1 || isRightHeader(one, at));
}

/** Of the two forms of zero only the one that a sum made anew comes out as. */
function isRightHeader(view: DataView, network: number): boolean {
  return view.getUint16(network + IPV4_CHECKSUM) !== 0xffff && sum16(view, network, network + IPV4_HEADER) === 0xffff;
}

function isNext6(one: DataView, at: number, end: number, view: DataView, network: number, frame: Frame): boolean {
  if (frame.checksumStart !== network + IPV6_HEADER) return false;
  if (!sameWords(one, at + IPV6_SOURCE, view, network + IPV6_SOURCE, ADDRESSES6 + PORTS)) return false;
  const next = view.getUint16(network + IPV6_NEXT_HEADER);
  const first = view.getUint32(network);
  return (
    first >>> 28 === 6 &&
    one.getUint32(at) === first &&
    next >>> 8 === IpProtocol.Udp &&
    one.getUint16(at + IPV6_NEXT_HEADER) === next &&
    view.getUint16(network + IPV6_PAYLOAD_LENGTH) === frame.end - network - IPV6_HEADER &&
    one.getUint16(at + IPV6_PAYLOAD_LENGTH) === end - at - IPV6_HEADER &&
    frame.end - frame.checksumStart - UDP_HEADER + end - at - IPV6_HEADER <= MAX_PACKET
  );
}

function isSameLink(last: Frame, frame: Frame, length: number): boolean {
  const one = last.slab.view;
  const { view } = frame.slab;
  if (length === 0) return true;
  // A multiple of four, and two bytes.
  const type = length - 2;
  if (one.getUint16(last.start + type) !== view.getUint16(frame.start + type)) return false;
  return sameWords(one, last.start, view, frame.start, type);
}

/** Whether the sums of the pseudo-headers differ by what the lengths differ by. */
function isSameSum(last: Frame, frame: Frame): boolean {
  const longer = last.end - last.checksumStart - (frame.end - frame.checksumStart);
  const sum = frame.slab.view.getUint16(frame.checksumField);
  return fold(sum + longer) === last.slab.view.getUint16(last.checksumField);
}

/** A copy of `last` with room for more, in its place. */
function enlarged(last: Frame, size: number, pool: FramePool): Frame {
  const { length } = last;
  const whole = pool.alloc(length + size);
  copyBytes(last.slab, last.start, whole.slab, whole.put(length), length);
  whole.adopt(last);
  last.release();
  return whole;
}

/** Copies the payload of `frame` behind that of `whole`, whose headers then tell of both. */
function append(whole: Frame, frame: Frame, link: number, size: number): void {
  if (whole.gsoType === GsoType.None) {
    whole.gsoSize = whole.end - whole.checksumStart - UDP_HEADER;
    whole.gsoType = GsoType.UdpL4;
  }
  copyBytes(frame.slab, frame.end - size, whole.slab, whole.put(size), size);
  whole.wholeEnd = whole.end;
  const { view } = whole.slab;
  const { checksumStart, checksumField } = whole;
  const network = whole.start + link;
  const length = whole.end - checksumStart;
  view.setUint16(checksumStart + UDP_LENGTH, length);
  view.setUint16(checksumField, fold(view.getUint16(checksumField) + size));
  if (checksumStart - network === IPV6_HEADER) {
    view.setUint16(network + IPV6_PAYLOAD_LENGTH, length);
    return;
  }
  const total = whole.end - network;
  const sum = view.getUint16(network + IPV4_CHECKSUM);
  view.setUint16(network + IPV4_TOTAL_LENGTH, total);
  view.setUint16(network + IPV4_CHECKSUM, updateChecksum(sum, total - size, total));
}
