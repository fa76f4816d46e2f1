/** Makes the queue that a wire's options ask for. */

import { UsageError } from '../../core/errors.js';
import { CoDel, type CoDelOptions } from './codel.js';
import { DropTail, type DropTailOptions } from './drop-tail.js';
import type { Queue, QueueOwner } from './queue.js';
import { Red, RED_MAX, RED_MIN, type RedOptions } from './red.js';

/** A queue in front of a wire of limited rate: drop-tail, random early detection, or controlled delay. */
export type QueueOptions = DropTailOptions | RedOptions | CoDelOptions;

function bad(key: string, value: unknown): UsageError {
  return new UsageError('ERR_INVALID_OPTION', `queue.${key} cannot be ${String(value)}`);
}

/** @throws UsageError `ERR_INVALID_OPTION` */
export function checkQueue(options: QueueOptions): void {
  const { kind, ecn: _, ...rest } = { ecn: false, ...options };
  if (kind !== 'drop-tail' && kind !== 'red' && kind !== 'codel') throw bad('kind', kind);
  for (const [key, value] of Object.entries(rest)) {
    if (typeof value === 'number' && !(value >= 0)) throw bad(key, value);
  }
  if (options.kind === 'codel' && options.interval === 0) throw bad('interval', 0);
  if (options.kind !== 'red') return;
  const { min = RED_MIN, max = RED_MAX, probability = 0, weight = 1 } = options;
  if (!(max > min)) throw bad('max', max);
  if (probability > 1) throw bad('probability', probability);
  if (!(weight > 0 && weight <= 1)) throw bad('weight', weight);
}

export function queueOf(options: QueueOptions, owner: QueueOwner): Queue {
  switch (options.kind) {
    case 'drop-tail':
      return new DropTail(owner, options);
    case 'red':
      return new Red(owner, options);
    case 'codel':
      return new CoDel(owner, options);
  }
}
