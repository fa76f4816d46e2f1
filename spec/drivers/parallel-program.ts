/** Starts a worker that opens no device, and prints the code of what comes of it. */

import { parallel, type WorkerError } from '../../drivers/parallel.js';
import type { DevicelessData } from './deviceless-worker.js';

const data: DevicelessData = { shared: new SharedArrayBuffer(8) };
const worker = new URL('./deviceless-worker.ts', import.meta.url);
await parallel({ queues: 1, device: { kind: 'tap' }, worker, data }).catch(({ code }: WorkerError) => {
  console.log(code);
});
