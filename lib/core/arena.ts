/**
 * The arena: one WebAssembly memory of the process in which frames lie, so that their checksums are computed, and they are copied, by
 * vector instructions where they are.
 *
 * It never grows, and so neither its `ArrayBuffer` nor its address ever changes; memory that nobody has touched costs address space only.
 * Where there is no WebAssembly, or none with vectors, there is no arena; once it is used up, frames lie in ordinary memory. Both work the
 * same, but slower.
 */

import { Slab } from './slab.js';
import { wasmModule } from './wasm-module.js';

interface Memory {
  readonly buffer: ArrayBuffer;
}

/** The functions of the module, see `wasm-sum` and `wasm-sip-hash`. Addresses are offsets in the arena's slab. */
interface Functions {
  sum(at: number, length: number): number;
  copy(from: number, to: number, length: number): number;
  sipHash(at: number, blocks: number): void;
}

// What is used of the engine's; neither the language's library nor Node's types declare it.
declare const WebAssembly:
  | {
      readonly Memory: new (limits: { initial: number; maximum: number }) => Memory;
      readonly Module: new (bytes: Uint8Array) => object;
      readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
    }
  | undefined;

const PAGE = 65_536;
// 64 MiB.
const PAGES = 1024;

/** Longest range, in bytes, that the functions take. */
export const ARENA_LONGEST_RANGE: number = 8 * PAGE;

/** See the module. */
export class Arena {
  /** All of it: a frame's offsets are addresses for {@link Arena.functions}. */
  readonly slab: Slab;
  readonly functions: Functions;
  /** Offset of what is reserved, at the end, in which functions find what they are given, and leave what they make, within one call. */
  readonly scratch: number;
  /** What nobody has, in order; no two of them touch. */
  private readonly free: ArenaPiece[];
  private readonly owners = new FinalizationRegistry<readonly ArenaPiece[]>((pieces) => {
    for (const { at, length } of pieces) this.give(at, length);
  });

  /** @param reserved bytes for {@link Arena.scratch} */
  constructor(memory: Memory, functions: Functions, reserved = 0) {
    this.slab = new Slab(new Uint8Array(memory.buffer));
    this.functions = functions;
    this.scratch = memory.buffer.byteLength - reserved;
    this.free = [{ at: 0, length: this.scratch }];
  }

  /** Makes the pieces that are, or will be, in the list those of `owner`: they are given back some time after it was collected. */
  own(owner: object, pieces: readonly ArenaPiece[]): void {
    this.owners.register(owner, pieces);
  }

  /** Offset of a piece of that many bytes, whose contents are undefined; -1 where there is none left. */
  take(length: number): number {
    const { free } = this;
    const index = free.findIndex((piece) => piece.length >= length);
    const piece = free[index];
    if (piece === undefined) return -1;
    const rest = piece.length - length;
    free.splice(index, 1, ...(rest > 0 ? [{ at: piece.at + length, length: rest }] : []));
    return piece.at;
  }

  /** Gives a piece back, which nobody uses any more. */
  give(at: number, length: number): void {
    const { free } = this;
    const found = free.findIndex((piece) => piece.at > at);
    const index = found < 0 ? free.length : found;
    const before = free[index - 1];
    const after = free[index];
    const joinsBefore = before !== undefined && before.at + before.length === at;
    const joinsAfter = after !== undefined && at + length === after.at;
    const from = joinsBefore ? before.at : at;
    const to = joinsAfter ? after.at + after.length : at + length;
    const first = joinsBefore ? index - 1 : index;
    free.splice(first, Number(joinsBefore) + Number(joinsAfter), { at: from, length: to - from });
  }
}

/** A part of the arena. */
export interface ArenaPiece {
  readonly at: number;
  readonly length: number;
}

function make(): Arena | undefined {
  if (typeof WebAssembly === 'undefined') return undefined;
  try {
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(wasmModule()), { env: { memory } });
    return new Arena(memory, instance.exports as Functions, PAGE);
  } catch {
    // No vectors, or no address space: frames lie in ordinary memory.
    return undefined;
  }
}

/** The arena of this process, or of this worker; `undefined` where there is none. */
export const arena: Arena | undefined = make();
