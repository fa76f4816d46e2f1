/**
 * Frames: a buffer, a range into it, and what is known about the packet inside.
 *
 * A {@link Frame} occupies one slot of a {@link Slab}. On the way in each layer narrows the range (`start` moves forward
 * past its header, `end` cuts padding); on the way out each layer pushes its header in front, into headroom that was
 * reserved once. Nothing is copied and no view object of the bytes is made per layer.
 *
 * Frames are counted references into a {@link FramePool}. Whoever makes or receives one owns one reference and gives it
 * back with `release()`, or hands it on (a sink takes over the reference of the frame that it is given). A driver releases a
 * received frame when its synchronous `next` returns: to keep it longer, `retain()` it.
 */

import type { IpAddress } from './address.js';
import { arena, type ArenaPiece } from './arena.js';
import type { Device } from './device.js';
import { UsageError } from './errors.js';
import { Slab } from './slab.js';

export { Slab } from './slab.js';

/** Bytes kept free in front of a frame: link header with two tags, the longest IP and TCP headers, a virtio-net header. */
export const HEADROOM = 160;

/** Offset value of a layer that has not been parsed. */
export const NOT_PARSED = -1;

/** What is known of a frame's transport checksum. */
export const ChecksumState = {
  /** Nothing: it must be verified on the way in, and is complete on the way out. */
  None: 0,
  /** It is right: the device verified it, or the packet never was on a wire. A super-segment's counts for all that it stands for. */
  Valid: 1,
  /**
   * Only the pseudo-header's sum is in the field; whoever sends the frame on a wire completes it from `checksumStart`. On the way in the
   * same, from a sender of this machine: the bytes are right.
   */
  Partial: 2,
} as const;
export type ChecksumState = (typeof ChecksumState)[keyof typeof ChecksumState];

/** Kinds of segmentation offload, with the numbers of the virtio-net header. */
export const GsoType = { None: 0, TcpV4: 1, Udp: 3, TcpV6: 4, UdpL4: 5 } as const;
export type GsoType = (typeof GsoType)[keyof typeof GsoType];

/** How a packet was addressed, on the link or in IP. */
export const Cast = { Unicast: 0, Multicast: 1, Broadcast: 2 } as const;
export type Cast = (typeof Cast)[keyof typeof Cast];

/** What connection tracking found out about a packet; what is in `Frame.flowState`. */
export const FlowState = { Untracked: 0, New: 1, Established: 2, Related: 3, Invalid: 4 } as const;
export type FlowState = (typeof FlowState)[keyof typeof FlowState];

/** What became of a frame: 0 while it is under way, a `DropReason` (> 0) once dropped, {@link DELIVERED} once taken. */
export const UNDER_WAY = 0;
export const DELIVERED = -1;

/** The way on that was chosen for a packet: by a device, to a router or to the destination itself. A `Route` is one. */
export interface ChosenRoute {
  /** Default `unicast`: the others lead nowhere. */
  readonly type?: 'unicast' | 'blackhole' | 'unreachable' | 'prohibit';
  readonly device: Device;
  readonly gateway?: IpAddress;
  /** Largest packet in bytes, where it is less than the device's. */
  readonly mtu?: number;
  readonly limit?: { readonly mtu: number };
}

/** Bits of {@link Frame.views}. */
export const FrameView = { Link: 1, Ipv4: 2, Ipv6: 4 } as const;

