/**
 * Frames of ergot 0.12: source, destination, sequence number, kind and time to live in postcard encoding; if they go to any or all sockets, the
 * key and the name of those; then the body. They have neither a length nor a checksum: what carries them says where they end.
 */

import { DropReason } from '../core/drops.js';
import type { Frame } from '../core/frame.js';
import { KEY_LENGTH } from './key.js';
import { isAnyOrAll } from './net-address.js';
import { PostcardReader } from './postcard-reader.js';
import { varintLength, writeVarint } from './varint.js';

/** Bytes of the largest header: two addresses, sequence number, kind, time to live, key, name. */
export const MAX_HEADER = 28;
/** The time to live that frames begin with; the first hop carries one less. */
export const DEFAULT_TTL = 16;

/** Kinds of frames. Others are carried like these, and taken by no socket. */
export const FrameKind = { Reserved: 0, Request: 1, Response: 2, Topic: 3, Error: 255 } as const;

/** A header: one record for many frames. Read it from one, or fill it in and push it in front of a body. */
export class FrameHeader {
  /** Addresses of 32 bits, signed; see `net-address.ts`. */
  source = 0;
  destination = 0;
  /** 0 to 65535. */
  sequence = 0;
  /** A {@link FrameKind}, or another number to 255. */
  kind = 0;
  /** Hops that are left, 0 to 255. */
  ttl = 0;
  /** Halves of the key, signed; of use where {@link FrameHeader.keyed}. */
  keyLow = 0;
  keyHigh = 0;
  /** The hash of the name, signed, or 0 for none; of use where {@link FrameHeader.keyed}. */
  name = 0;
  /** Where the body of the frame that was read begins, in its slab. */
  body = 0;
  private ttlAt = 0;
  private readonly reader: PostcardReader = new PostcardReader();

  /** Whether key and name say which sockets it is for. */
  get keyed(): boolean {
    return isAnyOrAll(this.destination);
  }

  /** Reads the header of a frame, or says what is wrong with it. The frame stays as it is; its body begins at `body`. */
  read(frame: Frame): DropReason | undefined {
    const reader = this.reader.reset(frame.slab.bytes, frame.start, frame.end);
    this.source = reader.varint(32) | 0;
    this.destination = reader.varint(32) | 0;
    this.sequence = reader.varint(16);
    this.kind = reader.u8();
    this.ttlAt = reader.at;
    this.ttl = reader.u8();
    this.keyLow = this.keyHigh = this.name = 0;
    if (reader.fault === undefined && this.keyed) this.readKey(frame, reader);
    this.body = reader.at;
    if (reader.fault === undefined) {
      return this.kind === FrameKind.Error && this.keyed ? DropReason.ErgotBadHeader : undefined;
    }
    return reader.fault === 'ERR_POSTCARD_END' ? DropReason.ErgotTruncated : DropReason.ErgotBadHeader;
  }

  /** Bytes that it takes, {@link MAX_HEADER} at most. */
  get size(): number {
    const keyed = this.keyed ? KEY_LENGTH + varintLength(this.name) : 0;
    return varintLength(this.source) + varintLength(this.destination) + varintLength(this.sequence) + 2 + keyed;
  }

  /**
   * Pushes the header in front of a frame that begins with the body.
   *
   * @throws UsageError `ERR_NO_HEADROOM`
   */
  push(frame: Frame): void {
    const { bytes, view } = frame.slab;
    let at = frame.push(this.size);
    at = writeVarint(bytes, at, this.source);
    at = writeVarint(bytes, at, this.destination);
    at = writeVarint(bytes, at, this.sequence);
    bytes[at] = this.kind;
    bytes[at + 1] = this.ttl;
    this.ttlAt = at + 1;
    at += 2;
    if (this.keyed) {
      view.setInt32(at, this.keyLow, true);
      view.setInt32(at + 4, this.keyHigh, true);
      at = writeVarint(bytes, at + KEY_LENGTH, this.name);
    }
    this.body = at;
  }

  /**
   * Puts the header, whose addresses have changed since it was read, in the place of the one that the frame has.
   *
   * @throws UsageError `ERR_NO_HEADROOM`
   */
  replace(frame: Frame): void {
    frame.start = this.body;
    this.push(frame);
  }

  /** Takes a hop off the time to live, in the frame as well, or says that none is left. */
  hop(frame: Frame): DropReason | undefined {
    if (this.ttl === 0) return DropReason.ErgotTtlExpired;
    this.ttl--;
    frame.slab.bytes[this.ttlAt] = this.ttl;
    return undefined;
  }

  private readKey(frame: Frame, reader: PostcardReader): void {
    const { view } = frame.slab;
    if (!reader.skip(KEY_LENGTH)) return;
    this.keyLow = view.getInt32(reader.at - KEY_LENGTH, true);
    this.keyHigh = view.getInt32(reader.at - KEY_LENGTH + 4, true);
    this.name = reader.varint(32) | 0;
  }
}
