/**
 * Consistent overhead byte stuffing (Cheshire and Baker, 1999): frames without zero bytes, each ended by one, so that a reader of a stream that
 * lost something finds the next frame. A byte is spent for each 254 bytes of a frame, and one for the end.
 */

import { DropReason } from '../core/drops.js';
import { UsageError } from '../core/errors.js';

/** Bytes that follow a code at most: the code 0xff is of so many, and no zero after them. */
const FULL = 254;

/** Bytes that a frame of `length` bytes takes at most when stuffed, the zero at its end included. */
export function cobsLength(length: number): number {
  return length + Math.floor(length / FULL) + 2;
}

/**
 * Stuffs the bytes `from` (inclusive) to `to` (exclusive) into `out` at `at`, with the zero at the end, and returns where that ends. Needs room
 * for {@link cobsLength}.
 */
export function cobsEncode(bytes: Uint8Array, from: number, to: number, out: Uint8Array, at: number): number {
  if (out.length - at < cobsLength(to - from)) throw new UsageError('ERR_FRAME_TOO_LARGE', 'no room for the frame');
  let code = at;
  let next = at + 1;
  for (let i = from; i < to; i++) {
    const byte = bytes[i] ?? 0;
    if (byte !== 0) out[next++] = byte;
    if (byte === 0 || (next - code > FULL && i + 1 < to)) {
      out[code] = next - code;
      code = next++;
    }
  }
  out[code] = next - code;
  out[next] = 0;
  return next + 1;
}

/** What a {@link CobsDecoder} came to. */
export const CobsResult = {
  /** The bytes are used up, and the frame goes on. */
  More: 0,
  /** A frame ended: it is the first `length` bytes of the decoder's `frame`, until the next call. */
  Frame: 1,
  /** A frame ended that was larger than the limit. */
  TooLarge: 2,
  /** A frame ended before it should. */
  Malformed: 3,
} as const;
export type CobsResult = (typeof CobsResult)[keyof typeof CobsResult];

/**
 * Takes frames out of a stream, in whatever pieces it comes, and holds no more than one frame of the largest size. What is wrong ends with the
 * next zero; a zero straight after another is no frame and is passed over.
 *
 * @example
 * for (let at = 0; at < bytes.length; ) {
 *   at = decoder.take(bytes, at, bytes.length);
 *   if (decoder.result === CobsResult.Frame) handle(decoder.frame, decoder.length);
 * }
 */
export class CobsDecoder {
  /** Memory of the frame. */
  readonly frame: Uint8Array;
  /** Bytes of the frame that ended. */
  length = 0;
  result: CobsResult = CobsResult.More;
  private filled = 0;
  /** Bytes that the last code still promises. */
  private run = 0;
  /** Whether a zero belongs in front of what the next code brings. */
  private zero = false;
  private began = false;
  private tooLarge = false;

  /** @param limit bytes of the largest frame, unstuffed */
  constructor(limit: number) {
    if (!Number.isInteger(limit) || limit < 1) {
      throw new UsageError('ERR_INVALID_OPTION', `${limit} is no number of bytes`);
    }
    this.frame = new Uint8Array(limit);
  }

  /** Why the frame that ended is dropped, if it is. */
  get reason(): DropReason | undefined {
    if (this.result === CobsResult.TooLarge) return DropReason.ErgotTooLarge;
    return this.result === CobsResult.Malformed ? DropReason.ErgotBadStuffing : undefined;
  }

  /** Takes bytes up to the end of a frame or to `to`, and returns up to where; `result` says which it was. */
  take(bytes: Uint8Array, from: number, to: number): number {
    this.result = CobsResult.More;
    for (let at = from; at < to; at++) {
      const byte = bytes[at] ?? 0;
      if (byte !== 0) this.push(byte);
      else if (this.began) {
        this.finish();
        return at + 1;
      }
    }
    return to;
  }

  /** Forgets the frame that had begun: the stream begins anew. */
  reset(): void {
    this.filled = 0;
    this.run = 0;
    this.zero = false;
    this.began = false;
    this.tooLarge = false;
  }

  private push(byte: number): void {
    this.began = true;
    if (this.run > 0) {
      this.run--;
      this.store(byte);
      return;
    }
    if (this.zero) this.store(0);
    this.run = byte - 1;
    this.zero = byte !== FULL + 1;
  }

  private store(byte: number): void {
    if (this.filled < this.frame.length) this.frame[this.filled++] = byte;
    else this.tooLarge = true;
  }

  private finish(): void {
    this.length = this.filled;
    this.result = this.tooLarge ? CobsResult.TooLarge : this.run > 0 ? CobsResult.Malformed : CobsResult.Frame;
    this.reset();
  }
}
