import { Observable, type OperatorFunction } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import type { Frame } from '../../lib/core/frame.js';
import { defaultEnvironment } from '../time/environment.js';

/**
 * Breaks a synchronous feedback loop: what comes in while a frame is being handed on waits until that is done, so that the
 * order is kept and the stack does not grow. Frames come with their reference, as into a sink: loopback and in-memory links
 * close their loops with it.
 *
 *     in   --a--------   b comes in from within the next of a, c from within that of b
 *     out  --(abc)----
 *
 * **Drops** `Disposed`: what waits when the subscriber leaves, or when an error passes.
 * **State and timers** a queue; none.
 *
 * @example
 * const loop$ = new Subject<TxFrame>();
 * loop$.pipe(trampoline(), map(asRx), host).subscribe(loop$);
 */
export function trampoline<T extends Frame>(env: Env = defaultEnvironment()): OperatorFunction<T, T> {
  return (source) =>
    new Observable((subscriber) => {
      const queue: T[] = [];
      let running = false;
      let completed = false;
      const drain = () => {
        running = true;
        for (let frame = queue.shift(); frame !== undefined; frame = queue.shift()) subscriber.next(frame);
        running = false;
        if (completed) subscriber.complete();
      };
      subscriber.add(() => {
        for (const frame of queue.splice(0)) {
          env.drops.report(DropReason.Disposed, frame, 'trampoline');
          frame.release();
        }
      });
      subscriber.add(
        source.subscribe({
          next(frame) {
            queue.push(frame);
            if (!running) drain();
          },
          error: (error: unknown) => subscriber.error(error),
          complete() {
            completed = true;
            if (!running) subscriber.complete();
          },
        }),
      );
    });
}
