/**
 * What the application wrote and the peer has not acknowledged: its own arrays, by reference. Each byte is copied once, into the
 * frame that carries it, and again for each retransmission.
 */

import { ChronoWatch } from './statistics.js';

/** A queue of bytes that are read at any offset and consumed at the front. */
export class SendQueue {
  /** Bytes in the queue. */
  length = 0;
  /** How long there is something in it, and why. */
  readonly watch: ChronoWatch = new ChronoWatch();
  private chunks: (Uint8Array | undefined)[] = [];
  /** Stream position of each chunk's first byte. */
  private starts: number[] = [];
  /** Which chunks' ends are pushed: the segment that carries them says PSH, each time it is sent. */
  private pushes: boolean[] = [];
  /** Index of the first chunk in use. */
  private first = 0;
  /** Stream positions of the queue's first byte and of the byte after its last. */
  private head = 0;
  private tail = 0;
  /** The chunk that was found last: the next copy most often starts there or in the next. */
  private hint = 0;

  /** Appends bytes by reference; they must not change while they are queued. @param pushed whether their end is */
  push(bytes: Uint8Array, pushed = true): void {
    if (bytes.length === 0) return;
    if (this === NOTHING_QUEUED) throw new Error('a connection queues bytes in a queue of its own');
    this.chunks.push(bytes);
    this.starts.push(this.tail);
    this.pushes.push(pushed);
    this.tail += bytes.length;
    this.length += bytes.length;
  }

  /** More follows before the end was sent: the later end is pushed instead. */
  unpush(): void {
    if (this.pushes.length > 0) this.pushes[this.pushes.length - 1] = false;
  }

  /** Copies `count` bytes, from `offset` bytes behind the front, to `target` at `at`. Returns whether an end that is pushed is among them. */
  copy(offset: number, count: number, target: Uint8Array, at: number): boolean {
    const from = this.head + offset;
    let index = this.find(from);
    let done = 0;
    let pushed = false;
    while (done < count) {
      const chunk = this.chunks[index];
      if (chunk === undefined) return pushed;
      const skip = from + done - (this.starts[index] ?? 0);
      const part = Math.min(chunk.length - skip, count - done);
      if (skip === 0 && part === chunk.length) target.set(chunk, at + done);
      else if (part <= 16) for (let i = 0; i < part; i++) target[at + done + i] = chunk[skip + i] ?? 0;
      else target.set(chunk.subarray(skip, skip + part), at + done);
      done += part;
      if (skip + part === chunk.length && this.pushes[index] === true) pushed = true;
      this.hint = index;
      index++;
    }
    return pushed;
  }

  /** Drops `count` bytes at the front. */
  consume(count: number): void {
    this.head += count;
    this.length -= count;
    while (this.first < this.chunks.length) {
      const end = (this.starts[this.first] ?? 0) + (this.chunks[this.first]?.length ?? 0);
      if (end > this.head) break;
      this.chunks[this.first] = undefined;
      this.first++;
    }
    if (this.first === this.chunks.length) this.clearChunks();
    else if (this.first >= 32 && this.first * 2 > this.chunks.length) this.compact();
  }

  /** Drops everything. */
  clear(): void {
    this.head = this.tail;
    this.length = 0;
    this.clearChunks();
  }

  private clearChunks(): void {
    if (this.chunks.length > 64) {
      this.chunks = [];
      this.starts = [];
      this.pushes = [];
    } else {
      // One by one, as a rule: that is far cheaper than to set the length.
      while (this.chunks.length > 0) {
        this.chunks.pop();
        this.starts.pop();
        this.pushes.pop();
      }
    }
    this.first = this.hint = 0;
  }

  private compact(): void {
    this.chunks.splice(0, this.first);
    this.starts.splice(0, this.first);
    this.pushes.splice(0, this.first);
    this.hint = Math.max(0, this.hint - this.first);
    this.first = 0;
  }

  /** Index of the chunk that holds stream position `position`. */
  private find(position: number): number {
    const { starts, hint } = this;
    if (this.holds(hint, position)) return hint;
    if (this.holds(hint + 1, position)) return hint + 1;
    let low = this.first;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((starts[middle] ?? 0) <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private holds(index: number, position: number): boolean {
    const start = this.starts[index];
    return start !== undefined && start <= position && position < (this.starts[index + 1] ?? this.tail);
  }
}

/** What connections have that have nothing to send: empty, and stays so. Of the same class as the others, so that all that look at them see but one. */
export const NOTHING_QUEUED: SendQueue = new SendQueue();
