/** What commands hold of addresses that are to be given to an interface, before there is one. */

import type { Cidr } from '../lib/core/address.js';
import { IPV6_MINIMUM_MTU } from '../lib/wire/ipv6.js';

/** What an interface needs for IPv6, where its MTU, in bytes, is less than that (RFC 8200 5). */
export function tooNarrowForIpv6(mtu: number): string | undefined {
  return mtu < IPV6_MINIMUM_MTU ? `IPv6 needs an MTU of ${IPV6_MINIMUM_MTU}` : undefined;
}

/** Why an interface with this MTU, in bytes, cannot have an address; `undefined` where it can. */
export function whyNoAddress({ address }: Cidr, mtu: number): string | undefined {
  const isUnicast = !address.isUnspecified && !address.isMulticast && !address.isBroadcast;
  if (!isUnicast || (address.version === 6 && address.isLoopback))
    return `${address.toString()} cannot be the address of an interface`;
  return address.version === 6 ? tooNarrowForIpv6(mtu) : undefined;
}
