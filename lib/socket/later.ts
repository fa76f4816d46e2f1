/**
 * The boundary between two events of a Node socket. In Node every event comes from its own turn of the loop, so that after `await once(socket,
 * 'data')` there is time to ask for `close`. A plain `process.nextTick` does not give that: all ticks run before any promise goes on.
 */

/** Calls `event` from an empty stack once all ticks and all promises that are ready have gone on; still in this turn of the loop. */
export function later(event: () => void): void {
  queueMicrotask(() => process.nextTick(event));
}
