/** The receive window: which segments fall into it, and what is advertised of it (RFC 9293 3.8.6, 3.10.7.4). */

import type { Connection } from './connection.js';
import { after, before } from './seq.js';

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

/**
 * The window field for a segment that is about to be sent, and from then on promised. The right edge moves only by worthwhile steps
 * (silly-window avoidance, RFC 9293 MUST-39) and never to the left (SHLD-14).
 */
export function advertiseWindow(c: Connection): number {
  const { rcv } = c;
  let window = receiveWindow(c);
  const free = freeSpace(c);
  if (free - window >= worthwhile(c)) window = free;
  const field = Math.min(0xffff, window >>> rcv.scale);
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
  const offer = Math.min(0xffff, freeSpace(c) >>> c.rcv.scale) << c.rcv.scale;
  return offer - window >= worthwhile(c) && offer >= 2 * window;
}

/** The window that an acknowledgment would have now. */
export function offer(c: Connection): number {
  const window = receiveWindow(c);
  const free = freeSpace(c);
  return free - window >= worthwhile(c) ? free : window;
}

function freeSpace(c: Connection): number {
  return Math.max(0, c.receiveBuffer - c.received.length);
}

function worthwhile(c: Connection): number {
  return Math.max(1, Math.min(c.receiveBuffer >>> 1, c.mssOffered));
}

/** Takes over the window that an acknowledgment states, unless a later segment has stated one (SND.WL1, SND.WL2). */
export function updateSendWindow(c: Connection, seq: number, ack: number, field: number): boolean {
  const { snd } = c;
  if (after(snd.wl1, seq) || (snd.wl1 === seq && before(ack, snd.wl2))) return false;
  const window = field << snd.scale;
  const changed = window !== snd.wnd;
  snd.wnd = window;
  snd.wl1 = seq;
  snd.wl2 = ack;
  if (window > snd.maxWnd) snd.maxWnd = window;
  return changed;
}
