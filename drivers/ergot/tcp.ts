/** A link of ergot over TCP, which connects again when it has to. */

import net from 'node:net';
import { BehaviorSubject, type Observable } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { NetError, UsageError } from '../../lib/core/errors.js';
import type { TxFrame } from '../../lib/core/frame.js';
import type { Timer } from '../../lib/core/timers.js';
import { ERGOT_MTU, ErgotLink } from './ergot-link.js';
import { Retries, type ErgotRetryOptions } from './retry.js';
import { checkPort, ERGOT_PORT, LOOPBACK, type ErgotTcpSocketOptions, type TcpStream, tune } from './sockets.js';
import { checkSendQueue, type StreamOwner, StuffedStream } from './stuffed-stream.js';

const CONNECT_TIMEOUT = 10_000;

/** Options of {@link ergotOverTcp}. */
export interface ErgotTcpOptions extends ErgotTcpSocketOptions {
  /** Our end. Default: as the routes say, and any port. */
  readonly localAddress?: string;
  readonly localPort?: number;
  /** How to go on without a connection; `false`: not at all, the device ends with its only connection. */
  readonly retry?: ErgotRetryOptions | false;
  /** Milliseconds that an attempt to connect may take. Default 10,000. */
  readonly connectTimeout?: number;
  /** Default `tcp`, host and port. */
  readonly name?: string;
}

/** A link over TCP, which outlives its connections. */
export interface ErgotTcpDevice extends Device {
  /** Whether there is a connection. What is sent without one is dropped as `DeviceDown`. */
  readonly connected$: Observable<boolean>;
  readonly connected: boolean;
}

class TcpLink extends ErgotLink implements ErgotTcpDevice, StreamOwner {
  readonly connected$: BehaviorSubject<boolean> = new BehaviorSubject(false);
  private readonly options: ErgotTcpOptions;
  private readonly retries: Retries;
  private readonly timer: Timer;
  private socket: TcpStream | undefined = undefined;
  private stuffed: StuffedStream | undefined = undefined;

  constructor(name: string, options: ErgotTcpOptions, env: Env) {
    super(name, options.mtu ?? ERGOT_MTU, env);
    const { retry = {} } = options;
    this.options = options;
    this.retries = new Retries(retry === false ? { attempts: 1 } : retry, env.random);
    this.timer = env.timers.timer(() => this.onTimer());
    this.connect();
  }

  get connected(): boolean {
    return this.connected$.value;
  }

  heard(bytes: Uint8Array, length: number): void {
    this.retries.reset();
    this.deliver(bytes, length);
  }

  ended(error: Error | undefined): void {
    this.lost(error);
  }

  protected override transmit(frame: TxFrame): void {
    if (this.stuffed === undefined) this.env.drops.refuse(DropReason.DeviceDown, frame, this.name);
    else this.stuffed.send(frame);
  }

  protected override detach(): void {
    const { stuffed, socket } = this;
    this.timer.cancel();
    this.stuffed = this.socket = undefined;
    if (stuffed === undefined) socket?.destroy();
    else stuffed.close();
    if (this.connected) this.connected$.next(false);
    this.connected$.complete();
  }

  private connect(): void {
    const { host = LOOPBACK, port = ERGOT_PORT, localAddress, localPort } = this.options;
    const { net: tcp = net, connectTimeout = CONNECT_TIMEOUT } = this.options;
    const socket = tcp.connect({ host, port, localAddress, localPort });
    let failure: Error | undefined;
    this.socket = socket;
    this.timer.arm(this.env.timers.now() + connectTimeout);
    socket.once('connect', () => this.established(socket));
    socket.once('error', (error) => (failure = error));
    socket.once('close', () => {
      // Once it is established its stream tells.
      if (this.socket === socket && this.stuffed === undefined) this.lost(failure);
    });
  }

  private established(socket: TcpStream): void {
    if (this.socket !== socket) return;
    this.timer.cancel();
    tune(socket, this.options.keepAlive);
    this.stuffed = new StuffedStream(socket, this.options, this, this.env);
    this.connected$.next(true);
  }

  private lost(error: Error | undefined): void {
    const wasConnected = this.connected;
    this.stuffed = this.socket = undefined;
    if (wasConnected) this.connected$.next(false);
    if (!this.open) return;
    const wait = this.retries.next();
    if (wait !== undefined) this.timer.arm(this.env.timers.now() + wait);
    else if (error === undefined && wasConnected) void this.close();
    else this.fail(error ?? new NetError('ECONNRESET', `${this.name}: no connection`));
  }

  /** It waited long enough: for the next attempt, or for this one. */
  private onTimer(): void {
    const { socket } = this;
    if (socket === undefined) return this.connect();
    this.socket = undefined;
    socket.destroy();
    const { host, port } = this.options;
    return this.lost(NetError.of('ETIMEDOUT', 'connect', host, port));
  }
}

/**
 * Makes a link over a TCP connection, which it opens, and opens again when it is lost. Frames are stuffed as in {@link ergotOverStream}. What is sent while there
 * is no connection is dropped.
 *
 * **Drops** as `ergotOverStream`; `DeviceDown` without a connection.
 * **State and timers** as that; a timer while there is no connection.
 *
 * @throws UsageError `ERR_INVALID_OPTION`. The device fails, with the error of the last attempt, only where attempts are limited.
 * @example
 * const link = ergotOverTcp({ port: 2025, retry: { most: 1000 } }, env);
 * node.plug(link);
 */
export function ergotOverTcp(options: ErgotTcpOptions, env: Env): ErgotTcpDevice {
  const { host = LOOPBACK, port = ERGOT_PORT, name = `tcp:${host}:${port}`, connectTimeout = 1 } = options;
  checkPort(port, 1);
  checkPort(options.localPort ?? 0, 0);
  checkSendQueue(options);
  if (!(connectTimeout > 0)) throw new UsageError('ERR_INVALID_OPTION', `no time to connect: ${connectTimeout} ms`);
  return new TcpLink(name, options, env);
}
