/** Writes pcapng (draft-ietf-opsawg-pcapng): one section, any number of interfaces, enhanced packet blocks. */

import { UsageError } from '../core/errors.js';
import type { ByteSink, CaptureInterface, CapturePacket } from './capture.js';
import { checkLinkType, checkSnapLength } from './pcap.js';
import { BlockType, BYTE_ORDER_MAGIC, OptionCode, padded } from './pcapng.js';

const APPLICATION = 4;
const INBOUND = 1;
const OUTBOUND = 2;
const OPTION_LENGTH = 4;
const MAX_OPTION = 0xffff;
// Bytes of a block that are not its body: type and both lengths.
const FRAMING = 12;
const INTERFACE_BODY = 8;
const PACKET_DATA = 28;

const utf8 = new TextEncoder();

/** Options of {@link PcapngWriter}. */
export interface PcapngWriterOptions {
  /** Default true. */
  readonly littleEndian?: boolean;
  /** Name of the application, for the section header. */
  readonly application?: string;
  readonly comment?: string;
}

/** An interface to be written; what is left out: Ethernet, packets whole, nanoseconds, no name. */
export type PcapngInterface = Partial<Omit<CaptureInterface, 'digits'>> & { readonly precision?: 'us' | 'ns' };

/** An option: its code and its bytes. */
type Option = readonly [code: number, value: Uint8Array];

interface Clock {
  readonly snapLength: number;
  readonly nanoseconds: boolean;
}

/** Writes a pcapng section block by block; appended to a pcapng file, it is one more section of it. */
export class PcapngWriter {
  private readonly sink: ByteSink;
  private readonly littleEndian: boolean;
  private readonly clocks: Clock[] = [];

  constructor(sink: ByteSink, options: PcapngWriterOptions = {}) {
    this.sink = sink;
    this.littleEndian = options.littleEndian ?? true;
    const { comment, application } = options;
    const body = new DataView(new ArrayBuffer(16));
    body.setUint32(0, BYTE_ORDER_MAGIC, this.littleEndian);
    body.setUint16(4, 1, this.littleEndian);
    // Draft 4.1: a section length of -1 says that it was not known in advance.
    body.setBigInt64(8, -1n, this.littleEndian);
    this.block(BlockType.Section, body, [...text(OptionCode.Comment, comment), ...text(APPLICATION, application)]);
  }

  /** Adds an interface, at any time; returns its number. @throws UsageError `ERR_INVALID_OPTION` */
  addInterface(options: PcapngInterface = {}): number {
    const snapLength = checkSnapLength(options.snapLength);
    const nanoseconds = options.precision !== 'us';
    const body = new DataView(new ArrayBuffer(INTERFACE_BODY));
    body.setUint16(0, checkLinkType(options.linkType), this.littleEndian);
    body.setUint32(4, snapLength, this.littleEndian);
    this.block(BlockType.Interface, body, [
      ...text(OptionCode.Comment, options.comment),
      ...text(OptionCode.InterfaceName, options.name),
      ...text(OptionCode.InterfaceDescription, options.description),
      [OptionCode.TimeResolution, Uint8Array.of(nanoseconds ? 9 : 6)],
    ]);
    return this.clocks.push({ snapLength, nanoseconds }) - 1;
  }

