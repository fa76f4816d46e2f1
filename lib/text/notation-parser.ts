/**
 * Reads one packet of the notation. In short (docs of `PacketNotation` have examples):
 *
 *     packet   = [ "<" | ">" ] { ip-info } body { modifier }
 *     body     = [ port ">" port ] tcp-line | "udp" [ port ">" port ] data | ( "icmp" | "icmpv6" ) type [code] ... | arp
 *              | "ip" protocol data | "ether" type data
 *     data     = "(" length ")" | "(" length "..." ")" | "(" "..." ")" | "(" [ length ] string ")" | "(" 0xhex ")"
 *     modifier = "ttl" N | "tos" N | "ipid" N | "df" | "frag" a ":" b [ "+" ] | "from" IP | "to" IP | "mac-from" MAC
 *              | "mac-to" MAC | tag | "flow" N | ( "hopopts" | "dstopts" | "routing" | "ah" ) 0xhex | "bad-checksum"
 *              | "bad-ip-checksum" | "no-checksum" | ip-info
 *     tag      = "vlan" N [ "p" N ] [ "dei" ] [ "ctag" | "stag" ]
 *     arp      = "arp" ( "who-has" IP "tell" IP [ "op" N ] [ "sender-mac" MAC ] | "reply" IP "is-at" MAC ) [ "target-mac" MAC ]
 *     quote    = "[" ( body | a ":" b data ) { "from" IP | "to" IP } "]", in an ICMP error
 *     ip-info  = "[" ( "noecn" | "ect0" | "ect1" | "ect01" | "ce" | "tos" N ) "]" | "(" "ttl" N ")"
 */

import { type IpVersion, MacAddress, parseIp } from '../core/address.js';
import { ArpOperation } from '../wire/arp.js';
import { Icmpv4Type, Icmpv4Unreachable } from '../wire/icmpv4.js';
import { Icmpv6Type } from '../wire/icmpv6.js';
import { TcpFlag } from '../wire/tcp.js';
import { icmpCodeOf, icmpTypeOf } from './icmp-names.js';
import { TokenCursor, tokenize } from './notation-lexer.js';
import { atTcpFlags, hexToBytes, parseLength, parseSegment, parseTcp } from './notation-tcp.js';
import { parseTag } from './notation-vlan.js';
import type { ArpSpec, EnvelopeSpec, ExtensionSpec, IcmpSpec, IpSpec, PacketSpec, UdpSpec } from './packet-spec.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

// Deeper nesting is nobody's intention; without a bound a hostile text exhausts the stack.
const DEEPEST = 32;

const ECN_WORDS = ['noecn', 'ect0', 'ect1', 'ect01', 'ce'] as const;

/** Parses a text that is one packet. @throws NotationError with line and column */
export function parsePacket(text: string): PacketSpec {
  const cursor = new TokenCursor(tokenize(text));
  const spec = parsePacketAt(cursor);
  if (!cursor.done) throw cursor.error('expected the end of the packet');
  return spec;
}

/** Parses a packet that other tokens may follow, in a script. @throws NotationError */
export function parsePacketAt(cursor: TokenCursor): PacketSpec {
  const envelope: Mutable<EnvelopeSpec> = {};
  if (cursor.accept('<')) envelope.direction = '<';
  else if (cursor.accept('>')) envelope.direction = '>';
  while (parseIpInfo(cursor, envelope));
  const body = parseBody(cursor);
  while (parseModifier(cursor, envelope) || parseIpInfo(cursor, envelope));
  return { ...body, ...envelope };
}

