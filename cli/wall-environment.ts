/** The environment of commands: the clock on the wall. */

import { performance } from 'node:perf_hooks';
import { asyncScheduler, type SchedulerAction, type SchedulerLike } from 'rxjs';
import type { Env } from '../lib/core/env.js';
import { environment } from '../operators/time/environment.js';
import { TimerWheel } from '../operators/time/timer-wheel.js';

/** RxJS's own clock counts whole milliseconds, which is too coarse for the way to a neighbour and back. */
const preciseScheduler: SchedulerLike = {
  now: () => performance.timeOrigin + performance.now(),
  schedule: <T>(work: (this: SchedulerAction<T>, state?: T) => void, delay?: number, state?: T) =>
    asyncScheduler.schedule(work, delay, state),
};

/** An environment of its own. */
export function wallEnvironment(): Env {
  return environment({ scheduler: new TimerWheel(preciseScheduler) });
}
