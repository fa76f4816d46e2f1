/**
 * What the headers of packets that are taken further ask of the routers on their way: IPv4 options (RFC 791 3.1, RFC 1812 5.3.13) and IPv6's
 * hop-by-hop options (RFC 8200 4.3). Source routes are not followed (RFC 7126 4.3, 4.4; RFC 5095).
 */

import { DropReason } from '../core/drops.js';
import { IPV4_HEADER, Ipv4OptionType, type Ipv4Packet, refreshIpv4Checksum } from '../wire/ipv4.js';

const POINTER = 2;
const OVERFLOW_FLAG = 3;
/** Pointers count from the option's first byte, which is 1. */
const FIRST = 1;
const ROUTE = 3;
const STAMPS = 4;
const WORD = 4;
// RFC 791 3.1: what a timestamp option asks for.
const ONLY_TIMES = 0;
const WITH_ADDRESSES = 1;
const PRESPECIFIED = 3;
const MOST_OVERFLOW = 15;
const DAY = 86_400_000;

/** Who writes into the options of packets, and when. */
export interface Recorder {
  /** Our address on the link that the packet leaves by, signed or not; 0 where there is none. */
  readonly address: number;
  /** Milliseconds of the environment's clock. */
  readonly now: number;
  /** Whether an address is ours. */
  isOurs(address: number): boolean;
}

/** What was found in the options of a packet. */
export const OnWay = { Nothing: 0, Alert: 1, SourceRoute: 2, Full: 3 } as const;
export type OnWay = (typeof OnWay)[keyof typeof OnWay];

/**
 * Reads the options of a sound packet that is on its way, and writes our address and the time where it asks for them. `SourceRoute` and `Full`
 * (a timestamp option that cannot count any more who had no room) end its way.
 */
export function recordOnWay(packet: Ipv4Packet, recorder: Recorder): OnWay {
  const { frame, offset, headerLength } = packet;
  if (packet.isOnRoute) return OnWay.SourceRoute;
  const { view } = frame.slab;
  const end = offset + headerLength;
  let found: OnWay = OnWay.Nothing;
  for (let at = offset + IPV4_HEADER; at < end; ) {
    const type = view.getUint8(at);
    if (type === Ipv4OptionType.End) break;
    const length = type === Ipv4OptionType.Nop ? 1 : view.getUint8(at + 1);
    if (type === Ipv4OptionType.RouterAlert) found = OnWay.Alert;
    if (type === Ipv4OptionType.RecordRoute) recordRoute(view, at, length, recorder.address);
    if (type === Ipv4OptionType.Timestamp && !stamp(view, at, length, recorder)) return OnWay.Full;
    at += length;
  }
  refreshIpv4Checksum(view, offset);
  return found;
}

function recordRoute(view: DataView, at: number, length: number, address: number): void {
  if (length < ROUTE) return;
  const pointer = view.getUint8(at + POINTER);
  // The room, if there is any, is behind the pointer.
  if (pointer < FIRST + ROUTE || pointer + WORD > length + FIRST) return;
  view.setUint32(at + pointer - FIRST, address);
  view.setUint8(at + POINTER, pointer + WORD);
}

/** False if it overflows. */
function stamp(view: DataView, at: number, length: number, recorder: Recorder): boolean {
  if (length < STAMPS) return true;
  const pointer = view.getUint8(at + POINTER);
  const field = view.getUint8(at + OVERFLOW_FLAG);
  const flag = field & 0xf;
  const hasAddress = flag === WITH_ADDRESSES || flag === PRESPECIFIED;
  if (pointer < FIRST + STAMPS || (!hasAddress && flag !== ONLY_TIMES)) return true;
  const size = hasAddress ? 2 * WORD : WORD;
  if (pointer + size > length + FIRST) {
    // Of prespecified stations those that found no room are none of ours.
    if (flag === PRESPECIFIED) return true;
    if (field >>> 4 === MOST_OVERFLOW) return false;
    view.setUint8(at + OVERFLOW_FLAG, field + 0x10);
    return true;
  }
  const place = at + pointer - FIRST;
  if (flag === PRESPECIFIED && !recorder.isOurs(view.getUint32(place))) return true;
  if (flag === WITH_ADDRESSES) view.setUint32(place, recorder.address);
  // Milliseconds since midnight UT.
  view.setUint32(place + size - WORD, Math.floor(recorder.now) % DAY);
  view.setUint8(at + POINTER, pointer + size);
  return true;
}

/** Why a packet whose options say so goes no further. */
export function reasonOf(found: OnWay): DropReason {
  return found === OnWay.SourceRoute ? DropReason.Ipv4SourceRouted : DropReason.Ipv4BadOptions;
}
