/**
 * After a retransmission timeout: whether it was spurious (F-RTO, RFC 5682, the variant for selective acknowledgments, which serves others as
 * well), and if not, how long its repair lasts.
 */

import type { Connection } from './connection.js';
import type { Delivery } from './delivery.js';
import { unsentBytes } from './segment-size.js';
import { after, before } from './seq.js';

/** An acknowledgment while a timeout is repaired. Returns whether nothing more is to be found out from it. */
export function repairTimeout(c: Connection, delivery: Delivery): boolean {
  const { recovery, sent } = c;
  if (!undoTimeout(c, delivery) && !probeForSpurious(c, delivery)) {
    if (!before(c.snd.una, recovery.recover)) recovery.finish(c, delivery);
    else if (!c.sackPermitted && after(c.snd.nxt, recovery.recover)) recovery.countDuplicates(c, delivery);
    else if (delivery.advance > 0) recovery.assume(c, 0);
  }
  const underWay = sent.retransmittedCount;
  recovery.identify(c, delivery);
  // What was sent again and is lost once more is a loss of its own.
  return recovery.state === 'loss' && sent.retransmittedCount >= underWay;
}

/** Takes the timeout back if it was spurious; returns whether it did. */
function undoTimeout(c: Connection, delivery: Delivery): boolean {
  const { recovery, sent } = c;
  const { undo } = recovery;
  if (undo === undefined) return false;
  const refuted = delivery.advance > 0 && (undo.isRefuted || undo.isLate(delivery.echo));
  // RFC 5682 3.1, step 3 b: something came that was never sent again. Without SACK, a number that covers more than that does not tell.
  const late = recovery.frto && undo.active && delivery.original && (c.sackPermitted || !delivery.ambiguous);
  if (!refuted && !late) return false;
  sent.unmarkLost();
  undo.apply(c);
  c.host.counters.spuriousTimeouts++;
  c.retries = 0;
  recovery.frto = false;
  recovery.state = 'open';
  recovery.settle(c);
  return true;
}

/** RFC 5682 3.1, steps 2 and 3 a. Returns whether new data are to be sent to find out. */
function probeForSpurious(c: Connection, delivery: Delivery): boolean {
  const { recovery, snd } = c;
  if (!recovery.frto) return false;
  if (after(snd.nxt, recovery.recover)) {
    // The new data arrived, and what is missing did not: it is lost.
    if (delivery.sacked || delivery.duplicate) recovery.frto = false;
    return false;
  }
  if (delivery.advance === 0 || !before(snd.una, recovery.recover)) return false;
  if (unsentBytes(c) > 0 && after((snd.una + snd.wnd) | 0, snd.nxt)) {
    recovery.newFirst = true;
    return true;
  }
  recovery.frto = false;
  return false;
}
