/**
 * What happens to addresses between a subnet and its parent (ergot proposals 0145 and 0146). A subnet of 2^n addresses lies in a range of its
 * parent's scope. Sources are rewritten on the way up, so that each device sees them in its own scope; destinations on the way down, so that
 * no device needs to know where the devices above it lie. What is of a longer scope than a device's own stays as it is and goes up.
 *
 * In an aligned range the local address is the suffix of the parent's. In an unaligned one there are three answers, chosen per subnet:
 *
 *     offset-add (the default)   23^8 in 3A.22^16 is 3A.45^16
 *     wrap                       20^8 in 3A.22^16 is 3B.20^16, 25^8 is 3A.25^16: the suffix stays, inside the range
 *     custom                     a mapping of the user's own
 *
 * The translations work on plain numbers and make nothing, so that they can be used per frame.
 */

import { PhoneAddress } from './address.js';
import type { PhoneRange } from './address-range.js';
import { scopeSize } from './address-text.js';

/** How the addresses of a subnet and those of its range in the parent's scope belong together, one to one. */
export interface Translation {
  readonly name: string;
  /** The parent's number for `local`, 0..2^`length` - 1, of the range that begins at `first`; -1 if there is none. */
  up(local: number, first: number, length: number): number;
  /** The subnet's number for `value`, `first`..`first` + 2^`length` - 1; -1 if there is none. */
  down(value: number, first: number, length: number): number;
}

/** Adds where the range begins: the default, and what the network of proposal 0145 needs. */
export const offsetAdd: Translation = {
  name: 'offset-add',
  up: (local, first) => first + local,
  down: (value, first) => value - first,
};

/** Keeps the suffix, by wrapping around at the end of the range. */
export const wrap: Translation = {
  name: 'wrap',
  up(local, first, length) {
    const size = scopeSize(length);
    const start = first % size;
    return first - start + local + (local < start ? size : 0);
  },
  down: (value, _first, length) => value % scopeSize(length),
};

/** A user's mapping between offsets: 0..2^`length` - 1 inside the range, and the same inside the subnet. */
export interface CustomMapping {
  /** The offset in the range of the local address `local`. */
  up(local: number, length: number): number;
  /** The local address of the offset `offset` in the range. */
  down(offset: number, length: number): number;
}

/**
 * A translation of the user's own. What it maps out of the range, what does not come back as itself, and what it throws at, has no address on
 * the other side: a wrong mapping loses its packets, and nobody else's.
 */
export function customTranslation(mapping: CustomMapping, name = 'custom'): Translation {
  const checked = (there: (n: number, length: number) => number, back: (n: number, length: number) => number) => {
    return (from: number, length: number): number => {
      try {
        const to = there(from, length);
        const sound = Number.isInteger(to) && to >= 0 && to < scopeSize(length) && back(to, length) === from;
        return sound ? to : -1;
      } catch {
        return -1;
      }
    };
  };
  const out = (local: number, length: number) => mapping.up(local, length);
  const back = (offset: number, length: number) => mapping.down(offset, length);
  const up = checked(out, back);
  const down = checked(back, out);
  return {
    name,
    up(local, first, length) {
      const offset = up(local, length);
      return offset < 0 ? -1 : first + offset;
    },
    down: (value, first, length) => down(value - first, length),
  };
}

/** The two addresses of a packet. */
export interface AddressPair {
  readonly source: PhoneAddress;
  readonly destination: PhoneAddress;
}

/** Where a subnet lies in its parent's scope, and how addresses get there and back. Immutable: who moves gets another. */
export class Uplink {
  /** The subnet's range, in the parent's scope. */
  readonly range: PhoneRange;
  readonly translation: Translation;

  constructor(range: PhoneRange, translation: Translation = offsetAdd) {
    this.range = range;
    this.translation = translation;
  }

  /**
   * What the parent calls `local`, an address of the subnet's scope or a shorter one (which counts from the subnet's address 0 on);
   * `undefined` for what is of a longer scope, or what a custom translation does not know.
   */
  up(local: PhoneAddress): PhoneAddress | undefined {
    const { first, length } = this.range;
    if (local.bits > length) return undefined;
    return within(this.translation.up(local.value, first.value, length), first.bits);
  }

  /** What the subnet calls `address` of the parent's scope; `undefined` outside the subnet's range. */
  down(address: PhoneAddress): PhoneAddress | undefined {
    const { range, translation } = this;
    if (!range.contains(address)) return undefined;
    return within(translation.down(address.value, range.first.value, range.length), range.length);
  }

  /** A packet as the parent sees it: its source rewritten. `undefined` if the source is not the subnet's. */
  climb({ source, destination }: AddressPair): AddressPair | undefined {
    const above = this.up(source);
    return above === undefined ? undefined : { source: above, destination };
  }

  /** A packet as the subnet sees it: its destination rewritten. `undefined` if the destination is not the subnet's. */
  descend({ source, destination }: AddressPair): AddressPair | undefined {
    const below = this.down(destination);
    return below === undefined ? undefined : { source, destination: below };
  }
}

function within(value: number, bits: number): PhoneAddress | undefined {
  return value < 0 ? undefined : new PhoneAddress(value, bits);
}
