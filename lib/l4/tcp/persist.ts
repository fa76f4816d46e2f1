/** Probing a window that is shut, or too small to be worth a segment (RFC 9293 3.8.6.1 and 3.8.6.2.1). */

import type { Connection } from './connection.js';
import { sendProbe } from './emit.js';
import { isTooEarly } from './pacing.js';
import { sendForced } from './send.js';

/** Time until the next probe: the retransmission timeout, doubled per probe (SHLD-29, SHLD-30). */
export function persistInterval(c: Connection): number {
  return Math.min(c.config.maxRto, c.rtt.rto * 2 ** Math.min(c.probes, 30));
}

/** How often data are sent again, or a shut window is probed without an answer: less where nobody waits for it. */
export function retriesOf(c: Connection): number {
  const { dataRetries, orphanRetries } = c.config;
  return c.abandoned ? Math.min(orphanRetries, dataRetries) : dataRetries;
}

/**
 * Whether a peer that answers but takes nothing is waited for no longer: as with Linux, once nobody waits for it, and probes are as far apart
 * as they get. Otherwise its answers are enough.
 */
export function isGivenUp(c: Connection): boolean {
  return c.abandoned && persistInterval(c) >= c.config.maxRto;
}

/** The persist timer fired. */
export function onPersistTimer(c: Connection): void {
  const { now, counters } = c.host;
  const usable = (c.snd.una + c.snd.wnd - c.snd.nxt) | 0;
  if (usable > 0) {
    // The override timer of silly-window avoidance: a small window is better than none. It does not override pacing.
    if (isTooEarly(c)) c.timers.armPersist();
    else sendForced(c, usable);
    return;
  }
  const limit = retriesOf(c);
  if (c.timers.isLate || c.unanswered >= limit || (c.probes >= limit && isGivenUp(c))) {
    counters.timedOut++;
    c.terminate(c.softError ?? 'ETIMEDOUT');
    return;
  }
  // MUST-37: only unanswered probes count against the peer.
  c.unanswered++;
  if (c.probes++ === 0) c.unansweredSince = now;
  counters.windowProbes++;
  // First: the way out may throw.
  c.timers.armRetransmit();
  sendProbe(c);
}
