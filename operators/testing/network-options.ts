/** How a simulated network is described: hosts, other nodes, and the links between them. */

import type { OperatorFunction } from 'rxjs';
import type { LinkEnd, LinkOptions } from '../../drivers/link.js';
import type { Cidr, MacAddress } from '../../lib/core/address.js';
import type { Env } from '../../lib/core/env.js';
import type { RxFrame, TxFrame } from '../../lib/core/frame.js';
import type { Impairments } from '../../lib/l2/impairment.js';
import type { RouteOptions } from '../../lib/l3/ip-tables.js';
import type { HostOptions } from '../stack/host.js';

/** Addresses of one interface, with prefix lengths, of either version or both, e.g. `10.0.0.1/24` or `['10.0.0.1/24', 'fd00::1/64']`. */
export type NetworkAddresses = string | Cidr | readonly (string | Cidr)[];

/** A route of a host in a network: its device is the host's end of a link. */
export interface NetworkRoute extends Omit<RouteOptions, 'device'> {
  /** Name of the link. May be left out where the host is on one only. */
  readonly link?: string;
}

/** A host of a network: the options of `host()`, with links for devices. */
export interface NetworkHostOptions extends Omit<HostOptions, 'device' | 'addresses' | 'interfaces' | 'routes'> {
  /** Its addresses, where it is on one link only. */
  readonly addresses?: NetworkAddresses;
  /** Its addresses by link, where it is on several. */
  readonly on?: Readonly<Record<string, NetworkAddresses>>;
  readonly routes?: readonly NetworkRoute[];
}

/**
 * Any other node of a network (a switch, a router, a tap on the wire): an operator from the frames of all its devices to the frames
 * it sends, each by its `device`.
 *
 * @param devices its ends, by link
 */
export type NetworkNode = (devices: Readonly<Record<string, LinkEnd>>, env: Env) => OperatorFunction<RxFrame, TxFrame>;

/** A link of a network: the options of the in-memory link, with nodes for ends. */
export interface NetworkLinkOptions extends Omit<LinkOptions, 'ends' | 'macs' | 'impairFrom' | 'defer'> {
  /** Names of the hosts and nodes that it joins, two at least. Default: all. */
  readonly between?: readonly string[];
  /** MAC addresses by node. Default: drawn. */
  readonly macs?: Readonly<Record<string, MacAddress | string>>;
  /** What is wrong with what these nodes send, instead of `impair`. */
  readonly impairFrom?: Readonly<Record<string, Impairments>>;
  /** Record its frames for `pcapng()`. Default false. */
  readonly capture?: boolean;
}

/** Options of {@link network}. */
export interface NetworkOptions<H extends string, L extends string, N extends string> {
  /** Determines all chance in the network. Default 1. */
  readonly seed?: number;
  /** Hosts by name; one that has nothing but addresses may be given by these. */
  readonly hosts: Readonly<Record<H, NetworkHostOptions | NetworkAddresses>>;
  /** Links by name. Default: one, `lan`, that joins all. */
  readonly links?: Readonly<Record<L, NetworkLinkOptions>>;
  /** Other nodes by name. */
  readonly nodes?: Readonly<Record<N, NetworkNode>>;
  /** Overwrite released frames with 0xdb, so that a stale view shows. Default true. */
  readonly poison?: boolean;
  /** What the clock shows at first, in milliseconds. Default 0. */
  readonly start?: number;
  /** Events after which one call of `run()` gives up, as they must be an endless loop. Default 100 million. */
  readonly maxEvents?: number;
}
