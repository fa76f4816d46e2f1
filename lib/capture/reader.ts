/** Reads captures of either format: tells by the first four bytes which it is. */

import {
  badCapture,
  ByteQueue,
  type CaptureEnd,
  type CaptureFormat,
  type CaptureInterface,
  type CaptureRecord,
  type RecordReader,
} from './capture.js';
import { PcapReader, pcapMagic } from './pcap.js';
import { BlockType, PcapngReader } from './pcapng.js';

/**
 * A streaming reader of pcap and pcapng.
 *
 * @example
 * ```ts
 * const reader = new CaptureReader();
 * for await (const chunk of createReadStream('x.pcap')) {
 *   reader.push(chunk);
 *   for (let record = reader.next(); record !== undefined; record = reader.next()) console.log(record.data.length);
 * }
 * if (reader.end() === 'truncated') console.error('the last packet is cut off');
 * ```
 */
export class CaptureReader implements RecordReader {
  private reader: RecordReader | undefined = undefined;
  private readonly queue = new ByteQueue();

  get format(): CaptureFormat | undefined {
    return this.reader?.format;
  }
  get interfaces(): readonly CaptureInterface[] {
    return this.reader?.interfaces ?? [];
  }
  get offset(): number {
    return this.reader?.offset ?? 0;
  }

  push(chunk: Uint8Array): void {
    (this.reader ?? this.queue).push(chunk);
  }

  next(): CaptureRecord | undefined {
    return (this.reader ?? this.choose())?.next();
  }

  end(): CaptureEnd {
    return this.reader?.end() ?? 'truncated';
  }

  private choose(): RecordReader | undefined {
    const { queue } = this;
    if (queue.length < 4) return undefined;
    const magic = queue.view.getUint32(queue.start);
    if (magic === BlockType.Section) this.reader = new PcapngReader();
    else if (pcapMagic(magic) !== undefined) this.reader = new PcapReader();
    else throw badCapture(0, 'neither a pcap nor a pcapng file');
    this.reader.push(queue.bytes.subarray(queue.start, queue.end));
    queue.skip(queue.length);
    return this.reader;
  }
}

/**
 * The records of a whole capture, one after the other; the generator returns how it ended.
 *
 * @throws UsageError `ERR_BAD_CAPTURE` with the offset, after the records before that place
 */
export function* readCapture(bytes: Uint8Array): Generator<CaptureRecord, CaptureEnd, void> {
  const reader = new CaptureReader();
  reader.push(bytes);
  for (let record = reader.next(); record !== undefined; record = reader.next()) yield record;
  return reader.end();
}
