/**
 * A Linux TAP or TUN interface (Documentation/networking/tuntap.rst) as a device.
 *
 * The event loop wakes it when frames are there; it then reads until there are none, or a budget is used up so that others get
 * their turn. What the pipeline sends meanwhile waits until the batch is over; what it sends at other times, until the
 * microtask. No call goes through the thread pool, and nothing is allocated per frame.
 */

import { closeSync } from 'node:fs';
import type { MacAddress } from '../../lib/core/address.js';
import type { Device, DeviceFeatures, Medium } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { NetError } from '../../lib/core/errors.js';
import { asTx, type Frame, type RxFrame, type TxFrame } from '../../lib/core/frame.js';
import { Coalescer } from '../../lib/wire/coalescing.js';
import { endsConnection } from '../../lib/wire/ends-connection.js';
import { ETHERNET_MINIMUM } from '../../lib/wire/ethernet.js';
import { leavesChecksumOfUdp, mergeDatagram } from '../../lib/wire/merging-datagrams.js';
import { networkOffset } from '../../lib/wire/network-offset.js';
import type { Observable, Observer } from 'rxjs';
import { Intake, longestLinkHeader, misfit, Outlet, unhandled } from '../port.js';
import { CallIo } from './call-io.js';
import { BusyPoll } from './busy-poll.js';
import { EAGAIN, EBADFD, EINTR, EINVAL, EIO, ENOBUFS, ENOMEM, systemError } from './errno.js';
import { type Libc, libc } from './libc.js';
import { type OpenedTun, setPersistence } from './open-tun.js';
import type { PollHandle } from './readiness.js';
import type { TrafficWatch } from './traffic.js';
import type { TunDeviceOptions } from './tun-options.js';
import type { IoKind, Receiver, TunIo, TunIoSettings } from './tun-io.js';
import { UringIo } from './uring-io.js';
import { watchTraffic } from './watch-traffic.js';

/** Frames read before others get their turn. */
const READ_BUDGET = 64;
/** Frames, and their bytes, that wait before they are written without waiting for the batch's end. */
const WRITE_BATCH = 64;
const WRITE_BYTES = 128 * 1024;

// What the kernel does not do, the outlet does.
const FEATURES: DeviceFeatures = { checksum: true, segmentation: true, udpSegmentation: true };

function openIo(kind: IoKind, c: Libc, settings: TunIoSettings, receiver: Receiver): TunIo {
  if (kind === 'calls') return new CallIo(c, settings, receiver);
  try {
    return new UringIo(c, settings, receiver);
  } catch (error) {
    if (kind === 'uring') throw error;
    return new CallIo(c, settings, receiver);
  }
}

/** What `make` makes; where it throws, `undo` goes first. */
function orElse<T>(make: () => T, undo: () => void): T {
  try {
    return make();
  } catch (error) {
    undo();
    throw error;
  }
}

/** Of the first `count` frames, in bytes. */
function lengthOf(frames: readonly TxFrame[], count: number): number {
  let length = 0;
  for (let i = 0; i < count; i++) length += frames[i]?.length ?? 0;
  return length;
}

/** What an opened descriptor is. */
export interface TunDeviceSettings extends OpenedTun {
  readonly medium: Medium;
  readonly mac: MacAddress;
}

/** See the module. Takes over the descriptor. */
export class TunDevice implements Device, Receiver {
  readonly name: string;
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly medium: Medium;
  readonly features: DeviceFeatures = FEATURES;
  readonly frames$: Observable<RxFrame>;
  readonly sink: Observer<TxFrame>;
  /** Until it is closed, or has failed. */
  open = true;
  private readonly fd: number;
  private readonly env: Env;
  private readonly io: TunIo;
  private readonly intake: Intake;
  private readonly coalescer: Coalescer | undefined;
  private readonly outlet: Outlet;
  /** Whether the kernel takes super-segments of UDP. */
  private readonly mergesDatagrams: boolean;
  private readonly poll: PollHandle;
  private readonly busyPoll: BusyPoll;
  private readonly watch: TrafficWatch | undefined;
  private readonly queueLimit: number;
  /** Frames that wait, of a queue of that limit, before they are written: unless the interface takes none it is never full. */
  private readonly writeBatch: number;
  // Its first `queued` wait. A ring would save nothing: all are written at every flush. And to set the length would cost more than a frame.
  private readonly queue: TxFrame[] = [];
  private queued = 0;
  private queuedBytes = 0;
  // The time of a batch.
  private time = 0;
  private lastCount = 0;
  private reading = false;
  private budget = 0;
  private ending = false;
  private count = 0;
  private bytes = 0;
  private errno = 0;
  private blocked = false;
  private flushDue = false;

