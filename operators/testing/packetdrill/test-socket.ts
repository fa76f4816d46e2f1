/** One socket of a script's application: what a kernel keeps of it beside the connection. */

import type { NetError } from '../../../lib/core/errors.js';
import type {
  TcpConnection,
  TcpConnectionOptions,
  TcpHandler,
  TcpListener,
  TcpState,
  TcpWriteOptions,
} from '../../../lib/l4/tcp/api.js';
import type { KeepAlive, Mutable } from './settings.js';

/** What `read` and the like give at once; `undefined` where they would block. */
export type Returned = { readonly value: number; readonly errno?: string } | undefined;

/** A failed call. */
export function failed(errno: string): { readonly value: number; readonly errno: string } {
  return { value: -1, errno };
}

/** A socket with its options and pending error. */
export class TestSocket implements TcpHandler {
  readonly linux: boolean;
  nonBlocking = false;
  boundPort = 0;
  /** `connect` returned before the SYN: it goes to this port, with the first data. */
  deferredTo: number | undefined = undefined;
  listener: TcpListener | undefined = undefined;
  /** The listener has a connection to accept. */
  acceptable = false;
  connection: TcpConnection | undefined = undefined;
  /** `fresh` again after it was disconnected. */
  stage: 'fresh' | 'connecting' | 'connected' | 'told' = 'fresh';
  /** SO_ERROR: told once. */
  error: string | undefined = undefined;
  over = false;
  readShut = false;
  writeShut = false;
  /** In milliseconds. */
  linger: number | undefined = undefined;
  /** A `close` that lingers is done. */
  lingeredOut = false;
  readonly keepAlive: KeepAlive;
  /** What listeners pass on, and connections are made with. */
  options: Mutable<TcpConnectionOptions> = {};
  /** What was set, for those who ask. */
  readonly values: Map<string, number | string> = new Map();

  constructor(linux: boolean, keepAlive: KeepAlive) {
    this.linux = linux;
    this.keepAlive = { ...keepAlive };
  }

  /** The socket of a connection that a listener accepted. */
  static accepted(listening: TestSocket, connection: TcpConnection): TestSocket {
    const socket = new TestSocket(listening.linux, listening.keepAlive);
    socket.options = { ...listening.options };
    for (const [name, value] of listening.values) socket.values.set(name, value);
    socket.linger = listening.linger;
    socket.stage = 'told';
    socket.connection = connection;
    connection.handler = socket;
    socket.applySettings();
    return socket;
  }

  connected(): void {
    this.stage = 'connected';
  }
  readable(): void {}
  writable(): void {}
  flushed(): void {}
  lingered(): void {
    this.lingeredOut = true;
  }
  closed(error: NetError | undefined): void {
    this.over = true;
    if (error === undefined) return;
    // Linux takes a reset after the peer's FIN for a broken pipe.
    const broken = this.linux && error.code === 'ECONNRESET' && this.connection?.readEnded === true;
    this.error = broken ? 'EPIPE' : error.code;
  }

  applyKeepAlive(): void {
    const { on, idle, interval, count } = this.keepAlive;
    this.connection?.setKeepAlive(on, idle, interval, count);
  }

  /** What was set before there was a connection, and is no option of making one. */
  applySettings(): void {
    const { connection } = this;
    this.applyKeepAlive();
    connection?.setLinger(this.linger);
    const receiveBuffer = this.values.get('SO_RCVBUF');
    if (!this.linux && typeof receiveBuffer === 'number') connection?.setReceiveBuffer(receiveBuffer);
    if (this.values.get('TCP_CORK') === 1) connection?.setCork(true);
    if (this.values.get('TCP_QUICKACK') === 0) connection?.setQuickAck(false);
  }

  /** SO_ERROR: also what ICMP reported and did not end the connection. */
  takeAnyError(): string | undefined {
    return this.takeError() ?? this.connection?.takeError()?.code;
  }

  /** Tells the pending error, which then is none any more. */
  takeError(): string | undefined {
    const { error } = this;
    if (error !== undefined) this.connection?.takeError();
    this.error = undefined;
    return error;
  }

