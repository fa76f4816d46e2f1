import { type MonoTypeOperatorFunction, Observable } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { defaultEnvironment } from '../time/environment.js';
import { HeldPacket } from './held-packet.js';
import type { Packet } from './packet.js';

/**
 * Keeps received packets while an asynchronous operator has them: each is retained before it goes into `through`, has the range
 * that it came with when it comes out, and is released after that `next`.
 *
 *     in                          --a--b-----|
 *     retain(delay(3, scheduler)) -----a--b--|
 *
 * **Drops** `Disposed`: what `through` still has, or has swallowed, when the stream ends or the subscriber leaves.
 * **State and timers** the packets inside `through`; the timers of `through`.
 *
 * @example
 * frames$.pipe(retain(observeOn(asapScheduler)), ethernet({ mac }))
 *
 * @param through - an operator that passes the same packets on, later
 */
export function retain<T extends Packet>(
  through: MonoTypeOperatorFunction<T>,
  env: Env = defaultEnvironment(),
): MonoTypeOperatorFunction<T> {
  return (source) =>
    new Observable((subscriber) => {
      const inside = new Map<T, HeldPacket<T>>();
      const held$ = new Observable<T>((inner) =>
        source.subscribe({
          next(packet) {
            const held = new HeldPacket(packet);
            const before = inside.get(packet);
            if (before === undefined) inside.set(packet, held);
            else before.follow(held);
            inner.next(packet);
          },
          error: (error: unknown) => inner.error(error),
          complete: () => inner.complete(),
        }),
      );
      subscriber.add(() => {
        for (const first of inside.values()) {
          for (let held: HeldPacket<T> | undefined = first; held !== undefined; held = held.later) {
            env.drops.report(DropReason.Disposed, held.frame, 'retain');
            held.release();
          }
        }
        inside.clear();
      });
      subscriber.add(
        through(held$).subscribe({
          next(packet) {
            const held = inside.get(packet);
            if (held?.later === undefined) inside.delete(packet);
            else inside.set(packet, held.later);
            subscriber.next(held?.restore() ?? packet);
            held?.release();
          },
          error: (error: unknown) => subscriber.error(error),
          complete: () => subscriber.complete(),
        }),
      );
    });
}
