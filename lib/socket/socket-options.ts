/** What a `net.Socket` over the stack is made with. */

import type { LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Timers } from '../core/timers.js';
import type { TcpConnection, TcpConnectionOptions, TcpSockets } from '../l4/tcp/api.js';

/** Options of `Socket`. */
export interface SocketOptions {
  /** The host's TCP. */
  readonly tcp: TcpSockets;
  /** The clock of `setTimeout`. Default: that of the process. */
  readonly timers?: Timers | undefined;
  /** Finds the addresses of names, like Node's `dns.lookup`. Default: knows only `localhost`. */
  readonly lookup?: LookupFunction | undefined;
  /** A connection that is established already. */
  readonly connection?: TcpConnection;
  /** Stay writable after the peer's end of stream. Default false: end too. */
  readonly allowHalfOpen?: boolean | undefined;
  readonly readable?: boolean | undefined;
  readonly writable?: boolean | undefined;
  /** Bytes buffered on either side before back-pressure sets in. */
  readonly highWaterMark?: number | undefined;
  readonly noDelay?: boolean | undefined;
  readonly keepAlive?: boolean | undefined;
  /** Milliseconds of silence before the first keepalive probe. */
  readonly keepAliveInitialDelay?: number | undefined;
  /** Destroys the socket with an `AbortError`. */
  readonly signal?: AbortSignal | undefined;
  /** Start paused, reading nothing until `resume`. */
  readonly pauseOnCreate?: boolean;
  /** Buffers, segment size and more of the connections it opens. */
  readonly connectionOptions?: TcpConnectionOptions;
  /** Call the ends of an IPv4 connection `::ffff:10.0.0.1`, as Node does of those that an IPv6 server accepted. Default false. */
  readonly asIpv6?: boolean;
  /** Called when the socket is destroyed: how a server counts. */
  readonly released?: ((socket: Duplex) => void) | undefined;
}
