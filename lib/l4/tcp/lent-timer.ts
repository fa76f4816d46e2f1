/** A timer of the host's that a connection has only while it is armed: idle connections, of which there may be very many, have none. */

import type { Timer, Timers } from '../../core/timers.js';
import type { Connection } from './connection.js';

/** What is to be done about data in flight: retransmission timeout, tail loss probe, or a look at what is late. */
export type Purpose = 'timeout' | 'probe' | 'reordering';

/** One such timer. Recycled. */
export class LentTimer {
  readonly timer: Timer;
  /** What it is for, and when it is due for that, unless the user timeout comes before; -1 once it was put off. */
  purpose: Purpose = 'timeout';
  due = 0;
  private c: Connection | undefined = undefined;

  constructor(timers: Timers, fired: (c: Connection) => void) {
    this.timer = timers.timer(() => {
      if (this.c !== undefined) fired(this.c);
    });
  }

  /** From now on it is that of `c`. */
  lend(c: Connection): this {
    this.c = c;
    return this;
  }

  clear(): void {
    this.timer.cancel();
    this.c = undefined;
    this.purpose = 'timeout';
    this.due = 0;
  }
}
