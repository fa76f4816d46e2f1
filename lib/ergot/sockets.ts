/** The sockets of a node, and which of them a message is for (`net_stack` of ergot 0.12): by port, or by kind, key and name. */

import { UsageError } from '../core/errors.js';
import { FrameKind } from './frame.js';
import { ProtocolError } from './frame-error.js';
import type { Message } from './message.js';
import { Ports } from './sockets-ports.js';
import type { Socket } from './socket.js';

/** A socket of whatever type. */
export type AnySocket<A> = Socket<unknown, A>;

/** Where a socket is: at a port, at the next that is free, or at none, with all that have no port either. */
export type Place = number | 'next' | 'all';

/** All of one node. */
export class SocketTable<A> {
  private readonly ports: Ports;
  private readonly byPort = new Map<number, AnySocket<A>>();
  /** By the lower half of the key. */
  private readonly byKey = new Map<number, AnySocket<A>[]>();

  /** @param last the largest port */
  constructor(last: number) {
    this.ports = new Ports(last);
  }

  /** Whether there is such a port, taken or not. */
  has(port: number): boolean {
    return Number.isInteger(port) && port >= 1 && port <= this.ports.last;
  }

  /**
   * Adds a socket.
   *
   * @throws UsageError `ERR_INVALID_OPTION` for a port that is taken or none; ErgotError `ERR_ERGOT_NO_PORT`
   */
  add(socket: AnySocket<A>, place: Place): void {
    if (place === 'next') socket.port = this.ports.allocate();
    else if (place !== 'all') {
      if (!this.ports.take(place)) throw new UsageError('ERR_INVALID_OPTION', `port ${place} is taken, or none`);
      socket.port = place;
    }
    if (socket.port > 0) this.byPort.set(socket.port, socket);
    const { low } = socket.key;
    const others = this.byKey.get(low);
    if (others === undefined) this.byKey.set(low, [socket]);
    else others.push(socket);
  }

  remove(socket: AnySocket<A>): void {
    if (this.byPort.get(socket.port) === socket) {
      this.byPort.delete(socket.port);
      this.ports.free(socket.port);
    }
    const rest = this.byKey.get(socket.key.low)?.filter((other) => other !== socket) ?? [];
    if (rest.length > 0) this.byKey.set(socket.key.low, rest);
    else this.byKey.delete(socket.key.low);
  }

  /** The one at a port, of whatever kind. */
  at(port: number): AnySocket<A> | undefined {
    return this.byPort.get(port);
  }

  /** The one that a message to one port is for. */
  one(message: Message<A>): AnySocket<A> | ProtocolError {
    const socket = this.byPort.get(message.port);
    if (socket === undefined) return ProtocolError.NsseNoRoute;
    return socket.kind === message.kind ? socket : ProtocolError.NsseWrongPortKind;
  }

  /** The only one that a message by key fits. */
  any(message: Message<A>): AnySocket<A> | ProtocolError {
    let found: AnySocket<A> | undefined;
    for (const socket of this.byKey.get(message.keyLow) ?? []) {
      if (socket.hidden || !fits(socket, message)) continue;
      if (found !== undefined) return ProtocolError.NsseAnyPortNotUnique;
      found = socket;
    }
    return found ?? ProtocolError.NsseNoRoute;
  }

  /** All that a message for all fits; valid until sockets come or go. */
  all(message: Message<A>): readonly AnySocket<A>[] {
    const sockets = this.byKey.get(message.keyLow) ?? [];
    return sockets.filter((socket) => hearsAll(socket) && fits(socket, message));
  }

  *[Symbol.iterator](): IterableIterator<AnySocket<A>> {
    for (const sockets of this.byKey.values()) yield* sockets;
  }
}

function fits<A>(socket: AnySocket<A>, message: Message<A>): boolean {
  if (socket.kind !== message.kind) return false;
  if (socket.key.low !== message.keyLow || socket.key.high !== message.keyHigh) return false;
  return message.name === 0 || socket.name === message.name;
}

/** Whether a socket is among all: by having no port of its own, or by serving an endpoint for whoever looks for it. */
function hearsAll<A>(socket: AnySocket<A>): boolean {
  return socket.port === 0 || (socket.kind === FrameKind.Request && !socket.hidden);
}
