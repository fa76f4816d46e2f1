/**
 * Node's own `http` over the stack: servers are fed by `emit('connection', socket)`, clients by an agent that opens our sockets, both of which
 * Node documents. Nothing of `http` is replaced.
 */

import { Agent, type AgentOptions, type ClientRequestArgs, type Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TcpSockets } from '../l4/tcp/api.js';
import type { ConnectOptions } from './connect-options.js';
import { type NetDefaults, type NodeNet, nodeNet } from './net.js';
import { type ListenOptions, Server, type ServerOptions } from './server.js';

/** Options of {@link serveHttp}. */
export interface ServeHttpOptions extends ServerOptions, ListenOptions {}

/** Closing also ends the keep-alive connections that are idle, as `http.Server.close` does; they would hold it open for ever. */
class HttpListener extends Server {
  readonly #http: HttpServer;

  constructor(http: HttpServer, options: ServeHttpOptions) {
    // Node's HTTP servers keep the way back open after the end of a request, and send answers without delay.
    super({ noDelay: true, ...options, allowHalfOpen: true });
    this.#http = http;
  }

  override close(callback?: (error?: Error) => void): this {
    super.close(callback);
    this.#http.closeIdleConnections();
    return this;
  }
}

/**
 * Serves a port of the host by a Node HTTP server that was made by `http.createServer`. The HTTP server is told `listening`, which starts its
 * request timeouts, `error`, and `close`. Close the returned server, or abort `signal`; closing the HTTP server closes the port too.
 *
 * @example
 * ```ts
 * const web = http.createServer((request, response) => response.end('hello'));
 * serveHttp(web, { tcp, port: 80 });
 * ```
 */
export function serveHttp(http: HttpServer, options: ServeHttpOptions): Server {
  const server = new HttpListener(http, options);
  let open = true;
  const onHttpClose = () => {
    if (open && server.listening) server.close();
  };
  server.on('listening', () => http.emit('listening'));
  server.on('connection', (socket) => http.emit('connection', socket));
  server.on('error', (error) => http.emit('error', error));
  server.on('close', () => {
    open = false;
    http.off('close', onHttpClose);
    http.close(); // stops its timeout checks and tells its listeners
  });
  http.on('close', onHttpClose);
  return server.listen({ ...options, port: options.port ?? 0 });
}

/** An `http.Agent` whose connections are the host's. */
export class StackAgent extends Agent {
  readonly #net: NodeNet;

  constructor(tcp: TcpSockets, options: AgentOptions & NetDefaults = {}) {
    super(options);
    this.#net = nodeNet(tcp, options);
  }

  /** The request's `signal` stays with the request: it destroys the socket too, unless that serves another request by then. */
  override createConnection(options: ClientRequestArgs): Duplex {
    const { host, port, localAddress, localPort, family, lookup, timeout } = options;
    // Node hands on all options of a request, and its types know some of them.
    const { autoSelectFamily, autoSelectFamilyAttemptTimeout } = options as Partial<ConnectOptions>;
    return this.#net.connect({
      port: port ?? 80,
      host: host ?? 'localhost',
      localAddress,
      family,
      timeout,
      autoSelectFamily,
      autoSelectFamilyAttemptTimeout,
      ...(localPort === undefined ? {} : { localPort }),
      ...(lookup === undefined ? {} : { lookup }),
    });
  }
}

/**
 * Makes an agent for `http.request` and `http.get`.
 *
 * @example
 * ```ts
 * http.get('http://10.0.0.2/', { agent: agent(tcp, { keepAlive: true }) }, (response) => response.resume());
 * ```
 */
export function agent(tcp: TcpSockets, options: AgentOptions & NetDefaults = {}): StackAgent {
  return new StackAgent(tcp, options);
}
