/**
 * The application of the TAP benchmark: discard, source and echo on Node's `net` API. The same code runs on the kernel's sockets
 * and on ours, so that the difference is the stack's.
 *
 *     service.ts kernel ADDRESS
 *     service.ts stack ADDRESS/LENGTH,... PEER/LENGTH,... [IMPAIRMENTS-AS-JSON] [TCP-OPTIONS-AS-JSON]     on a TAP that it makes, behind a wire as bad as that
 */

import dgram from 'node:dgram';
import kernelNet from 'node:net';
import type { Duplex } from 'node:stream';
import { openTap } from '../drivers/tap.js';
import { anyEndpoint } from '../lib/l4/udp.js';
import type { TcpOptions } from '../lib/l4/tcp/options.js';
import { nodeNet } from '../lib/socket/net.js';
import { impair, impairOutgoing, type Impairments } from '../operators/flow/impair.js';
import { host } from '../operators/stack/host.js';
import { environment } from '../operators/time/environment.js';
import { PORTS } from './ports.js';

/** What the application needs of a `net` module. */
interface NetModule {
  createServer(
    options: { allowHalfOpen?: boolean; noDelay?: boolean },
    handle: (socket: Duplex) => void,
  ): { listen(port: number): unknown };
}

const BLOCK = Buffer.alloc(65_536, 'rx-netstack ');

function serve(net: NetModule): void {
  const listen = (port: number, handle: (socket: Duplex) => void) => {
    net
      .createServer({ noDelay: true }, (socket) => {
        socket.on('error', () => socket.destroy());
        handle(socket);
      })
      .listen(port);
  };
  listen(PORTS.discard, (socket) => socket.resume());
  listen(PORTS.echo, (socket) => socket.on('data', (data: Buffer) => socket.write(data)));
  listen(PORTS.source, (socket) => {
    const fill = () => {
      while (socket.write(BLOCK));
    };
    socket.on('drain', fill);
    fill();
  });
}

function kernel(address: string): void {
  serve(kernelNet);
  const udp = dgram.createSocket('udp4');
  udp.on('message', (data, { port, address: to }) => udp.send(data, port, to)).bind(PORTS.udp, address);
}

function stack(
  addresses: readonly string[],
  peer: readonly string[],
  wire: Impairments | undefined,
  tcp: TcpOptions,
): void {
  const env = environment();
  const tap = openTap({ name: 'bench%d', peer }, env);
  const me = host({ device: tap, addresses, tcp }, env);
  const sent$ =
    wire === undefined ? tap.frames$.pipe(me) : tap.frames$.pipe(impair(wire, env), me, impairOutgoing(wire, env));
  sent$.subscribe(tap.sink);
  serve(nodeNet(me.tcp));
  // Of IPv4 as well.
  const udp = me.udp.bind(anyEndpoint(6, PORTS.udp), {
    message: (message) => udp.send(message.data, message.source),
    error: () => {},
  });
  process.on('SIGTERM', () => {
    process.stderr.write(`${JSON.stringify(me.stats())}\n`);
    process.exit(0);
  });
}

const [mode = '', address = '', peer = '', wire, options = '{}'] = process.argv.slice(2);
if (mode === 'kernel') kernel(address);
else {
  const impairments = wire === undefined ? undefined : (JSON.parse(wire) as Impairments);
  stack(address.split(','), peer.split(','), impairments, JSON.parse(options) as TcpOptions);
}
process.stdout.write('ready\n');
