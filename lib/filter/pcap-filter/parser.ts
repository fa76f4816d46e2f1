/**
 * The grammar of pcap filters, as in pcap-filter(7): conditions under `and`, `or` (equal precedence, from left to right) and `not`, with
 * qualifiers that the next address, port or protocol inherits (`tcp port 80 or 443`). What differs from libpcap: `^` and `%` have the
 * precedence that they have in C, protocols need no backslash behind `proto`, and nothing is looked up: hosts are addresses.
 */

import { DEEPEST, parseComparison, startsComparison } from './arithmetic.js';
import { combined, type Direction, type FilterNode } from './ast.js';
import { Cursor, PcapFilterError } from './lexer.js';
import { LINK_KEYWORDS, PROTOCOL_KEYWORDS } from './names.js';
import { itemOf, type Qualifiers, type QualifierType, startsItem } from './items.js';
import { numberOf } from './numbers.js';

/** What other filters can say and ours cannot, and why. */
const UNSUPPORTED: ReadonlyMap<string, string> = new Map([
  ['gateway', 'gateway needs a table of host names and their MAC addresses, of which there is none'],
  ['protochain', 'protochain is not supported: say ip6[6], or proto'],
  ['inbound', 'inbound is not supported: a frame does not say which way it goes'],
  ['outbound', 'outbound is not supported: a frame does not say which way it goes'],
  ['mpls', 'mpls is not supported'],
  ['pppoed', 'pppoed is not supported'],
  ['pppoes', 'pppoes is not supported'],
  ['geneve', 'geneve is not supported'],
  ['llc', 'llc is not supported'],
  ['byte', 'byte is not supported: say link[0] = 1'],
  ['ifindex', 'ifindex is not supported'],
]);

const TYPES: readonly QualifierType[] = ['host', 'net', 'port', 'portrange', 'proto'];

/** A condition, and the qualifiers that an item behind it inherits; none behind what has none. */
interface Parsed {
  readonly node: FilterNode;
  readonly qualifiers: Qualifiers | undefined;
}

/**
 * The syntax tree of a filter; an empty text is the filter of all packets.
 *
 * @throws PcapFilterError `ERR_BAD_FILTER`, with the column and what was expected there
 */
export function parsePcapFilter(text: string): FilterNode {
  const cursor = new Cursor(text);
  if (cursor.peek().kind === 'end') return { kind: 'and', operands: [] };
  const { node } = new Parser(cursor).expression(undefined);
  if (cursor.peek().kind !== 'end') throw cursor.unexpected('and, or, or the end');
  return node;
}

class Parser {
  private readonly cursor: Cursor;
  private depth = 0;

  constructor(cursor: Cursor) {
    this.cursor = cursor;
  }

  expression(inherited: Qualifiers | undefined): Parsed {
    let left = this.term(inherited);
    for (let kind = this.operator(); kind !== undefined; kind = this.operator()) {
      const right = this.term(left.qualifiers);
      left = { node: combined(kind, left.node, right.node), qualifiers: right.qualifiers };
      this.refuseNest(nestOf(left.node));
    }
    return left;
  }

  private operator(): 'and' | 'or' | undefined {
    if (this.cursor.take('and', '&&')) return 'and';
    return this.cursor.take('or', '||') ? 'or' : undefined;
  }

  private refuseNest(depth: number): void {
    if (depth > DEEPEST) throw new PcapFilterError('nested too deeply', this.cursor.peek().column);
  }

  private term(inherited: Qualifiers | undefined): Parsed {
    const { cursor } = this;
    this.refuseNest(++this.depth);
    const parsed = this.anyTerm(inherited);
    this.depth--;
    if (!cursor.is(['['])) return parsed;
    throw cursor.unexpected('and, or, or the end');
  }

  private anyTerm(inherited: Qualifiers | undefined): Parsed {
    const { cursor } = this;
    if (cursor.take('not', '!')) {
      const { node, qualifiers } = this.term(inherited);
      return { node: { kind: 'not', operand: node }, qualifiers };
    }
    if (startsComparison(cursor)) return { node: parseComparison(cursor), qualifiers: undefined };
    if (cursor.take('(')) {
      const { node } = this.expression(inherited);
      cursor.expect(')');
      return { node, qualifiers: inherited };
    }
    if (!startsItem(cursor)) return this.primitive();
    if (inherited !== undefined) return { node: itemOf(cursor, inherited), qualifiers: inherited };
    throw cursor.unexpected('a protocol, or a qualifier such as host, net, port or src');
  }

