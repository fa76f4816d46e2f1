/** What the specs of translation without state share: one translator, and ends of packets in both versions. */

import { Ipv4Address } from '../../../../lib/core/address.js';
import { Nat64Prefix } from '../../../../lib/l4/nat64/prefix.js';
import { StatelessMapper } from '../../../../lib/l4/nat64/stateless.js';
import type { PlainEnds } from '../../wire/plain-packets.js';
import { Rig } from './rig.js';

export const PREFIX = '2001:db8:64::/96';
export const nat64: Nat64Prefix = new Nat64Prefix(PREFIX);

export function stateless(): StatelessMapper {
  return new StatelessMapper({ prefix: PREFIX, translatable: ['192.0.2.0/24'], errorsFrom: '198.51.100.1' });
}

/** As if the translator were no hop, so that a packet comes back as it was. */
export function rig(): Rig {
  return new Rig(stateless(), { decrementHopLimit: false });
}

export function four(text: string): Ipv4Address {
  return Ipv4Address.parse(text);
}

/** The same ends, of IPv4, as IPv6 sees them. */
export function to6(ends: PlainEnds): PlainEnds {
  const { source, destination } = ends;
  return {
    ...ends,
    source: nat64.embed(source as Ipv4Address),
    destination: nat64.embed(destination as Ipv4Address),
  };
}
