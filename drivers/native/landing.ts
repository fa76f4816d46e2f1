/**
 * Where one read of a TAP or TUN puts its frame.
 *
 * Where there are super-segments nobody knows a frame's length before: all land in a big slot, in one piece. A small frame is then copied
 * to a small slot, so that it keeps no 64 KiB from others, however long somebody holds it, and the big one stays where it is for the
 * next; a super-segment takes it along. A read into two pieces, one for each slot, costs more than that copy.
 */

import { copyBytes } from '../../lib/core/copy.js';
import { type Frame, type FramePool, SMALL_ROOM } from '../../lib/core/frame.js';
import { VIRTIO_NET_HEADER } from '../../lib/wire/virtio-net.js';
import type { SlabAddresses } from './libc.js';

/** The longest IP packet with the longest link header, and one byte more. */
const LARGE = 65_558;

/** How long what lands may be. */
export interface LandingShape {
  readonly vnetHeader: boolean;
  /** Longest frame that is read, where there is no virtio-net header. */
  readonly readSize: number;
}

/** See the module. Frames land with their virtio-net header in front, if they have one. */
export class Landing {
  address = 0;
  /** How many bytes are read at most. */
  readonly length: number;
  private readonly pool: FramePool;
  private readonly addresses: SlabAddresses;
  private readonly header: number;
  private readonly room: number;
  /** Longest frame that is copied; -1 where the slot is no larger than it need be. */
  private readonly copied: number;
  private slot: Frame | undefined = undefined;
  // Slots come back in the order of a stack: most often the address is right already.
  private last: Frame | undefined = undefined;

  constructor({ vnetHeader, readSize }: LandingShape, pool: FramePool, addresses: SlabAddresses) {
    this.pool = pool;
    this.addresses = addresses;
    this.header = vnetHeader ? VIRTIO_NET_HEADER : 0;
    this.room = vnetHeader ? LARGE : readSize;
    this.length = this.header + this.room;
    this.copied = vnetHeader ? VIRTIO_NET_HEADER + SMALL_ROOM : -1;
  }

  /** Takes a slot where there is none. Returns whether `address` is another than before. */
  prepare(): boolean {
    if (this.slot !== undefined) return false;
    const slot = this.pool.alloc(this.room);
    this.slot = slot;
    if (slot === this.last) return false;
    this.last = slot;
    this.address = this.addresses.of(slot.slab) + slot.start - this.header;
    return true;
  }

  /** The frame of `length` bytes that has landed: it is the caller's. */
  take(length: number): Frame {
    const { slot, header } = this;
    if (slot === undefined) throw new TypeError('nothing can have landed');
    let frame = slot;
    if (length > this.copied) {
      this.slot = undefined;
    } else {
      frame = this.pool.alloc(SMALL_ROOM);
      copyBytes(slot.slab, slot.start - header, frame.slab, frame.start - header, length);
    }
    frame.start -= header;
    frame.end = frame.wholeEnd = frame.start + length;
    return frame;
  }

  /** Gives the slot back. */
  release(): void {
    this.slot?.release();
    this.slot = undefined;
  }
}
