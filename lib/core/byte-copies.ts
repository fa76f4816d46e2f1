/**
 * Copies of bytes for those who keep them: many share one piece of memory, since to allocate it costs more than to copy what a packet holds.
 * As with Node's Buffers, what stays of one keeps all of them in memory, and the `buffer` of one is not its own.
 */

const SHARED = 32_768;
// Up to so many bytes the engine keeps an array within its own heap, which is cheaper still.
const TINY = 64;

/** Makes copies. */
export class ByteCopies {
  private memory: Uint8Array = new Uint8Array(0);
  private used = 0;

  /** A copy of `length` bytes from `at` on. */
  of(bytes: Uint8Array, at: number, length: number): Uint8Array {
    if (length <= TINY || length > SHARED / 8) return bytes.slice(at, at + length);
    if (this.used + length > this.memory.length) {
      this.memory = new Uint8Array(SHARED);
      this.used = 0;
    }
    const { memory, used } = this;
    memory.set(bytes.subarray(at, at + length), used);
    // The next one begins at a multiple of eight.
    this.used = (used + length + 7) & ~7;
    return memory.subarray(used, used + length);
  }
}
