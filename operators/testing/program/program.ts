/**
 * A Node program inside a simulated network: its `net`, `http`, `dgram`, `dns` and `timers` are those of its host and of virtual time, its
 * output is kept, and its end is its own and not the process's. This room is the life of it: what keeps it running, what ends it, and how
 * events get into it. Its modules and globals are made next door.
 *
 * It shares the process with its tester, and so the built-in objects: a program that changes `Array.prototype` changes it for all.
 */

import { AsyncResource } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';
import type { Host } from '../../stack/host.js';
import type { Timer, Timers } from '../../../lib/core/timers.js';
import { claim, programScope } from './supervisor.js';

/** Something that a program wrote. */
export interface ProgramOutput {
  /** Virtual time, in milliseconds. */
  readonly time: number;
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
}

/** A running program. */
export interface NetworkProgram {
  /** The host that it runs on. */
  readonly host: string;
  /** Resolves with its exit code when it ends: by itself, by `process.exit`, by an error (1), or by {@link kill}. */
  readonly exited: Promise<number>;
  /** `undefined` while it runs. */
  readonly exitCode: number | undefined;
  /** What it threw and nobody caught. */
  readonly error: unknown;
  /** What it wrote so far, piece by piece. */
  readonly output: readonly ProgramOutput[];
  readonly stdout: string;
  readonly stderr: string;
  /** Ends it as SIGKILL does, with exit code 137: its sockets are closed, its timers cancelled. */
  kill(): void;
}

/** What a program holds open: it ends by itself when nothing is left. */
export interface Holdable {
  /** Lets go of it when the program ends. */
  release(): void;
}

const KILLED = 137;

/** What `process.exit` throws to get out of the program; nobody is to see it. */
export class ProgramExit extends Error {
  override readonly name = 'ProgramExit';
}

export class Program implements NetworkProgram {
  readonly host: string;
  readonly stack: Host;
  readonly timers: Timers;
  /** The program's `process.on`. */
  readonly events: EventEmitter = new EventEmitter();
  readonly output: ProgramOutput[] = [];
  readonly exited: Promise<number>;
  exitCode: number | undefined = undefined;
  /** What `process.exitCode` was set to. */
  wantedCode: number | undefined = undefined;
  error: unknown = undefined;
  /** Timers that were asked for their numbers. */
  timerIds = 0;
  /** Modules that are being loaded, which takes no virtual time. */
  readonly loads: Set<Promise<unknown>> = new Set<Promise<unknown>>();
  /** Whether its main module has run: until then it does not end for want of work. */
  private started = false;
  /** Whether its listeners of `exit` are told, or were; and whether one of uncaught errors is. */
  private isExiting = false;
  private isCatching = false;
  private readonly holds = new Map<object, Holdable>();
  private readonly idle = new Set<object>();
  private readonly check: Timer;
  private ended: (code: number) => void = () => undefined;

  constructor(host: string, stack: Host) {
    this.host = host;
    this.stack = stack;
    this.timers = stack.env.timers;
    this.exited = new Promise((resolve) => {
      this.ended = resolve;
    });
    this.check = this.timers.timer(() => this.endIfIdle());
  }

  get stdout(): string {
    return this.written('stdout');
  }
  get stderr(): string {
    return this.written('stderr');
  }

  private written(stream: ProgramOutput['stream']): string {
    return this.output
      .filter((one) => one.stream === stream)
      .map(({ text }) => text)
      .join('');
  }

  write(stream: ProgramOutput['stream'], text: string): void {
    if (this.exitCode === undefined) this.output.push({ time: this.timers.now(), stream, text });
  }

  /** Runs the main module. */
  start(main: () => void): void {
    programScope.run(this, () => this.bind(main)());
    this.began();
  }

  /** Loads the main module, which then runs; `entered` is called when everything is loaded and the first module begins to run. */
  load(main: (entered: () => void) => Promise<void>): void {
    let entered: () => void = () => undefined;
    this.loading(new Promise<void>((resolve) => (entered = resolve)));
    const done = this.bind(() => this.began());
    const failed = (error: unknown) => {
      entered();
      programScope.run(this, () => this.fail(error, 'uncaughtException'));
    };
    programScope.run(this, () => void main(entered).then(done, failed));
  }