  /** A second `connect`, or one that waits. */
  finishConnect(): Returned {
    if (this.stage === 'connected') {
      this.stage = 'told';
      return { value: 0 };
    }
    if (this.stage === 'told') return failed('EISCONN');
    if (!this.over) return undefined;
    this.stage = 'fresh';
    this.connection = undefined;
    this.over = false;
    return failed(this.takeError() ?? 'ECONNABORTED');
  }

  read(max: number, flags: { readonly peek: boolean; readonly all: boolean; readonly wait: boolean }): Returned {
    const { connection } = this;
    if (connection === undefined) return failed(this.takeError() ?? 'ENOTCONN');
    // FreeBSD throws away what comes when nobody will read, Linux keeps it.
    const there = this.readShut && !this.linux ? 0 : connection.readableBytes;
    const ended = hasEnded(connection) || this.over || this.readShut;
    const least = !flags.wait || ended ? 1 : flags.all ? max : Math.min(max, this.lowWater);
    if (there > 0 && there >= least) {
      if (flags.peek) return { value: Math.min(max, there) };
      return { value: this.take(connection, max) };
    }
    if (max === 0) return { value: 0 };
    // Linux looks for the end first, FreeBSD for an error.
    if (this.linux && connection.readEnded) return { value: 0 };
    const error = this.takeError();
    if (error !== undefined) return failed(error);
    return ended ? { value: 0 } : undefined;
  }

  /** SO_RCVLOWAT: how much there is to be at least. */
  private get lowWater(): number {
    return Math.max(1, Number(this.values.get('SO_RCVLOWAT') ?? 1));
  }

  private take(connection: TcpConnection, max: number): number {
    let taken = 0;
    while (taken < max) {
      const bytes = connection.read(max - taken);
      if (bytes === undefined) break;
      taken += bytes.length;
    }
    return taken;
  }

  /** Why nothing can be written, or `undefined`. */
  writeFailure(): Returned {
    if (this.linux && this.error !== undefined) return failed(this.takeError() ?? 'EPIPE');
    if (this.writeShut || this.over) return failed('EPIPE');
    if (this.connection === undefined) return failed(this.linux ? 'EPIPE' : 'ENOTCONN');
    if (!this.linux && this.stage === 'connecting') return failed('ENOTCONN');
    return undefined;
  }

  /** How many bytes the connection takes now. */
  write(bytes: Uint8Array, options: TcpWriteOptions): number {
    return this.connection?.write(bytes, options) ?? 0;
  }

  /** The events of `poll` that are there. */
  get ready(): number {
    const { connection, listener } = this;
    if (listener !== undefined) return this.acceptable ? POLL.IN | POLL.RDNORM : 0;
    let mask = this.error === undefined ? 0 : POLL.ERR;
    if (connection === undefined) return mask | POLL.HUP | POLL.OUT;
    const ended = hasEnded(connection) || this.readShut || this.over;
    if (this.over || (ended && this.writeShut)) mask |= POLL.HUP;
    if (connection.readableBytes >= this.lowWater || ended) mask |= POLL.IN | POLL.RDNORM;
    if (ended) mask |= POLL.RDHUP;
    if (this.stage === 'connecting' && !this.over) return mask;
    if (this.writeShut || this.over || connection.writableBytes > 0) mask |= POLL.OUT | POLL.WRNORM;
    return mask;
  }
}

/** States after the peer's FIN. */
const FIN_CAME: readonly TcpState[] = ['CLOSE-WAIT', 'LAST-ACK', 'CLOSING', 'TIME-WAIT'];

/** Whether nothing will come behind what can be read. */
function hasEnded(connection: TcpConnection): boolean {
  return connection.readEnded || FIN_CAME.includes(connection.state);
}

const POLL = { IN: 1, OUT: 4, ERR: 8, HUP: 0x10, RDNORM: 0x40, WRNORM: 0x100, RDHUP: 0x2000 } as const;
