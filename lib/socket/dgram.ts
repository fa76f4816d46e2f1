/**
 * A `dgram.Socket` over the stack's UDP: events, overloads and errors are Node's. Left out: clusters, file descriptors, buffer sizes.
 * Nothing here keeps a process alive, so `ref` and `unref` do nothing.
 */

import type { LookupFunction } from 'node:net';
import { type IpAddress, anyAddress, Ipv4Address, Ipv6Address } from '../core/address.js';
import type { NetError } from '../core/errors.js';
import type { UdpGroups, UdpMessage, UdpSocket, UdpSockets } from '../l4/udp-api.js';
import { type DatagramBytes, type SendCall, type SendCallback, sendArguments } from './datagram-arguments.js';
import { DatagramGroups } from './datagram-groups.js';
import { later } from './later.js';
import { describe, type EndpointInfo, literal, localLookup, resolve } from './names.js';
import { codedError, netCode, portOf, systemError, typeError } from './node-errors.js';

/** Where a datagram came from, and its size in bytes. */
export interface RemoteInfo extends EndpointInfo {
  size: number;
}

/** Options of {@link DatagramSocket}. */
export interface DatagramOptions {
  readonly type: 'udp4' | 'udp6';
  /** The host's UDP. */
  readonly udp: UdpSockets;
  readonly reuseAddr?: boolean | undefined;
  /** A `udp6` socket on all addresses takes IPv6 datagrams only. Default false: those of IPv4 as well, from `::ffff:10.0.0.1`, as in Node. */
  readonly ipv6Only?: boolean | undefined;
  /** See {@link DatagramSocket.setDontFragment}. Default false. */
  readonly dontFragment?: boolean | undefined;
  /** Finds the addresses of names, like Node's `dns.lookup`. Default: knows only `localhost`. */
  readonly lookup?: LookupFunction | undefined;
  /** Closes the socket. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of {@link DatagramSocket.bind}. */
export interface BindOptions {
  readonly port?: number | undefined;
  readonly address?: string | undefined;
  readonly exclusive?: boolean | undefined;
}

type MessageListener = (message: Buffer, from: RemoteInfo) => void;
type ConnectCallback = (error?: Error) => void;

/** Stands in for `dgram.Socket`. Events: `listening`, `message`, `connect`, `close`, `error`. */
export class DatagramSocket extends DatagramGroups {
  readonly type: 'udp4' | 'udp6';
  readonly #options: DatagramOptions;
  #binding: 'unbound' | 'binding' | 'bound' = 'unbound';
  #peer: 'none' | 'connecting' | 'connected' = 'none';
  #socket: UdpSocket | undefined;
  /** To be closed when binding is over. */
  #closing = false;
  #closed = false;
  /** What waits for the socket to be bound. */
  #queue: (() => void)[] | undefined;
  readonly #arrived: (UdpMessage | NetError)[] = [];

  constructor(options: DatagramOptions, listener?: MessageListener) {
    super();
    if (options.type !== 'udp4' && options.type !== 'udp6') {
      throw typeError('ERR_SOCKET_BAD_TYPE', 'Bad socket type specified. Valid types are: udp4, udp6');
    }
    this.type = options.type;
    this.#options = options;
    if (listener !== undefined) this.on('message', listener);
    if (options.signal !== undefined) this.#closeOn(options.signal);
  }

  #closeOn(signal: AbortSignal): void {
    const onAbort = () => {
      if (!this.#closed) this.close();
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    this.once('close', () => signal.removeEventListener('abort', onAbort));
  }

  #check(): void {
    if (this.#closed) throw codedError('ERR_SOCKET_DGRAM_NOT_RUNNING', 'Not running');
  }

  get #version(): 4 | 6 {
    return this.type === 'udp4' ? 4 : 6;
  }

  // --- binding

