/** Marble diagrams whose values are packets or drop reasons: when what is expected, and how long the diagram is. */

import { TestScheduler } from 'rxjs/testing';
import { UsageError } from '../../lib/core/errors.js';

/** What the letters of a diagram stand for. */
export type Legend<T> = Readonly<Record<string, T>>;

/** One event of a diagram, at a virtual time in milliseconds. */
export type MarbleEvent<T> =
  | { readonly time: number; readonly kind: 'next'; readonly value: T }
  | { readonly time: number; readonly kind: 'error' }
  | { readonly time: number; readonly kind: 'complete' };

/** The events of a diagram. @throws UsageError `ERR_INVALID_OPTION` for a letter that the legend lacks */
export function marbleEvents<T>(marbles: string, legend: Legend<T>): MarbleEvent<T>[] {
  return TestScheduler.parseMarbles(marbles, undefined, undefined, false, true).map(({ frame, notification }) => {
    if (notification.kind === 'E') return { time: frame, kind: 'error' };
    if (notification.kind === 'C') return { time: frame, kind: 'complete' };
    return { time: frame, kind: 'next', value: legendValue(legend, String(notification.value)) };
  });
}

function legendValue<T>(legend: Legend<T>, letter: string): T {
  const value = legend[letter];
  if (value === undefined) {
    throw new UsageError('ERR_INVALID_OPTION', `the legend does not say what '${letter}' is`);
  }
  return value;
}

/** The virtual time at which a diagram ends, its trailing dashes included. */
export function marblesEnd(marbles: string): number {
  const messages = TestScheduler.parseMarbles(`${marbles} z`, undefined, undefined, false, true);
  return messages.at(-1)?.frame ?? 0;
}
