/**
 * Everything that a part of the stack takes from outside: time, chance, memory and the account of drops. Operator factories
 * take it as their last argument, so that the same code runs on the wall clock, in a marble test and in the simulator.
 */

import type { SchedulerLike } from 'rxjs';
import type { Drops } from './drops.js';
import type { FramePool } from './frame.js';
import type { Random } from './random.js';
import type { Timers } from './timers.js';

/** The outside of a stack. Make one with `environment()` of the operators. */
export interface Env {
  /** Where operators schedule what is not a protocol timer. */
  readonly scheduler: SchedulerLike;
  /** The clock and the timers of the same scheduler, as protocol machines see them. */
  readonly timers: Timers;
  readonly random: Random;
  readonly drops: Drops;
  readonly pool: FramePool;
}
