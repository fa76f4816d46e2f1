/** What stands between the links of a router and its IP: where packets go, and what they pass on their way. */

import { type Observable, Subject, takeUntil, tap } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import { Cast, type Frame, type TxFrame, type TxPacket } from '../../lib/core/frame.js';
import { Forwarder } from '../../lib/l3/forward.js';
import { Decisions, Destination } from '../../lib/l3/forward-decisions.js';
import { GroupForwarder } from '../../lib/l3/forward-groups.js';
import { MulticastRoutes } from '../../lib/l3/multicast-routes.js';
import type { ReversePathMode } from '../../lib/l3/reverse-path.js';
import { RouterRedirects } from '../../lib/l3/router-redirects.js';
import { OwnRouting } from '../../lib/l3/routing-own.js';
import { demux } from '../flow/demux.js';
import { funnel } from '../flow/funnel.js';
import { lend } from '../flow/lend.js';
import { outgoing } from '../flow/outgoing.js';
import type { GroupFilter } from '../l2/ethernet.js';
import { defragment } from '../l3/defragment.js';
import { forward } from '../l3/forward.js';
import { forwardGroups } from '../l3/forward-groups.js';
import { ip } from '../l3/ip.js';
import { ipv4 } from '../l3/ipv4.js';
import { ipv6, type Ipv6Acceptance } from '../l3/ipv6.js';
import { reversePath } from '../l3/reverse-path.js';
import { routeAndResolve } from '../l3/route-and-resolve.js';
import type { HostParts } from './host-parts.js';
import type { Complaints, Junction, JunctionMaker, JunctionSurroundings, LinkInput } from './host-pipeline.js';
import type { RoutedPacket, RouterHook, RouterHooks, RouterOptions } from './router-api.js';

/** 33:33:ff:XX:XX:XX, and ff02::1:ffXX:XXXX, its groups (RFC 4291 2.7.1). */
const SOLICITED_NODE_MACS = 0x3333ff;
const SOLICITED_NODE = 0xff02_0000;

/** The junction of a router: what is read there, and where it goes. */
export class Crossroads implements JunctionMaker {
  readonly forwarder: Forwarder;
  readonly multicastRoutes: MulticastRoutes = new MulticastRoutes();
  private readonly groupForwarder: GroupForwarder;
  private readonly parts: HostParts;
  private readonly options: RouterOptions;
  private send: (packet: TxPacket) => void = (packet) => packet.release();

  constructor(parts: HostParts, options: RouterOptions) {
    const { env, tables, links, icmpErrors: errors } = parts;
    const { interfaces, alerted } = options;
    const complain = (packet: TxPacket): void => this.send(packet);
    const redirects = new RouterRedirects({ tables, links, errors, send: complain }, env);
    const switches = interfaces.map(({ device, forwarding, redirects: tells, clampMss }) => ({
      device,
      ...(forwarding === undefined ? {} : { forwarding }),
      ...(tells === undefined ? {} : { redirects: tells }),
      ...(clampMss === undefined ? {} : { clampMss }),
    }));
    const heeds = alerted === undefined ? {} : { alerted };
    this.parts = parts;
    this.options = options;
    const forwarder = new Forwarder({ interfaces: switches, tables, errors, complain, redirects, ...heeds }, env);
    this.forwarder = forwarder;
    for (const route of options.multicastRoutes ?? []) this.multicastRoutes.add(route);
    this.groupForwarder = new GroupForwarder({ routes: this.multicastRoutes, forwarder, tables }, env);
  }

  groups(device: Device): GroupFilter {
    const { groupMacs } = this.parts.tables;
    const routes = this.multicastRoutes;
    if (!this.isProxy(device)) return { has: (mac) => groupMacs.has(mac) || routes.listensOn(device) };
    // Neighbours ask the groups of those whom we answer for.
    const isSolicited = (mac: number): boolean => Math.floor(mac / 0x100_0000) === SOLICITED_NODE_MACS;
    return { has: (mac) => groupMacs.has(mac) || isSolicited(mac) || routes.listensOn(device) };
  }

  make(inputs: readonly LinkInput[], { complaints, egress, ended$ }: JunctionSurroundings): Junction {
    const { env, tables, icmpErrors } = this.parts;
    const { hooks = {}, replies = [] } = this.options;
    this.send = complaints.send;
    const decisions = new Decisions(tables, env.random.uint32());
    const wayBack = new WayBack(ended$);
    const received$ = through(this.received(inputs, wayBack, complaints), hooks.prerouting);
    const { forwarder, groupForwarder } = this;
    const destination = ({ frame }: RoutedPacket): number => {
      if (wayBack.has(frame)) return Destination.Back;
      return groupForwarder.concerns(frame) ? Destination.Group : decisions.decide(frame);
    };
    const destined$ = demux(received$, destination, {}, env);
    const ways$ = destined$.on(Destination.Group).pipe(forwardGroups(groupForwarder, env));
    const groups$ = demux(
      ways$,
      ({ frame }) => (frame.route === undefined ? Destination.Here : Destination.Beyond),
      {},
      env,
    );
    const here$ = funnel(destined$.on(Destination.Here), groups$.on(Destination.Here));
    const own$ = demux(through(here$, hooks.input), ({ version }) => version, {}, env);
    const beyond$ = destined$.on(Destination.Beyond).pipe(forward(forwarder, env));
    const transit$ = through(funnel(beyond$, groups$.on(Destination.Beyond)), hooks.forward);
    const back$ = destined$.on(Destination.Back).pipe(outgoing());
    const stranded: typeof egress.stranded = (packet, kind, mtu) => wayBack.send(icmpErrors.about(packet, kind, mtu));
    return {
      ipv4$: own$.on(4).pipe(ipv4({ addresses: tables.addresses, routed: complaints.routed }, env)),
      ipv6$: own$.on(6).pipe(ipv6({ addresses: this.acceptance(), problem: complaints.problem }, env)),
      depart: (frames, packets) =>
        funnel<TxFrame | TxPacket>(
          ...frames,
          ...this.departing(transit$, [...packets, back$, ...replies.map((reply$) => reply$.pipe(takeUntil(ended$)))]),
          // A firewall refuses connections in the name of those whom they are for.
        ).pipe(routeAndResolve({ ...egress, stranded, anySource: true }, env)),
    };
  }