  /** Has virtual time wait for a promise. */
  loading(promise: Promise<unknown>): void {
    const loaded = () => void this.loads.delete(promise);
    this.loads.add(promise);
    promise.then(loaded, loaded);
  }

  /** The main module has run. */
  began(): void {
    this.started = true;
    this.changed();
  }

  /**
   * Makes an entrance: a function that runs `call` as part of this program, whoever calls it, and only while it lives. What is thrown
   * ends the program and not the caller.
   */
  bind<A extends readonly unknown[]>(call: (...args: A) => unknown): (...args: A) => void {
    // Of the program's own asynchronous context too, as Node's timers and sockets are.
    const scope = new AsyncResource('RX_NETSTACK_PROGRAM', { requireManualDestroy: true });
    return (...args) => {
      if (this.exitCode !== undefined) return;
      try {
        scope.runInAsyncScope(call, undefined, ...args);
      } catch (error) {
        programScope.run(this, () => this.fail(error, 'uncaughtException'));
      }
    };
  }

  /** Notes something that keeps the program running, unless it was told not to. */
  hold(handle: object, release: () => void): void {
    if (this.exitCode !== undefined) return release();
    this.holds.set(handle, { release });
  }

  letGo(handle: object): void {
    this.idle.delete(handle);
    if (this.holds.delete(handle)) this.changed();
  }

  /** Whether a handle keeps the program running: `ref` and `unref`. */
  keep(handle: object, running: boolean): void {
    if (running) this.idle.delete(handle);
    else this.idle.add(handle);
    this.changed();
  }

  isKept(handle: object): boolean {
    return this.holds.has(handle) && !this.idle.has(handle);
  }

  private get isIdle(): boolean {
    for (const handle of this.holds.keys()) if (!this.idle.has(handle)) return false;
    return true;
  }

  /** Looks, as soon as all promises have gone on, whether anything is left to do. */
  private changed(): void {
    if (this.started && this.exitCode === undefined && this.isIdle) this.check.arm(this.timers.now());
  }

  private endIfIdle(): void {
    if (this.exitCode !== undefined || !this.isIdle) return;
    this.bind(() => this.events.emit('beforeExit', this.wantedCode ?? 0))();
    if (this.exitCode === undefined && this.isIdle && !this.check.armed) this.exit(this.wantedCode ?? 0);
  }

  /** An error that nobody in the program caught. */
  fail(error: unknown, origin: 'uncaughtException' | 'unhandledRejection'): void {
    claim(error);
    if (error instanceof ProgramExit || this.exitCode !== undefined) return;
    if (origin === 'unhandledRejection' && this.events.listenerCount(origin) > 0) {
      return this.bind(() => this.events.emit(origin, error, Promise.resolve()))();
    }
    if (this.error === undefined && !this.isCatching && this.events.listenerCount('uncaughtException') > 0) {
      // What the listener throws ends the program.
      this.isCatching = true;
      try {
        this.events.emit('uncaughtException', error, origin);
        return;
      } catch (thrown) {
        claim(thrown);
        if (thrown instanceof ProgramExit) return;
        return this.crash(thrown);
      } finally {
        this.isCatching = false;
      }
    }
    this.crash(error);
  }

  private crash(error: unknown): void {
    this.error = error;
    this.write(
      'stderr',
      `Uncaught ${error instanceof Error && error.stack !== undefined ? error.stack : inspect(error)}\n`,
    );
    this.exit(1);
  }

  /** Ends the program: tells it once, closes what it left open. Whoever is told may choose another code, by `process.exit` or `exitCode`. */
  exit(code: number): void {
    if (this.exitCode !== undefined) return;
    this.wantedCode = code;
    if (this.isExiting) return this.end(code);
    this.isExiting = true;
    try {
      this.events.emit('exit', code);
    } catch (error) {
      claim(error);
    }
    this.end(this.wantedCode ?? 0);
  }

  kill(): void {
    this.end(KILLED);
  }

  private end(code: number): void {
    if (this.exitCode !== undefined) return;
    this.exitCode = code;
    this.check.cancel();
    for (const hold of this.holds.values()) {
      try {
        hold.release();
      } catch (error) {
        // Closed already, or not to be closed by what the program made of it.
        claim(error);
      }
    }
    this.holds.clear();
    this.idle.clear();
    this.ended(code);
  }
}
