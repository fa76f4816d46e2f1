/** The drivers that need nothing native; TAP and TUN are entry points of their own. */

export * from './bridge.js';
export * from './compliance.js';
export * from './file-sink.js';
export * from './link.js';
export * from './pcap-file.js';
export * from './port.js';
export * from './translator.js';
export * from './tuntap2.js';
export * from './vlan.js';
export * from './vxlan.js';

// Links of ergot: devices of medium `ergot`, for `plug` of an ergot node.
export type { ErgotListener, ErgotSocketListener, ErgotPeerOptions, ErgotSocketAddress } from './ergot/listener.js';
export {
  type ErgotEthernetLinkOptions,
  type ErgotEthernetListenerOptions,
  type ErgotEthernetOptions,
  ergotOverEthernet,
  listenErgotEthernet,
} from './ergot/ethernet.js';
export {
  type ErgotStreamOptions,
  ergotOverStream,
  type ErgotStuffingOptions,
  type ErgotWebStream,
} from './ergot/stream.js';
export { ERGOT_PORT, type ErgotTcpSocketOptions, type NetModule, type DgramModule } from './ergot/sockets.js';
export type { ErgotRetryOptions } from './ergot/retry.js';
export { type ErgotTcpDevice, type ErgotTcpOptions, ergotOverTcp } from './ergot/tcp.js';
export { type ErgotTcpListenerOptions, listenErgotTcp } from './ergot/tcp-listener.js';
export { type ErgotUdpDevice, type ErgotUdpOptions, ergotOverUdp } from './ergot/udp.js';
export { type ErgotUdpListenerOptions, listenErgotUdp } from './ergot/udp-listener.js';
export type { ErgotUdpSocketOptions, UdpType } from './ergot/udp-socket.js';
