/**
 * Bytes on their way into the send buffer of a connection. A connection keeps what it is given by reference until it was acknowledged, while
 * every face in this directory lets its user reuse the bytes as soon as the write is called done. Waiting for the acknowledgement would make
 * a stream stop and wait for every round trip, so what is accepted is copied (`writeCopy`), as a kernel does, piece by piece as room appears: no more
 * than one send buffer is ever held twice. Bytes that nobody else knows (`owned`) are not copied.
 */

import type { TcpConnection } from '../l4/tcp/api.js';

/** Told at the end of a write. */
export type WriteDone = (error?: Error | null) => void;

const NOTHING = new Uint8Array(0);

/** One write at a time, taken by a connection as its buffer allows. */
export class Outbox {
  #bytes: Uint8Array = NOTHING;
  #offset = 0;
  #owned = false;
  #done: WriteDone | undefined;
  #accepted = 0;

  /** Bytes that the connection has taken so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Bytes of the write under way that the connection has not taken. */
  get waiting(): number {
    return this.#bytes.length - this.#offset;
  }

  /** A write is under way. */
  get busy(): boolean {
    return this.#done !== undefined;
  }

  /** Begins a write; `done` is called once, when everything was taken. Call {@link pump} to start it. */
  put(bytes: Uint8Array, owned: boolean, done: WriteDone): void {
    this.#bytes = bytes;
    this.#offset = 0;
    this.#owned = owned;
    this.#done = done;
  }

  /**
   * Hands over what there is room for. Always offers one byte more than fits: a write that was cut short is followed by `writable`, and one
   * to a stream that has ended throws.
   *
   * @throws NetError what `write` of the connection throws
   */
  pump(connection: TcpConnection): void {
    while (this.#done !== undefined) {
      const some = Math.min(this.waiting, connection.writableBytes + 1);
      if (some > 0) {
        const taken = this.#write(connection, some);
        this.#offset += taken;
        this.#accepted += taken;
        if (taken < some) return;
      }
      if (this.waiting === 0) this.cancel()?.();
    }
  }

  /** Offers the next `count` bytes; returns how many were taken. */
  #write(connection: TcpConnection, count: number): number {
    const bytes = this.#bytes;
    const from = this.#offset;
    const to = from + count;
    if (!this.#owned) return connection.writeCopy(bytes, from, to);
    return connection.write(count === bytes.length ? bytes : bytes.subarray(from, to));
  }

  /** Forgets the write under way; returns what was to be called at its end. */
  cancel(): WriteDone | undefined {
    const done = this.#done;
    this.#done = undefined;
    this.#bytes = NOTHING;
    this.#offset = 0;
    return done;
  }
}
