/** Every operator, the schedulers, and what the operators are made of and take as options. Published as `./operators`. */

// Frames and links.
export { arp } from './l2/arp.js';
export { bridge, type BridgeOptions } from './l2/bridge.js';
export { ethernet, type EthernetOptions, type GroupFilter } from './l2/ethernet.js';
export { rawIp } from './l2/raw-ip.js';
export { tagVlan, vlan } from './l2/vlan.js';
export { EthernetLink, type EthernetLinkOptions } from '../lib/l2/ethernet-link.js';
export { type IpLink, PointToPointLink } from '../lib/l2/link.js';
export type { AddressConflict } from '../lib/l2/arp-claims.js';
export type { NeighbourCache, NeighbourInfo } from '../lib/l2/neighbour.js';
export type { NeighbourEvent, NeighbourState, NeighbourTimes } from '../lib/l2/neighbour-entry.js';

// Internet.
export { icmp } from './l3/icmp.js';
export { icmpv6 } from './l3/icmpv6.js';
export { igmp } from './l3/igmp.js';
export { ipv4, type Ipv4Acceptance, type Ipv4Options } from './l3/ipv4.js';
export { ipv6, type Ipv6Acceptance, type Ipv6Options } from './l3/ipv6.js';
export { reassemble, type ReassembleOptions } from './l3/reassemble.js';
export { routeAndResolve } from './l3/route-and-resolve.js';
export { protocolUnreachable } from './l3/unreachable.js';
export type { EgressOptions } from '../lib/l3/egress.js';
export type { IcmpOptions } from '../lib/l3/icmp.js';
export type { Icmpv6Options } from '../lib/l3/icmpv6.js';
export { IcmpErrors, type IcmpErrorsOptions } from '../lib/l3/icmp-errors.js';
export type { IcmpErrorKind, IcmpReport } from '../lib/l3/icmp-report.js';
export { type IcmpReportHandler, IcmpReports } from '../lib/l3/icmp-reports.js';
export { IpTables, type RouteOptions } from '../lib/l3/ip-tables.js';
export { type InterfaceChoice, Multicast, type MulticastOptions } from '../lib/l3/multicast.js';
export { EVERYTHING, type FilterMode, NOTHING, type SourceFilter, sourceFilter } from '../lib/l3/source-filter.js';

// Translation of addresses.
export { type Nat, nat, type NatOperatorOptions, type NatPacket } from './l3/nat.js';
export type { NatOptions, NatTables, NatTimeouts } from '../lib/l4/nat/options.js';
export type {
  ForwardRule,
  MasqueradeRule,
  NatFilter,
  NatRule,
  SourceOptions,
  SourceRule,
  StaticRule,
} from '../lib/l4/nat/rules.js';
export type { NatEnd, NatMapping, NatSession, NatStats } from '../lib/l4/nat/show.js';

// Networks that stand for others, and versions of IP for each other.
export { type Nat64, nat64, siit, type SiitOptions, type TranslatorOperator } from './l3/nat64.js';
export { type PrefixNat, prefixNat, type PrefixNatRule } from './l3/prefix-nat.js';
export type { AddressMapping } from '../lib/l4/nat64/address-map.js';
export type { Nat64Forward, Nat64Mapping, Nat64Options, Nat64Timeouts } from '../lib/l4/nat64/nat64.js';

// Transports, and their sockets as Observables.
export {
  connect,
  type Datagram,
  datagrams,
  listen,
  type ListenOptions,
  RxConnection,
  type RxDatagrams,
} from './l4/sockets.js';
export { tcp } from './l4/tcp.js';
export { udp } from './l4/udp.js';
export { echoRequests } from './l4/echo-requests.js';
export { ping, type PingObservableOptions } from './l7/ping.js';
export { traceRoute } from './l7/trace-route.js';
export {
  Acknowledgment,
  type Congestion,
  type CongestionFactory,
  type CongestionSettings,
  type CongestionSignal,
} from '../lib/l4/tcp/congestion/congestion.js';
export { Bbr, bbr, type BbrState } from '../lib/l4/tcp/congestion/bbr.js';
export { PathModel } from '../lib/l4/tcp/congestion/bbr-model.js';
export type { CongestionName } from '../lib/l4/tcp/congestion/choose.js';
export { Cubic, cubic } from '../lib/l4/tcp/congestion/cubic.js';
export { LossBased } from '../lib/l4/tcp/congestion/loss-based.js';
export { NewReno, newReno } from '../lib/l4/tcp/congestion/newreno.js';
export type { OptionPolicy } from '../lib/l4/tcp/accecn.js';
export type {
  Endpoint,
  TcpConnection,
  TcpConnectionOptions,
  TcpConnectOptions,
  TcpHandler,
  TcpListener,
  TcpListenOptions,
  TcpState,
} from '../lib/l4/tcp/api.js';
export type { EcnMode } from '../lib/l4/tcp/ecn.js';
export { linuxTcpInfo, type TcpInfo } from '../lib/l4/tcp/info.js';
export type { TcpLimits, TcpOptions } from '../lib/l4/tcp/options.js';
export { TcpHost } from '../lib/l4/tcp/tcp-host.js';
export { PingHost } from '../lib/l4/ping.js';
export { anyEndpoint, UdpHost } from '../lib/l4/udp.js';

// Configuration.
export * from './l7/index.js';

