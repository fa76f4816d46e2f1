/**
 * To whom a message goes: own sockets, the profile, or both (the send rules of ergot 0.12). What is for one goes to the profile, and to own sockets
 * where that says that it is for this node; what is for all goes to both, where own sockets are among all those.
 */

import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import type { Frame } from '../core/frame.js';
import { ErgotError } from './error.js';
import { FrameKind } from './frame.js';
import { ProtocolError, ProtocolErrorBody, protocolErrorReason } from './frame-error.js';
import { Message, Reach } from './message.js';
import { PostcardWriter } from './postcard-writer.js';
import type { Profile } from './profile.js';
import type { Schema } from './schema.js';
import { type AnySocket, SocketTable } from './sockets.js';
import type { Turns } from './turns.js';

const NAME = 'ergot';
/** Bytes that a frame may take without its header. */
const LONGEST_BODY = 65_000;

/** The sockets and the profile of one node, and what passes between them. */
export class SendRules<A> {
  readonly table: SocketTable<A>;
  private readonly profile: Profile<A>;
  private readonly turns: Turns;
  private readonly env: Env;
  private readonly writer = new PostcardWriter(LONGEST_BODY);
  private readonly errorBody = new ProtocolErrorBody();

  constructor(profile: Profile<A>, turns: Turns, env: Env) {
    this.table = new SocketTable(profile.addressing.lastPort);
    this.profile = profile;
    this.turns = turns;
    this.env = env;
  }

  /**
   * Sends a value to where `message` says.
   *
   * @throws UsageError `ERR_BAD_MESSAGE` for a value that the schema does not have, `ERR_FRAME_TOO_LARGE`
   */
  send<T>(message: Message<A>, schema: Schema<T>, value: T): ProtocolError | undefined {
    const frame = this.body(schema, value);
    this.turns.enter();
    try {
      return message.reach === Reach.All
        ? this.sendToAll(message, frame, schema.signature)
        : this.sendToOne(message, frame, schema.signature);
    } finally {
      this.turns.leave();
    }
  }

  /** Gives own sockets a message whose frame is lent: see `ProfileNode.deliver`. */
  deliver(message: Message<A>, frame: Frame): ProtocolError | undefined {
    this.turns.enter();
    try {
      if (message.reach === Reach.All) return this.giveAll(message, frame) ? undefined : ProtocolError.NsseNoRoute;
      return message.kind === FrameKind.Error ? this.giveError(message, frame) : this.giveOne(message, frame);
    } finally {
      this.turns.leave();
    }
  }

  private body<T>(schema: Schema<T>, value: T): Frame {
    const writer = this.writer.reset();
    schema.write(writer, value);
    const frame = this.env.pool.alloc(writer.length);
    const at = frame.put(writer.length);
    frame.slab.bytes.set(writer.bytes.subarray(0, writer.length), at);
    return frame;
  }

  private sendToOne(message: Message<A>, frame: Frame, type: Uint8Array): ProtocolError | undefined {
    const { addressing } = this.profile;
    const { destination } = message;
    if (!addressing.equals(addressing.withPort(destination, 0), addressing.withPort(addressing.here, 0))) {
      const error = this.profile.send(message, frame);
      if (error !== ProtocolError.IseDestinationLocal && error !== ProtocolError.IseRoutingLoop) return error;
    }
    const error = this.giveOne(this.local(message, frame), frame, type);
    frame.release();
    return error;
  }

  /** To all: that no link leads anywhere is no error, nor that nobody here listens; a link's failure is one if nobody got it. */
  private sendToAll(message: Message<A>, frame: Frame, type: Uint8Array): ProtocolError | undefined {
    const isForOwn = this.profile.addressing.includesHere(message.destination);
    const taken = isForOwn && this.giveAll(this.local(message, frame), frame, type);
    const error = this.profile.send(message, frame);
    if (error === ProtocolError.IseDestinationLocal || error === ProtocolError.IseRoutingLoop) frame.release();
    if (taken || error === undefined || isNowhere(error)) return undefined;
    return ProtocolError.NsseNoRoute;
  }

  /** What own sockets are told of what this node sends. */
  private local(sent: Message<A>, frame: Frame): Message<A> {
    const { addressing } = this.profile;
    const message = new Message(sent.destination);
    message.kind = sent.kind;
    message.sequence = sent.sequence;
    message.reach = sent.reach;
    message.port = sent.reach === Reach.One ? addressing.port(sent.destination) : 0;
    message.source = addressing.withPort(addressing.here, sent.port);
    message.keyLow = sent.keyLow;
    message.keyHigh = sent.keyHigh;
    message.name = sent.name;
    message.body = frame.start;
    return message;
  }

  /** @param type of the value, where it is known */
  private giveOne(message: Message<A>, frame: Frame, type?: Uint8Array): ProtocolError | undefined {
    const found = message.reach === Reach.Any ? this.table.any(message) : this.table.one(message);
    const error = typeof found === 'number' ? found : this.take(found, message, frame, type);
    if (error === undefined) this.env.drops.deliver(frame);
    else this.env.drops.report(protocolErrorReason(error), frame, NAME);
    return error;
  }

  private giveAll(message: Message<A>, frame: Frame, type?: Uint8Array): boolean {
    let taken = false;
    for (const socket of this.table.all(message)) {
      if (this.take(socket, message, frame, type) === undefined) taken = true;
    }
    if (taken) this.env.drops.deliver(frame);
    return taken;
  }

  private take(socket: AnySocket<A>, message: Message<A>, frame: Frame, type?: Uint8Array): ProtocolError | undefined {
    if (type !== undefined && !sameBytes(type, socket.schema.signature)) return ProtocolError.SseTypeMismatch;
    if (socket.sequence === -1 || socket.sequence === message.sequence) return socket.take(message, frame);
    // An answer to who had that port before: nothing that its sender would have to know.
    return this.env.drops.report(DropReason.ErgotUnsolicited, frame, NAME);
  }

  private giveError(message: Message<A>, frame: Frame): ProtocolError | undefined {
    const { drops } = this.env;
    const { errorBody } = this;
    const socket = this.table.at(message.port);
    const bad = errorBody.read(frame, message.body);
    if (bad !== undefined) return drops.report(bad, frame, NAME);
    if (socket === undefined || !socket.expects(message.sequence)) {
      return drops.report(DropReason.ErgotUnsolicited, frame, NAME);
    }
    drops.deliver(frame);
    socket.fail(ErgotError.of(errorBody.error, errorBody.mtu));
    return undefined;
  }
}

/** Whether an error only says that there is nobody further. */
function isNowhere(error: ProtocolError): boolean {
  return (
    error === ProtocolError.IseNoRouteToDest ||
    error === ProtocolError.IseRoutingLoop ||
    error === ProtocolError.IseDestinationLocal
  );
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
