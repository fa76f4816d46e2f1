/** Which nodes have a socket of a key: socket queries of ergot 0.12. Each node tells of one at most. */

import type { Env } from '../../core/env.js';
import type { Endpoint } from '../endpoint.js';
import type { ErgotError } from '../error.js';
import { FrameKind } from '../frame.js';
import { Key, nameHash } from '../key.js';
import { PORT_ALL } from '../net-address.js';
import type { Incoming, NetStackApi, OpenSocket, SocketStatus } from '../net-stack-api.js';
import type { Topic } from '../topic.js';
import {
  type SocketQueryMessage,
  socketQueryResponseTopic,
  socketQueryTopic,
  type SocketResponseMessage,
} from './descriptors.js';
import { gather, type GatherOptions } from './gather.js';

/** Which sockets are asked for. */
export interface SocketQuery {
  readonly key: Key;
  /** Of `FrameKind`. */
  readonly kind: number;
  /** Only sockets of this name; with `null` only such without one. Default: all. */
  readonly name?: string | null;
  /** Sockets that hear a topic with all others that do, rather than at a port of their own. */
  readonly shared: boolean;
}

/** A socket that was found. */
export interface FoundSocket<A> {
  /** With the socket's port; of one that is shared, that of all at its node. */
  readonly address: A;
  /** The hash of its name, unsigned; `undefined` where it has none. */
  readonly name: number | undefined;
}

/** Who is told of sockets. */
export interface SocketQueryEvents<A> {
  found(socket: FoundSocket<A>): void;
  /** The time is over, or the question could not leave. Called once, unless it was given up before. */
  done(error?: ErgotError): void;
}

/** Asks for those that serve an endpoint. */
export function serversOf(endpoint: Endpoint<unknown, unknown>, name?: string | null): SocketQuery {
  return { key: endpoint.requestKey, kind: FrameKind.Request, shared: false, ...(name === undefined ? {} : { name }) };
}

/** Asks for those that hear a topic: with all others that do, or at a port of their own. */
export function subscribersOf(topic: Topic<unknown>, name?: string | null, shared = true): SocketQuery {
  return { key: topic.key, kind: FrameKind.Topic, shared, ...(name === undefined ? {} : { name }) };
}

/** Tells whoever asks of sockets of this node; of those that are hidden nothing. */
export function serveSocketQueries<A>(stack: NetStackApi<A>): OpenSocket {
  return stack.subscribe(socketQueryTopic, ({ source, value }) => {
    const socket = find(stack.sockets(), value);
    if (socket === undefined) return;
    const name = socket.name === 0 ? undefined : { hash: socket.name >>> 0 };
    stack.publish(socketQueryResponseTopic, source, { name, port: socket.port === 0 ? PORT_ALL : socket.port });
  });
}

/**
 * Asks which nodes have a socket, and hears of each that says so in time; the function that is returned gives it up.
 *
 * @throws UsageError `ERR_INVALID_OPTION`; `ErgotError` `ERR_ERGOT_NO_PORT`, `ERR_ERGOT_CLOSED`
 */
export function querySockets<A>(
  stack: NetStackApi<A>,
  { key, kind, name, shared }: SocketQuery,
  options: GatherOptions<A>,
  events: SocketQueryEvents<A>,
  env: Env,
): () => void {
  const question: SocketQueryMessage = {
    key: key.bytes(),
    nash_req: requirement(name),
    frame_kind: kind,
    broadcast: shared,
  };
  const answers = {
    answer({ source, value }: Incoming<SocketResponseMessage, A>): void {
      // By the port alone one that is shared would not be known: phone-number devices may have a socket at 255.
      const address = shared ? stack.addressing.all(source) : stack.addressing.withPort(source, value.port);
      events.found({ address, name: value.name?.hash });
    },
    done: (error?: ErgotError) => events.done(error),
  };
  return gather(stack, socketQueryTopic, question, socketQueryResponseTopic, options, answers, env);
}

function requirement(name: string | null | undefined): SocketQueryMessage['nash_req'] {
  if (name === undefined) return { kind: 'Any' };
  return name === null ? { kind: 'None' } : { kind: 'Specific', value: { hash: nameHash(name) >>> 0 } };
}

function find(sockets: Iterable<SocketStatus>, query: SocketQueryMessage): SocketStatus | undefined {
  const { key, nash_req: name, frame_kind: kind, broadcast } = query;
  for (const socket of sockets) {
    // The answer has a byte for it; phone-number devices may have more.
    if (socket.port > PORT_ALL) continue;
    if (socket.kind !== kind || (socket.port === 0) !== broadcast) continue;
    if (name.kind === 'None' && socket.name !== 0) continue;
    if (name.kind === 'Specific' && socket.name >>> 0 !== name.value.hash) continue;
    if (new Key(socket.keyLow, socket.keyHigh).bytes().every((byte, i) => byte === key[i])) return socket;
  }
  return undefined;
}
