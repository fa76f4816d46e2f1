/**
 * Where a device lies in the scopes above it (ergot proposals 0145 and 0146, "Publish new Prefix"): level by level, from its own parent's scope to the
 * widest that anybody has told of. So it can say what its addresses are there, and what they are after it, or one above it, has moved.
 */

import { PhoneAddress } from '../address.js';
import { isScope, scopeSize } from '../address-text.js';
import { offsetAdd, type Translation, wrap } from '../translation.js';
import { type Prefix, type PrefixLevel, PrefixKind } from './messages.js';
import { PhoneUplink } from './uplink.js';

/** There are no more scopes than bits. */
const MAX_LEVELS = 31;
/** A device has few pieces; to look whether many overlap takes their square. */
const MAX_RANGES = 256;

/** What is said of an uplink. */
export function levelOf({ bits, segments, translation }: PhoneUplink): PrefixLevel {
  const ranges = segments.map(({ local, first, len }) => ({ local, address: first, len }));
  return { bits, kind: kindOf(translation), ranges };
}

/** The levels of a published prefix, above a scope of `bits`; none if that is no prefix that its parent could have. */
export function levelsOf({ levels }: Prefix, bits: number): readonly PhoneUplink[] {
  const uplinks: PhoneUplink[] = [];
  let above = bits;
  if (levels.length > MAX_LEVELS) return [];
  for (const level of levels) {
    const uplink = uplinkOf(level);
    if (uplink === undefined || uplink.bits <= above) return [];
    above = uplink.bits;
    uplinks.push(uplink);
  }
  return uplinks;
}

/**
 * What the number `local` of a scope of `from` bits is in the scope of `bits`, by the levels above it; `undefined` if none of them has that
 * scope, or it has no address there that could be known here.
 */
export function locate(
  local: number,
  from: number,
  bits: number,
  levels: readonly PhoneUplink[],
): PhoneAddress | undefined {
  if (bits === from) return new PhoneAddress(local, bits);
  let value = local;
  for (const level of levels) {
    value = level.up(value);
    if (value < 0 || level.bits > bits) return undefined;
    if (level.bits === bits) return new PhoneAddress(value, bits);
  }
  return undefined;
}

/** Stands for the mappings of others' own. */
const unknown: Translation = { name: 'custom', up: () => -1, down: () => -1 };

function kindOf(translation: Translation): number {
  if (translation === offsetAdd) return PrefixKind.OffsetAdd;
  return translation === wrap ? PrefixKind.Wrap : PrefixKind.Custom;
}

function uplinkOf({ bits, kind, ranges }: PrefixLevel): PhoneUplink | undefined {
  const translation = kind === PrefixKind.OffsetAdd ? offsetAdd : kind === PrefixKind.Wrap ? wrap : unknown;
  const segments = ranges.map(({ local, address, len }) => ({ local, first: address, len }));
  if (ranges.length > MAX_RANGES) return undefined;
  if (!isScope(bits) || segments.some(({ first }) => first >= scopeSize(bits))) return undefined;
  try {
    return new PhoneUplink(bits, segments, translation);
  } catch {
    return undefined;
  }
}
