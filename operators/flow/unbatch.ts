import type { OperatorFunction } from 'rxjs';
import { responder } from './responder.js';

/**
 * Passes on the packets of each batch one by one.
 *
 *     in   --A-----B--|       A: a b   B: c
 *     out  --(ab)--c--|
 *
 * **Drops** none.
 * **State and timers** none.
 *
 * @example
 * frames$.pipe(batch(), unbatch())
 */
export function unbatch<T>(): OperatorFunction<readonly T[], T> {
  return responder((emit) => ({
    next(packets) {
      for (const packet of packets) emit(packet);
    },
  }));
}
