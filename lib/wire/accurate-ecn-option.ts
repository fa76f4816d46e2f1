/**
 * The option of accurate ECN (RFC 9768 3.2.3): how many bytes of data arrived with which mark, in up to three fields of 24 bits. There are
 * two kinds, 172 and 174, which differ in the order of the fields. Fields may be left out at the end.
 */

/** Fields that the option has at most, and bytes of each. */
export const ACCURATE_FIELDS = 3;
const FIELD = 3;
const NOP = 1;

/** The option of one segment, read in place of the last one or to be written. */
export class AccurateEcnOption {
  /** Its kind, 0 where there is none. */
  kind = 0;
  /** How many fields there are, and these, in the order of the option. */
  count = 0;
  readonly fields: Uint32Array = new Uint32Array(ACCURATE_FIELDS);

  /** Takes in an option of `length` bytes at `at`. Bytes that make no whole field, and more than three, are padding (RFC 9768 3.2.3). */
  read(view: DataView, at: number, kind: number, length: number): void {
    this.kind = kind;
    this.count = Math.min(ACCURATE_FIELDS, Math.floor((length - 2) / FIELD));
    for (let i = 0; i < this.count; i++) {
      const field = at + 2 + FIELD * i;
      this.fields[i] = (view.getUint16(field) << 8) | view.getUint8(field + 2);
    }
  }

  /** Bytes that it takes with NOPs to a multiple of 4, 0 where there is none. */
  get length(): number {
    return this.kind === 0 ? 0 : accurateLength(this.count);
  }

  /** Writes it at `from`, and NOPs behind it; returns where the next option goes. */
  write(view: DataView, from: number): number {
    let at = from + 2;
    view.setUint16(from, (this.kind << 8) | (2 + FIELD * this.count));
    for (let i = 0; i < this.count; i++) {
      const value = this.fields[i] ?? 0;
      view.setUint16(at, value >>> 8);
      view.setUint8(at + 2, value);
      at += FIELD;
    }
    const end = from + this.length;
    while (at < end) view.setUint8(at++, NOP);
    return end;
  }
}

/** Bytes that an option of `count` fields takes, with NOPs to a multiple of 4. */
export function accurateLength(count: number): number {
  return (2 + FIELD * count + 3) & ~3;
}
