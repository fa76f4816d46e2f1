/** Packets of a script: segments, ICMP errors, and those that are understood but not run. */

import { TCP_FLAG_LETTERS } from '../../../lib/text/packet-spec.js';
import { TcpFlag } from '../../../lib/wire/tcp.js';
import type { ScriptCursor } from './cursor.js';
import type { Action, IcmpLine, IpInfo, Ports, SegmentLine } from './script.js';
import { isOpen, parseTcpOptions } from './parse-options.js';

const FLAG_WORD = /^[FSRPUEWA]+$/;
const ECN_WORDS: Readonly<Record<string, NonNullable<IpInfo['ecn']>>> = {
  noecn: 'noecn',
  ect0: 'ect0',
  ect1: 'ect1',
  ect01: 'ect01',
  ce: 'ce',
};

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Parses what follows the time of a packet. @throws ScriptError */
export function parsePacket(cursor: ScriptCursor): Action {
  const direction = cursor.take().text === '<' ? 'inbound' : 'outbound';
  const ip: Mutable<IpInfo> = {};
  const quoted = parseIpInfoOrQuote(cursor, direction, ip);
  if (cursor.accept('icmp') || cursor.accept('icmpv6')) {
    if (direction === 'outbound') throw cursor.error('ICMP can only come in');
    return { kind: 'icmp', message: parseIcmp(cursor, ip, quoted) };
  }
  if (quoted !== undefined) throw cursor.error("expected 'icmp' after what it quotes");
  if (cursor.accept('udp')) return parseUdp(cursor);
  for (const word of ['ipv4', 'ipv6', 'gre', 'mpls', 'psp']) {
    if (cursor.at(word)) throw cursor.error('packets within packets are not supported');
  }
  const ports = parsePorts(cursor);
  parseIpInfo(cursor, direction, ip);
  return { kind: direction, segment: parseSegment(cursor, direction, ip, ports) };
}

/** What an ICMP error says of the packet that it is about. */
type Quoted = Pick<IcmpLine, 'quote' | 'datagram'>;

/** What an ICMP error quotes may stand in front of it: `< [1:1001(1000)] icmp unreachable`. */
function parseIpInfoOrQuote(
  cursor: ScriptCursor,
  direction: 'inbound' | 'outbound',
  ip: Mutable<IpInfo>,
): Quoted | undefined {
  let quoted: Quoted | undefined;
  while (cursor.at('[') || cursor.at('(')) {
    if (cursor.at('[') && isQuote(cursor)) quoted = parseQuote(cursor);
    else parseIpInfo(cursor, direction, ip);
  }
  return quoted;
}

function isQuote(cursor: ScriptCursor): boolean {
  return cursor.at('udp', 1) || cursor.at('...', 1) || ['integer', 'hex'].includes(cursor.peek(1).kind);
}

/** `[1:1001(1000)]`, `[udp(1000)]`. */
function parseQuote(cursor: ScriptCursor): Quoted {
  cursor.expect('[');
  const datagram = cursor.accept('udp');
  if (datagram) parseLength(cursor);
  const { sequence = 0, absoluteSequence, length } = datagram ? NO_RANGE : parseRange(cursor);
  cursor.expect(']');
  return { datagram, quote: datagram ? undefined : { sequence, absolute: absoluteSequence, length } };
}

const NO_RANGE = { sequence: 0, absoluteSequence: false, length: 0 } as const;

/** `[ect0]`, `[tos 0x10]`, `(ttl 64)`, `[flowlabel 0x1]`; nplab: `(hlim 64)`, `(class 0)`. */
function parseIpInfo(cursor: ScriptCursor, direction: 'inbound' | 'outbound', ip: Mutable<IpInfo>): void {
  while ((cursor.at('[') && !isQuote(cursor)) || cursor.at('(')) {
    const close = cursor.take().text === '[' ? ']' : ')';
    do parseIpField(cursor, direction, ip);
    while (cursor.accept(','));
    cursor.expect(close);
  }
}

function parseIpField(cursor: ScriptCursor, direction: 'inbound' | 'outbound', ip: Mutable<IpInfo>): void {
  const name = cursor.peek().text.toLowerCase();
  const ecn = Object.hasOwn(ECN_WORDS, name) ? ECN_WORDS[name] : undefined;
  if (ecn !== undefined) {
    if (ecn === 'ect01' && direction === 'inbound') throw cursor.error('ect01 is for outbound packets');
    cursor.take();
    ip.ecn = ecn;
  } else if (cursor.accept('tos') || cursor.accept('class')) ip.tos = cursor.number('a traffic class', 0xff);
  else if (cursor.accept('ttl') || cursor.accept('hlim')) ip.ttl = cursor.number('a hop limit', 0xff);
  else if (cursor.accept('flowlabel')) ip.flowLabel = cursor.number('a flow label', 0xf_ffff);
  else throw cursor.error('expected what the IP header says: ect0, tos, ttl, flowlabel, ...');
}

/** `8080 > 12345`. */
function parsePorts(cursor: ScriptCursor): Ports | undefined {
  if (cursor.peek().kind !== 'integer' || !cursor.at('>', 1)) return undefined;
  const source = cursor.number('a port', 0xffff);
  cursor.expect('>');
  const destination = cursor.number('a port', 0xffff);
  cursor.accept(':');
  return { source, destination };
}