  private primitive(): Parsed {
    const { cursor } = this;
    const { text, column } = cursor.peek();
    const unsupported = cursor.peek().kind === 'word' ? UNSUPPORTED.get(text) : undefined;
    if (unsupported !== undefined) throw new PcapFilterError(unsupported, column);
    const simple = this.simple();
    if (simple !== undefined) return { node: simple, qualifiers: undefined };
    const protocol = this.protocol();
    const cast = this.cast(protocol, column);
    if (cast !== undefined) return { node: cast, qualifiers: undefined };
    const direction = this.direction();
    const type = TYPES.find((one) => cursor.take(one));
    if (direction === undefined && type === undefined)
      return { node: this.alone(protocol, column), qualifiers: undefined };
    const qualifiers = { protocol, direction, type, column };
    return { node: this.items(qualifiers), qualifiers };
  }

  /** `vlan`, `less`, `greater`: what has at most a number of its own. */
  private simple(): FilterNode | undefined {
    const { cursor } = this;
    if (cursor.take('vlan')) {
      if (cursor.peek().kind !== 'number' || startsComparison(cursor)) return { kind: 'vlan', id: undefined };
      const id = numberOf(cursor.peek());
      if (id > 0xfff) throw cursor.unexpected('a VLAN identifier up to 4095');
      cursor.next();
      return { kind: 'vlan', id };
    }
    const relation = cursor.take('less') ? '<=' : cursor.take('greater') ? '>=' : undefined;
    if (relation === undefined) return undefined;
    if (cursor.peek().kind !== 'number') throw cursor.unexpected('a number of bytes');
    const right = { kind: 'number', value: numberOf(cursor.next()) } as const;
    return { kind: 'compare', relation, left: { kind: 'length' }, right };
  }

  private protocol(): string | undefined {
    const { kind, text } = this.cursor.peek();
    if (kind !== 'word') return undefined;
    const isLink = LINK_KEYWORDS.includes(text);
    if (!isLink && !PROTOCOL_KEYWORDS.has(text)) return undefined;
    this.cursor.next();
    return isLink ? 'ether' : text;
  }

  private cast(protocol: string | undefined, column: number): FilterNode | undefined {
    const { cursor } = this;
    const kind = cursor.take('broadcast') ? 'broadcast' : cursor.take('multicast') ? 'multicast' : undefined;
    if (kind === undefined) return undefined;
    if (protocol === undefined || protocol === 'ether') return { kind, layer: 'ether' };
    if (protocol === 'ip' || (protocol === 'ip6' && kind === 'multicast')) return { kind, layer: protocol };
    throw new PcapFilterError(`there is no ${kind} of ${protocol}`, column);
  }

  private direction(): Direction | undefined {
    const { cursor } = this;
    const first = cursor.take('src') ? 'src' : cursor.take('dst') ? 'dst' : undefined;
    if (first === undefined) return undefined;
    if (!cursor.is([first === 'src' ? 'dst' : 'src'], 1)) return first;
    if (cursor.is(['or', '||'])) cursor.next();
    else if (cursor.is(['and', '&&'])) {
      cursor.next();
      cursor.next();
      return 'both';
    } else return first;
    cursor.next();
    return 'either';
  }

  /** A protocol and nothing else. */
  private alone(protocol: string | undefined, column: number): FilterNode {
    const keyword = protocol === undefined ? undefined : PROTOCOL_KEYWORDS.get(protocol);
    if (keyword !== undefined && !this.cursor.is([...UNSUPPORTED.keys()])) return { kind: 'protocol', ...keyword };
    const unsupported = UNSUPPORTED.get(this.cursor.peek().text);
    if (unsupported !== undefined) throw new PcapFilterError(unsupported, this.cursor.peek().column);
    if (protocol === undefined)
      throw this.cursor.unexpected('a protocol, a qualifier such as host, net, port or src, or a comparison');
    throw new PcapFilterError(
      `${protocol} alone says nothing: expected host, src, dst, proto, broadcast or multicast behind it`,
      column,
      'a qualifier',
    );
  }

  /** One item, or several in brackets. */
  private items(qualifiers: Qualifiers): FilterNode {
    const { cursor } = this;
    if (cursor.take('not', '!')) return { kind: 'not', operand: this.bracketed(() => this.items(qualifiers)) };
    if (!cursor.take('(')) return itemOf(cursor, qualifiers);
    let node = this.bracketed(() => this.items(qualifiers));
    for (let kind = this.operator(); kind !== undefined; kind = this.operator()) {
      node = combined(kind, node, this.items(qualifiers));
      this.refuseNest(nestOf(node));
    }
    cursor.expect(')');
    return node;
  }

  private bracketed(parse: () => FilterNode): FilterNode {
    this.refuseNest(++this.depth);
    const node = parse();
    this.depth--;
    return node;
  }
}

/** How deep the first operands nest: a long line of alternating operators nests to its left. */
function nestOf(node: FilterNode): number {
  let depth = 0;
  for (let at: FilterNode | undefined = node; at !== undefined && (at.kind === 'and' || at.kind === 'or'); depth++) {
    at = at.operands[0];
  }
  return depth;
}
