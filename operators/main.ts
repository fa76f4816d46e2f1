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
export { router, type Router, type RouterInterface, type RouterOptions } from './stack/router.js';
export { toDevices } from './stack/to-devices.js';
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
  TcpConnectOptions,
  TcpHandler,
  TcpListener,
  TcpListenOptions,
  TcpShutdown,
  TcpSockets,
  TcpState,
  TcpWriteOptions,
} from '../lib/l4/tcp/api.js';
export type { CongestionName } from '../lib/l4/tcp/congestion/choose.js';
export type { CongestionFactory } from '../lib/l4/tcp/congestion/congestion.js';
export type { EcnMode } from '../lib/l4/tcp/ecn.js';
export type { TcpLimits, TcpOptions } from '../lib/l4/tcp/options.js';
export { linuxTcpInfo, type TcpCongestionState, type TcpInfo } from '../lib/l4/tcp/info.js';
export type {
  GroupOptions,
  UdpArrival,
  UdpErrorHandler,
  UdpGroups,
  UdpHandler,
  UdpMessage,
  UdpOptions,
  UdpSocket,
  UdpSockets,
  UdpViewer,
} from '../lib/l4/udp-api.js';

// Configuration.
export * from './l7/index.js';

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
