/** A server of links of ergot over TCP: one for each connection. */

import net from 'node:net';
import type { Observable } from 'rxjs';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import { ERGOT_MTU } from './ergot-link.js';
import { type ErgotSocketListener, listeningOf, OpenLinks, type ErgotSocketAddress } from './listener.js';
import {
  checkPort,
  ERGOT_PORT,
  LOOPBACK,
  type ErgotTcpSocketOptions,
  type TcpServer,
  type TcpStream,
  tune,
} from './sockets.js';
import { StreamLink } from './stream.js';
import { checkSendQueue } from './stuffed-stream.js';
import { checkMtu } from '../virtual-device.js';

const MOST_CONNECTIONS = 64;

/** Options of {@link listenErgotTcp}; port 0 is any that is free. */
export interface ErgotTcpListenerOptions extends ErgotTcpSocketOptions {
  /** Connections at a time; further ones are closed at once. Default 64. */
  readonly mostConnections?: number;
  /** Default `tcp`; devices are called so, with the address and the port of the other end. */
  readonly name?: string;
}

class TcpListener implements ErgotSocketListener {
  readonly devices$: Observable<StreamLink>;
  readonly listening: Promise<ErgotSocketAddress>;
  private readonly options: ErgotTcpListenerOptions;
  private readonly env: Env;
  private readonly server: TcpServer;
  private readonly links: OpenLinks<StreamLink> = new OpenLinks();
  private open = true;

  constructor(options: ErgotTcpListenerOptions, env: Env) {
    const { host = LOOPBACK, port = ERGOT_PORT, net: tcp = net } = options;
    this.options = options;
    this.env = env;
    this.devices$ = this.links.devices$;
    this.server = tcp.createServer();
    this.listening = listeningOf(this.server);
    this.server.on('connection', (socket) => this.accept(socket));
    this.server.on('error', (error) => this.fail(error));
    // Where the name of the host had to be looked up, it may have been closed meanwhile.
    this.server.on('listening', () => void (this.open || this.server.close()));
    this.server.listen({ host, port });
  }

  async close(): Promise<void> {
    if (this.open) this.server.close();
    this.open = false;
    await this.links.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private fail(error: Error): void {
    // While it listens, what fails is one connection that could not be accepted: too many files are open, say, which passes.
    if (!this.open || this.server.listening) return;
    this.open = false;
    this.server.close();
    this.links.fail(error);
  }

  private accept(socket: TcpStream): void {
    const { mostConnections = MOST_CONNECTIONS, name = 'tcp', keepAlive } = this.options;
    if (!this.open || this.links.size >= mostConnections) {
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    tune(socket, keepAlive);
    const options = { ...this.options, name: `${name}:${socket.remoteAddress}:${socket.remotePort}` };
    this.links.add(new StreamLink(socket, options, this.env, (link) => this.links.remove(link)));
  }
}

/**
 * Listens for TCP connections, each of which becomes a link. A link ends with its connection.
 *
 * **Drops** as `ergotOverStream`.
 *
 * @throws UsageError `ERR_INVALID_OPTION`. Where the system refuses to listen, that errors `devices$` and `listening`; where it has no room for a connection, the
 * next one is waited for
 * @example
 * const listener = listenErgotTcp({ host: '0.0.0.0' }, env);
 * listener.devices$.subscribe((device) => router.plug(device));
 */
export function listenErgotTcp(options: ErgotTcpListenerOptions, env: Env): ErgotSocketListener {
  const { port = ERGOT_PORT, mtu = ERGOT_MTU, mostConnections = 1 } = options;
  checkPort(port, 0);
  checkMtu(mtu);
  checkSendQueue(options);
  if (!(mostConnections >= 1)) throw new UsageError('ERR_INVALID_OPTION', 'a listener without connections');
  return new TcpListener(options, env);
}
