/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012) in WebAssembly, which has numbers of 64 bits: `sipHash(at, blocks)`. At `at` stand the key, of 16 bytes,
 * and the message in blocks of eight bytes, the last with its length as the algorithm asks for; the hash is written behind them.
 */

import {
  branchIf,
  type Code,
  END,
  get,
  I32Op,
  I64,
  I64Op,
  i32,
  i64,
  load64,
  loop,
  set,
  sized,
  store64,
} from './wasm-code.js';

const AT = 0;
const BLOCKS = 1;
const V = [2, 3, 4, 5] as const;
const BLOCK = 6;
const KEY_LENGTH = 16;
const COMPRESSIONS = 2;
const FINALIZATIONS = 4;

const INITIAL = [0x736f6d6570736575n, 0x646f72616e646f6dn, 0x6c7967656e657261n, 0x7465646279746573n] as const;

/** `to = to + from`, and then `from = (from <<< bits) ^ to`. */
function mix(to: number, from: number, bits: number): Code {
  return [
    ...I64Op.add(get(to), get(from)),
    ...set(to),
    ...I64Op.xor(I64Op.rotateLeft(get(from), i64(bits)), get(to)),
    ...set(from),
  ];
}

const turn = (local: number): Code => [...I64Op.rotateLeft(get(local), i64(32)), ...set(local)];

function round(): Code {
  const [a, b, c, d] = V;
  return [...mix(a, b, 13), ...turn(a), ...mix(c, d, 16), ...mix(a, d, 21), ...mix(c, b, 17), ...turn(c)];
}

const rounds = (count: number): Code => Array.from({ length: count }, round).flat();
const change = (local: number, by: Code): Code => [...I64Op.xor(get(local), by), ...set(local)];

/** See the module. */
export function sipHashBody(): Code {
  const [a, b, c, d] = V;
  const code = [
    ...V.map((local, i) => [...I64Op.xor(load64(get(AT), 8 * (i & 1)), i64(INITIAL[i] ?? 0)), ...set(local)]),
    loop(
      load64(get(AT), KEY_LENGTH),
      set(BLOCK),
      change(d, get(BLOCK)),
      rounds(COMPRESSIONS),
      change(a, get(BLOCK)),
      I32Op.add(get(AT), i32(8)),
      set(AT),
      I32Op.sub(get(BLOCKS), i32(1)),
      set(BLOCKS),
      branchIf(get(BLOCKS), 0),
    ),
    change(c, i64(0xff)),
    rounds(FINALIZATIONS),
    store64(get(AT), I64Op.xor(I64Op.xor(get(a), get(b)), I64Op.xor(get(c), get(d))), KEY_LENGTH),
  ].flat();
  return sized([1, V.length + 1, I64, ...code, ...END]);
}
