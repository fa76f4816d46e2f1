import { Observable, takeUntil } from 'rxjs';
import { type LogLine, subscribeLogs } from '../../../lib/ergot/services/logs.js';
import type { ErgotNode } from '../ergot.js';
import { nodeEnd } from './node-end.js';

/**
 * The lines of logs that nodes say while subscribed, this one too. A source rather than an operator, hence it makes its Observable. Completes with the node.
 *
 *     said  --a--b----c--
 *     out   --a--b----c--     level, text, source
 *
 * @example
 * logs(node).subscribe(({ level, text }) => console.log(level, text));
 */
export function logs<A>(node: ErgotNode<A>): Observable<LogLine<A>> {
  const lines$ = new Observable<LogLine<A>>((out) => {
    const socket = subscribeLogs(node.stack, (line) => out.next(line));
    return () => socket.close();
  });
  return lines$.pipe(takeUntil(nodeEnd(node)));
}
