/** Which packets are not taken to another link, whatever the routes say (RFC 1812 5.3, RFC 3927 7, RFC 4007 9, RFC 6890). */

import { IPV4_DESTINATION, IPV4_SOURCE } from '../wire/ipv4.js';
import { IPV6_SOURCE } from '../wire/ipv6.js';

/** 169.254.0.0/16 (RFC 3927). */
const LINK_LOCAL4 = 0xa9fe;
/** fe80::/10. */
const LINK_LOCAL6 = 0x3fa;
const MAPPED = 0xffff;

/**
 * Whether the sender of the IPv4 packet whose header is at `at` is none that a packet from elsewhere can have, or one of its ends has an
 * address of one link. That destinations are of hosts was found out before.
 */
export function staysOnLink4(view: DataView, at: number): boolean {
  const source = view.getUint16(at + IPV4_SOURCE);
  const top = source >>> 8;
  if (top === 0 || top === 127 || top >= 224) return true;
  return source === LINK_LOCAL4 || view.getUint16(at + IPV4_DESTINATION) === LINK_LOCAL4;
}

/** The same for IPv6: unspecified, loopback, mapped and group addresses send nothing to elsewhere (RFC 4291 2.5, 2.7). */
export function staysOnLink6(view: DataView, at: number): boolean {
  const from = at + IPV6_SOURCE;
  const a = view.getInt32(from);
  if (a >>> 24 === 0xff) return true;
  if (a !== 0 || view.getInt32(from + 4) !== 0) return false;
  const c = view.getInt32(from + 8);
  return c === MAPPED || (c === 0 && view.getUint32(from + 12) < 2);
}

/** Whether the source of the IPv6 packet at `at` is good on its link only: its sender is told (RFC 4443 3.1). */
export function isBeyondScope(view: DataView, at: number): boolean {
  return view.getUint16(at + IPV6_SOURCE) >>> 6 === LINK_LOCAL6;
}
