/**
 * WebAssembly, put together instruction by instruction, as its specification (5.4) numbers them: what the functions of the arena are written with.
 */

/** Bytes of instructions. */
export type Code = readonly number[];

export const I32 = 0x7f;
export const I64 = 0x7e;
export const V128 = 0x7b;
const VOID = 0x40;

/** Bytes in LEB128, signed, as constants are, and unsigned, as counts are. */
function signed(value: number | bigint): Code {
  const out: number[] = [];
  let left = BigInt(value);
  for (;;) {
    const low = Number(left & 0x7fn);
    left >>= 7n;
    if ((left === 0n && low < 0x40) || (left === -1n && low >= 0x40)) return [...out, low];
    out.push(low | 0x80);
  }
}

function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

export const get = (local: number): Code => [0x20, local];
export const set = (local: number): Code => [0x21, local];
export const i32 = (value: number): Code => [0x41, ...signed(value)];
/** The value is taken modulo 2^64. */
export const i64 = (value: number | bigint): Code => [0x42, ...signed(BigInt.asIntN(64, BigInt(value)))];
export const END: Code = [0x0b];
export const block = (...body: readonly Code[]): Code => [0x02, VOID, ...body.flat(), ...END];
export const loop = (...body: readonly Code[]): Code => [0x03, VOID, ...body.flat(), ...END];
export const when = (condition: Code, ...body: readonly Code[]): Code => [
  ...condition,
  0x04,
  VOID,
  ...body.flat(),
  ...END,
];
export const branch = (depth: number): Code => [0x0c, depth];
export const branchIf = (condition: Code, depth: number): Code => [...condition, 0x0d, depth];

/** An instruction of two operands. */
export type Binary = (left: Code, right: Code) => Code;

export const binary =
  (...operation: Code): Binary =>
  (left, right) => [...left, ...right, ...operation];
export const I32Op: Readonly<
  Record<'lessUnsigned' | 'add' | 'sub' | 'and' | 'or' | 'shiftLeft' | 'shiftRight', Binary>
> = {
  lessUnsigned: binary(0x49),
  add: binary(0x6a),
  sub: binary(0x6b),
  and: binary(0x71),
  or: binary(0x72),
  shiftLeft: binary(0x74),
  shiftRight: binary(0x76),
};
export const I64Op: Readonly<Record<'add' | 'and' | 'xor' | 'shiftRight' | 'rotateLeft', Binary>> = {
  add: binary(0x7c),
  and: binary(0x83),
  xor: binary(0x85),
  shiftRight: binary(0x88),
  rotateLeft: binary(0x89),
};
/** The low 32 bits of 64. */
export const wrap = (value: Code): Code => [...value, 0xa7];
export const extend = (value: Code): Code => [...value, 0xad];
/** Of 64 bits, without alignment. */
export const load64 = (address: Code, offset: number): Code => [...address, 0x29, 0, offset];
export const store64 = (address: Code, value: Code, offset: number): Code => [...address, ...value, 0x37, 0, offset];

/** A list with its length in front; and so are the bytes of a part. */
export function sized(bytes: Code): Code {
  return [...unsigned(bytes.length), ...bytes];
}

export function vector(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

export function name(text: string): Code {
  return sized(Array.from(text, (letter) => letter.charCodeAt(0)));
}

export const section = (id: number, items: readonly Code[]): Code => [id, ...sized(vector(items))];
