/**
 * Where one read of a TAP or TUN puts its frame, whose length nobody knows before: in a small slot, and what does not fit there in a big
 * one behind the place of the small slot's share. So a small frame needs no copy and keeps no 64 KiB from others, however long somebody
 * holds it, and a super-segment costs a copy of its first part.
 */

import type { Frame, FramePool } from '../../lib/core/frame.js';
import { VIRTIO_NET_HEADER } from '../../lib/wire/virtio-net.js';
import type { SlabAddresses } from './libc.js';

/** What a slot of the smallest size holds behind its headroom. */
const SMALL = 1888;
/** The longest IP packet with the longest link header, and one byte more. */
const LARGE = 65_558;

/** Bytes of a `struct iovec`: address and length. */
export const VECTOR = 16;
/** Vectors of one read. */
export const LANDING_VECTORS = 2;

/** Writes a `struct iovec`; addresses of user space have 47 bits. */
export function setVector(words: Uint32Array, at: number, address: number, length: number): void {
  words[at] = address;
  words[at + 1] = address / 0x1_0000_0000;
  words[at + 2] = length;
  words[at + 3] = 0;
}

/** See the module. Frames land with their virtio-net header in front. */
export class Landing {
  private readonly pool: FramePool;
  private readonly addresses: SlabAddresses;
  private readonly words: Uint32Array;
  private readonly at: number;
  private small: Frame | undefined = undefined;
  private large: Frame | undefined = undefined;
  // Slots come back in the order of a stack: most often the vectors are right already.
  private lastSmall: Frame | undefined = undefined;
  private lastLarge: Frame | undefined = undefined;

  /** @param at index in `words` of the first word of its two vectors */
  constructor(pool: FramePool, addresses: SlabAddresses, words: Uint32Array, at: number) {
    this.pool = pool;
    this.addresses = addresses;
    this.words = words;
    this.at = at;
  }

  /** Takes slots where there are none and writes the vectors. */
  prepare(): void {
    if (this.small === undefined) {
      const small = this.pool.alloc(SMALL);
      this.small = small;
      if (small !== this.lastSmall) {
        const address = this.addresses.of(small.slab) + small.start - VIRTIO_NET_HEADER;
        setVector(this.words, this.at, address, VIRTIO_NET_HEADER + SMALL);
        this.lastSmall = small;
      }
    }
    if (this.large !== undefined) return;
    const large = this.pool.alloc(LARGE);
    this.large = large;
    if (large === this.lastLarge) return;
    setVector(this.words, this.at + 4, this.addresses.of(large.slab) + large.start + SMALL, LARGE - SMALL);
    this.lastLarge = large;
  }

  /** The frame of `length` bytes that has landed: it is the caller's. */
  take(length: number): Frame {
    const { small, large } = this;
    if (small === undefined || large === undefined) throw new TypeError('nothing can have landed');
    if (length <= VIRTIO_NET_HEADER + SMALL) {
      this.small = undefined;
      return spanned(small, length);
    }
    this.large = undefined;
    const from = small.start - VIRTIO_NET_HEADER;
    large.slab.bytes.set(small.slab.bytes.subarray(from, small.start + SMALL), large.start - VIRTIO_NET_HEADER);
    return spanned(large, length);
  }

  /** Gives the slots back. */
  release(): void {
    this.small?.release();
    this.large?.release();
    this.small = this.large = undefined;
  }
}

function spanned(frame: Frame, length: number): Frame {
  frame.start -= VIRTIO_NET_HEADER;
  frame.end = frame.wholeEnd = frame.start + length;
  return frame;
}
