/** What a device with phone-number addresses is made of, and what may be wrong with that. */

import type { Device } from '../../core/device.js';
import { UsageError } from '../../core/errors.js';
import { isScope, scopeSize } from '../address-text.js';
import type { LinkKind } from '../routing.js';
import type { PhoneBlock, PhoneLinkOptions } from './link.js';

/** Own sockets have as many addresses, 2^7, where nothing else is said and the scope has them. */
export const DEFAULT_SOCKETS = 7;
/** Ports are 16-bit numbers to a net stack. */
const MOST_SOCKETS = 16;

/** Options of `phoneProfile`. */
export interface PhoneOptions {
  /** The device's scope: it and all below it have addresses of so many bits, 1..32. */
  readonly bits: number;
  /** The addresses of own sockets: how many, 2^n from 0 on, or which. Default 2^7, or as many as there are. */
  readonly sockets?: number | PhoneBlock;
  /**
   * What there is to give out to children, own sockets among it. Default: the whole scope. With less, and a parent to ask, it grows: what the parent
   * gives is put into what the scope has left.
   */
  readonly pool?: readonly PhoneBlock[];
  /** Whether children that allow it get ranges that begin anywhere, side by side, rather than aligned ones. Default false. */
  readonly packed?: boolean;
  /** The parts of the scope that need a place in the parent's, each a range there. Default: `pool`. */
  readonly ask?: readonly PhoneBlock[];
  /** Addresses of the scope that are multicast: whoever subscribes has what is sent there. Children are given more on request. Default: none. */
  readonly groups?: readonly PhoneBlock[];
  /** How much to ask the parent for at least when the pool runs short: 2^n. Default: as much as is needed. */
  readonly growBy?: number;
  /** What is at the other end of a link. Default: a child. */
  readonly link?: (device: Device) => LinkKind | PhoneLinkOptions;
}

/** Options with nothing left open. */
export interface PhoneSettings {
  readonly bits: number;
  readonly sockets: PhoneBlock;
  readonly pool: readonly PhoneBlock[];
  readonly ask: readonly PhoneBlock[];
  readonly groups: readonly PhoneBlock[];
  readonly packed: boolean;
  readonly growBy: number;
  readonly link: (device: Device) => PhoneLinkOptions;
}

function bad(what: string): never {
  throw new UsageError('ERR_INVALID_OPTION', what);
}

/** @throws UsageError `ERR_INVALID_OPTION` */
export function phoneSettings(options: PhoneOptions): PhoneSettings {
  const { bits, packed = false, growBy = 1, link = () => 'child' } = options;
  if (!isScope(bits)) bad(`^${bits} is no scope: it must be within ^1..^32`);
  if (!isScope(growBy)) bad(`growBy must be within 1..32, not ${growBy}`);
  const {
    sockets: wanted = Math.min(DEFAULT_SOCKETS, bits),
    pool = [{ first: 0, len: bits }],
    ask = pool,
    groups = [],
  } = options;
  const sockets = typeof wanted === 'number' ? { first: 0, len: wanted } : wanted;
  for (const block of [sockets, ...pool, ...ask, ...groups])
    if (!isWithin(block, bits)) bad(`^${bits} has no ^${block.len} at ${block.first}`);
  if (sockets.len > MOST_SOCKETS) bad(`own sockets are 2^${MOST_SOCKETS} at most`);
  if (!pool.some((block) => contains(block, sockets))) bad('the pool does not have the addresses of own sockets');
  if (ask.length === 0 || hasOverlap(ask)) bad('parts of the scope overlap, or there is none');
  if (hasOverlap([sockets, ...groups])) bad('multicast addresses overlap each other, or own sockets');
  if (hasOverlap(pool)) bad('blocks of the pool overlap');
  return { bits, sockets, pool, ask, groups, packed, growBy, link: (device) => asOptions(link(device)) };
}

function asOptions(link: LinkKind | PhoneLinkOptions): PhoneLinkOptions {
  return typeof link === 'string' ? { kind: link } : link;
}

/** Whether the scope of `bits` bits has the block. */
export function isWithin({ first, len }: PhoneBlock, bits: number): boolean {
  return isScope(len) && Number.isInteger(first) && first >= 0 && first + scopeSize(len) <= scopeSize(bits);
}

function contains(outer: PhoneBlock, inner: PhoneBlock): boolean {
  return inner.first >= outer.first && inner.first + scopeSize(inner.len) <= outer.first + scopeSize(outer.len);
}

/** Whether the block has the number. */
export function inBlock({ first, len }: PhoneBlock, value: number): boolean {
  return value >= first && value < first + scopeSize(len);
}

/** Whether two of the blocks have a number in common. */
export function hasOverlap(blocks: readonly PhoneBlock[]): boolean {
  return blocks.some((one, index) => blocks.slice(index + 1).some((other) => overlap(one, other)));
}

function overlap(a: PhoneBlock, b: PhoneBlock): boolean {
  return a.first < b.first + scopeSize(b.len) && b.first < a.first + scopeSize(a.len);
}
