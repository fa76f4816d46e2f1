/** How the parts of a host are connected. What a router does otherwise stands between its links and its IP: a {@link Junction}. */

import {
  defer,
  EMPTY,
  finalize,
  ignoreElements,
  NEVER,
  type Observable,
  type OperatorFunction,
  Subject,
  takeUntil,
  tap,
} from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import type { Frame, RxFrame, TxFrame, TxPacket } from '../../lib/core/frame.js';
import { EthernetLink } from '../../lib/l2/ethernet-link.js';
import type { IpLink } from '../../lib/l2/link.js';
import type { EgressOptions } from '../../lib/l3/egress.js';
import type { IcmpOptions } from '../../lib/l3/icmp.js';
import type { IcmpErrorKind } from '../../lib/l3/icmp-report.js';
import type { Icmpv6Options } from '../../lib/l3/icmpv6.js';
import { type EthernetFrame, EtherType, type LinkPacket } from '../../lib/wire/ethernet.js';
import { type IpPacket, IpProtocol } from '../../lib/wire/ip.js';
import type { Ipv4Packet } from '../../lib/wire/ipv4.js';
import type { Ipv6Packet } from '../../lib/wire/ipv6.js';
import type { ExtensionProblem } from '../../lib/wire/ipv6-extensions.js';
import { type Demux, demux } from '../flow/demux.js';
import { funnel } from '../flow/funnel.js';
import { subscribeLast } from '../flow/subscribe-last.js';
import { where } from '../flow/where.js';
import { arp } from '../l2/arp.js';
import { type EthernetOptions, ethernet } from '../l2/ethernet.js';
import { rawIp } from '../l2/raw-ip.js';
import { icmp } from '../l3/icmp.js';
import { icmpv6 } from '../l3/icmpv6.js';
import { igmp } from '../l3/igmp.js';
import { ipv4 } from '../l3/ipv4.js';
import { ipv6 } from '../l3/ipv6.js';
import { reassemble } from '../l3/reassemble.js';
import { routeAndResolve } from '../l3/route-and-resolve.js';
import { protocolUnreachable } from '../l3/unreachable.js';
import { echoRequests } from '../l4/echo-requests.js';
import { tcp } from '../l4/tcp.js';
import { udp } from '../l4/udp.js';
import type { HostParts } from './host-parts.js';
import { Loopback } from './loopback.js';

/** The type of no frame. */
const NO_TYPE = -1;

/** What comes in by one link, in front of IP. */
export interface LinkInput {
  readonly link4$: Observable<LinkPacket>;
  readonly link6$: Observable<LinkPacket>;
  /** Frames that answer at once. */
  readonly replies$: Observable<TxFrame>;
}

/** What stands between the links of a host and its IP. */
export interface Junction {
  /** The packets for this host of all that came in by links, read. */
  readonly ipv4$: Observable<Ipv4Packet>;
  readonly ipv6$: Observable<Ipv6Packet>;
  /** Brings on its way what this host sends: packets, and frames that are complete. */
  readonly depart: (
    frames: readonly Observable<TxFrame>[],
    packets: readonly Observable<TxPacket>[],
  ) => Observable<TxFrame>;
}

/** What a junction is given besides the links. */
export interface JunctionSurroundings {
  readonly complaints: Complaints;
  /** Who looks for next hops, and takes what this host sends to itself. */
  readonly egress: EgressOptions;
  /** Says when the host ends: what it merges into its streams ends with it. */
  readonly ended$: Observable<void>;
}

/** How junctions are made. */
export interface JunctionMaker {
  /** Which groups' frames a device lets through. */
  groups(device: Device): NonNullable<EthernetOptions['multicast']>;
  make(inputs: readonly LinkInput[], surroundings: JunctionSurroundings): Junction;
}

/** The junction of a host that takes nothing further. */
export function endSystem({ tables, env }: HostParts): JunctionMaker {
  return {
    groups: () => tables.groupMacs,
    make: (inputs, { complaints: { problem, routed }, egress }) => ({
      ipv4$: funnel(...inputs.map(({ link4$ }) => link4$.pipe(ipv4({ addresses: tables.addresses, routed }, env)))),
      ipv6$: funnel(...inputs.map(({ link6$ }) => link6$.pipe(ipv6({ addresses: tables.addresses6, problem }, env)))),
      depart: (frames, packets) => funnel<TxFrame | TxPacket>(...frames, ...packets).pipe(routeAndResolve(egress, env)),
    }),
  };
}

