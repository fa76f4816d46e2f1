/** The clock and timers of any scheduler, as protocol machines see them. */

import type { SchedulerLike } from 'rxjs';
import type { Timers } from '../../lib/core/timers.js';
import { TimerWheel } from './timer-wheel.js';

const wheels = new WeakMap<SchedulerLike, TimerWheel>();

function isTimers(scheduler: SchedulerLike): scheduler is SchedulerLike & Timers {
  return 'timer' in scheduler && typeof scheduler.timer === 'function';
}

/** The scheduler itself where it offers timers (`TimerWheel`, `SimulationScheduler`), else the one wheel that turns on it. */
export function timersOf(scheduler: SchedulerLike): Timers {
  if (isTimers(scheduler)) return scheduler;
  let wheel = wheels.get(scheduler);
  if (wheel === undefined) wheels.set(scheduler, (wheel = new TimerWheel(scheduler)));
  return wheel;
}
