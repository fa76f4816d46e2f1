/**
 * The stack's side of the mixed load: digests of what it is sent, bytes with their digest at the end, echo by TCP and UDP. Every second it prints a
 * JSON line about its memory and its event loop.
 *
 *     mixed-load-service.ts ADDRESS/LENGTH PEER/LENGTH TAP-OPTIONS-AS-JSON
 */

import { createHash } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import { openTap, type TapOptions } from '../drivers/tap.js';
import { anyEndpoint } from '../lib/l4/udp.js';
import { nodeNet } from '../lib/socket/net.js';
import { host } from '../operators/stack/host.js';
import { environment } from '../operators/time/environment.js';
import { type Health, writeTransfer } from './mixed-load-ends.js';
import { PORTS } from './ports.js';

const [address = '', peer = '', options = '{}'] = process.argv.slice(2);
const env = environment();
const tap = openTap({ name: 'mixed%d', peer: [peer], ...(JSON.parse(options) as TapOptions) }, env);
const me = host({ device: tap, addresses: [address] }, env);
tap.frames$.pipe(me).subscribe(tap.sink);
const net = nodeNet(me.tcp);

function listen(port: number, allowHalfOpen: boolean, serve: (socket: Duplex) => void): void {
  const server = net.createServer({ allowHalfOpen, noDelay: true }, (socket: Duplex) => {
    socket.on('error', () => socket.destroy());
    serve(socket);
  });
  server.listen(port);
}

listen(PORTS.discard, true, (socket) => {
  const hash = createHash('sha256');
  socket.on('data', (data: Buffer) => hash.update(data)).on('end', () => socket.end(hash.digest()));
});

listen(PORTS.source, false, (socket) => {
  writeTransfer(socket.resume(), (hash) => socket.end(hash.digest()));
});

listen(PORTS.echo, false, (socket) => socket.pipe(socket));

const udp = me.udp.bind(anyEndpoint(4, PORTS.udp), {
  message: ({ data, source }) => udp.send(data, source),
  error: () => undefined,
});

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
setInterval(() => {
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  // The histogram counts the millisecond of its own timer.
  const health: Health = {
    rss,
    heap: heapUsed + arrayBuffers,
    delayP99: delay.percentile(99) / 1e6 - 1,
    size: me.tcp.size,
  };
  delay.reset();
  process.stdout.write(`${JSON.stringify(health)}\n`);
}, 1000);
process.stdout.write('ready\n');
