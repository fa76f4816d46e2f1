import { asapScheduler, Observable, type OperatorFunction, type SchedulerLike, type Subscription } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import { defaultEnvironment } from '../time/environment.js';
import { HeldPacket } from './held-packet.js';
import type { Packet } from './packet.js';

/** Options of {@link batch}. */
export interface BatchOptions {
  /** A batch is passed on when it has so many packets, at the latest. Default: 64. */
  readonly size?: number;
  /** Where the end of a burst is awaited. Default: RxJS's `asapScheduler`, the next microtask. */
  readonly scheduler?: SchedulerLike;
}

/**
 * Groups the packets that come in one synchronous burst. They are valid during the batch's `next`, each with the range that it
 * came with.
 *
 *     in                --(abc)--d-----(ef|)
 *     batch({size: 2})  --(ABD)--D-----(E|)     A: a b   B: c   D: d   E: e f
 *
 * **Drops** `Disposed`: what waits when the subscriber leaves, or when an error passes.
 * **State and timers** one batch; one action of the scheduler while a batch is incomplete.
 *
 * @example
 * frames$.pipe(batch(), map((frames) => inspect(frames)))
 *
 * @throws UsageError `ERR_INVALID_OPTION` where the size is not a positive integer
 */
export function batch<T extends Packet>(
  options: BatchOptions = {},
  env: Env = defaultEnvironment(),
): OperatorFunction<T, readonly T[]> {
  const { size = 64, scheduler = asapScheduler } = options;
  if (!Number.isInteger(size) || size < 1) {
    throw new UsageError('ERR_INVALID_OPTION', `a batch of ${size} packets`);
  }
  return (source) =>
    new Observable((subscriber) => {
      let held: HeldPacket<T>[] = [];
      let waiting: Subscription | undefined;
      const flush = () => {
        waiting?.unsubscribe();
        waiting = undefined;
        if (held.length === 0) return;
        const whole = held;
        held = [];
        subscriber.next(whole.map((packet) => packet.restore()));
        for (const packet of whole) packet.release();
      };
      subscriber.add(() => {
        waiting?.unsubscribe();
        for (const packet of held.splice(0)) {
          env.drops.report(DropReason.Disposed, packet.frame, 'batch');
          packet.release();
        }
      });
      subscriber.add(
        source.subscribe({
          next(packet) {
            held.push(new HeldPacket(packet));
            if (held.length >= size) flush();
            else waiting ??= scheduler.schedule(flush);
          },
          error: (error: unknown) => subscriber.error(error),
          complete() {
            flush();
            subscriber.complete();
          },
        }),
      );
    });
}
