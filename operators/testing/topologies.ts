/** Networks of usual shapes, to be spread into the options of `network`. */

import { learningSwitch } from './learning-switch.js';
import type { NetworkLinkOptions, NetworkNode } from './network-options.js';

/** Nodes and links of a shape. */
export interface Topology<L extends string, N extends string> {
  readonly nodes: Readonly<Record<N, NetworkNode>>;
  readonly links: Readonly<Record<L, NetworkLinkOptions>>;
}

/** What the links to the hosts of a topology are like. */
export type Access = Omit<NetworkLinkOptions, 'between'>;

function spokes<H extends string>(hosts: readonly H[], node: string, access: Access): Record<H, NetworkLinkOptions> {
  const links = {} as Record<H, NetworkLinkOptions>;
  for (const host of hosts) links[host] = { ...access, between: [host, node] };
  return links;
}

/**
 * Hosts around a switch, each on a link of its own, which is named as the host is.
 *
 * @param access what the links are like
 * @example
 * network({ hosts: { a: '10.0.0.1/24', b: '10.0.0.2/24' }, ...star(['a', 'b'], { impair: { delay: 5 } }) });
 */
export function star<H extends string>(hosts: readonly H[], access: Access = {}): Topology<H, 'switch'> {
  return { nodes: { switch: learningSwitch() }, links: spokes(hosts, 'switch', access) };
}

/**
 * Hosts on either side of one link, `bottleneck`, which all that they send to the other side must pass: two switches, `left` and `right`, and for
 * each host a link of its own, which is named as the host is. What is usual to see how connections share.
 *
 * @example
 * network({
 *   hosts: { a: '10.0.0.1/24', b: '10.0.0.2/24', c: '10.0.0.3/24', d: '10.0.0.4/24' },
 *   ...dumbbell(['a', 'b'], ['c', 'd'], { impair: { rate: 10e6, delay: 20, queue: { kind: 'codel' } } }),
 * });
 */
export function dumbbell<H extends string>(
  left: readonly H[],
  right: readonly H[],
  bottleneck: Access = {},
  access: Access = {},
): Topology<H | 'bottleneck', 'left' | 'right'> {
  return {
    nodes: { left: learningSwitch(), right: learningSwitch() },
    links: {
      ...spokes(left, 'left', access),
      ...spokes(right, 'right', access),
      bottleneck: { ...bottleneck, between: ['left', 'right'] },
    },
  };
}
