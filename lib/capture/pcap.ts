/**
 * The pcap file format (draft-ietf-opsawg-pcap), read and written: both byte orders, microseconds and nanoseconds, version
 * 2.4 and the older 2.x whose lengths are swapped. Left out: the modified formats of other magics.
 */

import { UsageError } from '../core/errors.js';
import {
  ByteQueue,
  type ByteSink,
  badCapture,
  type CaptureEnd,
  type CaptureInterface,
  type CapturePacket,
  type CaptureRecord,
  LinkType,
  MAX_PACKET,
  type RecordReader,
} from './capture.js';

/** Bytes of the file header. */
export const PCAP_HEADER = 24;
const RECORD_HEADER = 16;
const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;
const MAJOR = 2;
const MINOR = 4;
// Draft 4: the upper bits of the link type field tell of frame check sequences.
const LINK_TYPE_MASK = 0xffff;

/** What the header of a pcap file says. */
export interface PcapHeader {
  readonly littleEndian: boolean;
  readonly precision: 'us' | 'ns';
  readonly minor: number;
  readonly snapLength: number;
  readonly linkType: number;
}

/** Whether four bytes, read as a big-endian number, start a pcap file; and if so, how it is written. */
export function pcapMagic(magic: number): Pick<PcapHeader, 'littleEndian' | 'precision'> | undefined {
  if (magic === MICROSECONDS) return { littleEndian: false, precision: 'us' };
  if (magic === NANOSECONDS) return { littleEndian: false, precision: 'ns' };
  if (magic === 0xd4c3b2a1) return { littleEndian: true, precision: 'us' };
  if (magic === 0x4d3cb2a1) return { littleEndian: true, precision: 'ns' };
  return undefined;
}

/**
 * Reads the header in the first {@link PCAP_HEADER} bytes at `at`.
 *
 * @throws UsageError `ERR_BAD_CAPTURE`
 */
export function readPcapHeader(view: DataView, at = 0): PcapHeader {
  if (view.byteLength - at < PCAP_HEADER) throw badCapture(0, 'a pcap header has 24 bytes');
  const magic = pcapMagic(view.getUint32(at));
  if (magic === undefined) throw badCapture(0, 'not a pcap file');
  const { littleEndian } = magic;
  const major = view.getUint16(at + 4, littleEndian);
  const minor = view.getUint16(at + 6, littleEndian);
  if (major !== MAJOR) throw badCapture(4, `pcap version ${major}.${minor} is not supported`);
  const snapLength = view.getUint32(at + 16, littleEndian);
  const linkType = view.getUint32(at + 20, littleEndian) & LINK_TYPE_MASK;
  return { ...magic, minor, snapLength, linkType };
}

/** Reads a pcap file that comes in chunks. */
export class PcapReader implements RecordReader {
  readonly format = 'pcap';
  readonly interfaces: CaptureInterface[] = [];
  private readonly queue = new ByteQueue();
  private header: PcapHeader | undefined = undefined;

  get offset(): number {
    return this.queue.offset;
  }

  push(chunk: Uint8Array): void {
    this.queue.push(chunk);
  }

  next(): CaptureRecord | undefined {
    const { queue } = this;
    const header = this.header ?? this.readHeader();
    if (header === undefined || queue.length < RECORD_HEADER) return undefined;
    const { view, start } = queue;
    const { littleEndian } = header;
    let capturedLength = view.getUint32(start + 8, littleEndian);
    let originalLength = view.getUint32(start + 12, littleEndian);
    // As libpcap does: until 2.3 the two stood the other way round, in 2.3 they may.
    if (header.minor < 3 || (header.minor === 3 && capturedLength > originalLength)) {
      [capturedLength, originalLength] = [originalLength, capturedLength];
    }
    if (capturedLength > MAX_PACKET) {
      throw badCapture(queue.offset + 8, `a packet of ${capturedLength} bytes is longer than ${MAX_PACKET}`);
    }
    if (queue.length < RECORD_HEADER + capturedLength) return undefined;
    const unit = header.precision === 'ns' ? 1 : 1000;
    const fraction = view.getUint32(start + 4, littleEndian) * unit;
    const from = start + RECORD_HEADER;
    const record = {
      interfaceId: 0,
      linkType: header.linkType,
      seconds: view.getUint32(start, littleEndian) + Math.floor(fraction / 1e9),
      nanoseconds: fraction % 1e9,
      capturedLength,
      originalLength,
      data: queue.bytes.subarray(from, from + capturedLength),
    };
    queue.skip(RECORD_HEADER + capturedLength);
    return record;
  }

  end(): CaptureEnd {
    return this.header !== undefined && this.queue.length === 0 ? 'complete' : 'truncated';
  }

