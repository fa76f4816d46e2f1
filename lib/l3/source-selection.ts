/**
 * Which of our IPv6 addresses to send from (RFC 6724 5), rules 1 to 8 without home addresses (rule 4); what the user prefers by a table
 * of policies of his own is left out.
 */

import type { Ipv6Address } from '../core/address.js';
import type { Device } from '../core/device.js';
import type { InterfaceAddress6 } from './addresses6.js';
import { scopeOf } from './scope.js';

/** Whether `one` is to be preferred to `other` as the source of packets to `target` that leave by `device`. */
export function betterSource(
  one: InterfaceAddress6,
  other: InterfaceAddress6,
  device: Device,
  target: Ipv6Address,
): boolean {
  const a = one.cidr.address;
  const b = other.cidr.address;
  // Rule 1: the destination itself.
  if (a.equals(target) || b.equals(target)) return a.equals(target);
  // Rule 2: the smallest scope that is large enough, else the largest.
  const [scopeA, scopeB, scope] = [scopeOf(a), scopeOf(b), scopeOf(target)];
  if (scopeA !== scopeB) return scopeA < scopeB ? scopeA >= scope : scopeB < scope;
  // Rules 3 and 5.
  if (one.deprecated !== other.deprecated) return other.deprecated;
  if ((one.device === device) !== (other.device === device)) return one.device === device;
  // Rule 6: of the destination's kind (global, unique local, 6to4, Teredo, mapped).
  const label = labelOf(target);
  if ((labelOf(a) === label) !== (labelOf(b) === label)) return labelOf(a) === label;
  // Rule 7: temporary addresses; rule 8: the longest common prefix, as far as the address's own network.
  if (one.temporary !== other.temporary) return one.temporary;
  return commonBits(a, target, one.cidr.length) > commonBits(b, target, other.cidr.length);
}

/** The default policy table's label (RFC 6724 2.1). */
export function labelOf({ a, b, c, d }: Ipv6Address): number {
  if ((a | b) === 0) {
    if (c === 0xffff) return 4;
    if (c === 0) return d === 1 ? 0 : 3;
  }
  if (a >>> 16 === 0x2002) return 2;
  if (a === 0x2001_0000) return 5;
  if (a >>> 25 === 0x7e) return 13;
  if (a >>> 22 === 0x3fb) return 11;
  return a >>> 16 === 0x3ffe ? 12 : 1;
}

function commonBits(one: Ipv6Address, other: Ipv6Address, most: number): number {
  let bits = 0;
  for (const index of [0, 1, 2, 3] as const) {
    const differ = Math.clz32(one.word(index) ^ other.word(index));
    bits += differ;
    if (differ < 32) break;
  }
  return Math.min(bits, most);
}
