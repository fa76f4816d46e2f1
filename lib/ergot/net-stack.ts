/** The net stack of an ergot node: its sockets, as applications and services use them, over its profile. */

import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { UsageError } from '../core/errors.js';
import type { Frame } from '../core/frame.js';
import { Asked } from './asked.js';
import type { Endpoint } from './endpoint.js';
import { ErgotError } from './error.js';
import { FrameKind } from './frame.js';
import type { ProtocolError } from './frame-error.js';
import { type Key, nameHash } from './key.js';
import { Message } from './message.js';
import type {
  Incoming,
  NetStackApi,
  OpenSocket,
  PublishOptions,
  RequestOptions,
  SendOptions,
  ServeOptions,
  SocketStatus,
  SubscribeOptions,
} from './net-stack-api.js';
import { SendRules } from './net-stack-rules.js';
import { PostcardReader } from './postcard-reader.js';
import type { Addressing, Profile } from './profile.js';
import { Socket, type SocketHost, type SocketOptions } from './socket.js';
import type { AnySocket, Place } from './sockets.js';
import type { Topic } from './topic.js';
import { type Turn, Turns } from './turns.js';

const DEFAULT_QUEUE = 16;
const DEFAULT_TIMEOUT = 1000;

/** Options of {@link NetStack}. */
export interface NetStackOptions {
  /** Messages that may wait for the handler of a socket, from 1. Default 16. */
  readonly queue?: number;
}

type Heard<Response, A> = (result: Incoming<Response, A> | ErgotError) => void;

type Listening = Pick<SocketOptions<never, never>, 'name' | 'hidden' | 'queue' | 'most'>;

function statusOf<A>({ kind, key, name, port }: AnySocket<A>): SocketStatus {
  return { kind, keyLow: key.low, keyHigh: key.high, name, port };
}

/** The sockets of one node. */
export class NetStack<A> implements NetStackApi<A> {
  readonly addressing: Addressing<A>;
  private readonly env: Env;
  private readonly queue: number;
  private readonly turns: Turns;
  private readonly rules: SendRules<A>;
  private readonly host: SocketHost;
  private sequence: number;
  private open = true;

  /** @throws UsageError `ERR_INVALID_OPTION` */
  constructor(profile: Profile<A>, options: NetStackOptions, env: Env) {
    const { queue = DEFAULT_QUEUE } = options;
    if (!Number.isInteger(queue) || queue < 1)
      throw new UsageError('ERR_INVALID_OPTION', `no queue's length: ${queue}`);
    this.addressing = profile.addressing;
    this.sequence = this.addressing.randomSequence ? env.random.below(0x10000) : 0;
    this.env = env;
    this.queue = queue;
    this.turns = new Turns(env.timers);
    this.rules = new SendRules(profile, this.turns, env);
    this.host = {
      turns: this.turns,
      reader: new PostcardReader(),
      close: (socket) => this.rules.table.remove(socket as AnySocket<A>),
      threw: () => env.drops.report(DropReason.CallbackThrew, undefined, 'ergot'),
    };
  }

  serve<Request, Response>(
    endpoint: Endpoint<Request, Response>,
    handler: (request: Incoming<Request, A>, answer: (response: Response) => ErgotError | undefined) => void,
    options: ServeOptions = {},
  ): OpenSocket {
    const hear = (request: Incoming<Request, A>): void => {
      const asked = new Asked<Response>(socket, (response) => this.answer(endpoint, request, socket.port, response));
      asked.ask((answer) => handler(request, answer));
    };
    const { requestKey: key, request: schema } = endpoint;
    const common = this.listening(options);
    const socket = this.listen({ ...common, kind: FrameKind.Request, key, schema, hear }, options.port ?? 'next');
    return socket;
  }

  request<Request, Response>(
    endpoint: Endpoint<Request, Response>,
    to: A,
    request: Request,
    done: Heard<Response, A>,
    options: RequestOptions = {},
  ): () => void {
    const { timeout = DEFAULT_TIMEOUT, sequence = this.nextSequence() } = options;
    if (!(timeout >= 0)) throw new UsageError('ERR_INVALID_OPTION', `no time to wait: ${timeout}`);
    if ((sequence & 0xffff) !== sequence) throw new UsageError('ERR_INVALID_OPTION', `no sequence number: ${sequence}`);
    const end = (): void => {
      timer.cancel();
      socket.close();
    };
    const finish = (result: Incoming<Response, A> | ErgotError): void => {
      end();
      done(result);
    };
    const timer = this.env.timers.timer(() => socket.fail(new ErgotError('ERR_ERGOT_TIMEOUT', 'no answer in time')));
    const socket = this.expect(endpoint, sequence, finish, finish);
    timer.arm(this.env.timers.now() + timeout);
    try {
      const error = this.ask(endpoint, to, request, socket, options);
      if (error !== undefined) socket.fail(error);
    } catch (wrong) {
      end();
      throw wrong;
    }
    return end;
  }

