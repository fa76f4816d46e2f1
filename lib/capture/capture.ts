/**
 * What pcap and pcapng have in common: the record, the interface, the limits, and the queue of bytes that their readers
 * parse from. Pure: bytes in, bytes out; files and streams are the drivers' matter.
 */

import type { Medium } from '../core/device.js';
import { UsageError } from '../core/errors.js';

/** Link types (the registry of draft-ietf-opsawg-pcaplinktype) that this stack can make something of. */
export const LinkType = {
  Null: 0,
  Ethernet: 1,
  RawIp: 101,
  /** Frames of ergot, which have no link type of their own: the first of those that are everybody's (`LINKTYPE_USER0`). */
  Ergot: 147,
  Ipv4: 228,
  Ipv6: 229,
} as const;

const LINK_TYPES: Readonly<Record<Medium, number>> = {
  ethernet: LinkType.Ethernet,
  ip: LinkType.RawIp,
  ergot: LinkType.Ergot,
};

/** Under which link type frames of a medium are written. */
export function linkTypeOf(medium: Medium): number {
  return LINK_TYPES[medium];
}

/** The medium on which packets of a link type travel, or `undefined` for those that no pipeline here can take. */
export function mediumOf(linkType: number): Medium | undefined {
  if (linkType === LinkType.Ethernet) return 'ethernet';
  const isIp = linkType === LinkType.RawIp || linkType === LinkType.Ipv4 || linkType === LinkType.Ipv6;
  if (linkType === LinkType.Ergot) return 'ergot';
  return isIp ? 'ip' : undefined;
}

/** Lengths of headers that carry nothing that we read: BSD loopback (two kinds), and Linux's "any" device (two kinds). */
const COOKED: Readonly<Record<number, number>> = { 0: 4, 108: 4, 113: 16, 276: 20 };

/** What a packet of a link type starts with after `header` bytes; no `linkType` for what we cannot read. */
export function readable(linkType: number, data: Uint8Array): { header: number; linkType?: Medium } {
  const medium = mediumOf(linkType);
  if (medium !== undefined) return { header: 0, linkType: medium };
  const header = COOKED[linkType];
  const version = header === undefined ? 0 : (data[header] ?? 0) >>> 4;
  return header !== undefined && (version === 4 || version === 6) ? { header, linkType: 'ip' } : { header: 0 };
}

/** The longest packet that is read or written, in bytes: libpcap's largest snapshot length. */
export const MAX_PACKET = 262_144;

/** Which of the two file formats. */
export type CaptureFormat = 'pcap' | 'pcapng';

/** Which way a packet went, seen from the machine that captured it. */
export type CaptureDirection = 'inbound' | 'outbound';

/** How a capture ended: on a record's border, or within a record (or header) that is cut off. */
export type CaptureEnd = 'complete' | 'truncated';

/** A point in time: whole seconds since 1970 (or since a simulation began) and 0..999,999,999 nanoseconds. */
export interface CaptureTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** What a writer is given of one packet. */
export interface CapturePacket extends CaptureTime {
  readonly data: Uint8Array;
  /** Bytes that the packet had on the wire, if more than `data` were; default `data.length`. */
  readonly originalLength?: number;
  /** Index of the interface; default 0. */
  readonly interfaceId?: number;
  /** Only pcapng keeps it. */
  readonly direction?: CaptureDirection | undefined;
  /** Only pcapng keeps it. */
  readonly comment?: string | undefined;
}

/** One captured packet, of either format. `data` shares memory with the chunks that were pushed into the reader. */
export interface CaptureRecord extends CapturePacket {
  /** Index into the reader's `interfaces`: unique in the file, also where it has several sections. */
  readonly interfaceId: number;
  readonly linkType: number;
  /** `data.length`. */
  readonly capturedLength: number;
  readonly originalLength: number;
  /** The format does not say when (pcapng simple packets); the time is 0 then. */
  readonly untimed?: true;
}

/** Where packets of a file were captured. */
export interface CaptureInterface {
  readonly linkType: number;
  /** Most bytes kept per packet; 0 means no limit. */
  readonly snapLength: number;
  /** Decimal digits of a second that its time stamps resolve: 0..9. */
  readonly digits: number;
  readonly name?: string;
  readonly description?: string;
  readonly comment?: string;
}

/**
 * A streaming reader: push chunks of any size, take records until there is none, and ask at the end how it ended.
 *
 * `next()` throws `ERR_BAD_CAPTURE` where the file is broken, after the records before that place were taken, and does so
 * again whenever it is called again.
 */
export interface RecordReader {
  readonly format: CaptureFormat | undefined;
  /** Those known so far. */
  readonly interfaces: readonly CaptureInterface[];
  /** Offset in the file of the first byte that is not used up: a truncated file is whole if it is cut here. */
  readonly offset: number;
  /** Adds bytes; the caller must not change them afterwards. */
  push(chunk: Uint8Array): void;
  /** The next record that is complete. @throws UsageError `ERR_BAD_CAPTURE` with the offset */
  next(): CaptureRecord | undefined;
  /** How the file ended, after everything was pushed and taken. */
  end(): CaptureEnd;
}

/** Where a writer puts its bytes: each call is given fresh memory that is the sink's to keep. */
export interface ByteSink {
  write(bytes: Uint8Array): void;
}

/** The error of a file that is not what it claims. */
export function badCapture(offset: number, what: string): UsageError {
  return new UsageError('ERR_BAD_CAPTURE', `bad capture at offset ${offset}: ${what}`);
}

/** Splits a clock's milliseconds, to the nanosecond. */
export function captureTime(milliseconds: number): CaptureTime {
  let seconds = Math.floor(milliseconds / 1000);
  let nanoseconds = Math.round((milliseconds - seconds * 1000) * 1e6);
  if (nanoseconds >= 1e9) {
    seconds++;
    nanoseconds -= 1e9;
  }
  return { seconds, nanoseconds };
}

/** A time in milliseconds, to the precision that a double has. */
export function captureMilliseconds(time: CaptureTime): number {
  return time.seconds * 1000 + time.nanoseconds / 1e6;
}

const EMPTY = new Uint8Array(0);

/**
 * Bytes that came in chunks, in one piece: `bytes` from `start` to `end`, with a view for reading numbers. What was handed out
 * of `bytes` is never overwritten.
 */
export class ByteQueue {
  bytes: Uint8Array = EMPTY;
  view: DataView = new DataView(EMPTY.buffer);
  start = 0;
  end = 0;
  /** Offset of `start` in the file. */
  offset = 0;
  // Whether there may be room for more behind `end`: not in chunks of the caller's.
  private own = false;

  get length(): number {
    return this.end - this.start;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    if (this.length === 0) {
      // A plain view of it: chunks may be of a subclass, such as Node's Buffer.
      this.use(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length), false);
      this.end = chunk.length;
      return;
    }
    if (!this.own || this.end + chunk.length > this.bytes.length) this.grow(chunk.length);
    this.bytes.set(chunk, this.end);
    this.end += chunk.length;
  }

  skip(length: number): void {
    this.start += length;
    this.offset += length;
  }

  private grow(length: number): void {
    const rest = this.bytes.subarray(this.start, this.end);
    this.use(new Uint8Array(2 * (rest.length + length)), true);
    this.bytes.set(rest);
    this.end = rest.length;
  }

  private use(bytes: Uint8Array, own: boolean): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.start = 0;
    this.own = own;
  }
}
