/**
 * TCP and UDP of a host as Observables. Everything happens synchronously within the event that caused it, so that this face, unlike the Node
 * and promise ones, runs to completion in virtual time. These are sources rather than operators, hence they make their Observables.
 */

import {
  AsyncSubject,
  defer,
  Observable,
  type ObservableInput,
  type Observer,
  Subject,
  type Subscriber,
  type Subscription,
} from 'rxjs';
import { NetError, UsageError } from '../../lib/core/errors.js';
import type {
  Endpoint,
  TcpConnection,
  TcpListenOptions,
  TcpHandler,
  TcpSockets,
  TcpState,
} from '../../lib/l4/tcp/api.js';
import type { TcpInfo } from '../../lib/l4/tcp/info.js';
import type { UdpMessage, UdpOptions, UdpSocket, UdpSockets } from '../../lib/l4/udp-api.js';
import { Outbox } from '../../lib/socket/outbox.js';

/** A write that waits for its turn. */
interface Waiting {
  readonly bytes: Uint8Array;
  /** Given for good: not copied. */
  readonly owned: boolean;
  readonly done: (error?: unknown) => void;
}

/**
 * A TCP connection as Observables.
 *
 * Back-pressure inwards: nothing is read from the connection while nobody is subscribed to {@link data$}, and what is not read keeps the
 * window closed. A subscriber gets each chunk in the call in which it arrived; returning from `next` is consuming, and opens the window. A
 * consumer that needs longer uses {@link consume}. Outwards: {@link write} resolves when the send buffer has taken the bytes; {@link sink} queues
 * without limit, {@link pending} says how much, {@link drained$} when it is gone.
 */
export class RxConnection {
  /** The connection itself. */
  readonly raw: TcpConnection;

  // Made when somebody asks for them: most connections are asked for little.
  #data: Observable<Uint8Array> | undefined;
  #sink: Observer<Uint8Array> | undefined;
  #closed: AsyncSubject<never> | undefined;
  #drained: Subject<void> | undefined;
  #states: Subject<TcpState> | undefined;
  #trouble: Subject<NetError> | undefined;
  readonly #outbox = new Outbox();
  #queue: Waiting[] = [];
  #ending = false;
  #over = false;
  /** Everybody has been told that it is over. */
  #told = false;
  #error: NetError | undefined;
  /** Reads for whoever is subscribed. */
  #reader: (() => void) | undefined;

  /** @param connection one that is established; its handler is taken over */
  constructor(connection: TcpConnection) {
    this.raw = connection;
    connection.handler = this.#handler();
  }

