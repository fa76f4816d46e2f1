/** What a program finds without requiring it: clocks, `process`, `console`, `Math.random`, all of the simulation. */

import { Console } from 'node:console';
import { performance as wallPerformance } from 'node:perf_hooks';
import { Readable, Writable } from 'node:stream';
import type { Random } from '../../../lib/core/random.js';
import { type Program, ProgramExit, type ProgramOutput } from './program.js';
import { refused } from './refused.js';
import type { ProgramTimers } from './timers.js';

/** What `process` says of a program. */
export interface ProcessOptions {
  /** Arguments behind the program's name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly input: string | undefined;
  readonly file: string;
}

/** `Date` whose now is virtual. */
function programDate(now: () => number): DateConstructor {
  const { Date: WallDate } = globalThis;
  const made: DateConstructor = new Proxy(WallDate, {
    apply: () => new WallDate(now()).toString(),
    construct: (target, args: unknown[], newTarget: new () => object) =>
      Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget === made ? target : newTarget) as object,
    get: (target, key) => (key === 'now' ? now : (Reflect.get(target, key) as unknown)),
  });
  return made;
}

function programPerformance(now: () => number, start: number): object {
  return Object.create(wallPerformance, {
    now: { value: () => now() - start },
    timeOrigin: { value: start },
  }) as object;
}

/** A stream that keeps what is written. */
function writer(program: Program, stream: ProgramOutput['stream']): Writable {
  return new Writable({
    decodeStrings: false,
    write(chunk: string | Buffer, _encoding, done) {
      program.write(stream, typeof chunk === 'string' ? chunk : chunk.toString());
      done();
    },
  });
}

function hrtimeOf(now: () => number) {
  const hrtime = (before?: readonly [number, number]): [number, number] => {
    const nanoseconds =
      BigInt(Math.round(now() * 1e6)) - (before ? BigInt(before[0]) * 1_000_000_000n + BigInt(before[1]) : 0n);
    return [Number(nanoseconds / 1_000_000_000n), Number(nanoseconds % 1_000_000_000n)];
  };
  return Object.assign(hrtime, { bigint: () => BigInt(Math.round(now() * 1e6)) });
}

const LISTENING = [
  'on',
  'once',
  'off',
  'addListener',
  'removeListener',
  'prependListener',
  'prependOnceListener',
] as const;

/** The emitter that `process` is: one of its own, since `on` of the real one would listen for the tester's end. */
function emitterOf({ events }: Program, made: () => object): Readonly<Record<string, unknown>> {
  const listen = (name: (typeof LISTENING)[number]) => (event: string, listener: () => void) => {
    events[name](event, listener);
    return made();
  };
  return {
    ...Object.fromEntries(LISTENING.map((name) => [name, listen(name)])),
    emit: events.emit.bind(events),
    listeners: events.listeners.bind(events),
    listenerCount: (event: string) => events.listenerCount(event),
    removeAllListeners: (event?: string) => {
      events.removeAllListeners(event);
      return made();
    },
    setMaxListeners: made,
  };
}

/** A `process` that is the program's: the real one behind it for what has to do with neither time nor life. */
function programProcess(program: Program, options: ProcessOptions, now: () => number): object {
  const start = now();
  const streams = { stdout: writer(program, 'stdout'), stderr: writer(program, 'stderr') };
  const exit = (code?: number): never => {
    program.exit(Number(code ?? program.wantedCode ?? 0));
    throw new ProgramExit('process.exit');
  };
  const own = {
    argv: [process.execPath, options.file, ...options.args],
    env: { ...options.env },
    title: 'node',
    exit,
    reallyExit: exit,
    abort: () => exit(134),
    kill: () => exit(143),
    uptime: () => (now() - start) / 1000,
    hrtime: hrtimeOf(now),
    stdin: Readable.from(options.input === undefined ? [] : [options.input], { objectMode: false }),
    ...streams,
    setUncaughtExceptionCaptureCallback: () => undefined,
    hasUncaughtExceptionCaptureCallback: () => false,
  };
  const made = Object.create(process) as object;
  for (const [key, value] of Object.entries({ ...own, ...emitterOf(program, () => made) })) {
    Object.defineProperty(made, key, { value, writable: true, configurable: true, enumerable: true });
  }
  return Object.defineProperty(made, 'exitCode', {
    get: () => program.wantedCode,
    set: (code: unknown) => {
      program.wantedCode = code === undefined ? undefined : Number(code);
    },
  });
}

/** The globals of a program, by name. */
export function programGlobals(
  program: Program,
  { timers, random, crypto }: { timers: ProgramTimers; random: Random; crypto: object },
  options: ProcessOptions,
): Readonly<Record<string, unknown>> {
  const now = () => program.timers.now();
  const own = programProcess(program, options, now) as { stdout: Writable; stderr: Writable };
  const globals: Record<string, unknown> = {
    ...timers,
    queueMicrotask: (callback: () => void) => queueMicrotask(program.bind(callback)),
    Date: programDate(() => Math.floor(now())),
    performance: programPerformance(now, now()),
    Math: Object.create(Math, { random: { value: () => random.float() } }) as object,
    crypto,
    process: own,
    console: new Console({ stdout: own.stdout, stderr: own.stderr }),
    fetch: refused('fetch'),
    WebSocket: undefined,
    EventSource: undefined,
  };
  // What the program sets on it is its own; what it does not find there is everybody's.
  const globalObject = Object.create(globalThis, Object.getOwnPropertyDescriptors(globals)) as object;
  return { ...globals, globalThis: globalObject, global: globalObject };
}