/** The composition that a host is. */
export function hostPipeline(parts: HostParts, maker: JunctionMaker): OperatorFunction<RxFrame, TxFrame> {
  return subscribeLast((frames$) => connect(frames$, parts, maker));
}

function connect(frames$: Observable<RxFrame>, parts: HostParts, maker: JunctionMaker): Observable<TxFrame> {
  const { options, env, tables, reports, icmpErrors, links, multicast, tcpHost, udpHost, pingHost } = parts;
  const ended = new Subject<void>();
  const loopback = new Loopback(env);
  const complaints = complaintsOf(parts);
  const { expired, problem, routed } = complaints;
  udpHost.loopback = (packet) => loopback.send(packet);

  const number = deviceNumber(links);
  const { inputs, end$ } = inputsOf(frames$, number, links, maker, env);
  const looped = linkInput(byType(loopback.packets$.pipe(takeUntil(ended)), undefined, maker, env), undefined);
  const egress = { tables, links, reports, loopback: (packet: TxPacket) => loopback.send(packet) };
  const junction = maker.make(inputs, { complaints, egress, ended$: ended });
  const own4$ = looped.link4$.pipe(ipv4({ addresses: tables.addresses, loopback: true, routed }, env));
  const own6$ = looped.link6$.pipe(ipv6({ addresses: tables.addresses6, loopback: true, problem }, env));
  const reassembly = { ...options.reassembly, expired, problem };
  const whole4$ = funnel(junction.ipv4$, own4$).pipe(reassemble(reassembly, env));
  const whole6$ = funnel(junction.ipv6$, own6$).pipe(reassemble(reassembly, env));
  const net4$ = demux(whole4$, (packet) => packet.protocol, {}, env);
  const net6$ = demux(whole6$, (packet) => packet.protocol, {}, env);
  const { icmpOptions, icmpv6Options } = icmpOptionsOf(parts, number);
  // Links end when the source does.
  const frames = [...inputs.map(({ replies$ }) => replies$), end$.pipe(tap({ complete: () => ended.next() }))];
  const packets = [
    net4$.on(IpProtocol.Icmp).pipe(icmp(icmpOptions, env)),
    net6$.on(IpProtocol.Icmpv6).pipe(icmpv6(icmpv6Options, env)),
    net4$.on(IpProtocol.Igmp).pipe(igmp(multicast)),
    funnel<IpPacket>(net4$.on(IpProtocol.Udp), net6$.on(IpProtocol.Udp)).pipe(udp(udpHost)),
    funnel<IpPacket>(net4$.on(IpProtocol.Tcp), net6$.on(IpProtocol.Tcp)).pipe(tcp(tcpHost)),
    NEVER.pipe(takeUntil(ended), echoRequests(pingHost)),
    funnel<IpPacket>(net4$.rest$, net6$.rest$).pipe(protocolUnreachable(icmpErrors, env)),
    complaints.errors$.pipe(takeUntil(ended)),
    // Last, when there is a way out.
    defer(() => start(parts)),
  ];
  return junction
    .depart(frames, packets)
    .pipe(finalize(() => [...lives(parts), loopback].forEach((part) => part.dispose())));
}

/** What comes in by each link, and the end of it all. */
function inputsOf(
  frames$: Observable<RxFrame>,
  number: (frame: RxFrame) => number,
  links: readonly IpLink[],
  maker: JunctionMaker,
  env: Env,
): { readonly inputs: readonly LinkInput[]; readonly end$: Observable<never> } {
  const [only] = links;
  if (only !== undefined && links.length === 1) {
    const link$ = byType(frames$, only, maker, env);
    return { inputs: [linkInput(link$, only)], end$: link$.on(NO_TYPE).pipe(ignoreElements()) };
  }
  const devices$ = demux(frames$, number, {}, env);
  const strangers$ = devices$.rest$.pipe(where<RxFrame>(() => false, DropReason.DeviceUnknown, env));
  const inputs = links.map((link, index) => linkInput(byType(devices$.on(index), link, maker, env), link));
  return { inputs, end$: strangers$.pipe(ignoreElements()) };
}

/** The frames of a link, or packets from ourselves, by what is in them. */
function byType(
  frames$: Observable<RxFrame>,
  link: IpLink | undefined,
  maker: JunctionMaker,
  env: Env,
): Demux<LinkPacket> {
  const packets$: Observable<LinkPacket> =
    link instanceof EthernetLink
      ? frames$.pipe(ethernet({ mac: link.device.mac, multicast: maker.groups(link.device) }, env))
      : frames$.pipe(rawIp(env));
  return demux(packets$, ({ etherType }) => etherType, { reason: DropReason.EthernetUnknownType }, env);
}