  /** Received chunks, to one subscriber at a time. Completes with the peer's end of stream; errors with what ended the connection. */
  get data$(): Observable<Uint8Array> {
    this.#data ??= this.#reading((chunk, subscriber, next) => {
      subscriber.next(chunk);
      next();
    });
    return this.#data;
  }

  /**
   * The same without a copy: each chunk lies in the frame that brought it, and is good until `next` returns, after which there are other bytes
   * in its place. What is to last is copied, above all what is to be sent: neither {@link sink} nor `raw.write` copy what they are given.
   */
  get views$(): Observable<Uint8Array> {
    return new Observable((subscriber) => this.#showViews(subscriber));
  }

  /** Completes when the connection is over; errors with what ended it. */
  get closed$(): Observable<never> {
    if (this.#closed === undefined) {
      this.#closed = new AsyncSubject();
      if (this.#told) this.#tellClosed();
    }
    return this.#closed.asObservable();
  }

  /** Emits whenever everything that was queued has been taken by the send buffer. */
  get drained$(): Observable<void> {
    this.#drained ??= new Subject();
    return this.#drained.asObservable();
  }

  /**
   * Emits what is wrong without ending the connection: ICMP errors, and `ETIMEDOUT` where three retransmissions went unanswered. Completes
   * when the connection is over.
   */
  get trouble$(): Observable<NetError> {
    if (this.#trouble === undefined) {
      this.#trouble = new Subject();
      if (this.#over) this.#trouble.complete();
    }
    return this.#trouble.asObservable();
  }

  /**
   * The state of the connection now, and each one that it comes to, in order. Completes with `CLOSED`.
   *
   *     (e)----c----l----(x|)      ESTABLISHED, CLOSE-WAIT, LAST-ACK, CLOSED
   */
  get states$(): Observable<TcpState> {
    return new Observable((subscriber) => this.#watchStates(subscriber));
  }

  /**
   * Sends what it is given, in order and without copying: the bytes must not change any more. `complete` ends the writing side after them,
   * `error` resets the connection.
   */
  get sink(): Observer<Uint8Array> {
    this.#sink ??= {
      next: (bytes) => this.#put({ bytes, owned: true, done: () => undefined }),
      error: () => this.abort(),
      complete: () => this.end(),
    };
    return this.#sink;
  }

  #handler(): TcpHandler {
    return {
      connected: () => undefined,
      readable: () => this.#reader?.(),
      writable: () => this.#pump(),
      flushed: () => this.#pump(),
      trouble: (error) => this.#trouble?.next(error),
      closed: (error) => {
        this.#over = true;
        this.#trouble?.complete();
        this.#error = error;
        this.#reader?.();
        this.#fail(error ?? NetError.of('EPIPE', 'write'));
        this.#told = true;
        this.#tellClosed();
      },
    };
  }

  #tellClosed(): void {
    if (this.#error === undefined) this.#closed?.complete();
    else this.#closed?.error(this.#error);
  }

  /** Nobody is told of states until somebody wants to know. */
  #watchStates(subscriber: Subscriber<TcpState>): Subscription | undefined {
    const { raw } = this;
    subscriber.next(raw.state);
    if (raw.state === 'CLOSED') {
      subscriber.complete();
      return undefined;
    }
    this.#states ??= new Subject();
    const states = this.#states;
    raw.onState ??= (state) => {
      states.next(state);
      if (state === 'CLOSED') states.complete();
    };
    return states.subscribe(subscriber);
  }

  /** Everything that there is to know about the connection, as Linux's `tcp_info`. */
  info(): TcpInfo {
    return this.raw.info();
  }
  get local(): Endpoint {
    return this.raw.local;
  }
  get remote(): Endpoint {
    return this.raw.remote;
  }
  get state(): TcpState {
    return this.raw.state;
  }

  /**
   * Received chunks, each worked off before the next one is read: `concatMap` with back-pressure.
   *
   *     bytes    a----b--c----d|
   *     work     ---A|   ...
   *     out      ---A----B---C---D|     c waits in the connection, not in memory of ours
   *
   * Errors with what `work` throws, or what its stream ends with; the connection stays as it is, and can be read on.
   */
  consume<R>(work: (chunk: Uint8Array) => ObservableInput<R>): Observable<R> {
    return this.#reading<R>((chunk, subscriber, next) => {
      const inner = defer(() => work(chunk)).subscribe({
        next: (result) => subscriber.next(result),
        error: (error) => subscriber.error(error),
        complete: next,
      });
      return inner;
    });
  }

  /** Reads as long as `take` calls its `next`; a loop, not a recursion, where it does so at once. */
  #reading<R>(
    take: (chunk: Uint8Array, subscriber: Observer<R>, next: () => void) => Subscription | void,
  ): Observable<R> {
    return new Observable<R>((subscriber) => {
      let idle = true;
      let running = false;
      const run = () => {
        if (running) return;
        running = true;
        while (idle && !subscriber.closed) {
          const chunk = this.raw.read();
          if (chunk === undefined) break;
          idle = false;
          const inner = take(chunk, subscriber, () => {
            idle = true;
            run();
          });
          if (inner !== undefined) subscriber.add(inner);
        }
        running = false;
        if (idle && this.raw.readableBytes === 0) this.#finishReading(subscriber);
      };
      this.#read(subscriber, run);
    });
  }

  #showViews(subscriber: Subscriber<Uint8Array>): void {
    const { raw } = this;
    const sink = (bytes: Uint8Array, from: number, to: number) => subscriber.next(bytes.subarray(from, to));
    let running = false;
    this.#read(subscriber, () => {
      if (running) return;
      running = true;
      while (!subscriber.closed && raw.consume(sink) > 0);
      running = false;
      if (raw.readableBytes === 0) this.#finishReading(subscriber);
    });
  }

  /** From now on `reader` reads, until the subscriber leaves. */
  #read(subscriber: Subscriber<unknown>, reader: () => void): void {
    if (this.#reader !== undefined) throw new UsageError('ERR_INVALID_STATE', 'somebody is reading already');
    this.#reader = reader;
    subscriber.add(() => {
      if (this.#reader === reader) this.#reader = undefined;
    });
    reader();
  }

  #finishReading(subscriber: Pick<Observer<never>, 'error' | 'complete'>): void {
    if (this.#error !== undefined) subscriber.error(this.#error);
    else if (this.raw.readEnded || this.#over) subscriber.complete();
  }

  /** Bytes that wait for room in the send buffer. */
  get pending(): number {
    return this.#queue.reduce((sum, { bytes }) => sum + bytes.length, this.#outbox.waiting);
  }

  /**
   * Resolves when the send buffer has taken the bytes, which may be reused then. Aborting withdraws a write that has not begun, which
   * rejects with the signal's reason; one that has begun goes on, and resolves as if nothing had been said.
   *
   * @throws NetError what ended the connection, or `EPIPE` after {@link end}
   */
  write(bytes: Uint8Array, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      const fail = (reason: unknown) =>
        reject(reason instanceof Error ? reason : new Error('aborted', { cause: reason }));
      if (signal?.aborted) return fail(signal.reason);
      const onAbort = () => {
        const others = this.#queue.filter((other) => other !== waiting);
        if (others.length === this.#queue.length) return;
        this.#queue = others;
        fail(signal?.reason);
      };
      const waiting: Waiting = {
        bytes,
        owned: false,
        done: (error) => {
          signal?.removeEventListener('abort', onAbort);
          if (error === undefined) resolve();
          else fail(error);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#put(waiting);
    });
  }

  #put(waiting: Waiting): void {
    if (this.#ending || this.#over) return waiting.done(this.#error ?? NetError.of('EPIPE', 'write'));
    this.#queue.push(waiting);
    this.#pump();
  }

  #pump(): void {
    if (this.#over) return;
    try {
      for (;;) {
        const busy = this.#outbox.busy;
        this.#outbox.pump(this.raw);
        if (this.#outbox.busy) return;
        const next = this.#queue.shift();
        if (next === undefined) return this.#afterDraining(busy);
        this.#outbox.put(next.bytes, next.owned, (error) => next.done(error ?? undefined));
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #afterDraining(changed: boolean): void {
    if (this.#ending) this.raw.end();
    if (changed) this.#drained?.next();
  }

  #fail(error: unknown): void {
    this.#outbox.cancel()?.(error instanceof Error ? error : null);
    for (const waiting of this.#queue.splice(0)) waiting.done(error);
  }

  /** Ends the writing side after what is queued. */
  end(): void {
    if (this.#ending || this.#over) return;
    this.#ending = true;
    this.#pump();
  }

  /** Gives the connection up: FIN after what the send buffer has taken, or RST if there are bytes that were not read. */
  close(): void {
    this.#ending = true;
    this.#fail(NetError.of('EPIPE', 'write'));
    this.raw.close();
  }

  /** Sends RST. */
  abort(): void {
    this.raw.abort();
  }
}

/**
 * Opens a connection when subscribed.
 *
 *     handshake   ----x        ----!
 *     out         ----(c|)     ----#     the connection, or the NetError
 *
 * Unsubscribing before the connection is there gives it up. The connection does not end with the subscription.
 *
 * @example
 * ```ts
 * connect(tcp, { address: Ipv4Address.parse('10.0.0.2'), port: 7 }).pipe(switchMap((c) => (c.sink.next(hello), c.data$)));
 * ```
 */
export function connect(
  tcp: TcpSockets,
  remote: Endpoint,
  options?: Parameters<TcpSockets['connect']>[2],
): Observable<RxConnection> {
  return new Observable((subscriber) => {
    let connection: TcpConnection | undefined;
    let early = false;
    const idle = () => undefined;
    const connected = () => {
      early = true;
      if (connection === undefined) return;
      // First, so that leaving on completion does not give it up.
      const open = connection;
      connection = undefined;
      subscriber.next(new RxConnection(open));
      subscriber.complete();
    };
    const closed = (error: NetError | undefined) => subscriber.error(error ?? NetError.of('ECONNABORTED', 'connect'));
    subscriber.add(() => connection?.abort());
    connection = tcp.connect(remote, { connected, closed, readable: idle, writable: idle, flushed: idle }, options);
    if (early) connected();
  });
}

/** Options of {@link listen}. */
export interface ListenOptions extends TcpListenOptions {
  /** Told where it listens, once it does. */
  readonly onListening?: (local: Endpoint) => void;
}

/**
 * Listens while subscribed.
 *
 *     accepted   --a---b---c-
 *     out        --A---B---C-     never completes; errors if the port cannot be had
 *
 * Unsubscribing stops listening; the connections live on.
 *
 * @example
 * ```ts
 * listen(tcp, { address: Ipv4Address.ANY, port: 7 }).subscribe((c) => c.data$.subscribe(c.sink));
 * ```
 */
export function listen(tcp: TcpSockets, local: Endpoint, options: ListenOptions = {}): Observable<RxConnection> {
  const { onListening, ...rest } = options;
  return new Observable((subscriber) => {
    const listener = tcp.listen(local, rest);
    subscriber.add(() => {
      listener.acceptable = undefined;
      listener.close();
    });
    onListening?.(listener.local);
    listener.acceptable = () => {
      while (!subscriber.closed) {
        const connection = listener.accept();
        if (connection === undefined) return;
        subscriber.next(new RxConnection(connection));
      }
    };
  });
}

/** A datagram and where it goes; without `to` to the connected peer. */
export interface Datagram {
  readonly data: Uint8Array;
  readonly to?: Endpoint;
}

/** A UDP socket as Observables. */
export interface RxDatagrams {
  readonly local: Endpoint;
  /** Received datagrams, to everybody who is subscribed: hot, and lost when nobody is. Completes with {@link close}. */
  readonly messages$: Observable<UdpMessage>;
  /** What ICMP reported, and datagrams of the sink that could not be sent. */
  readonly errors$: Observable<NetError>;
  /** Sends datagrams; one that cannot be sent shows in {@link errors$}. `complete` closes the socket. */
  readonly sink: Observer<Datagram>;
  /** The socket itself. */
  readonly raw: UdpSocket;
  close(): void;
}

/**
 * Binds a UDP socket at once; close it to free the port.
 *
 * @throws NetError `EADDRINUSE`, `EADDRNOTAVAIL`, `ENETDOWN` (the host has ended)
 * @example
 * ```ts
 * const echo = datagrams(udp, { address: Ipv4Address.ANY, port: 7 });
 * echo.messages$.pipe(map(({ data, source }) => ({ data, to: source }))).subscribe(echo.sink);
 * ```
 */
export function datagrams(udp: UdpSockets, local: Endpoint, options?: UdpOptions): RxDatagrams {
  const messages = new Subject<UdpMessage>();
  const errors = new Subject<NetError>();
  const handler = { message: (m: UdpMessage) => messages.next(m), error: (error: NetError) => errors.next(error) };
  const raw = udp.bind(local, handler, options);
  const close = () => {
    raw.close();
    messages.complete();
    errors.complete();
  };
  const send = ({ data, to }: Datagram) => {
    try {
      raw.send(data, to);
    } catch (error) {
      if (!(error instanceof NetError)) throw error;
      errors.next(error);
    }
  };
  return {
    local: raw.local,
    messages$: messages.asObservable(),
    errors$: errors.asObservable(),
    sink: { next: send, error: close, complete: close },
    raw,
    close,
  };
}