  /**
   * Binds; `listening` or `error` follows. Arguments: `([port][, address][, callback])` or `(options[, callback])`.
   *
   * @throws Error `ERR_SOCKET_ALREADY_BOUND`, `ERR_SOCKET_DGRAM_NOT_RUNNING`
   */
  bind(...args: readonly (BindOptions | number | string | null | undefined | (() => void))[]): this {
    this.#check();
    if (this.#binding !== 'unbound') throw codedError('ERR_SOCKET_ALREADY_BOUND', 'Socket is already bound');
    const [first, second] = args;
    const options = typeof first === 'object' && first !== null ? first : undefined;
    const port = portOf((options === undefined ? first : options.port) || 0, 'Port');
    const address = options === undefined ? second : options.address;
    this.#binding = 'binding';
    const callback = args.at(-1);
    if (typeof callback === 'function') this.#tellBound(callback);
    const where = typeof address === 'string' && address !== '' ? address : anyAddress(this.#version).toString();
    this.#resolve(where, (error, ip) => (ip === undefined ? this.#bindFailed(error) : this.#bindTo(ip, port)));
    return this;
  }

  #tellBound(callback: () => void): void {
    const forget = () => {
      this.off('error', forget);
      this.off('listening', bound);
    };
    const bound = () => {
      forget();
      callback.call(this);
    };
    this.on('error', forget);
    this.on('listening', bound);
  }

  #bindTo(address: IpAddress, port: number): void {
    const handler = {
      message: (message: UdpMessage) => this.#arrive(message),
      error: (error: NetError) => this.#arrive(error),
    };
    try {
      const { reuseAddr = false, dontFragment = false, ipv6Only = false } = this.#options;
      const options = { reuseAddress: reuseAddr, dontFragment, ipv6Only };
      this.#socket = this.#options.udp.bind({ address, port }, handler, options);
    } catch (error) {
      this.#bindFailed(systemError(netCode(error, 'EINVAL'), 'bind', address.toString(), port));
      return;
    }
    this.#binding = 'bound';
    const waiting = this.#queue ?? [];
    this.#queue = undefined;
    this.emit('listening');
    for (const call of waiting) call();
  }

  #bindFailed(error: Error | null): void {
    this.#binding = 'unbound';
    // Sends and connects are forgotten, as in Node, but a close that waited for the end of binding is still carried out.
    this.#queue = undefined;
    try {
      this.emit('error', error);
    } finally {
      if (this.#closing && !this.#closed) this.close();
    }
  }

