/**
 * What stands between an Ethernet header and a frame of ergot, which does not know its own length: Ethernet pads what is short, and nothing in the frame
 * would say where it ends.
 *
 *     | EtherType 0x88b5 | protocol 0xe7 | version 1 | length (2) | frame ... | padding |
 *
 * The EtherType belongs to whoever experiments, so that protocol and version tell ours from others. The length is that of the frame, the more significant byte
 * first. Left out: fragments; a frame that does not fit is not sent.
 */

import { DropReason } from '../core/drops.js';
import type { Frame } from '../core/frame.js';

/** The first of the two types that IEEE 802 leaves to local experiments. */
export const ERGOT_ETHER_TYPE = 0x88b5;
/** Bytes of the shim. */
export const ERGOT_SHIM = 4;

/** Protocol and version. */
const MARK = 0xe701;
const LENGTH = 2;

/**
 * Pushes the shim in front of a frame.
 *
 * @throws UsageError `ERR_NO_HEADROOM`
 */
export function pushErgotShim(frame: Frame): void {
  const { length } = frame;
  const at = frame.push(ERGOT_SHIM);
  const { view } = frame.slab;
  view.setUint16(at, MARK);
  view.setUint16(at + LENGTH, length);
}

/** How long the frame behind a shim is said to be; `undefined` where there is no shim. */
export function shimmedLength(frame: Frame): number | undefined {
  const { view } = frame.slab;
  if (frame.length < ERGOT_SHIM || view.getUint16(frame.start) !== MARK) return undefined;
  return view.getUint16(frame.start + LENGTH);
}

/** Narrows a frame that begins with a shim to what is behind it, without padding; or says what is wrong with it, and leaves it as it is. */
export function popErgotShim(frame: Frame): DropReason | undefined {
  const available = frame.length - ERGOT_SHIM;
  if (available < 0) return DropReason.ErgotTruncated;
  const { view } = frame.slab;
  if (view.getUint16(frame.start) !== MARK) return DropReason.EthernetUnknownType;
  const length = view.getUint16(frame.start + LENGTH);
  if (length > available) return DropReason.ErgotTruncated;
  frame.start += ERGOT_SHIM;
  frame.end = frame.start + length;
  return undefined;
}
