/**
 * The application of the benchmarks on the wire: discard, source and echo of TCP, and echo of UDP, on this stack behind a TAP that it makes, or on the kernel's
 * sockets.
 *
 *     service.ts OPTIONS-AS-JSON
 */

import dgram from 'node:dgram';
import kernelNet from 'node:net';
import type { Duplex } from 'node:stream';
import { openTap, type TapOptions } from '../drivers/tap.js';
import { anyAddress } from '../lib/core/address.js';
import type { TcpConnection, TcpHandler, TcpSockets } from '../lib/l4/tcp/api.js';
import { anyEndpoint } from '../lib/l4/udp.js';
import type { TcpOptions } from '../lib/l4/tcp/options.js';
import { nodeNet } from '../lib/socket/net.js';
import { impair, impairOutgoing, type Impairments } from '../operators/flow/impair.js';
import { host } from '../operators/stack/host.js';
import { environment } from '../operators/time/environment.js';
import { PORTS } from './ports.js';
import { BLOCK, Discard, Echo, Source } from './tcp-services.js';

/** What the service runs on. */
export interface ServiceOptions {
  /** The application is written against: handlers of this stack, Node's sockets of this stack, Node's sockets of the kernel. */
  readonly api: 'handlers' | 'sockets' | 'kernel';
  /** Of this stack. */
  readonly addresses?: readonly string[];
  readonly tap?: TapOptions;
  /** A wire as bad as that between the TAP and the stack. */
  readonly wire?: Impairments;
  readonly tcp?: TcpOptions;
}

/** What the application needs of a `net` module. */
interface NetModule {
  createServer(
    options: { allowHalfOpen?: boolean; noDelay?: boolean },
    handle: (socket: Duplex) => void,
  ): { listen(port: number): unknown };
}

function serveSockets(net: NetModule): void {
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

function serveHandlers(tcp: TcpSockets): void {
  const listen = (port: number, handle: (connection: TcpConnection) => TcpHandler) => {
    const listener = tcp.listen({ address: anyAddress(6), port });
    listener.acceptable = () => {
      for (let one = listener.accept(); one !== undefined; one = listener.accept()) {
        one.handler = handle(one);
        one.handler.writable();
      }
    };
  };
  listen(PORTS.discard, (connection) => new Discard(connection));
  listen(PORTS.echo, (connection) => new Echo(connection));
  listen(PORTS.source, (connection) => new Source(connection));
}

function serveKernel(): void {
  serveSockets(kernelNet);
  const udp = dgram.createSocket('udp4');
  udp.on('message', (data, { port, address }) => udp.send(data, port, address)).bind(PORTS.udp);
}

function serveStack({ api, addresses = [], tap: options = {}, wire, tcp = {} }: ServiceOptions): void {
  const env = environment();
  const tap = openTap(options, env);
  const me = host({ device: tap, addresses, tcp }, env);
  const sent$ =
    wire === undefined ? tap.frames$.pipe(me) : tap.frames$.pipe(impair(wire, env), me, impairOutgoing(wire, env));
  sent$.subscribe(tap.sink);
  if (api === 'sockets') serveSockets(nodeNet(me.tcp));
  else serveHandlers(me.tcp);
  // Of IPv4 as well.
  const udp = me.udp.bind(anyEndpoint(6, PORTS.udp), {
    view: (bytes, from, to, { source }) => udp.sendCopy(bytes, from, to, source),
    error: () => {},
  });
  process.on('SIGTERM', () => {
    process.stderr.write(`${JSON.stringify(me.stats())}\n`);
    process.exit(0);
  });
}

const options = JSON.parse(process.argv[2] ?? '{}') as ServiceOptions;
if (options.api === 'kernel') serveKernel();
else serveStack(options);
process.stdout.write('ready\n');
