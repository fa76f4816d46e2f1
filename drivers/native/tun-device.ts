/**
 * A Linux TAP or TUN interface (Documentation/networking/tuntap.rst) as a device.
 *
 * The event loop wakes it when frames are there; it then reads until there are none, or a budget is used up so that others get
 * their turn. What the pipeline sends meanwhile waits until the batch is over; what it sends at other times, until the
 * microtask. No call goes through the thread pool, and nothing is allocated per frame.
 */

import { closeSync } from 'node:fs';
import type { MacAddress } from '../../lib/core/address.js';
import { type Device, type DeviceFeatures, type Medium, NO_FEATURES } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { NetError } from '../../lib/core/errors.js';
import type { Frame, RxFrame, TxFrame } from '../../lib/core/frame.js';
import { ETHERNET_MINIMUM } from '../../lib/wire/ethernet.js';
import type { Observable, Observer } from 'rxjs';
import { Intake, longestLinkHeader, misfit, unhandled } from '../port.js';
import { EAGAIN, EBADFD, EINTR, EINVAL, EIO, ENOBUFS, ENOMEM, systemError } from './errno.js';
import { type Libc, libc, type PollHandle, SlabAddresses } from './libc.js';

/** Frames read before others get their turn. */
const READ_BUDGET = 64;
/** Frames that wait before they are written without waiting for the batch's end. */
const WRITE_BATCH = 64;

/** What an opened descriptor is. */
export interface TunDeviceSettings {
  readonly fd: number;
  readonly name: string;
  readonly medium: Medium;
  readonly mac: MacAddress;
  readonly mtu: number;
  /** Frames that may wait for a device that takes none. */
  readonly queueLimit: number;
}

/** See the module. Takes over the descriptor. */
export class TunDevice implements Device {
  readonly name: string;
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly medium: Medium;
  readonly features: DeviceFeatures = NO_FEATURES;
  readonly frames$: Observable<RxFrame>;
  readonly sink: Observer<TxFrame>;
  private readonly fd: number;
  private readonly env: Env;
  private readonly c: Libc = libc();
  private readonly addresses: SlabAddresses = new SlabAddresses(this.c);
  private readonly intake: Intake;
  private readonly poll: PollHandle;
  private readonly readSize: number;
  private readonly queueLimit: number;
  // A ring would save nothing: the queue is emptied as a whole at every flush.
  private readonly queue: TxFrame[] = [];
  // Short frames are padded here, so that a frame that somebody else holds too is not changed.
  private readonly padded: Uint8Array = new Uint8Array(ETHERNET_MINIMUM);
  private readonly paddedAddress: number;
  private open = true;
  private reading = false;
  private blocked = false;
  private flushDue = false;

  constructor(settings: TunDeviceSettings, env: Env) {
    this.fd = settings.fd;
    this.name = settings.name;
    this.mac = settings.mac;
    this.mtu = settings.mtu;
    this.medium = settings.medium;
    this.queueLimit = settings.queueLimit;
    this.env = env;
    // One byte more than the longest frame: a longer one is seen to be so, instead of being cut.
    this.readSize = settings.mtu + longestLinkHeader(settings.medium) + 1;
    this.paddedAddress = this.c.address(this.padded);
    this.intake = new Intake(this, env);
    this.frames$ = this.intake.frames$;
    this.sink = { next: (frame) => this.send(frame), error: unhandled, complete: () => undefined };
    this.poll = this.c.poll(this.fd, { readable: true }, () => this.wake());
  }

