/**
 * Which of our IPv6 addresses to send from (RFC 6724 5): rules 1 to 8. Left out are home addresses (rule 4) and rule 5.5, which would
 * need to know which router advertised an address's prefix.
 */

import type { Ipv6Address } from '../core/address.js';
import type { Device } from '../core/device.js';
import type { InterfaceAddress6 } from './addresses6.js';
import { commonBits, PolicyTable } from './policy-table.js';
import { isOnOneLink, scopeOf } from './scope.js';

/**
 * Whether an address is a candidate for packets to `target` that leave by `device` (RFC 6724 4): for groups and destinations of one link
 * it must be the device's own; others may come from any device, but not a link-local address of another.
 */
export function isCandidate(one: InterfaceAddress6, device: Device, target: Ipv6Address): boolean {
  if (one.tentative) return false;
  return one.device === device || (!one.cidr.address.isLinkLocal && !isOnOneLink(target.a));
}

/** Whether `one` is to be preferred to `other` as the source of packets to `target` that leave by `device`. */
export function betterSource(
  one: InterfaceAddress6,
  other: InterfaceAddress6,
  device: Device,
  target: Ipv6Address,
  policies: PolicyTable = PolicyTable.DEFAULT,
): boolean {
  const a = one.cidr.address;
  const b = other.cidr.address;
  // Rule 1: the destination itself.
  if (isSame(a, target) || isSame(b, target)) return isSame(a, target);
  // Rule 2: the smallest scope that is large enough, else the largest.
  const [scopeA, scopeB, scope] = [scopeOf(a), scopeOf(b), scopeOf(target)];
  if (scopeA !== scopeB) return scopeA < scopeB ? scopeA >= scope : scopeB < scope;
  // Rules 3 and 5.
  if (one.deprecated !== other.deprecated) return other.deprecated;
  if ((one.device === device) !== (other.device === device)) return one.device === device;
  // Rule 6: of the destination's kind (global, unique local, 6to4, Teredo, mapped).
  const label = policies.label(target);
  const [fitsA, fitsB] = [policies.label(a) === label, policies.label(b) === label];
  if (fitsA !== fitsB) return fitsA;
  // Rule 7: temporary addresses; rule 8: the longest common prefix, as far as the address's own network.
  if (one.temporary !== other.temporary) return one.temporary;
  return prefixInCommon(one, target) > prefixInCommon(other, target);
}

function prefixInCommon({ cidr }: InterfaceAddress6, target: Ipv6Address): number {
  return Math.min(commonBits(cidr.address, target), cidr.length);
}

/** Zones apart: packets have none. */
function isSame(one: Ipv6Address, other: Ipv6Address): boolean {
  return one.d === other.d && one.c === other.c && one.b === other.b && one.a === other.a;
}
