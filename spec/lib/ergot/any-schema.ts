/** Arbitrary schemas, each with arbitrary values of its type. */

import * as fc from 'fast-check';
import * as e from '../../../lib/ergot/index.js';

export interface Typed {
  readonly schema: e.Schema<unknown>;
  readonly values: fc.Arbitrary<unknown>;
}

const typed = <T>(schema: e.Schema<T>, values: fc.Arbitrary<T>): Typed => ({ schema, values });

const big = (bits: bigint, signed: boolean) =>
  signed
    ? fc.bigInt({ min: -(1n << (bits - 1n)), max: (1n << (bits - 1n)) - 1n })
    : fc.bigInt({ min: 0n, max: (1n << bits) - 1n });
const bytes = (length?: number) => fc.uint8Array(length === undefined ? {} : { minLength: length, maxLength: length });

/** All types without parts. */
export const simpleTypes: readonly Typed[] = [
  typed(e.bool, fc.boolean()),
  typed(e.u8, fc.integer({ min: 0, max: 255 })),
  typed(e.i8, fc.integer({ min: -128, max: 127 })),
  typed(e.u16, fc.integer({ min: 0, max: 65_535 })),
  typed(e.i16, fc.integer({ min: -32_768, max: 32_767 })),
  typed(e.u32, fc.integer({ min: 0, max: 0xffff_ffff })),
  typed(e.i32, fc.integer()),
  typed(e.u64, big(64n, false)),
  typed(e.i64, big(64n, true)),
  typed(e.u128, big(128n, false)),
  typed(e.i128, big(128n, true)),
  typed(e.usize, big(64n, false)),
  typed(e.isize, big(64n, true)),
  typed(e.f32, fc.float()),
  typed(e.f64, fc.double()),
  typed(e.char, fc.string({ unit: 'binary', minLength: 1, maxLength: 1 })),
  typed(e.string, fc.string({ unit: 'binary' })),
  typed(e.bytes, bytes()),
  typed(e.u8Seq, bytes()),
  typed(e.unit, fc.constant(undefined)),
  typed(e.unitStruct, fc.constant(undefined)),
];

const names = ['a', 'Beta', 'c_3'];

function enumOf(parts: readonly Typed[]): Typed {
  const [one = typed(e.u8, fc.constant(1)), two = one] = parts;
  const schema = e.enumeration({
    None: e.unitVariant,
    One: e.newtypeVariant(one.schema),
    Both: e.tupleVariant(one.schema, two.schema),
    Named: e.structVariant({ one: one.schema, two: two.schema }),
  });
  const held = (kind: string, value: fc.Arbitrary<unknown>) =>
    value.map((some) => (some === undefined ? { kind } : { kind, value: some }));
  const values = fc.oneof(
    fc.constant({ kind: 'None' }),
    held('One', one.values),
    held('Both', fc.tuple(one.values, two.values)),
    held('Named', fc.record({ one: one.values, two: two.values }, { noNullPrototype: true })),
  );
  return { schema, values };
}

function compound(parts: readonly Typed[], choice: number): Typed {
  const [one = typed(e.u8, fc.constant(1))] = parts;
  const schemas = parts.map((part) => part.schema);
  const tuples = fc.tuple(...parts.map((part) => part.values));
  const fields = Object.fromEntries(parts.map((part, i) => [names[i] ?? `f${i}`, part]));
  switch (choice) {
    case 0:
      return typed(e.option(e.u16), fc.option(fc.integer({ min: 0, max: 65_535 }), { nil: undefined }));
    case 1:
      return typed(e.newtype(one.schema), one.values);
    case 2:
      return typed(e.seq(one.schema), fc.array(one.values, { maxLength: 8 }));
    case 3:
      return typed(e.array(one.schema, 3), fc.array(one.values, { minLength: 3, maxLength: 3 }));
    case 4:
      return typed(e.tuple(...schemas), tuples);
    case 5:
      return typed(e.tupleStruct(...schemas), tuples);
    case 6:
      return {
        schema: e.struct(Object.fromEntries(Object.entries(fields).map(([name, part]) => [name, part.schema]))),
        values: fc.record(Object.fromEntries(Object.entries(fields).map(([name, part]) => [name, part.values])), {
          noNullPrototype: true,
        }),
      };
    case 7:
      return typed(
        e.map(e.string, one.schema),
        fc.array(fc.tuple(fc.string(), one.values), { maxLength: 5 }).map((entries) => new Map(entries)),
      );
    case 8:
      return typed(e.u8Array(5), bytes(5));
    default:
      return enumOf(parts);
  }
}

/** Schemas of up to `depth` levels of parts. */
export function anySchema(depth: number): fc.Arbitrary<Typed> {
  if (depth === 0) return fc.constantFrom(...simpleTypes);
  return fc
    .tuple(fc.array(anySchema(depth - 1), { minLength: 1, maxLength: 3 }), fc.nat(9))
    .map(([parts, choice]) => compound(parts, choice));
}
