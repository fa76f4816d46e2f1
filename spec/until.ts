/** Waiting on the wall clock, where virtual time does not reach: real devices, processes, and the event loop itself. */

/** Resolves after this many milliseconds. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, milliseconds));
}

/**
 * Waits for a condition, looking every few milliseconds. A machine may stand still for longer than what is waited for takes: a fixed time
 * that is enough today fails a test tomorrow.
 */
export async function until(condition: () => boolean, timeout = 5000): Promise<void> {
  const end = performance.now() + timeout;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${timeout} ms: ${condition.toString()}`);
    await sleep(5);
  }
}

/** Asks whoever may not be there yet, or need his time, until there is an answer: again after a pause, in milliseconds, since his buffer holds little. */
export function askUntil(isAnswered: () => boolean, ask: () => void, pause = 200): Promise<void> {
  let askedAt = Number.NEGATIVE_INFINITY;
  return until(() => {
    if (isAnswered()) return true;
    if (performance.now() - askedAt >= pause) {
      askedAt = performance.now();
      ask();
    }
    return false;
  });
}
