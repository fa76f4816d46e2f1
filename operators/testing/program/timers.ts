/** `node:timers` and `node:timers/promises` in virtual time. */

import { promisify } from 'node:util';
import type { Timer } from '../../../lib/core/timers.js';
import type { Program } from './program.js';

type Callback = (...args: unknown[]) => void;

// Beyond this, and below 1, Node takes 1 ms.
const LONGEST = 0x7fff_ffff;

function delayOf(ms: unknown): number {
  const delay = Number(ms);
  return delay >= 1 && delay <= LONGEST ? Math.trunc(delay) : 1;
}

/** Timers of a program that were asked for their numbers. */
type KnownTimers = Map<number, ProgramTimer>;

/** What `setTimeout`, `setInterval` and `setImmediate` return. */
class ProgramTimer {
  readonly #program: Program;
  readonly #timer: Timer;
  readonly #delay: number;
  readonly #known: KnownTimers;
  #id: number | undefined = undefined;
  #closed = false;

  constructor(program: Program, delay: number, callback: () => void, repeat: boolean, known: KnownTimers) {
    this.#program = program;
    this.#delay = delay;
    this.#known = known;
    const run = program.bind(callback);
    this.#timer = program.timers.timer(() => {
      if (repeat) this.#arm();
      run();
      if (!this.#timer.armed) this.#forget();
    });
    this.#arm();
  }

  #arm(): void {
    this.#timer.arm(this.#program.timers.now() + this.#delay);
    this.#program.hold(this, () => this.#timer.cancel());
  }

  ref(): this {
    this.#program.keep(this, true);
    return this;
  }
  unref(): this {
    this.#program.keep(this, false);
    return this;
  }
  hasRef(): boolean {
    return this.#program.isKept(this);
  }
  refresh(): this {
    if (!this.#closed) this.#arm();
    return this;
  }
  close(): this {
    this.#closed = true;
    this.#timer.cancel();
    this.#forget();
    return this;
  }
  #forget(): void {
    this.#program.letGo(this);
    if (this.#id !== undefined) this.#known.delete(this.#id);
  }
  /** A number for `clearTimeout`, as in browsers. */
  [Symbol.toPrimitive](): number {
    this.#id ??= ++this.#program.timerIds;
    if (!this.#closed) this.#known.set(this.#id, this);
    return this.#id;
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

/** The functions of `node:timers`, which are globals too. */
export interface ProgramTimers {
  readonly setTimeout: (callback: Callback, delay?: unknown, ...args: unknown[]) => object;
  readonly setInterval: (callback: Callback, delay?: unknown, ...args: unknown[]) => object;
  readonly setImmediate: (callback: Callback, ...args: unknown[]) => object;
  readonly clearTimeout: (timer: unknown) => void;
  readonly clearInterval: (timer: unknown) => void;
  readonly clearImmediate: (timer: unknown) => void;
}

function checked(callback: unknown): asserts callback is Callback {
  if (typeof callback === 'function') return;
  const error = new TypeError('The "callback" argument must be of type function.');
  throw Object.assign(error, { code: 'ERR_INVALID_ARG_TYPE' });
}

export function programTimers(program: Program): ProgramTimers {
  const known: KnownTimers = new Map();
  const start = (callback: unknown, delay: number, repeat: boolean, args: unknown[]): object => {
    checked(callback);
    return new ProgramTimer(program, delay, () => callback(...args), repeat, known);
  };
  const clear = (timer: unknown): void => {
    if (timer instanceof ProgramTimer) timer.close();
    else if (typeof timer === 'number' || typeof timer === 'string') known.get(Number(timer))?.close();
  };
  const setTimeout: ProgramTimers['setTimeout'] = (callback, delay, ...args) =>
    start(callback, delayOf(delay), false, args);
  const setImmediate: ProgramTimers['setImmediate'] = (callback, ...args) => start(callback, 0, false, args);
  const promises = programTimerPromises({ setTimeout, setImmediate, clear });
  Object.defineProperty(setTimeout, promisify.custom, { value: promises.setTimeout });
  Object.defineProperty(setImmediate, promisify.custom, { value: promises.setImmediate });
  return {
    setTimeout,
    setInterval: (callback, delay, ...args) => start(callback, delayOf(delay), true, args),
    setImmediate,
    clearTimeout: clear,
    clearInterval: clear,
    clearImmediate: clear,
  };
}

interface WaitOptions {
  readonly signal?: AbortSignal;
  readonly ref?: boolean;
}

function aborted(signal: AbortSignal): Error {
  const error = new Error('The operation was aborted', { cause: signal.reason });
  return Object.assign(error, { name: 'AbortError', code: 'ABORT_ERR' });
}

/** The module `node:timers/promises`. */
export interface ProgramTimerPromises {
  readonly setTimeout: (delay?: number, value?: unknown, options?: WaitOptions) => Promise<unknown>;
  readonly setImmediate: (value?: unknown, options?: WaitOptions) => Promise<unknown>;
  readonly setInterval: (delay?: number, value?: unknown, options?: WaitOptions) => AsyncGenerator;
  readonly scheduler: { wait(delay: number, options?: WaitOptions): Promise<unknown>; yield(): Promise<unknown> };
}

export function programTimerPromises(timers: {
  readonly setTimeout: ProgramTimers['setTimeout'];
  readonly setImmediate: ProgramTimers['setImmediate'];
  readonly clear: (timer: unknown) => void;
}): ProgramTimerPromises {
  const wait = (start: (done: () => void) => object, value: unknown, { signal, ref = true }: WaitOptions) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(aborted(signal));
      const onAbort = () => {
        timers.clear(timer);
        if (signal !== undefined) reject(aborted(signal));
      };
      const timer = start(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve(value);
      });
      if (!ref) (timer as ProgramTimer).unref();
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  const setTimeout: ProgramTimerPromises['setTimeout'] = (delay, value, options = {}) =>
    wait((done) => timers.setTimeout(done, delay), value, options);
  const setImmediate: ProgramTimerPromises['setImmediate'] = (value, options = {}) =>
    wait((done) => timers.setImmediate(done), value, options);
  return {
    setTimeout,
    setImmediate,
    async *setInterval(delay, value, options = {}) {
      for (;;) yield await setTimeout(delay, value, options);
    },
    scheduler: {
      wait: (delay, options) => setTimeout(delay, undefined, options),
      yield: () => setImmediate(),
    },
  };
}
