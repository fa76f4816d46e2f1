/** A packet as one line for people, much as tcpdump writes it. */

import { Ipv4Address, MacAddress } from '../core/address.js';
import { dropReasonName } from '../core/drops.js';
import type { Frame } from '../core/frame.js';
import { ergotLine } from '../ergot/frame-text.js';
import { ArpOperation } from '../wire/arp.js';
import { type Icmpv4Message, Icmpv4Type } from '../wire/icmpv4.js';
import { TCP_HEADER, TcpFlag, type TcpSegment } from '../wire/tcp.js';
import { addressesOf, fragmentOf } from './describe.js';
import { Dissection, type DissectOptions, type LayerName } from './dissect.js';
import { icmpCodeName, icmpTypeName } from './icmp-names.js';
import { control6 } from './pretty-icmpv6.js';
import { protocolName, quote } from './pretty-quote.js';
import { formatTcpOptions, readTcpOptionList } from './tcp-option-list.js';

const FLAG_LETTERS = [
  [TcpFlag.Syn, 'S'],
  [TcpFlag.Fin, 'F'],
  [TcpFlag.Rst, 'R'],
  [TcpFlag.Psh, 'P'],
  [TcpFlag.Urg, 'U'],
  [TcpFlag.Ece, 'E'],
  [TcpFlag.Cwr, 'W'],
  [TcpFlag.Ack, '.'],
  [TcpFlag.Ae, 'e'],
] as const;

/**
 * One line per packet. Never throws, whatever the bytes, and changes nothing.
 *
 * @example
 * pretty(frame); // IP 10.0.0.2 > 10.0.0.1: ICMP echo request, id 7, seq 1, length 64
 */
export function pretty(frame: Frame, options: DissectOptions = {}): string {
  return lineOf(new Dissection(frame, options), frame);
}

function lineOf(packet: Dissection, frame: Frame): string {
  const { inner } = packet;
  const tags = packet.tags.map((tag) => {
    const priority = tag.priority > 0 ? ` p ${tag.priority}` : '';
    return `vlan ${tag.vid}${priority}${tag.dropEligible ? ' DEI' : ''}, `;
  });
  const bad = (Object.keys(packet.checksums) as LayerName[]).filter((layer) => packet.checksums[layer] === 'bad');
  const complaints = bad.map((layer) => ` (bad ${layer} checksum)`);
  if (packet.malformed !== undefined) complaints.push(` [${dropReasonName(packet.malformed)}]`);
  const behind = inner === undefined ? '' : `: ${lineOf(inner, inner.frame)}`;
  return tags.join('') + body(packet, frame) + complaints.join('') + behind;
}

function body(packet: Dissection, frame: Frame): string {
  const { arp, etherType } = packet;
  if (arp !== undefined) {
    const sender = new Ipv4Address(arp.senderIp).toString();
    if (arp.operation === ArpOperation.Request) {
      return `ARP, Request who-has ${new Ipv4Address(arp.targetIp).toString()} tell ${sender}`;
    }
    if (arp.operation === ArpOperation.Reply) {
      return `ARP, Reply ${sender} is-at ${new MacAddress(arp.senderMac).toString()}`;
    }
    return `ARP, operation ${arp.operation} from ${sender}`;
  }
  if (packet.ip !== undefined) return internet(packet);
  if (packet.ergot !== undefined) return ergotLine(packet.ergot);
  if (packet.layers.includes('arp')) return `ARP, not for IPv4 over Ethernet, length ${packet.payloadLength}`;
  const { ethernet } = packet;
  if (ethernet === undefined) return `${packet.malformed === undefined ? 'IP' : 'unreadable'}, length ${frame.length}`;
  const type = etherType === 0 ? '802.3' : `ethertype 0x${etherType.toString(16).padStart(4, '0')}`;
  const from = new MacAddress(ethernet.source).toString();
  return `${from} > ${new MacAddress(ethernet.destination).toString()}, ${type}, length ${packet.payloadLength}`;
}

