/**
 * TCP with promises and `for await`: connections as sequences of chunks, listeners as sequences of connections. Nothing is read before it is
 * asked for, so a consumer that is slow closes the window; a write resolves when the send buffer has taken it.
 */

import type { LookupFunction } from 'node:net';
import { NetError, UsageError } from '../core/errors.js';
import type { Timers } from '../core/timers.js';
import type { Endpoint, TcpConnection, TcpListenOptions, TcpHandler, TcpListener, TcpSockets } from '../l4/tcp/api.js';
import type { ConnectOptions } from './connect-options.js';
import { raceByName, raceOptions } from './connect-race.js';
import { Gate, reasonOf, throwIfAborted, waitFor } from './gate.js';
import { literal } from './names.js';
import { Outbox } from './outbox.js';

/** The stream ended before as many bytes had come as {@link TcpStream.readExactly} was asked for. */
export class UnexpectedEnd extends Error {
  readonly code = 'ERR_UNEXPECTED_END';
  /** What did come. */
  readonly received: Uint8Array;

  constructor(received: Uint8Array, wanted: number) {
    super(`the stream ended after ${received.length} of ${wanted} bytes`);
    this.name = 'UnexpectedEnd';
    this.received = received;
  }
}

/** A way out of waiting. */
export interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

/** A TCP connection with promises. Owns the connection: sets its handler. */
export class TcpStream implements AsyncIterable<Uint8Array>, AsyncDisposable {
  readonly #connection: TcpConnection;
  readonly #outbox = new Outbox();
  readonly #readGate = new Gate();
  readonly #writeGate = new Gate();
  readonly #flushGate = new Gate();
  readonly #closedGate = new Gate();
  /** Bytes that were taken from the connection by a read that did not complete. */
  #unread: Uint8Array | undefined;
  #reading = false;
  #turn: Promise<void> = Promise.resolve();
  #over = false;
  #error: NetError | undefined;
  #writeError: NetError | undefined;

  /** @param connection one that is established; use {@link connect} to open one */
  constructor(connection: TcpConnection) {
    this.#connection = connection;
    connection.handler = this.#handler();
  }

  #handler(): TcpHandler {
    return {
      connected: () => undefined,
      readable: () => this.#readGate.open(),
      writable: () => this.#pump(),
      flushed: () => this.#flushGate.open(),
      closed: (error) => {
        this.#over = true;
        this.#error = error;
        for (const gate of [this.#readGate, this.#writeGate, this.#flushGate, this.#closedGate]) gate.open();
      },
    };
  }

  /** The connection itself. */
  get raw(): TcpConnection {
    return this.#connection;
  }
  get local(): Endpoint {
    return this.#connection.local;
  }
  get remote(): Endpoint {
    return this.#connection.remote;
  }

  // --- reading

  /**
   * The next chunk, at most `max` bytes; `undefined` at the end of the stream. An aborted read loses nothing.
   *
   * @throws NetError what ended the connection; UsageError `ERR_INVALID_STATE` while another read waits
   */
  async read(options: Abortable & { readonly max?: number } = {}): Promise<Uint8Array | undefined> {
    this.#beginReading();
    try {
      return await this.#next(options.max ?? Number.POSITIVE_INFINITY, options.signal);
    } finally {
      this.#reading = false;
    }
  }

  /**
   * Exactly `length` bytes. An aborted read loses nothing.
   *
   * @throws UnexpectedEnd with what came, if the stream ends before; NetError, UsageError as {@link read}
   */
  async readExactly(length: number, options: Abortable = {}): Promise<Uint8Array> {
    this.#beginReading();
    const result = new Uint8Array(length);
    let filled = 0;
    try {
      while (filled < length) {
        const count = await this.#fill(result.subarray(filled), options.signal);
        if (count === 0) throw new UnexpectedEnd(result.subarray(0, filled), length);
        filled += count;
      }
      return result;
    } catch (error) {
      if (filled > 0 && !(error instanceof UnexpectedEnd)) this.#unread = result.subarray(0, filled);
      throw error;
    } finally {
      this.#reading = false;
    }
  }

  #beginReading(): void {
    if (this.#reading) throw new UsageError('ERR_INVALID_STATE', 'another read is waiting');
    this.#reading = true;
  }

  async #next(max: number, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    do {
      throwIfAborted(signal);
      const bytes = this.#takeUnread(max) ?? this.#connection.read(max);
      if (bytes !== undefined) return bytes;
    } while (await this.#more(signal));
    return undefined;
  }

