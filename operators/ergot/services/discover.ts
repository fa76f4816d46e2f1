import { Observable, takeUntil } from 'rxjs';
import { discoverDevices, type FoundDevice } from '../../../lib/ergot/services/device-info.js';
import type { GatherOptions } from '../../../lib/ergot/services/gather.js';
import type { ErgotNode } from '../ergot.js';
import { nodeEnd } from './node-end.js';

/**
 * Asks who is there: each device that says so in time. A source rather than an operator, hence it makes its Observable.
 *
 *     question  q
 *     out       ---d--d-----|     after `timeout`
 *
 * The node itself is among them where it says what it is (`serveDeviceInfo`). Errors with the ErgotError why the question could not leave: nobody is there, say.
 * Every subscription asks anew.
 *
 * @throws UsageError (errors) `ERR_INVALID_OPTION`
 * @example
 * discover(node, { timeout: 500 }).subscribe(({ name, address }) => console.log(name, address));
 */
export function discover<A>(node: ErgotNode<A>, options: GatherOptions<A> = {}): Observable<FoundDevice<A>> {
  const devices$ = new Observable<FoundDevice<A>>((out) => {
    const events = {
      found: (device: FoundDevice<A>) => out.next(device),
      done: (error?: Error) => (error === undefined ? out.complete() : out.error(error)),
    };
    return discoverDevices(node.stack, options, events, node.env);
  });
  return devices$.pipe(takeUntil(nodeEnd(node)));
}