  /** Completes `frames$`; frees the interface, unless it is persistent. What could not be sent yet is dropped. */
  close(): Promise<void> {
    if (this.open) {
      this.flush();
      this.shut();
      this.intake.complete();
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private shut(): void {
    if (!this.open) return;
    this.open = false;
    this.poll.stop();
    this.poll.close();
    closeSync(this.fd);
    for (const frame of this.queue.splice(0)) this.env.drops.refuse(DropReason.DeviceDown, frame, this.name);
  }

  private fail(error: NetError): void {
    if (!this.open) return;
    this.shut();
    this.intake.fail(error);
  }

  private wake(): void {
    try {
      if (this.blocked) this.unblock();
      this.readBatch();
    } catch (error) {
      // The event loop's callback would swallow it.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  private readBatch(): void {
    const time = this.env.timers.now();
    this.reading = true;
    try {
      for (let i = 0; i < READ_BUDGET && this.open; i++) {
        if (!this.readOne(time)) break;
      }
    } finally {
      this.reading = false;
    }
    this.flush();
  }

  /** Reads and delivers one frame; false when there is none. */
  private readOne(time: number): boolean {
    const { env, c } = this;
    const frame = env.pool.alloc(this.readSize);
    const length = c.read(this.fd, this.addresses.of(frame.slab) + frame.start, this.readSize);
    if (length < 0) {
      frame.release();
      return this.readFailed(c.errno());
    }
    frame.end = frame.wholeEnd = frame.start + length;
    const wrong = misfit(frame, this.medium, this.mtu);
    if (wrong === undefined) {
      this.intake.deliver(frame, time);
    } else {
      frame.device = this;
      frame.time = time;
      env.drops.refuse(wrong, frame, this.name);
    }
    return true;
  }

  private readFailed(errno: number): boolean {
    if (errno === EINTR) return true;
    if (errno === EAGAIN) return false;
    this.fail(this.failure(errno, 'read'));
    return false;
  }

  private failure(errno: number, syscall: string): NetError {
    if (errno === EBADFD)
      return new NetError('ENODEV', `interface ${this.name} is gone: ENODEV (${syscall})`, { syscall });
    return systemError(errno, syscall, `interface ${this.name} failed`);
  }

  private send(frame: TxFrame): void {
    const wrong = this.open ? misfit(frame, this.medium, this.mtu) : DropReason.DeviceDown;
    if (wrong !== undefined) return this.env.drops.refuse(wrong, frame, this.name);
    if (this.queue.length >= this.queueLimit)
      return this.env.drops.refuse(DropReason.DeviceQueueFull, frame, this.name);
    this.queue.push(frame);
    if (this.blocked) return;
    if (this.queue.length >= WRITE_BATCH) this.flush();
    else if (!this.reading && !this.flushDue) this.flushLater();
  }

  private flushLater(): void {
    this.flushDue = true;
    queueMicrotask(() => {
      this.flushDue = false;
      this.flush();
    });
  }

  private flush(): void {
    const { queue } = this;
    if (queue.length === 0 || this.blocked || !this.open) return;
    let sent = 0;
    for (; sent < queue.length; sent++) {
      const frame = queue[sent];
      if (frame === undefined || !this.write(frame)) break;
      frame.release();
    }
    if (sent === queue.length) queue.length = 0;
    else if (sent > 0) queue.splice(0, sent);
  }

  /** Writes a frame; false if it must stay in the queue (or the device has failed, and the queue was emptied). */
  private write(frame: Frame): boolean {
    for (;;) {
      if (this.writeOnce(frame) >= 0) return true;
      const errno = this.c.errno();
      if (errno === EINTR) continue;
      if (errno === EAGAIN || errno === ENOBUFS || errno === ENOMEM) return this.block();
      // The interface is down, or the kernel does not take such a packet: the device itself is well.
      if (errno === EIO || errno === EINVAL) {
        this.env.drops.refuse(DropReason.DeviceDown, frame.retain(), this.name);
        return true;
      }
      this.fail(this.failure(errno, 'write'));
      return false;
    }
  }

  private writeOnce(frame: Frame): number {
    const { bytes } = frame.slab;
    const { length } = frame;
    if (length >= ETHERNET_MINIMUM || this.medium === 'ip') {
      return this.c.write(this.fd, this.addresses.of(frame.slab) + frame.start, length);
    }
    const { padded } = this;
    for (let i = 0; i < ETHERNET_MINIMUM; i++) padded[i] = i < length ? (bytes[frame.start + i] ?? 0) : 0;
    return this.c.write(this.fd, this.paddedAddress, ETHERNET_MINIMUM);
  }

  private block(): false {
    this.blocked = true;
    this.poll.start({ readable: true, writable: true }, () => this.wake());
    return false;
  }

  private unblock(): void {
    this.blocked = false;
    this.poll.start({ readable: true }, () => this.wake());
    this.flush();
  }
}
