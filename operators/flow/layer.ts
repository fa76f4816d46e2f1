import { Observable, type OperatorFunction } from 'rxjs';
import { StepSubscriber } from './packet-subscriber.js';

/** What one layer does with one packet: the next layer's packet, or nothing if it was dropped or consumed. */
export type Step<In, Out> = (input: In) => Out | undefined;

/** Makes a layer operator of a step. `start` runs once per subscription, so every subscription has its own state. */
export function layer<In, Out>(start: () => Step<In, Out>): OperatorFunction<In, Out> {
  return (source) => new Observable((subscriber) => source.subscribe(new StepSubscriber(subscriber, start())));
}
