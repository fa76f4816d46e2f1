/**
 * Tail loss probes (RFC 8985 7): where the end of a flight stays unacknowledged for two round-trip times, one segment is sent to draw an
 * acknowledgment, so that what is lost is repaired by selective acknowledgments long before the retransmission timeout.
 */

import type { Connection } from './connection.js';
import type { Delivery } from './delivery.js';
import { isProbe } from './plpmtud.js';
import { sendLossProbe } from './send.js';
import { after, before } from './seq.js';

// Added to two round-trip times, as with Linux: the grain of clocks.
const GRAIN = 2;

/** Time until the probe, or 0 where there is to be none. */
export function probeTimeout(c: Connection): number {
  const { recovery, rtt, sent, config } = c;
  if (!c.sackPermitted || !config.tlp || sent.head === undefined) return 0;
  if (recovery.state !== 'open' && recovery.state !== 'cwr') return 0;
  if (rtt.srtt < 0) return config.initialRto;
  // The peer may wait for a second segment (RFC 8985 7.2, WCDelAckT).
  return 2 * rtt.srtt + (sent.count === 1 ? config.minRto : GRAIN);
}

/** The probe is due: new data if the peer's window has room for it, else the last segment again (RFC 8985 7.3). */
export function onProbeTimer(c: Connection): void {
  const { recovery, sent, snd, timers } = c;
  const { tail } = sent;
  // First: the way out may throw.
  timers.rearm();
  if (recovery.tlp === 'none' && tail !== undefined && !isProbe(c, tail)) {
    const { nxt } = snd;
    recovery.tlp = 'new';
    if (sendLossProbe(c, tail)) {
      if (snd.nxt === nxt) recovery.tlp = 'again';
      recovery.tlpEnd = snd.nxt;
      c.host.counters.lossProbes++;
      timers.armRetransmit();
      return;
    }
    recovery.tlp = 'none';
  }
}

/** Whether the probe repaired a loss, which costs like any other (RFC 8985 7.4.2). */
export function probeAcknowledged(c: Connection, delivery: Delivery): void {
  const { recovery, snd } = c;
  if (before(snd.una, recovery.tlpEnd)) return;
  if (recovery.tlp === 'new' || delivery.probeDuplicated) recovery.tlp = 'none';
  else if (after(snd.una, recovery.tlpEnd)) {
    recovery.tlp = 'none';
    c.host.counters.lossProbeRecoveries++;
    recovery.reduceOnce(c);
  } else if (delivery.duplicate && !delivery.sacked) recovery.tlp = 'none';
}
