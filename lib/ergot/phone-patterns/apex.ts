/**
 * Who owns the space, and those at its end: the "apex entity" and the "leaf allocator" of ergot proposal 0146, which names both and describes neither.
 * An apex has children only and asks nobody; a leaf has a parent only, and all its addresses are those of its own sockets.
 */

import type { Device } from '../../core/device.js';
import { UsageError } from '../../core/errors.js';
import type { PhoneBlock, PhoneLinkOptions } from '../phone/link.js';
import { type PhoneProfile, phoneProfile } from '../phone/profile.js';
import type { Translation } from '../translation.js';

/** Options of {@link apexProfile}. */
export interface ApexOptions {
  /** The scope that it owns, 1..32. */
  readonly bits: number;
  /** How much of it to give out, 2^n from 0 on, 1..`bits`: what is kept back can be given to another apex some day. Default: all of it. */
  readonly given?: number;
  /** Own sockets, 2^n of them. Default 2^7, or as many as there are. */
  readonly sockets?: number;
  /** Whether children that allow it get ranges side by side, rather than aligned ones. Default false. */
  readonly packed?: boolean;
  /** Addresses that are multicast, for whoever subscribes. Default: none. */
  readonly groups?: readonly PhoneBlock[];
  /** The ranges of children whose addresses are hard-coded. Default: each child asks. */
  readonly blocks?: (device: Device) => readonly PhoneBlock[];
}

/**
 * Makes the profile of the device at the top of a network: it owns the space, is careful with it, and all its links lead to children.
 *
 * @throws UsageError `ERR_INVALID_OPTION`
 * @example
 * const apex = ergot(apexProfile({ bits: 16, given: 10 }));
 */
export function apexProfile(options: ApexOptions): PhoneProfile {
  const { bits, given = bits, blocks, ...rest } = options;
  const child = (device: Device): PhoneLinkOptions => ({
    kind: 'child',
    ...(blocks === undefined ? {} : { blocks: blocks(device) }),
  });
  // What is kept back is nothing to grow into.
  const all = [{ first: 0, len: bits }];
  return phoneProfile({ ...rest, bits, pool: [{ first: 0, len: given }], ask: all, link: child });
}

/** Options of {@link leafProfile}. */
export interface LeafOptions {
  /** Its scope, all of it own sockets: it has 2^n, 1..16. */
  readonly bits: number;
  /** How its addresses become its parent's. Default `offsetAdd`. */
  readonly translation?: Translation;
}

/**
 * Makes the profile of a device at the end of a network: one link, to its parent, which it asks for just as many addresses as it has sockets.
 *
 * @throws UsageError `ERR_INVALID_OPTION`
 * @example
 * const sensor = ergot(leafProfile({ bits: 4 }));
 */
export function leafProfile(options: LeafOptions): PhoneProfile {
  const { bits, translation } = options;
  const up: PhoneLinkOptions = { kind: 'parent', ...(translation === undefined ? {} : { translation }) };
  const profile: PhoneProfile = phoneProfile({
    bits,
    sockets: bits,
    link({ name }) {
      const [other] = profile.links;
      if (other === undefined) return up;
      throw new UsageError('ERR_INVALID_OPTION', `a leaf has one link, ${other.link.name}, and not ${name} too`);
    },
  });
  return profile;
}
