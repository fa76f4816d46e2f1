/** Words of a packet to be built that no packet of its kind, IP version and link can say. */

import type { IpVersion } from '../core/address.js';
import type { EnvelopeSpec, PacketSpec } from './packet-spec.js';

/** Words of the IP header. */
const IP_WORDS: readonly (readonly [key: keyof EnvelopeSpec, word: string])[] = [
  ['from', 'from'],
  ['to', 'to'],
  ['ttl', 'ttl'],
  ['tos', 'tos'],
  ['ecn', 'ecn'],
  ['ipId', 'ipid'],
  ['dontFragment', 'df'],
  ['flowLabel', 'flow'],
  ['extensions', 'extension headers'],
  ['fragment', 'frag'],
  ['badIpChecksum', 'bad-ip-checksum'],
];
const LINK_WORDS: readonly (readonly [key: keyof EnvelopeSpec, word: string])[] = [
  ['macFrom', 'mac-from'],
  ['macTo', 'mac-to'],
  ['tags', 'vlan'],
];

/** What Ethernet frames without IP in them cannot say. */
export function etherRefusal(spec: PacketSpec): string | undefined {
  const { kind } = spec;
  // What ARP asks for is where it goes to.
  const word = saidOf(spec, kind === 'arp' ? IP_WORDS.filter(([key]) => key !== 'to') : IP_WORDS);
  return word === undefined ? checksumRefusal(spec) : `${kind} says nothing of IP: "${word}"`;
}

/** What a packet cannot say that has no link header. */
export function linkRefusal(spec: PacketSpec): string | undefined {
  const { kind } = spec;
  if (kind === 'arp' || kind === 'ether') return `${kind} needs a link header`;
  const word = saidOf(spec, LINK_WORDS);
  return word === undefined ? undefined : `a packet without a link header does not say "${word}"`;
}

/** What an IP packet cannot say. */
export function ipRefusal(spec: PacketSpec, version: IpVersion): string | undefined {
  const { kind, fragment, ipId } = spec;
  const wrong = checksumRefusal(spec);
  if (wrong !== undefined) return wrong;
  if (kind === 'ip' && fragment !== undefined && fragment.to - fragment.from !== (spec.payload.length ?? 0)) {
    return `a fragment ${fragment.from}:${fragment.to} does not have ${spec.payload.length ?? 0} bytes`;
  }
  if (version === 6) {
    if (spec.badIpChecksum === true) return 'IPv6 headers have no checksum';
    return spec.dontFragment === true ? 'IPv6 headers do not say "df"' : undefined;
  }
  if (spec.flowLabel !== undefined) return 'IPv4 headers have no flow label';
  if (spec.extensions !== undefined) return 'IPv4 has no extension headers';
  return (ipId ?? 0) > 0xffff ? `the identification ${ipId} is not in 0..65535` : undefined;
}

function checksumRefusal({ kind, noChecksum, badChecksum }: PacketSpec): string | undefined {
  if (noChecksum === true && kind !== 'udp') return 'only UDP goes without a checksum';
  if (badChecksum !== true) return undefined;
  if (noChecksum === true) return 'a checksum that is not there cannot be wrong';
  return kind === 'ip' || kind === 'arp' || kind === 'ether' ? `${kind} has no checksum of its own` : undefined;
}

/** The first of some words that a line says. */
function saidOf(spec: PacketSpec, words: typeof IP_WORDS): string | undefined {
  return words.find(([key]) => {
    const value = spec[key];
    return value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);
  })?.[1];
}
