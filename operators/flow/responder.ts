import { Observable, type OperatorFunction } from 'rxjs';
import { PacketSubscriber } from './packet-subscriber.js';

/** A running responder: what it does with a packet, and how it ends. */
export interface Responder<In> {
  next(input: In): void;
  /** Runs when the source ends or the subscriber leaves: cancel timers, release frames. */
  teardown?(): void;
}

/**
 * Makes a responder operator ("epic"): any number of packets out for one in, at once or later from a timer. `start` runs once per
 * subscription and is given the output; after the teardown nothing more comes out.
 */
export function responder<In, Out>(start: (emit: (output: Out) => void) => Responder<In>): OperatorFunction<In, Out> {
  return (source) =>
    new Observable((subscriber) => {
      const machine = start((output) => subscriber.next(output));
      subscriber.add(() => machine.teardown?.());
      source.subscribe(new PacketSubscriber<In>(subscriber, (input) => machine.next(input)));
    });
}
