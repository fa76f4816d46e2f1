/** The program of a worker thread of `parallel()`: runs the user's module, says how it goes, and ends when it is told. */

import { parentPort, workerData } from 'node:worker_threads';
import { UsageError } from '../../lib/core/errors.js';
import { addCounters } from './counters.js';
import type { Counters, FromWorker, OpenedDevice, ToWorker, WorkerSettings } from './messages.js';
import { Context, type WorkerProgram, type WorkerStart } from './worker-context.js';

const settings = workerData as WorkerSettings;
const tell = (message: FromWorker): void => parentPort?.postMessage(message);

// Modules are loaded in all workers at once; they start one after the other.
const loaded: Promise<{ readonly start?: WorkerStart }> = import(settings.module);
// It is looked at when the worker is told to start.
loaded.catch(() => undefined);

/** How long a program may take to close, in milliseconds. */
const PATIENCE = 2000;

let context: Context | undefined;
let program: WorkerProgram | undefined;
let stopping = false;

async function start(opened: OpenedDevice | undefined): Promise<void> {
  const { start: run } = await loaded;
  if (stopping) return;
  if (typeof run !== 'function') {
    throw new UsageError('ERR_INVALID_OPTION', `${settings.module} does not export a function start`);
  }
  context = new Context(settings, opened);
  program = (await run(context)) ?? undefined;
  const { device } = context;
  if (device === undefined) throw new UsageError('ERR_INVALID_STATE', 'a worker must open its device as it starts');
  tell({ kind: 'started', opened: { name: device.name, mac: device.mac.toString() } });
}

function stats(): Counters {
  const counters: Counters = { device: context?.counters ?? {} };
  return addCounters(counters, (program?.stats?.() ?? {}) as Counters);
}

async function stop(): Promise<void> {
  stopping = true;
  // Whatever the program waits for: in the end the thread ends.
  setTimeout(() => process.exit(), PATIENCE).unref();
  await program?.close?.();
  context?.shut();
  for (const port of settings.lines.ports) port?.close();
  parentPort?.close();
}

async function obey(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case 'start':
      return start(message.opened);
    case 'stats':
      return tell({ kind: 'stats', request: message.request, stats: stats() });
    case 'stop':
      return stop();
    case 'shut':
      return context?.shut();
  }
}

parentPort?.on('message', (message: ToWorker) => {
  obey(message).catch((error: unknown) => tell({ kind: 'failed', error: portable(error) }));
});

// However the thread ends: what the event loop still watches for a native library would take the process with it.
process.once('exit', () => context?.shut());

/** An error as it can be posted: a thread's own classes, and their codes, do not survive that. */
function portable(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message, stack } = error;
  return { name, message, stack, code: (error as { code?: unknown }).code };
}
