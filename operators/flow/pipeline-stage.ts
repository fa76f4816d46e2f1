/** Stages of a pipeline, as they are known outside of any subscription: a name, an operator, and the account of what it did. */

import type { MonoTypeOperatorFunction } from 'rxjs';
import { dropReasonName } from '../../lib/core/drops.js';
import { UsageError } from '../../lib/core/errors.js';
import { DELIVERED, type Frame, UNDER_WAY } from '../../lib/core/frame.js';
import type { Packet } from './packet.js';

/** A stage as it is given: its name, and what it does. A pipeline is an operator, too. */
export type StageSpec<P extends Packet> = readonly [name: string, operator: MonoTypeOperatorFunction<P>];

/**
 * What became of a packet: passed on; dropped, for a reason; taken (answered, learnt from, or replaced by another); held, to be passed on later;
 * or none of these, which is an error of the stage.
 */
export type Verdict = 'passed' | 'dropped' | 'taken' | 'held' | 'none';

/** What a stage, or a whole pipeline, did with packets. Those that came in are those that met one of the other fates. */
export interface StageCounters {
  readonly in: number;
  /** Passed on, at once. */
  readonly passed: number;
  readonly dropped: number;
  readonly taken: number;
  readonly held: number;
  /** Ended without a verdict. */
  readonly none: number;
  /** Came out: passed on at once, or later, or in place of another. */
  readonly out: number;
}

/** A stage: its counters count for all subscriptions. */
export class Stage<P extends Packet> {
  readonly name: string;
  readonly operator: MonoTypeOperatorFunction<P>;
  passed = 0;
  dropped = 0;
  taken = 0;
  held = 0;
  none = 0;
  /** Emitted otherwise than by passing on what came in: later, or in place of it. */
  released = 0;

  /** @throws UsageError `ERR_INVALID_OPTION` */
  constructor([name, operator]: StageSpec<P>) {
    if (typeof name !== 'string' || name === '' || name.includes('/')) {
      throw new UsageError('ERR_INVALID_OPTION', `a stage needs a name without "/", not ${JSON.stringify(name)}`);
    }
    if (typeof operator !== 'function') throw new UsageError('ERR_INVALID_OPTION', `stage ${name} is no operator`);
    this.name = name;
    this.operator = operator;
  }

  counters(): StageCounters {
    const { passed, dropped, taken, held, none, released } = this;
    const came = passed + dropped + taken + held + none;
    return { in: came, passed, dropped, taken, held, none, out: passed + released };
  }
}

/** The verdict on a packet that was not passed on, by what can be seen of its frame before and after. */
export function verdictOf(frame: Frame, fate: number, holders: number, isReplaced: boolean): Verdict {
  if (frame.fate !== fate) return frame.fate === DELIVERED ? 'taken' : 'dropped';
  if (isReplaced) return 'taken';
  if (frame.holders > holders) return 'held';
  // An outgoing one that was given back, or one whose end was told before it came, so that nobody tells it again.
  return frame.holders < holders || fate !== UNDER_WAY ? 'dropped' : 'none';
}

/** The name of the reason for which a frame was dropped; none where it was not. */
export function reasonOf({ fate }: Frame): string | undefined {
  return fate > UNDER_WAY ? dropReasonName(fate as Parameters<typeof dropReasonName>[0]) : undefined;
}