  /**
   * Writes one packet, cut to its interface's snapshot length.
   *
   * @throws UsageError `ERR_INVALID_OPTION` for an interface that was not added or a time before 1970 or far beyond 2500
   */
  write(packet: CapturePacket): void {
    const { interfaceId = 0, data } = packet;
    const clock = this.clocks[interfaceId];
    if (clock === undefined) throw new UsageError('ERR_INVALID_OPTION', `no interface ${interfaceId} was added`);
    const length = Math.min(data.length, clock.snapLength);
    const comment = packet.comment === undefined ? undefined : encoded(packet.comment);
    const { direction } = packet;
    // Written in place, unlike the other blocks: there are many of these.
    const commentLength = comment === undefined ? 0 : OPTION_LENGTH + padded(comment.length);
    const options = commentLength + (direction === undefined ? 0 : OPTION_LENGTH + 4);
    const optionsAt = PACKET_DATA + padded(length);
    const bytes = new Uint8Array(optionsAt + (options === 0 ? 0 : options + OPTION_LENGTH) + 4);
    const view = new DataView(bytes.buffer);
    const { littleEndian } = this;
    view.setUint32(0, BlockType.Enhanced, littleEndian);
    view.setUint32(4, bytes.length, littleEndian);
    view.setUint32(8, interfaceId, littleEndian);
    putTicks(view, packet, clock, littleEndian);
    view.setUint32(20, length, littleEndian);
    view.setUint32(24, packet.originalLength ?? data.length, littleEndian);
    bytes.set(length === data.length ? data : data.subarray(0, length), PACKET_DATA);
    if (comment !== undefined) putOption(bytes, view, optionsAt, OptionCode.Comment, comment, littleEndian);
    if (direction !== undefined) {
      const at = optionsAt + commentLength;
      view.setUint16(at, OptionCode.PacketFlags, littleEndian);
      view.setUint16(at + 2, 4, littleEndian);
      view.setUint32(at + OPTION_LENGTH, direction === 'inbound' ? INBOUND : OUTBOUND, littleEndian);
    }
    view.setUint32(bytes.length - 4, bytes.length, littleEndian);
    this.sink.write(bytes);
  }

  private block(type: number, body: DataView, options: readonly Option[]): void {
    let length = FRAMING + body.byteLength;
    for (const [, value] of options) length += OPTION_LENGTH + padded(value.length);
    if (options.length > 0) length += OPTION_LENGTH;
    const bytes = new Uint8Array(length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, type, this.littleEndian);
    view.setUint32(4, length, this.littleEndian);
    view.setUint32(length - 4, length, this.littleEndian);
    bytes.set(new Uint8Array(body.buffer), 8);
    let at = 8 + body.byteLength;
    // The end-of-options marker is four zero bytes, which are there already.
    for (const [code, value] of options) at = putOption(bytes, view, at, code, value, this.littleEndian);
    this.sink.write(bytes);
  }
}

function putOption(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  code: number,
  value: Uint8Array,
  le: boolean,
): number {
  view.setUint16(at, code, le);
  view.setUint16(at + 2, value.length, le);
  bytes.set(value, at + OPTION_LENGTH);
  return at + OPTION_LENGTH + padded(value.length);
}

/** Text as UTF-8, cut at a character's border where it is longer than an option can be. */
function encoded(value: string): Uint8Array {
  const bytes = new Uint8Array(Math.min(MAX_OPTION, value.length * 3));
  const { written } = utf8.encodeInto(value, bytes);
  return bytes.subarray(0, written);
}

/** An option of text, if there is any. */
function text(code: number, value: string | undefined): Option[] {
  return value === undefined ? [] : [[code, encoded(value)]];
}

/**
 * Writes a time as a 64-bit count of ticks: the upper half first, whatever the byte order (draft 4.3). Doubles hold 53 bits, so the
 * product is made of seconds in two parts, of 16 bits and the rest.
 */
function putTicks(view: DataView, { seconds, nanoseconds }: CapturePacket, clock: Clock, littleEndian: boolean): void {
  const perSecond = clock.nanoseconds ? 1e9 : 1e6;
  const upper = Math.floor(seconds / 0x1_0000) * perSecond;
  const fraction = clock.nanoseconds ? nanoseconds : Math.floor(nanoseconds / 1000);
  const lower = (upper % 0x1_0000) * 0x1_0000 + (seconds % 0x1_0000) * perSecond + fraction;
  const high = Math.floor(upper / 0x1_0000) + Math.floor(lower / 0x1_0000_0000);
  if (!(Number.isInteger(seconds) && seconds >= 0 && nanoseconds >= 0 && high < 0x1_0000_0000)) {
    throw new UsageError('ERR_INVALID_OPTION', `pcapng cannot say a time of ${seconds} s and ${nanoseconds} ns`);
  }
  view.setUint32(12, high, littleEndian);
  view.setUint32(16, lower % 0x1_0000_0000, littleEndian);
}
