/** Comparing headers. */

/** Whether `length` bytes of two packets, a multiple of four, are the same. */
export function sameWords(one: DataView, at: number, other: DataView, otherAt: number, length: number): boolean {
  for (let i = 0; i < length; i += 4) {
    if (one.getInt32(at + i) !== other.getInt32(otherAt + i)) return false;
  }
  return true;
}
