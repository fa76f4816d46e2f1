/** Input and output with one system call a frame. */

import type { Frame } from '../../lib/core/frame.js';
import { EINTR } from './errno.js';
import { Landing } from './landing.js';
import { type Libc, SlabAddresses } from './libc.js';
import { Launch, LAUNCH_WORDS } from './launch.js';
import { accept, READ_BYTES, type Receiver, type TunIo, type TunIoSettings } from './tun-io.js';

/** See the module. */
export class CallIo implements TunIo {
  errno = 0;
  readCount = 0;
  readBytes = 0;
  private readonly c: Libc;
  private readonly fd: number;
  private readonly vnetHeader: boolean;
  private readonly receiver: Receiver;
  private readonly landing: Landing;
  private readonly launch: Launch;

  constructor(c: Libc, settings: TunIoSettings, receiver: Receiver) {
    this.c = c;
    this.fd = settings.fd;
    this.vnetHeader = settings.vnetHeader;
    this.receiver = receiver;
    const addresses = new SlabAddresses(c);
    const words = new Uint32Array(LAUNCH_WORDS);
    const address = c.address(new Uint8Array(words.buffer));
    this.landing = new Landing(settings, settings.pool, addresses);
    this.launch = new Launch(this.vnetHeader, addresses, words, 0, address);
  }

  read(frames: number): number {
    const errno = this.readAll(frames);
    this.landing.release();
    return errno;
  }

  private readAll(frames: number): number {
    const { c, fd, landing, receiver, vnetHeader } = this;
    this.readBytes = 0;
    this.readCount = 0;
    while (this.readCount < frames && this.readBytes < READ_BYTES && receiver.open) {
      landing.prepare();
      const length = c.read(fd, landing.address, landing.length);
      if (length < 0) {
        const errno = c.errno();
        if (errno !== EINTR) return errno;
      } else {
        this.readCount++;
        this.readBytes += length;
        accept(receiver, landing.take(length), vnetHeader);
      }
    }
    return 0;
  }

  write(queue: Frame[], count: number): number {
    return this.writeFrom(queue, 0, count);
  }

  /** The same for the frames of the queue from `from` to `end`. */
  writeFrom(queue: Frame[], from: number, end: number): number {
    let at = from;
    while (at < end) {
      const frame = queue[at];
      if (frame === undefined) break;
      if (this.writeOne(frame) >= 0) {
        at++;
        continue;
      }
      this.errno = this.c.errno();
      if (this.errno !== EINTR) break;
    }
    return at - from;
  }

  private writeOne(frame: Frame): number {
    const { launch, c, fd } = this;
    launch.prepare(frame);
    return launch.vectors === 0
      ? c.write(fd, launch.address, launch.length)
      : c.writev(fd, launch.address, launch.vectors);
  }

  close(): void {
    this.landing.release();
  }
}
