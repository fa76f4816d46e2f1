/**
 * The header of frames between devices with phone-number addresses. The proposals (ergot 0145 and 0146) name no format, so this is one of our
 * own. It keeps what it can of ergot 0.12: the same varints, kinds, times to live, keys and names, and bodies.
 *
 *     scope of the source            1 byte: 1 to 32, or 0 for this link; the other bits are 0
 *     scope of the destination       1 byte: the same in the low six bits, a `PhoneCast` in the high two
 *     source, destination            a varint of 32 bits each, below 2^scope
 *     sequence number                a varint of 16 bits
 *     kind, time to live             1 byte each
 *     key, hash of the name          8 bytes and a varint of 32 bits, unless the frame is for one socket
 *     body
 *
 * That there is a key is said by a bit, and not by a destination of 0: a frame to `180^9` arrives in the subnet that begins there as one to
 * `00^6`, so whether an address is the first of its scope depends on where one stands.
 *
 * Frames of ergot 0.12 begin with an address, in whose varint any byte may come first: nothing in a frame tells one format from the other. Which it
 * is belongs to the configuration of the link, as its speed does; both ends, and who listens in between, are told.
 */

import { DropReason } from '../../core/drops.js';
import type { Frame } from '../../core/frame.js';
import { isScope, scopeSize } from '../address-text.js';
import { FrameKind } from '../frame.js';
import { KEY_LENGTH } from '../key.js';
import { PostcardReader } from '../postcard-reader.js';
import { varintLength, writeVarint } from '../varint.js';

/** Bytes of the largest header. */
export const MAX_PHONE_HEADER = 30;
/**
 * Stands for a scope where an address is a number at the other end of the link, whatever its addresses are. Such frames go no further: both
 * addresses are of the link, or none is.
 */
export const LINK_SCOPE = 0;

/** How many sockets a frame is for. */
export const PhoneCast = {
  /** That with the address. */
  One: 0,
  /** The only one of the device whose first address it is that has the key. */
  Any: 1,
  /** All that have the key in the range whose first address it is: the broadcast bit. */
  All: 2,
  /** All that have the key at devices that subscribed to the address. */
  Group: 3,
} as const;
export type PhoneCast = (typeof PhoneCast)[keyof typeof PhoneCast];

const CAST_SHIFT = 6;
const SCOPE_MASK = (1 << CAST_SHIFT) - 1;

/** A header: one record for many frames. Read it from one, or fill it in and push it in front of a body. */
export class PhoneHeader {
  /** The source's scope: 1 to 32, or {@link LINK_SCOPE}. */
  sourceBits = 0;
  /** 0 to 2^32 - 1. */
  source = 0;
  /** The destination's scope: 1 to 32, or {@link LINK_SCOPE}. */
  bits = 0;
  /** 0 to 2^32 - 1. */
  destination = 0;
  cast: PhoneCast = PhoneCast.One;
  /** 0 to 65535. */
  sequence = 0;
  /** A `FrameKind`, or another number to 255. */
  kind = 0;
  /** Hops that are left, 0 to 255. */
  ttl = 0;
  /** Halves of the key, signed; of use where {@link PhoneHeader.keyed}. */
  keyLow = 0;
  keyHigh = 0;
  /** The hash of the name, signed, or 0 for none; of use where {@link PhoneHeader.keyed}. */
  name = 0;
  /** Where the body of the frame that was read begins, in its slab. */
  body = 0;
  private readonly reader: PostcardReader = new PostcardReader();

  /** Whether key and name say which sockets it is for. */
  get keyed(): boolean {
    return this.cast !== PhoneCast.One;
  }

  /** Reads the header of a frame, or says what is wrong with it. The frame stays as it is; its body begins at `body`. */
  read(frame: Frame): DropReason | undefined {
    const reader = this.reader.reset(frame.slab.bytes, frame.start, frame.end);
    this.sourceBits = reader.u8();
    const scope = reader.u8();
    this.bits = scope & SCOPE_MASK;
    this.cast = (scope >>> CAST_SHIFT) as PhoneCast;
    this.source = reader.varint(32);
    this.destination = reader.varint(32);
    this.sequence = reader.varint(16);
    this.kind = reader.u8();
    this.ttl = reader.u8();
    this.keyLow = this.keyHigh = this.name = 0;
    if (this.keyed) this.readKey(frame, reader);
    this.body = reader.at;
    if (reader.fault === undefined) return this.isSound() ? undefined : DropReason.ErgotBadHeader;
    return reader.fault === 'ERR_POSTCARD_END' ? DropReason.ErgotTruncated : DropReason.ErgotBadHeader;
  }

  /** Bytes that it takes, {@link MAX_PHONE_HEADER} at most. */
  get size(): number {
    const keyed = this.keyed ? KEY_LENGTH + varintLength(this.name) : 0;
    return 4 + varintLength(this.source) + varintLength(this.destination) + varintLength(this.sequence) + keyed;
  }

  /**
   * Pushes the header in front of a frame that begins with the body.
   *
   * @throws UsageError `ERR_NO_HEADROOM`
   */
  push(frame: Frame): void {
    const { bytes, view } = frame.slab;
    let at = frame.push(this.size);
    bytes[at] = this.sourceBits;
    bytes[at + 1] = this.bits | (this.cast << CAST_SHIFT);
    at = writeVarint(bytes, at + 2, this.source);
    at = writeVarint(bytes, at, this.destination);
    at = writeVarint(bytes, at, this.sequence);
    bytes[at] = this.kind;
    bytes[at + 1] = this.ttl;
    at += 2;
    if (this.keyed) {
      view.setInt32(at, this.keyLow, true);
      view.setInt32(at + 4, this.keyHigh, true);
      at = writeVarint(bytes, at + KEY_LENGTH, this.name);
    }
  }

  private isSound(): boolean {
    if (this.kind === FrameKind.Error && this.keyed) return false;
    if (this.cast === PhoneCast.Group && (this.bits === LINK_SCOPE || this.destination === 0)) return false;
    if ((this.sourceBits === LINK_SCOPE) !== (this.bits === LINK_SCOPE)) return false;
    return isInScope(this.source, this.sourceBits) && isInScope(this.destination, this.bits);
  }

  private readKey(frame: Frame, reader: PostcardReader): void {
    const { view } = frame.slab;
    if (!reader.skip(KEY_LENGTH)) return;
    this.keyLow = view.getInt32(reader.at - KEY_LENGTH, true);
    this.keyHigh = view.getInt32(reader.at - KEY_LENGTH + 4, true);
    this.name = reader.varint(32) | 0;
  }
}

/** Whether a scope, or {@link LINK_SCOPE}, has the number. */
function isInScope(value: number, bits: number): boolean {
  return bits === LINK_SCOPE || (isScope(bits) && value < scopeSize(bits));
}
