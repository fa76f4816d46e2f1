/**
 * Accepting connections only when their first data have come (`TCP_DEFER_ACCEPT`): a bare ACK of the SYN-ACK is not enough. The time is counted in
 * timeouts of the SYN-ACK, as with Linux: with the last of them it is sent again, and what then acknowledges it opens the connection.
 */

import type { Connection } from './connection.js';
import type { Segment } from './segment.js';
import type { Settings } from './settings.js';

/** How many timeouts of a SYN-ACK take `time` ms. */
function timeoutsWithin(time: number, initialRto: number, maxRto: number): number {
  let count = 1;
  let timeout = initialRto;
  for (let passed = timeout; time > passed && count < 255; count++) {
    timeout = Math.min(2 * timeout, maxRto);
    passed += timeout;
  }
  return count;
}

/** A segment acknowledges our SYN-ACK: whether the connection waits for data nevertheless. */
export function isDeferred(c: Connection, segment: Segment): boolean {
  const time = c.parent?.deferAccept ?? 0;
  if (time <= 0 || segment.span > 0) return false;
  const settings = c.ownSettings;
  const { initialRto, maxRto } = c.config;
  settings.deferrals ??= timeoutsWithin(time, initialRto, maxRto) - c.retries;
  return settings.deferrals > 0;
}

/** The SYN-ACK timed out: whether it is not to be sent again, since it was acknowledged. */
export function waitsForData(c: Connection, settings: Settings): boolean {
  if (c.state !== 'SYN-RECEIVED' || settings.deferrals === undefined) return false;
  settings.deferrals--;
  return settings.deferrals > 0;
}
