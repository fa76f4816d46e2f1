/** `rx-netstack ergot sniff`: the frames of ergot in captures or on a TAP interface, a line each. */

import { readable } from '../../lib/capture/capture.js';
import { Frame } from '../../lib/core/frame.js';
import { Dissection, type DissectOptions, type ErgotDissectOptions } from '../../lib/text/dissect.js';
import { ERGOT_PORT } from '../../drivers/ergot/sockets.js';
import { ArgumentError, flag, parseArguments, text, whole } from '../args.js';
import type { Command } from '../command.js';
import { type PrintStyle, printFiles, printTap, type RawPacket } from '../packet-lines.js';

const OPTIONS = {
  tap: text('NAME', 'What this TAP interface sends, instead of files; needs root.'),
  phone: flag('Frames have phone-number addresses, on links of ergot and on Ethernet: nothing in them says so.'),
  port: whole('N', `UDP port whose datagrams are frames of ergot; ${ERGOT_PORT} otherwise.`, 1, 65_535),
  json: flag('Print one JSON object a line.'),
  hex: flag("Print each packet's bytes, too.", 'x'),
  count: whole('N', 'Stop after N frames.', 1, Number.MAX_SAFE_INTEGER, 'c'),
} as const;

/** The command. */
export const sniff: Command = {
  name: 'ergot sniff',
  summary: 'Print the frames of ergot in captures (pcap, pcapng) or on a TAP interface.',
  usage: '(FILE... | --tap NAME) [--phone] [--port N] [--json] [--hex] [--count N]',
  options: OPTIONS,
  examples: [
    ['ergot sniff capture.pcapng', 'a line for each frame, whatever it is in; - stands for standard input'],
    ['ergot sniff --tap tap0', 'what the kernel sends to tap0'],
    ['tcpdump -i lo -w - udp port 2025 | rx-netstack ergot sniff -', 'the datagrams of this machine, as they come'],
  ],
  async run(args, io) {
    const { positionals: files, values } = parseArguments(args, OPTIONS);
    const { tap, phone, port = ERGOT_PORT, json, hex, count: left = Number.POSITIVE_INFINITY } = values;
    if (tap === undefined && files.length === 0) throw new ArgumentError('name a FILE, or an interface with --tap');
    if (tap !== undefined && files.length > 0) throw new ArgumentError('give either files or --tap, not both');
    if (files.filter((path) => path === '-').length > 1) {
      throw new ArgumentError('standard input can be read only once');
    }
    const ergot: ErgotDissectOptions = { format: phone ? 'phone' : 'net', udpPort: port };
    const wants = (packet: RawPacket) => isErgot(packet, { ergot });
    const style: PrintStyle = { program: 'rx-netstack ergot sniff', json, hex, dissect: { ergot }, wants, left };
    return tap === undefined ? printFiles(files, style, io) : printTap(tap, style, io);
  },
};

/** Whether there is a frame of ergot in a packet, whole or not. */
function isErgot({ linkType, data, originalLength }: RawPacket, options: DissectOptions): boolean {
  const { header, linkType: kind } = readable(linkType, data);
  if (kind === undefined) return false;
  const wireLength = originalLength - header;
  let packet: Dissection | undefined = new Dissection(Frame.from(data.subarray(header)), {
    ...options,
    linkType: kind,
    wireLength,
  });
  // Tunnels have frames in their frames.
  while (packet !== undefined && packet.ergot === undefined) packet = packet.inner;
  return packet !== undefined;
}
