/** Packets of captures and of TAP interfaces as lines: what commands have in common that print packets. */

import { createReadStream } from 'node:fs';
import { addAbortSignal, type Readable } from 'node:stream';
import {
  type CaptureInterface,
  type CaptureRecord,
  captureTime,
  linkTypeOf,
  readable,
} from '../lib/capture/capture.js';
import { CaptureReader } from '../lib/capture/reader.js';
import type { Device } from '../lib/core/device.js';
import { Frame } from '../lib/core/frame.js';
import { describe } from '../lib/text/describe.js';
import type { DissectOptions } from '../lib/text/dissect.js';
import { hexdump } from '../lib/text/hexdump.js';
import { pretty } from '../lib/text/pretty.js';
import { environment } from '../operators/time/environment.js';
import { CommandError, type Io, messageOf, print } from './command.js';

/** What a terminal obeys instead of showing it. */
// eslint-disable-next-line no-control-regex -- it is these that must not reach a terminal
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

/** Lines gathered before they are written, in characters. */
const GATHER = 16_384;

/** A packet to be printed, wherever it came from. */
export type Packet = Pick<CaptureRecord, 'seconds' | 'nanoseconds' | 'linkType' | 'originalLength' | 'data'> &
  Partial<Pick<CaptureRecord, 'untimed' | 'direction' | 'comment'>>;

/** What of a packet is needed to choose it. */
export type RawPacket = Pick<Packet, 'linkType' | 'originalLength' | 'data'>;

/** How packets are printed, and how many more. */
export interface PrintStyle {
  /** Whose lines they are, for messages: `rx-netstack dump`. */
  readonly program: string;
  readonly json: boolean;
  readonly hex: boolean;
  /** How packets are read. */
  readonly dissect?: Omit<DissectOptions, 'linkType' | 'wireLength'>;
  /** Whether a packet is printed. */
  readonly wants: (packet: RawPacket) => boolean;
  /** Packets still wanted. */
  left: number;
}

/** Prints files, one after the other; the exit code is 1 if something was wrong with one. */
export async function printFiles(files: readonly string[], style: PrintStyle, io: Io): Promise<number> {
  let code = 0;
  for (const path of files) {
    if (style.left === 0 || io.signal.aborted) break;
    code = Math.max(code, await printFile(path, files.length > 1, style, io));
  }
  return code;
}

/** Prints one file; what is wrong with it is said after what could be read. */
async function printFile(path: string, several: boolean, style: PrintStyle, io: Io): Promise<number> {
  const name = path === '-' ? 'standard input' : path;
  if (several && !style.json) await print(io, `${name}:\n`);
  const complain = (message: string) => {
    if (io.signal.aborted) return 0;
    io.stderr.write(`${style.program}: ${name}: ${message}\n`);
    return 1;
  };
  const reader = new CaptureReader();
  let stream: Readable | undefined;
  try {
    stream = path === '-' ? io.stdin : createReadStream(path);
    // An iterator of our own: leaving the loop must not wait for a terminal.
    addAbortSignal(io.signal, stream);
    let n = 0;
    for await (const chunk of stream) {
      reader.push(chunk as Uint8Array);
      n = await printRecords(reader, n, several ? { file: path } : {}, style, io);
      if (style.left === 0 || io.signal.aborted) return 0;
    }
    if (reader.end() === 'complete') return 0;
    return complain(
      n === 0 && reader.format === undefined ? 'empty or cut short: not a capture' : 'the file is cut short',
    );
  } catch (error) {
    return complain(messageOf(error));
  } finally {
    stream?.destroy();
  }
}

/** Prints the records that are complete; returns the number of the last one. */
async function printRecords(
  reader: CaptureReader,
  last: number,
  file: object,
  style: PrintStyle,
  io: Io,
): Promise<number> {
  let n = last;
  let out = '';
  try {
    while (style.left > 0) {
      const record = reader.next();
      if (record === undefined) break;
      n++;
      if (!style.wants(record)) continue;
      style.left--;
      out += lineOf(n, record, reader.interfaces[record.interfaceId], file, style);
      if (out.length < GATHER) continue;
      await print(io, out);
      out = '';
      if (io.signal.aborted) break;
    }
  } finally {
    // Also where the next record is broken: what came before it was whole.
    if (out !== '') await print(io, out);
  }
  return n;
}

