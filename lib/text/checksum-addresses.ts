/**
 * The addresses that checksums are computed of, where these are not the header's: of a packet that is on a source route, that of the last station,
 * and of one from a mobile node, its home address (RFC 1122 3.2.1.8, RFC 8200 8.1, RFC 6275 11.3.1).
 */

import { Ipv4OptionType, type Ipv4Packet } from '../wire/ipv4.js';
import { Ipv6OptionType } from '../wire/ipv6-extensions.js';

const ADDRESS = 16;
/** Bytes of a routing header from its type to its first address. */
const BEFORE_STATIONS = 6;
/** Types of routing headers that list whole addresses: the source route of RFC 2460, a home address (RFC 6275 6.4), segments (RFC 8754 2). */
const SOURCE_ROUTE = 0;
const HOME_ADDRESS = 2;
const SEGMENTS = 4;

/**
 * Offset of the last station that a routing header still leads to; `undefined` where there is none, `unknown` where the header does not tell its
 * address in full (RFC 6554, RFC 9631).
 *
 * @param from offset of the header's type
 * @param to offset behind the header
 */
export function lastStation(view: DataView, from: number, to: number): number | 'unknown' | undefined {
  if (to - from < 2 || view.getUint8(from + 1) === 0) return undefined;
  if (to - from < BEFORE_STATIONS + ADDRESS) return 'unknown';
  switch (view.getUint8(from)) {
    case SOURCE_ROUTE:
    case HOME_ADDRESS:
      return to - ADDRESS;
    case SEGMENTS:
      // The last station is the first one listed.
      return from + BEFORE_STATIONS;
    default:
      return 'unknown';
  }
}

/** Offset of the home address among the destination options between `from` and `to`, or `undefined`. */
export function homeAddress(view: DataView, from: number, to: number): number | undefined {
  for (let i = from; i < to; ) {
    const type = view.getUint8(i);
    const size = type === Ipv6OptionType.Pad1 ? 1 : i + 1 < to ? 2 + view.getUint8(i + 1) : to - i;
    if (type === Ipv6OptionType.HomeAddress && size === 2 + ADDRESS && i + size <= to) return i + 2;
    i += size;
  }
  return undefined;
}

/** The last address of a source route that is not at its end, or `undefined`. */
export function lastStop(packet: Ipv4Packet): number | undefined {
  for (const { type, data } of packet.options()) {
    const isRoute = type === Ipv4OptionType.LooseSourceRoute || type === Ipv4OptionType.StrictSourceRoute;
    // The pointer counts from the option's type byte, which is 1; addresses follow it.
    const [pointer = 0] = data;
    const isSound = data.length > 4 && data.length % 4 === 1;
    if (!isRoute || !isSound || pointer > data.length + 2) continue;
    return new DataView(data.buffer, data.byteOffset).getUint32(data.length - 4);
  }
  return undefined;
}
