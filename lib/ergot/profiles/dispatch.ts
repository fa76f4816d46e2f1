/**
 * What profiles do with a frame once they know where it goes: give it to own sockets, pass it on, send copies of it, or tell its sender what is
 * wrong. A frame is passed on in its own memory wherever nobody else looks at it.
 *
 * Senders are told of errors where an answer can reach a socket and says something new: never of errors, of what went to all, or of what came from no
 * port; and of answers only what happened on their way, for who no longer waits for one has made no mistake that the server could mend.
 */

import type { DropReason } from '../../core/drops.js';
import type { Frame } from '../../core/frame.js';
import { DEFAULT_TTL, FrameHeader, FrameKind, MAX_HEADER } from '../frame.js';
import { type ProtocolError, ProtocolErrorBody, protocolErrorReason } from '../frame-error.js';
import { Message, Reach } from '../message.js';
import { isAnyOrAll, portOf } from '../net-address.js';
import type { ProfileNode } from '../profile.js';
import { reach } from './addressing.js';
import type { Port } from './port.js';

const NAME = 'ergot';
/** Bytes of the largest error: its number, and an MTU. */
const MAX_ERROR = 4;

/** The frame that came in last, and what can be done with it; and the frames that own sockets send. */
export class Dispatch {
  /** The header of the frame that came in. */
  readonly header: FrameHeader = new FrameHeader();
  private readonly node: ProfileNode<number>;
  private readonly out: FrameHeader = new FrameHeader();
  private readonly message: Message<number> = new Message(0);
  private readonly error: ProtocolErrorBody = new ProtocolErrorBody();
  /** Whether an address in the header is another one than in the frame. */
  private rewritten = false;

  constructor(node: ProfileNode<number>) {
    this.node = node;
  }

  /** Reads the header of a frame that came in. */
  read(frame: Frame): DropReason | undefined {
    this.rewritten = false;
    return this.header.read(frame);
  }

  /** Puts other addresses in the header; the frame has them once it is passed on. */
  rewrite(source: number, destination: number): void {
    const { header } = this;
    if (header.source === source && header.destination === destination) return;
    header.source = source;
    header.destination = destination;
    this.rewritten = true;
  }

  /** Ends a frame that came in. */
  drop(reason: DropReason, frame: Frame): void {
    this.node.env.drops.report(reason, frame, NAME);
  }

  /** Gives own sockets the frame that came in, or says what is wrong. */
  deliver(frame: Frame): ProtocolError | undefined {
    const { header, message } = this;
    message.kind = header.kind;
    message.sequence = header.sequence;
    message.reach = reach(header.destination);
    message.port = portOf(header.destination);
    message.source = header.source;
    message.destination = header.destination;
    message.keyLow = header.keyLow;
    message.keyHigh = header.keyHigh;
    message.name = header.name;
    message.body = header.body;
    return this.node.deliver(message, frame);
  }

  /** Passes the frame that came in on by a link that it fits, a hop further; its time to live is more than 0. */
  forward(frame: Frame, port: Port): void {
    const { header, node } = this;
    const inPlace = frame.exclusive && header.body - frame.base >= MAX_HEADER;
    const own = inPlace ? frame.handOver() : node.env.pool.copy(frame);
    if (inPlace && !this.rewritten) {
      header.hop(own);
    } else {
      header.ttl--;
      header.body += own.start - frame.start;
      header.replace(own);
    }
    node.transmit(port.link, own);
  }

  /** Sends a copy of the frame that came in to another address, by a link that it fits, a hop further. */
  copy(frame: Frame, port: Port, destination: number): void {
    const { header, out, node } = this;
    out.source = header.source;
    out.destination = destination;
    out.sequence = header.sequence;
    out.kind = header.kind;
    out.ttl = header.ttl - 1;
    out.keyLow = header.keyLow;
    out.keyHigh = header.keyHigh;
    out.name = header.name;
    const own = node.env.pool.copy(frame);
    out.body = header.body + own.start - frame.start;
    out.replace(own);
    node.transmit(port.link, own);
  }

  /** Sends what own sockets say by a link that it fits: takes over the frame, whose body it is. */
  send(message: Message<number>, frame: Frame, port: Port, source: number, destination: number): void {
    const { out } = this;
    out.source = source;
    out.destination = destination;
    out.sequence = message.sequence;
    out.kind = message.kind;
    out.ttl = DEFAULT_TTL - 1;
    out.keyLow = message.keyLow;
    out.keyHigh = message.keyHigh;
    out.name = message.name;
    out.push(frame);
    this.node.transmit(port.link, frame);
  }

  /** Ends what own sockets say and what cannot leave, and gives the error back. */
  refuse(error: ProtocolError, frame: Frame): ProtocolError {
    this.node.env.drops.refuse(protocolErrorReason(error), frame, NAME);
    return error;
  }

  /** Whether the sender of the frame that came in may be told that it could not be passed on. */
  get mayTell(): boolean {
    const { header } = this;
    return header.kind !== FrameKind.Error && reach(header.destination) !== Reach.All && !isAnyOrAll(header.source);
  }

  /** The same, of what own sockets would not take. */
  get mayTellUndelivered(): boolean {
    return this.header.kind !== FrameKind.Response && this.mayTell;
  }

  /** Tells the sender of the frame that came in what is wrong, by the link that leads to it. */
  tell(error: ProtocolError, port: Port, mtu = 0): void {
    const { header, out, node } = this;
    const frame = node.env.pool.alloc(MAX_HEADER + MAX_ERROR);
    this.error.error = error;
    this.error.mtu = Math.min(mtu, 0xffff);
    this.error.put(frame);
    out.source = header.destination;
    out.destination = header.source;
    out.sequence = header.sequence;
    out.kind = FrameKind.Error;
    out.ttl = DEFAULT_TTL - 1;
    out.push(frame);
    node.transmit(port.link, frame);
  }
}