function parseBody(cursor: TokenCursor): PacketSpec {
  if (cursor.accept('udp')) return parseUdp(cursor);
  if (cursor.accept('icmp')) return parseIcmp(cursor, 4);
  if (cursor.accept('icmpv6')) return parseIcmp(cursor, 6);
  if (cursor.accept('arp')) return parseArp(cursor);
  if (cursor.accept('ip')) return parseIpBody(cursor);
  if (cursor.accept('ether')) {
    return { kind: 'ether', etherType: cursor.number('an EtherType', 0xffff), payload: parseLength(cursor) };
  }
  cursor.accept('tcp');
  const ports = parsePorts(cursor);
  if (!atTcpFlags(cursor)) throw cursor.error('expected TCP flags, udp, icmp, icmpv6, arp, ip or ether');
  return { ...parseTcp(cursor), ...ports };
}

function parsePorts(cursor: TokenCursor): Pick<UdpSpec, 'sourcePort' | 'destinationPort'> {
  if (cursor.peek().kind !== 'integer' || !cursor.at('>', 1)) return {};
  const sourcePort = cursor.number('a port', 0xffff);
  cursor.expect('>');
  return { sourcePort, destinationPort: cursor.number('a port', 0xffff) };
}

function parseUdp(cursor: TokenCursor): UdpSpec {
  const ports = parsePorts(cursor);
  const given = cursor.at('(');
  return { kind: 'udp', ...ports, payload: given ? parseLength(cursor) : { length: undefined, bytes: 'any' } };
}

function parseIpBody(cursor: TokenCursor): IpSpec {
  return { kind: 'ip', protocol: cursor.number('a protocol', 255), payload: parseLength(cursor) };
}

function parseIcmp(cursor: TokenCursor, version: IpVersion, depth = 0): IcmpSpec {
  const type = parseIcmpType(cursor, version);
  const kind = version === 4 ? 'icmp' : 'icmpv6';
  const spec: Mutable<IcmpSpec> = { kind, type, code: parseIcmpCode(cursor, type, version) };
  for (;;) {
    if (cursor.accept('id')) spec.id = cursor.number('an identifier', 0xffff);
    else if (cursor.accept('seq')) spec.seq = cursor.number('a sequence number', 0xffff);
    else if (cursor.accept('mtu')) spec.mtu = cursor.number('an MTU', version === 4 ? 0xffff : 0xffff_ffff);
    else if (cursor.accept('pointer')) spec.pointer = cursor.number('an offset', version === 4 ? 0xff : 0xffff_ffff);
    else if (version === 4 && cursor.accept('gateway')) spec.gateway = parseAddress(cursor);
    else if (version === 6 && cursor.accept('target')) spec.target = parseAddress(cursor);
    else if (version === 6 && cursor.accept('flags')) spec.flags = parseNdpFlags(cursor);
    else if (version === 6 && cursor.accept('lladdr')) spec.linkAddress = parseMac(cursor);
    else if (version === 6 && cursor.accept('rest')) spec.rest = cursor.number('a word');
    else if (cursor.at('[') && !atIpInfo(cursor)) spec.quote = parseQuote(cursor, depth + 1);
    else break;
  }
  if (cursor.at('(') && !cursor.at('ttl', 1)) spec.payload = parseLength(cursor);
  return spec;
}

/** `RSO`, fewer of them in this order, or `-` for none. */
function parseNdpFlags(cursor: TokenCursor): string {
  if (cursor.accept('-')) return '';
  const { kind, text } = cursor.peek();
  if (kind !== 'word' || !/^R?S?O?$/.test(text)) throw cursor.error('expected some of RSO, or -');
  return cursor.take().text;
}

function parseIcmpType(cursor: TokenCursor, version: IpVersion): number {
  if (cursor.accept('type')) return cursor.number('an ICMP type', 255);
  const { kind, text } = cursor.peek();
  const type = kind === 'word' ? icmpTypeOf(text, version) : undefined;
  if (type === undefined) throw cursor.error('expected an ICMP type');
  cursor.take();
  return type;
}

