/**
 * What most programs need: a host, its sockets in the shapes of Node, promises and WHATWG streams, and the vocabulary that everything
 * shares. Published as `.`; the operators that a host is made of, and Observable sockets, are in `./operators`.
 */

export {
  type Host,
  host,
  type HostConflict,
  type HostInterface,
  type HostOptions,
  type HostStats,
} from './stack/host.js';
export { defaultEnvironment, environment, type EnvironmentOptions } from './time/environment.js';
export { SimulationScheduler, type SimulationSchedulerOptions } from './time/simulation-scheduler.js';
export { where, whereOutgoing } from './flow/where.js';
export { capture, type CaptureOptions } from './observe/capture.js';
export { countPackets, PacketCounter } from './observe/count.js';
export { drops$ } from './observe/drops.js';
export { logPackets } from './observe/log.js';

// Sockets.
export * from '../lib/socket/index.js';
export type {
  Endpoint,
  TcpConnection,
  TcpConnectionOptions,
  TcpHandler,
  TcpListener,
  TcpListenOptions,
  TcpSockets,
  TcpState,
} from '../lib/l4/tcp/api.js';
export type {
  GroupOptions,
  UdpGroups,
  UdpHandler,
  UdpMessage,
  UdpOptions,
  UdpSocket,
  UdpSockets,
} from '../lib/l4/udp-api.js';

// Configuration.
export type { DhcpHost } from './l7/dhcp-host.js';
export {
  dhcpv4,
  type Dhcpv4Event,
  type Dhcpv4Options,
  type Dhcpv4ServeOptions,
  dhcpv4Server,
  type Dhcpv4ServerEvent,
} from './l7/dhcpv4.js';
export {
  dhcpv6,
  type Dhcpv6Event,
  dhcpv6Information,
  type Dhcpv6InformationOptions,
  type Dhcpv6Options,
} from './l7/dhcpv6.js';
export type { DhcpEvent } from '../lib/l7/dhcpv4-client.js';
export type { DhcpLease } from '../lib/l7/dhcpv4-lease.js';
export type { DhcpBinding } from '../lib/l7/dhcpv4-pool.js';
export type { Dhcpv6Change } from '../lib/l7/dhcpv6-client.js';
export type { Dhcpv6Information } from '../lib/l7/dhcpv6-information.js';
export type { Dhcpv6Lease, Dhcpv6LeaseAddress } from '../lib/l7/dhcpv6-lease.js';
export { type DnsSettings, DnsSources } from '../lib/l7/dns-sources.js';
export type { DhcpOptions, DhcpRoute } from '../lib/wire/dhcpv4-options.js';

// Names.
export { type DnsCode, DnsError } from '../lib/l7/dns-error.js';
export {
  type DnsAnswer,
  type DnsLookupOptions,
  type DnsRequestOptions,
  DnsResolver,
  type DnsResolverOptions,
} from '../lib/l7/dns-resolver.js';
export type { StagesHandler } from '../lib/l7/dns-stages.js';
export { type DnsData, type DnsRecord, DnsType } from '../lib/wire/dns.js';
export { orderDestinations } from '../lib/l3/destination-order.js';

// Diagnosis.
export { ping, type PingObservableOptions } from './l7/ping.js';
export { traceRoute } from './l7/trace-route.js';
export type { PingEvent, PingOptions } from '../lib/l7/ping.js';
export type { TraceOptions, TraceProbe, TraceTransports } from '../lib/l7/trace-route.js';
export type {
  EchoError,
  EchoReply,
  EchoRequest,
  PingHandler,
  PingSocket,
  PingSockets,
} from '../lib/l4/ping-api.js';

// The vocabulary.
export * from '../lib/core/address.js';
export type { Device, DeviceFeatures, Medium } from '../lib/core/device.js';
export { type Drop, DropReason, dropReasonName, dropReasonOf, Drops } from '../lib/core/drops.js';
export type { Env } from '../lib/core/env.js';
export { NetError, type NetCode, type UsageCode, UsageError } from '../lib/core/errors.js';
export {
  asRx,
  asTx,
  asTxPacket,
  Cast,
  ChecksumState,
  Frame,
  FramePool,
  type FramePoolOptions,
  GsoType,
  type RxFrame,
  type TxFrame,
  type TxPacket,
} from '../lib/core/frame.js';
export { type Random, SeededRandom, SystemRandom } from '../lib/core/random.js';
export type { Timer, Timers } from '../lib/core/timers.js';

// Packets as text, and captures.
export { describe, hexdump, type PacketDescription, pretty } from '../lib/text/index.js';
export * from '../lib/capture/index.js';
