/**
 * A `net.Socket` over the stack's TCP: a Duplex with the events, properties and closing rules of Node's, in Node's order, so that `http` and
 * whatever else was written for Node's sockets runs over it unmodified. Left out: file descriptors, UNIX sockets, `onread` buffers. Nothing
 * here keeps a process alive, so `ref` and `unref` do nothing.
 */

import { Buffer } from 'node:buffer';
import { nextTick } from 'node:process';
import { addAbortSignal, Duplex } from 'node:stream';
import type { IpAddress } from '../core/address.js';
import type { NetError } from '../core/errors.js';
import type { Timer, Timers } from '../core/timers.js';
import type { Endpoint, TcpConnection } from '../l4/tcp/api.js';
import type { TcpInfo } from '../l4/tcp/info.js';
import { bytesOf, type Chunk, nextOf } from './chunks.js';
import { type ConnectArguments, type ConnectOptions, connectArguments } from './connect-options.js';
import { attemptOptions, raceByName, raceOptions } from './connect-race.js';
import { Inbox, type InboxEvents } from './inbox.js';
import { later } from './later.js';
import { describe, type EndpointInfo, literal } from './names.js';
import { codedError, netCode, systemError, typeError } from './node-errors.js';
import { Outbox, type WriteDone } from './outbox.js';
import type { SocketOptions } from './socket-options.js';
import { wallTimers } from './wall-timers.js';

/** Stands in for `net.Socket`. */
export class Socket extends Duplex {
  /** An attempt to connect is under way. */
  connecting = false;
  /** Milliseconds given to `setTimeout`. */
  timeout: number | undefined = undefined;
  /** Whoever accepted the connection; set by servers. */
  server: unknown = null;
  /** Host name being connected to, if it is a name. */
  _host: string | null = null;

