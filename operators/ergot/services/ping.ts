import { Observable, takeUntil } from 'rxjs';
import { type ErgotPingEvent, ErgotPinger, type ErgotPingOptions } from '../../../lib/ergot/services/ping.js';
import type { ErgotNode } from '../ergot.js';
import { addressOf, nodeEnd } from './node-end.js';

/** Options of {@link ping}. */
export interface ErgotPingObservableOptions extends ErgotPingOptions {
  /** Told of each request, as it leaves. */
  readonly onSent?: (sequence: number) => void;
}

/**
 * Pings a node while subscribed: what became of each request. A source rather than an operator, hence it makes its Observable.
 *
 *     requests  --1---2---3--
 *     out       ---r----e---t|     r: a reply, e: an error, t: neither came in time
 *
 * Completes when `count` requests have been settled, and with the node. Every subscription pings anew.
 *
 * @param to an address or its text; with port 0, whoever at that node answers pings
 * @throws UsageError (errors) `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 * @example
 * ping(node, '1.1:0', { count: 3 }).subscribe((event) => console.log(event));
 */
export function ping<A>(
  node: ErgotNode<A>,
  to: A | string,
  options: ErgotPingObservableOptions = {},
): Observable<ErgotPingEvent<A>> {
  const events$ = new Observable<ErgotPingEvent<A>>((out) => {
    const { onSent, ...rest } = options;
    const events = {
      ...(onSent === undefined ? {} : { sent: onSent }),
      event: (event: ErgotPingEvent<A>) => out.next(event),
      // Only the end of the node ends it early.
      done: () => out.complete(),
    };
    const pinger = new ErgotPinger(node.stack, addressOf(node, to), rest, events, node.env);
    return () => pinger.stop();
  });
  return events$.pipe(takeUntil(nodeEnd(node)));
}
