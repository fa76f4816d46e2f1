/**
 * Which bytes of a frame are its packet, for those who look at packets whole wherever they stand: captures, filters, traces. A bare frame is its
 * range. A view, whose range layers have narrowed, is of the whole packet that came: from the link header on where there was one, with its padding.
 */

import type { Medium } from '../core/device.js';
import { type Frame, NOT_PARSED } from '../core/frame.js';

/** Offset of the packet's first byte. */
export function packetStart(frame: Frame, isView: boolean): number {
  if (!isView) return frame.start;
  if (frame.link !== NOT_PARSED) return frame.link;
  return frame.network !== NOT_PARSED ? frame.network : frame.start;
}

/** Offset behind the packet's last byte. */
export function packetEnd(frame: Frame, isView: boolean): number {
  const { end, wholeEnd } = frame;
  if (!isView || (frame.link === NOT_PARSED && frame.network === NOT_PARSED)) return end;
  return wholeEnd > end ? wholeEnd : end;
}

/** Whether what starts at that offset is an IP header; else it is a link header. */
export function startsAtIp(frame: Frame, start: number): boolean {
  if (start === frame.link) return false;
  return start === frame.network || frame.device?.medium === 'ip';
}

/** What starts at that offset: as of a device of which medium. */
export function mediumAt(frame: Frame, start: number): Medium {
  if (startsAtIp(frame, start)) return 'ip';
  return start !== frame.link && frame.device?.medium === 'ergot' ? 'ergot' : 'ethernet';
}
