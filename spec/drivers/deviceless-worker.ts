/** What the workers of `parallel-spec` run: programs that do not get as far as opening a device. */

import { parentPort, workerData } from 'node:worker_threads';
import type { ToWorker, WorkerSettings } from '../../drivers/parallel/messages.js';

/** What the spec gives to each worker. */
export interface DevicelessData {
  /** Number of a worker that ends as it is loaded. */
  readonly ends?: number;
  /** What the others do: they are loaded when they are told to stop, start for ever, or block their thread while the gate is shut. */
  readonly others?: 'load' | 'start' | 'block';
  /** Two numbers: whether the gate is open, and how many began to start. */
  readonly shared: SharedArrayBuffer;
}

const { share, data } = workerData as WorkerSettings;
const { ends, others, shared } = data as DevicelessData;
const numbers = new Int32Array(shared);

if (share.index === ends) process.exit(3);
if (others === 'load') {
  await new Promise<void>((resolve) => {
    parentPort?.on('message', ({ kind }: ToWorker) => {
      if (kind === 'stop') resolve();
    });
  });
}

export function start(): Promise<void> {
  Atomics.add(numbers, 1, 1);
  if (others === 'block') Atomics.wait(numbers, 0, 0);
  return others === 'start' ? new Promise(() => undefined) : Promise.resolve();
}