  static readonly #events: InboxEvents<Socket> = {
    connected: (socket) => socket.#onConnected(),
    arrived: (socket) => socket.#onArrival(),
    readable: (socket) => socket.#pull(),
    progress: (socket) => socket.#onProgress(),
    closed: (socket, error) => socket.#onClosed(error),
  };

  readonly #options: SocketOptions;
  readonly #timers: Timers;
  readonly #outbox = new Outbox();
  #inbox: Inbox<Socket> | undefined;
  #connection: TcpConnection | undefined;
  #target: { readonly address: string; readonly port: number } | undefined;
  #remote: Endpoint | undefined;
  #idle: Timer | undefined;
  #abortRace: (() => void) | undefined;
  #wanted = false;
  #peerEnded = false;
  #over = false;
  #overError: NetError | undefined;
  #resetting = false;
  #asIpv6 = false;
  #bytesRead = 0;
  #noDelay: boolean;
  #keepAlive: boolean;
  #keepAliveDelay: number;

  constructor(options: SocketOptions) {
    const stream = {
      allowHalfOpen: options.allowHalfOpen ?? false,
      readable: options.readable ?? true,
      writable: options.writable ?? true,
      emitClose: false, // `close` carries hadError, so it is emitted here
      autoDestroy: true,
      decodeStrings: false, // strings become buffers of our own, which need no copy
      ...(options.highWaterMark === undefined ? {} : { highWaterMark: options.highWaterMark }),
    };
    super(stream);
    this.#options = options;
    this.#timers = options.timers ?? wallTimers;
    this.#noDelay = options.noDelay ?? false;
    this.#keepAlive = options.keepAlive ?? false;
    this.#keepAliveDelay = Math.max(0, options.keepAliveInitialDelay ?? 0);
    this.#asIpv6 = options.asIpv6 ?? false;
    if (options.connection !== undefined) this.#adopt(options.connection, options.pauseOnCreate ?? false);
    if (options.signal !== undefined) addAbortSignal(options.signal, this);
  }

  #adopt(connection: TcpConnection, paused: boolean): void {
    this.#own(connection);
    this.#applyOptions(connection);
    if (paused) this.pause();
    else this.read(0);
  }

  #own(connection: TcpConnection): void {
    this.#connection = connection;
    this.#inbox ??= new Inbox(Socket.#events, this);
    connection.handler = this.#inbox;
    this.#remote = connection.remote;
  }

  // --- opening

  connect(options: ConnectOptions, connected?: () => void): this;
  connect(port: number | string, host: string, connected?: () => void): this;
  connect(port: number | string, connected?: () => void): this;
  /**
   * Opens a connection; `connect` and `ready` follow, or `error` and `close`.
   *
   * @throws TypeError, RangeError with Node's codes for arguments that can never work
   */
  connect(...args: ConnectArguments): this {
    const { options, port, connected } = connectArguments(args);
    if (connected !== undefined) this.once('connect', connected);
    if (this.destroyed) this.#revive();
    this.connecting = true;
    this.#touch();
    if (options.timeout) this.setTimeout(options.timeout);
    if (options.noDelay !== undefined) this.#noDelay = options.noDelay;
    if (options.keepAlive !== undefined) this.#keepAlive = options.keepAlive;
    if (options.keepAliveInitialDelay !== undefined) this.#keepAliveDelay = Math.max(0, options.keepAliveInitialDelay);
    const host = options.host || 'localhost';
    const address = literal(host);
    if (address === undefined) this.#race(host, port, options);
    else nextTick(() => this.#open(address, port, options));
    return this;
  }

  /** A closed socket may connect again; only the stream's own undoing of `destroy` makes that possible. */
  #revive(): void {
    const stream: { _undestroy?: () => void } = this as object;
    stream._undestroy?.();
    this.#inbox = undefined;
    this.#connection = undefined;
    this.#wanted = false;
    this.#peerEnded = false;
    this.#over = false;
    this.#overError = undefined;
  }

  #race(host: string, port: number, options: ConnectOptions): void {
    this._host = host;
    const race = raceByName(raceOptions(host, port, options, this.#options), {
      lookedUp: (error, address) => this.emit('lookup', error ?? null, address?.toString(), address?.version, host),
      connected: (connection) => {
        this.#inbox = new Inbox(Socket.#events, this);
        this.#own(connection);
        this.#inbox.connected();
      },
      failed: (error) => nextTick(() => this.connecting && this.destroy(error)),
    });
    if (this.connecting) this.#abortRace = race;
    else race();
  }

  #open(address: IpAddress, port: number, options: ConnectOptions): void {
    if (!this.connecting) return;
    this.#touch();
    this.#target = { address: address.toString(), port };
    this.#asIpv6 = address.version === 6 && address.isMapped;
    const inbox = new Inbox(Socket.#events, this);
    this.#inbox = inbox;
    try {
      this.#own(this.#options.tcp.connect({ address, port }, inbox, attemptOptions(options, this.#options)));
    } catch (error) {
      this.destroy(systemError(netCode(error, 'EINVAL'), 'connect', address.toString(), port));
    }
  }

  #onConnected(): void {
    const connection = this.#connection;
    if (!this.connecting || connection === undefined) return;
    this.connecting = false;
    this.#touch();
    this.#applyOptions(connection);
    this.emit('connect');
    this.emit('ready');
    if (!this.destroyed && !this.isPaused()) this.read(0);
  }

  #applyOptions(connection: TcpConnection): void {
    if (this.#noDelay) connection.setNoDelay(true);
    if (this.#keepAlive) connection.setKeepAlive(true, this.#keepAliveDelay || undefined);
  }

  // --- reading

  override _read(): void {
    const connection = this.#connection;
    if (this.connecting || connection === undefined) {
      this.once('connect', () => this._read());
      return;
    }
    this.#wanted = true;
    // Told by the inbox: `push` within `_read` takes the slow way through the stream's buffer.
    if (connection.readableBytes > 0 || connection.readEnded || this.#over) this.#inbox?.noteReadable();
  }

  /** What flows to nobody is not kept until later. */
  #onArrival(): boolean {
    const connection = this.#connection;
    if (connection === undefined || !this.#flowsToNobody) return false;
    this.#touch();
    this.#bytesRead += connection.discard();
    return !connection.readEnded;
  }

  /** Somebody called `resume`, and nobody listens. */
  get #flowsToNobody(): boolean {
    return this.#wanted && this.readableFlowing === true && this.listenerCount('data') === 0;
  }

  /** Moves bytes from the connection to the stream while the stream wants them; what it does not want keeps the window closed. */
  #pull(): void {
    const connection = this.#connection;
    if (connection === undefined || this.connecting) return;
    const chunk = this.#wanted ? nextOf(connection, this.readableFlowing === true) : undefined;
    if (chunk === undefined) return this.#afterReading(connection);
    this.#touch();
    this.#bytesRead += chunk.length;
    // The next read, or the end, is an event of its own; noted first, in case a listener throws.
    if (connection.readableBytes > 0 || connection.readEnded || this.#over) this.#inbox?.noteReadable();
    if (!this.push(chunk)) this.#wanted = false;
  }

  #afterReading(connection: TcpConnection): void {
    if (this.#overError !== undefined && connection.readableBytes === 0) {
      // An error is seen by the next read, as in Node: a reader that is paused keeps what it has.
      if (this.#wanted || this.#peerEnded) this.#fail(this.#overError);
    } else if (connection.readEnded || (this.#over && connection.readableBytes === 0)) this.#endReading();
  }

  #endReading(): void {
    if (this.#peerEnded) return;
    this.#peerEnded = true;
    this.#touch();
    this.push(null);
    this.read(0);
  }

  #onClosed(error: NetError | undefined): void {
    if (this.destroyed) return;
    if (this.connecting) {
      const { address, port } = this.#target ?? {};
      this.destroy(systemError(error?.code ?? 'ECONNABORTED', 'connect', address, port));
      return;
    }
    this.#over = true;
    this.#overError = error;
    // Received bytes may be read before the error is seen, but a write cannot wait for a paused reader.
    if (error !== undefined && this.#outbox.busy) this.#fail(error);
    else this.#pull();
  }

  #fail(error: NetError): void {
    // As Linux does: a reset that finds the peer's end of stream already received is a broken pipe.
    const broken = this.#peerEnded && error.code === 'ECONNRESET';
    this.destroy(systemError(broken ? 'EPIPE' : error.code, this.#peerEnded ? 'write' : 'read'));
  }

  // --- writing

  override write(chunk: unknown, callback?: (error: Error | null | undefined) => void): boolean;
  override write(
    chunk: unknown,
    encoding: BufferEncoding | undefined,
    callback?: (error: Error | null | undefined) => void,
  ): boolean;
  override write(
    chunk: unknown,
    encoding?: BufferEncoding | ((error: Error | null | undefined) => void),
    callback?: (error: Error | null | undefined) => void,
  ): boolean {
    const done = typeof encoding === 'function' ? encoding : callback;
    const how = typeof encoding === 'function' ? undefined : encoding;
    if (!this.readableEnded || this.allowHalfOpen || !this.writableEnded)
      return super.write(chunk, how as 'utf8', done);
    const error = codedError('EPIPE', 'This socket has been ended by the other party');
    if (done !== undefined) nextTick(done, error);
    this.destroy(error);
    return false;
  }

  override _write(chunk: Uint8Array | string, encoding: BufferEncoding, done: WriteDone): void {
    const owned = typeof chunk === 'string';
    this.#send(owned ? Buffer.from(chunk, encoding) : chunk, owned, done);
  }

  override _writev(chunks: Chunk[], done: WriteDone): void {
    // One copy into one buffer of ours: fewer, fuller segments than chunk by chunk.
    this.#send(Buffer.concat(chunks.map(bytesOf)), true, done);
  }

  #send(bytes: Uint8Array, owned: boolean, done: WriteDone): void {
    if (!this.connecting && this.#connection === undefined)
      return done(codedError('ERR_SOCKET_CLOSED', 'Socket is closed'));
    if (this.#overError !== undefined) return done(systemError('EPIPE', 'write'));
    this.#touch();
    this.#outbox.put(bytes, owned, done);
    if (this.connecting) this.#sendOnConnect(done);
    else this.#pump();
  }

  /** By listeners, so that the callback of the write comes where Node calls it: between the listeners of the application. */
  #sendOnConnect(done: WriteDone): void {
    const onConnect = () => {
      this.off('close', onClose);
      this.#pump();
    };
    const onClose = () => {
      this.off('connect', onConnect);
      done(codedError('ERR_SOCKET_CLOSED_BEFORE_CONNECTION', 'Socket closed before the connection was established'));
    };
    this.once('connect', onConnect);
    this.once('close', onClose);
  }

  #pump(): void {
    const connection = this.#connection;
    if (connection === undefined || this.connecting) return;
    try {
      this.#outbox.pump(connection);
    } catch (error) {
      const failure = systemError(netCode(error, 'EPIPE'), 'write');
      const done = this.#outbox.cancel();
      if (done === undefined) this.destroy(failure);
      else done(failure);
    }
  }

  #onProgress(): void {
    this.#touch();
    this.#pump();
  }

  override _final(done: WriteDone): void {
    if (this.pending && !this.destroyed) {
      this.once('connect', () => this._final(done));
      return;
    }
    this.#connection?.end();
    nextTick(done); // a write after this one still finds the stream unfinished, as while a kernel shuts down
  }

  // --- closing

  /**
   * As Node over a kernel: closing sends FIN after what the connection has taken, or RST if received bytes were not read (the connection
   * decides), whether there is an error or not; only {@link resetAndDestroy} always resets.
   */
  override _destroy(exception: Error | null, done: WriteDone): void {
    const connection = this.#connection;
    const pending = this.#outbox.cancel();
    const opening = this.connecting;
    this.connecting = false;
    this.#idle?.cancel();
    this.#abortRace?.();
    this.#inbox?.detach();
    this.#connection = undefined;
    if (connection !== undefined) {
      if (this.#resetting) connection.abort();
      else connection.close();
    }
    this.#resetting = false;
    done(exception);
    later(() => {
      if (!opening) pending?.();
      if (opening || connection !== undefined) this.emit('close', Boolean(exception));
      else this.emit('close');
    });
    this.#options.released?.(this);
  }

  /** Ends the writing side and destroys the socket once everything was handed over. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Closes with a RST. A socket that is not connected is destroyed with `ERR_SOCKET_CLOSED`. */
  resetAndDestroy(): this {
    if (this.connecting) this.once('connect', () => this.#reset());
    else if (this.#connection === undefined) this.destroy(codedError('ERR_SOCKET_CLOSED', 'Socket is closed'));
    else this.#reset();
    return this;
  }

  #reset(): void {
    this.#resetting = true;
    this.destroy();
  }

  // --- options and properties

  /** Emits `timeout` after `milliseconds` without activity; 0 stops that. Does not close the socket. */
  setTimeout(milliseconds: number, callback?: () => void): this {
    if (this.destroyed) return this;
    if (typeof milliseconds !== 'number') {
      throw typeError('ERR_INVALID_ARG_TYPE', 'The "msecs" argument must be of type number.');
    }
    this.timeout = milliseconds;
    this.#idle?.cancel();
    if (callback !== undefined) {
      if (milliseconds === 0) this.off('timeout', callback);
      else this.once('timeout', callback);
    }
    if (milliseconds > 0) {
      this.#idle ??= this.#timers.timer(() => this.emit('timeout'));
      this.#touch();
    }
    return this;
  }

  #touch(): void {
    if (this.timeout && !this.destroyed) this.#idle?.arm(this.#timers.now() + this.timeout);
  }

  setNoDelay(on = true): this {
    this.#noDelay = Boolean(on);
    if (!this.connecting) this.#connection?.setNoDelay(this.#noDelay);
    return this;
  }

  /** @param initialDelay milliseconds of silence before the first probe; 0 for the default */
  setKeepAlive(on = false, initialDelay = 0): this {
    this.#keepAlive = Boolean(on);
    this.#keepAliveDelay = Math.max(0, initialDelay);
    if (!this.connecting) this.#connection?.setKeepAlive(this.#keepAlive, this.#keepAliveDelay || undefined);
    return this;
  }

  /** What is known of the connection, as Linux's `tcp_info`; `undefined` without one. */
  info(): TcpInfo | undefined {
    return this.#connection?.info();
  }

  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }

  /** The local end, or an empty object without a connection. */
  address(): EndpointInfo | Record<string, never> {
    return this.#local ?? {};
  }

  get pending(): boolean {
    return this.#connection === undefined || this.connecting;
  }
  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening';
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }
  get bytesRead(): number {
    return this.#bytesRead;
  }
  /** Bytes handed to the socket, whether the connection has taken them yet or not. */
  get bytesWritten(): number {
    let bytes = this.#outbox.accepted + this.#outbox.waiting;
    const waiting = (this as { writableBuffer?: { chunk: Uint8Array | string; encoding: BufferEncoding }[] })
      .writableBuffer;
    for (const { chunk, encoding } of waiting ?? []) {
      bytes += typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length;
    }
    return bytes;
  }
  get remoteAddress(): string | undefined {
    return this.#peer?.address;
  }
  get remotePort(): number | undefined {
    return this.connecting ? undefined : this.#remote?.port;
  }
  get remoteFamily(): 'IPv4' | 'IPv6' | undefined {
    return this.#peer?.family;
  }
  get #peer(): EndpointInfo | undefined {
    return this.connecting || this.#remote === undefined ? undefined : describe(this.#remote, this.#asIpv6);
  }
  get #local(): EndpointInfo | undefined {
    return this.#connection && describe(this.#connection.local, this.#asIpv6);
  }
  get localAddress(): string | undefined {
    return this.#local?.address;
  }
  get localPort(): number | undefined {
    return this.#connection?.local.port;
  }
  get localFamily(): 'IPv4' | 'IPv6' | undefined {
    return this.#local?.family;
  }
}
