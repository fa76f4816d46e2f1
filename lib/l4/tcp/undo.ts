/**
 * Which recoveries were for nothing, because what seemed lost had only been late: all that was sent again is reported to have come twice
 * (D-SACK, RFC 3708), or an acknowledgment echoes a timestamp older than the first retransmission (Eifel, RFC 3522, RFC 4015).
 */

import type { Connection } from './connection.js';
import { isBetween, latest } from './seq.js';

/** What is needed to find out, for one connection; made with the first recovery. */
export class Undo {
  /** A reduction of the window may yet turn out to be for nothing. */
  active = false;
  /** There is a window to go back to: not where the network's marks, too, asked for a smaller one. */
  private restorable = false;
  /** SND.UNA when it began, and the end of what was sent again. */
  private marker = 0;
  private end = 0;
  /** What was sent again and not reported as duplicate; -1 if nothing was sent again yet. */
  private open = 0;
  /** The value of our timestamp clock at the first retransmission of the episode. */
  private stamp = 0;
  private stamped = false;

  /** A recovery begins. @param underWay segments that were sent again before */
  begin(c: Connection, underWay: number, restorable: boolean): void {
    const { una, nxt } = c.snd;
    this.active = true;
    this.restorable = restorable;
    this.marker = una;
    // Which segments are under way again is not known.
    this.end = underWay > 0 ? nxt : una;
    this.open = underWay > 0 ? underWay : -1;
    if (underWay === 0) this.stamped = false;
  }

  /** A segment, which ends at `end`, is sent again. @param stamp what our timestamp clock says */
  resent(end: number, stamp: number): void {
    if (!this.stamped) this.stamp = stamp | 0;
    this.stamped = true;
    this.end = latest(this.end, end);
    this.open = Math.max(0, this.open) + 1;
  }

  /** The peer got as many segments, up to `end`, twice: those that were sent again, if they lie among them. */
  duplicated(segments: number, end: number): void {
    if (!this.active || this.open <= 0 || !isBetween(end, (this.marker + 1) | 0, this.end)) return;
    this.open = Math.max(0, this.open - segments);
  }

  /** There is no window to go back to any more. */
  forbid(): void {
    this.restorable = false;
  }

  /** No more is known to be sent again. */
  forget(): void {
    this.stamped = false;
  }

  /** Everything that was sent again came twice. */
  get isRefuted(): boolean {
    return this.active && this.open === 0;
  }

  /** The peer echoes what was sent before the first retransmission. @param echo TSecr, 0 for none */
  isLate(echo: number): boolean {
    return this.active && this.stamped && echo !== 0 && ((echo - this.stamp) | 0) < 0;
  }

  /** Takes the reduction back, or ends it where there is no window to go back to. */
  apply(c: Connection): void {
    const { recovery } = c;
    this.active = false;
    c.host.counters.spuriousRecoveries++;
    if (this.restorable) {
      c.congestion.undo(c.host.now);
      if (c.ecn !== undefined) c.ecn.owesCwr = false;
    } else if (recovery.isRepairing) recovery.endReduction(c);
    recovery.rack?.again();
  }
}
