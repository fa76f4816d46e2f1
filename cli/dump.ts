/** `rx-netstack dump`: the packets of captures or of a TAP interface, a line each. */

import { createReadStream } from 'node:fs';
import { addAbortSignal, type Readable } from 'node:stream';
import {
  type CaptureInterface,
  type CaptureRecord,
  captureTime,
  LinkType,
  linkTypeOf,
} from '../lib/capture/capture.js';
import { CaptureReader } from '../lib/capture/reader.js';
import type { Device, Medium } from '../lib/core/device.js';
import { Frame } from '../lib/core/frame.js';
import { PcapFilter } from '../lib/filter/pcap-filter/index.js';
import { describe } from '../lib/text/describe.js';
import type { DissectOptions } from '../lib/text/dissect.js';
import { hexdump } from '../lib/text/hexdump.js';
import { pretty } from '../lib/text/pretty.js';
import { environment } from '../operators/time/environment.js';
import { ArgumentError, flag, many, parseArguments, text, whole } from './args.js';
import { type Command, CommandError, type Io, messageOf, print } from './command.js';

const OPTIONS = {
  read: many(
    text('FILE', 'Dump this file; everything that is no option is the expression then. May be repeated.', 'r'),
  ),
  tap: text('NAME', 'Dump what this TAP interface sends, instead of files; needs root.'),
  json: flag('Print one JSON object a line.'),
  hex: flag("Print each packet's bytes, too.", 'x'),
  count: whole('N', 'Stop after N packets.', 1, Number.MAX_SAFE_INTEGER, 'c'),
} as const;

/** Lines gathered before they are written, in characters. */
const GATHER = 16_384;

/** A packet to be printed, wherever it came from. */
type Packet = Pick<CaptureRecord, 'seconds' | 'nanoseconds' | 'linkType' | 'originalLength' | 'data'> &
  Partial<Pick<CaptureRecord, 'untimed' | 'direction' | 'comment'>>;

/** How packets are printed, and how many more. */
interface Style {
  readonly json: boolean;
  readonly hex: boolean;
  readonly filter: PcapFilter;
  /** Packets still wanted. */
  left: number;
}

/** The command. */
export const dump: Command = {
  name: 'dump',
  summary: 'Print the packets of captures (pcap, pcapng) or of a TAP interface.',
  usage:
    'FILE... [--json] [--hex] [--count N] [-- EXPRESSION]\n-r FILE [--json] [--hex] [--count N] [EXPRESSION]\n' +
    '--tap NAME [--json] [--hex] [--count N] [EXPRESSION]',
  options: OPTIONS,
  examples: [
    ['dump capture.pcapng', 'a line for each packet; - stands for standard input'],
    ['dump --json --count 10 a.pcap b.pcap | jq .layers', 'the first ten packets, for other programs'],
    ["dump -r capture.pcapng 'tcp dst port 80 and host 10.0.0.1'", 'those that match an expression, as of tcpdump'],
    ['dump --tap tap0 --hex', 'what the kernel sends to tap0, with all bytes'],
  ],
  async run(args, io) {
    const { files, expression, values } = argumentsOf(args);
    const { tap, json, hex, count = Number.POSITIVE_INFINITY } = values;
    const style: Style = { json, hex, filter: filterOf(expression), left: count };
    if (tap !== undefined) return dumpTap(tap, style, io);
    let code = 0;
    for (const path of files) {
      if (style.left === 0 || io.signal.aborted) break;
      code = Math.max(code, await dumpFile(path, files.length > 1, style, io));
    }
    return code;
  },
};

/** What is to be dumped, and which packets of it: behind `--`, and where -r or --tap says what to read, all words are the expression. */
function argumentsOf(args: readonly string[]) {
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  const { positionals, values } = parseArguments(args.slice(0, end), OPTIONS);
  const { tap, read } = values;
  const isSaid = tap !== undefined || read.length > 0;
  const files = isSaid ? read : positionals;
  if (!isSaid && files.length === 0) throw new ArgumentError('name a FILE, or an interface with --tap');
  if (tap !== undefined && read.length > 0) throw new ArgumentError('give either files or --tap, not both');
  if (files.filter((path) => path === '-').length > 1) throw new ArgumentError('standard input can be read only once');
  const expression = [...(isSaid ? positionals : []), ...args.slice(end + 1)].join(' ');
  return { files, expression, values };
}