  /**
   * @throws NetError where `io` is `uring`, there is a `wakeLatency`, `receiveProcessors` are adaptive, or it is said whether the interface is to stay,
   *   and that cannot be had; the descriptor is then closed
   */
  constructor(
    settings: TunDeviceSettings,
    options: TunDeviceOptions,
    env: Env,
    c: Libc = libc(),
    watch: typeof watchTraffic = watchTraffic,
  ) {
    const { fd, medium, offloads } = settings;
    const { mtu = 1500, sendQueue = 1024, io = 'auto', busyPoll = 0, coalesce = true, persist } = options;
    const { vnetHeader, udpSegmentation } = offloads;
    this.fd = fd;
    this.name = settings.name;
    this.mac = settings.mac;
    this.mtu = mtu;
    this.medium = medium;
    this.queueLimit = sendQueue;
    this.writeBatch = Math.min(WRITE_BATCH, sendQueue);
    this.env = env;
    // One byte more than the longest frame: a longer one is seen to be so, instead of being cut.
    const readSize = mtu + longestLinkHeader(medium) + 1;
    this.watch = orElse(
      () => watch(settings, options, env.timers),
      () => closeSync(fd),
    );
    this.io = orElse(
      () => openIo(io, c, { fd, vnetHeader, readSize, pool: env.pool }, this),
      () => {
        this.watch?.close();
        closeSync(fd);
      },
    );
    this.intake = new Intake(this, env);
    this.frames$ = this.intake.frames$;
    this.coalescer =
      vnetHeader || !coalesce ? undefined : new Coalescer(env.pool, (frame) => this.intake.deliver(frame, this.time));
    const able = { checksum: vnetHeader, segmentation: vnetHeader, udpSegmentation };
    this.mergesDatagrams = vnetHeader && udpSegmentation;
    this.outlet = new Outlet(this, env, (frame) => this.enqueue(frame), able);
    this.sink = { next: (frame) => this.send(frame), error: unhandled, complete: () => undefined };
    this.busyPoll = new BusyPoll(busyPoll, () => this.look());
    this.poll = c.poll(fd, { readable: true }, () => void this.look());
    if (persist === undefined) return;
    // Last: an interface that could not be opened does not stay.
    orElse(
      () => setPersistence(c, settings, persist),
      () => this.shut(),
    );
  }