/** A packet: the bytes `start` (inclusive) to `end` (exclusive) of a slot in a slab, and its metadata. */
export class Frame {
  readonly slab: Slab;
  /** First byte of the slot: headers may be pushed down to here. */
  readonly base: number;
  /** End of the slot. */
  readonly limit: number;
  start: number;
  end: number;
  /** The device that received the frame, or that is to send it; `undefined` where there is only one. */
  device: Device | undefined = undefined;
  /** When it was received, in milliseconds of the environment's clock. */
  time = 0;
  /** Offset of the link header, or {@link NOT_PARSED}. */
  link: number = NOT_PARSED;
  /** Offset of the IP header, or {@link NOT_PARSED}. */
  network: number = NOT_PARSED;
  /** End of the received packet before any layer narrowed it. */
  wholeEnd = 0;
  linkCast: Cast = Cast.Unicast;
  ipCast: Cast = Cast.Unicast;
  checksum: ChecksumState = ChecksumState.None;
  /** With a partial checksum: offset of the first summed byte, and of the field. */
  checksumStart = 0;
  checksumField = 0;
  gsoType: GsoType = GsoType.None;
  /** Payload bytes of each segment that the device is to make of this frame. */
  gsoSize = 0;
  /** A number of the user's, set by firewall rules and kept from layer to layer. */
  mark = 0;
  /** A number that identifies the flow, or 0. */
  flow = 0;
  flowState: FlowState = FlowState.Untracked;
  /** Whether it goes the other way than the first packet of its flow. */
  flowReply = false;
  /** The device that a router chose to send it by, as long as `device` still is the one that it came from. */
  output: Device | undefined = undefined;
  /** The whole of that choice; what sends packets asks no further. */
  route: ChosenRoute | undefined = undefined;
  /** The same of a packet that a router sends itself: errors about such are for its sockets, and the path's MTU counts. */
  ownRoute: ChosenRoute | undefined = undefined;
  /** Of a packet that was put together on its way: the largest of its fragments, in bytes of their IP packets. 0: it came whole. */
  fragmentSize = 0;
  /** What a translator of addresses decided where the packet came in, for itself where it goes out; 0 for nothing. */
  translation = 0;
  /** A packet that finds out how much its path carries: of what is known of the path only the MTU of the first link holds it back. */
  mtuProbe = false;
  /** An IPv6 packet that is not to be cut by us: what the flag of that name says in IPv4. */
  dontFragment = false;
  /** See {@link UNDER_WAY}. */
  fate: number = UNDER_WAY;
  /** Whether more than one subscriber sees this frame, so that no one may change its bytes. */
  shared = false;
  /** Whether one reference is that of a queue that may send the payload again: of no interest to it is what stands in front. */
  isKept = false;
  /**
   * Views of the headers, made once for a slot and used by one packet after the other: `EthernetFrame.of` and its like. Each packet has each
   * of them once, {@link Frame.views} says which it has by the bits of {@link FrameView}; further views, of a tunnel's inner header, are objects
   * of their own. A view is valid as long as the frame.
   */
  linkView: object | undefined = undefined;
  ipv4View: object | undefined = undefined;
  ipv6View: object | undefined = undefined;
  views = 0;
  private references = 1;
  private handedOver = false;
  private readonly pool: FramePool | undefined;

  constructor(slab: Slab, base: number, limit: number, pool?: FramePool) {
    this.slab = slab;
    this.base = base;
    this.limit = limit;
    this.start = base;
    this.end = base;
    this.pool = pool;
  }

  /** A frame of its own memory that holds a copy of `bytes`, with {@link HEADROOM} in front. */
  static from(bytes: Uint8Array): Frame {
    const slab = new Slab(HEADROOM + bytes.length);
    slab.bytes.set(bytes, HEADROOM);
    const frame = new Frame(slab, 0, slab.bytes.length);
    frame.start = HEADROOM;
    frame.end = frame.wholeEnd = slab.bytes.length;
    return frame;
  }

  /** Bytes in the range. */
  get length(): number {
    return this.end - this.start;
  }

  /** The bytes of the range, as a view that is valid only as long as the frame; for the edges, not for the hot path. */
  bytes(): Uint8Array {
    return this.slab.bytes.subarray(this.start, this.end);
  }

  /**
   * Makes room for a header of `length` bytes in front and returns the offset where it starts. The caller writes every byte.
   *
   * @throws UsageError `ERR_NO_HEADROOM`
   */
  push(length: number): number {
    if (this.start - length < this.base) {
      throw new UsageError('ERR_NO_HEADROOM', `no headroom for a header of ${length} bytes`);
    }
    this.start -= length;
    return this.start;
  }

  /**
   * Makes room for `length` bytes at the end and returns the offset where they start. The caller writes every byte.
   *
   * @throws UsageError `ERR_FRAME_TOO_LARGE`
   */
  put(length: number): number {
    const at = this.end;
    if (at + length > this.limit) {
      throw new UsageError('ERR_FRAME_TOO_LARGE', `no room for ${length} more bytes`);
    }
    this.end = at + length;
    return at;
  }

  /** Appends zeroed padding until the range holds `length` bytes. */
  pad(length: number): void {
    const missing = length - this.length;
    if (missing > 0) {
      const at = this.put(missing);
      this.slab.bytes.fill(0, at, at + missing);
    }
  }

