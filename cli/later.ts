/** Waiting by the clock of a host. */

import type { Env } from '../lib/core/env.js';

/** Resolves after so many milliseconds. */
export function later(env: Env, milliseconds: number): Promise<void> {
  return new Promise((resolve) => env.timers.timer(resolve).arm(env.timers.now() + milliseconds));
}
