/**
 * A WebAssembly module of two functions over a memory that it imports: `sum(at, length)`, the ones' complement sum of 16-bit big-endian
 * words (RFC 1071), and `copy(from, to, length)`, which copies the bytes on the way; the ranges must not overlap. Both take at most
 * 512 KiB, so that no lane overflows.
 *
 * It is put together here, instruction by instruction, as the WebAssembly specification (5.4, and its vector instructions) numbers them.
 * Sixteen bytes at a time are added as eight little-endian words, pair by pair, to four lanes of 32 bits: the sum of swapped words is the
 * swapped sum (RFC 1071 2.B), so that one swap at the end does for all.
 */

type Code = readonly number[];

const MAGIC_AND_VERSION = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const I32 = 0x7f;
const I64 = 0x7e;
const V128 = 0x7b;
const VOID = 0x40;

/** Bytes in LEB128, signed, as constants are, and unsigned, as counts are. */
function signed(value: number): Code {
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

const get = (local: number): Code => [0x20, local];
const set = (local: number): Code => [0x21, local];
const i32 = (value: number): Code => [0x41, ...signed(value)];
const i64 = (value: number): Code => [0x42, ...signed(value)];
const END: Code = [0x0b];
const block = (...body: readonly Code[]): Code => [0x02, VOID, ...body.flat(), ...END];
const loop = (...body: readonly Code[]): Code => [0x03, VOID, ...body.flat(), ...END];
const when = (condition: Code, ...body: readonly Code[]): Code => [...condition, 0x04, VOID, ...body.flat(), ...END];
const branch = (depth: number): Code => [0x0c, depth];
const branchIf = (condition: Code, depth: number): Code => [...condition, 0x0d, depth];

const binary =
  (...operation: Code) =>
  (left: Code, right: Code): Code => [...left, ...right, ...operation];
const I32Op = {
  lessUnsigned: binary(0x49),
  add: binary(0x6a),
  sub: binary(0x6b),
  and: binary(0x71),
  or: binary(0x72),
  shiftLeft: binary(0x74),
  shiftRight: binary(0x76),
};
const I64Op = { add: binary(0x7c), and: binary(0x83), shiftRight: binary(0x88) };
const wrap = (value: Code): Code => [...value, 0xa7];
const extend = (value: Code): Code => [...value, 0xad];

// Behind the prefix 0xfd; loads and stores with their alignment (none) and offset.
const vectorLoad = (address: Code, offset: number): Code => [...address, 0xfd, 0x00, 0, offset];
const vectorStore = (address: Code, value: Code, offset: number): Code => [...address, ...value, 0xfd, 0x0b, 0, offset];
const lane = (value: Code, index: number): Code => [...value, 0xfd, 0x1b, index];
const pairwiseWords = (value: Code): Code => [...value, 0xfd, 0x7f];
const vectorAdd = binary(0xfd, 0xae, 0x01);

/** Sizes of the tail, with the instructions that load them into 64 bits and store them. */
const TAIL = [
  { size: 8, load: 0x29, store: 0x37 },
  { size: 4, load: 0x35, store: 0x3e },
  { size: 2, load: 0x33, store: 0x3d },
  { size: 1, load: 0x31, store: 0x3c },
] as const;

/** The locals of a function: parameters, then four vectors of sums, two numbers, and the vector at hand. */
class Locals {
  readonly from = 0;
  readonly to: number | undefined;
  readonly length: number;
  readonly sums: readonly [number, number, number, number];
  readonly word: number;
  readonly total: number;
  readonly vector: number;

  constructor(copies: boolean) {
    this.to = copies ? 1 : undefined;
    this.length = copies ? 2 : 1;
    const first = this.length + 1;
    this.sums = [first, first + 1, first + 2, first + 3];
    this.word = first + 4;
    this.total = first + 5;
    this.vector = first + 6;
  }

  advance(bytes: number): Code {
    const move = (local: number): Code => [...I32Op.add(get(local), i32(bytes)), ...set(local)];
    return [...move(this.from), ...(this.to === undefined ? [] : move(this.to))];
  }
}

/** Adds the sixteen bytes at an offset to a vector of sums. */
function addVector(locals: Locals, sums: number, offset: number): Code {
  const { from, to, vector } = locals;
  return [
    ...vectorLoad(get(from), offset),
    ...set(vector),
    ...(to === undefined ? [] : vectorStore(get(to), get(vector), offset)),
    ...vectorAdd(pairwiseWords(get(vector)), get(sums)),
    ...set(sums),
  ];
}

/** Repeats `body` as long as `bytes` of them are left. */
function whileLeft(locals: Locals, bytes: number, body: Code): Code {
  const { length } = locals;
  return block(
    loop(
      branchIf(I32Op.lessUnsigned(get(length), i32(bytes)), 1),
      body,
      locals.advance(bytes),
      I32Op.sub(get(length), i32(bytes)),
      set(length),
      branch(0),
    ),
  );
}

function addToTotal(locals: Locals, value: Code): Code {
  return [...I64Op.add(get(locals.total), value), ...set(locals.total)];
}

function addTail(locals: Locals, { size, load, store }: (typeof TAIL)[number]): Code {
  const { from, to, word } = locals;
  return when(
    I32Op.and(get(locals.length), i32(size)),
    [...get(from), load, 0, 0, ...set(word)],
    to === undefined ? [] : [...get(to), ...get(word), store, 0, 0],
    addToTotal(locals, I64Op.and(get(word), i64(0xffff_ffff))),
    addToTotal(locals, I64Op.shiftRight(get(word), i64(32))),
    locals.advance(size),
  );
}

function foldTotal({ total }: Locals, bits: 16 | 32): Code {
  const low = I64Op.and(get(total), i64(2 ** bits - 1));
  return [...I64Op.add(low, I64Op.shiftRight(get(total), i64(bits))), ...set(total)];
}

function body(copies: boolean): Code {
  const locals = new Locals(copies);
  const { sums, total, word } = locals;
  const [a, b, c, d] = sums;
  const swapped = wrap(get(total));
  const code = [
    whileLeft(locals, 64, [a, b, c, d].map((sum, i) => addVector(locals, sum, 16 * i)).flat()),
    whileLeft(locals, 16, addVector(locals, a, 0)),
    vectorAdd(vectorAdd(get(a), get(b)), vectorAdd(get(c), get(d))),
    set(a),
    ...[0, 1, 2, 3].map((i) => addToTotal(locals, extend(lane(get(a), i)))),
    ...TAIL.map((tail) => addTail(locals, tail)),
    foldTotal(locals, 32),
    ...[1, 2, 3].map(() => foldTotal(locals, 16)),
    I32Op.or(
      I32Op.and(I32Op.shiftLeft(swapped, i32(8)), i32(0xff00)),
      I32Op.and(I32Op.shiftRight(swapped, i32(8)), i32(0xff)),
    ),
  ].flat();
  const declarations = [3, sums.length, V128, total - word + 1, I64, 1, V128];
  return sized([...declarations, ...code, ...END]);
}

function sized(bytes: Code): Code {
  return [...unsigned(bytes.length), ...bytes];
}

function vector(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function name(text: string): Code {
  return sized(Array.from(text, (letter) => letter.charCodeAt(0)));
}

const section = (id: number, items: readonly Code[]): Code => [id, ...sized(vector(items))];

/** The module. It imports its memory as `env.memory`. */
export function wasmSumModule(): Uint8Array {
  const type = (parameters: number): Code => [0x60, ...vector(Array.from({ length: parameters }, () => [I32])), 1, I32];
  return Uint8Array.from([
    ...MAGIC_AND_VERSION,
    ...section(1, [type(2), type(3)]),
    ...section(2, [[...name('env'), ...name('memory'), 0x02, 0x00, 0x00]]),
    ...section(3, [[0], [1]]),
    ...section(7, [
      [...name('sum'), 0x00, 0],
      [...name('copy'), 0x00, 1],
    ]),
    ...section(10, [body(false), body(true)]),
  ]);
}
