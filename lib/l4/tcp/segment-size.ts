/** How much goes into a segment (RFC 9293 3.7.4, 3.8.6.2): what is full, what is better to wait for. */

import { MAX_SACK_BLOCKS } from '../../wire/tcp-options.js';
import type { Connection } from './connection.js';
import { after } from './seq.js';

// Two NOPs, kind and length; and each block.
const SACK_HEADER = 4;
const SACK_BLOCK = 8;
// Windows up to this are filled by one segment, and segments are never cut below that (as with Linux).
const WHOLE_WINDOW = 536;
const LEAST_FOR_WINDOW = 48;

/** Bytes that were written and never sent. */
export function unsentBytes(c: Connection): number {
  const inFlight = ((c.snd.nxt - c.snd.una) | 0) - (c.finSent ? 1 : 0);
  return c.queue.length - inFlight;
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
  if (length === full || finDue || c.snd.urgent) return length;
  if (c.settings !== undefined && (c.settings.corked || c.settings.more)) return -1;
  if (c.noDelay) return length;
  // Nagle's algorithm, Minshall's variant: one small segment in flight at a time.
  return sent.head !== undefined && after(snd.smallEnd, snd.una) ? -1 : length;
}

/** Without limited transmit (RFC 3042): what duplicates show to have arrived makes no room as long as no loss is known. */
function withheld({ config, recovery, sent }: Connection): number {
  return config.limitedTransmit || recovery.state !== 'disorder' ? 0 : sent.sackedBytes + sent.assumed;
}
