/**
 * One host on several threads: each worker has a queue of its own of a multi-queue TAP or TUN, and a pipeline and sockets of its own. They
 * share addresses, and nothing else: a flow stays on one worker, and what belongs to none of them reaches those that need it. How that is
 * done, what it brings and what it asks of a program is in docs/PARALLEL.md.
 */

import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { pathToFileURL } from 'node:url';
import { MessageChannel, type MessagePort, type TransferListItem, Worker } from 'node:worker_threads';
import { Cidr, MacAddress } from '../lib/core/address.js';
import { UsageError } from '../lib/core/errors.js';
import { SystemRandom } from '../lib/core/random.js';
import { addCounters } from './parallel/counters.js';
import { onTheWayBetween } from './parallel/exchange.js';
import type { Counters, ParallelDevice, WorkerSettings } from './parallel/messages.js';
import { WorkerThread } from './parallel/worker-thread.js';

export type { Counters, ParallelDevice } from './parallel/messages.js';
export type { WorkerContext, WorkerProgram, WorkerStart } from './parallel/worker-context.js';
export { WorkerError } from './parallel/worker-thread.js';

/** The kernel takes no more queues for an interface (MAX_TAP_QUEUES). */
const MOST_QUEUES = 256;

/** How long the end of the process waits for a worker, in milliseconds. */
const LAST_PATIENCE = 500;

/** Options of {@link parallel}. */
export interface ParallelOptions {
  /** Queues of the device, and so workers: 1 to 256. Default: as many as the system says that the process can use. */
  readonly queues?: number;
  /** The device that they share: `{ kind: 'tap', name: 'tap0', peer: ['10.77.0.1/24'] }`, with the options of `openTap` or `openTun`. */
  readonly device: ParallelDevice;
  /** The network namespace to open it in: a name of `ip netns`, or a path. Default: the one that the process is in. */
  readonly namespace?: string;
  /** The module that each worker runs: it exports a function `start`, a {@link WorkerStart}. */
  readonly worker: URL;
  /** For each worker, as `context.data`: what structured cloning copies. */
  readonly data?: unknown;
  /** Whether the kernel is to steer frames by a program of ours, where it lets us. Default true. */
  readonly steering?: boolean;
  /** Whether each worker gives up every capability of its thread once it has its queue. Default false. */
  readonly drop?: boolean;
  /** Flags of Node for the workers. Default: those of the process. */
  readonly execArgv?: readonly string[];
}

/** Workers that run. */
export interface Parallel extends AsyncDisposable {
  /** Name of the interface. */
  readonly name: string;
  readonly queues: number;
  /**
   * Resolves when all have ended because of {@link close}; rejects with a {@link WorkerError} when one fails, after the others were stopped.
   * A failure that nobody waits for is an unhandled rejection.
   */
  readonly closed: Promise<void>;
  /** What the workers' programs count, and `device`: worker by worker, or all added up. */
  stats(): Promise<Counters>;
  statsOfEach(): Promise<readonly Counters[]>;
  /**
   * Closes programs, which may take two seconds, and devices, and waits for the threads to end.
   *
   * @throws WorkerError `ETIMEDOUT` (as a rejection) if a thread has not reacted after five
   */
  close(): Promise<void>;
}

class Workers implements Parallel {
  readonly queues: number;
  readonly closed: Promise<void>;
  name = '';
  private readonly threads: readonly WorkerThread[];
  private readonly open: Int32Array;
  /** Resolves when all have ended as they were told, rejects when the first does otherwise. */
  private readonly ended: Promise<unknown>;
  private ending: Promise<void> | undefined = undefined;

  constructor(threads: readonly WorkerThread[], open: SharedArrayBuffer) {
    this.threads = threads;
    this.open = new Int32Array(open);
    process.once('exit', this.exit);
    this.queues = threads.length;
    this.ended = Promise.all(threads.map(({ ended }) => ended));
    this.closed = this.ended.then(
      () => undefined,
      async (error: unknown) => {
        // That others do not end either is not why it happened.
        await this.close().catch(() => undefined);
        throw error;
      },
    );
  }

  /** Starts all, unless one ends meanwhile: then that is why it rejects. */
  async start(): Promise<void> {
    await Promise.race([this.startEach(), this.ended]);
  }

  /** One after the other, so that the kernel numbers the queues as we do. */
  private async startEach(): Promise<void> {
    const [first, ...others] = this.threads;
    const opened = await first?.start(undefined);
    for (const thread of others) await thread.start(opened);
    this.name = opened?.name ?? '';
  }

  async stats(): Promise<Counters> {
    return (await this.statsOfEach()).reduce(addCounters, {});
  }

  statsOfEach(): Promise<readonly Counters[]> {
    return Promise.all(this.threads.map((thread) => thread.stats()));
  }

  close(): Promise<void> {
    this.ending ??= Promise.all(this.threads.map((thread) => thread.stop())).then(() => {
      process.removeListener('exit', this.exit);
    });
    return this.ending;
  }

