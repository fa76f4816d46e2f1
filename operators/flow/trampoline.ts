import { Observable, type Observer, type OperatorFunction } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import type { Frame } from '../../lib/core/frame.js';
import { defaultEnvironment } from '../time/environment.js';
import { PacketSubscriber } from './packet-subscriber.js';

/**
 * Breaks a synchronous feedback loop: what comes in while a frame is being handed on waits until that is done, so that the
 * order is kept and the stack does not grow. Frames come with their reference, as into a sink: loopback and in-memory links
 * close their loops with it.
 *
 *     in   --a--------   b comes in from within the next of a, c from within that of b
 *     out  --(abc)----
 *
 * **Drops** `Disposed`: what waits when the subscriber leaves, or when an error passes, and what comes all the same afterwards.
 * **State and timers** a queue; none.
 *
 * @example
 * const loop$ = new Subject<TxFrame>();
 * loop$.pipe(trampoline(), map(asRx), host).subscribe(loop$);
 */
export function trampoline<T extends Frame>(env: Env = defaultEnvironment()): OperatorFunction<T, T> {
  const refuse = (frame: T): void => env.drops.refuse(DropReason.Disposed, frame, 'trampoline');
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
      const ends = {
        error: (error: unknown) => subscriber.error(error),
        complete() {
          completed = true;
          if (!running) subscriber.complete();
        },
      };
      const take = (frame: T): void => {
        queue.push(frame);
        if (!running) drain();
      };
      const inlet = new Inlet(ends, take, refuse);
      subscriber.add(() => {
        for (const frame of queue.splice(0)) refuse(frame);
      });
      subscriber.add(inlet);
      source.subscribe(inlet);
    });
}

/** Subscribes to the source. What comes when nobody is there any more is refused, since it comes with its reference. */
class Inlet<T> extends PacketSubscriber<T> {
  private readonly refuse: (frame: T) => void;

  constructor(ends: Pick<Observer<never>, 'error' | 'complete'>, take: (frame: T) => void, refuse: (frame: T) => void) {
    super(ends, take);
    this.refuse = refuse;
  }

  override next(frame: T): void {
    if (this.isStopped) this.refuse(frame);
    else super.next(frame);
  }
}
