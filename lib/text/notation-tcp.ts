/** The TCP line of packetdrill: `FLAGS a:b(n) [ack N] [win N] [urg N] [<options>]`. */

import type { PayloadSpec, TcpSpec } from './packet-spec.js';
import { TCP_FLAG_LETTERS } from './packet-spec.js';
import { payloadData } from './payload-data.js';
import type { TokenCursor } from './notation-lexer.js';
import { ACCURATE_NAMES, type TcpOptionItem } from './tcp-option-list.js';

const ACK = 0x10;
const ACE_SHIFT = 6;
const FLAG_WORD = /^[FSRPUEWA]+$/;

/** Whether what comes next is the control bits of a segment. */
export function atTcpFlags(cursor: TokenCursor): boolean {
  const { kind, text } = cursor.peek();
  return (
    cursor.at('.') ||
    cursor.at('-') ||
    (kind === 'float' && /^\.[0-7]$/.test(text)) ||
    (cursor.peek().kind === 'word' && FLAG_WORD.test(cursor.peek().text))
  );
}

/** Parses a segment from its control bits on. @throws NotationError */
export function parseTcp(cursor: TokenCursor): TcpSpec {
  return parseSegment(cursor, parseFlags(cursor));
}

/** Parses a segment whose control bits are known, from its range on. @throws NotationError */
export function parseSegment(cursor: TokenCursor, flags: number): TcpSpec {
  const range = parseRange(cursor);
  const spec: { -readonly [K in keyof TcpSpec]: TcpSpec[K] } = { kind: 'tcp', flags, ...range };
  if (cursor.accept('ack')) {
    const ack = cursor.numberOrAny('an acknowledgment number');
    if (ack !== undefined) spec.ack = ack;
    if (cursor.accept('!')) spec.absoluteAck = true;
  }
  if (cursor.accept('win')) {
    const window = cursor.numberOrAny('a window', 0xffff);
    if (window !== undefined) spec.window = window;
  }
  if (cursor.accept('urg')) spec.urgent = cursor.number('an urgent pointer', 0xffff);
  if (cursor.accept('<')) spec.options = parseOptions(cursor);
  return spec;
}

function parseFlags(cursor: TokenCursor): number {
  if (cursor.accept('-')) return 0;
  let flags = 0;
  let letters = '';
  if (cursor.peek().kind === 'word') letters = cursor.take().text;
  for (const [letter, bit] of TCP_FLAG_LETTERS) if (letters.includes(letter)) flags |= bit;
  if (letters !== '' && !cursor.peek().adjacent) return flags;
  if (cursor.accept('.')) return flags | ACK;
  // `.5`: an ACK, and five in the counter of accurate ECN, which are the bits of A, W and E (RFC 9768 3.2.2).
  const { kind, text } = cursor.peek();
  if (kind !== 'float' || !/^\.[0-7]$/.test(text)) return flags;
  cursor.take();
  return flags | ACK | (Number(text.slice(1)) << ACE_SHIFT);
}

/** `a:b(n)`, `a:b(n)!`, or `...(n)`. */
function parseRange(cursor: TokenCursor): Pick<TcpSpec, 'sequence' | 'absoluteSequence' | 'payload'> {
  if (cursor.accept('...')) return { payload: parseLength(cursor) };
  const sequence = cursor.number('a sequence number');
  cursor.expect(':');
  const place = cursor.error('the range does not span its length');
  const end = cursor.numberOrAny('a sequence number');
  const payload = parseLength(cursor);
  if (end !== undefined && payload.length !== undefined && end !== (sequence + payload.length) % 0x1_0000_0000)
    throw place;
  return { sequence, payload, ...(cursor.accept('!') ? { absoluteSequence: true } : {}) };
}

/** `(n)`: zeros; `(n ...)`: any bytes; `(...)`: anything; `(n "text")` and `(0xbytes)`: these. */
export function parseLength(cursor: TokenCursor): PayloadSpec {
  cursor.expect('(');
  const payload = lengthAndBytes(cursor);
  cursor.expect(')');
  return payload;
}

function lengthAndBytes(cursor: TokenCursor): PayloadSpec {
  if (cursor.accept('...')) return { length: undefined, bytes: 'any' };
  if (cursor.peek().kind === 'string' || cursor.peek().kind === 'hex') {
    return payloadData(parseBytes(cursor));
  }
  const length = cursor.number('a length', 0xffff);
  if (cursor.accept('...')) return { length, bytes: 'any' };
  if (cursor.peek().kind !== 'string' && cursor.peek().kind !== 'hex') return { length, bytes: undefined };
  const place = cursor.error('the data are not that long');
  const bytes = parseBytes(cursor);
  if (bytes.length !== length) throw place;
  return payloadData(bytes);
}