  /** Takes one more reference: the frame stays valid until it is released as often as it was retained. */
  retain(): this {
    if (this.references === 0) throw new UsageError('ERR_FRAME_RELEASED', 'retain() of a frame that was released');
    this.references++;
    return this;
  }

  /** Gives one reference back; the last one returns the slot to its pool. */
  release(): void {
    if (this.references === 0) throw new UsageError('ERR_FRAME_RELEASED', 'release() of a frame that was released');
    // Whose reference this was, nobody knows.
    this.handedOver = false;
    if (--this.references === 0) this.pool?.recycle(this);
  }

  /**
   * The same as {@link Frame.retain}, by one to whom a frame is lent and who promises that from here on it is looked at by the new reference
   * alone: where nobody else has one, its bytes may be changed although the driver is still to give its own back.
   */
  handOver(): this {
    const { exclusive } = this;
    this.retain();
    this.handedOver = exclusive;
    return this;
  }

  /** How many references there are to it. */
  get holders(): number {
    return this.references;
  }

  /** Whether its bytes may be changed in place: nobody but the driver and the caller holds it. */
  get exclusive(): boolean {
    return this.references === 1 && !this.shared;
  }

  /** Whether what is in front of the range may be written, though perhaps no byte of the range changed. */
  get ownsHeadroom(): boolean {
    return this.exclusive || (this.isKept && this.references === 2 && !this.shared);
  }

  /** Whether whoever was given a reference of its own may change the bytes: nobody else will look at them. */
  get writable(): boolean {
    return this.exclusive || (this.handedOver && this.references === 2);
  }

  /** Copies the metadata of `other` that describes the packet rather than its place in memory. */
  adopt(other: Frame): void {
    const shift = this.start - other.start;
    this.device = other.device;
    this.time = other.time;
    this.link = other.link < 0 ? NOT_PARSED : other.link + shift;
    this.network = other.network < 0 ? NOT_PARSED : other.network + shift;
    this.wholeEnd = other.wholeEnd + shift;
    this.linkCast = other.linkCast;
    this.ipCast = other.ipCast;
    this.checksum = other.checksum;
    this.checksumStart = other.checksumStart + shift;
    this.checksumField = other.checksumField + shift;
    this.gsoType = other.gsoType;
    this.gsoSize = other.gsoSize;
    this.mark = other.mark;
    this.flow = other.flow;
    this.flowState = other.flowState;
    this.flowReply = other.flowReply;
    this.output = other.output;
    this.route = other.route;
    this.ownRoute = other.ownRoute;
    this.fragmentSize = other.fragmentSize;
    this.translation = other.translation;
    this.mtuProbe = other.mtuProbe;
    this.dontFragment = other.dontFragment;
  }

  /** Forgets what is known of the packet's headers and flow: of the same bytes it is another one, inside of it or around it. */
  renew(): void {
    this.device = this.output = undefined;
    this.route = this.ownRoute = undefined;
    this.link = this.network = NOT_PARSED;
    this.linkCast = this.ipCast = Cast.Unicast;
    this.flow = this.translation = this.fragmentSize = 0;
    this.flowState = FlowState.Untracked;
    this.flowReply = false;
    this.mtuProbe = this.dontFragment = false;
    this.views = 0;
  }

  /** For the pool: a recycled slot becomes a new, empty frame. */
  reset(): void {
    this.start = this.end = this.wholeEnd = this.base + HEADROOM;
    this.device = undefined;
    this.time = 0;
    this.link = this.network = NOT_PARSED;
    this.linkCast = this.ipCast = Cast.Unicast;
    this.checksum = ChecksumState.None;
    this.checksumStart = this.checksumField = 0;
    this.gsoType = GsoType.None;
    this.gsoSize = this.mark = this.flow = 0;
    this.flowState = FlowState.Untracked;
    this.flowReply = false;
    this.output = undefined;
    this.route = this.ownRoute = undefined;
    this.fragmentSize = 0;
    this.translation = 0;
    this.mtuProbe = this.dontFragment = false;
    this.fate = UNDER_WAY;
    this.shared = this.isKept = false;
    this.views = 0;
    this.handedOver = false;
    this.references = 1;
  }
}

declare const received: unique symbol;
declare const outgoing: unique symbol;
declare const routable: unique symbol;

