/**
 * A device of the `tuntap2` package's: that package opens a TAP or TUN and is a Duplex of it; this adapts it. The package is an
 * optional peer, known here only by its shape: nothing is imported from it.
 *
 * Its reads and writes go through Node's streams, and so through the thread pool: `drivers/tap` is an order of magnitude faster.
 */

import type { Observable, Observer } from 'rxjs';
import { MacAddress } from '../lib/core/address.js';
import { type Device, type DeviceFeatures, type Medium, NO_FEATURES } from '../lib/core/device.js';
import { DropReason } from '../lib/core/drops.js';
import type { Env } from '../lib/core/env.js';
import { NetError } from '../lib/core/errors.js';
import type { RxFrame, TxFrame } from '../lib/core/frame.js';
import { ETHERNET_MINIMUM } from '../lib/wire/ethernet.js';
import { Intake, misfit, Outlet, unhandled } from './port.js';

/** What is used of an instance of `Tap` or `Tun` of `tuntap2`: one chunk is one frame. */
export interface TunTap2 {
  readonly name: string;
  /** Of the kernel's side; a TUN has none. */
  readonly mac?: string | undefined;
  mtu: number;
  ipv4?: string | undefined;
  ipv6?: string | undefined;
  isUp: boolean;
  on(event: 'data', listener: (chunk: Uint8Array) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'close' | 'drain', listener: () => void): unknown;
  off(event: 'data', listener: (chunk: Uint8Array) => void): unknown;
  off(event: 'close' | 'drain', listener: () => void): unknown;
  /** False when the stream's buffer is full; `drain` tells when it has room. */
  write(chunk: Uint8Array): boolean;
  release(): unknown;
}

/** Until the stream is asked how many frames it takes is not known: so many more than may wait for it are held. */
const NOT_ASKED = 1024;

/** Options of {@link tuntap2}. */
export interface TunTap2Options {
  /** Default `ethernet`, unless the instance has no MAC address. */
  readonly medium?: Medium;
  /** MAC address of this side. Default: the kernel side's with its last bit changed. */
  readonly mac?: MacAddress | string;
  /** Frames that wait while the stream is full; more are dropped. Default 1024. */
  readonly sendQueue?: number;
}

class TunTap2Device implements Device {
  readonly name: string;
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly medium: Medium;
  readonly features: DeviceFeatures = NO_FEATURES;
  readonly frames$: Observable<RxFrame>;
  readonly sink: Observer<TxFrame>;
  private readonly tunTap: TunTap2;
  private readonly env: Env;
  private readonly intake: Intake;
  private readonly outlet: Outlet;
  private readonly queueLimit: number;
  private readonly queue: TxFrame[] = [];
  private open = true;
  private full = false;
  private readonly onData = (chunk: Uint8Array): void => this.receive(chunk);
  private readonly onDrain = (): void => this.flush();
  private readonly onClose = (): void => this.fail(new NetError('ENODEV', `interface ${this.name} is gone: ENODEV`));

  constructor(tunTap: TunTap2, options: TunTap2Options, env: Env) {
    const { medium = tunTap.mac === undefined ? 'ip' : 'ethernet', sendQueue = 1024 } = options;
    this.tunTap = tunTap;
    this.env = env;
    this.name = tunTap.name;
    this.mtu = tunTap.mtu;
    this.medium = medium;
    this.mac = medium === 'ip' ? MacAddress.ZERO : MacAddress.of(options.mac ?? neighbourOf(tunTap.mac ?? ''));
    this.queueLimit = sendQueue;
    this.intake = new Intake(this, env);
    this.frames$ = this.intake.frames$;
    this.outlet = new Outlet(this, env, (frame) => this.enqueue(frame));
    this.sink = { next: (frame) => this.send(frame), error: unhandled, complete: () => undefined };
    tunTap.on('data', this.onData);
    tunTap.on('drain', this.onDrain);
    tunTap.on('close', this.onClose);
    // Stays after the end: an error without a listener would end the process.
    tunTap.on('error', (error) => this.fail(new NetError('EIO', `interface ${this.name} failed: ${error.message}`)));
  }

  close(): Promise<void> {
    if (this.open) {
      this.shut();
      this.tunTap.release();
      this.intake.complete();
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private shut(): void {
    this.open = false;
    this.tunTap.off('data', this.onData);
    this.tunTap.off('drain', this.onDrain);
    this.tunTap.off('close', this.onClose);
    for (const frame of this.queue.splice(0)) this.env.drops.refuse(DropReason.DeviceDown, frame, this.name);
  }

  private fail(error: NetError): void {
    if (!this.open) return;
    this.shut();
    try {
      this.tunTap.release();
    } catch {
      // What has failed may have nothing left to release; why it failed is told below.
    }
    this.intake.fail(error);
  }

  private receive(chunk: Uint8Array): void {
    const { pool, drops, timers } = this.env;
    const frame = pool.alloc(chunk.length);
    frame.slab.bytes.set(chunk, frame.put(chunk.length));
    const wrong = misfit(frame, this.medium, this.mtu);
    if (wrong === undefined) this.intake.deliver(frame, timers.now());
    else drops.refuse(wrong, frame, this.name);
  }

  private send(frame: TxFrame): void {
    if (this.open) this.outlet.next(frame);
    else this.env.drops.refuse(DropReason.DeviceDown, frame, this.name);
  }

  private enqueue(frame: TxFrame): void {
    if (this.queue.length >= this.queueLimit + (this.full ? 0 : NOT_ASKED)) return this.overflow(frame);
    this.queue.push(frame);
    // A stream may emit from inside of write(): it is written to when the pipeline has returned.
    if (this.queue.length === 1 && !this.full) queueMicrotask(this.onDrain);
  }

  private flush(): void {
    this.full = false;
    while (this.open && !this.full) {
      const frame = this.queue.shift();
      if (frame === undefined) return;
      // The stream keeps the chunk, so it needs memory of its own; short frames are padded with zeros.
      const chunk = new Uint8Array(this.medium === 'ip' ? frame.length : Math.max(frame.length, ETHERNET_MINIMUM));
      chunk.set(frame.bytes());
      frame.release();
      this.full = !this.tunTap.write(chunk);
    }
    // Whether they would have to wait was not known before.
    for (const frame of this.queue.splice(this.queueLimit)) this.overflow(frame);
  }

  private overflow(frame: TxFrame): void {
    this.env.drops.refuse(DropReason.DeviceQueueFull, frame, this.name);
  }
}

function neighbourOf(mac: string): MacAddress {
  const { value } = MacAddress.parse(mac);
  return new MacAddress(value % 2 === 0 ? value + 1 : value - 1);
}

/**
 * Makes a device of an instance of `tuntap2`, and takes it over: it is released when the device is closed, or fails.
 *
 * @throws UsageError `ERR_INVALID_ADDRESS`
 * @example
 * const tap = new Tap();
 * tap.ipv4 = '10.77.0.1/24';
 * tap.isUp = true;
 * const device = tuntap2(tap, {}, environment());
 */
export function tuntap2(instance: TunTap2, options: TunTap2Options, env: Env): Device {
  return new TunTap2Device(instance, options, env);
}
