/** What a router is made with, and what it is to those that use it. */

import type { MonoTypeOperatorFunction, Observable } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import type { TxPacket } from '../../lib/core/frame.js';
import type { ForwardCounters, ForwardInterface } from '../../lib/l3/forward.js';
import type { RouteOptions } from '../../lib/l3/ip-tables.js';
import type { MulticastRouteOptions, MulticastRoutes } from '../../lib/l3/multicast-routes.js';
import type { ProxyScope } from '../../lib/l3/proxy-neighbours.js';
import type { ReversePathMode } from '../../lib/l3/reverse-path.js';
import type { RouterAdvertiserOptions } from '../../lib/l3/router-advertiser.js';
import type { RoutingRule, TableId } from '../../lib/l3/routing-rules.js';
import type { RoutingTables } from '../../lib/l3/routing-tables.js';
import type { Ipv4Packet } from '../../lib/wire/ipv4.js';
import type { Ipv6Packet } from '../../lib/wire/ipv6.js';
import type { Host, HostInterface, HostOptions } from './host-api.js';

/** A packet at a hook: its frame's range is the whole IP packet. */
export type RoutedPacket = Ipv4Packet | Ipv6Packet;

/** Operators of packets at one place of a router, in order. */
export type RouterHook = MonoTypeOperatorFunction<RoutedPacket> | readonly MonoTypeOperatorFunction<RoutedPacket>[];

/** Where operators of packets can be put into a router. A packet is valid during `next`; what an operator does not pass on is dropped. */
export interface RouterHooks {
  /**
   * All that came in, before it is known where it goes; and what the router says of a packet that had passed `postrouting`, so that what was translated
   * there is translated back.
   */
  readonly prerouting?: RouterHook;
  /** What is for the router itself. */
  readonly input?: RouterHook;
  /** What goes further: `frame.output` is the device that it is to leave by. */
  readonly forward?: RouterHook;
  /** What the router itself sends, before it is known by which device. */
  readonly output?: RouterHook;
  /** All that leaves: `frame.output` is the device, unless it goes to the router itself. What becomes of its source here changes that no more. */
  readonly postrouting?: RouterHook;
}

/** An interface of a router. */
export interface RouterInterface extends Omit<HostInterface, 'advertise'> {
  /** Take what comes in by it further, and be a router to the neighbours there (RFC 4861 6.2). Default true. */
  readonly forwarding?: boolean;
  /** Tell hosts of a better first hop than us (RFC 1812 5.2.7.2, RFC 4861 8.2). Default true. */
  readonly redirects?: boolean;
  /** Lower the segment size of TCP connections by way of it to what fits its MTU, or into packets of so many bytes. Default false. */
  readonly clampMss?: boolean | number;
  /** Verify that what comes in by it comes from where its source is (RFC 3704). Default: no. */
  readonly reversePath?: ReversePathMode;
  /** Answer for hosts behind us: for all whom another interface leads to, or for those in these networks, while `forwarding` is on. Default false. */
  readonly proxy?: ProxyScope;
  /** Advertise us as a router of IPv6, with the networks of the interface unless others are given, while `forwarding` is on. Default false. */
  readonly advertise?: boolean | RouterAdvertiserOptions;
}

/** A route of a router. */
export interface RouterRoute extends RouteOptions {
  /** The table that it is in, by number or name. Default `main`. */
  readonly table?: TableId;
}

/** Options of `router`. */
export interface RouterOptions
  extends Omit<HostOptions, 'device' | 'addresses' | 'interfaces' | 'advertise' | 'routes'> {
  readonly interfaces: readonly RouterInterface[];
  /** Of routes to the same prefix with the same metric each takes a part of the flows. */
  readonly routes?: readonly RouterRoute[];
  /** Rules of policy routing, besides the one that the table `main` routes everything; for both versions where they do not say. */
  readonly rules?: readonly RoutingRule[];
  readonly hooks?: RouterHooks;
  /** Static routes of packets to groups; they may change at run time. Which groups routers upstream are to send here is for `multicast` to say. */
  readonly multicastRoutes?: readonly MulticastRouteOptions[];
  /** What operators in the hooks have to send besides: the rejections of a firewall. */
  readonly replies?: readonly Observable<TxPacket>[];
  /**
   * Put fragments together in front of the hooks, which then see whole packets; those that go further leave in pieces again. Default: where there is
   * an operator in any hook.
   */
  readonly defragment?: boolean;
  /** Is shown packets on their way that ask routers to look at them (RFC 2113, RFC 2711), which then go on; valid during the call. */
  readonly alerted?: (packet: RoutedPacket) => void;
}

/** A running router. */
export interface Router extends Host {
  /** The routes of each version, all tables, and the rules that choose between these; they may change at run time. */
  readonly routing: { readonly 4: RoutingTables<4>; readonly 6: RoutingTables<6> };
  /** Routes of packets to groups, with counters. */
  readonly multicastRoutes: MulticastRoutes;
  /** What was taken further by way of an interface. */
  forwarded(device: Device): ForwardCounters | undefined;
  /** The switches of an interface, which may be changed: who forwards no more says so to its neighbours, and advertises nothing (RFC 4861 6.2.5). */
  switches(device: Device): ForwardInterface | undefined;
}