  private readHeader(): PcapHeader | undefined {
    const { queue } = this;
    if (queue.length < PCAP_HEADER) return undefined;
    this.header = readPcapHeader(queue.view, queue.start);
    const { linkType, snapLength, precision } = this.header;
    this.interfaces.push({ linkType, snapLength, digits: precision === 'ns' ? 9 : 6 });
    queue.skip(PCAP_HEADER);
    return this.header;
  }
}

/** Options of {@link PcapWriter}. */
export interface PcapWriterOptions {
  /** Default Ethernet. */
  readonly linkType?: number;
  /** Precision of time stamps; default `us`, which everybody can read. */
  readonly precision?: 'us' | 'ns';
  /** Most bytes kept per packet; default and most: {@link MAX_PACKET}. */
  readonly snapLength?: number;
  /** Default true. */
  readonly littleEndian?: boolean;
  /** Append to a file that starts with these bytes: its byte order, precision and snapshot length are kept. */
  readonly append?: Uint8Array;
}

/** Writes a pcap file, record by record; the header first, unless it appends. */
export class PcapWriter {
  readonly header: PcapHeader;
  private readonly sink: ByteSink;

  /**
   * @throws UsageError `ERR_BAD_CAPTURE` if the file to append to is not a pcap file of version 2.4 and of the same link type;
   * `ERR_INVALID_OPTION` for an impossible snapshot length or link type
   */
  constructor(sink: ByteSink, options: PcapWriterOptions = {}) {
    this.sink = sink;
    this.header = options.append === undefined ? newHeader(options) : headerToAppendTo(options.append, options);
    if (options.append === undefined) sink.write(encodeHeader(this.header));
  }

  /**
   * Writes one packet, cut to the snapshot length. Direction and comment have no place in the format.
   *
   * @throws UsageError `ERR_INVALID_OPTION` if the time does not fit 32 bits of seconds
   */
  write(packet: CapturePacket): void {
    const { littleEndian, precision, snapLength } = this.header;
    const { seconds, nanoseconds, data } = packet;
    if (!(seconds >= 0 && seconds < 0x1_0000_0000)) {
      throw new UsageError('ERR_INVALID_OPTION', `pcap cannot say a time of ${seconds} seconds`);
    }
    const length = Math.min(data.length, snapLength);
    const bytes = new Uint8Array(RECORD_HEADER + length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, seconds, littleEndian);
    view.setUint32(4, precision === 'ns' ? nanoseconds : Math.floor(nanoseconds / 1000), littleEndian);
    view.setUint32(8, length, littleEndian);
    view.setUint32(12, packet.originalLength ?? data.length, littleEndian);
    bytes.set(length === data.length ? data : data.subarray(0, length), RECORD_HEADER);
    this.sink.write(bytes);
  }
}

/** The snapshot length asked for, checked. */
export function checkSnapLength(snapLength: number = MAX_PACKET): number {
  if (!Number.isInteger(snapLength) || snapLength < 1 || snapLength > MAX_PACKET) {
    throw new UsageError('ERR_INVALID_OPTION', `snapLength must be 1 to ${MAX_PACKET}, not ${snapLength}`);
  }
  return snapLength;
}

/** The link type asked for, checked. */
export function checkLinkType(linkType: number = LinkType.Ethernet): number {
  if (!Number.isInteger(linkType) || linkType < 0 || linkType > LINK_TYPE_MASK) {
    throw new UsageError('ERR_INVALID_OPTION', `a link type is a 16-bit number, not ${linkType}`);
  }
  return linkType;
}

function newHeader(options: PcapWriterOptions): PcapHeader {
  return {
    littleEndian: options.littleEndian ?? true,
    precision: options.precision ?? 'us',
    minor: MINOR,
    snapLength: checkSnapLength(options.snapLength),
    linkType: checkLinkType(options.linkType),
  };
}

function headerToAppendTo(file: Uint8Array, options: PcapWriterOptions): PcapHeader {
  const header = readPcapHeader(new DataView(file.buffer, file.byteOffset, file.byteLength));
  const linkType = checkLinkType(options.linkType);
  if (header.linkType !== linkType) {
    throw badCapture(20, `cannot append packets of link type ${linkType} to those of ${header.linkType}`);
  }
  if (header.minor !== MINOR) throw badCapture(6, `cannot append to a pcap file of version 2.${header.minor}`);
  const { snapLength } = header;
  return { ...header, snapLength: snapLength === 0 || snapLength > MAX_PACKET ? MAX_PACKET : snapLength };
}

function encodeHeader(header: PcapHeader): Uint8Array {
  const bytes = new Uint8Array(PCAP_HEADER);
  const view = new DataView(bytes.buffer);
  const { littleEndian } = header;
  view.setUint32(0, header.precision === 'ns' ? NANOSECONDS : MICROSECONDS, littleEndian);
  view.setUint16(4, MAJOR, littleEndian);
  view.setUint16(6, MINOR, littleEndian);
  view.setUint32(16, header.snapLength, littleEndian);
  view.setUint32(20, header.linkType, littleEndian);
  return bytes;
}
