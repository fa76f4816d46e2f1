/**
 * TCP as WHATWG streams, in the shape of the WinterTC sockets API: `connect()` gives `{ readable, writable, opened, closed, close() }`.
 * TLS (`startTls`, `secureTransport`) is left out. Nothing is read before it is pulled, a chunk is written once the send buffer has taken it:
 * back-pressure reaches the peer's window.
 */

import { parseIp } from '../core/address.js';
import type { Endpoint, TcpConnection, TcpSockets } from '../l4/tcp/api.js';
import { type Abortable, type ConnectStreamOptions, connect as connectStream, TcpStream } from './iterate.js';

/** Both ends of an open socket, as `address:port`. */
export interface SocketInfo {
  readonly remoteAddress: string;
  readonly localAddress: string;
}

/** Where to connect to: an address and a port; a name where there is a `lookup`. */
export type SocketAddress = string | { readonly hostname: string; readonly port: number };

/** Options of {@link connectWeb}. */
export type WebSocketOptions = ConnectStreamOptions & {
  /** Stay writable after the peer's end of stream. Default false. */
  readonly allowHalfOpen?: boolean;
};

/** A connection as two streams. */
export interface StreamSocket {
  readonly readable: ReadableStream<Uint8Array>;
  /** Takes `Uint8Array`s. Aborting it resets the connection, or gives it up while it is being opened. */
  readonly writable: WritableStream<Uint8Array>;
  /** Rejects with the reason why it could not be opened. */
  readonly opened: Promise<SocketInfo>;
  /** Rejects with what ended the connection. */
  readonly closed: Promise<void>;
  readonly secureTransport: 'off';
  readonly upgraded: false;
  /** Finishes the writes under way and closes both streams. With a reason it resets the connection. */
  close(reason?: unknown): Promise<void>;
}

function endpointOf(address: SocketAddress): { hostname: string; port: number } {
  if (typeof address !== 'string') return address;
  const colon = address.lastIndexOf(':');
  return { hostname: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}

/**
 * Opens a connection.
 *
 * @throws UsageError `ERR_INVALID_ADDRESS` for what is no address, where there is no `lookup`
 * @example
 * ```ts
 * const { readable, writable } = connectWeb(tcp, '10.0.0.2:7');
 * await source.pipeThrough({ readable, writable }).pipeTo(target);
 * ```
 */
export function connectWeb(tcp: TcpSockets, address: SocketAddress, options: WebSocketOptions = {}): StreamSocket {
  const { allowHalfOpen = false, ...rest } = options;
  const { hostname, port } = endpointOf(address);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const remote = options.lookup === undefined ? { address: parseIp(host), port } : { host, port };
  const giveUp = new AbortController();
  const signal = options.signal === undefined ? giveUp.signal : AbortSignal.any([options.signal, giveUp.signal]);
  return overStream(connectStream(tcp, remote, { ...rest, signal }), allowHalfOpen, giveUp);
}

/** An accepted connection as two streams. */
export function webStreams(
  connection: TcpConnection,
  options: { readonly allowHalfOpen?: boolean } = {},
): StreamSocket {
  return overStream(Promise.resolve(new TcpStream(connection)), options.allowHalfOpen ?? false);
}

/** @param giveUp ends the opening, where it takes its time */
function overStream(opening: Promise<TcpStream>, allowHalfOpen: boolean, giveUp?: AbortController): StreamSocket {
  const ways = new Ways();
  let given: () => void = () => undefined;
  const givenUp = new Promise<void>((resolve) => (given = resolve));
  const closed = Promise.race([opening.then((stream) => stream.closed()), givenUp]);
  const opened = opening.then(({ local, remote }) => ({
    remoteAddress: hostAndPort(remote),
    localAddress: hostAndPort(local),
  }));
  // Nobody has to look at these; a failure also shows in the streams.
  for (const promise of [closed, opened]) promise.catch(() => undefined);
  const { readable, cancel } = readableOf(opening, ways, allowHalfOpen);
  const writable = writableOf(opening, ways, giveUp);
  const close = async (reason?: unknown): Promise<void> => {
    const stream = await opening;
    given();
    if (reason !== undefined) stream.abort();
    else await stream[Symbol.asyncDispose]();
    cancel();
  };
  return { readable, writable, opened, closed, close, secureTransport: 'off', upgraded: false };
}

/** As in a URL: IPv6 addresses in brackets. */
function hostAndPort({ address, port }: Endpoint): string {
  return `${address.version === 6 ? `[${address.toString()}]` : address.toString()}:${port}`;
}

/** Which ways are done: a connection whose reader left is closed when its writer is done too. */
class Ways {
  cancelled = false;
  written = false;
}

function readableOf(
  opening: Promise<TcpStream>,
  ways: Ways,
  allowHalfOpen: boolean,
): { readable: ReadableStream<Uint8Array>; cancel: () => void } {
  const stop = new AbortController();
  const until: Abortable = { signal: stop.signal };
  const readable = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const stream = await opening;
        const chunk = await stream.read(until).catch((error: unknown) => {
          if (stop.signal.aborted) return undefined;
          throw error;
        });
        if (chunk !== undefined) return controller.enqueue(chunk);
        if (!ways.cancelled) controller.close();
        if (!allowHalfOpen && !stop.signal.aborted) await stream.end();
      },
      async cancel() {
        ways.cancelled = true;
        stop.abort();
        if (ways.written) (await opening).close();
      },
    },
    { highWaterMark: 0 },
  );
  return { readable, cancel: () => stop.abort() };
}

/** The types of Node leave the signal out. */
type SinkController = WritableStreamDefaultController & Abortable;

function writableOf(
  opening: Promise<TcpStream>,
  ways: Ways,
  giveUp: AbortController | undefined,
): WritableStream<Uint8Array> {
  return new WritableStream<Uint8Array>({
    async start(controller: SinkController) {
      // `abort` is not called before this and the write under way have settled: only the signal can end them.
      const { signal } = controller;
      signal?.addEventListener('abort', () => giveUp?.abort(signal.reason), { once: true });
      const stream = await opening;
      // A writer that waits for nothing still learns of the end.
      stream.closed().catch((error: unknown) => controller.error(error));
    },
    async write(chunk, { signal }: SinkController) {
      if (!(chunk instanceof Uint8Array)) throw new TypeError('chunks must be Uint8Arrays');
      await (await opening).write(chunk, { signal });
    },
    async close() {
      const stream = await opening;
      ways.written = true;
      await stream.end();
      if (ways.cancelled) stream.close();
    },
    async abort() {
      const stream = await opening.catch(() => undefined);
      stream?.abort();
    },
  });
}
