/** Schemas of enums: one of several variants, each with or without a value. */

import { UsageError } from '../core/errors.js';
import type { PostcardReader } from './postcard-reader.js';
import type { PostcardWriter } from './postcard-writer.js';
import type { Infer, Schema } from './schema.js';
import { describe, type Fields, inOrder, type Struct, structOf, type Tuple, tupleOf } from './schema-compound.js';

// Tags of postcard-schema.
const ENUM = 0xe9;
const UNIT_VARIANT = 0xb5;
const NEWTYPE_VARIANT = 0xdf;
const TUPLE_VARIANT = 0xc7;
const STRUCT_VARIANT = 0x67;

/** What a variant holds; its description has the tag of a variant. Made by {@link unitVariant} and its like. */
export interface Variant<T> extends Schema<T> {
  readonly variant: true;
}

/** Variants by their names, in the order of their numbers. */
export type Variants = Readonly<Record<string, Variant<unknown>>>;

/** A value of an enum: `kind` is the variant's name, `value` what it holds, where it holds anything. */
export type EnumValue<V extends Variants> = {
  readonly [Name in keyof V]: Infer<V[Name]> extends undefined
    ? { readonly kind: Name; readonly value?: undefined }
    : { readonly kind: Name; readonly value: Infer<V[Name]> };
}[keyof V];

/** A variant that holds nothing. */
export const unitVariant: Variant<undefined> = {
  variant: true,
  signature: Uint8Array.of(UNIT_VARIANT),
  least: 0,
  write: () => {},
  read: () => undefined,
};

/** A variant that holds one value. */
export function newtypeVariant<T>(value: Schema<T>): Variant<T> {
  return {
    variant: true,
    signature: describe(NEWTYPE_VARIANT, value.signature),
    least: value.least,
    write: (writer, held) => value.write(writer, held),
    read: (reader) => value.read(reader),
  };
}

/** A variant that holds several values without names. */
export function tupleVariant<const T extends readonly Schema<unknown>[]>(...items: T): Variant<Tuple<T>> {
  return { ...tupleOf(items, TUPLE_VARIANT), variant: true };
}

/** A variant that holds several values with names. */
export function structVariant<F extends Fields>(fields: F): Variant<Struct<F>> {
  return { ...structOf(fields, STRUCT_VARIANT), variant: true };
}

/**
 * One of several variants.
 *
 * @throws UsageError `ERR_INVALID_OPTION` for no variant, or a name that is a number
 */
export function enumeration<V extends Variants>(variants: V): Schema<EnumValue<V>> {
  const entries = inOrder(variants);
  if (entries.length === 0) throw new UsageError('ERR_INVALID_OPTION', 'an enum without variants');
  const numbers = new Map(entries.map(([name], number) => [name, number]));
  return {
    signature: describe(ENUM, ...entries.flatMap(([name, variant]) => [name, variant.signature])),
    least: 1 + Math.min(...entries.map(([, variant]) => variant.least)),
    write(writer: PostcardWriter, chosen: EnumValue<V>) {
      const number = numbers.get(String(chosen.kind)) ?? -1;
      const variant = entries[number]?.[1];
      if (variant === undefined) throw new UsageError('ERR_BAD_MESSAGE', `no variant '${String(chosen.kind)}'`);
      writer.varint(number, 32);
      variant.write(writer, chosen.value);
    },
    read(reader: PostcardReader) {
      const [kind, variant] = entries[reader.varint(32)] ?? [];
      if (kind === undefined || variant === undefined) {
        reader.fail('ERR_POSTCARD_VARIANT');
        return { kind: entries[0]?.[0] } as EnumValue<V>;
      }
      const value = variant.read(reader);
      return (value === undefined ? { kind } : { kind, value }) as EnumValue<V>;
    },
  };
}

/** What went well or did not, as endpoints answer it: variants `Ok` and `Err`. */
export function result<T, E>(
  ok: Schema<T>,
  err: Schema<E>,
): Schema<EnumValue<{ readonly Ok: Variant<T>; readonly Err: Variant<E> }>> {
  return enumeration({ Ok: newtypeVariant(ok), Err: newtypeVariant(err) });
}
