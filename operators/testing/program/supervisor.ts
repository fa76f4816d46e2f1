/**
 * Whose error is it? Programs share the process, so an error that nobody caught, or a promise that was rejected with nobody listening, is
 * asked for the program in whose asynchronous context it happened. That program ends; errors of anybody else go where they would
 * have gone.
 *
 * While programs may run, this takes the process's one capture of uncaught exceptions (`process.setUncaughtExceptionCaptureCallback`).
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import { UsageError } from '../../../lib/core/errors.js';

/** Who is told of an error. */
export interface Supervised {
  fail(error: unknown, origin: 'uncaughtException' | 'unhandledRejection'): void;
}

/** The program that is running. */
export const programScope: AsyncLocalStorage<Supervised> = new AsyncLocalStorage();

let users = 0;
/** Errors that belong to programs: a listener of the process may throw them once more. */
let claimed = new WeakSet<object>();
let lastClaimed: unknown = undefined;
const rejections = new WeakSet<Promise<unknown>>();

/** Notes that an error belongs to a program. */
export function claim(error: unknown): void {
  if (typeof error === 'object' && error !== null) claimed.add(error);
  else lastClaimed = error;
}

function isClaimed(error: unknown): boolean {
  return typeof error === 'object' && error !== null
    ? claimed.has(error)
    : error === lastClaimed && error !== undefined;
}

function onUncaught(error: Error): void {
  const program = programScope.getStore();
  if (program !== undefined) return program.fail(error, 'uncaughtException');
  if (isClaimed(error)) return;
  const others: NodeJS.EventEmitter = process;
  if (others.emit('uncaughtException', error, 'uncaughtException')) return;
  // Nobody wants it: let it end the process as if we were not there.
  process.setUncaughtExceptionCaptureCallback(null);
  process.nextTick(() => {
    throw error;
  });
}

function onRejected(reason: unknown, promise: Promise<unknown>): void {
  // A test runner may tell of it twice.
  if (rejections.has(promise)) return;
  const program = programScope.getStore();
  if (program !== undefined) rejections.add(promise);
  if (program !== undefined) return program.fail(reason, 'unhandledRejection');
  if (process.listenerCount('unhandledRejection') === 1) throw reason;
}

/** Begins to watch; returns how to stop. @throws UsageError `ERR_INVALID_STATE` if somebody else captures uncaught exceptions */
export function supervise(): () => void {
  if (users === 0) {
    if (process.hasUncaughtExceptionCaptureCallback()) {
      throw new UsageError('ERR_INVALID_STATE', 'somebody else captures uncaught exceptions: a domain, or the REPL');
    }
    process.setUncaughtExceptionCaptureCallback(onUncaught);
    process.prependListener('unhandledRejection', onRejected);
  }
  users++;
  let watching = true;
  return () => {
    if (!watching) return;
    watching = false;
    if (--users > 0) return;
    process.setUncaughtExceptionCaptureCallback(null);
    process.off('unhandledRejection', onRejected);
    claimed = new WeakSet();
    lastClaimed = undefined;
  };
}
