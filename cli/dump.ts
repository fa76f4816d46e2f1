/** `rx-netstack dump`: the packets of captures or of a TAP interface, a line each. */

import { readable } from '../lib/capture/capture.js';
import { PcapFilter } from '../lib/filter/pcap-filter/index.js';
import { ArgumentError, flag, many, parseArguments, text, whole } from './args.js';
import { type Command, messageOf } from './command.js';
import { type PrintStyle, printFiles, printTap, type RawPacket } from './packet-lines.js';

const OPTIONS = {
  read: many(
    text('FILE', 'Dump this file; everything that is no option is the expression then. May be repeated.', 'r'),
  ),
  tap: text('NAME', 'Dump what this TAP interface sends, instead of files; needs root.'),
  json: flag('Print one JSON object a line.'),
  hex: flag("Print each packet's bytes, too.", 'x'),
  count: whole('N', 'Stop after N packets.', 1, Number.MAX_SAFE_INTEGER, 'c'),
} as const;

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
    const filter = filterOf(expression);
    const wants = (packet: RawPacket) => isWanted(packet, filter);
    const style: PrintStyle = { program: 'rx-netstack dump', json, hex, wants, left: count };
    return tap === undefined ? printFiles(files, style, io) : printTap(tap, style, io);
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

/** Whether a packet matches; of a link that expressions know nothing of, only the expression of all packets does. */
function isWanted({ linkType, data, originalLength }: RawPacket, filter: PcapFilter): boolean {
  const { header, linkType: kind } = readable(linkType, data);
  if (kind === undefined || kind === 'ergot') return String(filter) === '';
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return filter.matches(view, header, data.length, kind, originalLength - header);
}