const ESCAPES: Readonly<Record<string, number>> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13 };
/** A byte in hex or octal, another character behind a backslash, or text without any. */
const PIECES = /\\(?:x([0-9a-f]{1,2})|([0-7]{1,3})|(.))|[^\\]+/gisu;

/** A string with C escapes, what is no escape as UTF-8, or hex bytes. */
export function parseBytes(cursor: TokenCursor): Uint8Array {
  const token = cursor.peek();
  if (token.kind === 'hex') {
    const digits = token.text.slice(2);
    if (digits.length % 2 !== 0) throw cursor.error('expected whole bytes');
    cursor.take();
    return hexToBytes(digits);
  }
  if (token.kind !== 'string') throw cursor.error('expected text or hex bytes');
  cursor.take();
  return unescaped(token.text);
}

function unescaped(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const [piece, hex, octal, letter] of text.matchAll(PIECES)) {
    const byte = letter === undefined ? undefined : ESCAPES[letter];
    if (hex !== undefined) bytes.push(Number.parseInt(hex, 16));
    else if (octal !== undefined) bytes.push(Number.parseInt(octal, 8) & 0xff);
    else if (byte !== undefined) bytes.push(byte);
    else for (const one of new TextEncoder().encode(letter ?? piece)) bytes.push(one);
  }
  return Uint8Array.from(bytes);
}

/** The bytes of an even number of hex digits. */
export function hexToBytes(digits: string): Uint8Array {
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Options up to and including `>`. */
function parseOptions(cursor: TokenCursor): readonly TcpOptionItem[] | 'any' {
  if (cursor.accept('...')) {
    cursor.expect('>');
    return 'any';
  }
  const items: TcpOptionItem[] = [];
  while (!cursor.accept('>')) {
    if (items.length > 0) cursor.expect(',');
    items.push(parseOption(cursor));
  }
  return items;
}

function parseOption(cursor: TokenCursor): TcpOptionItem {
  const name = cursor.peek();
  switch (name.kind === 'word' ? name.text : '') {
    case 'nop':
    case 'eol':
    case 'sackOK':
      return { kind: cursor.take().text as 'nop' | 'eol' | 'sackOK' };
    case 'mss':
      cursor.take();
      return { kind: 'mss', value: cursor.numberOrAny('a segment size', 0xffff) };
    case 'wscale':
      cursor.take();
      return { kind: 'wscale', value: cursor.numberOrAny('a window scale', 0xff) };
    case 'sack':
      cursor.take();
      return { kind: 'sack', blocks: parseBlocks(cursor) };
    case 'TS':
      return parseTimestamps(cursor);
    case 'FO':
    case 'FOEXP':
      return { kind: cursor.take().text as 'FO' | 'FOEXP', cookie: parseBareHex(cursor) };
    case 'ECN':
      return parseAccurateEcn(cursor);
    case 'unknown':
      cursor.take();
      return { kind: 'unknown', number: cursor.number('an option kind', 0xff), data: parseBytes(cursor) };
    default:
      throw cursor.error('expected a TCP option');
  }
}

function parseTimestamps(cursor: TokenCursor): TcpOptionItem {
  cursor.expect('TS');
  cursor.expect('val');
  const value = cursor.numberOrAny('a timestamp');
  cursor.expect('ecr');
  const echo = cursor.numberOrAny('a timestamp');
  cursor.accept('!');
  return { kind: 'TS', value, echo };
}

/** `ECN e0b 1 ceb 0 e1b 1`, or with `e1b` first; fewer fields, or none. The order of the names is that of the option. */
function parseAccurateEcn(cursor: TokenCursor): TcpOptionItem {
  cursor.expect('ECN');
  const order = cursor.at('e1b') ? 1 : 0;
  const fields: (number | undefined)[] = [];
  for (const name of ACCURATE_NAMES[order]) {
    if (!cursor.accept(name)) break;
    fields.push(cursor.numberOrAny('24 bits', 0xff_ffff));
  }
  return { kind: 'ECN', order, fields };
}

function parseBlocks(cursor: TokenCursor): [number, number][] {
  const blocks: [number, number][] = [];
  while (cursor.peek().kind === 'integer') {
    const left = cursor.number('a sequence number');
    cursor.expect(':');
    blocks.push([left, cursor.number('a sequence number')]);
  }
  return blocks;
}

/** A Fast Open cookie is hex without `0x`, or nothing. */
function parseBareHex(cursor: TokenCursor): Uint8Array {
  const { text } = cursor.peek();
  if (!/^(?:0x)?(?:[0-9a-f]{2})+$/i.test(text)) return new Uint8Array(0);
  cursor.take();
  return hexToBytes(text.replace(/^0x/i, ''));
}
