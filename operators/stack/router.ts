/**
 * A router: a host that also takes packets of others further. Like a host it is nothing but a composition of public operators; read
 * `crossroads()` below and take it apart, re-order it or replace its parts as you need.
 */

import type { MonoTypeOperatorFunction, Observable } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import type { TxFrame, TxPacket } from '../../lib/core/frame.js';
import { type ForwardCounters, Forwarder, type ForwardInterface } from '../../lib/l3/forward.js';
import { Decisions, Destination } from '../../lib/l3/forward-decisions.js';
import type { Ipv4Packet } from '../../lib/wire/ipv4.js';
import type { Ipv6Packet } from '../../lib/wire/ipv6.js';
import { demux } from '../flow/demux.js';
import { funnel } from '../flow/funnel.js';
import { outgoing } from '../flow/outgoing.js';
import { forward } from '../l3/forward.js';
import { ip } from '../l3/ip.js';
import { ipv4 } from '../l3/ipv4.js';
import { ipv6 } from '../l3/ipv6.js';
import { routeAndResolve } from '../l3/route-and-resolve.js';
import { defaultEnvironment } from '../time/environment.js';
import type { Host, HostInterface, HostOptions } from './host-api.js';
import { type HostParts, hostOf, hostParts } from './host-parts.js';
import { hostPipeline, type JunctionMaker } from './host-pipeline.js';

/** A packet at a hook: its frame's range is the whole IP packet. */
export type RoutedPacket = Ipv4Packet | Ipv6Packet;

/** Operators of packets at one place of a router, in order. */
export type RouterHook = MonoTypeOperatorFunction<RoutedPacket> | readonly MonoTypeOperatorFunction<RoutedPacket>[];

/** Where operators of packets can be put into a router. A packet is valid during `next`; what an operator does not pass on is dropped. */
export interface RouterHooks {
  /** All that came in, before it is known where it goes. */
  readonly prerouting?: RouterHook;
  /** What is for the router itself. */
  readonly input?: RouterHook;
  /** What goes further: `frame.output` is the device that it is to leave by. */
  readonly forward?: RouterHook;
  /** All that leaves: `frame.output` is the device. */
  readonly postrouting?: RouterHook;
}

/** An interface of a router. */
export interface RouterInterface extends HostInterface {
  /** Take what comes in by it further. Default true. */
  readonly forwarding?: boolean;
}

/** Options of {@link router}. */
export interface RouterOptions extends Omit<HostOptions, 'device' | 'addresses' | 'interfaces'> {
  readonly interfaces: readonly RouterInterface[];
  readonly hooks?: RouterHooks;
}

/** A running router. */
export interface Router extends Host {
  /** What was taken further by way of an interface. */
  forwarded(device: Device): Readonly<ForwardCounters> | undefined;
}

/**
 * Makes a router: a host of several devices that takes packets of either version from each of them to the others (RFC 1812, RFC 8200).
 *
 *     in   --p--e--r--|     p: from a to b, e: echo request to us, r: its hop limit ends here
 *     out  --P--E--R--|     P: to the next hop by b, E: echo reply, R: time exceeded
 *
 * Give the frames of all its devices in (`merge` them; each knows its device), and send what comes out with `toDevices`. A packet goes through
 * `hooks.prerouting`; then, if it is for the router, through `hooks.input` to its sockets, else one hop further, through `hooks.forward` and
 * `hooks.postrouting`, and out, in the buffer that it came in.
 *
 * **Drops** those of its operators. **State and timers** those of its operators.
 *
 * @throws UsageError as `host`
 * @example
 * const me = router({ interfaces: [
 *   { device: lan, addresses: ['10.0.0.1/24', 'fd00::1/64'] },
 *   { device: wan, addresses: ['192.0.2.2/24'] },
 * ], gateway: '192.0.2.1' });
 * merge(lan.frames$, wan.frames$).pipe(me).subscribe(toDevices(lan, wan));
 */
export function router(options: RouterOptions, env: Env = defaultEnvironment()): Router {
  const parts = hostParts(options, env);
  const wired = wiring(parts, options);
  return Object.assign(hostOf(parts, hostPipeline(parts, wired.junction)), {
    forwarded: (device: Device) => wired.forwarder.counters(device),
  });
}

interface Wiring {
  readonly forwarder: Forwarder;
  readonly junction: JunctionMaker;
}

function wiring(parts: HostParts, options: RouterOptions): Wiring {
  const { env, icmpErrors: errors } = parts;
  let send: (error: TxPacket) => void = (error) => error.release();
  const interfaces: ForwardInterface[] = options.interfaces.map(({ device, forwarding = true }) => ({
    device,
    forwarding,
  }));
  const forwarder = new Forwarder({ interfaces, errors, complain: (error) => send(error) }, env);
  const make = crossroads(parts, forwarder, options.hooks ?? {});
  return {
    forwarder,
    junction: (inputs, surroundings) => {
      send = surroundings.complaints.send;
      return make(inputs, surroundings);
    },
  };
}

/** The junction of a router. */
function crossroads(parts: HostParts, forwarder: Forwarder, hooks: RouterHooks): JunctionMaker {
  const { env, tables, icmpErrors } = parts;
  return (inputs, { complaints: { problem, routed, send }, egress }) => {
    const decisions = new Decisions(tables);
    const links = inputs.flatMap(({ link4$, link6$ }) => [link4$.pipe(ip(env)), link6$.pipe(ip(env))]);
    const received$ = through(funnel(...links), hooks.prerouting);
    const destined$ = demux(received$, ({ frame }) => decisions.decide(frame), {}, env);
    const own$ = demux(through(destined$.on(Destination.Here), hooks.input), ({ version }) => version, {}, env);
    const taken$ = through(destined$.on(Destination.Beyond).pipe(forward(forwarder, env)), hooks.forward);
    const transit$ = through(taken$, hooks.postrouting).pipe(outgoing());
    const stranded: typeof egress.stranded = (packet, kind, mtu) => {
      const error = icmpErrors.about(packet, kind, mtu);
      if (error !== undefined) send(error);
    };
    return {
      ipv4$: own$.on(4).pipe(ipv4({ addresses: tables.addresses, routed }, env)),
      ipv6$: own$.on(6).pipe(ipv6({ addresses: tables.addresses6, problem }, env)),
      depart: (frames, packets) =>
        funnel<TxFrame | TxPacket>(transit$, ...frames, ...packets).pipe(routeAndResolve({ ...egress, stranded }, env)),
    };
  };
}

/** The packets that come through a hook. */
function through(packets$: Observable<RoutedPacket>, hook: RouterHook = []): Observable<RoutedPacket> {
  return [hook].flat().reduce((left$, operator) => left$.pipe(operator), packets$);
}
