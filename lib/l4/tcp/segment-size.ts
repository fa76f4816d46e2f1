/** How much goes into a segment (RFC 9293 3.7.4, 3.8.6.2): what is full, what is better to wait for. */

import { MAX_SACK_BLOCKS } from '../../wire/tcp-options.js';
import type { Connection } from './connection.js';
import { headersOf } from './mss.js';
import { isBetween } from './seq.js';
import { isSynchronised } from './state.js';

// Two NOPs, kind and length; and each block.
const SACK_HEADER = 4;
const SACK_BLOCK = 8;
// Windows up to this are filled by one segment, and segments are never cut below that (as with Linux).
const WHOLE_WINDOW = 536;
const LEAST_FOR_WINDOW = 48;
// An IP packet without the options of TCP.
const MAX_PACKET = 0xffff - 40;

/** Bytes that were written and never sent. */
export function unsentBytes(c: Connection): number {
  const { queue, snd } = c;
  if (queue.length === 0) return 0;
  const inFlight = (snd.nxt - snd.una) | 0;
  return queue.length - inFlight + (c.finSent || isSynInFlight(c) ? 1 : 0);
}

/** Whether our SYN is still to be acknowledged, which takes a sequence number. */
export function isSynInFlight({ snd, state }: Connection): boolean {
  return snd.una === snd.iss && !isSynchronised(state);
}

/** Payload of a full segment now: blocks that are to be told take their room (RFC 2018 3). */
export function fullSize(c: Connection): number {
  const { reassembly, snd } = c;
  const mss = snd.maxWnd < 2 * snd.mss ? sizeForWindow(c) : snd.mss;
  if (reassembly === undefined || !c.sackPermitted || !reassembly.hasBlocks) return mss;
  const blocks = Math.min(reassembly.blockCount, c.ts.on ? MAX_SACK_BLOCKS - 1 : MAX_SACK_BLOCKS);
  return Math.max(1, mss - SACK_HEADER - SACK_BLOCK * blocks);
}

/** A full segment for a peer whose windows are small: no more than half of the largest, unless that is very small (as with Linux). */
function sizeForWindow({ config, snd }: Connection): number {
  const { maxWnd, mss } = snd;
  if (!config.halfWindowSegments || maxWnd === 0) return mss;
  return Math.min(mss, Math.max(LEAST_FOR_WINDOW, maxWnd > WHOLE_WINDOW ? maxWnd >>> 1 : maxWnd));
}

/** Payload of the next segment, or -1 if it is better to wait (RFC 9293 3.7.4, 3.8.6.2.1). */
export function sizeOfNext(c: Connection, unsent: number, usable: number, full: number, finDue: boolean): number {
  const { snd, sent } = c;
  const length = Math.min(unsent, full);
  const room = c.congestion.cwnd - sent.pipe - withheld(c);
  if (room < length && sent.pipe > 0) return -1;
  if (usable < length) {
    // Less than what there is to send: only if that is much for this receiver, and nothing is in flight that may open the window.
    return sent.head === undefined && 2 * usable >= snd.maxWnd ? usable : -1;
  }
  if (length === full || finDue) return length;
  return isRestWorthIt(c, sent.head !== undefined) ? length : -1;
}

/** Whether the last bytes of what was written go out though they do not fill a segment. @param inFlight whether others are */
function isRestWorthIt(c: Connection, inFlight: boolean): boolean {
  const { snd } = c;
  if (snd.up !== undefined) return true;
  if (c.settings !== undefined && (c.settings.corked || c.settings.more)) return false;
  // Nagle's algorithm, Minshall's variant: one small segment in flight at a time.
  return c.noDelay || !inFlight || !isBetween(snd.smallEnd, (snd.una + 1) | 0, snd.nxt);
}

/** Without limited transmit (RFC 3042): what duplicates show to have arrived makes no room as long as no loss is known. */
function withheld({ config, recovery, sent }: Connection): number {
  return config.limitedTransmit || recovery.state !== 'disorder' ? 0 : sent.sackedBytes + sent.assumed;
}

/**
 * Payload of what begins with a full segment that may go out now, and may be a super-segment: as many more as the windows, the pace and an IP
 * packet have room for, and the rest at the end if it need not wait. These are the segments that would go out one by one.
 *
 * @param unsent bytes that wait to be sent @param usable bytes that the peer's window has room for @param full payload of a full segment
 */
export function sizeOfBurst(c: Connection, unsent: number, usable: number, full: number, finDue: boolean): number {
  const { congestion, sent, host, pacer } = c;
  let room = Math.min(usable, congestion.cwnd - sent.pipe, MAX_PACKET - headersOf(c));
  if (pacer !== undefined) room = Math.min(room, pacer.burst(host.now, full));
  if (unsent > room) return Math.max(full, room - (room % full));
  const rest = unsent % full;
  return rest === 0 || finDue || isRestWorthIt(c, true) ? unsent : unsent - rest;
}

/** Whether segments may be left to the device to cut: only if those to come are alike, and all is well, so that none needs an account of its own. */
export function mayBurst(c: Connection): boolean {
  if (!c.leavesCutting || c.snd.up !== undefined || c.reassembly?.hasBlocks === true) return false;
  const { recovery, sent, ecn } = c;
  if ((recovery.state !== 'open' && recovery.state !== 'cwr') || !sent.isCalm) return false;
  // Of a super-segment only the first segment says CWR, which is a bit of the counter there.
  return ecn?.accurate?.setsCwr !== true;
}
