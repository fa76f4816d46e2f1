/**
 * Looking again and again for a while after traffic, instead of going to sleep at once: what comes then need not wait for this process to be
 * woken up. Each turn ends with a way through the event loop, so that timers and all other work have theirs.
 */

import { performance } from 'node:perf_hooks';

/** Looks within one turn. */
const LOOKS = 8;

/** See the module. */
export class BusyPoll {
  private readonly milliseconds: number;
  private readonly look: () => boolean;
  private until = 0;
  private immediate: NodeJS.Immediate | undefined = undefined;
  private readonly onTurn = (): void => this.turn();

  /** @param look looks for traffic, and says whether there was some; it must not throw */
  constructor(microseconds: number, look: () => boolean) {
    this.milliseconds = microseconds / 1000;
    this.look = look;
  }

  /** There was traffic: looks on from now. */
  extend(): void {
    if (this.milliseconds === 0) return;
    this.until = performance.now() + this.milliseconds;
    this.immediate ??= setImmediate(this.onTurn);
  }

  /** Stops, for good if `extend` is not called any more. */
  stop(): void {
    if (this.immediate !== undefined) clearImmediate(this.immediate);
    this.immediate = undefined;
  }

  private turn(): void {
    this.immediate = undefined;
    for (let i = 0; i < LOOKS; i++) {
      // Traffic has extended it, unless it has ended it.
      if (this.look()) return;
    }
    if (performance.now() < this.until) this.immediate ??= setImmediate(this.onTurn);
  }
}