  /** Completes `frames$`; frees the interface, unless it is persistent. What could not be sent yet is dropped. */
  close(): Promise<void> {
    if (this.open) this.flush();
    if (this.open) {
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
    this.busyPoll.stop();
    this.watch?.close();
    this.poll.stop();
    this.poll.close();
    this.io.close();
    closeSync(this.fd);
    const left = this.queue.splice(0).slice(0, this.queued);
    this.queued = 0;
    for (const frame of left) this.env.drops.refuse(DropReason.DeviceDown, frame, this.name);
  }

  private fail(error: NetError): void {
    if (!this.open) return;
    this.shut();
    // It may be that the pipeline is sending: it is not told from inside of that.
    queueMicrotask(() => this.intake.fail(error));
  }

  /** Reads and writes what can be; whether there was anything. Does not throw: its callers would swallow that. */
  private look(): boolean {
    if (!this.open) return true;
    try {
      if (this.blocked) this.unblock();
      // What a batch leads to happens in one moment.
      this.env.timers.asOne(this.batch);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
    return this.lastCount > 0;
  }

  private readonly batch = (): void => this.readBatch();

  private readBatch(): void {
    this.time = this.env.timers.now();
    this.count = 0;
    this.bytes = 0;
    let errno = 0;
    // Where frames come one by one, the answer does not wait for the discovery that there is no second.
    if (this.lastCount <= 1) errno = this.read(1);
    if (errno === 0 && this.open) errno = this.read(READ_BUDGET);
    const { count, bytes } = this;
    this.lastCount = count;
    if (count > 0) {
      this.busyPoll.extend();
      this.watch?.received(count, bytes);
    }
    if (errno !== 0 && errno !== EAGAIN) this.fail(this.failure(errno, 'read'));
  }

  /** Reads up to so many frames, and sends what the pipeline makes of them. */
  private read(frames: number): number {
    this.reading = true;
    this.budget = frames;
    this.errno = 0;
    try {
      this.env.timers.asOne(this.bringIn);
    } finally {
      this.reading = false;
    }
    this.flush();
    return this.errno;
  }

  private readonly bringIn = (): void => {
    try {
      // Whoever has ended a connection may begin the next one at once, and waits for that, not for the end.
      do this.take();
      while (this.ending && this.errno === 0 && this.open && this.count < READ_BUDGET);
    } finally {
      // A pipeline that threw has not had the rest of the batch.
      this.coalescer?.flush();
    }
  };

  private take(): void {
    this.ending = false;
    this.errno = this.io.read(this.budget);
    this.count += this.io.readCount;
    this.bytes += this.io.readBytes;
  }

  /** For its input: delivers a frame. */
  receive(frame: Frame): void {
    if (this.budget === 1) this.ending = endsConnection(frame, this.medium);
    const wrong = misfit(frame, this.medium, this.mtu);
    if (wrong !== undefined) this.refuse(wrong, frame);
    else if (this.coalescer === undefined) this.intake.deliver(frame, this.time);
    else this.coalescer.push(frame, networkOffset(frame, this.medium));
  }

  /** For its input. */
  reject(frame: Frame): void {
    this.refuse(DropReason.EthernetTruncated, frame);
  }

  private refuse(reason: DropReason, frame: Frame): void {
    frame.device = this;
    frame.time = this.time;
    this.env.drops.refuse(reason, frame, this.name);
  }

  private failure(errno: number, syscall: string): NetError {
    if (errno === EBADFD)
      return new NetError('ENODEV', `interface ${this.name} is gone: ENODEV (${syscall})`, { syscall });
    return systemError(errno, syscall, `interface ${this.name} failed`);
  }

  private send(frame: TxFrame): void {
    if (this.open) this.outlet.next(frame);
    else this.env.drops.refuse(DropReason.DeviceDown, frame, this.name);
  }

  private enqueue(frame: TxFrame): void {
    // It may have failed between two pieces of a super-segment.
    if (!this.open) return this.env.drops.refuse(DropReason.DeviceDown, frame, this.name);
    if (this.mergesDatagrams && leavesChecksumOfUdp(frame) && this.merge(frame)) return;
    if (this.queued >= this.queueLimit) return this.env.drops.refuse(DropReason.DeviceQueueFull, frame, this.name);
    const { length } = frame;
    this.queue[this.queued] = this.medium === 'ethernet' && length < ETHERNET_MINIMUM ? this.padded(frame) : frame;
    this.queued++;
    this.queuedBytes += length;
    if (this.blocked) return;
    if (this.queued >= this.writeBatch || this.queuedBytes >= WRITE_BYTES) this.flush();
    else if (!this.reading && !this.flushDue) this.flushLater();
  }

  /** Makes a datagram part of the last frame of the queue, where both can be one; then it is done with. */
  private merge(frame: TxFrame): boolean {
    const { queue, queued } = this;
    const last = queue[queued - 1];
    if (queued === 0 || last === undefined) return false;
    const whole = mergeDatagram(last, frame, this.medium, this.env.pool);
    if (whole === undefined) return false;
    queue[queued - 1] = asTx(whole);
    this.queuedBytes += frame.length;
    frame.release();
    if (this.queuedBytes >= WRITE_BYTES && !this.blocked) this.flush();
    return true;
  }

  /** The kernel does not pad. A frame that somebody else holds, too, is not changed. */
  private padded(frame: TxFrame): TxFrame {
    if (frame.writable && frame.start + ETHERNET_MINIMUM <= frame.limit) {
      frame.pad(ETHERNET_MINIMUM);
      return frame;
    }
    const copy = this.env.pool.copy(frame, ETHERNET_MINIMUM);
    copy.pad(ETHERNET_MINIMUM);
    frame.release();
    return asTx(copy);
  }

  private flushLater(): void {
    this.flushDue = true;
    queueMicrotask(() => {
      this.flushDue = false;
      this.flush();
    });
  }

  private flush(): void {
    const { queue, io } = this;
    if (this.queued > 0) this.busyPoll.extend();
    while (this.queued > 0 && !this.blocked && this.open) {
      const written = io.write(queue, this.queued);
      this.watch?.sent(written, lengthOf(queue, written));
      for (let i = 0; i < written; i++) queue[i]?.release();
      if (written === this.queued) {
        this.queued = 0;
      } else {
        this.forget(written);
        this.writeFailed(io.errno);
      }
    }
    this.queuedBytes = 0;
  }

  /** Takes so many off the front of the queue. */
  private forget(frames: number): void {
    this.queue.copyWithin(0, frames, this.queued);
    this.queued -= frames;
  }

  /** The first frame of the queue was not taken. */
  private writeFailed(errno: number): void {
    if (errno === EINTR) return;
    if (errno === EAGAIN || errno === ENOBUFS || errno === ENOMEM) return this.block();
    if (errno === EIO || errno === EINVAL) {
      // The interface is down, or the kernel does not take such a packet: the device itself is well.
      const [frame] = this.queue;
      this.forget(1);
      if (frame !== undefined) this.env.drops.refuse(DropReason.DeviceDown, frame, this.name);
    } else {
      this.fail(this.failure(errno, 'write'));
    }
  }

  private block(): void {
    this.blocked = true;
    this.poll.start({ readable: true, writable: true }, () => void this.look());
  }

  private unblock(): void {
    this.blocked = false;
    this.poll.start({ readable: true }, () => void this.look());
    this.flush();
  }
}
