/**
 * ergot: nodes as operators, their profiles, services and patterns, the addresses and codecs that they are made of, and the links that carry their
 * frames. Published as `./ergot`. The only index that also names drivers: who uses ergot needs links of it.
 */

export * from '../../lib/ergot/index.js';
export * from './ergot.js';
export * from './services/index.js';
export { ergotOverEthernet, listenErgotEthernet } from '../../drivers/ergot/ethernet.js';
export type {
  ErgotEthernetLinkOptions,
  ErgotEthernetListenerOptions,
  ErgotEthernetOptions,
} from '../../drivers/ergot/ethernet.js';
export type {
  ErgotListener,
  ErgotPeerOptions,
  ErgotSocketAddress,
  ErgotSocketListener,
} from '../../drivers/ergot/listener.js';
export type { ErgotRetryOptions } from '../../drivers/ergot/retry.js';
export type {
  DgramModule,
  ErgotTcpSocketOptions,
  NetModule,
  TcpServer,
  TcpStream,
  UdpSocket as ErgotUdpSocket,
} from '../../drivers/ergot/sockets.js';
export {
  ergotOverStream,
  type ErgotStreamOptions,
  type ErgotStuffingOptions,
  type ErgotWebStream,
} from '../../drivers/ergot/stream.js';
export { ergotOverTcp, type ErgotTcpDevice, type ErgotTcpOptions } from '../../drivers/ergot/tcp.js';
export { listenErgotTcp, type ErgotTcpListenerOptions } from '../../drivers/ergot/tcp-listener.js';
export { ergotOverUdp, type ErgotUdpDevice, type ErgotUdpOptions } from '../../drivers/ergot/udp.js';
export { listenErgotUdp, type ErgotUdpListenerOptions } from '../../drivers/ergot/udp-listener.js';
export type { ErgotUdpSocketOptions } from '../../drivers/ergot/udp-socket.js';
