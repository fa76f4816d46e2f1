/**
 * The pcapng file format (draft-ietf-opsawg-pcapng), read: any number of sections of either byte order and of interfaces;
 * enhanced, simple and obsolete packet blocks; time stamps of any resolution and offset; names, comments, directions. Blocks
 * of other kinds (name resolution, statistics, secrets, custom, unknown) are skipped. Writing is in `pcapng-writer`.
 */

import {
  ByteQueue,
  badCapture,
  type CaptureDirection,
  type CaptureEnd,
  type CaptureInterface,
  type CaptureRecord,
  MAX_PACKET,
  type RecordReader,
} from './capture.js';

/** Block types (draft 11.1). The section header reads the same in both byte orders. */
export const BlockType = { Interface: 1, Packet: 2, Simple: 3, Enhanced: 6, Section: 0x0a0d0d0a } as const;
/** Codes of the options that are read or written (draft 3.5, 4.2, 4.3); codes are shared between block types. */
export const OptionCode = {
  End: 0,
  Comment: 1,
  InterfaceName: 2,
  InterfaceDescription: 3,
  TimeResolution: 9,
  TimeOffset: 14,
  PacketFlags: 2,
} as const;
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** The longest block that is read, in bytes: as Wireshark. Interface blocks and packets are far shorter. */
export const MAX_BLOCK = 16_777_216;
const MIN_BLOCK = 12;
const MIN_SECTION = 28;
const MAJOR = 1;
// Offsets of the fixed parts within a block.
const INTERFACE_OPTIONS = 16;
const PACKET_DATA = 28;
const SIMPLE_DATA = 12;
const TRAILER = 4;

// Packet flags (draft 4.3.1): the two lowest bits are the direction.
const DIRECTIONS: readonly (CaptureDirection | undefined)[] = [undefined, 'inbound', 'outbound', undefined];

const NANOSECONDS = 1_000_000_000n;
const utf8 = new TextDecoder();

/** An interface and how its time stamps count. */
interface Clocked {
  readonly id: number;
  readonly linkType: number;
  readonly snapLength: number;
  /** Ticks per second. */
  readonly ticks: bigint;
  /** Seconds to add. */
  readonly offset: bigint;
}

/** A block that is complete: its range in the queue's bytes, with the type and lengths checked. */
interface Block {
  readonly type: number;
  readonly start: number;
  /** Where the trailing length starts. */
  readonly end: number;
  /** Offset in the file. */
  readonly offset: number;
}

/** Reads a pcapng file that comes in chunks. */
export class PcapngReader implements RecordReader {
  readonly format = 'pcapng';
  readonly interfaces: CaptureInterface[] = [];
  private readonly queue = new ByteQueue();
  private littleEndian = true;
  private inSection = false;
  /** Those of the current section, whose numbers start at 0. */
  private section: Clocked[] = [];

  get offset(): number {
    return this.queue.offset;
  }

  push(chunk: Uint8Array): void {
    this.queue.push(chunk);
  }

  next(): CaptureRecord | undefined {
    for (;;) {
      const block = this.block();
      if (block === undefined) return undefined;
      const record = this.read(block);
      this.queue.skip(block.end + TRAILER - block.start);
      if (record !== undefined) return record;
    }
  }

  end(): CaptureEnd {
    return this.inSection && this.queue.length === 0 ? 'complete' : 'truncated';
  }

  /** The block in front, if all of it is there. */
  private block(): Block | undefined {
    const { queue } = this;
    if (queue.length < MIN_BLOCK) return undefined;
    const { view, start, offset } = queue;
    const type = view.getUint32(start, this.littleEndian);
    if (type === BlockType.Section) {
      const magic = view.getUint32(start + 8, true);
      if (magic !== BYTE_ORDER_MAGIC && magic !== 0x4d3c2b1a) throw badCapture(offset + 8, 'not a byte-order magic');
      this.littleEndian = magic === BYTE_ORDER_MAGIC;
    } else if (!this.inSection) throw badCapture(offset, 'not a pcapng file');
    const length = view.getUint32(start + 4, this.littleEndian);
    if (length < MIN_BLOCK || length % 4 !== 0 || length > MAX_BLOCK) {
      throw badCapture(offset + 4, `a block cannot be ${length} bytes long`);
    }
    if (queue.length < length) return undefined;
    const end = start + length - TRAILER;
    const trailer = view.getUint32(end, this.littleEndian);
    if (trailer !== length) {
      throw badCapture(offset + length - TRAILER, `a block of ${length} bytes says ${trailer} at its end`);
    }
    return { type, start, end, offset };
  }

  private read(block: Block): CaptureRecord | undefined {
    switch (block.type) {
      case BlockType.Section:
        return this.readSection(block);
      case BlockType.Interface:
        return this.readInterface(block);
      case BlockType.Enhanced:
        return this.readPacket(block, this.u32(block, 8, PACKET_DATA));
      case BlockType.Packet:
        // Draft appendix A: a 16-bit interface number and a count of drops stand where the enhanced block has 32 bits.
        return this.readPacket(block, this.u16(block, 8, PACKET_DATA));
      case BlockType.Simple:
        return this.readSimple(block);
      default:
        return undefined;
    }
  }

  private readSection(block: Block): undefined {
    if (block.end + TRAILER - block.start < MIN_SECTION)
      throw badCapture(block.offset + 4, 'a section header too short');
    const major = this.u16(block, 12, 0);
    if (major !== MAJOR) throw badCapture(block.offset + 12, `pcapng version ${major} is not supported`);
    this.inSection = true;
    this.section = [];
  }

