/** The receive window: which segments fall into it, and what is advertised of it (RFC 9293 3.8.6, 3.10.7.4). */

import type { Connection } from './connection.js';
import { after, before, latest } from './seq.js';
import { isSynchronised } from './state.js';

/** The acceptability test of RFC 9293 3.10.7.4 for a segment that occupies `span` sequence numbers. */
export function isAcceptable(seq: number, span: number, next: number, window: number): boolean {
  if (span === 0) return window === 0 ? seq === next : isWithin(seq, next, window);
  if (window === 0) return false;
  return isWithin(seq, next, window) || isWithin((seq + span - 1) | 0, next, window);
}

/** Whether `seq` is in the window of `window` bytes that starts at `next`. */
export function isWithin(seq: number, next: number, window: number): boolean {
  const distance = (seq - next) | 0;
  return distance >= 0 && distance < window;
}

/** Bytes from RCV.NXT to the furthest right edge that was ever advertised: what may still come. */
export function receiveWindow(c: Connection): number {
  const window = (c.rcv.edge - c.rcv.nxt) | 0;
  return window > 0 ? window : 0;
}

/** What may come now: what was promised, or, with FreeBSD's buffers, what there is room for even if no window field can say so. */
export function acceptedWindow(c: Connection): number {
  const window = receiveWindow(c);
  return c.config.wholeSegmentBuffers && isSynchronised(c.state) ? Math.max(window, freeSpace(c)) : window;
}

/**
 * The window field for a segment that is about to be sent, and from then on promised. The right edge moves only by worthwhile steps
 * (silly-window avoidance, RFC 9293 MUST-39) and never to the left (SHLD-14).
 */
export function advertiseWindow(c: Connection): number {
  const { rcv } = c;
  const field = scaled(c, offer(c));
  const edge = (rcv.nxt + (field << rcv.scale)) | 0;
  if (after(edge, rcv.edge)) rcv.edge = edge;
  return field;
}

/**
 * Whether reading has opened the window so far that the peer should hear of it now. Half of what the peer may still send is no news
 * worth a segment: the next acknowledgment will tell it.
 */
export function isUpdateDue(c: Connection): boolean {
  const window = receiveWindow(c);
  const free = freeSpace(c);
  // No field says more than one unit beyond it; that is what most reads find.
  if (free + (1 << c.rcv.scale) <= 2 * window) return false;
  const next = scaled(c, free) << c.rcv.scale;
  return next - window >= worthwhile(c) && next >= 2 * window;
}

/** The window that an acknowledgment would have now. */
export function offer(c: Connection): number {
  const window = receiveWindow(c);
  const free = freeSpace(c);
  const least = worthwhile(c);
  // Where windows are scaled they are large: any step will do, if what it leads to is worth a segment.
  return free - window >= (c.rcv.scale > 0 && free >= least ? 1 : least) ? free : window;
}

/**
 * The field for a window. Linux rounds up: the right edge does not move left then (RFC 7323 2.4), and the last byte of a buffer is a little
 * more than one. So must whoever has a buffer of less than one unit. But each rounding promises a little more, and what is promised has to
 * find room: where the buffer is full, what is left of the window is rounded down, and taken all the same.
 */
function scaled(c: Connection, window: number): number {
  const { scale } = c.rcv;
  const unit = 1 << scale;
  const most = c.receiveBuffer + unit - 1 - c.received.length;
  const up = (window + unit - 1) >>> scale;
  const roundsUp = c.config.receiveWindow === 'gradual' && up << scale <= most;
  return Math.min(0xffff, roundsUp || c.receiveBuffer < unit ? up : window >>> scale);
}

function freeSpace(c: Connection): number {
  return Math.max(0, Math.min(c.rcv.ssthresh, c.receiveBuffer - c.received.length));
}

function worthwhile(c: Connection): number {
  return Math.max(1, Math.min(Math.min(c.receiveBuffer, c.rcv.ssthresh) >>> 1, c.mssOffered));
}

/**
 * Takes over the window that an acknowledgment states, unless a later segment has stated one (SND.WL1, SND.WL2). One that acknowledges what was not
 * acknowledged is the latest, whatever it sends again (as with Linux): with the window from before, its right edge would move where the peer never said.
 */
export function updateSendWindow(c: Connection, seq: number, ack: number, field: number): boolean {
  const { snd } = c;
  if (!after(ack, snd.una) && (after(snd.wl1, seq) || (snd.wl1 === seq && before(ack, snd.wl2)))) return false;
  const window = field << snd.scale;
  const changed = window !== snd.wnd;
  snd.wnd = window;
  snd.wl1 = latest(snd.wl1, seq);
  snd.wl2 = ack;
  if (window > snd.maxWnd) snd.maxWnd = window;
  return changed;
}
