/** Items of a filter: the addresses, ports and protocols that stand behind qualifiers, each checked against them. */

import { Ipv6Address } from '../../core/address.js';
import type { Direction, FilterNode } from './ast.js';
import { type Cursor, macOf, PcapFilterError, type Token } from './lexer.js';
import { ETHER_TYPES, IP_PROTOCOLS, LINK_KEYWORDS, PROTOCOL_KEYWORDS, SERVICES } from './names.js';
import { dottedOf, maskOf, numberOf } from './numbers.js';

export type QualifierType = 'host' | 'net' | 'port' | 'portrange' | 'proto';

/** What was said in front of an item, or is inherited from the one before. */
export interface Qualifiers {
  readonly protocol: string | undefined;
  readonly direction: Direction | undefined;
  readonly type: QualifierType | undefined;
  /** Where they began. */
  readonly column: number;
}

const GRAMMAR: readonly string[] = (
  'and or not src dst host net port portrange proto protochain gateway broadcast multicast less greater len length ' +
  'vlan mpls pppoed pppoes geneve llc byte ifindex inbound outbound mask netmask'
).split(' ');
const MOST_PORT = 65_535;

/** Whether an item begins at the cursor: an address, a number or a name, no keyword. */
export function startsItem(cursor: Cursor): boolean {
  const { kind, text } = cursor.peek();
  if (kind === 'punctuation' || kind === 'end') return false;
  return kind !== 'word' || !(GRAMMAR.includes(text) || PROTOCOL_KEYWORDS.has(text) || LINK_KEYWORDS.includes(text));
}

/** Reads one item under its qualifiers. @throws PcapFilterError */
export function itemOf(cursor: Cursor, qualifiers: Qualifiers): FilterNode {
  switch (qualifiers.type) {
    case 'port':
    case 'portrange':
      return portItem(cursor, qualifiers, qualifiers.type === 'portrange');
    case 'proto':
      return protocolItem(cursor, qualifiers);
    case undefined:
    case 'host':
    case 'net':
      return addressItem(cursor, qualifiers);
  }
}

function addressItem(cursor: Cursor, qualifiers: Qualifiers): FilterNode {
  const token = cursor.peek();
  switch (token.kind) {
    case 'mac':
      return macItem(cursor.next(), qualifiers);
    case 'ipv6':
      return ipv6Item(cursor, qualifiers);
    case 'ipv4':
    case 'number':
      return ipv4Item(cursor, qualifiers);
    default:
      if (!startsItem(cursor)) throw cursor.unexpected('an address');
      throw new PcapFilterError(
        `"${token.text}" is no address, and names are not looked up`,
        token.column,
        'an address',
      );
  }
}

function refuse({ protocol, column }: Qualifiers, what: string): PcapFilterError {
  return new PcapFilterError(`${protocol} has no ${what}`, column);
}

function macItem({ text }: Token, qualifiers: Qualifiers): FilterNode {
  const { protocol, direction = 'either', type, column } = qualifiers;
  if (protocol !== 'ether' || type === 'net') {
    throw new PcapFilterError('a MAC address goes with ether host, ether src or ether dst', column);
  }
  return { kind: 'mac', direction, address: macOf(text) };
}

function ipv6Item(cursor: Cursor, qualifiers: Qualifiers): FilterNode {
  const { protocol, direction = 'either', type } = qualifiers;
  const token = cursor.next();
  if (protocol !== undefined && protocol !== 'ip6') throw refuse(qualifiers, 'IPv6 addresses');
  const { words, isGood } = wordsOf(token.text);
  if (!isGood) throw new PcapFilterError(`${token.text} is no IPv6 address`, token.column);
  const bits = cursor.take('/') ? prefixLength(cursor, 128) : 128;
  if (bits < 128 && type === 'host') throw new PcapFilterError('a prefix length goes with net', token.column);
  if (words.some((word, i) => (word & ~word6Mask(bits, i)) !== 0)) {
    throw new PcapFilterError(`${token.text}/${bits} has bits behind its prefix`, token.column);
  }
  return { kind: 'ipv6', direction, words, bits };
}

type Words = readonly [number, number, number, number];

function wordsOf(text: string): { words: Words; isGood: boolean } {
  try {
    const address = Ipv6Address.parse(text);
    return { words: [address.word(0), address.word(1), address.word(2), address.word(3)], isGood: true };
  } catch {
    return { words: [0, 0, 0, 0], isGood: false };
  }
}

/** Word `i` of the mask of an IPv6 prefix, unsigned. */
export function word6Mask(bits: number, i: number): number {
  return maskOf(Math.min(32, Math.max(0, bits - 32 * i)));
}

function prefixLength(cursor: Cursor, most: number): number {
  const token = cursor.peek();
  const bits = token.kind === 'number' ? numberOf(token) : -1;
  if (bits < 0 || bits > most) throw cursor.unexpected(`a prefix length up to ${most}`);
  cursor.next();
  return bits;
}