function filterOf(expression: string): PcapFilter {
  try {
    return new PcapFilter(expression);
  } catch (error) {
    throw new ArgumentError(`the expression ${JSON.stringify(expression)}: ${messageOf(error)}`);
  }
}

/** Prints one file; what is wrong with it is said after what could be read. */
async function dumpFile(path: string, several: boolean, style: Style, io: Io): Promise<number> {
  const name = path === '-' ? 'standard input' : path;
  if (several && !style.json) await print(io, `${name}:\n`);
  const complain = (message: string) => {
    if (io.signal.aborted) return 0;
    io.stderr.write(`rx-netstack dump: ${name}: ${message}\n`);
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
async function printRecords(reader: CaptureReader, last: number, file: object, style: Style, io: Io): Promise<number> {
  let n = last;
  let out = '';
  try {
    while (style.left > 0) {
      const record = reader.next();
      if (record === undefined) break;
      n++;
      if (!isWanted(record, style.filter)) continue;
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

async function dumpTap(name: string, style: Style, io: Io): Promise<number> {
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
          if (!isWanted({ linkType, originalLength: frame.length, data: frame.bytes() }, style.filter)) return;
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
    if (lost > 0) io.stderr.write(`rx-netstack dump: ${lost} packets were not printed: the output is too slow\n`);
  }
  return 0;
}

/** Whether a packet matches; of a link that expressions know nothing of, only the expression of all packets does. */
function isWanted(
  { linkType, data, originalLength }: Pick<Packet, 'linkType' | 'data' | 'originalLength'>,
  filter: PcapFilter,
): boolean {
  const { header, linkType: kind } = readable(linkType, data);
  if (kind === undefined || kind === 'ergot') return String(filter) === '';
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return filter.matches(view, header, data.length, kind, originalLength - header);
}

function lineOf(n: number, packet: Packet, place: CaptureInterface | undefined, file: object, style: Style): string {
  const { data, originalLength } = packet;
  const time = packet.untimed === true ? undefined : isoTime(packet.seconds, packet.nanoseconds, place?.digits ?? 6);
  const { header, linkType } = readable(packet.linkType, data);
  const frame = Frame.from(linkType === undefined ? data : data.subarray(header));
  const how: DissectOptions = { linkType: linkType ?? 'ethernet', wireLength: originalLength - header };
  if (!style.json) {
    const words =
      linkType === undefined ? `link type ${packet.linkType}, length ${originalLength}` : pretty(frame, how);
    const comment = packet.comment === undefined ? '' : ` # ${packet.comment.replaceAll('\n', ' ')}`;
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

/** Lengths of headers that carry nothing that we print: BSD loopback (two kinds), and Linux's "any" device (two kinds). */
const COOKED: Readonly<Record<number, number>> = { 0: 4, 108: 4, 113: 16, 276: 20 };

/** What a packet of a link type starts with after `header` bytes; no `linkType` for what we cannot read. */
function readable(linkType: number, data: Uint8Array): { header: number; linkType?: Medium } {
  if (linkType === LinkType.Ethernet) return { header: 0, linkType: 'ethernet' };
  if (linkType === LinkType.Ergot) return { header: 0, linkType: 'ergot' };
  const isIp = linkType === LinkType.RawIp || linkType === LinkType.Ipv4 || linkType === LinkType.Ipv6;
  if (isIp) return { header: 0, linkType: 'ip' };
  const header = COOKED[linkType];
  const version = header === undefined ? 0 : (data[header] ?? 0) >>> 4;
  return header !== undefined && (version === 4 || version === 6) ? { header, linkType: 'ip' } : { header: 0 };
}

/** ISO 8601 with as many digits of a second as the file has; seconds since 1970 for what no calendar reaches. */
export function isoTime(seconds: number, nanoseconds: number, digits: number): string {
  const fraction = digits === 0 ? '' : `.${String(nanoseconds).padStart(9, '0').slice(0, digits)}`;
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return `@${seconds}${fraction}`;
  return `${date.toISOString().replace(/\.\d+Z$/, '')}${fraction}Z`;
}
