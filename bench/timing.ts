/** How benchmarks without a device take time. */

/** Rounds before those that count, in which V8 compiles. */
export const WARM_UP_ROUNDS = 2;

const DURATION = 150_000_000n;

/** Runs `work`, which does `batch` things, for a while; returns nanoseconds per thing, of the best run. */
export function time(batch: number, work: () => void, duration: bigint = DURATION): number {
  const until = process.hrtime.bigint() + duration;
  let best = Number.POSITIVE_INFINITY;
  do {
    const begun = process.hrtime.bigint();
    work();
    best = Math.min(best, Number(process.hrtime.bigint() - begun) / batch);
  } while (process.hrtime.bigint() < until);
  return best;
}
