/**
 * Marks of congestion through a tunnel (RFC 6040): the outer header starts with the inner one's ECN field, and what routers on the way
 * wrote into it is carried over to the inner header at the end.
 */

import type { Frame } from '../core/frame.js';
import { updateChecksum } from './checksum.js';
import { Ecn } from './ip.js';
import { IPV4_HEADER } from './ipv4.js';

const CHECKSUM = 10;
const ECN_MASK = 3;
// IPv6: the traffic class is behind the version, in front of the flow label (RFC 8200 3).
const IPV6_SHIFT = 4;

/** Traffic class of the IP packet at `network`, 0 to 255; 0 where there is none. */
export function innerTrafficClass(frame: Frame, network: number): number {
  if (network < 0 || frame.end - network < IPV4_HEADER) return 0;
  const word = frame.slab.view.getUint16(network);
  const version = word >>> 12;
  if (version === 4) return word & 0xff;
  return version === 6 ? (word >>> IPV6_SHIFT) & 0xff : 0;
}

/**
 * What the ECN field of a packet becomes at the end of a tunnel (RFC 6040 figure 4); -1 where the packet is to be dropped, since it was
 * marked and its ends do not understand that.
 */
export function decapsulatedEcn(inner: number, outer: number): number {
  if (outer === Ecn.Ce) return inner === Ecn.NotEct ? -1 : Ecn.Ce;
  return inner === Ecn.Ect0 && outer === Ecn.Ect1 ? Ecn.Ect1 : inner;
}

/**
 * Carries the outer ECN field over to the IP packet at `network`, in place; IPv4's checksum is corrected by what changed (RFC 1624). The
 * caller may change the frame's bytes. Says whether the packet may go on.
 */
export function decapsulateEcn(frame: Frame, network: number, outer: number): boolean {
  if (network < 0 || frame.end - network < IPV4_HEADER) return true;
  const { view } = frame.slab;
  const before = view.getUint16(network);
  const version = before >>> 12;
  if (version !== 4 && version !== 6) return true;
  const shift = version === 4 ? 0 : IPV6_SHIFT;
  const inner = (before >>> shift) & ECN_MASK;
  const result = decapsulatedEcn(inner, outer);
  if (result < 0) return false;
  if (result === inner) return true;
  const after = (before & ~(ECN_MASK << shift)) | (result << shift);
  view.setUint16(network, after);
  if (version === 6) return true;
  view.setUint16(network + CHECKSUM, updateChecksum(view.getUint16(network + CHECKSUM), before, after));
  return true;
}
