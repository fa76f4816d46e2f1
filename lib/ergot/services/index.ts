/** Services that every ergot node may have. */

export * from './descriptors.js';
export type { GatherOptions } from './gather.js';
export {
  type DeviceInfo,
  discoverDevices,
  type DiscoveryEvents,
  type FoundDevice,
  serveDeviceInfo,
} from './device-info.js';
export { type LogLevel, type LogLine, publishLog, subscribeLogs } from './logs.js';
export {
  type ErgotPingEvent,
  type ErgotPingEvents,
  ErgotPinger,
  type ErgotPingOptions,
  servePing,
} from './ping.js';
export {
  type FoundSocket,
  querySockets,
  serversOf,
  serveSocketQueries,
  type SocketQuery,
  type SocketQueryEvents,
  subscribersOf,
} from './socket-query.js';
export { type AnyDescriptor, WELL_KNOWN_SOCKETS } from './well-known.js';
