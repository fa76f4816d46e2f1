/** Schemas of types with parts: options, sequences, arrays, maps, tuples and structures. */

import { UsageError } from '../core/errors.js';
import type { PostcardReader } from './postcard-reader.js';
import type { PostcardWriter } from './postcard-writer.js';
import { type Infer, type Schema, u8 } from './schema.js';

// Tags of postcard-schema.
const OPTION = 0x6d;
const NEWTYPE_STRUCT = 0x9d;
const SEQ = 0x03;
const TUPLE = 0xa7;
const TUPLE_STRUCT = 0x05;
const MAP = 0x4f;
const STRUCT = 0x7f;
const UNIT = 0x47;
const UNIT_STRUCT = 0xbf;

/** Schemas by the names of fields, in the order in which they are written. */
export type Fields = Readonly<Record<string, Schema<unknown>>>;
/** The values of {@link Fields}. */
export type Struct<F extends Fields> = { readonly [Name in keyof F]: Infer<F[Name]> };
/** The values of a list of schemas. */
export type Tuple<T extends readonly Schema<unknown>[]> = { readonly [Index in keyof T]: Infer<T[Index]> };

const encoder = new TextEncoder();

/** Descriptions one after the other. */
export function describe(...parts: readonly (number | string | Uint8Array)[]): Uint8Array {
  const out: number[] = [];
  for (const part of parts) {
    if (typeof part === 'number') out.push(part);
    else for (const byte of typeof part === 'string' ? encoder.encode(part) : part) out.push(byte);
  }
  return Uint8Array.from(out);
}

/**
 * Names and what they stand for, in order.
 *
 * @throws UsageError `ERR_INVALID_OPTION` for a name that JavaScript would put before others: a number
 */
export function inOrder<T>(named: Readonly<Record<string, T>>): readonly (readonly [string, T])[] {
  for (const name of Object.keys(named)) {
    if (/^\d*$/.test(name)) throw new UsageError('ERR_INVALID_OPTION', `'${name}' is no name of a field or variant`);
  }
  return Object.entries(named);
}

/**
 * A value or `undefined`.
 *
 * @throws UsageError `ERR_INVALID_OPTION` for an option of what may be `undefined` itself: an option, a unit
 */
export function option<T>(value: Schema<T>): Schema<T | undefined> {
  const kind = value.signature.find((tag) => tag !== NEWTYPE_STRUCT) ?? 0;
  if (kind === OPTION || kind === UNIT || kind === UNIT_STRUCT) {
    throw new UsageError('ERR_INVALID_OPTION', 'an option of what may be undefined');
  }
  return {
    signature: describe(OPTION, value.signature),
    least: 1,
    write(writer, some) {
      writer.u8(some === undefined ? 0 : 1);
      if (some !== undefined) value.write(writer, some);
    },
    read: (reader) => (reader.some() ? value.read(reader) : undefined),
  };
}

/** A structure of one field without a name: its value is that field's. */
export function newtype<T>(value: Schema<T>): Schema<T> {
  return { ...value, signature: describe(NEWTYPE_STRUCT, value.signature) };
}

/** Any number of items. */
export function seq<T>(item: Schema<T>): Schema<readonly T[]> {
  return {
    signature: describe(SEQ, item.signature),
    least: 1,
    write(writer, items) {
      writer.varint(items.length, 32);
      for (const each of items) item.write(writer, each);
    },
    read: (reader) => readItems(reader, item, reader.count(item.least)),
  };
}

/** An array of a fixed number of items: a tuple of so many. */
export function array<T>(item: Schema<T>, length: number): Schema<readonly T[]> {
  return {
    signature: describe(TUPLE, ...repeated(item.signature, length)),
    least: item.least * length,
    write(writer, items) {
      expectLength(items.length, length);
      for (const each of items) item.write(writer, each);
    },
    read: (reader) => readItems(reader, item, length),
  };
}

/** An array of a fixed number of `u8`, as bytes. */
export function u8Array(length: number): Schema<Uint8Array> {
  return {
    signature: describe(TUPLE, ...repeated(u8.signature, length)),
    least: length,
    write(writer, value) {
      expectLength(value.length, length);
      writer.raw(value);
    },
    read: (reader) => reader.take(length),
  };
}

/** Values by their keys, in the order in which they came. */
export function map<K, V>(key: Schema<K>, value: Schema<V>): Schema<ReadonlyMap<K, V>> {
  return {
    signature: describe(MAP, key.signature, value.signature),
    least: 1,
    write(writer, entries) {
      writer.varint(entries.size, 32);
      for (const [one, other] of entries) {
        key.write(writer, one);
        value.write(writer, other);
      }
    },
    read(reader) {
      const out = new Map<K, V>();
      const count = reader.count(key.least + value.least);
      for (let i = 0; i < count && reader.fault === undefined; i++) {
        const one = key.read(reader);
        out.set(one, value.read(reader));
      }
      return out;
    },
  };
}

/** Values of several types, in order. */
export function tuple<const T extends readonly Schema<unknown>[]>(...items: T): Schema<Tuple<T>> {
  return tupleOf(items, TUPLE);
}

/** A structure whose fields have no names. */
export function tupleStruct<const T extends readonly Schema<unknown>[]>(...items: T): Schema<Tuple<T>> {
  return tupleOf(items, TUPLE_STRUCT);
}

/** A structure with named fields. */
export function struct<F extends Fields>(fields: F): Schema<Struct<F>> {
  return structOf(fields, STRUCT);
}

/** {@link tuple} under the tag of a tuple, a structure or a variant. */
export function tupleOf<T extends readonly Schema<unknown>[]>(items: T, tag: number): Schema<Tuple<T>> {
  return {
    signature: describe(tag, ...items.map((item) => item.signature)),
    least: leastOf(items),
    write(writer: PostcardWriter, values: Tuple<T>) {
      expectLength(values.length, items.length);
      items.forEach((item, i) => item.write(writer, values[i]));
    },
    read: (reader: PostcardReader) => items.map((item) => item.read(reader)) as unknown as Tuple<T>,
  };
}

/** {@link struct} under the tag of a structure or a variant. */
export function structOf<F extends Fields>(fields: F, tag: number): Schema<Struct<F>> {
  const entries = inOrder(fields);
  return {
    signature: describe(tag, ...entries.flatMap(([name, field]) => [name, field.signature])),
    least: leastOf(entries.map(([, field]) => field)),
    write(writer: PostcardWriter, value: Struct<F>) {
      for (const [name, field] of entries) field.write(writer, value[name]);
    },
    read(reader: PostcardReader) {
      return Object.fromEntries(entries.map(([name, field]) => [name, field.read(reader)])) as Struct<F>;
    },
  };
}

function leastOf(parts: readonly Schema<unknown>[]): number {
  return parts.reduce((sum, part) => sum + part.least, 0);
}

function repeated(signature: Uint8Array, length: number): readonly Uint8Array[] {
  if (!Number.isInteger(length) || length < 0) {
    throw new UsageError('ERR_INVALID_OPTION', `${length} is no number of items`);
  }
  return Array.from({ length }, () => signature);
}

function expectLength(length: number, wanted: number): void {
  if (length !== wanted) throw new UsageError('ERR_BAD_MESSAGE', `${length} items where ${wanted} belong`);
}

function readItems<T>(reader: PostcardReader, item: Schema<T>, count: number): readonly T[] {
  const out: T[] = [];
  for (let i = 0; i < count && reader.fault === undefined; i++) out.push(item.read(reader));
  return out;
}
