/** Who is compared in forwarding, and how each of them is made. */

import { type ForwarderOptions, hundredRules, MASQUERADE, PLAN } from './forward-plan.js';
import type { Namespace } from './namespace.js';
import type { Workshop } from './programs.js';
import { withOptions } from './peers.js';
import { ready } from './ready.js';

/** What is compared. */
export interface Forwarder {
  readonly name: string;
  /** Names of those that it is compared with; ours only. */
  readonly against: readonly string[];
  /** Packets leave it with an address of its own. */
  readonly translates: boolean;
  /** Sets it up and starts it; what is missing if it cannot be here. */
  readonly make: (place: ForwarderPlace) => Promise<{ readonly missing: string } | undefined>;
}

/** Where a forwarder is made. */
export interface ForwarderPlace {
  readonly client: Namespace;
  readonly server: Namespace;
  readonly workshop: Workshop;
  /** A namespace of its own. */
  readonly between: () => Namespace;
}

/** A router of ours. */
function ours(name: string, against: string, what: Pick<ForwarderOptions, 'rules' | 'translates'>): Forwarder {
  return {
    name,
    against: [against],
    translates: what.translates ?? false,
    async make({ client, server, workshop }) {
      const options: ForwarderOptions = { client: client.name, server: server.name, ...what };
      const { command, args } = withOptions(workshop.stack('forwarder'), options);
      await ready(client.start(command, args));
      return undefined;
    },
  };
}

/** Puts a device of the router beside one of the same name in a namespace. */
function join(router: Namespace, other: Namespace, { name, mac, addresses, peer }: typeof PLAN.lan | typeof PLAN.wan) {
  router.ip('link', 'add', name, 'address', mac, 'type', 'veth', 'peer', 'name', name, 'netns', other.name);
  for (const address of addresses) router.ip('address', 'add', address, 'dev', name);
  for (const address of peer) other.ip('address', 'add', address, 'dev', name);
  router.ip('link', 'set', name, 'up');
  other.ip('link', 'set', name, 'up');
}

/** The kernel as a router, with rules in nftables if any are given. */
function kernel(name: string, rules: string | undefined, translates = false): Forwarder {
  return {
    name,
    against: [],
    translates,
    async make({ client, server, between }) {
      const router = between();
      join(router, client, PLAN.lan);
      join(router, server, PLAN.wan);
      for (const key of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']) router.sysctl(key, 1);
      for (const { destination, gateway } of PLAN.routes) router.ip('route', 'add', destination, 'via', gateway);
      if (rules === undefined) return undefined;
      const loaded = await router.run('nft', ['-f', '-'], { input: rules });
      return loaded.code === 0 ? undefined : { missing: 'nft, and a kernel with nf_tables' };
    },
  };
}

const KERNEL = 'kernel';
const KERNEL_RULES = 'kernel, 100 rules of nftables';
const KERNEL_NAT = 'kernel, masquerade of nftables';

/** Everybody, in the order of the table. */
export const FORWARDERS: readonly Forwarder[] = [
  ours('rx-netstack', KERNEL, {}),
  ours('rx-netstack, 100 rules', KERNEL_RULES, { rules: hundredRules() }),
  ours('rx-netstack, conntrack and masquerade', KERNEL_NAT, { translates: true }),
  kernel(KERNEL, undefined),
  kernel(KERNEL_RULES, hundredRules()),
  kernel(KERNEL_NAT, MASQUERADE, true),
];
