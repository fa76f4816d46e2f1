/**
 * What a connection tells a Node socket, held back until the call that caused it has returned. The stack calls its handlers from within a
 * segment; Node programs expect `data` never to come from within their own `write`, their exceptions to be uncaught rather than to land in
 * somebody's protocol machine, and a parser not to be re-entered. So events are noted in flags and told a little later; a batch of segments
 * costs one tick and one read.
 */

import type { NetError } from '../core/errors.js';
import type { TcpHandler } from '../l4/tcp/api.js';
import { later } from './later.js';

const CONNECTED = 1;
const READABLE = 2;
const PROGRESS = 4;
const CLOSED = 8;

/** Who is told. */
export interface InboxOwner {
  onConnected(): void;
  onReadable(): void;
  /** Room to write, or everything acknowledged. */
  onProgress(): void;
  onClosed(error: NetError | undefined): void;
}

/** A {@link TcpHandler} that tells its owner {@link later}. */
export class Inbox implements TcpHandler {
  #owner: InboxOwner | undefined;
  #waiting = 0;
  #scheduled = false;
  #error: NetError | undefined;
  readonly #deliver = (): void => this.#tell();

  constructor(owner: InboxOwner) {
    this.#owner = owner;
  }

  connected(): void {
    this.#note(CONNECTED);
  }
  readable(): void {
    this.#note(READABLE);
  }
  writable(): void {
    this.#note(PROGRESS);
  }
  flushed(): void {
    this.#note(PROGRESS);
  }
  closed(error: NetError | undefined): void {
    this.#error = error;
    this.#note(CLOSED);
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
    later(this.#deliver);
  }

  /** One event a time: what it sets going, promises too, comes before the next one. */
  #tell(): void {
    this.#scheduled = false;
    const event = this.#waiting & -this.#waiting;
    this.#waiting &= ~event;
    if (this.#waiting !== 0) this.#note(0);
    const owner = this.#owner;
    if (event === CONNECTED) owner?.onConnected();
    else if (event === READABLE) owner?.onReadable();
    else if (event === PROGRESS) owner?.onProgress();
    else if (event === CLOSED) owner?.onClosed(this.#error);
  }
}
