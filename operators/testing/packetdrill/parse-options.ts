/** TCP options of a script's segments, in wire order. */

import { hexToBytes } from '../../../lib/text/notation-tcp.js';
import { ACCURATE_NAMES, type TcpOptionItem, tcpOptionBytes } from '../../../lib/text/tcp-option-list.js';
import { TCP_HEADER, TCP_MAX_HEADER } from '../../../lib/wire/tcp.js';
import type { ScriptCursor } from './cursor.js';

const MD5 = 19;

/** What `parseTcpOptions` found. */
export interface ParsedOptions {
  readonly options: readonly TcpOptionItem[] | 'any';
  /** The echo of timestamps is meant as it stands. */
  readonly absoluteEcho: boolean;
}

/** Parses `<...>`, a list of options, or nothing, which means none. @throws ScriptError */
export function parseTcpOptions(cursor: ScriptCursor): ParsedOptions {
  const open = cursor.peek();
  // The next event's `<` has a time in front of it.
  if (!cursor.accept('<')) return { options: [], absoluteEcho: false };
  if (cursor.at('...') && cursor.at('>', 1)) {
    cursor.take();
    cursor.take();
    return { options: 'any', absoluteEcho: false };
  }
  const options: TcpOptionItem[] = [];
  let absoluteEcho = false;
  while (!cursor.accept('>')) {
    if (options.length > 0) cursor.expect(',');
    options.push(parseOption(cursor));
    if (cursor.accept('!')) absoluteEcho = true;
  }
  const length = options.reduce((sum, item) => sum + itemLength(item), 0);
  if (length % 4 !== 0) throw cursor.errorAt(`options take ${length} bytes, which is no multiple of 4`, open);
  if (length > TCP_MAX_HEADER - TCP_HEADER) throw cursor.errorAt(`options take ${length} bytes, more than 40`, open);
  return { options, absoluteEcho };
}

/** Whether an option leaves a value open. */
export function isOpen(item: TcpOptionItem): boolean {
  if (item.kind === 'TS') return item.value === undefined || item.echo === undefined;
  return (item.kind === 'mss' || item.kind === 'wscale') && item.value === undefined;
}

function itemLength(item: TcpOptionItem): number {
  if (item.kind === 'nop' || item.kind === 'eol') return 1;
  if (item.kind === 'sackOK') return 2;
  if (item.kind === 'mss') return 4;
  if (item.kind === 'wscale') return 3;
  if (item.kind === 'TS') return 10;
  return item.kind === 'sack' ? 2 + 8 * item.blocks.length : (tcpOptionBytes([item])[1] ?? 0);
}

function parseOption(cursor: ScriptCursor): TcpOptionItem {
  const name = cursor.peek();
  if (name.kind !== 'word') throw cursor.error('expected a TCP option');
  cursor.take();
  switch (name.text) {
    case 'nop':
    case 'eol':
    case 'sackOK':
      return { kind: name.text };
    case 'mss':
      return { kind: 'mss', value: cursor.numberOrAny('a segment size', 0xffff) };
    case 'wscale':
      return { kind: 'wscale', value: cursor.numberOrAny('a window scale', 0xff) };
    case 'sack':
      return { kind: 'sack', blocks: parseBlocks(cursor) };
    case 'TS':
      return parseTimestamps(cursor);
    case 'FO':
    case 'FOEXP':
      return { kind: name.text, cookie: parseHex(cursor, false) };
    case 'md5':
      return { kind: 'unknown', number: MD5, data: parseHex(cursor, true) };
    case 'ECN':
      return parseAccurateEcn(cursor);
    default:
      throw cursor.errorAt(`expected a TCP option, found '${name.text}'`, name);
  }
}

function parseTimestamps(cursor: ScriptCursor): TcpOptionItem {
  cursor.expect('val');
  const value = cursor.numberOrAny('a timestamp');
  cursor.expect('ecr');
  return { kind: 'TS', value, echo: cursor.numberOrAny('a timestamp') };
}

function parseBlocks(cursor: ScriptCursor): (readonly [number, number])[] {
  const blocks: (readonly [number, number])[] = [];
  while (cursor.peek().kind === 'integer') {
    const left = cursor.number('a sequence number');
    cursor.expect(':');
    blocks.push([left, cursor.number('a sequence number')]);
  }
  if (blocks.length === 0) throw cursor.error('expected a SACK block');
  return blocks;
}

/** Hex digits without `0x`, which the lexer may have taken for a number or a word. */
function parseHex(cursor: ScriptCursor, required: boolean): Uint8Array {
  let digits = '';
  const place = cursor.peek();
  while (
    ['word', 'integer', 'hex', 'string'].includes(cursor.peek().kind) &&
    (digits === '' || cursor.peek().adjacent)
  ) {
    digits += cursor.take().text.replace(/^0x/i, '');
  }
  if (digits === '' && required) throw cursor.error('expected hex digits');
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) throw cursor.errorAt(`expected hex digits, found '${digits}'`, place);
  return hexToBytes(digits);
}

/** `ECN e0b 1 ceb 0 e1b 1`: the counters in the order of either kind of the option (RFC 9768 3.2.3), or fewer. */
function parseAccurateEcn(cursor: ScriptCursor): TcpOptionItem {
  const order = cursor.peek().text === 'e1b' ? 1 : 0;
  const fields: number[] = [];
  for (const name of ACCURATE_NAMES[order]) {
    if (cursor.peek().text !== name) break;
    cursor.take();
    fields.push(cursor.number('a counter', 0xff_ffff));
  }
  if (['e0b', 'ceb', 'e1b'].includes(cursor.peek().text)) throw cursor.error('counters in neither order');
  return { kind: 'ECN', order, fields };
}
