import { Observable, takeUntil } from 'rxjs';
import type { GatherOptions } from '../../../lib/ergot/services/gather.js';
import { type FoundSocket, querySockets, type SocketQuery } from '../../../lib/ergot/services/socket-query.js';
import type { ErgotNode } from '../ergot.js';
import { nodeEnd } from './node-end.js';

/**
 * Asks which nodes have a socket: each that says so in time. A source rather than an operator, hence it makes its Observable.
 *
 *     question  q
 *     out       ---s--s-----|     after `timeout`
 *
 * Errors with the ErgotError why the question could not leave. Every subscription asks anew.
 *
 * @throws UsageError (errors) `ERR_INVALID_OPTION`
 * @example
 * findSockets(node, serversOf(pingEndpoint)).subscribe(({ address }) => console.log(address));
 */
export function findSockets<A>(
  node: ErgotNode<A>,
  query: SocketQuery,
  options: GatherOptions<A> = {},
): Observable<FoundSocket<A>> {
  const sockets$ = new Observable<FoundSocket<A>>((out) => {
    const events = {
      found: (socket: FoundSocket<A>) => out.next(socket),
      done: (error?: Error) => (error === undefined ? out.complete() : out.error(error)),
    };
    return querySockets(node.stack, query, options, events, node.env);
  });
  return sockets$.pipe(takeUntil(nodeEnd(node)));
}
