/** IPv4 fragmentation (RFC 791 3.2): pieces in multiples of eight bytes, options repeated only where their type says so. */

import { ChecksumState, type Frame, type FramePool } from '../core/frame.js';
import { complement, sum16 } from '../wire/checksum.js';
import { IPV4_HEADER, type Ipv4Option, Ipv4Packet, refreshIpv4Checksum } from '../wire/ipv4.js';

// RFC 791 3.1.
const TOTAL_LENGTH = 2;
const FLAGS_OFFSET = 6;
const DONT_FRAGMENT = 0x4000;
/** Set in the type of options that every fragment carries (RFC 791 3.1). */
const COPIED = 0x80;

/** Completes a checksum that was left to the device: whoever cuts a packet must do it first. */
export function completeChecksum(frame: Frame): void {
  if (frame.checksum !== ChecksumState.Partial) return;
  const { view } = frame.slab;
  // The field holds the pseudo-header's sum, and so takes part.
  const sum = complement(sum16(view, frame.checksumStart, frame.end));
  view.setUint16(frame.checksumField, sum || 0xffff);
  frame.checksum = ChecksumState.None;
}

/**
 * Cuts the packet that starts at `frame.start` into pieces of at most `mtu` bytes and gives each to `emit`, which takes its reference
 * over. The packet itself stays the caller's. A fragment can be cut again. False if `mtu` leaves no room for eight bytes.
 */
export function fragmentIpv4(frame: Frame, mtu: number, pool: FramePool, emit: (piece: Frame) => void): boolean {
  completeChecksum(frame);
  const packet = new Ipv4Packet(frame, frame.start);
  const { headerLength, totalLength, fragmentOffset, moreFragments } = packet;
  const all = headerLength > IPV4_HEADER ? packet.options() : [];
  const copied = all.filter((option) => (option.type & COPIED) !== 0);
  if (mtu - headerLength < 8) return false;
  let done = 0;
  const length = totalLength - headerLength;
  while (done < length) {
    const options = done === 0 ? all : copied;
    const room = (mtu - IPV4_HEADER - optionsLength(options)) & ~7;
    const size = Math.min(room, length - done);
    const from = frame.start + headerLength + done;
    const piece = pool.alloc(size + headerLength);
    piece.slab.bytes.set(frame.slab.bytes.subarray(from, from + size), piece.put(size));
    piece.mark = frame.mark;
    piece.flow = frame.flow;
    Ipv4Packet.emit(piece, {
      source: packet.source,
      destination: packet.destination,
      protocol: packet.protocol,
      ttl: packet.hopLimit,
      tos: packet.trafficClass,
      identification: packet.identification,
      dontFragment: packet.dontFragment,
      moreFragments: moreFragments || done + size < length,
      fragmentOffset: fragmentOffset + done,
      options,
    });
    done += size;
    emit(piece);
  }
  return true;
}

/**
 * Makes the header of the first fragment at `frame.network` that of the whole packet, whose payload is the range. False if that would be
 * longer than a packet can be.
 */
export function mendIpv4Header(frame: Frame): boolean {
  const at = frame.network;
  const { view } = frame.slab;
  if (frame.end - at > 0xffff) return false;
  view.setUint16(at + TOTAL_LENGTH, frame.end - at);
  view.setUint16(at + FLAGS_OFFSET, view.getUint16(at + FLAGS_OFFSET) & DONT_FRAGMENT);
  refreshIpv4Checksum(view, at);
  frame.wholeEnd = frame.end;
  return true;
}

function optionsLength(options: readonly Ipv4Option[]): number {
  return (options.reduce((sum, option) => sum + 2 + option.data.length, 0) + 3) & ~3;
}
