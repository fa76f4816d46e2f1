/**
 * The boundary between two events of a Node socket. In Node every event comes from its own turn of the loop, so that after `await once(socket,
 * 'data')` there is time to ask for `close`. A plain `process.nextTick` does not give that: all ticks run before any promise goes on.
 */

import { nextTick } from 'node:process';

// Unlike `queueMicrotask` a promise needs neither a closure nor a resource to track for each.
const settled: Promise<void> = Promise.resolve();
/** What is to be called, and with what, in turn. */
let callbacks: (((owner: never) => void) | undefined)[] = [];
let owners: unknown[] = [];
let first = 0;

/**
 * Calls `event` with `owner` from an empty stack once all ticks and all promises that are ready have gone on; still in this turn of the loop.
 */
export function laterFor<T>(event: (owner: T) => void, owner: T): void {
  callbacks.push(event);
  owners.push(owner);
  void settled.then(toTick);
}

/** The same for what needs no owner. */
export function later(event: () => void): void {
  laterFor(event, undefined);
}

/** All promises have gone on that were ready before the next event was asked for; a tick gives it an empty stack. */
function toTick(): void {
  const callback = callbacks[first];
  const owner = owners[first];
  callbacks[first] = owners[first] = undefined;
  if (++first === callbacks.length) {
    callbacks = [];
    owners = [];
    first = 0;
  }
  if (callback !== undefined) nextTick(callback, owner);
}
