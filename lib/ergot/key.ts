/**
 * Keys and names of ergot's sockets. A key is FNV-1a (64 bits) of a path and then of the description of the type that goes by it, so both ends
 * agree on both or do not meet; a name is FNV-1a (32 bits) of a text, with 0 for none. (FNV: draft-eastlake-fnv; the description of types:
 * `schema.ts`.)
 */

const PRIME32 = 0x0100_0193;
const BASIS32 = 0x811c_9dc5;
// The basis of 64 bits in halves. The prime is 2^40 + 0x1b3.
const BASIS64_LOW = 0x8422_2325;
const BASIS64_HIGH = 0xcbf2_9ce4;
const PRIME64_LOW = 0x1b3;

/** Bytes of a key. */
export const KEY_LENGTH = 8;

const encoder = new TextEncoder();

/** A key of 64 bits, in halves: signed, the first four bytes on the wire are `low`, little-endian. Compare both. */
export class Key {
  readonly low: number;
  readonly high: number;

  constructor(low: number, high: number) {
    this.low = low | 0;
    this.high = high | 0;
  }

  /** The key of a path and the description of its type. */
  static of(path: string, signature: Uint8Array): Key {
    let low = BASIS64_LOW;
    let high = BASIS64_HIGH;
    for (const bytes of [encoder.encode(path), signature]) {
      for (const byte of bytes) {
        low = (low ^ byte) >>> 0;
        const product = low * PRIME64_LOW;
        const carry = Math.floor(product / 0x1_0000_0000);
        high = (Math.imul(high, PRIME64_LOW) + carry + (low << 8)) >>> 0;
        low = product >>> 0;
      }
    }
    return new Key(low, high);
  }

  equals(other: Key): boolean {
    return this.low === other.low && this.high === other.high;
  }

  /** Its eight bytes as they are on the wire. */
  bytes(): Uint8Array {
    const view = new DataView(new ArrayBuffer(KEY_LENGTH));
    view.setInt32(0, this.low, true);
    view.setInt32(4, this.high, true);
    return new Uint8Array(view.buffer);
  }

  /** Its bytes as they are on the wire, in hexadecimal: `595266702593fff0`. */
  toString(): string {
    return Array.from(this.bytes(), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
}

/** The hash of a socket's name, signed; never 0, which on the wire says that there is no name. */
export function nameHash(name: string): number {
  let hash: number = BASIS32 | 0;
  for (const byte of encoder.encode(name)) hash = Math.imul(hash ^ byte, PRIME32);
  return hash === 0 ? BASIS32 | 0 : hash;
}
