/**
 * What one write to a TAP or TUN is to take: a frame as it lies in its slot, with its virtio-net header in front of it in its headroom, or,
 * where somebody else holds the frame too and it must stay as it is, in a place of the driver's.
 */

import type { Frame } from '../../lib/core/frame.js';
import { VIRTIO_NET_HEADER, VirtioNetHeader } from '../../lib/wire/virtio-net.js';
import type { SlabAddresses } from './libc.js';

/** Words of a `struct iovec`: address and length, of 8 bytes each. */
const VECTOR_WORDS = 4;

/** Words that it uses: two vectors, and a header. */
export const LAUNCH_WORDS: number = 2 * VECTOR_WORDS + VIRTIO_NET_HEADER / 4;

/** See the module. */
export class Launch {
  /** Of the bytes that go, or of the vectors. */
  address = 0;
  /** Of the bytes. */
  length = 0;
  /** How many vectors; 0 where the bytes lie in one piece. */
  vectors = 0;
  private readonly vnetHeader: boolean;
  private readonly addresses: SlabAddresses;
  private readonly words: Uint32Array;
  private readonly view: DataView;
  private readonly at: number;
  private readonly own: number;

  /**
   * @param at index in `words` of the first word that is its own
   * @param address of `words`
   */
  constructor(vnetHeader: boolean, addresses: SlabAddresses, words: Uint32Array, at: number, address: number) {
    this.vnetHeader = vnetHeader;
    this.addresses = addresses;
    this.words = words;
    this.view = new DataView(words.buffer);
    this.at = at;
    this.own = address + 4 * at;
    setVector(words, at, this.own + HEADER, VIRTIO_NET_HEADER);
  }

  /** Says what is to be written. */
  prepare(frame: Frame): void {
    const { start, slab } = frame;
    this.address = this.addresses.of(slab) + start;
    this.length = frame.end - start;
    this.vectors = 0;
    if (!this.vnetHeader) return;
    if (frame.ownsHeadroom && start - frame.base >= VIRTIO_NET_HEADER) {
      VirtioNetHeader.describe(frame, start, slab.view, start - VIRTIO_NET_HEADER);
      this.address -= VIRTIO_NET_HEADER;
      this.length += VIRTIO_NET_HEADER;
      return;
    }
    VirtioNetHeader.describe(frame, start, this.view, 4 * this.at + HEADER);
    setVector(this.words, this.at + VECTOR_WORDS, this.address, this.length);
    this.address = this.own;
    this.vectors = 2;
  }
}

/** Where the header is, in bytes behind the vectors. */
const HEADER = 4 * 2 * VECTOR_WORDS;

/** Writes a `struct iovec`; addresses of user space have 47 bits. */
function setVector(words: Uint32Array, at: number, address: number, length: number): void {
  words[at] = address;
  words[at + 1] = address / 0x1_0000_0000;
  words[at + 2] = length;
  words[at + 3] = 0;
}