  /** The process ends and does not ask: threads end wherever they are, and must have closed their devices by then. */
  private readonly exit = (): void => {
    for (const thread of this.threads) thread.shut();
    for (let open = Atomics.load(this.open, 0); open > 0; open = Atomics.load(this.open, 0)) {
      if (Atomics.wait(this.open, 0, open, LAST_PATIENCE) === 'timed-out') return;
    }
  };

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Starts workers that share a device; resolves when all have started.
 *
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 * @throws WorkerError (as a rejection) with the code of what a worker threw as it started, `EPERM` for example, or `ERR_WORKER_FAILED`
 * @example
 * const workers = await parallel({
 *   queues: 2,
 *   device: { kind: 'tap', name: 'tap0', peer: ['10.77.0.1/24'] },
 *   worker: new URL('./echo-worker.js', import.meta.url),
 * });
 *
 * // echo-worker.js
 * export function start({ open }) {
 *   const env = environment();
 *   const device = open(env);
 *   const me = host({ device, addresses: ['10.77.0.2/24'] }, env);
 *   device.frames$.pipe(me).subscribe(device.sink);
 *   nodeNet(me.tcp).createServer((socket) => socket.on('error', () => socket.destroy()).pipe(socket)).listen(7);
 *   return me;
 * }
 */
export async function parallel(options: ParallelOptions): Promise<Parallel> {
  const queues = options.queues ?? availableParallelism();
  if (!Number.isInteger(queues) || queues < 1 || queues > MOST_QUEUES) {
    throw new UsageError('ERR_INVALID_OPTION', `queues ${queues} is not in 1..${MOST_QUEUES}`);
  }
  const open = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const workers = new Workers(threadsOf(queues, open, options), open);
  try {
    await workers.start();
    return workers;
  } catch (error) {
    // The reason is thrown from here, when all have been stopped that can be.
    workers.closed.catch(() => undefined);
    await workers.close().catch(() => undefined);
    throw error;
  }
}

function threadsOf(queues: number, open: SharedArrayBuffer, options: ParallelOptions): readonly WorkerThread[] {
  const { worker, namespace, steering = true, drop = false, data } = options;
  const secret = new SystemRandom().uint32();
  const onTheWay = onTheWayBetween(queues);
  const device = portable(options.device);
  return linesBetween(queues).map((ports, index) => {
    const share = { index, of: queues, secret };
    const lines = { index, ports, onTheWay };
    const settings: WorkerSettings = {
      module: worker.href,
      device,
      namespace,
      share,
      lines,
      open,
      steer: steering,
      drop,
      data,
    };
    return new WorkerThread(threadOf(settings, options.execArgv), index);
  });
}

function threadOf(settings: WorkerSettings, execArgv: readonly string[] | undefined): Worker {
  // From a clone the sources run as they are.
  const program = new URL(`./parallel/worker-main${isTypescript(import.meta.url) ? '.ts' : '.js'}`, import.meta.url);
  const transferList: TransferListItem[] = settings.lines.ports.filter((port) => port !== undefined);
  const needsLoader = isTypescript(import.meta.url) || isTypescript(settings.module);
  // Those of the process are left to Node, which knows what a worker takes of them: of flags that are given it refuses the others.
  const flags = execArgv === undefined ? {} : { execArgv: [...execArgv] };
  return new Worker(needsLoader ? loadedByTsx(program) : program, { workerData: settings, transferList, ...flags });
}

const isTypescript = (url: string): boolean => /\.m?ts$/.test(url);

/** Loaders of the main thread do not load for workers (Node 20): where tsx is installed, it is asked to. Later Nodes need none. */
function loadedByTsx(program: URL): URL {
  try {
    // Its own resolver leaves no way to ask for the face of `tsx/esm/api` that is a module.
    const api = new URL('./esm/api/index.mjs', pathToFileURL(createRequire(import.meta.url).resolve('tsx')));
    const code = `import { register } from ${JSON.stringify(api.href)}; register(); await import(${JSON.stringify(program.href)});`;
    return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
  } catch {
    return program;
  }
}

/** A line between each two, by the numbers of its ends. */
function linesBetween(queues: number): readonly (readonly (MessagePort | undefined)[])[] {
  const ports: (MessagePort | undefined)[][] = Array.from({ length: queues }, () => Array.from({ length: queues }));
  ports.forEach((row, one) => {
    for (let other = one + 1; other < queues; other++) {
      const { port1, port2 } = new MessageChannel();
      row[other] = port1;
      (ports[other] ?? [])[one] = port2;
    }
  });
  return ports;
}

/** Options as they can be posted: addresses as text. */
function portable(device: ParallelDevice): ParallelDevice {
  const peer = (device.peer ?? []).map((address) => Cidr.of(address).toString());
  if (device.kind === 'tun') return { ...device, peer };
  const { mac, peerMac, ...rest } = device;
  const text = (address: MacAddress | string) => MacAddress.of(address).toString();
  return {
    ...rest,
    peer,
    ...(mac === undefined ? {} : { mac: text(mac) }),
    ...(peerMac === undefined ? {} : { peerMac: text(peerMac) }),
  };
}
