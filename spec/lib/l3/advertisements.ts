/** Router advertisements for specs: everything that is not said is unspecified. */

import { Ipv6Address } from '../../../lib/core/address.js';
import type { RouterAdvertisementFields } from '../../../lib/wire/ndp.js';
import type { NdpPrefix } from '../../../lib/wire/ndp-options.js';

export const ip = (text: string): Ipv6Address => Ipv6Address.parse(text);

export function fields(given: Partial<RouterAdvertisementFields> = {}): RouterAdvertisementFields {
  return {
    hopLimit: 0,
    managed: false,
    other: false,
    homeAgent: false,
    preference: 0,
    proxy: false,
    lifetime: 1_800,
    reachableTime: 0,
    retransmitTimer: 0,
    ...given,
  };
}

export function prefixOption(text: string, given: Partial<NdpPrefix> = {}): NdpPrefix {
  const [address = '', length = '64'] = text.split('/');
  return {
    kind: 'prefix',
    prefix: ip(address),
    length: Number(length),
    onLink: true,
    autonomous: true,
    routerAddress: false,
    validLifetime: 86_400,
    preferredLifetime: 14_400,
    ...given,
  };
}
