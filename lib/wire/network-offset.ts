/** Where the IP header of a frame is, whatever its link. */

import type { Medium } from '../core/device.js';
import { type Frame, NOT_PARSED } from '../core/frame.js';
import { ETHERNET_HEADER, EtherType } from './ethernet.js';
import { isVlanType, VLAN_TAG } from './vlan.js';

const MOST_TAGS = 2;

/**
 * Offset of the IP header of a frame that starts as frames of its medium do, behind at most two VLAN tags; `NOT_PARSED` where there is
 * none. Nothing behind the EtherType has been looked at: the header itself may be cut off.
 */
export function networkOffset(frame: Frame, medium: Medium): number {
  if (medium === 'ip') return frame.start;
  if (medium === 'ergot') return NOT_PARSED;
  const { view } = frame.slab;
  let at = frame.start + ETHERNET_HEADER;
  for (let tags = 0; tags <= MOST_TAGS && at <= frame.end; tags++, at += VLAN_TAG) {
    const type = view.getUint16(at - 2);
    if (type === EtherType.Ipv4 || type === EtherType.Ipv6) return at;
    if (!isVlanType(type)) return NOT_PARSED;
  }
  return NOT_PARSED;
}

/**
 * Offset of the IP header of a frame, whether layers have read it yet or not; `NOT_PARSED` where there is none. A frame that no layer has
 * read starts as those of its device do, or as Ethernet's where it has none.
 */
export function ipOffset(frame: Frame): number {
  if (frame.network !== NOT_PARSED) return frame.network;
  return networkOffset(frame, frame.device?.medium ?? 'ethernet');
}
