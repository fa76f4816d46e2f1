/**
 * Where one read of a TAP or TUN puts its frame.
 *
 * Where there are super-segments nobody knows their length before: a frame lands in a small slot, and what does not fit there in a big
 * one, behind the place of the small slot's share. So a small frame needs no copy and keeps no 64 KiB from others, however long
 * somebody holds it, and a super-segment costs a copy of its first part.
 */

import { copyBytes } from '../../lib/core/copy.js';
import type { Frame, FramePool } from '../../lib/core/frame.js';
import { VIRTIO_NET_HEADER } from '../../lib/wire/virtio-net.js';
import type { SlabAddresses } from './libc.js';

/** What a slot of the smallest size holds behind its headroom. */
const SMALL = 1888;
/** The longest IP packet with the longest link header, and one byte more. */
const LARGE = 65_558;

/** Words of a `struct iovec`: address and length, of 8 bytes each. */
export const VECTOR_WORDS = 4;
/** Words that a landing writes. */
export const LANDING_WORDS: number = 2 * VECTOR_WORDS;

/** Writes a `struct iovec`; addresses of user space have 47 bits. */
export function setVector(words: Uint32Array, at: number, address: number, length: number): void {
  words[at] = address;
  words[at + 1] = address / 0x1_0000_0000;
  words[at + 2] = length;
  words[at + 3] = 0;
}

/** How long what lands may be. */
export interface LandingShape {
  readonly vnetHeader: boolean;
  /** Longest frame that is read, where there is no virtio-net header. */
  readonly readSize: number;
}

/** See the module. Frames land with their virtio-net header in front, if they have one. */
export class Landing {
  /** How many vectors its reads have; 0 where the bytes lie in one piece. */
  readonly vectors: number;
  /** Of the bytes, or of the vectors. */
  address = 0;
  /** Of the bytes; or how many vectors. */
  readonly length: number;
  private readonly pool: FramePool;
  private readonly addresses: SlabAddresses;
  private readonly words: Uint32Array;
  private readonly at: number;
  private readonly header: number;
  private readonly room: number;
  private small: Frame | undefined = undefined;
  private large: Frame | undefined = undefined;
  // Slots come back in the order of a stack: most often the vectors are right already.
  private lastSmall: Frame | undefined = undefined;
  private lastLarge: Frame | undefined = undefined;

  /**
   * @param at index in `words` of the first word of its vectors
   * @param address of `words`
   */
  constructor(
    shape: LandingShape,
    pool: FramePool,
    addresses: SlabAddresses,
    words: Uint32Array,
    at: number,
    address: number,
  ) {
    this.pool = pool;
    this.addresses = addresses;
    this.words = words;
    this.at = at;
    this.vectors = shape.vnetHeader ? 2 : 0;
    this.header = shape.vnetHeader ? VIRTIO_NET_HEADER : 0;
    this.room = shape.vnetHeader ? SMALL : shape.readSize;
    this.length = shape.vnetHeader ? this.vectors : this.room;
    if (shape.vnetHeader) this.address = address + 4 * at;
  }

  /** Takes slots where there are none, and writes the vectors. Returns whether `address` is another than before. */
  prepare(): boolean {
    const { address } = this;
    if (this.small === undefined) this.prepareSmall();
    if (this.large === undefined && this.vectors > 0) this.prepareLarge();
    return this.address !== address;
  }

  private prepareSmall(): void {
    const { header, room } = this;
    const small = this.pool.alloc(room);
    this.small = small;
    if (small === this.lastSmall) return;
    this.lastSmall = small;
    const address = this.addresses.of(small.slab) + small.start - header;
    if (this.vectors === 0) this.address = address;
    else setVector(this.words, this.at, address, header + room);
  }

  private prepareLarge(): void {
    const { room } = this;
    const large = this.pool.alloc(LARGE);
    this.large = large;
    if (large === this.lastLarge) return;
    this.lastLarge = large;
    const address = this.addresses.of(large.slab) + large.start + room;
    setVector(this.words, this.at + VECTOR_WORDS, address, LARGE - room);
  }

  /** The frame of `length` bytes that has landed: it is the caller's. */
  take(length: number): Frame {
    const { small, header, room } = this;
    if (small === undefined) throw new TypeError('nothing can have landed');
    if (length > header + room) return this.takeLarge(small, length);
    this.small = undefined;
    return spanned(small, header, length);
  }

  private takeLarge(small: Frame, length: number): Frame {
    const { large, header, room } = this;
    if (large === undefined) throw new TypeError('nothing can have landed');
    this.large = undefined;
    copyBytes(small.slab, small.start - header, large.slab, large.start - header, header + room);
    return spanned(large, header, length);
  }

  /** Gives the slots back. */
  release(): void {
    this.small?.release();
    this.large?.release();
    this.small = this.large = undefined;
  }
}

function spanned(frame: Frame, header: number, length: number): Frame {
  frame.start -= header;
  frame.end = frame.wholeEnd = frame.start + length;
  return frame;
}
