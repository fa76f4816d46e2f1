/** The WebAssembly module of the arena: functions over a memory that it imports as `env.memory`. */

import { type Code, I32, name, section, vector } from './wasm-code.js';
import { sipHashBody } from './wasm-sip-hash.js';
import { sumBody } from './wasm-sum.js';

const MAGIC_AND_VERSION = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** Functions, each with its number of parameters and results, of 32 bits all. */
const FUNCTIONS: readonly {
  readonly name: string;
  readonly takes: number;
  readonly gives: number;
  readonly body: Code;
}[] = [
  { name: 'sum', takes: 2, gives: 1, body: sumBody(false) },
  { name: 'copy', takes: 3, gives: 1, body: sumBody(true) },
  { name: 'sipHash', takes: 2, gives: 0, body: sipHashBody() },
];

/** Its bytes. */
export function wasmModule(): Uint8Array {
  const numbers = (count: number): Code => vector(Array.from({ length: count }, () => [I32]));
  return Uint8Array.from([
    ...MAGIC_AND_VERSION,
    ...section(
      1,
      FUNCTIONS.map(({ takes, gives }) => [0x60, ...numbers(takes), ...numbers(gives)]),
    ),
    ...section(2, [[...name('env'), ...name('memory'), 0x02, 0x00, 0x00]]),
    ...section(
      3,
      FUNCTIONS.map((_, i) => [i]),
    ),
    ...section(
      7,
      FUNCTIONS.map((one, i) => [...name(one.name), 0x00, i]),
    ),
    ...section(
      10,
      FUNCTIONS.map(({ body }) => body),
    ),
  ]);
}
