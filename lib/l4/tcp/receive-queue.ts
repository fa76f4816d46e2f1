/** Received bytes in order, waiting to be read. Each byte was copied once, out of its frame; what is read is the reader's own. */

// Segments up to this size are gathered, so that many tiny ones do not cost many times their size.
const SMALL = 1024;
const GATHER = 4096;

/** A queue of bytes that is read in pieces as they came. */
export class ReceiveQueue {
  /** Bytes in the queue. */
  length = 0;
  private chunks: (Uint8Array | undefined)[] = [];
  private first = 0;
  /** Bytes of the first chunk that were read. */
  private skip = 0;
  /** The last chunk's buffer where it has room for more, and how much of it is used. */
  private gathering: Uint8Array | undefined = undefined;
  private gathered = 0;

  /** Copies bytes `from` to `to` of `source` to the end of the queue. */
  append(source: Uint8Array, from: number, to: number): void {
    const length = to - from;
    this.length += length;
    if (length >= SMALL || (this.length === length && this.gathering === undefined)) {
      this.gathering = undefined;
      this.chunks.push(source.slice(from, to));
      return;
    }
    this.gather(source, from, to);
  }

  /** Puts a chunk that the queue may keep at the end. */
  push(chunk: Uint8Array): void {
    this.gathering = undefined;
    this.length += chunk.length;
    this.chunks.push(chunk);
  }

  private gather(source: Uint8Array, from: number, to: number): void {
    const length = to - from;
    let buffer = this.gathering;
    if (buffer === undefined || this.gathered + length > buffer.length) {
      buffer = this.gathering = new Uint8Array(GATHER);
      this.gathered = 0;
      this.chunks.push(undefined);
    }
    for (let i = 0; i < length; i++) buffer[this.gathered + i] = source[from + i] ?? 0;
    this.gathered += length;
    this.chunks[this.chunks.length - 1] = buffer.subarray(0, this.gathered);
  }

  /** Takes at most `max` bytes off the front, in one piece; `undefined` if there are none. */
  read(max: number): Uint8Array | undefined {
    const chunk = this.chunks[this.first];
    if (chunk === undefined || max <= 0) return undefined;
    const available = chunk.length - this.skip;
    const count = Math.min(available, max);
    const whole = this.skip === 0 && count === chunk.length;
    const bytes = whole ? chunk : chunk.subarray(this.skip, this.skip + count);
    this.length -= count;
    if (count < available) {
      this.skip += count;
      return bytes;
    }
    this.skip = 0;
    this.chunks[this.first++] = undefined;
    if (this.first === this.chunks.length) {
      // The reader owns the last piece now, and the buffer that it lies in.
      this.gathering = undefined;
      // One by one, as a rule: that is far cheaper than to set the length.
      while (this.chunks.length > 0) this.chunks.pop();
      this.first = 0;
    } else if (this.first >= 32 && this.first * 2 > this.chunks.length) {
      this.chunks.splice(0, this.first);
      this.first = 0;
    }
    return bytes;
  }

  /** The same bytes, which stay where they are. */
  peek(max: number): Uint8Array | undefined {
    const chunk = this.chunks[this.first];
    if (chunk === undefined || max <= 0) return undefined;
    return chunk.subarray(this.skip, Math.min(chunk.length, this.skip + max));
  }

  clear(): void {
    this.length = this.first = this.skip = 0;
    if (this.chunks.length > 64) this.chunks = [];
    while (this.chunks.length > 0) this.chunks.pop();
    this.gathering = undefined;
  }
}

class NoReceiveQueue extends ReceiveQueue {
  override append(): never {
    throw new Error('a connection receives into a queue of its own');
  }
  override push(): never {
    return this.append();
  }
  override clear(): void {}
}

/** What connections have for which nothing waits to be read: empty, and stays so. */
export const NOTHING_RECEIVED: ReceiveQueue = new NoReceiveQueue();
