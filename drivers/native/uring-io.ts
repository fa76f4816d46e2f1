/** Input and output of many frames with one system call, through io_uring; of few with a plain call each, which is then faster. */

import type { Frame } from '../../lib/core/frame.js';
import { CallIo } from './call-io.js';
import { EINTR } from './errno.js';
import { Landing } from './landing.js';
import { Launch, LAUNCH_WORDS } from './launch.js';
import { type Libc, SlabAddresses } from './libc.js';
import { accept, READ_BYTES, type Receiver, type TunIo, type TunIoSettings } from './tun-io.js';
import { Uring, UringOp } from './uring.js';

/** Requests that go together at most. */
const BATCH = 64;
/** Fewer than this go by plain calls. */
const WORTH = 4;
/** Frames that are longer than this on average gain nothing: it is copying them that takes the time. */
const LONG = 8192;

/** See the module. */
export class UringIo implements TunIo {
  errno = 0;
  readCount = 0;
  readBytes = 0;
  private readonly calls: CallIo;
  private readonly ring: Uring;
  private readonly vnetHeader: boolean;
  private readonly receiver: Receiver;
  private readonly landings: readonly Landing[];
  private readonly launches: readonly Launch[];
  private readonly waiting: Frame[] = [];
  /** How many of the landings may have a slot. */
  private prepared = 0;
  /** How many frames the next batch is expected to bring. */
  private expected = 0;
  private usable = true;

  /** @throws NetError where the kernel has no io_uring, does not allow it here, or would have it wait for this file */
  constructor(c: Libc, settings: TunIoSettings, receiver: Receiver) {
    // What is read may lead to writes before all of it has been looked at: those have places, and results, of their own.
    this.ring = new Uring(c, settings.fd, 2 * BATCH);
    this.calls = new CallIo(c, settings, receiver);
    this.vnetHeader = settings.vnetHeader;
    this.receiver = receiver;
    const addresses = new SlabAddresses(c);
    const words = new Uint32Array(BATCH * LAUNCH_WORDS);
    const address = c.address(new Uint8Array(words.buffer));
    const numbers = Array.from({ length: BATCH }, (_, i) => i);
    this.landings = numbers.map(() => new Landing(settings, settings.pool, addresses));
    this.launches = numbers.map((i) => new Launch(settings.vnetHeader, addresses, words, i * LAUNCH_WORDS, address));
  }

  read(frames: number): number {
    this.readCount = 0;
    this.readBytes = 0;
    const errno = this.expected < WORTH || !this.usable ? this.readSingly(frames) : this.readTogether(frames);
    this.expected = this.readBytes > LONG * this.readCount ? 0 : this.readCount;
    return errno;
  }

  private readSingly(frames: number): number {
    const { calls } = this;
    const errno = calls.read(frames);
    this.readCount += calls.readCount;
    this.readBytes += calls.readBytes;
    return errno;
  }

  private readTogether(frames: number): number {
    const { receiver } = this;
    // One more than is expected finds out that there are no more.
    let batch = this.expected + 1;
    let errno = 0;
    while (errno === 0 && this.readCount < frames && this.readBytes < READ_BYTES && receiver.open) {
      batch = Math.min(batch, BATCH, frames - this.readCount);
      errno = this.readBatch(batch);
      batch *= 2;
    }
    this.release();
    return errno;
  }

  private readBatch(batch: number): number {
    const { ring, landings } = this;
    this.prepared = Math.max(this.prepared, batch);
    for (let i = 0; i < batch; i++) {
      const landing = landings[i];
      if (landing === undefined) break;
      if (landing.prepare()) ring.set(i, UringOp.Read, landing.address, landing.length);
      ring.add(i);
    }
    if (ring.run() !== 0) this.usable = false;
    const { results } = ring;
    let errno = 0;
    for (let i = 0; i < batch; i++) {
      const result = results[i] ?? 0;
      if (result >= 0) this.accept(landings[i], result);
      else if (result !== -EINTR) errno = -result;
    }
    return errno;
  }

  private accept(landing: Landing | undefined, length: number): void {
    // What was read already when the device was closed is nobody's, and its slots have been given back.
    if (landing === undefined || !this.receiver.open) return;
    this.readCount++;
    this.readBytes += length;
    accept(this.receiver, landing.take(length), this.vnetHeader);
  }

  write(queue: Frame[], count: number): number {
    let at = 0;
    while (at < count) {
      const batch = Math.min(BATCH, count - at);
      const isFew = batch < WORTH || !this.usable;
      const taken = isFew ? this.writeSingly(queue, at, batch) : this.writeBatch(queue, at, batch);
      at += taken;
      if (taken < batch) break;
    }
    return at;
  }

  private writeSingly(queue: Frame[], from: number, batch: number): number {
    const { calls } = this;
    const taken = calls.writeFrom(queue, from, from + batch);
    this.errno = calls.errno;
    return taken;
  }

  private writeBatch(queue: Frame[], from: number, batch: number): number {
    const { ring, launches } = this;
    for (let i = 0; i < batch; i++) {
      const frame = queue[from + i];
      const launch = launches[i];
      if (frame === undefined || launch === undefined) break;
      launch.prepare(frame);
      const { vectors } = launch;
      if (vectors === 0) ring.set(BATCH + i, UringOp.Write, launch.address, launch.length);
      else ring.set(BATCH + i, UringOp.Writev, launch.address, vectors);
      ring.add(BATCH + i);
    }
    if (ring.run() !== 0) this.usable = false;
    return this.sort(queue, from, batch);
  }

  /** Brings the frames that were taken in front of those that were not. */
  private sort(queue: Frame[], from: number, batch: number): number {
    const { waiting } = this;
    const { results } = this.ring;
    let taken = 0;
    for (let i = 0; i < batch; i++) {
      const frame = queue[from + i];
      if (frame === undefined) break;
      const result = results[BATCH + i] ?? 0;
      if (result >= 0) {
        queue[from + taken++] = frame;
        continue;
      }
      if (waiting.length === 0) this.errno = -result;
      waiting.push(frame);
    }
    for (let i = 0; i < waiting.length; i++) {
      const frame = waiting[i];
      if (frame !== undefined) queue[from + taken + i] = frame;
    }
    waiting.length = 0;
    return taken;
  }

  close(): void {
    this.calls.close();
    this.release();
    this.ring.close();
  }

  /** Gives back what landings still have: the last first, so that each has the same slot the next time. */
  private release(): void {
    for (let i = this.prepared - 1; i >= 0; i--) this.landings[i]?.release();
    this.prepared = 0;
  }
}