function parseIcmpCode(cursor: TokenCursor, type: number, version: IpVersion): number {
  if (cursor.accept('code')) return cursor.number('an ICMP code', 255);
  const code = cursor.peek().kind === 'word' ? icmpCodeOf(type, cursor.peek().text, version) : undefined;
  if (code !== undefined) {
    cursor.take();
    return code;
  }
  const unreachable = version === 4 ? Icmpv4Type.DestinationUnreachable : Icmpv6Type.DestinationUnreachable;
  if (type !== unreachable) return 0;
  if (version === 6 || !cursor.at('mtu')) throw cursor.error('expected a reason why it is unreachable');
  return Icmpv4Unreachable.FragmentationNeeded;
}

/** `[udp 1024 > 53 (12) from 10.0.0.2]`, `[tcp 1:1001(1000)]`, or as packetdrill has it `[1:1001(1000)]`. */
function parseQuote(cursor: TokenCursor, depth: number): NonNullable<IcmpSpec['quote']> {
  if (depth > DEEPEST) throw cursor.error('nested too deep');
  cursor.expect('[');
  const body = parseQuoted(cursor, depth);
  const ends: Mutable<EnvelopeSpec> = {};
  while (parseEnd(cursor, ends));
  cursor.expect(']');
  return { ...body, ...ends };
}

function parseQuoted(cursor: TokenCursor, depth: number): NonNullable<IcmpSpec['quote']> {
  if (cursor.accept('udp')) return parseUdp(cursor);
  if (cursor.accept('icmp')) return parseIcmp(cursor, 4, depth);
  if (cursor.accept('icmpv6')) return parseIcmp(cursor, 6, depth);
  if (cursor.accept('ip')) return parseIpBody(cursor);
  cursor.accept('tcp');
  const ports = parsePorts(cursor);
  // Where only the range of a segment is given its control bits are an ACK's.
  const segment = atTcpFlags(cursor) ? parseTcp(cursor) : parseSegment(cursor, TcpFlag.Ack);
  return { ...segment, ...ports };
}

function parseArp(cursor: TokenCursor): ArpSpec {
  if (cursor.accept('reply')) {
    const senderIp = parseAddress(cursor);
    cursor.expect('is-at');
    const senderMac = parseMac(cursor);
    return { kind: 'arp', operation: ArpOperation.Reply, senderIp, senderMac, ...parseTargetMac(cursor) };
  }
  cursor.accept('request');
  cursor.expect('who-has');
  const targetIp = parseAddress(cursor);
  cursor.expect('tell');
  const senderIp = parseAddress(cursor);
  const place = cursor.error("a reply is written 'arp reply'");
  const operation = cursor.accept('op') ? cursor.number('an operation', 0xffff) : ArpOperation.Request;
  if (operation === ArpOperation.Reply) throw place;
  const senderMac = cursor.accept('sender-mac') ? { senderMac: parseMac(cursor) } : {};
  return { kind: 'arp', operation, targetIp, senderIp, ...senderMac, ...parseTargetMac(cursor) };
}

function parseTargetMac(cursor: TokenCursor): Pick<ArpSpec, 'targetMac'> {
  return cursor.accept('target-mac') ? { targetMac: parseMac(cursor) } : {};
}

function parseAddress(cursor: TokenCursor): string {
  const { kind, text } = cursor.peek();
  if (kind !== 'ipv4' && kind !== 'ipv6') throw cursor.error('expected an IP address');
  try {
    const address = parseIp(text).toString();
    cursor.take();
    return address;
  } catch {
    throw cursor.error('expected an IP address');
  }
}

function parseMac(cursor: TokenCursor): number {
  if (cursor.accept('broadcast')) return MacAddress.BROADCAST.value;
  if (cursor.peek().kind !== 'mac') throw cursor.error('expected a MAC address');
  return MacAddress.parse(cursor.take().text).value;
}

function atIpInfo(cursor: TokenCursor): boolean {
  const { text } = cursor.peek(1);
  return cursor.at('[') && (text === 'tos' || (ECN_WORDS as readonly string[]).includes(text));
}

