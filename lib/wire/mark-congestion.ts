/** Marking packets that a congested queue would otherwise drop (RFC 3168 5), in place, in frames of any link. */

import type { Medium } from '../core/device.js';
import { type Frame, NOT_PARSED } from '../core/frame.js';
import { updateChecksum } from './checksum.js';
import { Ecn } from './ip.js';
import { IPV4_HEADER } from './ipv4.js';
import { networkOffset } from './network-offset.js';

const CHECKSUM = 10;
const ECN_MASK = 3;
// IPv6: version, 8 bits of traffic class, flow label (RFC 8200 3); the ECN field is the class's lower two bits.
const IPV6_ECN_SHIFT = 4;

/** Where the 16 bits start that hold a packet's ECN field in their lower bits, after `shift` others; or `undefined`. */
function ecnWord(frame: Frame, medium: Medium): { readonly at: number; readonly shift: number } | undefined {
  const at = networkOffset(frame, medium);
  if (at === NOT_PARSED || frame.end - at < IPV4_HEADER) return undefined;
  const version = frame.slab.view.getUint8(at) >>> 4;
  if (version === 4) return { at, shift: 0 };
  return version === 6 ? { at, shift: IPV6_ECN_SHIFT } : undefined;
}

/** Whether the packet's ends understand marks: ECT(0), ECT(1), or marked already (RFC 3168 5). */
export function isEcnCapable(frame: Frame, medium: Medium): boolean {
  const word = ecnWord(frame, medium);
  if (word === undefined) return false;
  return ((frame.slab.view.getUint16(word.at) >>> word.shift) & ECN_MASK) !== Ecn.NotEct;
}

/**
 * Sets Congestion Experienced in a packet that {@link isEcnCapable}, and corrects IPv4's checksum by what changed (RFC 1624); an
 * incomplete transport checksum stays as it is, since the field is in no pseudo-header. The caller may change the frame's bytes.
 */
export function markCongestion(frame: Frame, medium: Medium): void {
  const word = ecnWord(frame, medium);
  if (word === undefined) return;
  const { at, shift } = word;
  const { view } = frame.slab;
  const before = view.getUint16(at);
  const after = before | (Ecn.Ce << shift);
  view.setUint16(at, after);
  if (shift !== 0) return;
  view.setUint16(at + CHECKSUM, updateChecksum(view.getUint16(at + CHECKSUM), before, after));
}
