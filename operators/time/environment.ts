/** Makes the `Env` that operators take as their last argument. */

import { asyncScheduler, type SchedulerLike } from 'rxjs';
import { Drops } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import { FramePool } from '../../lib/core/frame.js';
import { type Random, SeededRandom, SystemRandom } from '../../lib/core/random.js';
import { TimerWheel } from './timer-wheel.js';
import { timersOf } from './timers-of.js';

/** Options of {@link environment}. */
export interface EnvironmentOptions {
  /** Any RxJS scheduler, whose `now()` is the clock. Default: a {@link TimerWheel} on the wall clock. */
  readonly scheduler?: SchedulerLike;
  /** Makes every run the same: `random` is then a `SeededRandom`. Never in production: sequence numbers could be guessed. */
  readonly seed?: number;
  /** Where chance comes from, unless there is a seed. Default: the platform's cryptographic generator. */
  readonly random?: Random;
  /** Where drops are counted. Default: an account of this environment's own. */
  readonly drops?: Drops;
  /** Where frames come from. Default: a pool of this environment's own. */
  readonly pool?: FramePool;
}

/**
 * Makes an environment of its own: separate drop counters, frames, timers.
 *
 * @example
 * const scheduler = new SimulationScheduler();
 * const env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
 *
 * @throws UsageError `ERR_INVALID_OPTION` where both `seed` and `random` are given
 */
export function environment(options: EnvironmentOptions = {}): Env {
  const { seed, random } = options;
  if (seed !== undefined && random !== undefined) {
    throw new UsageError('ERR_INVALID_OPTION', 'give either a seed or a random, not both');
  }
  const scheduler = options.scheduler ?? new TimerWheel(asyncScheduler);
  return {
    scheduler,
    timers: timersOf(scheduler),
    random: seed === undefined ? (random ?? new SystemRandom()) : new SeededRandom(seed),
    drops: options.drops ?? new Drops(),
    pool: options.pool ?? new FramePool(),
  };
}

let shared: Env | undefined;

/** The environment of operators that were given none: the wall clock, made when first asked for, shared from then on. */
export function defaultEnvironment(): Env {
  return (shared ??= environment());
}