  /** Copies what there is to the beginning of `target`, once there is something; returns how much, 0 at the end of the stream. */
  async #fill(target: Uint8Array, signal: AbortSignal | undefined): Promise<number> {
    do {
      throwIfAborted(signal);
      const unread = this.#takeUnread(target.length);
      if (unread !== undefined) target.set(unread);
      const count = unread?.length ?? this.#connection.readInto(target);
      if (count > 0) return count;
    } while (await this.#more(signal));
    return 0;
  }

  /** There is nothing to read: waits for more; whether there may be. @throws NetError what ended the connection; the signal's reason */
  async #more(signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#error !== undefined) throw this.#error;
    if (this.#connection.readEnded || this.#over) return false;
    await this.#readGate.wait(signal);
    return true;
  }

  #takeUnread(max: number): Uint8Array | undefined {
    const bytes = this.#unread;
    if (bytes === undefined) return undefined;
    this.#unread = bytes.length > max ? bytes.subarray(max) : undefined;
    return bytes.subarray(0, max);
  }

  /** The chunks up to the end of the stream; leaving the loop early closes the connection. */
  async *chunks(options: Abortable = {}): AsyncGenerator<Uint8Array, void, undefined> {
    let finished = false;
    try {
      for (let chunk = await this.read(options); chunk !== undefined; chunk = await this.read(options)) yield chunk;
      finished = true;
    } finally {
      if (!finished) this.close();
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    return this.chunks();
  }

  // --- writing

  /**
   * Resolves when the send buffer has taken the bytes, which may be reused then. Writes happen in the order of the calls. A write that is
   * aborted before its turn sends nothing. Of one that has begun a part may have been sent: the stream is then good for {@link abort} only.
   *
   * @throws NetError what ended the connection, or `EPIPE` after {@link end}
   */
  write(bytes: Uint8Array, options: Abortable = {}): Promise<void> {
    const before = this.#turn;
    const mine = waitFor(before, options.signal).then(() => this.#send(bytes, options.signal));
    // Who gave up before it was its turn lets nobody past those before.
    this.#turn = mine.catch(() => before);
    return mine;
  }

  async #send(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal);
    this.#outbox.put(bytes, false, () => this.#writeGate.open());
    try {
      this.#outbox.pump(this.#connection);
      while (this.#outbox.busy) {
        if (this.#writeError !== undefined) throw this.#writeError;
        if (this.#over) throw this.#error ?? NetError.of('EPIPE', 'write');
        await this.#writeGate.wait(signal);
      }
    } finally {
      this.#outbox.cancel();
    }
  }

  #pump(): void {
    try {
      this.#outbox.pump(this.#connection);
    } catch (error) {
      // `close` overtook this write, which can never be done now.
      this.#writeError = error instanceof NetError ? error : NetError.of('EPIPE', 'write');
      this.#writeGate.open();
    }
  }

  /** Resolves when everything written has been acknowledged. @throws NetError what ended the connection */
  async flushed(options: Abortable = {}): Promise<void> {
    await waitFor(this.#turn, options.signal);
    while (!this.#over && this.#connection.unacknowledgedBytes > 0) await this.#flushGate.wait(options.signal);
    if (this.#error !== undefined) throw this.#error;
  }

  /** No more writes; those under way are finished first. Reading goes on. */
  async end(): Promise<void> {
    await this.#turn;
    if (!this.#over) this.#connection.end();
  }

  // --- the end

  /** Resolves when the connection is over. @throws NetError what ended it */
  async closed(options: Abortable = {}): Promise<void> {
    while (!this.#over) await this.#closedGate.wait(options.signal);
    if (this.#error !== undefined) throw this.#error;
  }

  /** Gives the connection up: FIN after what was written, or RST if there are bytes that were not read. */
  close(): void {
    this.#connection.close();
  }

  /** Sends RST. */
  abort(): void {
    this.#connection.abort();
  }

  /** Finishes the writes and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    this.close();
  }
}

/** Options of {@link connect}. */
export type ConnectStreamOptions = NonNullable<Parameters<TcpSockets['connect']>[2]> &
  Abortable & {
    /** Finds the addresses of names, like Node's `dns.lookup`. Default: knows only `localhost`. */
    readonly lookup?: LookupFunction;
    /** The clock to wait by between attempts. Default: that of `lookup` where it has one, else the process's. */
    readonly timers?: Timers;
  };

/** Where to connect to by name. */
export type NamedEndpoint = Pick<ConnectOptions, 'family' | 'autoSelectFamily' | 'autoSelectFamilyAttemptTimeout'> & {
  /** An address or a name; all its addresses are tried (RFC 8305). */
  readonly host: string;
  readonly port: number;
};

/**
 * Opens a connection.
 *
 * @throws NetError why it could not be opened; for names what `lookup` gives, and an `AggregateError` where several addresses failed
 * @example
 * ```ts
 * const stream = await connect(tcp, { address: Ipv4Address.parse('10.0.0.2'), port: 7 }, { signal: AbortSignal.timeout(1000) });
 * await stream.write(bytes);
 * const answer = await stream.readExactly(bytes.length);
 * ```
 */
export async function connect(
  tcp: TcpSockets,
  remote: Endpoint | NamedEndpoint,
  options: ConnectStreamOptions = {},
): Promise<TcpStream> {
  const { signal, lookup, timers, ...rest } = options;
  throwIfAborted(signal);
  if ('address' in remote) return connectTo(tcp, remote, rest, signal);
  const address = literal(remote.host);
  if (address !== undefined) return connectTo(tcp, { address, port: remote.port }, rest, signal);
  const race = raceOptions(remote.host, remote.port, remote, { tcp, lookup, timers });
  const family = race.family || (rest.localAddress?.version ?? 0);
  return new Promise((resolve, reject) => {
    let abort: (() => void) | undefined = undefined;
    const onAbort = () => {
      abort?.();
      reject(reasonOf(signal));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    abort = raceByName(
      { ...race, family, connection: rest },
      {
        connected: (connection) => {
          signal?.removeEventListener('abort', onAbort);
          resolve(new TcpStream(connection));
        },
        failed: (error) => {
          signal?.removeEventListener('abort', onAbort);
          reject(error);
        },
      },
    );
    // The lookup itself may have given it up.
    if (signal?.aborted) abort();
  });
}

async function connectTo(
  tcp: TcpSockets,
  remote: Endpoint,
  rest: NonNullable<Parameters<TcpSockets['connect']>[2]>,
  signal: AbortSignal | undefined,
): Promise<TcpStream> {
  const gate = new Gate();
  let ended: { error: NetError | undefined } | undefined;
  let outcome: 'connected' | 'ended' | undefined;
  const settle = (how: typeof outcome) => {
    outcome ??= how;
    gate.open();
  };
  const idle = () => undefined;
  const handler: TcpHandler = {
    connected: () => settle('connected'),
    readable: idle,
    writable: idle,
    flushed: idle,
    closed: (error) => {
      ended = { error };
      settle('ended');
    },
  };
  const connection = tcp.connect(remote, handler, rest);
  const told = () => ({ outcome, ended });
  try {
    while (told().outcome === undefined) await gate.wait(signal);
  } catch (error) {
    connection.abort();
    throw error;
  }
  const last = told();
  if (last.outcome === 'ended') throw last.ended?.error ?? NetError.of('ECONNABORTED', 'connect');
  return new TcpStream(connection);
}

/** A listening port as a sequence of connections. */
export class TcpAcceptor implements AsyncIterable<TcpStream>, AsyncDisposable {
  readonly #listener: TcpListener;
  readonly #gate = new Gate();
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.close();
  #closed = false;

  /** @param signal closes the listener */
  constructor(listener: TcpListener, signal?: AbortSignal) {
    this.#listener = listener;
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    listener.acceptable = () => this.#gate.open();
  }

  get local(): Endpoint {
    return this.#listener.local;
  }

  /** The next connection; `undefined` once the listener is closed. What is not asked for waits in the backlog. */
  async accept(options: Abortable = {}): Promise<TcpStream | undefined> {
    for (;;) {
      throwIfAborted(options.signal);
      const connection = this.#closed ? undefined : this.#listener.accept();
      if (connection !== undefined) return new TcpStream(connection);
      if (this.#closed) return undefined;
      await this.#gate.wait(options.signal);
    }
  }

  /** The connections until the listener is closed; leaving the loop closes it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<TcpStream, void, undefined> {
    try {
      for (let stream = await this.accept(); stream !== undefined; stream = await this.accept()) yield stream;
    } finally {
      this.close();
    }
  }

  /** Stops listening; connections that were accepted live on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#listener.acceptable = undefined;
    this.#listener.close();
    this.#gate.open();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}

/** Options of {@link listen}; the signal closes the listener. */
export type ListenStreamOptions = TcpListenOptions & Abortable;

/**
 * Listens.
 *
 * @throws NetError `EADDRINUSE`, `EADDRNOTAVAIL`
 * @example
 * ```ts
 * for await (const stream of listen(tcp, { address: Ipv4Address.ANY, port: 7 })) void echo(stream);
 * ```
 */
export function listen(tcp: TcpSockets, local: Endpoint, options: ListenStreamOptions = {}): TcpAcceptor {
  const { signal, ...rest } = options;
  throwIfAborted(signal);
  return new TcpAcceptor(tcp.listen(local, rest), signal);
}
