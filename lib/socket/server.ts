/**
 * A `net.Server` over the stack's TCP. Left out: handles, file descriptors, UNIX sockets, clusters. Without a host it listens on `::`, which
 * like in Node means all addresses of both versions, and the ends of an IPv4 connection are then called `::ffff:10.0.0.1`. Unlike in Node the
 * port may meanwhile be listened on at `0.0.0.0` or at a single address, too: what is more specific goes first.
 */

import { EventEmitter } from 'node:events';
import type { LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';
import { type IpAddress, anyAddress } from '../core/address.js';
import type { Timers } from '../core/timers.js';
import type { TcpConnection, TcpConnectionOptions, TcpListener, TcpSockets } from '../l4/tcp/api.js';
import { later } from './later.js';
import { describe, type EndpointInfo, familyOf, literal, localLookup, resolve } from './names.js';
import { codedError, describedError, netCode, portOf, typeError } from './node-errors.js';
import { Socket } from './socket.js';

/** Options of {@link Server}. */
export interface ServerOptions {
  /** The host's TCP. */
  readonly tcp: TcpSockets;
  /** The clock of the sockets' `setTimeout`. Default: that of the process. */
  readonly timers?: Timers;
  readonly lookup?: LookupFunction | undefined;
  readonly allowHalfOpen?: boolean | undefined;
  readonly pauseOnConnect?: boolean | undefined;
  readonly noDelay?: boolean | undefined;
  readonly keepAlive?: boolean | undefined;
  /** Milliseconds. */
  readonly keepAliveInitialDelay?: number | undefined;
  readonly highWaterMark?: number | undefined;
  /** Buffers, segment size and more of the connections it accepts. */
  readonly connectionOptions?: TcpConnectionOptions;
}

/** Options of {@link Server.listen}. */
export interface ListenOptions {
  /** Default 0: any free one. */
  readonly port?: number | string | null | undefined;
  /** An address of this host, or a name of one. Default: all of them. */
  readonly host?: string | undefined;
  /** Which version's addresses, where no host is given. Default: both. */
  readonly family?: number | string | undefined;
  readonly backlog?: number | undefined;
  readonly exclusive?: boolean | undefined;
  /** Take IPv6 connections only where it listens on `::`. Default false. */
  readonly ipv6Only?: boolean | undefined;
  /** Closes the server. */
  readonly signal?: AbortSignal | undefined;
}

/** Arguments of {@link Server.listen}: options, or `[port][, host][, backlog]`, and a callback last. */
export type ListenArguments = readonly (ListenOptions | number | string | null | undefined | (() => void))[];

/** Stands in for `net.Server`. Events: `listening`, `connection`, `drop`, `close`, `error`. */
export class Server extends EventEmitter {
  /** Connections beyond this many are closed at once and reported by `drop`. */
  maxConnections: number | undefined = undefined;
  readonly allowHalfOpen: boolean;
  readonly pauseOnConnect: boolean;

  readonly #options: ServerOptions;
  readonly #sockets = new Set<Duplex>();
  /** One for all of its sockets. */
  readonly #released = (socket: Duplex): void => this.#release(socket);
  #listener: TcpListener | undefined;
  /** Makes the answer of a lookup that was overtaken by `close` void. */
  #attempt = 0;
  #starting = false;

  constructor(options: ServerOptions, onConnection?: (socket: Socket) => void) {
    super();
    this.#options = options;
    this.allowHalfOpen = options.allowHalfOpen ?? false;
    this.pauseOnConnect = options.pauseOnConnect ?? false;
    if (onConnection !== undefined) this.on('connection', onConnection);
  }

  get listening(): boolean {
    return this.#listener !== undefined;
  }

  /**
   * Starts listening; `listening` or `error` follows.
   *
   * @throws Error `ERR_SERVER_ALREADY_LISTEN`; RangeError `ERR_SOCKET_BAD_PORT`
   */
  listen(...args: ListenArguments): this {
    if (this.#listener !== undefined || this.#starting) {
      throw codedError('ERR_SERVER_ALREADY_LISTEN', 'Listen method has been called more than once without closing.');
    }
    const callback = args.find((argument) => typeof argument === 'function');
    const options = listenOptions(args);
    const port = portOf(options.port ?? 0, 'options.port');
    if (callback !== undefined) this.once('listening', callback);
    const attempt = ++this.#attempt;
    if (options.signal !== undefined) this.#closeOn(options.signal);
    const address = options.host ? literal(options.host) : anyAddress(familyOf(options.family) || 6);
    if (address !== undefined) this.#start(address, port, options);
    else this.#lookup(options, port, attempt);
    return this;
  }

  #closeOn(signal: AbortSignal): void {
    if (signal.aborted) return process.nextTick(() => this.close());
    const onAbort = () => this.close();
    signal.addEventListener('abort', onAbort, { once: true });
    this.once('close', () => signal.removeEventListener('abort', onAbort));
  }

  #lookup(options: ListenOptions, port: number, attempt: number): void {
    this.#starting = true;
    const how = { family: familyOf(options.family) };
    resolve(options.host ?? '', how, this.#options.lookup ?? localLookup, (error, address) => {
      if (attempt !== this.#attempt) return;
      this.#starting = false;
      if (address === undefined) this.emit('error', error);
      else this.#start(address, port, options);
    });
  }

  #start(
    address: IpAddress,
    port: number,
    { backlog, family, ipv6Only = familyOf(family) === 6 }: ListenOptions,
  ): void {
    try {
      const options = { ...this.#options.connectionOptions, ...(backlog ? { backlog } : {}), ipv6Only };
      this.#listener = this.#options.tcp.listen({ address, port }, options);
    } catch (error) {
      const failure = describedError(netCode(error, 'EINVAL'), 'listen', address.toString(), port);
      process.nextTick(() => this.emit('error', failure));
      return;
    }
    const listener = this.#listener;
    process.nextTick(() => {
      if (this.#listener !== listener) return;
      this.emit('listening');
      this.#acceptFrom(listener);
    });
  }

  /** Connections are handed over one by one, never from within the stack. */
  #acceptFrom(listener: TcpListener): void {
    let scheduled = false;
    const schedule = () => {
      if (scheduled) return;
      scheduled = true;
      later(acceptOne);
    };
    const acceptOne = () => {
      scheduled = false;
      const connection = this.#listener === listener ? listener.accept() : undefined;
      if (connection === undefined) return;
      schedule();
      this.#admit(connection);
    };
    listener.acceptable = schedule;
  }

  #admit(connection: TcpConnection): void {
    if (this.maxConnections && this.#sockets.size >= this.maxConnections) {
      this.emit('drop', dropped(connection, this.#isIpv6));
      connection.close();
      return;
    }
    const { tcp, timers, lookup, noDelay, keepAlive, keepAliveInitialDelay, highWaterMark } = this.#options;
    const socket = new Socket({
      tcp,
      connection,
      lookup,
      noDelay,
      keepAlive,
      keepAliveInitialDelay,
      highWaterMark,
      timers,
      allowHalfOpen: this.allowHalfOpen,
      pauseOnCreate: this.pauseOnConnect,
      asIpv6: this.#isIpv6,
      released: this.#released,
    });
    this.#sockets.add(socket);
    socket.server = this;
    this.emit('connection', socket);
  }

  get #isIpv6(): boolean {
    return this.#listener?.local.address.version === 6;
  }

  #release(socket: Duplex): void {
    if (this.#sockets.delete(socket)) this.#emitCloseIfDone();
  }

  #emitCloseIfDone(): void {
    if (this.#listener !== undefined || this.#sockets.size > 0) return;
    process.nextTick(() => this.emit('close'));
  }

  /** Stops listening; `close` follows when the last connection has ended. */
  close(callback?: (error?: Error) => void): this {
    const running = this.#listener !== undefined || this.#starting;
    if (callback !== undefined) {
      const notRunning = codedError('ERR_SERVER_NOT_RUNNING', 'Server is not running.');
      this.once('close', () => (running ? callback() : callback(notRunning)));
    }
    this.#starting = false;
    this.#attempt++;
    this.#listener?.close();
    this.#listener = undefined;
    this.#emitCloseIfDone();
    return this;
  }

  /** Destroys every connection that is open. */
  closeAllConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Where it listens, or `null`. */
  address(): EndpointInfo | null {
    return this.#listener === undefined ? null : describe(this.#listener.local);
  }

  getConnections(callback: (error: Error | null, count: number) => void): this {
    process.nextTick(() => callback(null, this.#sockets.size));
    return this;
  }

  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }

  /** Stops listening and waits for the connections to end. */
  [Symbol.asyncDispose](): Promise<void> {
    if (!this.listening) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.close((error) => (error === undefined ? resolve() : reject(error)));
    });
  }
}

function listenOptions(args: ListenArguments): ListenOptions {
  const [first, second, third] = args;
  if (typeof first === 'object' && first !== null) {
    if ('port' in first) return first;
    throw typeError('ERR_INVALID_ARG_VALUE', 'The argument \'options\' must have the property "port" or "path"');
  }
  const backlog = [second, third].find((argument) => typeof argument === 'number');
  return {
    port: typeof first === 'function' ? 0 : first,
    ...(typeof second === 'string' ? { host: second } : {}),
    ...(backlog === undefined ? {} : { backlog }),
  };
}

function dropped(connection: TcpConnection, asIpv6: boolean): Record<string, string | number> {
  const local = describe(connection.local, asIpv6);
  const remote = describe(connection.remote, asIpv6);
  return {
    localAddress: local.address,
    localPort: local.port,
    localFamily: local.family,
    remoteAddress: remote.address,
    remotePort: remote.port,
    remoteFamily: remote.family,
  };
}
