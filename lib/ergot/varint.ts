/** Varints of 32 bits as postcard has them, for headers that are written in place: seven bits a byte, lowest first. */

/** Bytes that the varint of 32 bits takes, which count as unsigned: 1 to 5. */
export function varintLength(value: number): number {
  return value === 0 ? 1 : Math.ceil((32 - Math.clz32(value)) / 7);
}

/** Writes the varint of 32 bits, which count as unsigned, and returns where it ends. */
export function writeVarint(bytes: Uint8Array, from: number, value: number): number {
  let at = from;
  let rest = value;
  while (rest >>> 7 !== 0) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}
