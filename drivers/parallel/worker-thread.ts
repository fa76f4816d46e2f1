/** One worker as the thread that made it sees it. */

import type { Worker } from 'node:worker_threads';
import { NetError } from '../../lib/core/errors.js';
import type { Counters, FromWorker, OpenedDevice, ToWorker } from './messages.js';

/** How long a thread that is told to stop may take, in milliseconds: longer than it allows its program. */
const PATIENCE = 5000;

/** A worker failed: it could not start, threw later, or ended by itself. */
export class WorkerError extends Error {
  /** That of the error that was thrown, or `ERR_WORKER_FAILED`. */
  readonly code: string;
  readonly worker: number;

  constructor(worker: number, cause: unknown) {
    const { code, message } = (typeof cause === 'object' && cause !== null ? cause : {}) as Record<string, unknown>;
    super(`worker ${worker}: ${typeof message === 'string' ? message : String(cause)}`, { cause });
    this.name = 'WorkerError';
    this.code = typeof code === 'string' ? code : 'ERR_WORKER_FAILED';
    this.worker = worker;
  }
}

/** A promise, from outside. */
class Later<T> {
  resolve: (value: T) => void = () => undefined;
  reject: (error: unknown) => void = () => undefined;
  readonly promise: Promise<T> = new Promise<T>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  constructor() {
    // Whoever waits hears of it; it may be that nobody does.
    this.promise.catch(() => undefined);
  }
}

/** See the module. */
export class WorkerThread {
  private readonly worker: Worker;
  private readonly index: number;
  private readonly started = new Later<OpenedDevice>();
  private readonly end = new Later<void>();
  /** Who waits for counters, by number. */
  private readonly requests = new Map<number, (stats: Counters) => void>();
  private readonly exited: Promise<void>;
  private request = 0;
  private stopping = false;
  private isOver = false;

  constructor(worker: Worker, index: number) {
    this.worker = worker;
    this.index = index;
    worker.on('message', (message: FromWorker) => this.hear(message));
    worker.on('error', (error) => this.fail(error));
    this.exited = new Promise((resolve) => {
      worker.once('exit', (code) => {
        this.over(code);
        resolve();
      });
    });
  }

  /** Resolves when the thread has ended as it was told, rejects with a {@link WorkerError} otherwise. */
  get ended(): Promise<void> {
    return this.end.promise;
  }

  start(opened: OpenedDevice | undefined): Promise<OpenedDevice> {
    this.tell({ kind: 'start', opened });
    return this.started.promise;
  }

  /** Counters of a thread that has ended are none. */
  stats(): Promise<Counters> {
    if (this.isOver) return Promise.resolve({});
    const request = this.request++;
    // No race with the end: a promise that is pending keeps whatever hangs on it, the answers too.
    const answer = new Promise<Counters>((resolve) => this.requests.set(request, resolve));
    this.tell({ kind: 'stats', request });
    return answer;
  }

  /** Resolves when the thread has ended. @throws WorkerError `ETIMEDOUT` (as a rejection) if it does not react, which nothing can be done about */
  async stop(): Promise<void> {
    this.stopping = true;
    this.tell({ kind: 'stop' });
    let late: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      const error = NetError.of('ETIMEDOUT', 'close');
      late = setTimeout(() => reject(new WorkerError(this.index, error)), PATIENCE);
    });
    await Promise.race([this.exited, timeout]).finally(() => clearTimeout(late));
  }

  /** Has the thread close its device; it does so in its own time. */
  shut(): void {
    this.tell({ kind: 'shut' });
  }

  private tell(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  private hear(message: FromWorker): void {
    if (message.kind === 'started') this.started.resolve(message.opened);
    else if (message.kind === 'failed') this.fail(message.error);
    else this.answered(message.request, message.stats);
  }

  private answered(request: number, stats: Counters): void {
    this.requests.get(request)?.(stats);
    this.requests.delete(request);
  }

  private fail(cause: unknown): void {
    const error = new WorkerError(this.index, cause);
    this.started.reject(error);
    this.end.reject(error);
  }

  private over(code: number): void {
    this.isOver = true;
    for (const request of this.requests.keys()) this.answered(request, {});
    if (this.stopping) this.end.resolve();
    // A thread that was told to stop has ended well; but whoever waits for its start waits in vain.
    this.fail(new Error(`it ended by itself, with code ${code}`));
  }
}