function linkInput(link$: Demux<LinkPacket>, link: IpLink | undefined): LinkInput {
  const link4$ = link$.on(EtherType.Ipv4);
  const link6$ = link$.on(EtherType.Ipv6);
  if (!(link instanceof EthernetLink)) return { link4$, link6$, replies$: EMPTY };
  // Only Ethernet has ARP.
  const arp$ = link$.on(EtherType.Arp) as Observable<EthernetFrame>;
  return { link4$, link6$, replies$: arp$.pipe(arp(link)) };
}

/** What operators tell of packets that ICMP errors are to be sent about, and those errors. */
export interface Complaints {
  readonly errors$: Observable<TxPacket>;
  /** Sends a further one; takes over its reference. */
  readonly send: (error: TxPacket) => void;
  readonly problem: (packet: Ipv6Packet, wrong: ExtensionProblem) => void;
  readonly routed: (packet: Ipv4Packet) => void;
  readonly expired: (first: IpPacket) => void;
}

function complaintsOf({ icmpErrors, udpHost }: HostParts): Complaints {
  const errors = new Subject<TxPacket>();
  const send = (error: TxPacket): void => {
    if (errors.observed) errors.next(error);
    else error.release();
  };
  const sendAny = (error: TxPacket | undefined): void => {
    if (error !== undefined) send(error);
  };
  const complain = (kind: IcmpErrorKind) => (packet: IpPacket) => sendAny(icmpErrors.about(packet, kind));
  udpHost.unreachable = complain('port-unreachable');
  return {
    errors$: errors.asObservable(),
    send,
    problem: (packet, wrong) => sendAny(icmpErrors.problem(packet, wrong)),
    routed: complain('source-route-failed'),
    expired: complain('reassembly-timeout'),
  };
}

/** Whom ICMP of each version hands its messages to. */
function icmpOptionsOf(
  { options, env, tables, reports, links, multicast, pingHost }: HostParts,
  number: (frame: Frame) => number,
): { readonly icmpOptions: IcmpOptions; readonly icmpv6Options: Icmpv6Options } {
  const neighbourDiscovery = (packet: Ipv6Packet): void => {
    const link = links[number(packet.frame)];
    if (link instanceof EthernetLink) link.ndp.receive(packet);
    else env.drops.report(DropReason.NdpNotForUs, packet.frame, 'ndp');
  };
  const listenerDiscovery = (packet: Ipv6Packet): void => multicast.receiveMld(packet);
  const echoReplies: Icmpv6Options['echoReplies'] & IcmpOptions['echoReplies'] = (message, packet) =>
    pingHost.received(message, packet);
  return {
    icmpOptions: { echoReplies, ...options.icmp, tables, reports },
    icmpv6Options: { echoReplies, ...options.icmpv6, tables, reports, neighbourDiscovery, listenerDiscovery },
  };
}

/** Once there is a way out: addresses are verified, routers looked for, and ours announced. */
function start(parts: HostParts): Observable<never> {
  parts.autoconf.start();
  announce(parts);
  return EMPTY;
}

/** What lives as long as the pipeline, in the order of its end. */
function lives({ autoconf, dns, pingHost, tcpHost, udpHost }: HostParts): readonly { dispose(): void }[] {
  return [autoconf, { dispose: () => dns.cancel() }, pingHost, tcpHost, udpHost];
}

/** The index of the link that a frame came by; with a single link frames need not know their device. */
function deviceNumber(links: readonly IpLink[]): (frame: Frame) => number {
  if (links.length === 1) return () => 0;
  const numbers = new Map(links.map((link, number) => [link.device, number]));
  return (frame) => (frame.device === undefined ? -1 : (numbers.get(frame.device) ?? -1));
}

function announce({ options, links, tables }: HostParts): void {
  if (options.announce !== true) return;
  for (const link of links) {
    if (!(link instanceof EthernetLink)) continue;
    for (const { device, cidr } of tables.addresses.list()) {
      if (device === link.device) link.arp.claims.announce(cidr.address.value);
    }
    for (const { device, cidr, tentative } of tables.addresses6.list()) {
      if (device === link.device && !tentative) link.ndp.advertise(cidr.address);
    }
  }
}
