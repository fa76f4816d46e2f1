/** What links of ergot use of Node's `net` and `dgram`: a host of ours has the same, `nodeNet` and `nodeDgram`, and carries them as well. */

import type { Duplex } from 'node:stream';
import { UsageError } from '../../lib/core/errors.js';
import type { ErgotSocketAddress } from './listener.js';
import type { ErgotStuffingOptions } from './stuffed-stream.js';

/** What is used of a TCP socket besides that it is a stream. */
export interface TcpStream extends Duplex {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  setNoDelay(on?: boolean): unknown;
  setKeepAlive(on?: boolean, initialDelay?: number): unknown;
}

/** What is used of a TCP server. */
export interface TcpServer {
  readonly listening: boolean;
  listen(options: { readonly port: number; readonly host: string }): unknown;
  on(event: 'connection', listener: (socket: TcpStream) => void): unknown;
  on(event: 'listening' | 'close', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  address(): ErgotSocketAddress | string | null;
  close(closed?: () => void): unknown;
}

/** What is used of `node:net`. */
export interface NetModule {
  connect(options: TcpTarget, connected?: () => void): TcpStream;
  createServer(): TcpServer;
}

/** Where a TCP socket connects to, and from where. */
export interface TcpTarget {
  readonly host: string;
  readonly port: number;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

/** What is used of a UDP socket. */
export interface UdpSocket {
  bind(options: { readonly port: number; readonly address?: string | undefined }): unknown;
  connect(port: number, address: string): unknown;
  on(event: 'message', listener: (message: Uint8Array, from: ErgotSocketAddress) => void): unknown;
  on(event: 'listening' | 'connect' | 'close', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  send(message: Uint8Array, sent: (error: Error | null) => void): unknown;
  send(message: Uint8Array, port: number, address: string, sent: (error: Error | null) => void): unknown;
  address(): ErgotSocketAddress;
  close(closed?: () => void): unknown;
}

/** What is used of `node:dgram`. */
export interface DgramModule {
  createSocket(options: { readonly type: 'udp4' | 'udp6'; readonly reuseAddr?: boolean }): UdpSocket;
}

/** Where ergot's own routers listen. */
export const ERGOT_PORT = 2025;
export const LOOPBACK = '127.0.0.1';
const KEEP_ALIVE = 15_000;

/** What both ends of a TCP connection can be told. */
export interface ErgotTcpSocketOptions extends ErgotStuffingOptions {
  /** Default 127.0.0.1: who is to be reached from elsewhere says so. */
  readonly host?: string;
  /** Default 2025. */
  readonly port?: number;
  /** Milliseconds of silence after which the other end is asked for a sign of life. Default 15,000; `false`: never. */
  readonly keepAlive?: number | false;
  /** Whose TCP it is. Default `node:net`; `nodeNet(host.tcp)` is that of a host of ours. */
  readonly net?: NetModule;
}

/** Makes a socket one for short messages. */
export function tune(socket: TcpStream, keepAlive: number | false = KEEP_ALIVE): void {
  // A frame is a message of its own: it is not to wait for the next (RFC 9293 3.7.4).
  socket.setNoDelay(true);
  if (keepAlive !== false) socket.setKeepAlive(true, keepAlive);
}

/** @throws UsageError `ERR_INVALID_OPTION` for a port that is not in `least`..65535 */
export function checkPort(port: number, least: number): void {
  if (Number.isInteger(port) && port >= least && port <= 65_535) return;
  throw new UsageError('ERR_INVALID_OPTION', `port ${port} is not in ${least}..65535`);
}
