/** One worker of examples/parallel-echo.ts: a host with a queue of the TAP, and an echo server on it. */
import type { WorkerContext } from '../drivers/parallel.js';
import { environment, host, type Host, nodeNet } from '../operators/main.js';

export function start({ open }: WorkerContext): Host {
  const env = environment();
  const device = open(env);
  const me = host({ device, addresses: ['10.77.0.2/24'] }, env);
  device.frames$.pipe(me).subscribe(device.sink);
  nodeNet(me.tcp)
    .createServer((socket) => void socket.on('error', () => socket.destroy()).pipe(socket))
    .listen(7);
  return me;
}
