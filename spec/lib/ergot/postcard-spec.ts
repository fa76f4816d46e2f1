import { expect } from 'chai';
import * as fc from 'fast-check';
import { UsageError } from '../../../lib/core/errors.js';
import * as e from '../../../lib/ergot/index.js';
import { anySchema, type Typed } from './any-schema.js';
import { hex, unhex } from './bytes.js';

/** A value and its bytes, both ways. */
function same<T>(schema: e.Schema<T>, value: T, text: string): void {
  expect(hex(e.encode(schema, value))).to.equal(text);
  expect(e.decode(schema, unhex(text))).to.deep.equal({ ok: true, value });
}

function faultOf(schema: e.Schema<unknown>, text: string): string | undefined {
  const decoded = e.decode(schema, unhex(text));
  return decoded.ok ? undefined : decoded.error.code;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof UsageError) return error.code;
    throw error;
  }
  return '';
}

/** As a caller without types writes it. */
function encodeAny(schema: e.Schema<unknown>, value: unknown): Uint8Array {
  return e.encode(schema, value);
}

describe('postcard', () => {
  it('writes bytes and bool as one byte', () => {
    same(e.u8, 255, 'ff');
    same(e.i8, -1, 'ff');
    same(e.i8, -128, '80');
    same(e.bool, true, '01');
    same(e.bool, false, '00');
  });

  it('writes larger integers as varints, the lowest seven bits first', () => {
    same(e.u16, 0, '00');
    same(e.u16, 127, '7f');
    same(e.u16, 128, '8001');
    same(e.u16, 65_535, 'ffff03');
    same(e.u32, 0xffff_ffff, 'ffffffff0f');
    same(e.u64, 0xffff_ffff_ffff_ffffn, 'ffffffffffffffffff01');
    same(e.u128, (1n << 128n) - 1n, `${'ff'.repeat(18)}03`);
    same(e.usize, 300n, 'ac02');
  });

  it('writes signed integers in zig-zag', () => {
    same(e.i16, 0, '00');
    same(e.i16, -1, '01');
    same(e.i16, 1, '02');
    same(e.i16, 63, '7e');
    same(e.i16, -64, '7f');
    same(e.i16, 64, '8001');
    same(e.i16, -65, '8101');
    same(e.i16, 32_767, 'feff03');
    same(e.i16, -32_768, 'ffff03');
    same(e.i32, -0x8000_0000, 'ffffffff0f');
    same(e.i32, 0x7fff_ffff, 'feffffff0f');
    same(e.i64, -(1n << 63n), 'ffffffffffffffffff01');
    same(e.i128, -(1n << 127n), `${'ff'.repeat(18)}03`);
    same(e.isize, -1n, '01');
  });

  it('writes floats little-endian, as they are', () => {
    same(e.f32, -32.005859375, '000600c2');
    same(e.f64, -32.005859375, '00000000c00040c0');
    same(e.f64, 1, '000000000000f03f');
    same(e.f32, Number.NaN, '0000c07f');
    same(e.f64, -0, '0000000000000080');
  });

  it('writes strings, bytes and sequences after their lengths', () => {
    same(e.string, 'héllo', '0668c3a96c6c6f');
    same(e.string, '\ufeff', '03efbbbf');
    same(e.char, 'z', '017a');
    same(e.char, '🦀', '04f09fa680');
    same(e.bytes, Uint8Array.of(1, 2, 3), '03010203');
    same(e.u8Seq, Uint8Array.of(1, 2, 3), '03010203');
    same(e.seq(e.u16), [1, 300], '0201ac02');
    same(e.map(e.u8, e.bool), new Map([[7, true]]), '010701');
  });

  it('writes arrays, tuples, structures and newtypes without lengths, units without bytes', () => {
    same(e.array(e.u16, 2), [1, 300], '01ac02');
    same(e.u8Array(3), Uint8Array.of(1, 2, 3), '010203');
    same(e.tuple(e.u8, e.bool), [7, true], '0701');
    same(e.tupleStruct(e.u8, e.bool), [7, true], '0701');
    same(e.struct({ x: e.u8, y: e.string }), { x: 7, y: 'a' }, '070161');
    same(e.newtype(e.u32), 42, '2a');
    same(e.unit, undefined, '');
    same(e.unitStruct, undefined, '');
  });

  it('writes options and enums by a number and what they hold', () => {
    same(e.option(e.u8), undefined, '00');
    same(e.option(e.u8), 7, '0107');
    const shape = e.enumeration({
      Dot: e.unitVariant,
      Line: e.newtypeVariant(e.u8),
      Box: e.tupleVariant(e.u8, e.u8),
      Named: e.structVariant({ id: e.u32 }),
    });
    same(shape, { kind: 'Dot' }, '00');
    same(shape, { kind: 'Line', value: 5 }, '0105');
    same(shape, { kind: 'Box', value: [1, 2] }, '020102');
    same(shape, { kind: 'Named', value: { id: 300 } }, '03ac02');
    same(e.result(e.u8, e.string), { kind: 'Err', value: 'no' }, '01026e6f');
  });

  it('takes varints that are longer than needed, but no bits beyond their type', () => {
    expect(e.decode(e.u16, unhex('808000'))).to.deep.equal({ ok: true, value: 0 });
    for (const [schema, text] of [
      [e.u16, 'ffff04'],
      [e.u16, '80808000'],
      [e.u32, 'ffffffff10'],
      [e.u32, '808080808000'],
      [e.u64, 'ffffffffffffffffff02'],
      [e.u64, '8080808080808080808000'],
      [e.i128, `${'ff'.repeat(18)}04`],
      [e.seq(e.u8), 'ffffffffff'],
    ] as const) {
      expect(faultOf(schema, text), text).to.equal('ERR_POSTCARD_VARINT');
    }
  });

  it('says what is wrong by a code, and where', () => {
    expect(faultOf(e.bool, '02')).to.equal('ERR_POSTCARD_BOOL');
    expect(faultOf(e.option(e.u8), '0207')).to.equal('ERR_POSTCARD_OPTION');
    expect(faultOf(e.string, '01ff')).to.equal('ERR_POSTCARD_UTF8');
    expect(faultOf(e.string, '03eda080')).to.equal('ERR_POSTCARD_UTF8');
    expect(faultOf(e.char, '00')).to.equal('ERR_POSTCARD_CHAR');
    expect(faultOf(e.char, '026161')).to.equal('ERR_POSTCARD_CHAR');
    expect(faultOf(e.char, '01ff')).to.equal('ERR_POSTCARD_CHAR');
    expect(faultOf(e.result(e.unit, e.unit), '02')).to.equal('ERR_POSTCARD_VARIANT');
    expect(faultOf(e.u8, '0000')).to.equal('ERR_POSTCARD_TRAILING');
    expect(faultOf(e.f64, '00000000000000')).to.equal('ERR_POSTCARD_END');
    const decoded = e.decode(e.tuple(e.u8, e.bool), unhex('ffff0705ffff'), 2, 4);
    expect(decoded.ok ? undefined : [decoded.error.code, decoded.error.offset]).to.deep.equal(['ERR_POSTCARD_BOOL', 2]);
  });

  it('believes no length that there are no bytes for', () => {
    expect(faultOf(e.bytes, 'ffffffff0f01')).to.equal('ERR_POSTCARD_END');
    expect(faultOf(e.string, '0561')).to.equal('ERR_POSTCARD_END');
    expect(faultOf(e.seq(e.u64), 'ffffffff0f01')).to.equal('ERR_POSTCARD_END');
    expect(faultOf(e.seq(e.array(e.u32, 4)), '02010101010101')).to.equal('ERR_POSTCARD_END');
    expect(faultOf(e.map(e.u8, e.u8), '02010101')).to.equal('ERR_POSTCARD_END');
  });

  it('bounds items without bytes, in a whole message', () => {
    const items = e.seq(e.unit);
    expect(e.decode(items, unhex('8020')).ok).to.equal(true);
    expect(faultOf(items, '8120')).to.equal('ERR_POSTCARD_COUNT');
    expect(faultOf(e.seq(items), '0280108110')).to.equal('ERR_POSTCARD_COUNT');
    expect(faultOf(e.map(e.unit, e.unit), 'ffffffff0f')).to.equal('ERR_POSTCARD_COUNT');
  });

  it('refuses to write what the type does not have', () => {
    const bad: readonly (() => unknown)[] = [
      () => e.encode(e.u8, 256),
      () => e.encode(e.u8, 1.5),
      () => e.encode(e.i8, 128),
      () => e.encode(e.u16, -1),
      () => e.encode(e.u32, 2 ** 32),
      () => e.encode(e.i16, 32_768),
      () => e.encode(e.i32, Number.NaN),
      () => e.encode(e.u64, 1n << 64n),
      () => e.encode(e.i64, 1n << 63n),
      () => e.encode(e.u128, -1n),
      () => e.encode(e.char, 'ab'),
      () => e.encode(e.char, ''),
      () => e.encode(e.string, '\ud800'),
      () => e.encode(e.array(e.u8, 2), [1]),
      () => e.encode(e.u8Array(2), new Uint8Array(3)),
      () => encodeAny(e.tuple(e.u8), [1, 2]),
      () => encodeAny(e.enumeration({ A: e.unitVariant }), { kind: 'B' }),
      () => encodeAny(e.bool, 1),
      () => encodeAny(e.u64, 1),
      () => encodeAny(e.f32, '1'),
      () => encodeAny(e.string, 1),
    ];
    for (const run of bad) expect(codeOf(run), String(run)).to.equal('ERR_BAD_MESSAGE');
    expect(codeOf(() => e.encode(e.string, 'abcd', 4))).to.equal('ERR_FRAME_TOO_LARGE');
    expect(e.encode(e.string, 'abcd', 5)).to.have.length(5);
  });

  it('refuses schemas that could not be told apart or kept in order', () => {
    const bad: readonly (() => unknown)[] = [
      () => e.option(e.unit),
      () => e.option(e.newtype(e.option(e.u8))),
      () => e.struct({ 1: e.u8 }),
      () => e.enumeration({}),
      () => e.array(e.u8, -1),
    ];
    for (const run of bad) expect(codeOf(run), String(run)).to.equal('ERR_INVALID_OPTION');
  });

  it('reads what it wrote, for every type', () => {
    const values = (typed: Typed) => fc.tuple(fc.constant(typed.schema), typed.values);
    for (const depth of [0, 1, 2]) {
      fc.assert(
        fc.property(anySchema(depth).chain(values), ([schema, value]) => {
          const message = e.encode(schema, value);
          expect(message.length).to.be.at.least(schema.least);
          expect(e.decode(schema, message)).to.deep.equal({ ok: true, value });
        }),
        { numRuns: 400 },
      );
    }
  });

  it('never throws and never accepts what it would not write again, whatever the bytes', () => {
    fc.assert(
      fc.property(anySchema(2), fc.uint8Array({ maxLength: 64 }), ({ schema }, bytes) => {
        const decoded = e.decode(schema, bytes);
        if (!decoded.ok) return;
        const again = e.decode(schema, e.encode(schema, decoded.value));
        expect(again).to.deep.equal(decoded);
      }),
      { numRuns: 2000 },
    );
  });

  it('finds every truncation of a message', () => {
    fc.assert(
      fc.property(
        anySchema(2).chain((typed) => fc.tuple(fc.constant(typed.schema), typed.values)),
        ([schema, value]) => {
          const message = e.encode(schema, value);
          for (let cut = 0; cut < message.length; cut++) {
            const decoded = e.decode(schema, message, 0, cut);
            expect(decoded.ok ? 'whole' : decoded.error.code).to.equal('ERR_POSTCARD_END');
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