function ipv4Item(cursor: Cursor, qualifiers: Qualifiers): FilterNode {
  const { protocol, direction = 'either', type } = qualifiers;
  if (protocol !== undefined && protocol !== 'ip' && protocol !== 'arp' && protocol !== 'rarp') {
    throw refuse(qualifiers, 'IPv4 addresses');
  }
  const token = cursor.next();
  const isNumber = token.kind === 'number' && !(type === 'net' && cursor.is(['/', 'mask', 'netmask']));
  const { address, mask } = isNumber ? numbered(token, type) : dotted(cursor, token, type);
  return { kind: 'ipv4', protocol, direction, address: (address & mask) >>> 0, mask };
}

/** A number is an address, or a network by its first bytes: `net 10` is 10.0.0.0/8. */
function numbered(token: Token, type: QualifierType | undefined): { address: number; mask: number } {
  let address = numberOf(token);
  let bits = 32;
  if (type === 'net') {
    while (address > 0 && address < 0x100_0000) {
      address *= 256;
      bits -= 8;
    }
  }
  return { address, mask: maskOf(bits) };
}

function dotted(cursor: Cursor, token: Token, type: QualifierType | undefined): { address: number; mask: number } {
  const { address, bits } = dottedOf(token);
  const isPrefix = cursor.is(['/']);
  if (!isPrefix && !cursor.is(['mask', 'netmask'])) return { address, mask: maskOf(bits) };
  if (type !== 'net') throw new PcapFilterError('a mask goes with net', cursor.peek().column);
  cursor.next();
  const mask = isPrefix ? maskOf(prefixLength(cursor, 32)) : writtenMask(cursor);
  if ((address & ~mask) !== 0)
    throw new PcapFilterError(`${token.text} has bits that are not in its mask`, token.column);
  return { address, mask };
}

function writtenMask(cursor: Cursor): number {
  if (cursor.peek().kind !== 'ipv4') throw cursor.unexpected('a mask such as 255.255.0.0');
  return dottedOf(cursor.next()).address;
}

function portItem(cursor: Cursor, qualifiers: Qualifiers, isRange: boolean): FilterNode {
  const { protocol, direction = 'either' } = qualifiers;
  if (protocol !== undefined && protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp') {
    throw refuse(qualifiers, 'ports');
  }
  const token = cursor.peek();
  if (token.kind !== 'number' && token.kind !== 'word' && token.kind !== 'name') throw cursor.unexpected('a port');
  const [low, high] = isRange ? rangeOf(token) : single(token);
  cursor.next();
  return { kind: 'port', protocol, direction, low: Math.min(low, high), high: Math.max(low, high) };
}

function single(token: Token): [number, number] {
  const port = portOf(token.text, token);
  return [port, port];
}

/** The ports of `1-1024`; a name may have a sign in it, so that each one is tried. */
function rangeOf(token: Token): [number, number] {
  const { text } = token;
  if (SERVICES.has(text) || token.kind === 'number') return single(token);
  for (let sign = text.indexOf('-'); sign > 0; sign = text.indexOf('-', sign + 1)) {
    const [low, high] = [text.slice(0, sign), text.slice(sign + 1)];
    if (isPort(low) && isPort(high)) return [portOf(low, token), portOf(high, token)];
  }
  throw new PcapFilterError(`"${text}" is no range of ports`, token.column, 'a range of ports such as 1-1024');
}

function isPort(text: string): boolean {
  return SERVICES.has(text) || /^(?:0x[0-9a-f]+|\d+)$/i.test(text);
}

function portOf(text: string, { column }: Token): number {
  if (!isPort(text))
    throw new PcapFilterError(`"${text}" is no port and no service that is known here`, column, 'a port');
  const port = SERVICES.get(text) ?? numberOf({ kind: 'number', text, column });
  if (port > MOST_PORT) throw new PcapFilterError(`${port} is no port: the last one is ${MOST_PORT}`, column);
  return port;
}

function protocolItem(cursor: Cursor, qualifiers: Qualifiers): FilterNode {
  const { protocol, direction, column } = qualifiers;
  if (direction !== undefined) throw new PcapFilterError('a protocol has no source and no destination', column);
  if (protocol !== undefined && protocol !== 'ether' && protocol !== 'ip' && protocol !== 'ip6') {
    throw new PcapFilterError(`${protocol} says of no protocol that it carries it`, column);
  }
  const token = cursor.peek();
  const names = protocol === 'ether' ? ETHER_TYPES : IP_PROTOCOLS;
  const isNumber = token.kind === 'number';
  const number = isNumber ? numberOf(token) : names.get(token.text);
  if (number === undefined || token.kind === 'end') throw cursor.unexpected('a protocol, by its number or name');
  cursor.next();
  return { kind: 'protocol', layer: protocol ?? 'any', number };
}
