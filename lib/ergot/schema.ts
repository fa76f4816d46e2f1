/**
 * Schemas: one value gives the postcard codec of a type, its TypeScript type and the description that goes into keys. This is their basis, and
 * the types without parts; `schema-compound.ts` and `schema-enum.ts` make larger ones of them.
 *
 * The description is that of postcard-schema: a tag byte for each kind of type, then its parts; fields and variants have names, types do not.
 */

import { UsageError } from '../core/errors.js';
import { PostcardError } from './postcard.js';
import { PostcardReader } from './postcard-reader.js';
import { DEFAULT_MESSAGE_LIMIT, PostcardWriter } from './postcard-writer.js';

/** The type `T`: how it is written and read, and what it is. */
export interface Schema<T> {
  /** The description that is hashed into keys. */
  readonly signature: Uint8Array;
  /** Bytes that a value takes at least. */
  readonly least: number;
  /** @throws UsageError `ERR_BAD_MESSAGE` for a value that the type does not have, `ERR_FRAME_TOO_LARGE` */
  write(writer: PostcardWriter, value: T): void;
  /** Never throws: what is wrong is in the reader, and the value is of no use then. */
  read(reader: PostcardReader): T;
}

/** The TypeScript type of a schema's values. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

/** What {@link decode} found: a value, or what is wrong. */
export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: PostcardError };

/** The message of a value, of `limit` bytes at most. */
export function encode<T>(schema: Schema<T>, value: T, limit: number = DEFAULT_MESSAGE_LIMIT): Uint8Array {
  const writer = new PostcardWriter(limit);
  schema.write(writer, value);
  return writer.finish();
}

/** The value of the message in `from` (inclusive) to `to` (exclusive), which must fill it; never throws. */
export function decode<T>(schema: Schema<T>, bytes: Uint8Array, from = 0, to: number = bytes.length): Decoded<T> {
  const reader = new PostcardReader().reset(bytes, from, to);
  const value = schema.read(reader);
  if (reader.left > 0) reader.fail('ERR_POSTCARD_TRAILING');
  const { fault } = reader;
  return fault === undefined ? { ok: true, value } : { ok: false, error: new PostcardError(fault, reader.at - from) };
}

/** A schema of a type without parts. */
function simple<T>(
  tag: number,
  least: number,
  write: (writer: PostcardWriter, value: T) => void,
  read: (reader: PostcardReader) => T,
): Schema<T> {
  return { signature: Uint8Array.of(tag), least, write, read };
}

/** Says what a value should have been, at the edge where callers without types come in. */
function expectType<T>(value: T, type: 'boolean' | 'string' | 'number' | 'bigint'): T {
  if (typeof value !== type) throw new UsageError('ERR_BAD_MESSAGE', `a ${typeof value} where a ${type} belongs`);
  return value;
}

function smallInteger(tag: number, bits: 16 | 32, signed: boolean): Schema<number> {
  if (signed) {
    return simple<number>(
      tag,
      1,
      (writer, value) => writer.zigzag(value, bits),
      (reader) => reader.zigzag(bits),
    );
  }
  return simple<number>(
    tag,
    1,
    (writer, value) => writer.varint(value, bits),
    (reader) => reader.varint(bits),
  );
}

function bigInteger(tag: number, bits: 64 | 128, signed: boolean): Schema<bigint> {
  if (signed) {
    return simple<bigint>(
      tag,
      1,
      (writer, value) => writer.bigZigzag(expectType(value, 'bigint'), bits),
      (reader) => reader.bigZigzag(bits),
    );
  }
  return simple<bigint>(
    tag,
    1,
    (writer, value) => writer.bigVarint(expectType(value, 'bigint'), bits),
    (reader) => reader.bigVarint(bits),
  );
}

export const bool: Schema<boolean> = simple<boolean>(
  0x11,
  1,
  (writer, value) => writer.u8(expectType(value, 'boolean') ? 1 : 0),
  (reader) => reader.bool(),
);
export const u8: Schema<number> = simple<number>(
  0x3d,
  1,
  (writer, value) => writer.u8(value),
  (reader) => reader.u8(),
);
export const i8: Schema<number> = simple<number>(
  0xc5,
  1,
  (writer, value) => writer.i8(value),
  (reader) => reader.i8(),
);
export const u16: Schema<number> = smallInteger(0x83, 16, false);
export const i16: Schema<number> = smallInteger(0x1d, 16, true);
export const u32: Schema<number> = smallInteger(0xd3, 32, false);
export const i32: Schema<number> = smallInteger(0x0d, 32, true);
export const u64: Schema<bigint> = bigInteger(0x13, 64, false);
export const i64: Schema<bigint> = bigInteger(0x0b, 64, true);
export const u128: Schema<bigint> = bigInteger(0x8b, 128, false);
export const i128: Schema<bigint> = bigInteger(0x02, 128, true);
/** A size of the machine that sends it: up to 64 bits. */
export const usize: Schema<bigint> = bigInteger(0x6b, 64, false);
export const isize: Schema<bigint> = bigInteger(0xad, 64, true);
/** A float of 32 bits: what is written is the nearest that there is. */
export const f32: Schema<number> = simple<number>(
  0xef,
  4,
  (writer, value) => writer.f32(expectType(value, 'number')),
  (reader) => reader.f32(),
);
export const f64: Schema<number> = simple<number>(
  0x71,
  8,
  (writer, value) => writer.f64(expectType(value, 'number')),
  (reader) => reader.f64(),
);
/** One Unicode scalar value, as a string. */
export const char: Schema<string> = simple<string>(
  0xc1,
  2,
  (writer, value) => writer.char(expectType(value, 'string')),
  (reader) => reader.char(),
);
export const string: Schema<string> = simple<string>(
  0x25,
  1,
  (writer, value) => writer.string(expectType(value, 'string')),
  (reader) => reader.string(),
);
/** Bytes of any number, that their owner says are bytes; {@link u8Seq} is what a vector of `u8` is. */
export const bytes: Schema<Uint8Array> = simple<Uint8Array>(0x65, 1, writeBytes, readBytes);
/** A sequence of `u8` as bytes: the same on the wire as {@link bytes}, but another type. */
export const u8Seq: Schema<Uint8Array> = {
  signature: Uint8Array.of(0x03, 0x3d),
  least: 1,
  write: writeBytes,
  read: readBytes,
};
/** Nothing, in no bytes. */
export const unit: Schema<undefined> = simple<undefined>(
  0x47,
  0,
  () => {},
  () => undefined,
);
/** A structure without fields. */
export const unitStruct: Schema<undefined> = { ...unit, signature: Uint8Array.of(0xbf) };

function writeBytes(writer: PostcardWriter, value: Uint8Array): void {
  writer.varint(value.length, 32);
  writer.raw(value);
}

function readBytes(reader: PostcardReader): Uint8Array {
  return reader.take(reader.count(1));
}
