/** The program of the workers of `parallel-spec`: the services of `rx-netstack host`, and what the spec asks a single worker to do. */

import { BroadcastChannel } from 'node:worker_threads';
import { filter, firstValueFrom } from 'rxjs';
import { type RunningServices, SERVICE_NAMES, startServices } from '../../cli/services.js';
import type { WorkerContext, WorkerProgram } from '../../drivers/parallel.js';
import { FramePool } from '../../lib/core/frame.js';
import { nodeDgram } from '../../lib/socket/dgram.js';
import { nodeNet } from '../../lib/socket/net.js';
import { ping } from '../../operators/l7/ping.js';
import { host, type Host } from '../../operators/stack/host.js';
import { environment } from '../../operators/time/environment.js';

/** What the spec gives to each worker. */
export interface WorkerData {
  /** Name of the channel on which the spec asks. */
  readonly channel: string;
  readonly addresses: readonly string[];
  /** Number of a worker that throws as it starts. */
  readonly broken?: number;
}

/** What the spec asks one worker to do, and what that answers. */
export type Order =
  | { readonly worker: number; readonly what: 'connect' | 'datagram'; readonly to: string; readonly port: number }
  | { readonly worker: number; readonly what: 'ping'; readonly to: string; readonly size: number }
  | { readonly worker: number; readonly what: 'throw' | 'exit' };
export interface Done {
  readonly worker: number;
  readonly answer: string;
}

/** Sends a line, and reads what comes back until the end. */
function connect(me: Host, to: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    let got = '';
    const socket = nodeNet(me.tcp).connect(port, to, () => socket.end(`a line from port ${socket.localPort}\n`));
    socket.setEncoding('utf8').on('data', (text: string) => (got += text));
    socket.on('error', (error) => resolve(error.message)).on('close', () => resolve(got));
  });
}

/** Sends a datagram and waits for one. */
function datagram(me: Host, to: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = nodeDgram(me.udp).createSocket('udp4');
    socket.on('message', (message) => {
      resolve(message.toString());
      socket.close();
    });
    socket.send('a datagram', port, to);
  });
}

async function echo(me: Host, to: string, size: number): Promise<string> {
  const events$ = ping(me.ping, to, { count: 1, timeout: 2000, size }, me.env);
  return (await firstValueFrom(events$.pipe(filter(({ kind }) => kind !== undefined)))).kind;
}

function obey(me: Host, order: Order): Promise<string> {
  switch (order.what) {
    case 'connect':
      return connect(me, order.to, order.port);
    case 'datagram':
      return datagram(me, order.to, order.port);
    case 'ping':
      return echo(me, order.to, order.size);
    case 'throw':
      throw Object.assign(new Error('told to throw'), { code: 'ERR_TOLD_TO' });
    case 'exit':
      process.exit(3);
  }
}

/** Takes the orders for one worker. */
function takeOrders(me: Host, index: number, name: string): BroadcastChannel {
  const channel = new BroadcastChannel(name);
  channel.addEventListener('message', (event: unknown) => {
    const { data } = event as { readonly data: Order | Done };
    if (!('what' in data) || data.worker !== index) return;
    // An order to throw throws from here, where nobody catches it.
    void obey(me, data).then((answer) => channel.postMessage({ worker: index, answer } satisfies Done));
  });
  return channel;
}

export function start({ open, index, data }: WorkerContext<WorkerData>): WorkerProgram {
  if (index === data.broken) throw Object.assign(new Error('broken from the start'), { code: 'ERR_BROKEN' });
  const env = environment({ pool: new FramePool({ poison: true }) });
  const device = open(env);
  const me = host({ device, addresses: data.addresses }, env);
  device.frames$.pipe(me).subscribe(device.sink);
  const services: RunningServices = startServices(SERVICE_NAMES, { tcp: me.tcp, udp: me.udp }, () => me.stats());
  const channel = takeOrders(me, index, data.channel);
  return {
    stats: () => me.stats(),
    close: async () => {
      channel.close();
      await services.close();
    },
  };
}
