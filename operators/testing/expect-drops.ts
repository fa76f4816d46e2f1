import { dropReasonName, dropReasonOf } from '../../lib/core/drops.js';
import { UsageError } from '../../lib/core/errors.js';
import type { TimelineEntry } from './diff.js';
import { type Legend, marbleEvents, marblesEnd } from './marbles.js';
import type { TestRun } from './test-run.js';

/** Waits for the diagram of what is dropped. */
export interface DropExpectation {
  /**
   * @param legend names of drop reasons
   * @throws UsageError `ERR_INVALID_OPTION` for a name that no reason has
   */
  toBe(marbles: string, legend?: Legend<string>): void;
}

/** Watches the drops of the run's environment. They have no end: a diagram of them has neither `|` nor `#`. */
export function expectDrops(run: TestRun): DropExpectation {
  const said = run.open('expectDrops');
  const actual: TimelineEntry[] = [];
  run.subscriptions.add(
    run.env.drops.observe(({ reason }) => {
      actual.push({ time: run.now(), text: dropReasonName(reason) });
    }),
  );
  return {
    toBe(marbles, legend = {}) {
      said();
      for (const name of Object.values(legend)) {
        if (dropReasonOf(name) === undefined) {
          throw new UsageError('ERR_INVALID_OPTION', `no drop reason is called '${name}'`);
        }
      }
      const expected = marbleEvents(marbles, legend).map((event) => ({
        time: event.time,
        text: event.kind === 'next' ? event.value : event.kind,
      }));
      run.lastUntil(marblesEnd(marbles));
      run.check(() => ({ subject: 'drops', expected, actual }));
    },
  };
}
