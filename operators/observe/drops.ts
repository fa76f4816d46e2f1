import { fromEventPattern, type Observable } from 'rxjs';
import { type Drop, Drops } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';

/**
 * The packets that are dropped from the subscription on, with the reason and the operator. Never ends. As long as nobody is
 * subscribed drops are only counted.
 *
 * The frame of a drop is valid during the `next`, and not to be changed.
 *
 * @example
 * drops$(env).subscribe(({ reason, operator }) => console.log(operator, dropReasonName(reason)));
 */
export function drops$(source: Env | Drops): Observable<Drop> {
  const drops = source instanceof Drops ? source : source.drops;
  return fromEventPattern<Drop>(
    (listener) => drops.observe(listener),
    (_listener, stop: () => void) => stop(),
  );
}