// Flow.
export { batch, type BatchOptions } from './flow/batch.js';
export { type Branches, type Demux, demux, type DemuxOptions } from './flow/demux.js';
export {
  type BurstLoss,
  impair,
  type CoDelOptions,
  type DropTailOptions,
  type Impairments,
  impairOutgoing,
  type QueueOptions,
  type RedOptions,
} from './flow/impair.js';
export { funnel } from './flow/funnel.js';
export { subscribeLast } from './flow/subscribe-last.js';
export { layer, type Step } from './flow/layer.js';
export { frameOf, type Packet } from './flow/packet.js';
export { type Pipeline, pipeline } from './flow/pipeline.js';
export type { StageCounters, StageSpec, Verdict } from './flow/pipeline-stage.js';
export type { PacketTrace, TraceStep } from './flow/pipeline-trace.js';
export type { ByteChange } from '../lib/text/byte-changes.js';
export { type Responder, responder } from './flow/responder.js';
export { retain } from './flow/retain.js';
export { tag, tagOutgoing, type Tags } from './flow/tag.js';
export { trampoline } from './flow/trampoline.js';
export { unbatch } from './flow/unbatch.js';
export { where, whereOutgoing } from './flow/where.js';

// Flows.
export {
  type Conntrack,
  conntrack,
  type ConntrackOptions,
  type FlowEvent,
} from './filter/conntrack.js';
export { Flow, type FlowCount } from '../lib/l4/conntrack/flow.js';
export { type FlowEnd, type FlowObserver, FlowTable } from '../lib/l4/conntrack/flow-table.js';
export { type FlowEnds, FlowTuple } from '../lib/l4/conntrack/flow-tuple.js';
export { DEFAULT_TIMEOUTS, type FlowTimeouts, type TrackingOptions } from '../lib/l4/conntrack/options.js';
export type { TcpPhase } from '../lib/l4/conntrack/tcp-flow.js';

// Observation.
export { type Capturable, capture, type CaptureOptions } from './observe/capture.js';
export { countPackets, PacketCounter } from './observe/count.js';
export { drops$ } from './observe/drops.js';
export { type LogOptions, logPackets } from './observe/log.js';

// Assemblies.
export {
  Autoconf,
  type AutoconfEvent,
  type AutoconfInterface,
  type AutoconfOptions,
  type VerificationOptions,
} from './stack/autoconf.js';
export type { AddressOrigin, DadSettings, SlaacSettings } from '../lib/l3/interface6.js';
export type { RouterAdvertiserOptions } from '../lib/l3/router-advertiser.js';
export { type Policy, PolicyTable } from '../lib/l3/policy-table.js';
export {
  type Host,
  host,
  type HostConflict,
  type HostInterface,
  type HostOptions,
  type HostStats,
} from './stack/host.js';
export { Loopback } from './stack/loopback.js';

// Policy: rules are built with what `./filter` has.
export { type Firewall, firewall, type FirewallOptions } from './filter/firewall.js';
export { rateLimit, type RateLimitOptions } from './filter/rate-limit.js';
export type {
  FilterCounters,
  FilterLog,
  FilterOptions,
  PolicyCounter,
  RuleCounter,
  RuleSource,
} from '../lib/filter/filter.js';
export type { NatStatement, Predicate, Rule, RuleSet } from '../lib/filter/model.js';
export { parseRules } from '../lib/filter/text-parser.js';
export { RuleError, type RuleProblem } from '../lib/filter/rule-error.js';

// Routers.
export { lend } from './flow/lend.js';
export { outgoing } from './flow/outgoing.js';
export { defragment } from './l3/defragment.js';
export { forward } from './l3/forward.js';
export { forwardGroups } from './l3/forward-groups.js';
export { ip } from './l3/ip.js';
export { reversePath, type ReversePathOptions } from './l3/reverse-path.js';
export {
  type RoutedPacket,
  router,
  type Router,
  type RouterHook,
  type RouterHooks,
  type RouterInterface,
  type RouterOptions,
} from './stack/router.js';
export { toDevices } from './stack/to-devices.js';
export { type ForwardCounters, Forwarder, type ForwardInterface, type ForwardOptions } from '../lib/l3/forward.js';
export type { ProxyScope } from '../lib/l3/proxy-neighbours.js';
export type { ReversePathMode } from '../lib/l3/reverse-path.js';
export { RouterRedirects, type RouterRedirectsOptions } from '../lib/l3/router-redirects.js';
export { Decisions, Destination } from '../lib/l3/forward-decisions.js';
export { GroupForwarder, type GroupForwardOptions } from '../lib/l3/forward-groups.js';
export {
  type MulticastOutput,
  type MulticastOutputOptions,
  type MulticastRoute,
  type MulticastRouteOptions,
  MulticastRoutes,
} from '../lib/l3/multicast-routes.js';

// Routes.
export { PrefixMap, type PrefixVisitor } from '../lib/core/prefix-map.js';
export { PrefixSet } from '../lib/core/prefix-set.js';
export { Fib, NOWHERE } from '../lib/l3/fib.js';
export { FlowHash } from '../lib/l3/fib-flow.js';
export {
  type Gateway,
  type LinkParameters,
  type Route,
  type Routes,
  RouteTable,
  type RouteType,
} from '../lib/l3/routes.js';
export { RouteQuery } from '../lib/l3/routing-query.js';
export type { RoutingRule, RoutingSelector, TableId } from '../lib/l3/routing-rules.js';
export { MAIN_RULE, RoutingTables } from '../lib/l3/routing-tables.js';

// Time.
export { defaultEnvironment, environment, type EnvironmentOptions } from './time/environment.js';
export { SimulationScheduler, type SimulationSchedulerOptions } from './time/simulation-scheduler.js';
export { TimerWheel, type TimerWheelOptions } from './time/timer-wheel.js';
export { timersOf } from './time/timers-of.js';

// Filters in the language of tcpdump.
export { type PacketFilter, pcapFilter } from './filter/pcap-filter.js';
export { PcapFilter, PcapFilterError, type PcapFilterOptions } from '../lib/filter/pcap-filter/index.js';
