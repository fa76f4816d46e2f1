/** Statements in the text of rules. */

import type { IpAddress, IpVersion } from '../core/address.js';
import type { MarkStatement, Part, Range, RejectWith } from './model.js';
import type { TokenCursor } from './text-lexer.js';
import type { MatchParser } from './text-matches.js';
import { address, number, range } from './text-values.js';

const U16 = 0xffff;
const U32 = 0xffff_ffff;
const TCP = 6;

type Words = Readonly<Record<string, RejectWith>>;

/** What may be told by ICMP, of IPv4 and IPv6 alone, and of both. */
const REJECTS: Readonly<Record<'icmp' | 'icmpv6' | 'icmpx', Words>> = {
  icmp: {
    'port-unreachable': 'port-unreachable',
    'net-unreachable': 'net-unreachable',
    'host-unreachable': 'host-unreachable',
    'prot-unreachable': 'protocol-unreachable',
    'admin-prohibited': 'prohibited',
  },
  icmpv6: {
    'port-unreachable': 'port-unreachable',
    'no-route': 'net-unreachable',
    'addr-unreachable': 'host-unreachable',
    'admin-prohibited': 'prohibited',
  },
  icmpx: {
    'port-unreachable': 'port-unreachable',
    'no-route': 'net-unreachable',
    'host-unreachable': 'host-unreachable',
    'prot-unreachable': 'protocol-unreachable',
    'admin-prohibited': 'prohibited',
  },
};

/** Codes that nftables has, and we do not. */
const UNKNOWN_REJECTS: readonly string[] = ['net-prohibited', 'host-prohibited', 'policy-fail', 'reject-route'];

const UNSUPPORTED: readonly string[] = [
  'queue',
  'continue',
  'dup',
  'fwd',
  'tproxy',
  'synproxy',
  'notrack',
  'add',
  'update',
  'set',
  'vmap',
  'quota',
  'meter',
];

/** Reads statements. */
export class StatementParser {
  private readonly cursor: TokenCursor;
  private readonly matches: MatchParser;

  constructor(cursor: TokenCursor, matches: MatchParser) {
    this.cursor = cursor;
    this.matches = matches;
  }

  /** A statement, and the conditions that it brings along: a TCP reset demands TCP. */
  parse(): readonly Part[] {
    const { cursor } = this;
    const { text } = cursor.peek();
    switch (text) {
      case 'accept':
      case 'drop':
      case 'return':
        cursor.take();
        return [{ kind: text }];
      case 'jump':
      case 'goto':
        cursor.take();
        return [{ kind: text, chain: cursor.name('the name of a chain') }];
      case 'counter':
        return this.counter();
      case 'log':
        return this.log();
      case 'meta':
      case 'mark':
        return [this.mark()];
      case 'reject':
        return this.reject();
      case 'redirect':
      case 'masquerade':
        cursor.take();
        return [{ kind: text, ...(cursor.accept('to') ? this.ports() : {}) }];
      case 'dnat':
      case 'snat':
        return this.translate(text);
      default:
        if (UNSUPPORTED.includes(text)) throw cursor.error('unsupported', `${text} is not known here`);
        throw cursor.unexpected('a condition or a statement');
    }
  }

  private counter(): readonly Part[] {
    const { cursor } = this;
    cursor.take();
    // What `nft list ruleset` prints: counters begin at nothing here.
    if (cursor.accept('packets')) number('a number of packets', Number.MAX_SAFE_INTEGER)(cursor);
    if (cursor.accept('bytes')) number('a number of bytes', Number.MAX_SAFE_INTEGER)(cursor);
    return [{ kind: 'count' }];
  }

  private log(): readonly Part[] {
    const { cursor } = this;
    cursor.take();
    const prefix = cursor.accept('prefix') ? cursor.string('a prefix') : undefined;
    if (cursor.accept('level')) cursor.name('a level');
    const option = ['group', 'flags', 'snaplen', 'queue-threshold'].find((word) => cursor.at(word));
    if (option !== undefined) throw cursor.error('unsupported', `log ${option} is not known here`);
    return [prefix === undefined ? { kind: 'log' } : { kind: 'log', prefix }];
  }

  private mark(): MarkStatement {
    const { cursor } = this;
    cursor.accept('meta');
    cursor.expect('mark');
    cursor.expect('set');
    const read = number('a mark', U32);
    if (!cursor.at('meta') && !cursor.at('mark')) return { kind: 'mark', and: 0, xor: read(cursor) };
    cursor.accept('meta');
    cursor.expect('mark');
    if (cursor.accept('|') || cursor.accept('or')) {
      const bits = read(cursor);
      return { kind: 'mark', and: ~bits >>> 0, xor: bits };
    }
    if (cursor.accept('^') || cursor.accept('xor')) return { kind: 'mark', and: U32, xor: read(cursor) };
    if (!cursor.accept('&')) cursor.expect('and');
    const and = read(cursor);
    if (cursor.accept('^') || cursor.accept('xor')) return { kind: 'mark', and, xor: read(cursor) };
    if (!cursor.accept('|') && !cursor.accept('or')) return { kind: 'mark', and, xor: 0 };
    const bits = read(cursor);
    return { kind: 'mark', and: (and & ~bits) >>> 0, xor: bits };
  }

  private reject(): readonly Part[] {
    const { cursor } = this;
    cursor.take();
    if (!cursor.accept('with')) return [{ kind: 'reject', with: 'port-unreachable' }];
    if (cursor.accept('tcp')) {
      cursor.expect('reset');
      return [...this.matches.demandProtocol(TCP), { kind: 'reject', with: 'tcp-reset' }];
    }
    const family = cursor.word(['icmp', 'icmpv6', 'icmpx'], 'what to reject with');
    cursor.accept('type');
    const { text } = cursor.peek();
    const known = REJECTS[family];
    const what = Object.hasOwn(known, text) ? known[text] : undefined;
    if (what === undefined) {
      if (UNKNOWN_REJECTS.includes(text)) throw cursor.error('unsupported', `${text} is not known here`);
      throw cursor.unexpected(`what to tell: ${Object.keys(known).join(', ')}`);
    }
    cursor.take();
    const demanded = family === 'icmpx' ? [] : this.matches.demandVersion(family === 'icmp' ? 4 : 6);
    return [...demanded, { kind: 'reject', with: what }];
  }

  private ports(): { readonly ports: Range } {
    this.cursor.expect(':');
    return { ports: range(this.cursor, number('a port', U16)) };
  }

  private translate(kind: 'dnat' | 'snat'): readonly Part[] {
    const { cursor } = this;
    cursor.take();
    const family: IpVersion | undefined = cursor.accept('ip') ? 4 : cursor.accept('ip6') ? 6 : undefined;
    cursor.expect('to');
    const place = cursor.peek();
    const target = this.target();
    if (family !== undefined && target.version !== family) {
      throw cursor.error('value', `${target.toString()} is not of IPv${family}`, place);
    }
    if (cursor.at('-')) throw cursor.error('unsupported', 'a translation has one address');
    return [
      ...this.matches.demandVersion(target.version),
      { kind, address: target, ...(cursor.at(':') ? this.ports() : {}) },
    ];
  }

  private target(): IpAddress {
    const { cursor } = this;
    if (!cursor.accept('[')) return address(cursor);
    const target = address(cursor);
    cursor.expect(']');
    return target;
  }
}
