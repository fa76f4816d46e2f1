/** Input and output with one system call a frame. */

import type { Frame, FramePool } from '../../lib/core/frame.js';
import { VIRTIO_NET_HEADER, VirtioNetHeader } from '../../lib/wire/virtio-net.js';
import { EINTR } from './errno.js';
import { Landing, LANDING_VECTORS, setVector, VECTOR } from './landing.js';
import { type Libc, SlabAddresses } from './libc.js';
import type { Receiver, TunIo } from './tun-io.js';

/** Bytes read before others get their turn, however few frames they are. */
const READ_BYTES = 1 << 20;

/** What input and output need to know of the device. */
export interface TunIoSettings {
  readonly fd: number;
  readonly vnetHeader: boolean;
  /** Longest frame that is read, where there is no virtio-net header. */
  readonly readSize: number;
  readonly pool: FramePool;
}

/** Plain calls, frames as they are. */
export class CallIo implements TunIo {
  errno = 0;
  private readonly c: Libc;
  private readonly fd: number;
  private readonly pool: FramePool;
  private readonly readSize: number;
  private readonly addresses: SlabAddresses;
  private readonly receiver: Receiver;

  constructor(c: Libc, settings: TunIoSettings, receiver: Receiver) {
    this.c = c;
    this.fd = settings.fd;
    this.pool = settings.pool;
    this.readSize = settings.readSize;
    this.addresses = new SlabAddresses(c);
    this.receiver = receiver;
  }

  read(frames: number): number {
    const { c, fd, pool, readSize, addresses, receiver } = this;
    for (let left = frames; left > 0 && receiver.open; left--) {
      const frame = pool.alloc(readSize);
      const length = c.read(fd, addresses.of(frame.slab) + frame.start, readSize);
      if (length < 0) {
        const errno = c.errno();
        frame.release();
        if (errno === EINTR) continue;
        return errno;
      }
      frame.end = frame.wholeEnd = frame.start + length;
      receiver.receive(frame);
    }
    return 0;
  }

  write(queue: Frame[]): number {
    const { c, fd, addresses } = this;
    let at = 0;
    while (at < queue.length) {
      const frame = queue[at];
      if (frame === undefined) break;
      if (c.write(fd, addresses.of(frame.slab) + frame.start, frame.length) < 0) {
        this.errno = c.errno();
        if (this.errno !== EINTR) break;
      } else at++;
    }
    return at;
  }

  close(): void {}
}

/** Plain calls, frames with a virtio-net header. */
export class VnetCallIo implements TunIo {
  errno = 0;
  private readonly c: Libc;
  private readonly fd: number;
  private readonly addresses: SlabAddresses;
  private readonly receiver: Receiver;
  private readonly landing: Landing;
  // The vectors of reads and writes, and the header of a frame that others hold, too.
  private readonly memory: Uint32Array = new Uint32Array((2 * LANDING_VECTORS * VECTOR + VIRTIO_NET_HEADER) >> 2);
  private readonly view: DataView = new DataView(this.memory.buffer);
  private readonly address: number;

  constructor(c: Libc, settings: TunIoSettings, receiver: Receiver) {
    this.c = c;
    this.fd = settings.fd;
    this.addresses = new SlabAddresses(c);
    this.receiver = receiver;
    this.address = c.address(new Uint8Array(this.memory.buffer));
    this.landing = new Landing(settings.pool, this.addresses, this.memory, 0);
    setVector(this.memory, WRITE_WORD, this.address + HEADER, VIRTIO_NET_HEADER);
  }

  read(frames: number): number {
    const { landing } = this;
    const errno = this.readAll(frames);
    landing.release();
    return errno;
  }

  private readAll(frames: number): number {
    const { c, fd, landing, receiver, address } = this;
    let bytes = 0;
    for (let left = frames; left > 0 && bytes < READ_BYTES && receiver.open; left--) {
      landing.prepare();
      const length = c.readv(fd, address, LANDING_VECTORS);
      if (length < 0) {
        const errno = c.errno();
        if (errno === EINTR) continue;
        return errno;
      }
      bytes += length;
      const frame = landing.take(length);
      if (VirtioNetHeader.strip(frame) === undefined) receiver.receive(frame);
      else receiver.reject(frame);
    }
    return 0;
  }

  write(queue: Frame[]): number {
    let at = 0;
    while (at < queue.length) {
      const frame = queue[at];
      if (frame === undefined) break;
      if (this.writeOne(frame) < 0) {
        this.errno = this.c.errno();
        if (this.errno !== EINTR) break;
      } else at++;
    }
    return at;
  }

  private writeOne(frame: Frame): number {
    const { c, fd } = this;
    const { start, slab } = frame;
    const address = this.addresses.of(slab) + start;
    if (frame.exclusive && start - frame.base >= VIRTIO_NET_HEADER) {
      VirtioNetHeader.describe(frame, start, slab.view, start - VIRTIO_NET_HEADER);
      return c.write(fd, address - VIRTIO_NET_HEADER, VIRTIO_NET_HEADER + frame.length);
    }
    VirtioNetHeader.describe(frame, start, this.view, HEADER);
    setVector(this.memory, WRITE_WORD + 4, address, frame.length);
    return c.writev(fd, this.address + WRITE_WORD * 4, 2);
  }

  close(): void {
    this.landing.release();
  }
}

// Where the vectors of a write are, in words, and the header, in bytes.
const WRITE_WORD = (LANDING_VECTORS * VECTOR) >> 2;
const HEADER = 2 * LANDING_VECTORS * VECTOR;
