/**
 * How operators of packets subscribe to their sources: with a subscriber of their own. RxJS takes an object of callbacks, too, but puts
 * three calls around each; at a million packets a second and ten operators that is what composition would cost.
 */

import { type Observer, Subscriber, throwError } from 'rxjs';

/**
 * Calls a function with each packet, and tells the end to `output`; if that is a subscriber, then this one is unsubscribed with it. What the
 * function throws goes where RxJS sends errors that nobody handles, and the stream goes on, as with any observer.
 */
export class PacketSubscriber<In> extends Subscriber<In> {
  private readonly handle: (packet: In) => void;

  constructor(output: Subscriber<never> | Pick<Observer<never>, 'error' | 'complete'>, handle: (packet: In) => void) {
    // It never calls the `next` of its own destination.
    super(output as Subscriber<never>);
    this.handle = handle;
  }

  override next(packet: In): void {
    if (this.isStopped) return;
    try {
      this.handle(packet);
    } catch (error) {
      unhandled(error);
    }
  }
}

/** The same for a function that yields the packet to pass on, or nothing. */
export class StepSubscriber<In, Out> extends Subscriber<In> {
  private readonly step: (packet: In) => Out | undefined;
  private readonly output: Subscriber<Out>;

  constructor(output: Subscriber<Out>, step: (packet: In) => Out | undefined) {
    super(output);
    this.step = step;
    this.output = output;
  }

  override next(packet: In): void {
    if (this.isStopped) return;
    try {
      const next = this.step(packet);
      if (next !== undefined) this.output.next(next);
    } catch (error) {
      unhandled(error);
    }
  }
}

/** The same for what is passed on as it is. */
export class PassingSubscriber<T> extends Subscriber<T> {
  private readonly output: Subscriber<T>;

  /** @param ends are told the end @param output is given the packets */
  constructor(ends: Pick<Observer<never>, 'error' | 'complete'>, output: Subscriber<T>) {
    super(ends as Subscriber<never>);
    this.output = output;
  }

  override next(packet: T): void {
    if (this.isStopped) return;
    try {
      this.output.next(packet);
    } catch (error) {
      unhandled(error);
    }
  }
}

/** Hands an error to where RxJS sends those that nobody handles. */
export function unhandled(error: unknown): void {
  throwError(() => error).subscribe();
}
