/** Who is where in the forwarding benchmark: a client, a forwarder, a server, the same for every forwarder, each in namespaces of its own. */

import type { IpVersion } from '../lib/core/address.js';

/** Devices are called the same on both ends of a link; MAC addresses and `addresses` are those of the forwarder, `peer` those at the other end. */
export const PLAN = {
  lan: {
    name: 'lan',
    mac: '02:00:00:00:01:01',
    addresses: ['10.1.0.1/24', 'fd01::1/64'],
    peer: ['10.1.0.2/24', 'fd01::2/64'],
  },
  wan: {
    name: 'wan',
    mac: '02:00:00:00:01:02',
    addresses: ['10.2.0.1/24', 'fd02::1/64'],
    peer: ['10.2.0.2/24', 'fd02::2/64'],
  },
  /** To whom packets are sent: nobody, by way of the server. */
  routes: [
    { destination: '198.18.0.0/15', gateway: '10.2.0.2' },
    { destination: '2001:db8::/32', gateway: 'fd02::2' },
  ],
} as const;

/** Whom packets come from where they are counted. */
export const SOURCES: Readonly<Record<IpVersion, { readonly own: string; readonly translated: string }>> = {
  4: { own: '10.1.0.2', translated: '10.2.0.1' },
  6: { own: 'fd01::2', translated: 'fd02::1' },
};

/** Options of `forwarder.ts`. */
export interface ForwarderOptions {
  /** Namespaces. */
  readonly client: string;
  readonly server: string;
  /** Of a firewall in the way, in the language of nftables. Default: there is none. */
  readonly rules?: string;
  /** Track flows and masquerade. Default false. */
  readonly translates?: boolean;
}

const RULES = 100;

/** Rules that none of the packets fulfils, half of them of each version: all of them have to be ruled out. */
export function hundredRules(): string {
  const rules = Array.from({ length: RULES }, (_, i) => {
    const host = i % 2 === 0 ? `ip daddr 203.0.113.${i}` : `ip6 daddr fd77::${i}`;
    return `    ${host} udp dport ${2000 + i} drop`;
  });
  return `table inet filter {
  chain forward {
    type filter hook forward priority 0; policy accept;
${rules.join('\n')}
  }
}
`;
}

/** What makes nftables track flows and masquerade. */
export const MASQUERADE: string = `table inet nat {
  chain postrouting {
    type nat hook postrouting priority 100;
    oifname "${PLAN.wan.name}" masquerade
  }
}
`;