  /** Never answers at once. An address of the wrong version is no address. */
  #resolve(host: string, found: (error: Error | null, address: IpAddress | undefined) => void): void {
    const told = (error: Error | null, address: IpAddress | undefined) => {
      if (!this.#closed) found(error, address);
    };
    const address = literal(host);
    if (address !== undefined && address.version === this.#version) process.nextTick(told, null, address);
    else resolve(host, { family: this.#version }, this.#options.lookup ?? localLookup, told);
  }

  // --- receiving

  #arrive(what: UdpMessage | NetError): void {
    if (this.#closed) return;
    this.#arrived.push(what);
    if (this.#arrived.length === 1) later(() => this.#tell());
  }

  /** One a time, so that an exception or a promise of one message comes before the next. */
  #tell(): void {
    const what = this.#closed ? undefined : this.#arrived.shift();
    if (what === undefined) return;
    if (this.#arrived.length > 0) later(() => this.#tell());
    if (what instanceof Error) {
      this.emit('error', systemError(what.code, 'recvmsg'));
      return;
    }
    const { data, source } = what;
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
    this.emit('message', bytes, { ...describe(source, this.#version === 6), size: data.length });
  }

  // --- the peer

  /**
   * Fixes the peer; `connect` or the callback with an error follows.
   *
   * @throws Error `ERR_SOCKET_DGRAM_IS_CONNECTED`; RangeError `ERR_SOCKET_BAD_PORT`
   */
  connect(port: number, address?: string | ConnectCallback, callback?: ConnectCallback): void {
    const to = portOf(port, 'Port', 1);
    const host = typeof address === 'string' ? address : '';
    const told = typeof address === 'function' ? address : callback;
    this.#check();
    if (this.#peer !== 'none') throw codedError('ERR_SOCKET_DGRAM_IS_CONNECTED', 'Already connected');
    this.#peer = 'connecting';
    this.#whenBound(() => {
      if (told !== undefined) this.once('connect', told);
      this.#resolve(host || this.#loopback, (error, ip) => {
        const failure = error ?? this.#connectTo(ip, to, host);
        if (failure !== null) return this.#connectFailed(failure, told);
        this.#peer = 'connected';
        process.nextTick(() => this.emit('connect'));
      });
    });
  }

  #connectTo(address: IpAddress | undefined, port: number, host: string): Error | null {
    try {
      if (address !== undefined) this.#socket?.connect({ address, port });
      return null;
    } catch (error) {
      return systemError(netCode(error, 'EINVAL'), 'connect', host, port);
    }
  }

  #connectFailed(error: Error, callback: ConnectCallback | undefined): void {
    this.#peer = 'none';
    process.nextTick(() => {
      if (callback === undefined) this.emit('error', error);
      else this.off('connect', callback);
      callback?.(error);
    });
  }

  /** @throws Error `ERR_SOCKET_DGRAM_NOT_CONNECTED` */
  disconnect(): void {
    if (this.#peer !== 'connected') throw codedError('ERR_SOCKET_DGRAM_NOT_CONNECTED', 'Not connected');
    this.#socket?.connect(undefined);
    this.#peer = 'none';
  }

  // --- sending

  send(message: DatagramBytes | readonly DatagramBytes[], callback?: SendCallback): void;
  send(message: DatagramBytes | readonly DatagramBytes[], port: number, callback?: SendCallback): void;
  send(
    message: DatagramBytes | readonly DatagramBytes[],
    port: number,
    address: string | undefined,
    callback?: SendCallback,
  ): void;
  send(message: DatagramBytes, offset: number, length: number, callback?: SendCallback): void;
  send(message: DatagramBytes, offset: number, length: number, port: number, callback?: SendCallback): void;
  send(
    message: DatagramBytes,
    offset: number,
    length: number,
    port: number,
    address: string | undefined,
    callback?: SendCallback,
  ): void;
  /**
   * Sends a datagram, binding first if need be. What goes wrong is told to the callback; only a name that nobody knows is an `error` without
   * one. The bytes may be reused when the callback was called.
   *
   * @throws TypeError, RangeError, Error with Node's codes
   */
  send(...args: readonly unknown[]): void {
    const call = sendArguments(args, this.#peer === 'connected');
    this.#check();
    this.#whenBound(() => this.#dispatch(call));
  }

  #dispatch(call: SendCall): void {
    if (call.port === undefined) return this.#transmit(call, undefined);
    const host = call.address || this.#loopback;
    const address = literal(host);
    if (address?.version === this.#version) return this.#transmit(call, address);
    this.#resolve(host, (error, found) => {
      if (found !== undefined) this.#transmit(call, found);
      else if (call.callback !== undefined) process.nextTick(call.callback, error);
      else process.nextTick(() => this.emit('error', error));
    });
  }

  #transmit({ bytes, port, address, callback }: SendCall, to: IpAddress | undefined): void {
    let failure: Error | null = null;
    try {
      if (to === undefined || port === undefined) this.#socket?.send(bytes);
      else this.#socket?.send(bytes, { address: to, port });
    } catch (error) {
      failure = systemError(netCode(error, 'EINVAL'), 'send', address || undefined, port);
    }
    if (callback === undefined) return;
    if (failure === null) process.nextTick(callback, null, bytes.length);
    else process.nextTick(callback, failure);
  }

  get #loopback(): string {
    return (this.#version === 4 ? Ipv4Address.LOOPBACK : Ipv6Address.LOOPBACK).toString();
  }

  #whenBound(call: () => void): void {
    if (this.#binding === 'bound') return call();
    (this.#queue ??= []).push(call);
    if (this.#binding === 'unbound') this.bind({ port: 0, exclusive: true });
  }

  // --- the end, options and properties

  /** Closes, after what was asked for before binding had ended. @throws Error `ERR_SOCKET_DGRAM_NOT_RUNNING` */
  close(callback?: () => void): this {
    if (callback !== undefined) this.on('close', callback);
    if (this.#queue !== undefined) {
      this.#closing = true;
      this.#queue.push(() => this.close());
      return this;
    }
    this.#check();
    this.#closed = true;
    this.#arrived.length = 0;
    this.#socket?.close();
    this.#socket = undefined;
    later(() => this.emit('close'));
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => void this.close(() => resolve()));
  }

  /** The bound socket, as a system call needs it. @throws NetError `EBADF` */
  #bound(syscall: string): UdpSocket {
    if (this.#socket === undefined) throw systemError('EBADF', syscall);
    return this.#socket;
  }

  /** @throws NetError `EBADF` before it is bound */
  address(): EndpointInfo {
    this.#check();
    return describe(this.#bound('getsockname').local, this.#version === 6);
  }

  /** @throws Error `ERR_SOCKET_DGRAM_NOT_CONNECTED` */
  remoteAddress(): EndpointInfo {
    this.#check();
    const { remote } = this.#peer === 'connected' ? this.#bound('getpeername') : {};
    if (remote === undefined) throw codedError('ERR_SOCKET_DGRAM_NOT_CONNECTED', 'Not connected');
    return describe(remote, this.#version === 6);
  }

  setBroadcast(on: boolean): void {
    this.#bound('setBroadcast').broadcast = on;
  }

  /** @param ttl hops, 1 to 255 */
  setTTL(ttl: number): number {
    if (typeof ttl !== 'number') throw typeError('ERR_INVALID_ARG_TYPE', 'The "ttl" argument must be of type number.');
    const socket = this.#bound('setTTL');
    if (!Number.isInteger(ttl) || ttl < 1 || ttl > 255) throw systemError('EINVAL', 'setTTL');
    socket.hopLimit = ttl;
    return ttl;
  }

  /**
   * Not in Node: whether to refuse datagrams that the path would have to cut (`EMSGSIZE`), instead of sending them in fragments. A connected
   * socket then also hears (`error` with `EMSGSIZE`) when a router refused one.
   */
  setDontFragment(on: boolean): void {
    this.#bound('setDontFragment').dontFragment = on;
  }

  /**
   * Not in Node: the largest IP packet, in bytes, that goes to the connected peer in one piece, as far as is known (IP_MTU of Linux).
   *
   * @throws Error `ERR_SOCKET_DGRAM_NOT_CONNECTED`
   */
  getPathMtu(): number {
    if (this.#peer !== 'connected') throw codedError('ERR_SOCKET_DGRAM_NOT_CONNECTED', 'Not connected');
    return this.#bound('getsockopt').pathMtu();
  }

  getSendQueueSize(): number {
    return 0;
  }
  getSendQueueCount(): number {
    return 0;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }

  protected override groupsOf(syscall: string, mayBind: boolean): UdpGroups {
    this.#check();
    if (mayBind && this.#binding === 'unbound') this.#bindTo(anyAddress(this.#version), 0);
    return this.#bound(syscall).groups;
  }
}

/** The `dgram` module of a host. */
export interface NodeDgram {
  readonly createSocket: (
    type: DatagramOptions['type'] | Omit<DatagramOptions, 'udp'>,
    listener?: MessageListener,
  ) => DatagramSocket;
}

/**
 * Makes the `dgram` module of a host.
 *
 * @example
 * ```ts
 * const { createSocket } = nodeDgram(udp);
 * const echo = createSocket('udp4', (message, { port, address }) => port > 0 && echo.send(message, port, address)).bind(7);
 * ```
 */
export function nodeDgram(udp: UdpSockets, defaults: Pick<DatagramOptions, 'lookup'> = {}): NodeDgram {
  return {
    createSocket: (type, listener) => {
      const options = typeof type === 'object' ? type : { type };
      return new DatagramSocket({ ...defaults, ...options, udp }, listener);
    },
  };
}
