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
const PACKET_BODY = 20;

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
    this.block(BlockType.Section, body, undefined, [
      ...text(OptionCode.Comment, comment),
      ...text(APPLICATION, application),
    ]);
  }

  /** Adds an interface, at any time; returns its number. @throws UsageError `ERR_INVALID_OPTION` */
  addInterface(options: PcapngInterface = {}): number {
    const snapLength = checkSnapLength(options.snapLength);
    const nanoseconds = options.precision !== 'us';
    const body = new DataView(new ArrayBuffer(INTERFACE_BODY));
    body.setUint16(0, checkLinkType(options.linkType), this.littleEndian);
    body.setUint32(4, snapLength, this.littleEndian);
    this.block(BlockType.Interface, body, undefined, [
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
    const stamp = ticks(packet, clock);
    const body = new DataView(new ArrayBuffer(PACKET_BODY));
    body.setUint32(0, interfaceId, this.littleEndian);
    body.setUint32(4, Number(stamp >> 32n), this.littleEndian);
    body.setUint32(8, Number(stamp & 0xffff_ffffn), this.littleEndian);
    body.setUint32(12, length, this.littleEndian);
    body.setUint32(16, packet.originalLength ?? data.length, this.littleEndian);
    const options = packet.comment === undefined ? [] : text(OptionCode.Comment, packet.comment);
    if (packet.direction !== undefined) {
      const flags = new DataView(new ArrayBuffer(4));
      flags.setUint32(0, packet.direction === 'inbound' ? INBOUND : OUTBOUND, this.littleEndian);
      options.push([OptionCode.PacketFlags, new Uint8Array(flags.buffer)]);
    }
    this.block(BlockType.Enhanced, body, length === data.length ? data : data.subarray(0, length), options);
  }

  private block(type: number, body: DataView, data: Uint8Array | undefined, options: readonly Option[]): void {
    let length = FRAMING + body.byteLength + padded(data?.length ?? 0);
    for (const [, value] of options) length += OPTION_LENGTH + padded(value.length);
    if (options.length > 0) length += OPTION_LENGTH;
    const bytes = new Uint8Array(length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, type, this.littleEndian);
    view.setUint32(4, length, this.littleEndian);
    view.setUint32(length - 4, length, this.littleEndian);
    bytes.set(new Uint8Array(body.buffer), 8);
    let at = 8 + body.byteLength;
    if (data !== undefined) {
      bytes.set(data, at);
      at += padded(data.length);
    }
    // The end-of-options marker is four zero bytes, which are there already.
    for (const [code, value] of options) {
      view.setUint16(at, code, this.littleEndian);
      view.setUint16(at + 2, value.length, this.littleEndian);
      bytes.set(value, at + OPTION_LENGTH);
      at += OPTION_LENGTH + padded(value.length);
    }
    this.sink.write(bytes);
  }
}

/** An option of text, cut at a character's border where it is longer than an option can be. */
function text(code: number, value: string | undefined): Option[] {
  if (value === undefined) return [];
  const bytes = new Uint8Array(Math.min(MAX_OPTION, value.length * 3));
  const { written } = utf8.encodeInto(value, bytes);
  return [[code, bytes.subarray(0, written)]];
}

function ticks({ seconds, nanoseconds }: CapturePacket, clock: Clock): bigint {
  const whole = Number.isInteger(seconds) && seconds >= 0 && Number.isInteger(nanoseconds) && nanoseconds >= 0;
  const stamp = whole
    ? clock.nanoseconds
      ? BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)
      : BigInt(seconds) * 1_000_000n + BigInt(Math.floor(nanoseconds / 1000))
    : -1n;
  if (stamp < 0n || stamp >= 1n << 64n) {
    throw new UsageError('ERR_INVALID_OPTION', `pcapng cannot say a time of ${seconds} s and ${nanoseconds} ns`);
  }
  return stamp;
}
