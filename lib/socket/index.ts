/** The sockets of a host in every shape: Node's `net`, `http` and `dgram`, promises, WHATWG streams. */

export type { ConnectOptions } from './connect-options.js';
export { type BindOptions, DatagramSocket, type DatagramOptions, type NodeDgram, nodeDgram } from './dgram.js';
export { agent, type ServeHttpOptions, serveHttp, StackAgent } from './http.js';
export { connect, listen, type NamedEndpoint, TcpAcceptor, TcpStream, UnexpectedEnd } from './iterate.js';
export { type Lookup, lookup } from './lookup.js';
export { type NetDefaults, type NodeNet, nodeNet } from './net.js';
export { type ListenOptions, Server, type ServerOptions } from './server.js';
export { Socket } from './socket.js';
export type { SocketOptions } from './socket-options.js';
export { connectWeb, type StreamSocket, webStreams } from './web-streams.js';
