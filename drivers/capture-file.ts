/** A capture file being written, new or appended to: a writer of lib on top of a {@link FileSink}. */

import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import {
  type ByteSink,
  badCapture,
  type CaptureFormat,
  type CapturePacket,
  type CaptureRecord,
  type CaptureEnd,
} from '../lib/capture/capture.js';
import { PCAP_HEADER, PcapWriter } from '../lib/capture/pcap.js';
import { PcapngWriter } from '../lib/capture/pcapng-writer.js';
import { CaptureReader } from '../lib/capture/reader.js';
import { FileSink } from './file-sink.js';

const CHUNK = 65_536;

/** A capture file being read: its chunks go into a reader. */
export class CaptureFileReader {
  readonly reader: CaptureReader = new CaptureReader();
  private readonly file: number;
  private ended = false;
  private closed = false;

  /** @throws the error of the file system */
  constructor(path: string) {
    this.file = openSync(path, 'r');
  }

  /** The next record, or how the file ended. @throws UsageError `ERR_BAD_CAPTURE`, or the error of the file system */
  next(): CaptureRecord | CaptureEnd {
    for (;;) {
      const record = this.reader.next();
      if (record !== undefined) return record;
      if (this.ended) return this.reader.end();
      // Records keep a view of it, so that each chunk is memory of its own.
      const chunk = new Uint8Array(CHUNK);
      const length = readSync(this.file, chunk);
      this.reader.push(chunk.subarray(0, length));
      this.ended = length === 0;
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    closeSync(this.file);
  }
}

type Writer = PcapWriter | PcapngWriter;

/** Options of {@link CaptureFileWriter}. */
export interface CaptureFileOptions {
  readonly path: string;
  /** Default: `pcap` where the path ends so, else `pcapng`. */
  readonly format?: CaptureFormat;
  /** Add to the file if it is there, instead of replacing it. A last packet that is cut off is removed. */
  readonly append?: boolean;
  /** Most bytes kept per packet. */
  readonly snapLength?: number;
  /** Of time stamps; default: `us` in pcap, `ns` in pcapng. */
  readonly precision?: 'us' | 'ns';
  /** Default Ethernet. */
  readonly linkType?: number;
  /** Of the interface; only pcapng keeps it. */
  readonly interfaceName?: string;
  /** Told once, from a microtask, when a write fails. */
  readonly onError?: (error: Error) => void;
}

/** Writes packets of one interface to a file, which is flushed after each microtask that wrote. */
export class CaptureFileWriter {
  private readonly file: FileSink;
  private readonly writer: Writer;

  /** @throws UsageError `ERR_BAD_CAPTURE` if the file to append to is of another kind; or the error of the file system */
  constructor(options: CaptureFileOptions) {
    const { path, onError } = options;
    const format = options.format ?? (path.endsWith('.pcap') ? 'pcap' : 'pcapng');
    const old = options.append === true ? partToKeep(path, format) : undefined;
    // Checked before the file is touched: these throw where the options or the old header are wrong.
    const start: Uint8Array[] = [];
    let file: ByteSink = { write: (bytes) => start.push(bytes) };
    this.writer = writerOf({ write: (bytes) => file.write(bytes) }, format, options, old?.header);
    file = this.file = new FileSink(path, { keep: old?.length ?? 0, ...(onError === undefined ? {} : { onError }) });
    for (const bytes of start) file.write(bytes);
  }

  /** Whether a write failed. */
  get failed(): boolean {
    return this.file.failed;
  }

  /** Writes one packet; its bytes are copied at once. @throws UsageError `ERR_INVALID_OPTION` for impossible times */
  write(packet: CapturePacket): void {
    this.writer.write(packet);
  }

  flush(): void {
    this.file.flush();
  }

  /** Flushes and closes. @throws the first error of the file system, also one of an earlier write */
  close(): void {
    this.file.close();
  }
}

function writerOf(sink: ByteSink, format: CaptureFormat, options: CaptureFileOptions, old?: Uint8Array): Writer {
  const { snapLength, precision, linkType, interfaceName } = options;
  const shared = {
    ...(snapLength === undefined ? {} : { snapLength }),
    ...(precision === undefined ? {} : { precision }),
    ...(linkType === undefined ? {} : { linkType }),
  };
  if (format === 'pcap') return new PcapWriter(sink, { ...shared, ...(old === undefined ? {} : { append: old }) });
  const writer = new PcapngWriter(sink, { application: 'rx-netstack' });
  writer.addInterface({ ...shared, ...(interfaceName === undefined ? {} : { name: interfaceName }) });
  return writer;
}

/** How much of an existing file is whole, and its first bytes; nothing where there is no file or an empty one. */
function partToKeep(path: string, format: CaptureFormat): { length: number; header: Uint8Array } | undefined {
  if (!existsSync(path) || statSync(path).size === 0) return undefined;
  const old = new CaptureFileReader(path);
  try {
    while (typeof old.next() === 'object');
    if (old.reader.format !== format) throw badCapture(0, `cannot append ${format} to what is not ${format}`);
    return { length: old.reader.offset, header: firstBytes(path) };
  } finally {
    old.close();
  }
}

function firstBytes(path: string): Uint8Array {
  const file = openSync(path, 'r');
  try {
    const bytes = new Uint8Array(PCAP_HEADER);
    return bytes.subarray(0, readSync(file, bytes));
  } finally {
    closeSync(file);
  }
}
