/** Writes values in the postcard encoding into bytes that grow up to a limit. Values that their type does not have are errors of the caller. */

import { UsageError } from '../core/errors.js';

/** What messages may take when nothing else is said: bytes. */
export const DEFAULT_MESSAGE_LIMIT = 65_536;

const FIRST_ROOM = 64;
const encoder = new TextEncoder();

function outOfRange(value: number | bigint, type: string): never {
  throw new UsageError('ERR_BAD_MESSAGE', `${value} is no ${type}`);
}

/** Bytes being written, `length` of them so far. One may be used for many messages, see {@link PostcardWriter.reset}. */
export class PostcardWriter {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST_ROOM);
  length = 0;
  private readonly limit: number;
  private view: DataView = new DataView(this.bytes.buffer);

  /** @param limit bytes that it may hold */
  constructor(limit: number = DEFAULT_MESSAGE_LIMIT) {
    this.limit = limit;
  }

  /** Forgets what was written, and keeps its memory. */
  reset(): this {
    this.length = 0;
    return this;
  }

  /** What was written, as a copy. */
  finish(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  u8(value: number): void {
    if ((value & 0xff) !== value) outOfRange(value, 'u8');
    const at = this.room(1);
    this.bytes[at] = value;
  }

  i8(value: number): void {
    if ((value << 24) >> 24 !== value) outOfRange(value, 'i8');
    this.u8(value & 0xff);
  }

  /** An unsigned varint of up to `bits` bits, 32 at most. */
  varint(value: number, bits: number): void {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits) outOfRange(value, `u${bits}`);
    let rest = value;
    while (rest > 0x7f) {
      this.u8((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.u8(rest);
  }

  /** A signed varint of 16 or 32 bits, in zig-zag. */
  zigzag(value: number, bits: number): void {
    const half = 2 ** (bits - 1);
    if (!Number.isInteger(value) || value < -half || value >= half) outOfRange(value, `i${bits}`);
    this.varint(((value << 1) ^ (value >> 31)) >>> 0, bits);
  }

  bigVarint(value: bigint, bits: 64 | 128): void {
    if (BigInt.asUintN(bits, value) !== value) outOfRange(value, `u${bits}`);
    let rest = value;
    while (rest > 0x7fn) {
      this.u8(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.u8(Number(rest));
  }

  bigZigzag(value: bigint, bits: 64 | 128): void {
    if (BigInt.asIntN(bits, value) !== value) outOfRange(value, `i${bits}`);
    this.bigVarint(value < 0n ? -2n * value - 1n : 2n * value, bits);
  }

  f32(value: number): void {
    const at = this.room(4);
    this.view.setFloat32(at, value, true);
  }

  f64(value: number): void {
    const at = this.room(8);
    this.view.setFloat64(at, value, true);
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): void {
    const at = this.room(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** A string, in UTF-8 after its length. Halves of surrogate pairs have none, and are refused. */
  string(value: string): void {
    if (!isWellFormed(value)) throw new UsageError('ERR_BAD_MESSAGE', 'a string with half a surrogate pair');
    const bytes = encoder.encode(value);
    this.varint(bytes.length, 32);
    this.raw(bytes);
  }

  /** One Unicode scalar value, as a string. */
  char(value: string): void {
    const point = value.codePointAt(0) ?? -1;
    if (value.length !== (point > 0xffff ? 2 : 1)) throw new UsageError('ERR_BAD_MESSAGE', `'${value}' is no char`);
    this.string(value);
  }

  /** Makes room for `length` more bytes, and says where. */
  private room(length: number): number {
    const at = this.length;
    const wanted = at + length;
    if (wanted > this.limit) {
      throw new UsageError('ERR_FRAME_TOO_LARGE', `a message of more than ${this.limit} bytes`);
    }
    if (wanted > this.bytes.length) this.grow(wanted);
    this.length = wanted;
    return at;
  }

  private grow(wanted: number): void {
    const bytes = new Uint8Array(Math.max(wanted, 2 * this.bytes.length));
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }
}

/** Whether a string has no half of a surrogate pair (`String.prototype.isWellFormed` of later releases). */
function isWellFormed(value: string): boolean {
  return !/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.test(value);
}