  private readInterface(block: Block): undefined {
    const linkType = this.u16(block, 8, INTERFACE_OPTIONS);
    const snapLength = this.u32(block, 12, INTERFACE_OPTIONS);
    const names: { name?: string; description?: string; comment?: string } = {};
    let resolution = 6;
    let offset = 0n;
    this.options(block, INTERFACE_OPTIONS, (code, from, to) => {
      if (code === OptionCode.Comment) names.comment = joined(names.comment, this.text(from, to));
      else if (code === OptionCode.InterfaceName) names.name = this.text(from, to);
      else if (code === OptionCode.InterfaceDescription) names.description = this.text(from, to);
      else if (code === OptionCode.TimeResolution && to - from >= 1) resolution = this.queue.view.getUint8(from);
      else if (code === OptionCode.TimeOffset && to - from >= 8) {
        offset = this.queue.view.getBigInt64(from, this.littleEndian);
      }
    });
    // Draft 4.2: the highest bit chooses between negative powers of 2 and of 10.
    const exponent = resolution & 0x7f;
    const binary = (resolution & 0x80) !== 0;
    const ticks = (binary ? 2n : 10n) ** BigInt(exponent);
    const digits = Math.min(9, binary ? Math.ceil(exponent * Math.log10(2)) : exponent);
    this.section.push({ id: this.interfaces.length, linkType, snapLength, ticks, offset });
    this.interfaces.push({ linkType, snapLength, digits, ...names });
  }

  private readPacket(block: Block, interfaceNumber: number): CaptureRecord {
    const clock = this.section[interfaceNumber];
    if (clock === undefined) throw badCapture(block.offset + 8, `no interface ${interfaceNumber} in this section`);
    const high = this.u32(block, 12, PACKET_DATA);
    const low = this.u32(block, 16, PACKET_DATA);
    const length = this.u32(block, 20, PACKET_DATA);
    const originalLength = this.u32(block, 24, PACKET_DATA);
    const data = this.data(block, PACKET_DATA, length, 20);
    let direction: CaptureDirection | undefined;
    let comment: string | undefined;
    this.options(block, PACKET_DATA + padded(length), (code, from, to) => {
      if (code === OptionCode.Comment) comment = joined(comment, this.text(from, to));
      else if (code === OptionCode.PacketFlags && to - from >= 4) {
        direction = DIRECTIONS[this.queue.view.getUint32(from, this.littleEndian) & 3];
      }
    });
    return {
      interfaceId: clock.id,
      linkType: clock.linkType,
      ...timeOf((BigInt(high) << 32n) | BigInt(low), clock),
      capturedLength: length,
      originalLength,
      data,
      ...(direction === undefined ? {} : { direction }),
      ...(comment === undefined ? {} : { comment }),
    };
  }

  private readSimple(block: Block): CaptureRecord {
    const clock = this.section[0];
    if (clock === undefined) throw badCapture(block.offset, 'a packet before any interface');
    const originalLength = this.u32(block, 8, SIMPLE_DATA);
    // Draft 4.4: what was captured is the least of the original and the snapshot length.
    const length = clock.snapLength === 0 ? originalLength : Math.min(originalLength, clock.snapLength);
    return {
      interfaceId: clock.id,
      linkType: clock.linkType,
      seconds: 0,
      nanoseconds: 0,
      capturedLength: length,
      originalLength,
      data: this.data(block, SIMPLE_DATA, length, 8),
      untimed: true,
    };
  }

  /** The `length` bytes of a packet at `at` in the block; `field` is where the length was said. */
  private data(block: Block, at: number, length: number, field: number): Uint8Array {
    const from = block.start + at;
    if (length > MAX_PACKET || from + length > block.end) {
      throw badCapture(block.offset + field, `a packet of ${length} bytes does not fit its block or the limit`);
    }
    return this.queue.bytes.subarray(from, from + length);
  }

  private options(block: Block, at: number, take: (code: number, from: number, to: number) => void): void {
    const { view } = this.queue;
    let from = block.start + at;
    while (from + 4 <= block.end) {
      const code = view.getUint16(from, this.littleEndian);
      if (code === OptionCode.End) return;
      const to = from + 4 + view.getUint16(from + 2, this.littleEndian);
      if (to > block.end) throw badCapture(block.offset + from - block.start, 'an option longer than its block');
      take(code, from + 4, to);
      from += 4 + padded(to - from - 4);
    }
  }

  private text(from: number, to: number): string {
    return utf8.decode(this.queue.bytes.subarray(from, to));
  }

  /** The number at `at` of a block that must be at least `fixed` bytes long, without the trailing length. */
  private u32(block: Block, at: number, fixed: number): number {
    this.need(block, fixed);
    return this.queue.view.getUint32(block.start + at, this.littleEndian);
  }

  private u16(block: Block, at: number, fixed: number): number {
    this.need(block, fixed);
    return this.queue.view.getUint16(block.start + at, this.littleEndian);
  }

  private need(block: Block, fixed: number): void {
    if (block.start + fixed > block.end) throw badCapture(block.offset + 4, 'a block too short for its type');
  }
}

/** A length, rounded up to the 32-bit boundary that everything in pcapng is aligned to. */
export function padded(length: number): number {
  return (length + 3) & ~3;
}

/** Several comments are several lines. */
function joined(before: string | undefined, more: string): string {
  return before === undefined ? more : `${before}\n${more}`;
}

/** A time stamp in whole nanoseconds; finer ones are cut. */
function timeOf(stamp: bigint, { ticks, offset }: Clocked): { seconds: number; nanoseconds: number } {
  return {
    seconds: Number(stamp / ticks + offset),
    nanoseconds: Number(((stamp % ticks) * NANOSECONDS) / ticks),
  };
}