function parseSegment(
  cursor: ScriptCursor,
  direction: 'inbound' | 'outbound',
  ip: IpInfo,
  ports: Ports | undefined,
): SegmentLine {
  const flags = parseFlags(cursor);
  const range = parseRange(cursor);
  let ack: number | undefined;
  let absoluteAck = false;
  const acknowledges = cursor.accept('ack');
  if (acknowledges) {
    ack = cursor.numberOrAny('an acknowledgment number');
    absoluteAck = cursor.accept('!');
  }
  const window = cursor.accept('win') ? cursor.numberOrAny('a window', 0xffff) : undefined;
  if (direction === 'inbound' && window === undefined) throw cursor.error("expected 'win'");
  const urgent = cursor.accept('urg') ? cursor.number('an urgent pointer', 0xffff) : undefined;
  const { options, absoluteEcho } = parseTcpOptions(cursor);
  if (direction === 'inbound') {
    if (options === 'any' || options.some(isOpen)) throw cursor.error('options to be sent must be said');
    if (range.sequence === undefined) throw cursor.error('the sequence number must be said');
    if (acknowledges && ack === undefined) throw cursor.error('the acknowledgment number must be said');
  }
  return { ip, ports, flags, ...range, ack, absoluteAck, window, urgent, options, absoluteEcho };
}

/** `S.`, `FP.`, `.`, `-`, `SEWA`; with Accurate ECN's counter `.5`, `P.5`. */
function parseFlags(cursor: ScriptCursor): number {
  if (cursor.accept('-')) return 0;
  let flags = 0;
  const token = cursor.peek();
  if (token.kind === 'word') {
    if (!FLAG_WORD.test(token.text)) throw cursor.error('expected the control bits of a segment');
    cursor.take();
    for (const [letter, bit] of TCP_FLAG_LETTERS) if (token.text.includes(letter)) flags |= bit;
    if (!cursor.peek().adjacent) return flags;
  }
  if (cursor.accept('.')) return flags | TcpFlag.Ack;
  const [, counter] = /^\.([0-7])$/.exec(cursor.peek().text) ?? [];
  if (cursor.peek().kind === 'float' && counter !== undefined) {
    cursor.take();
    return flags | TcpFlag.Ack | aceBits(Number(counter));
  }
  if (token.kind !== 'word') throw cursor.error('expected the control bits of a segment');
  return flags;
}

/** The counter of Accurate ECN in AE, CWR and ECE (RFC 9768 3.2.2). */
function aceBits(counter: number): number {
  return (counter & 4 ? TcpFlag.Ae : 0) | (counter & 2 ? TcpFlag.Cwr : 0) | (counter & 1 ? TcpFlag.Ece : 0);
}

/** `a:b(n)`, `a:b(n)!`, `...(n)`. */
function parseRange(cursor: ScriptCursor): Pick<SegmentLine, 'sequence' | 'absoluteSequence' | 'length'> {
  if (cursor.accept('...')) return { sequence: undefined, absoluteSequence: false, length: parseLength(cursor) };
  const sequence = cursor.number('a sequence number');
  cursor.expect(':');
  const place = cursor.peek();
  const end = cursor.number('a sequence number');
  const length = parseLength(cursor);
  if (end !== (sequence + length) % 0x1_0000_0000)
    throw cursor.errorAt(`the range does not span ${length} bytes`, place);
  return { sequence, absoluteSequence: cursor.accept('!'), length };
}

function parseLength(cursor: ScriptCursor): number {
  cursor.expect('(');
  const length = cursor.number('a length', 0xff_ffff);
  cursor.expect(')');
  return length;
}

/** `icmp unreachable frag_needed mtu 1200 [1:1461(1460)]`. */
function parseIcmp(cursor: ScriptCursor, ip: IpInfo, quoted: Quoted | undefined): IcmpLine {
  const type = parseIcmpWord(cursor, 'a type of ICMP');
  let code: string | number | undefined;
  if (!cursor.at('mtu') && !cursor.at('id') && !cursor.at('[') && ['word', 'integer'].includes(cursor.peek().kind)) {
    // A number that a time follows is the next event's.
    if (cursor.peek().kind === 'word' || cursor.at('[', 1) || cursor.at('mtu', 1))
      code = parseIcmpWord(cursor, 'a code');
  }
  let mtu: number | undefined;
  let id: number | undefined;
  let about = quoted;
  for (;;) {
    if (cursor.accept('mtu')) mtu = cursor.number('an MTU', 0xffff_ffff);
    else if (cursor.accept('id')) id = cursor.number('an identifier', 0xffff);
    else if (cursor.at('[') && about === undefined) about = parseQuote(cursor);
    else break;
  }
  return { ip, type, code, mtu, id, quote: about?.quote, datagram: about?.datagram ?? false };
}

function parseIcmpWord(cursor: ScriptCursor, what: string): string | number {
  if (cursor.accept('type') || cursor.accept('code')) return cursor.number(what, 0xff);
  if (cursor.peek().kind === 'word') return cursor.take().text;
  return cursor.number(what, 0xff);
}

function parseUdp(cursor: ScriptCursor): Action {
  parsePorts(cursor);
  parseLength(cursor);
  return { kind: 'skip', what: 'a datagram' };
}
