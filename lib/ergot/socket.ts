/** A socket of an ergot node: what it takes, and the messages that wait for its handler. */

import type { Frame } from '../core/frame.js';
import { ErgotError } from './error.js';
import { ProtocolError } from './frame-error.js';
import type { Key } from './key.js';
import type { Message } from './message.js';
import type { Incoming, OpenSocket } from './net-stack-api.js';
import type { PostcardReader } from './postcard-reader.js';
import type { Schema } from './schema.js';
import type { Turns } from './turns.js';

/** What a socket is made with. */
export interface SocketOptions<T, A> {
  readonly kind: number;
  readonly key: Key;
  /** The hash of the name, signed, or 0 for none. */
  readonly name: number;
  readonly hidden: boolean;
  readonly schema: Schema<T>;
  /** Messages that may wait. */
  readonly queue: number;
  /** Messages that may wait or be unanswered. */
  readonly most: number;
  /** Only these are taken; those of any other sequence number are late. Default: all. */
  readonly sequence?: number;
  /** Takes a message. An error of it ends that message only. */
  hear(message: Incoming<T, A>): void;
  /** Is told that what was asked from here failed. Default: nobody waits for that. */
  fail?(error: ErgotError): void;
}

/** What a socket has in common with others. */
export interface SocketHost {
  readonly turns: Turns;
  /** One for all messages. */
  readonly reader: PostcardReader;
  close(socket: object): void;
  /** A handler threw. */
  threw(): void;
}

/** A message that waits. */
class Waiting<T, A> {
  private readonly socket: Socket<T, A>;
  private readonly message: Incoming<T, A>;

  constructor(socket: Socket<T, A>, message: Incoming<T, A>) {
    this.socket = socket;
    this.message = message;
  }

  run(): void {
    this.socket.hear(this.message);
  }
}

/** A socket that takes messages of one type. */
export class Socket<T, A> implements OpenSocket {
  readonly kind: number;
  readonly key: Key;
  readonly name: number;
  readonly hidden: boolean;
  readonly schema: Schema<T>;
  port = 0;
  dropped = 0;
  /** Messages that were heard, and are to be answered yet. */
  unanswered = 0;
  /** The only sequence number that it takes, or -1 for all. */
  readonly sequence: number;
  private readonly options: SocketOptions<T, A>;
  private readonly host: SocketHost;
  private waiting = 0;
  private failing = false;
  private open = true;

  constructor(options: SocketOptions<T, A>, host: SocketHost) {
    this.kind = options.kind;
    this.key = options.key;
    this.name = options.name;
    this.hidden = options.hidden;
    this.schema = options.schema;
    this.sequence = options.sequence ?? -1;
    this.options = options;
    this.host = host;
  }

  /** Reads a message whose frame is lent, and has it heard; or says why not. */
  take(message: Message<A>, frame: Frame): ProtocolError | undefined {
    const { host } = this;
    if (this.waiting >= this.options.queue || this.waiting + this.unanswered >= this.options.most) {
      this.dropped++;
      return ProtocolError.SseNoSpace;
    }
    const reader = host.reader.reset(frame.slab.bytes, message.body, frame.end);
    const value = this.schema.read(reader);
    if (reader.fault !== undefined || reader.left > 0) {
      this.fail(new ErgotError('ERR_ERGOT_BAD_MESSAGE', 'what came is not of the type that was asked for'));
      return ProtocolError.SseDeserFailed;
    }
    this.waiting++;
    host.turns.add(new Waiting(this, { value, source: message.source, sequence: message.sequence }));
    return undefined;
  }

  /** Has a message heard whose turn it is. */
  hear(message: Incoming<T, A>): void {
    this.waiting--;
    if (!this.open) return;
    try {
      this.options.hear(message);
    } catch {
      this.host.threw();
    }
  }

  /** Whether somebody waits for errors about what has this sequence number. */
  expects(sequence: number): boolean {
    return this.options.fail !== undefined && (this.sequence === -1 || this.sequence === sequence);
  }

  /** Tells of the first failure, if anybody is to be told, once no handler runs. */
  fail(error: ErgotError): void {
    if (this.failing || this.options.fail === undefined) return;
    this.failing = true;
    this.host.turns.add({ run: () => this.failed(error) });
  }

  /** Tells of a failure at once, and closes. */
  abort(error: ErgotError): void {
    this.failed(error);
    this.close();
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.host.close(this);
  }

  private failed(error: ErgotError): void {
    if (!this.open) return;
    try {
      this.options.fail?.(error);
    } catch {
      this.host.threw();
    }
  }
}