function internet(packet: Dissection): string {
  const { ip, tcp, udp, icmp, icmpv6, vxlan, ergot } = packet;
  const { src, dst } = addressesOf(packet) ?? { src: '', dst: '' };
  const ports = tcp ?? udp;
  const start = ip?.version === 6 ? 'IP6' : 'IP';
  const ends = ports === undefined ? `${src} > ${dst}` : `${src}.${ports.sourcePort} > ${dst}.${ports.destinationPort}`;
  const line = `${start} ${ends}: ${extensionsOf(packet)}`;
  if (tcp !== undefined) return line + segment(tcp, packet);
  if (vxlan !== undefined) return `${line}VXLAN, vni ${vxlan.vni}`;
  if (ergot !== undefined) return line + ergotLine(ergot);
  if (udp !== undefined) return `${line}UDP, length ${Math.max(0, udp.length - 8)}`;
  if (icmp !== undefined) return `${line}ICMP ${control(icmp)}, length ${packet.payloadLength + 8}`;
  if (icmpv6 !== undefined) return `${line}ICMP6, ${control6(icmpv6)}, length ${packet.payloadLength + 8}`;
  const protocol = protocolName(ip?.protocol ?? 0);
  const fragment = fragmentOf(packet);
  if (fragment === undefined) return `${line}${protocol}, length ${packet.payloadLength}`;
  const { id, offset, more } = fragment;
  return `${line}${protocol}, fragment id ${id} offset ${offset}${more ? '+' : ''}, length ${packet.payloadLength}`;
}

const EXTENSIONS: Partial<Record<LayerName, string>> = {
  hopopts: 'HBH ',
  dstopts: 'DSTOPT ',
  routing: 'RT ',
  ah: 'AH ',
};

/** The extension headers of IPv6; a fragment's is told of behind them, an atomic one's here. */
function extensionsOf(packet: Dissection): string {
  const whole = packet.ipv6?.isFragment !== true;
  return packet.layers.map((layer) => (layer === 'fragment' && whole ? 'frag ' : (EXTENSIONS[layer] ?? ''))).join('');
}

/** TCP control bits as letters, `.` for ACK, `none` for none. */
export function tcpFlagLetters(flags: number): string {
  const letters = FLAG_LETTERS.filter(([bit]) => (flags & bit) !== 0).map(([, letter]) => letter);
  return letters.length === 0 ? 'none' : letters.join('');
}

function segment(tcp: TcpSegment, packet: Dissection): string {
  const { flags, sequence, headerLength, payload } = tcp;
  const whole = headerLength >= TCP_HEADER && payload <= packet.frame.end && packet.frame.start === payload;
  const length = whole ? packet.payloadLength : 0;
  const parts = [`Flags [${tcpFlagLetters(flags)}]`];
  parts.push(length > 0 ? `seq ${sequence}:${(sequence + length) >>> 0}` : `seq ${sequence}`);
  if ((flags & TcpFlag.Ack) !== 0) parts.push(`ack ${tcp.acknowledgment}`);
  parts.push(`win ${tcp.window}`);
  if ((flags & TcpFlag.Urg) !== 0) parts.push(`urg ${tcp.urgentPointer}`);
  if (whole && headerLength > TCP_HEADER) {
    const items = readTcpOptionList(packet.frame.slab.view, tcp.offset + TCP_HEADER, payload);
    parts.push(`options [${formatTcpOptions(items)}]`);
  }
  return `${parts.join(', ')}, length ${length}`;
}

function control(icmp: Icmpv4Message): string {
  const { type, code } = icmp;
  const name = (icmpTypeName(type) ?? `type ${type}`).replaceAll('_', ' ');
  if (type === Icmpv4Type.EchoRequest || type === Icmpv4Type.EchoReply) return `${name}, ${identity(icmp)}`;
  if (type === Icmpv4Type.TimestampRequest || type === Icmpv4Type.TimestampReply) return `${name}, ${identity(icmp)}`;
  const reason = (icmpCodeName(type, code) ?? (code === 0 ? '' : `code ${code}`)).replaceAll('_', ' ');
  const mtu = type === Icmpv4Type.DestinationUnreachable && code === 4 ? ` mtu ${icmp.mtu}` : '';
  const { quoted } = icmp;
  const about = quoted === undefined ? '' : ` [${quote(quoted)}]`;
  return `${name}${reason === '' ? '' : ` ${reason}`}${mtu}${about}`;
}

function identity(icmp: Icmpv4Message): string {
  return `id ${icmp.identifier}, seq ${icmp.sequence}`;
}
