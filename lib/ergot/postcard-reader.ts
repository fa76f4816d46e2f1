/**
 * Reads values of the postcard encoding from bytes that nobody vouches for: lengths are believed only as far as there are bytes, and nothing is
 * thrown. The first fault sticks; after it every read gives a zero and moves no further, so a caller may look at {@link PostcardReader.fault}
 * once, at the end. Varints longer than needed are taken, as other implementations take them, but no bits beyond their type.
 */

import { MAX_EMPTY_ITEMS, type PostcardCode } from './postcard.js';

// Bytes of the longest varints of 64 and 128 bits.
const VARINT64 = 10;
const VARINT128 = 19;

const NOTHING = new Uint8Array(0);
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A place in a range of bytes, and the first fault. One may be used for many messages, see {@link PostcardReader.reset}. */
export class PostcardReader {
  bytes: Uint8Array = NOTHING;
  /** The next byte to be read. */
  at = 0;
  end = 0;
  /** What was wrong first, or `undefined`. */
  fault: PostcardCode | undefined = undefined;
  /** Items without bytes that may still come. */
  private empty: number = MAX_EMPTY_ITEMS;
  private view: DataView | undefined = undefined;

  /** Begins anew, with the bytes `from` (inclusive) to `to` (exclusive). */
  reset(bytes: Uint8Array, from = 0, to: number = bytes.length): this {
    if (bytes !== this.bytes) this.view = undefined;
    this.bytes = bytes;
    this.at = from;
    this.end = to;
    this.fault = undefined;
    this.empty = MAX_EMPTY_ITEMS;
    return this;
  }

  /** Notes a fault, unless there is one; gives 0, so that a read can end with `return reader.fail(...)`. */
  fail(code: PostcardCode): 0 {
    this.fault ??= code;
    return 0;
  }

  /** Bytes that are left; none after a fault. */
  get left(): number {
    return this.fault === undefined ? this.end - this.at : 0;
  }

  u8(): number {
    if (this.left < 1) return this.fail('ERR_POSTCARD_END');
    return this.bytes[this.at++] ?? 0;
  }

  i8(): number {
    return (this.u8() << 24) >> 24;
  }

  /** A varint of up to `bits` bits, 32 at most; unsigned. */
  varint(bits: number): number {
    const most = Math.ceil(bits / 7);
    let value = 0;
    for (let i = 0; i < most; i++) {
      const byte = this.u8();
      if (this.fault !== undefined) return 0;
      const shift = 7 * i;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return byte >>> (bits - shift) === 0 || bits - shift > 7 ? value >>> 0 : this.varintTooBig();
    }
    return this.varintTooBig();
  }

  /** A varint of 16 or 32 bits in zig-zag. */
  zigzag(bits: number): number {
    const value = this.varint(bits);
    return (value >>> 1) ^ -(value & 1);
  }

  /** A varint of up to 64 or 128 bits; unsigned. */
  bigVarint(bits: 64 | 128): bigint {
    const most = bits === 64 ? VARINT64 : VARINT128;
    let value = 0n;
    for (let i = 0; i < most; i++) {
      const byte = this.u8();
      if (this.fault !== undefined) return 0n;
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return value >> BigInt(bits) === 0n ? value : BigInt(this.varintTooBig());
    }
    return BigInt(this.varintTooBig());
  }

  /** A varint of 64 or 128 bits in zig-zag. */
  bigZigzag(bits: 64 | 128): bigint {
    const value = this.bigVarint(bits);
    return (value >> 1n) ^ -(value & 1n);
  }

  bool(): boolean {
    const byte = this.u8();
    if (byte > 1) this.fail('ERR_POSTCARD_BOOL');
    return byte === 1;
  }

  /** Whether an option holds a value, which follows then. */
  some(): boolean {
    const byte = this.u8();
    if (byte > 1) this.fail('ERR_POSTCARD_OPTION');
    return byte === 1;
  }

  f32(): number {
    return this.skip(4) ? this.dataView().getFloat32(this.at - 4, true) : 0;
  }

  f64(): number {
    return this.skip(8) ? this.dataView().getFloat64(this.at - 8, true) : 0;
  }

  /**
   * The number of items of a sequence or map, of which each takes at least `least` bytes: more than fit the bytes that are left are a fault,
   * and so are too many that take none.
   */
  count(least: number): number {
    const count = this.varint(32);
    if (least > 0) return count * least <= this.left ? count : this.fail('ERR_POSTCARD_END');
    if (count > this.empty) return this.fail('ERR_POSTCARD_COUNT');
    this.empty -= count;
    return count;
  }

  /** The next `length` bytes, as a copy. */
  take(length: number): Uint8Array {
    return this.skip(length) ? this.bytes.slice(this.at - length, this.at) : NOTHING.slice();
  }

  /** A string of UTF-8, after its length. */
  string(): string {
    const length = this.count(1);
    if (!this.skip(length)) return '';
    try {
      return decoder.decode(this.bytes.subarray(this.at - length, this.at));
    } catch {
      this.fail('ERR_POSTCARD_UTF8');
      return '';
    }
  }

  /** One Unicode scalar value, written as a string. */
  char(): string {
    const text = this.string();
    if (this.fault === 'ERR_POSTCARD_UTF8') this.fault = 'ERR_POSTCARD_CHAR';
    const point = text.codePointAt(0) ?? -1;
    if (text.length === (point > 0xffff ? 2 : 1)) return text;
    this.fail('ERR_POSTCARD_CHAR');
    return '';
  }

  /** Moves on by `length` bytes, if they are there. */
  skip(length: number): boolean {
    if (length > this.left || this.fault !== undefined) {
      this.fail('ERR_POSTCARD_END');
      return false;
    }
    this.at += length;
    return true;
  }

  private varintTooBig(): 0 {
    return this.fail('ERR_POSTCARD_VARINT');
  }

  private dataView(): DataView {
    this.view ??= new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    return this.view;
  }
}
