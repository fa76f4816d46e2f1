/** For the specs of captures: gathering what writers write, reading everything, and packets at random. */

import { expect } from 'chai';
import * as fc from 'fast-check';
import type { ByteSink, CaptureEnd, CapturePacket, CaptureRecord, RecordReader } from '../../../lib/capture/capture.js';
import { CaptureReader } from '../../../lib/capture/reader.js';
import { UsageError } from '../../../lib/core/errors.js';

/** A sink that keeps everything. */
export class Gathered implements ByteSink {
  private readonly chunks: Uint8Array[] = [];

  write(bytes: Uint8Array): void {
    this.chunks.push(bytes);
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.chunks.flatMap((chunk) => [...chunk]));
  }

  /** Offsets after each write. */
  get borders(): number[] {
    let at = 0;
    return this.chunks.map((chunk) => (at += chunk.length));
  }
}

/** What came out of a reader: the records, and how it ended. */
export interface ReadOut {
  readonly records: CaptureRecord[];
  readonly end: CaptureEnd | 'bad';
  readonly message?: string;
}

/** Reads everything, in chunks of `size`; fails unless an error is an `ERR_BAD_CAPTURE`. */
export function readOut(
  bytes: Uint8Array,
  size: number = bytes.length,
  reader: RecordReader = new CaptureReader(),
): ReadOut {
  const records: CaptureRecord[] = [];
  try {
    for (let at = 0; at < bytes.length; at += size) {
      reader.push(bytes.subarray(at, at + size));
      for (let record = reader.next(); record !== undefined; record = reader.next()) records.push(record);
    }
    return { records, end: reader.end() };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    expect(error.code).to.equal('ERR_BAD_CAPTURE');
    expect(() => reader.next(), 'the same again').to.throw(UsageError, error.message);
    return { records, end: 'bad', message: error.message };
  }
}

/** Packets with times of a precision. */
export function packets(unit: 1 | 1000): fc.Arbitrary<CapturePacket[]> {
  return fc.array(
    fc.record(
      {
        seconds: fc.nat({ max: 0xffff_ffff }),
        nanoseconds: fc.nat({ max: 1e9 / unit - 1 }).map((n) => n * unit),
        data: fc.uint8Array({ maxLength: 70 }),
        originalLength: fc.nat({ max: 0xffff_ffff }),
        direction: fc.constantFrom('inbound' as const, 'outbound' as const),
        comment: fc.string({ unit: 'grapheme' }),
      },
      { requiredKeys: ['seconds', 'nanoseconds', 'data'] },
    ),
    { maxLength: 8 },
  );
}

/** What a reader makes of a packet that was written. */
export function expected(packet: CapturePacket, linkType: number, interfaceId = 0): CaptureRecord {
  const { seconds, nanoseconds, data, direction, comment } = packet;
  return {
    interfaceId,
    linkType,
    seconds,
    nanoseconds,
    capturedLength: data.length,
    originalLength: packet.originalLength ?? data.length,
    data,
    ...(direction === undefined ? {} : { direction }),
    ...(comment === undefined ? {} : { comment }),
  };
}

/** Concatenates blocks and fields. */
export function concat(...parts: (Uint8Array | number[])[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
