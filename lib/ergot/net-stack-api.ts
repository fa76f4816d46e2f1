/** What can be said and heard at the sockets of an ergot node. At most once: nothing is repeated, queues are bounded, nobody waits for a queue. */

import type { Endpoint } from './endpoint.js';
import type { ErgotError } from './error.js';
import type { Addressing } from './profile.js';
import type { Topic } from './topic.js';

/** What came in at a socket. */
export interface Incoming<T, A> {
  readonly value: T;
  /** Whose it is: with the port, so that it can be answered. */
  readonly source: A;
  readonly sequence: number;
}

/** A socket that listens. */
export interface OpenSocket {
  /** 1 to the profile's last; 0 for a topic that is listened to with all others that do. */
  readonly port: number;
  /** What was left out since its queue was full, or nobody looked. */
  readonly dropped: number;
  close(): void;
}

/** Where and how a socket listens. */
export interface ListenOptions {
  /** So that several of the same key can be told apart. Default: none. */
  readonly name?: string;
  /** 1 to the profile's last. Default: the lowest that is free. */
  readonly port?: number;
  /** Not to be found by its key: only who knows the port gets there. Default false. */
  readonly hidden?: boolean;
}

/** Where and how an endpoint is served. */
export interface ServeOptions extends ListenOptions {
  /**
   * Requests that may be unanswered at once, from 1: those beyond are refused with `SseNoSpace`. For handlers that answer later. One that neither
   * answers nor throws leaves a place taken. Default: no limit.
   */
  readonly unanswered?: number;
}

/** Where and how a topic is listened to. */
export interface SubscribeOptions extends ListenOptions {
  /** At a port of its own: for what is sent to nobody else, such as answers in a topic. Where a `port` is given, it is that. Default false. */
  readonly own?: boolean;
}

/** A socket that listens, as others may know of it. */
export interface SocketStatus {
  /** The `FrameKind` that it takes. */
  readonly kind: number;
  /** Halves of its key, signed. */
  readonly keyLow: number;
  readonly keyHigh: number;
  /** The hash of its name, signed, or 0 for none. */
  readonly name: number;
  /** 1 to the profile's last; 0 for topics that are listened to with all others that do. */
  readonly port: number;
}

/** How something is sent. */
export interface SendOptions {
  /** Only to who has this name, where sockets are found by their key. Default: to whoever has the key. */
  readonly name?: string;
}

/** How something is published. */
export interface PublishOptions extends SendOptions {
  /** The port of a socket of ours that is to hear what is answered. Default: none that anybody could answer. */
  readonly from?: number;
}

/** How something is asked. */
export interface RequestOptions extends SendOptions {
  /** Milliseconds until it is given up with the code `ERR_ERGOT_TIMEOUT`. Default 1,000. */
  readonly timeout?: number;
  /**
   * Its number, 0 to 65,535, which its answer has too. Default: the next one. For those that share an address with others until they are answered: by
   * lot it is hardly the same.
   */
  readonly sequence?: number;
}

/** The sockets. */
export interface NetStackApi<A> {
  readonly addressing: Addressing<A>;

  /**
   * Serves an endpoint. `answer` counts once, at once or later, and returns why the answer did not leave, if so; a handler that throws answers nothing any
   * more.
   *
   * @throws UsageError `ERR_INVALID_OPTION` for a port that is taken or none; ErgotError `ERR_ERGOT_NO_PORT`, `ERR_ERGOT_CLOSED`
   */
  serve<Request, Response>(
    endpoint: Endpoint<Request, Response>,
    handler: (request: Incoming<Request, A>, answer: (response: Response) => ErgotError | undefined) => void,
    options?: ServeOptions,
  ): OpenSocket;

  /**
   * Asks an endpoint: at a port; with port 0, whoever at that node serves it; with port 255, all (the first answer counts). `done` is called once, at once or
   * later, unless the function that is returned is called first, which gives it up.
   *
   * @throws UsageError `ERR_INVALID_OPTION`, `ERR_BAD_MESSAGE`; ErgotError `ERR_ERGOT_NO_PORT`, `ERR_ERGOT_CLOSED`
   */
  request<Request, Response>(
    endpoint: Endpoint<Request, Response>,
    to: A,
    request: Request,
    done: (result: Incoming<Response, A> | ErgotError) => void,
    options?: RequestOptions,
  ): () => void;

  /**
   * Asks all nodes, and hears each answer until the function that is returned is called. That nobody could be asked is not told.
   *
   * @throws UsageError `ERR_BAD_MESSAGE`; ErgotError `ERR_ERGOT_NO_PORT`, `ERR_ERGOT_CLOSED`
   */
  requestAll<Request, Response>(
    endpoint: Endpoint<Request, Response>,
    to: A,
    request: Request,
    heard: (answer: Incoming<Response, A>) => void,
    options?: SendOptions,
  ): () => void;

  /**
   * Listens to a topic, at a port of its own or, by default, with all others that do.
   *
   * @throws UsageError `ERR_INVALID_OPTION` for a port that is taken or none; ErgotError `ERR_ERGOT_NO_PORT`, `ERR_ERGOT_CLOSED`
   */
  subscribe<T>(topic: Topic<T>, listener: (message: Incoming<T, A>) => void, options?: SubscribeOptions): OpenSocket;

  /** Says something under a topic. @throws ErgotError why it did not leave; UsageError `ERR_INVALID_OPTION`, `ERR_BAD_MESSAGE` */
  publish<T>(topic: Topic<T>, to: A, message: T, options?: PublishOptions): void;

  /** The sockets that listen and are not hidden, by their ports. */
  sockets(): Iterable<SocketStatus>;
}
