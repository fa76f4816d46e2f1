/** Sums of counters. */

import type { Counters } from './messages.js';

/** Adds numbers that stand at the same place in two records; what is no number counts as nothing. */
export function addCounters(one: Counters, other: Counters): Counters {
  const sum: Record<string, number | Counters> = { ...one };
  for (const [name, value] of Object.entries(other)) {
    const before = sum[name];
    if (typeof value === 'number') sum[name] = value + (typeof before === 'number' ? before : 0);
    else if (typeof value === 'object' && value !== null)
      sum[name] = addCounters(typeof before === 'object' ? before : {}, value);
  }
  return sum;
}