  /** What came in, or comes back from ourselves, as the first hook sees it. */
  private received(
    inputs: readonly LinkInput[],
    { packets$: returned$ }: WayBack,
    { expired, problem }: Complaints,
  ): Observable<RoutedPacket> {
    const { env, tables } = this.parts;
    const { interfaces, hooks = {}, defragment: pieces = hasOperators(hooks), reassembly } = this.options;
    const modes = new Map<Device, ReversePathMode>();
    for (const { device, reversePath: mode } of interfaces) if (mode !== undefined) modes.set(device, mode);
    const links$ = inputs.flatMap(({ link4$, link6$ }) => [link4$.pipe(ip(env)), link6$.pipe(ip(env))]);
    const packets$ = funnel(...links$, returned$);
    const genuine$ = modes.size === 0 ? packets$ : packets$.pipe(reversePath({ tables, modes }, env));
    return pieces ? genuine$.pipe(defragment({ ...reassembly, expired, problem }, env)) : genuine$;
  }

  /** What leaves, of others and of our own, through the hooks on the way. */
  private departing(
    transit$: Observable<RoutedPacket>,
    packets: readonly Observable<TxPacket>[],
  ): readonly Observable<TxPacket>[] {
    const { output, postrouting } = this.options.hooks ?? {};
    if (isEmpty(output) && isEmpty(postrouting)) return [transit$.pipe(outgoing()), ...packets];
    const { env, tables } = this.parts;
    const routing = new OwnRouting(tables);
    // What has its link header already, as DHCP's answers to hosts without an address, is past all that.
    const framed$ = demux(funnel(...packets), (packet) => Number(packet.start === packet.link), {}, env);
    const sent$ = through(framed$.on(0).pipe(lend()), output).pipe(tap((packet) => routing.choose(packet)));
    return [framed$.on(1), through(funnel(transit$, sent$), postrouting).pipe(outgoing())];
  }

  /** Our addresses, and the groups of those whom we answer for. */
  private acceptance(): Ipv6Acceptance {
    const { addresses6 } = this.parts.tables;
    if (!this.options.interfaces.some(({ device }) => this.isProxy(device))) return addresses6;
    return {
      has: (a, b, c, d, device) => addresses6.has(a, b, c, d, device),
      accepts: (a, b, c, d, device) => {
        const isSolicited = a === SOLICITED_NODE && b === 0 && c === 1 && d >>> 24 === 0xff;
        const isOurs = isSolicited && device !== undefined && this.isProxy(device);
        return addresses6.accepts(a, b, c, d, device) ?? (isOurs ? Cast.Multicast : undefined);
      },
    };
  }

  private isProxy(device: Device): boolean {
    const { proxy = false } = this.options.interfaces.find((one) => one.device === device) ?? {};
    return proxy !== false;
  }
}

/**
 * The way of errors about packets that were translated already when they could not be taken further: in by the first hook, so that they are translated
 * back, and out as what we send ourselves. An operator there that keeps one back loses it.
 */
class WayBack {
  readonly packets$: Observable<RoutedPacket>;
  private readonly errors = new Subject<TxPacket>();
  private isTaken = false;

  constructor(ended$: Observable<void>) {
    this.packets$ = this.errors.pipe(takeUntil(ended$), lend());
  }

  /** Takes over the reference. */
  send(error: TxPacket | undefined): void {
    this.isTaken = true;
    if (this.errors.observed && error !== undefined) this.errors.next(error);
    else error?.release();
    this.isTaken = false;
  }

  /** Whether this is an error on its way, or a copy of it: the only one that came by no device. */
  has({ device }: Frame): boolean {
    return this.isTaken && device === undefined;
  }
}

function isEmpty(hook: RouterHook = []): boolean {
  return [hook].flat().length === 0;
}

function hasOperators(hooks: RouterHooks): boolean {
  return Object.values(hooks).some((hook: RouterHook | undefined) => !isEmpty(hook));
}

/** The packets that come through a hook. */
function through(packets$: Observable<RoutedPacket>, hook: RouterHook = []): Observable<RoutedPacket> {
  return [hook].flat().reduce((left$, operator) => left$.pipe(operator), packets$);
}
