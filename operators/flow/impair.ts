/** Imperfect wires for any stream of frames: put between a device and a host, to see how both bear it. */

import type { MonoTypeOperatorFunction } from 'rxjs';
import type { Env } from '../../lib/core/env.js';
import { asRx, asTx, type RxFrame, type TxFrame } from '../../lib/core/frame.js';
import { Impairment, type Impairments } from '../../lib/l2/impairment.js';
import { defaultEnvironment } from '../time/environment.js';
import { responder } from './responder.js';

export type { BurstLoss, Impairments } from '../../lib/l2/impairment.js';
export type { CoDelOptions } from '../../lib/l2/queue/codel.js';
export type { DropTailOptions } from '../../lib/l2/queue/drop-tail.js';
export type { QueueOptions } from '../../lib/l2/queue/queue-of.js';
export type { RedOptions } from '../../lib/l2/queue/red.js';

/**
 * Loses, delays, duplicates, reorders and corrupts received frames, as its options say.
 *
 *     in   --a-b-c-d-----|
 *     out  ----a---c-d-d-|     delay 20, b lost, d duplicated
 *
 * Each comes out with the range that it came with.
 *
 * **Drops** `LinkLoss`, `LinkQueueFull`, `LinkRed`, `LinkCodel`, `DeviceTooBig`, `SuperSegmentBad`; `Disposed` what is on its way when the
 * stream ends.
 * **State and timers** frames on their way (retained), one timer.
 *
 * @throws UsageError `ERR_INVALID_OPTION`
 * @example
 * tap.frames$.pipe(impair({ loss: 0.01, delay: 20 }), me, impairOutgoing({ loss: 0.01 })).subscribe(tap.sink);
 */
export function impair(impairments: Impairments, env: Env = defaultEnvironment()): MonoTypeOperatorFunction<RxFrame> {
  return responder((emit) => {
    const wire = new Impairment(impairments, env, (frame) => {
      emit(asRx(frame));
      frame.release();
    });
    return { next: (frame) => wire.push(frame.retain()), teardown: () => wire.dispose() };
  });
}

/** The same as {@link impair} for outgoing frames: it takes over their references and hands them on. */
export function impairOutgoing(
  impairments: Impairments,
  env: Env = defaultEnvironment(),
): MonoTypeOperatorFunction<TxFrame> {
  return responder((emit) => {
    const wire = new Impairment(impairments, env, (frame) => emit(asTx(frame)));
    return { next: (frame) => wire.push(frame), teardown: () => wire.dispose() };
  });
}
