/**
 * The parts of a device's scope that have, or need, a place with its parent. A device that grew often has more than one request may ask for; those that
 * lie side by side, as most do, are asked for as one then.
 */

import { scopeSize } from '../address-text.js';
import { MAX_ALLOCS } from '../allocator-pool.js';
import type { PhoneBlock } from './link.js';

/** The pieces as they are asked for, in one request if they can be: others that hold the same numbers, where they are too many. */
export function asAsked(pieces: readonly PhoneBlock[]): readonly PhoneBlock[] {
  return pieces.length <= MAX_ALLOCS ? pieces : joined(pieces);
}

/** The two halves of an aligned range are one, wherever both are there. */
function joined(pieces: readonly PhoneBlock[]): readonly PhoneBlock[] {
  const made: PhoneBlock[] = [];
  for (const piece of [...pieces].sort((one, other) => one.first - other.first)) {
    let last = piece;
    for (let before = made.at(-1); before !== undefined && areHalves(before, last); before = made.at(-1)) {
      last = { first: before.first, len: last.len + 1 };
      made.pop();
    }
    made.push(last);
  }
  return made;
}

function areHalves(low: PhoneBlock, high: PhoneBlock): boolean {
  const size = scopeSize(low.len);
  return low.len === high.len && low.first + size === high.first && low.first % (2 * size) === 0;
}
