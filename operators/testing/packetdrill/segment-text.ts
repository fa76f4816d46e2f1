/** Segments as lines of the notation, for people to compare. */

import { TCP_FLAG_LETTERS } from '../../../lib/text/packet-spec.js';
import { formatTcpOptions } from '../../../lib/text/tcp-option-list.js';
import { TcpFlag } from '../../../lib/wire/tcp.js';
import type { Flow } from './flow.js';
import type { LivePacket } from './live-packet.js';
import type { SegmentLine } from './script.js';

/** Control bits: `S.`, `FP.`, `-`. */
export function flagText(flags: number): string {
  const letters = TCP_FLAG_LETTERS.filter(([, bit]) => flags & bit)
    .map(([letter]) => letter)
    .join('');
  return `${letters}${flags & TcpFlag.Ack ? '.' : ''}` || '-';
}

/** All bits of a header that have a meaning. */
export const FLAG_BITS: number = 0xff | TcpFlag.Ae;

/** A line of a script. */
export function lineText(line: SegmentLine): string {
  const { sequence, length, absoluteSequence, ack, absoluteAck, window, urgent, options } = line;
  const range = sequence === undefined ? `...(${length})` : `${sequence}:${(sequence + length) >>> 0}(${length})`;
  return [
    `> ${ipText(line)}${flagText(line.flags)} ${range}${absoluteSequence ? '!' : ''}`,
    ack === undefined ? '' : ` ack ${ack}${absoluteAck ? '!' : ''}`,
    window === undefined ? '' : ` win ${window}`,
    urgent === undefined ? '' : ` urg ${urgent}`,
    options === 'any' ? ' <...>' : options.length > 0 ? ` <${formatTcpOptions(options)}>` : '',
  ].join('');
}

function ipText({ ip }: SegmentLine): string {
  const said = [
    ip.ecn,
    ip.tos === undefined ? undefined : `tos 0x${ip.tos.toString(16)}`,
    ip.ttl === undefined ? undefined : `ttl ${ip.ttl}`,
    ip.flowLabel === undefined ? undefined : `flowlabel 0x${ip.flowLabel.toString(16)}`,
  ].filter((one) => one !== undefined);
  return said.length > 0 ? `[${said.join(',')}] ` : '';
}

const ECN_WORDS = ['noecn', 'ect1', 'ect0', 'ce'];

/** A segment that left, in the numbers of the script; of the IP header what the expected line speaks of, too. */
export function packetText(packet: LivePacket, flow: Flow | undefined, expected?: SegmentLine): string {
  const sequence = expected?.absoluteSequence === true ? packet.sequence : scriptSequence(packet, flow);
  const ip = {
    ...(expected?.ip.ecn === undefined ? {} : { ecn: ECN_WORDS[packet.trafficClass & 3] as 'ce' }),
    ...(expected?.ip.tos === undefined ? {} : { tos: packet.trafficClass }),
    ...(expected?.ip.ttl === undefined ? {} : { ttl: packet.hopLimit }),
    ...(expected?.ip.flowLabel === undefined ? {} : { flowLabel: packet.flowLabel }),
  };
  return lineText({
    ip,
    ports: undefined,
    flags: packet.flags,
    sequence,
    absoluteSequence: expected?.absoluteSequence ?? false,
    length: packet.length,
    ack: packet.flags & TcpFlag.Ack ? packet.ack : undefined,
    absoluteAck: expected?.absoluteAck ?? false,
    window: packet.window,
    urgent: packet.flags & TcpFlag.Urg ? packet.urgent : undefined,
    options: packet.options.map((item) =>
      item.kind === 'TS' && item.value !== undefined && flow !== undefined
        ? { ...item, value: flow.scriptTimestamp(item.value) }
        : item,
    ),
    absoluteEcho: false,
  });
}

/** Our sequence number as the script counts; that of a RST in answer to what acknowledges nothing is 0 (RFC 9293 3.10.7.1). */
export function scriptSequence(packet: LivePacket, flow: Flow | undefined): number {
  if (packet.flags & TcpFlag.Rst && packet.sequence === 0) return 0;
  return flow?.scriptSequence(packet.sequence) ?? packet.sequence;
}
