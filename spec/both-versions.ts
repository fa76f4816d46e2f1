/** One test body, both IP versions: what a body needs to know of the version that it runs for. */

import { anyAddress, type IpAddress, type IpVersion, ipOf } from '../lib/core/address.js';

/** Facts and addresses of one version. The hosts are neighbours in one network. */
export interface VersionFacts {
  readonly version: IpVersion;
  /** Hosts of the network. */
  readonly a: IpAddress;
  readonly b: IpAddress;
  readonly c: IpAddress;
  /** Bits of the network's prefix. */
  readonly bits: 24 | 64;
  /** An address of another network, which no host has. */
  readonly elsewhere: IpAddress;
  readonly any: IpAddress;
  readonly loopback: IpAddress;
  /** A multicast address. */
  readonly group: IpAddress;
  /** Bytes of the IP and TCP headers. */
  readonly headers: 40 | 60;
  /** The version's ICMP, as the packet notation calls it. */
  readonly icmp: 'icmp' | 'icmpv6';
  /** The address in the form of the options of `host()`. */
  readonly cidr: (address: IpAddress) => string;
  /** The address as it stands in a URL, or in front of `:port`. */
  readonly url: (address: IpAddress) => string;
}

function facts(version: IpVersion, texts: Record<'a' | 'b' | 'c' | 'elsewhere' | 'group', string>): VersionFacts {
  const bits = version === 4 ? 24 : 64;
  return {
    version,
    a: ipOf(texts.a),
    b: ipOf(texts.b),
    c: ipOf(texts.c),
    bits,
    elsewhere: ipOf(texts.elsewhere),
    any: anyAddress(version),
    loopback: ipOf(version === 4 ? '127.0.0.1' : '::1'),
    group: ipOf(texts.group),
    headers: version === 4 ? 40 : 60,
    icmp: version === 4 ? 'icmp' : 'icmpv6',
    cidr: (address) => `${address.toString()}/${bits}`,
    url: (address) => (version === 4 ? address.toString() : `[${address.toString()}]`),
  };
}

/** The facts of each version. */
export const FACTS: Readonly<Record<IpVersion, VersionFacts>> = {
  4: facts(4, { a: '10.0.0.1', b: '10.0.0.2', c: '10.0.0.3', elsewhere: '10.9.9.9', group: '224.0.0.1' }),
  6: facts(6, { a: 'fd00::1', b: 'fd00::2', c: 'fd00::3', elsewhere: 'fd09::9', group: 'ff02::1' }),
};

/** The versions that every test of what is above IP runs for. */
export const VERSIONS: readonly IpVersion[] = [4, 6];

/** Describes the same for each version. */
export function forBothVersions(name: string, body: (facts: VersionFacts) => void): void {
  for (const version of VERSIONS) describe(`${name} over IPv${version}`, () => body(FACTS[version]));
}
