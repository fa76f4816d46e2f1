/** The `net` module of a host: what `import net from 'node:net'` offers, over the stack's TCP. */

import type { LookupFunction } from 'node:net';
import type { Timers } from '../core/timers.js';
import type { TcpConnectionOptions, TcpSockets } from '../l4/tcp/api.js';
import type { ConnectOptions } from './connect-options.js';
import { isIP } from './names.js';
import { Server, type ServerOptions } from './server.js';
import { Socket } from './socket.js';
import type { SocketOptions } from './socket-options.js';

/** What {@link nodeNet} takes besides the host's TCP. */
export interface NetDefaults {
  /** The clock of the sockets' `setTimeout`. Default: that of the process. */
  readonly timers?: Timers;
  /** Finds the addresses of names, like Node's `dns.lookup`. Default: knows only `localhost`. */
  readonly lookup?: LookupFunction;
  /** Buffers, segment size and more of every connection. */
  readonly connectionOptions?: TcpConnectionOptions;
}

/** Options of {@link NodeNet.connect}: of the socket and of the connection. */
export type NetConnectOptions = ConnectOptions & Omit<SocketOptions, 'tcp' | 'connection' | 'released'>;

/** A function that opens a connection in all the ways of `net.connect`. */
export interface NetConnect {
  (options: NetConnectOptions, connected?: () => void): Socket;
  (port: number | string, host: string, connected?: () => void): Socket;
  (port: number | string, connected?: () => void): Socket;
}

/** A function that makes a server in all the ways of `net.createServer`. */
export interface NetCreateServer {
  (options: Omit<ServerOptions, 'tcp'>, onConnection?: (socket: Socket) => void): Server;
  (onConnection?: (socket: Socket) => void): Server;
}

/** A constructor of sockets that knows its host. */
export type BoundSocket = new (options?: Omit<SocketOptions, 'tcp'>) => Socket;
/** A constructor of servers that knows its host. */
export type BoundServer = new (options?: Omit<ServerOptions, 'tcp'>, onConnection?: (socket: Socket) => void) => Server;

/** The `net` module of a host. */
export interface NodeNet {
  readonly Socket: BoundSocket;
  readonly Stream: BoundSocket;
  readonly Server: BoundServer;
  readonly connect: NetConnect;
  readonly createConnection: NetConnect;
  readonly createServer: NetCreateServer;
  readonly isIP: (text: string) => 0 | 4 | 6;
  readonly isIPv4: (text: string) => boolean;
  readonly isIPv6: (text: string) => boolean;
}

/**
 * Makes the `net` module of a host.
 *
 * @example
 * ```ts
 * const net = nodeNet(tcp);
 * net.createServer((socket) => socket.on('error', () => socket.destroy()).pipe(socket)).listen(7);
 * net.connect(7, '10.0.0.2').end('hello');
 * ```
 */
export function nodeNet(tcp: TcpSockets, defaults: NetDefaults = {}): NodeNet {
  const BoundSocket = class extends Socket {
    constructor(options: Omit<SocketOptions, 'tcp'> = {}) {
      super({ ...defaults, ...options, tcp });
    }
  };
  const BoundServer = class extends Server {
    constructor(options: Omit<ServerOptions, 'tcp'> = {}, onConnection?: (socket: Socket) => void) {
      super({ ...defaults, ...options, tcp }, onConnection);
    }
  };
  const connect: NetConnect = (
    first: NetConnectOptions | number | string,
    second?: string | (() => void),
    third?: () => void,
  ): Socket => {
    const options: NetConnectOptions =
      typeof first === 'object' ? first : { port: first, ...(typeof second === 'string' ? { host: second } : {}) };
    const connected = typeof second === 'function' ? second : third;
    return new BoundSocket(options).connect(options, connected);
  };
  const createServer: NetCreateServer = (
    first?: Omit<ServerOptions, 'tcp'> | ((socket: Socket) => void),
    onConnection?: (socket: Socket) => void,
  ): Server => (typeof first === 'function' ? new BoundServer({}, first) : new BoundServer(first ?? {}, onConnection));
  return {
    Socket: BoundSocket,
    Stream: BoundSocket,
    Server: BoundServer,
    connect,
    createConnection: connect,
    createServer,
    isIP,
    isIPv4: (text) => isIP(text) === 4,
    isIPv6: (text) => isIP(text) === 6,
  };
}
