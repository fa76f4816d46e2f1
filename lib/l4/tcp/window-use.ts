/**
 * Whether the congestion window is what limits sending (RFC 7661 4.1, RFC 9438 5.8): only then may it grow. A flight is judged as a whole, by
 * the most that was out in it, as with Linux: while it is acknowledged less and less of it is in flight, and that is nobody's idleness.
 */

import type { Connection } from './connection.js';
import { before } from './seq.js';

/** The use of one connection's congestion window while something is in flight. */
export class WindowUse {
  /** The window was full in this flight; and the most that was sent and not acknowledged, in bytes. */
  private full = false;
  private most = 0;
  /** SND.NXT when that was seen: the flight lasts until it is acknowledged. */
  private end = 0;

  /** A first flight begins at SND.UNA. */
  begin(una: number): void {
    this.full = false;
    this.most = 0;
    this.end = una;
  }

  /** Segments were sent, or could not be. */
  note(c: Connection, full: boolean): void {
    const { una, nxt } = c.snd;
    const out = (nxt - una) | 0;
    if (before(una, this.end) && !full && (this.full || out <= this.most)) return;
    this.full = full;
    this.most = out;
    this.end = nxt;
  }

  /** Whether the window may grow: in slow start half of it has to be used, since it doubles. */
  isLimiting(cwnd: number, ssthresh: number): boolean {
    return this.full || (cwnd < ssthresh && cwnd < 2 * this.most);
  }
}
