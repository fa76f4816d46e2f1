/**
 * What a connection tells a Node socket, held back until the call that caused it has returned. The stack calls its handlers from within a
 * segment; Node programs expect `data` never to come from within their own `write`, their exceptions to be uncaught rather than to land in
 * somebody's protocol machine, and a parser not to be re-entered. So events are noted in flags and told a little later; a batch of segments
 * costs one tick and one read.
 */

import type { NetError } from '../core/errors.js';
import type { TcpHandler } from '../l4/tcp/api.js';
import { laterFor } from './later.js';

const CONNECTED = 1;
const READABLE = 2;
const PROGRESS = 4;
const CLOSED = 8;

/** What is done for those that are told, `T`: one record for all of them. */
export interface InboxEvents<T> {
  connected(owner: T): void;
  /** At once, within the event: returns whether that is all there is to be done about what came. */
  arrived(owner: T): boolean;
  readable(owner: T): void;
  /** Room to write, or everything acknowledged. */
  progress(owner: T): void;
  closed(owner: T, error: NetError | undefined): void;
}

/** A {@link TcpHandler} that tells its owner later. */
export class Inbox<T> implements TcpHandler {
  readonly #events: InboxEvents<T>;
  #owner: T | undefined;
  #waiting = 0;
  #scheduled = false;
  #error: NetError | undefined;

  constructor(events: InboxEvents<T>, owner: T) {
    this.#events = events;
    this.#owner = owner;
  }

  connected(): void {
    this.#note(CONNECTED);
  }
  readable(): void {
    if (this.#owner !== undefined && !this.#events.arrived(this.#owner)) this.#note(READABLE);
  }
  writable(): void {
    this.#note(PROGRESS);
  }
  flushed(): void {
    this.#note(PROGRESS);
  }
  closed(error: NetError | undefined): void {
    this.#error = error;
    // Who were told of room would write to what is over, and blame that instead of this error.
    this.#waiting &= ~PROGRESS;
    this.#note(CLOSED);
  }

  /** The owner is to be told later that there is something to read, or the end. */
  noteReadable(): void {
    this.#note(READABLE);
  }

  /** Nothing is told any more, and the owner can be forgotten. */
  detach(): void {
    this.#owner = undefined;
    this.#waiting = 0;
  }

  #note(event: number): void {
    if (this.#owner === undefined) return;
    this.#waiting |= event;
    if (this.#scheduled) return;
    this.#scheduled = true;
    laterFor(tell, this);
  }

  /** One event a time, from an empty stack: what it sets going, promises too, comes before the next one. */
  tell(): void {
    this.#scheduled = false;
    const event = this.#waiting & -this.#waiting;
    this.#waiting &= ~event;
    if (this.#waiting !== 0) this.#note(0);
    const owner = this.#owner;
    if (owner === undefined) return;
    const events = this.#events;
    if (event === CONNECTED) events.connected(owner);
    else if (event === READABLE) events.readable(owner);
    else if (event === PROGRESS) events.progress(owner);
    else if (event === CLOSED) events.closed(owner, this.#error);
  }
}

function tell<T>(inbox: Inbox<T>): void {
  inbox.tell();
}
