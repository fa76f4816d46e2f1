/**
 * Sequence numbers (RFC 9293 3.4): arithmetic modulo 2^32.
 *
 * Inside this stack they are *signed* 32-bit integers, because those are small integers to the engine whereas an unsigned one
 * over 2^31 would be a boxed double; the wire codec takes either. All operations are right for any pair less than 2^31 apart.
 */

/** Whether `a` comes before `b`. */
export function before(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

/** Whether `a` comes after `b`. */
export function after(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

/**
 * Whether `seq` is one of `first` to `last`. So what is in flight is compared with a place that was noted at some time and is not moved along:
 * once it was passed by 2^31 and more it seems to come {@link after} all of it.
 */
export function isBetween(seq: number, first: number, last: number): boolean {
  return ((seq - first) | 0) >= 0 && ((last - seq) | 0) >= 0;
}

/** The later of two. */
export function latest(a: number, b: number): number {
  return ((a - b) | 0) > 0 ? a : b;
}
