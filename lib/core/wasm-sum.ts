/**
 * Two functions of WebAssembly: `sum(at, length)`, the ones' complement sum of 16-bit big-endian words (RFC 1071), and `copy(from, to, length)`,
 * which copies the bytes on the way; the ranges must not overlap. Both take at most 512 KiB, so that no lane overflows.
 *
 * Sixteen bytes at a time are added as eight little-endian words, pair by pair, to four lanes of 32 bits: the sum of swapped words is the
 * swapped sum (RFC 1071 2.B), so that one swap at the end does for all.
 */

import {
  binary,
  block,
  branch,
  branchIf,
  type Code,
  END,
  extend,
  get,
  I32Op,
  I64,
  I64Op,
  i32,
  i64,
  loop,
  set,
  sized,
  V128,
  when,
  wrap,
} from './wasm-code.js';

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

/** `sum(at, length)`, or `copy(from, to, length)`. */
export function sumBody(copies: boolean): Code {
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
