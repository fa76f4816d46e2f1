/** `node:crypto` and the global `crypto` of a program: random bytes and numbers are drawn from the simulation; all else, keys too, is Node's. */

import crypto, { webcrypto } from 'node:crypto';
import type { Random } from '../../../lib/core/random.js';

const UUID_LENGTH = 16;

/** What of `node:crypto` is a program's own. */
export interface ProgramChance {
  readonly module: Readonly<Record<string, unknown>>;
  /** The global `crypto`. */
  readonly web: object;
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** RFC 9562 5.4. */
function uuid(random: Random): string {
  const bytes = Buffer.alloc(UUID_LENGTH);
  random.fill(bytes);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** A function that answers at once, or to a callback if it is given one, as Node's do. */
function either<T>(make: (...args: never[]) => T) {
  return (...args: readonly unknown[]): T | undefined => {
    const done = args.at(-1);
    if (typeof done !== 'function') return make(...(args as never[]));
    process.nextTick(done, null, make(...(args.slice(0, -1) as never[])));
    return undefined;
  };
}

export function programChance(random: Random): ProgramChance {
  const fill = <T extends ArrayBufferView>(view: T, offset = 0, size?: number): T => {
    const bytes = bytesOf(view);
    random.fill(bytes.subarray(offset, size === undefined ? bytes.length : offset + size));
    return view;
  };
  const randomInt = (first: number, second?: number): number => {
    const [from, to] = second === undefined ? [0, first] : [first, second];
    return from + Math.floor(random.float() * (to - from));
  };
  const getRandomValues = <T extends ArrayBufferView>(view: T): T => fill(view);
  const randomUUID = () => uuid(random);
  const web = Object.create(webcrypto, {
    getRandomValues: { value: getRandomValues },
    randomUUID: { value: randomUUID },
    subtle: { value: webcrypto.subtle },
  }) as object;
  const module = {
    ...crypto,
    randomBytes: either((size: number) => fill(Buffer.alloc(size))),
    pseudoRandomBytes: either((size: number) => fill(Buffer.alloc(size))),
    randomFillSync: fill,
    randomFill: either(fill),
    randomInt: either(randomInt),
    randomUUID,
    getRandomValues,
    webcrypto: web,
  };
  return { module, web };
}
