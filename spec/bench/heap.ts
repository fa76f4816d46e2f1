/** What work takes of the heap. */

const RUNS = 20;
const TRIES = 20;

/** Bytes of the heap per thing that `work` does `batch` of, the least of several tries: the test runner allocates, too. */
export function allocated(work: () => void, batch: number): number {
  for (let i = 0; i < 200; i++) work();
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIES; i++) {
    const before = process.memoryUsage().heapUsed;
    for (let run = 0; run < RUNS; run++) work();
    const grown = process.memoryUsage().heapUsed - before;
    if (grown >= 0) least = Math.min(least, grown / (RUNS * batch));
  }
  return least;
}