  requestAll<Request, Response>(
    endpoint: Endpoint<Request, Response>,
    to: A,
    request: Request,
    heard: (answer: Incoming<Response, A>) => void,
    options: SendOptions = {},
  ): () => void {
    const socket = this.expect(endpoint, this.nextSequence(), heard);
    const end = (): void => socket.close();
    try {
      this.ask(endpoint, to, request, socket, options);
    } catch (wrong) {
      end();
      throw wrong;
    }
    return end;
  }

  subscribe<T>(
    topic: Topic<T>,
    listener: (message: Incoming<T, A>) => void,
    options: SubscribeOptions = {},
  ): OpenSocket {
    const { key, message: schema } = topic;
    const kind = FrameKind.Topic;
    return this.listen(
      { ...this.listening(options), kind, key, schema, hear: listener },
      options.port ?? (options.own === true ? 'next' : 'all'),
    );
  }

  publish<T>(topic: Topic<T>, to: A, value: T, options: PublishOptions = {}): void {
    this.checkOpen();
    const { from = 0 } = options;
    if (from !== 0 && !this.rules.table.has(from)) throw new UsageError('ERR_INVALID_OPTION', `no port: ${from}`);
    const message = this.message(FrameKind.Topic, to, topic.key, options);
    message.port = from;
    message.sequence = this.nextSequence();
    const error = this.rules.send(message, topic.message, value);
    if (error !== undefined) throw ErgotError.of(error, message.mtu);
  }

  sockets(): Iterable<SocketStatus> {
    const open = [...this.rules.table].filter(({ hidden }) => !hidden);
    return open.map(statusOf).sort((a, b) => a.port - b.port);
  }

  /** See `ProfileNode.deliver`. */
  deliver(message: Message<A>, frame: Frame): ProtocolError | undefined {
    return this.rules.deliver(message, frame);
  }

  /** Makes a call of the application's when no other is being made. */
  call(turn: Turn): void {
    this.turns.add(turn);
  }

  /** Begins an event: what it has applications called for is called at its end. */
  begin(): void {
    this.turns.enter();
  }

  end(): void {
    this.turns.leave();
  }

  /** Closes all sockets. Who waits for an answer is told, at once. */
  close(): void {
    if (!this.open) return;
    this.open = false;
    for (const socket of this.rules.table) socket.abort(new ErgotError('ERR_ERGOT_CLOSED', 'the node has ended'));
    this.turns.clear();
  }

  private checkOpen(): void {
    if (!this.open) throw new ErgotError('ERR_ERGOT_CLOSED', 'the node has ended');
  }

  private listening({ name, hidden = false, unanswered: most = Infinity }: ServeOptions): Listening {
    if (!(most >= 1)) throw new UsageError('ERR_INVALID_OPTION', `no number of unanswered requests: ${most}`);
    return { name: name === undefined ? 0 : nameHash(name), hidden, queue: this.queue, most };
  }

  private listen<T>(options: SocketOptions<T, A>, place: Place): Socket<T, A> {
    this.checkOpen();
    const socket = new Socket(options, this.host);
    this.rules.table.add(socket, place);
    return socket;
  }

  /** A socket for the answers to a request. */
  private expect<Request, Response>(
    endpoint: Endpoint<Request, Response>,
    sequence: number,
    hear: (answer: Incoming<Response, A>) => void,
    fail?: (error: ErgotError) => void,
  ): Socket<Response, A> {
    const { responseKey: key, response: schema } = endpoint;
    const kind = FrameKind.Response;
    const failing = fail === undefined ? {} : { fail };
    return this.listen({ ...this.listening({ hidden: true }), kind, key, schema, sequence, hear, ...failing }, 'next');
  }

  private ask<Request, Response>(
    endpoint: Endpoint<Request, Response>,
    to: A,
    request: Request,
    socket: Socket<Response, A>,
    options: SendOptions,
  ): ErgotError | undefined {
    const message = this.message(FrameKind.Request, to, endpoint.requestKey, options);
    message.port = socket.port;
    message.sequence = socket.sequence;
    const error = this.rules.send(message, endpoint.request, request);
    return error === undefined ? undefined : ErgotError.of(error, message.mtu);
  }

  private answer<Response>(
    endpoint: Endpoint<unknown, Response>,
    request: Incoming<unknown, A>,
    port: number,
    response: Response,
  ): ErgotError | undefined {
    if (!this.open) return new ErgotError('ERR_ERGOT_CLOSED', 'the node has ended');
    const message = this.message(FrameKind.Response, request.source, endpoint.responseKey, {});
    message.port = port;
    message.sequence = request.sequence;
    const error = this.rules.send(message, endpoint.response, response);
    return error === undefined ? undefined : ErgotError.of(error, message.mtu);
  }

  private message(kind: number, to: A, key: Key, { name }: SendOptions): Message<A> {
    const message = new Message(to);
    message.kind = kind;
    message.reach = this.addressing.reach(to);
    message.keyLow = key.low;
    message.keyHigh = key.high;
    message.name = name === undefined ? 0 : nameHash(name);
    return message;
  }

  private nextSequence(): number {
    const { sequence } = this;
    this.sequence = (sequence + 1) & 0xffff;
    return sequence;
  }
}
