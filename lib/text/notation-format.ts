/** Writes packet specifications as canonical lines: the same packet always gives the same line, and parsing it the same specification. */

import { MacAddress } from '../core/address.js';
import { ArpOperation } from '../wire/arp.js';
import { icmpCodeName, icmpTypeName } from './icmp-names.js';
import {
  type ArpSpec,
  type IcmpSpec,
  type PacketSpec,
  type PayloadSpec,
  TCP_FLAG_LETTERS,
  type TcpSpec,
} from './packet-spec.js';
import { formatTags } from './notation-vlan.js';
import { formatTcpOptions } from './tcp-option-list.js';

const ACK = 0x10;

/** The canonical line of a packet. */
export function formatPacket(spec: PacketSpec): string {
  const words = [bodyOf(spec)];
  if (spec.direction !== undefined) words.unshift(spec.direction);
  if (spec.fragment !== undefined) {
    words.push(`frag ${spec.fragment.from}:${spec.fragment.to}${spec.fragment.more ? '+' : ''}`);
  }
  if (spec.ttl !== undefined) words.push(`ttl ${spec.ttl}`);
  if (spec.tos !== undefined) words.push(`tos 0x${spec.tos.toString(16).padStart(2, '0')}`);
  if (spec.ecn !== undefined) words.push(`[${spec.ecn}]`);
  if (spec.ipId !== undefined) words.push(`ipid ${spec.ipId}`);
  if (spec.dontFragment === true) words.push('df');
  if (spec.flowLabel !== undefined) words.push(`flow ${spec.flowLabel}`);
  for (const { kind, data } of spec.extensions ?? []) words.push(`${kind} ${hexText(data)}`);
  words.push(...endsText(spec));
  if (spec.macFrom !== undefined) words.push(`mac-from ${mac(spec.macFrom)}`);
  if (spec.macTo !== undefined) words.push(`mac-to ${mac(spec.macTo)}`);
  words.push(...formatTags(spec.tags ?? []));
  if (spec.badChecksum === true) words.push('bad-checksum');
  if (spec.badIpChecksum === true) words.push('bad-ip-checksum');
  if (spec.noChecksum === true) words.push('no-checksum');
  return words.join(' ');
}

function endsText({ from, to }: PacketSpec): string[] {
  return [...(from === undefined ? [] : [`from ${from}`]), ...(to === undefined ? [] : [`to ${to}`])];
}

function mac(value: number): string {
  return value === MacAddress.BROADCAST.value ? 'broadcast' : new MacAddress(value).toString();
}

function bodyOf(spec: PacketSpec): string {
  switch (spec.kind) {
    case 'tcp':
      return formatTcp(spec);
    case 'udp':
      return `udp ${portsOf(spec)}${payloadText(spec.payload)}`;
    case 'icmp':
    case 'icmpv6':
      return formatIcmp(spec);
    case 'arp':
      return formatArp(spec);
    case 'ip':
      return `ip ${spec.protocol} ${payloadText(spec.payload)}`;
    case 'ether':
      return `ether 0x${spec.etherType.toString(16).padStart(4, '0')} ${payloadText(spec.payload)}`;
  }
}

function formatArp({ operation, senderIp, senderMac, targetIp, targetMac }: ArpSpec): string {
  const words: string[] = [];
  if (operation === ArpOperation.Reply) words.push(`arp reply ${senderIp} is-at ${mac(senderMac ?? 0)}`);
  else {
    words.push(`arp who-has ${targetIp} tell ${senderIp}`);
    if (operation !== ArpOperation.Request) words.push(`op ${operation}`);
    if (senderMac !== undefined) words.push(`sender-mac ${mac(senderMac)}`);
  }
  if (targetMac !== undefined) words.push(`target-mac ${mac(targetMac)}`);
  return words.join(' ');
}

function portsOf(spec: { readonly sourcePort?: number; readonly destinationPort?: number }): string {
  if (spec.sourcePort === undefined || spec.destinationPort === undefined) return '';
  return `${spec.sourcePort} > ${spec.destinationPort} `;
}

/** The TCP line as packetdrill writes it. */
export function formatTcp(spec: TcpSpec): string {
  const letters = TCP_FLAG_LETTERS.filter(([, bit]) => (spec.flags & bit) !== 0).map(([letter]) => letter);
  const flags = letters.join('') + ((spec.flags & ACK) === 0 ? '' : '.');
  const words = [portsOf(spec) + (flags === '' ? '-' : flags), rangeText(spec)];
  if (spec.ack !== undefined) words.push(`ack ${spec.ack}${spec.absoluteAck === true ? '!' : ''}`);
  if (spec.window !== undefined) words.push(`win ${spec.window}`);
  if (spec.urgent !== undefined) words.push(`urg ${spec.urgent}`);
  if (spec.options === 'any') words.push('<...>');
  else if (spec.options !== undefined) words.push(`<${formatTcpOptions(spec.options)}>`);
  return words.join(' ');
}

function rangeText(spec: TcpSpec): string {
  const data = payloadText(spec.payload);
  if (spec.sequence === undefined) return `...${data}`;
  const { length } = spec.payload;
  const end = length === undefined ? '...' : (spec.sequence + length) % 0x1_0000_0000;
  return `${spec.sequence}:${end}${data}${spec.absoluteSequence === true ? '!' : ''}`;
}

function formatIcmp(spec: IcmpSpec): string {
  const version = spec.kind === 'icmp' ? 4 : 6;
  const name = icmpTypeName(spec.type, version);
  const code = icmpCodeName(spec.type, spec.code, version);
  const words: string[] = [spec.kind, name ?? `type ${spec.type}`];
  if (code !== undefined) words.push(code);
  else if (spec.code !== 0) words.push(`code ${spec.code}`);
  if (spec.id !== undefined) words.push(`id ${spec.id}`);
  if (spec.seq !== undefined) words.push(`seq ${spec.seq}`);
  if (spec.mtu !== undefined) words.push(`mtu ${spec.mtu}`);
  if (spec.pointer !== undefined) words.push(`pointer ${spec.pointer}`);
  if (spec.gateway !== undefined) words.push(`gateway ${spec.gateway}`);
  if (spec.target !== undefined) words.push(`target ${spec.target}`);
  if (spec.flags !== undefined) words.push(`flags ${spec.flags === '' ? '-' : spec.flags}`);
  if (spec.linkAddress !== undefined) words.push(`lladdr ${mac(spec.linkAddress)}`);
  if (spec.rest !== undefined) words.push(`rest ${spec.rest}`);
  if (spec.quote !== undefined) words.push(`[${quoteText(spec.quote)}]`);
  if (spec.payload !== undefined) words.push(payloadText(spec.payload));
  return words.join(' ');
}

function quoteText(quote: PacketSpec): string {
  const body = quote.kind === 'tcp' ? `tcp ${portsOf(quote)}${rangeText(quote)}` : bodyOf(quote);
  return [body, ...endsText(quote)].join(' ');
}

function payloadText(payload: PayloadSpec): string {
  const { length, bytes } = payload;
  if (length === undefined) return '(...)';
  if (bytes === undefined) return `(${length})`;
  return bytes === 'any' ? `(${length} ...)` : `(${length} ${bytesText(bytes)})`;
}

/** Text where it is printable ASCII, else hex. */
function bytesText(bytes: Uint8Array): string {
  if (bytes.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x0a || byte === 0x0d)) {
    return JSON.stringify(String.fromCharCode(...bytes));
  }
  return hexText(bytes);
}

function hexText(bytes: Uint8Array): string {
  return `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