function parseIpInfo(cursor: TokenCursor, envelope: Mutable<EnvelopeSpec>): boolean {
  if (cursor.at('(') && cursor.at('ttl', 1)) {
    cursor.take();
    cursor.take();
    envelope.ttl = cursor.number('a TTL', 255);
    cursor.expect(')');
    return true;
  }
  if (!atIpInfo(cursor)) return false;
  cursor.take();
  if (cursor.accept('tos')) envelope.tos = cursor.number('a traffic class', 255);
  else envelope.ecn = cursor.take().text as (typeof ECN_WORDS)[number];
  cursor.expect(']');
  return true;
}

function parseEnd(cursor: TokenCursor, envelope: Mutable<EnvelopeSpec>): boolean {
  if (cursor.accept('from')) envelope.from = parseAddress(cursor);
  else if (cursor.accept('to')) envelope.to = parseAddress(cursor);
  else return false;
  return true;
}

function parseModifier(cursor: TokenCursor, envelope: Mutable<EnvelopeSpec>): boolean {
  if (parseEnd(cursor, envelope)) return true;
  if (cursor.accept('ttl')) envelope.ttl = cursor.number('a TTL', 255);
  else if (cursor.accept('tos')) envelope.tos = cursor.number('a traffic class', 255);
  else if (cursor.accept('ipid')) envelope.ipId = cursor.number('an identification');
  else if (cursor.accept('df')) envelope.dontFragment = true;
  else if (cursor.accept('mac-from')) envelope.macFrom = parseMac(cursor);
  else if (cursor.accept('mac-to')) envelope.macTo = parseMac(cursor);
  else if (cursor.accept('vlan')) envelope.tags = [...(envelope.tags ?? []), parseTag(cursor)];
  else if (cursor.accept('flow')) envelope.flowLabel = cursor.number('a flow label', 0xfffff);
  else if (cursor.accept('hopopts')) addExtension(cursor, envelope, 'hopopts');
  else if (cursor.accept('dstopts')) addExtension(cursor, envelope, 'dstopts');
  else if (cursor.accept('routing')) addExtension(cursor, envelope, 'routing');
  else if (cursor.accept('ah')) addExtension(cursor, envelope, 'ah');
  else if (cursor.accept('bad-checksum')) envelope.badChecksum = true;
  else if (cursor.accept('bad-ip-checksum')) envelope.badIpChecksum = true;
  else if (cursor.accept('no-checksum')) envelope.noChecksum = true;
  else if (cursor.accept('frag')) envelope.fragment = parseFragment(cursor);
  else return false;
  return true;
}

/** Its bytes, filled up with zeros, which are padding options, to the next possible length. */
function addExtension(cursor: TokenCursor, envelope: Mutable<EnvelopeSpec>, kind: ExtensionSpec['kind']): void {
  const { kind: token, text } = cursor.peek();
  if (token !== 'hex' || text.length % 2 !== 0) throw cursor.error('expected bytes in hex');
  cursor.take();
  const given = hexToBytes(text.slice(2));
  // Of the authentication header alone the length is told in units of four bytes (RFC 4302 2.2), and it begins with eight.
  const whole = kind === 'ah' ? Math.max(8, (given.length + 5) & ~3) : (given.length + 9) & ~7;
  const data = new Uint8Array(whole - 2);
  data.set(given);
  envelope.extensions = [...(envelope.extensions ?? []), { kind, data }];
}

function parseFragment(cursor: TokenCursor): NonNullable<EnvelopeSpec['fragment']> {
  const place = cursor.error('a fragment starts at a multiple of 8 and ends behind its start');
  const from = cursor.number('an offset', 0xffff);
  cursor.expect(':');
  const to = cursor.number('an offset', 0x1_ffff);
  if (from % 8 !== 0 || to < from) throw place;
  return { from, to, more: cursor.accept('+') };
}
