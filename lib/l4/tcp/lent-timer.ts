/** A timer of the host's that a connection has only while it is armed: idle connections, of which there may be very many, have none. */

import type { Timer, Timers } from '../../core/timers.js';
import type { Connection } from './connection.js';

/** One such timer, for one purpose. Recycled. */
export class LentTimer {
  readonly timer: Timer;
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
  }
}