/** A frame that came in. It is not assignable to a sink: piping a device's input straight to its output does not compile. */
export type RxFrame = Frame & { readonly [received]: true };

/** A frame that is ready for a device: whoever is given it takes over its reference. */
export type TxFrame = Frame & { readonly [outgoing]: true };

/** An outgoing IP packet (`start` is at its IP header) that has yet to be routed and given a link header. */
export type TxPacket = Frame & { readonly [routable]: true };

export function asRx(frame: Frame): RxFrame {
  return frame as RxFrame;
}
export function asTx(frame: Frame): TxFrame {
  return frame as TxFrame;
}
export function asTxPacket(frame: Frame): TxPacket {
  return frame as TxPacket;
}

// Slot sizes: an Ethernet frame of MTU 1500, a jumbo frame, and a 64 KiB super-segment with its headers.
const SMALL = 2048;
/** Bytes that a slot of the smallest size holds behind its headroom. */
export const SMALL_ROOM: number = SMALL - HEADROOM;
const MEDIUM = 16384;
const LARGE = 67584;
const POISON = 0xdb;

/** Options of {@link FramePool}. */
export interface FramePoolOptions {
  /** Overwrite released slots with 0xdb, so that a view that outlived its frame shows. For tests. */
  readonly poison?: boolean;
}

/** The slots of one size that nobody has. */
class FreeSlots {
  readonly size: number;
  readonly perSlab: number;
  readonly frames: Frame[] = [];

  constructor(size: number, perSlab: number) {
    this.size = size;
    this.perSlab = perSlab;
  }
}

/** Recycles frame slots of three sizes. It grows when it runs short and never shrinks. */
export class FramePool {
  private readonly small = new FreeSlots(SMALL, 64);
  private readonly medium = new FreeSlots(MEDIUM, 8);
  private readonly large = new FreeSlots(LARGE, 2);
  private readonly poison: boolean;
  private taken = 0;
  /** Of the arena: given back when nobody holds the pool any more, nor any of its frames. */
  private readonly pieces: ArenaPiece[] = [];

  constructor(options: FramePoolOptions = {}) {
    this.poison = options.poison ?? false;
    arena?.own(this, this.pieces);
  }

  /** Frames that were allocated and not yet released. */
  get outstanding(): number {
    return this.taken;
  }

  /**
   * An empty frame with {@link HEADROOM} in front and room for `size` bytes behind; its contents are undefined.
   *
   * @throws UsageError `ERR_FRAME_TOO_LARGE`
   */
  alloc(size: number): Frame {
    const free = this.slotsOf(size + HEADROOM);
    if (free === undefined) {
      throw new UsageError('ERR_FRAME_TOO_LARGE', `a frame holds at most 65,535 bytes and its headers, not ${size}`);
    }
    const frame = free.frames.pop() ?? this.grow(free);
    this.taken++;
    frame.reset();
    return frame;
  }

  private slotsOf(room: number): FreeSlots | undefined {
    if (room <= SMALL) return this.small;
    if (room <= MEDIUM) return this.medium;
    return room <= LARGE ? this.large : undefined;
  }

  /** A copy of `frame`, its range and its metadata, with full headroom in front and `room` free bytes behind. */
  copy(frame: Frame, room = 0): Frame {
    const copy = this.alloc(frame.length + room);
    copy.slab.bytes.set(frame.bytes(), copy.put(frame.length));
    copy.adopt(frame);
    copy.wholeEnd = copy.end;
    copy.link = copy.network = NOT_PARSED;
    return copy;
  }

  /** For {@link Frame.release}. */
  recycle(frame: Frame): void {
    if (this.poison) frame.slab.bytes.fill(POISON, frame.base, frame.limit);
    this.taken--;
    this.slotsOf(frame.limit - frame.base)?.frames.push(frame);
  }

  private grow({ size, perSlab, frames }: FreeSlots): Frame {
    const length = size * perSlab;
    const at = arena?.take(length) ?? -1;
    const slab = arena === undefined || at < 0 ? new Slab(length) : arena.slab;
    if (at >= 0) this.pieces.push({ at, length });
    const base = Math.max(at, 0);
    if (this.poison) slab.bytes.fill(POISON, base, base + length);
    const end = base + length;
    for (let i = base + size; i < end; i += size) frames.push(new Frame(slab, i, i + size, this));
    return new Frame(slab, base, base + size, this);
  }
}