/** Prints what the kernel sends to a TAP interface, until the user wants it to end. @throws CommandError */
export async function printTap(name: string, style: PrintStyle, io: Io): Promise<number> {
  const env = environment();
  let device: Device;
  try {
    const { openTap } = await import('../drivers/tap.js');
    // Frames as they are on the wire.
    device = openTap({ name, offload: false, coalesce: false }, env);
  } catch (error) {
    throw new CommandError(`cannot open ${name}: ${messageOf(error)}`);
  }
  io.stderr.write(`listening on ${device.name}\n`);
  const linkType = linkTypeOf(device.medium);
  let n = 0;
  let lost = 0;
  try {
    await new Promise<void>((done, fail) => {
      io.signal.addEventListener('abort', () => done());
      if (io.signal.aborted) done();
      device.frames$.subscribe({
        next(frame) {
          if (style.left === 0) return;
          n++;
          env.drops.deliver(frame);
          if (!style.wants({ linkType, originalLength: frame.length, data: frame.bytes() })) return;
          // Packets do not wait for whoever reads our lines, and memory is not for keeping them.
          if (io.stdout.writableNeedDrain) {
            lost++;
            return;
          }
          style.left--;
          const packet = { ...captureTime(frame.time), linkType, originalLength: frame.length, data: frame.bytes() };
          io.stdout.write(lineOf(n, packet, undefined, {}, style));
          if (style.left === 0) done();
        },
        error: (error: unknown) => fail(new CommandError(`${name}: ${messageOf(error)}`)),
        complete: () => done(),
      });
    });
  } finally {
    await device.close();
    if (lost > 0) io.stderr.write(`${style.program}: ${lost} packets were not printed: the output is too slow\n`);
  }
  return 0;
}

function lineOf(
  n: number,
  packet: Packet,
  place: CaptureInterface | undefined,
  file: object,
  style: PrintStyle,
): string {
  const { data, originalLength } = packet;
  const time = packet.untimed === true ? undefined : isoTime(packet.seconds, packet.nanoseconds, place?.digits ?? 6);
  const { header, linkType } = readable(packet.linkType, data);
  const frame = Frame.from(linkType === undefined ? data : data.subarray(header));
  const how = { ...style.dissect, linkType: linkType ?? 'ethernet', wireLength: originalLength - header };
  if (!style.json) {
    const words =
      linkType === undefined ? `link type ${packet.linkType}, length ${originalLength}` : pretty(frame, how);
    const comment = packet.comment === undefined ? '' : ` # ${packet.comment.replaceAll(CONTROLS, ' ')}`;
    return `${n} ${time ?? '-'} ${words}${comment}\n${style.hex ? `${hexdump(data, '\t')}\n` : ''}`;
  }
  const json = {
    n,
    ...file,
    ...(time === undefined ? {} : { time }),
    length: originalLength,
    ...(data.length === originalLength ? {} : { captured: data.length }),
    ...(linkType === undefined ? { layers: [], linkType: packet.linkType } : describe(frame, how)),
    ...(place?.name === undefined ? {} : { interface: place.name }),
    ...(packet.direction === undefined ? {} : { direction: packet.direction }),
    ...(packet.comment === undefined ? {} : { comment: packet.comment }),
    ...(style.hex ? { hex: Buffer.from(data).toString('hex') } : {}),
  };
  return `${JSON.stringify(json)}\n`;
}

/** ISO 8601 with as many digits of a second as the file has; seconds since 1970 for what no calendar reaches. */
export function isoTime(seconds: number, nanoseconds: number, digits: number): string {
  const fraction = digits === 0 ? '' : `.${String(nanoseconds).padStart(9, '0').slice(0, digits)}`;
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return `@${seconds}${fraction}`;
  return `${date.toISOString().replace(/\.\d+Z$/, '')}${fraction}Z`;
}
