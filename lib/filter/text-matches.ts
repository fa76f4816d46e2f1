/** Conditions in the text of rules. */

import type { IpVersion } from '../core/address.js';
import {
  demandedProtocol,
  demandedVersion,
  type FragmentMatch,
  LARGEST,
  type LimitMatch,
  type Match,
  type NumberField,
  type NumberMatch,
  type Part,
  type RateKey,
  type RateUnit,
  type StateName,
} from './model.js';
import { DAYS, DSCPS, ICMP_TYPES, ICMPV6_TYPES, PROTOCOLS, TCP_FLAGS, VERSIONS, WITH_PORTS } from './names.js';
import type { TokenCursor } from './text-lexer.js';
import {
  addresses,
  deviceName,
  list,
  mac,
  number,
  numberOr,
  type Reader,
  ranges,
  setName,
  timeRanges,
} from './text-values.js';

const U16 = 0xffff;
const U32 = 0xffff_ffff;
const ETHER = 'ether';

const READERS: Readonly<Record<Exclude<NumberField, 'icmp-type' | 'hour'>, Reader>> = {
  version: numberOr(VERSIONS, 'a version of IP', 6),
  protocol: numberOr(PROTOCOLS, 'a protocol', 0xff),
  sport: number('a port', U16),
  dport: number('a port', U16),
  length: number('a length', U16 + 40),
  hoplimit: number('a number of hops', 0xff),
  dscp: numberOr(DSCPS, 'a code point', 0x3f),
  'icmp-code': number('a code', 0xff),
  mark: number('a mark', U32),
  day: numberOr(DAYS, 'a day', 6),
  'ether-source': mac,
  'ether-destination': mac,
};

/** The operators of comparisons; `implicit` where there is none. */
type Operator = '==' | '!=' | '<' | '>' | '<=' | '>=' | 'implicit';

const OPERATORS: readonly (readonly [string, Operator])[] = [
  ['==', '=='],
  ['eq', '=='],
  ['!=', '!='],
  ['ne', '!='],
  ['<=', '<='],
  ['le', '<='],
  ['>=', '>='],
  ['ge', '>='],
  ['<', '<'],
  ['lt', '<'],
  ['>', '>'],
  ['gt', '>'],
];

function operator(cursor: TokenCursor): Operator {
  return OPERATORS.find(([text]) => cursor.accept(text))?.[1] ?? 'implicit';
}

/** Equal or not: what all fields can be compared by. */
function negation(cursor: TokenCursor): { readonly not?: true } {
  const place = cursor.peek();
  const found = operator(cursor);
  if (found === '!=') return { not: true };
  if (found === '==' || found === 'implicit') return {};
  throw cursor.error('unsupported', `${found} is for numbers`, place);
}

/** Reads conditions; knows what those before say of the protocol. */
export class MatchParser {
  private readonly cursor: TokenCursor;
  /** The protocol that a condition of this rule demands. */
  private protocol: number | undefined = undefined;
  private version: number | undefined = undefined;

  constructor(cursor: TokenCursor) {
    this.cursor = cursor;
  }

  /** Another rule begins. */
  reset(): void {
    this.protocol = this.version = undefined;
  }

  /** The conditions that one expression says, or `undefined` where there is none: a port demands its protocol, too. */
  parse(): readonly Match[] | undefined {
    const { cursor } = this;
    const { kind, text } = cursor.peek();
    if (kind !== 'word') return undefined;
    if (WITH_PORTS.includes(text) || text === 'th') return this.transport(text);
    switch (text) {
      case 'meta':
        return this.meta();
      case 'ip':
        return this.ip(4);
      case 'ip6':
        return this.ip(6);
      case 'icmp':
        return this.icmp(4);
      case 'icmpv6':
        return this.icmp(6);
      case 'ct':
        return [this.ct()];
      case ETHER:
        return [this.ether()];
      case 'limit':
        cursor.take();
        return [this.limit()];
      case 'exthdr':
      case 'frag':
        return this.extension();
      default:
        return this.bare(text);
    }
  }

  /** A condition on the protocol, unless there is one already. @throws RuleError where another is demanded */
  demandProtocol(protocol: number): readonly Match[] {
    if (this.protocol === protocol) return [];
    if (this.protocol !== undefined) throw this.cursor.error('conflict', 'the rule demands another protocol before');
    return [{ kind: 'number', field: 'protocol', in: [[protocol, protocol]] }];
  }

  /** A condition on the version of IP, unless there is one already. @throws RuleError where another is demanded */
  demandVersion(version: IpVersion): readonly Match[] {
    if (this.version === version) return [];
    if (this.version !== undefined)
      throw this.cursor.error('conflict', 'the rule demands another version of IP before');
    return [{ kind: 'number', field: 'version', in: [[version, version]] }];
  }

  /** What the rule demands from this part on. */
  note(part: Part): void {
    this.protocol ??= demandedProtocol(part);
    this.version ??= demandedVersion(part);
  }

  private transport(name: string): readonly Match[] {
    const { cursor } = this;
    cursor.take();
    const protocol = PROTOCOLS.get(name);
    if (name === 'tcp' && cursor.accept('flags')) return [this.flags()];
    const field = cursor.word(['sport', 'dport'], `a field of ${name}`);
    const demanded = protocol === undefined ? [] : this.demandProtocol(protocol);
    return [...demanded, this.number(field)];
  }

  /** A number: compared with a value, a range or a list; smaller and larger ones are ranges. */
  private number(field: Exclude<NumberField, 'icmp-type' | 'hour'>, family?: IpVersion): NumberMatch {
    return this.numberBy(field, READERS[field], LARGEST[field], family);
  }

  private numberBy(field: NumberField, read: Reader, largest: number, family?: IpVersion): NumberMatch {
    const { cursor } = this;
    const of = family === undefined ? {} : { family };
    const place = cursor.peek();
    const found = operator(cursor);
    if (found === '==' || found === 'implicit' || found === '!=') {
      const values = field === 'hour' ? timeRanges(cursor) : ranges(cursor, read);
      return { kind: 'number', field, in: values, ...of, ...(found === '!=' ? { not: true } : {}) };
    }
    const value = read(cursor);
    const low = found === '>' ? value + 1 : found === '>=' ? value : 0;
    const high = found === '<' ? value - 1 : found === '<=' ? value : largest;
    if (low > high) throw cursor.error('value', `no number is ${found} ${value}`, place);
    return { kind: 'number', field, in: [[low, high]], ...of };
  }

  private meta(): readonly Match[] | undefined {
    const { cursor } = this;
    // A statement: `meta mark set`.
    if (cursor.at('mark', 1) && cursor.at('set', 2)) return undefined;
    cursor.take();
    switch (cursor.peek().text) {
      case 'l4proto':
        cursor.take();
        return [this.number('protocol')];
      case 'nfproto':
        cursor.take();
        return [this.number('version')];
      case 'length':
        cursor.take();
        return [this.number('length')];
      case 'hour':
        cursor.take();
        return [this.numberBy('hour', () => 0, 0)];
      case 'day':
        cursor.take();
        return [this.number('day')];
      case 'mark':
      case 'iifname':
      case 'oifname':
      case 'iif':
      case 'oif':
        return this.bare(cursor.peek().text);
      default:
        throw cursor.error('unsupported', `meta ${cursor.peek().text} is not known here`);
    }
  }

  private ip(family: IpVersion): readonly Match[] | undefined {
    const { cursor } = this;
    cursor.take();
    const { text } = cursor.peek();
    if (text === 'saddr' || text === 'daddr') return [this.address(family)];
    if (text === 'frag-off' && family === 4) return this.fragmentOffset();
    cursor.take();
    if (text === 'dscp') return [this.number('dscp', family)];
    if (text === 'protocol') return [this.number('protocol', family)];
    if (text === (family === 4 ? 'ttl' : 'hoplimit')) return [this.number('hoplimit', family)];
    if (text === 'length' && family === 4) return [...this.demandVersion(4), this.number('length')];
    if (text === 'version') return [this.number('version')];
    throw cursor.error('unsupported', `${family === 4 ? 'ip' : 'ip6'} ${text} is not known here`);
  }

  private address(family?: IpVersion): Match {
    const { cursor } = this;
    const side = cursor.take().text === 'saddr' ? 'source' : 'destination';
    const not = negation(cursor);
    return {
      kind: 'address',
      side,
      in: addresses(cursor, family),
      ...(family === undefined ? {} : { family }),
      ...not,
    };
  }

  /** `ip frag-off & 0x1fff != 0`: a later fragment; with 0x3fff, any. */
  private fragmentOffset(): readonly Match[] {
    const { cursor } = this;
    cursor.take();
    const place = cursor.peek();
    if (!cursor.accept('&')) cursor.expect('and');
    const mask = cursor.number('a mask');
    const isAny = mask === 0x3fff;
    const not = negation(cursor);
    if ((!isAny && mask !== 0x1fff) || cursor.number('0') !== 0) {
      throw cursor.error(
        'unsupported',
        'of the fragment offset only & 0x1fff and & 0x3fff are compared, with 0',
        place,
      );
    }
    const which: FragmentMatch['which'] = isAny ? 'any' : 'later';
    return [...this.demandVersion(4), { kind: 'fragment', which, ...(not.not === true ? {} : { not: true }) }];
  }

  /** `exthdr frag exists`, or `missing`. */
  private extension(): readonly Match[] {
    const { cursor } = this;
    const { text } = cursor.take();
    if (text === 'frag') throw cursor.error('unsupported', 'fields of fragment headers are not known here');
    cursor.expect('frag');
    const isMissing = cursor.word(['exists', 'missing'], 'whether there is one') === 'missing';
    return [...this.demandVersion(6), { kind: 'fragment', which: 'header', ...(isMissing ? { not: true } : {}) }];
  }

  private icmp(family: IpVersion): readonly Match[] {
    const { cursor } = this;
    cursor.take();
    const field = cursor.word(['type', 'code'], 'a field of ICMP');
    if (field === 'code') return [this.numberBy('icmp-code', READERS['icmp-code'], 0xff, family)];
    const words = family === 4 ? ICMP_TYPES : ICMPV6_TYPES;
    return [this.numberBy('icmp-type', numberOr(words, 'a type', 0xff), 0xff, family)];
  }

  private ct(): Match {
    const { cursor } = this;
    cursor.take();
    const key = cursor.word(['state', 'direction'], 'what is known of connections');
    const not = negation(cursor);
    if (key === 'direction') {
      if (not.not === true) throw cursor.error('unsupported', 'name the other direction instead');
      return { kind: 'direction', direction: cursor.word(['original', 'reply'], 'a direction') };
    }
    return { kind: 'state', states: this.states(), ...not };
  }

  private states(): readonly StateName[] {
    const { cursor } = this;
    const one = () =>
      cursor.word<StateName>(['new', 'established', 'related', 'invalid', 'untracked'], 'a state of connections');
    if (cursor.at('{')) return list(cursor, one);
    const states = [one()];
    while (cursor.accept(',')) states.push(one());
    return states;
  }

  private ether(): Match {
    const { cursor } = this;
    cursor.take();
    return this.number(
      cursor.word(['saddr', 'daddr'], 'a field of Ethernet') === 'saddr' ? 'ether-source' : 'ether-destination',
    );
  }

  /** `syn`: any of these; `== syn`: exactly; `& (syn | ack) == syn` and `syn / syn,ack`: of those that the mask has. */
  private flags(): Match {
    const { cursor } = this;
    if (cursor.accept('&') || cursor.accept('and')) {
      const mask = this.flagValue();
      return { kind: 'bits', field: 'tcp-flags', mask, ...this.comparedFlags(mask) };
    }
    if (cursor.accept('!')) return { kind: 'bits', field: 'tcp-flags', mask: this.flagValue(), value: 0 };
    const place = cursor.peek();
    const found = operator(cursor);
    if (found !== 'implicit' && found !== '==' && found !== '!=') {
      throw cursor.error('unsupported', 'flags are not smaller or larger', place);
    }
    const value = this.flagValue();
    const not = found === '!=' ? { not: true as const } : {};
    if (cursor.accept('/')) return { kind: 'bits', field: 'tcp-flags', mask: this.flagValue(), value, ...not };
    if (found === 'implicit') return { kind: 'bits', field: 'tcp-flags', mask: value, value: 0, not: true };
    return { kind: 'bits', field: 'tcp-flags', mask: 0xff, value, ...not };
  }

  private comparedFlags(mask: number): { readonly value: number; readonly not?: true } {
    const { cursor } = this;
    const place = cursor.peek();
    const not = negation(cursor);
    const value = this.flagValue();
    if ((value & ~mask) !== 0) throw cursor.error('conflict', 'flags outside of the mask can never be set', place);
    return { value, ...not };
  }

  private flagValue(): number {
    const { cursor } = this;
    const isGrouped = cursor.accept('(');
    const read = numberOr(TCP_FLAGS, 'a flag of TCP', 0xff);
    let value = read(cursor);
    while (cursor.accept('|') || cursor.accept(',') || cursor.accept('or')) value |= read(cursor);
    if (isGrouped) cursor.expect(')');
    return value;
  }

  private limit(): LimitMatch {
    const { cursor } = this;
    cursor.expect('rate');
    const over = cursor.accept('over');
    if (!over) cursor.accept('until');
    const rate = number('a rate', U32)(cursor);
    const unit = this.unit();
    cursor.expect('/');
    const per = cursor.word<RateUnit>(['second', 'minute', 'hour', 'day', 'week'], 'a unit of time');
    const burst = cursor.accept('burst') ? this.burst(unit !== undefined) : undefined;
    const key = cursor.accept('per') ? this.key() : undefined;
    return {
      kind: 'limit',
      rate: rate * (unit ?? 1),
      per,
      ...(burst === undefined ? {} : { burst }),
      ...(unit === undefined ? {} : { unit: 'bytes' }),
      ...(over ? { over } : {}),
      ...(key === undefined ? {} : { key }),
    };
  }

  /** Bytes of the unit, or `undefined` for packets. */
  private unit(): number | undefined {
    const { cursor } = this;
    if (cursor.accept('packets')) return undefined;
    if (cursor.accept('bytes')) return 1;
    if (cursor.accept('kbytes')) return 1024;
    return cursor.accept('mbytes') ? 1024 * 1024 : undefined;
  }

  private burst(isBytes: boolean): number {
    const { cursor } = this;
    const burst = number('a burst', U32)(cursor);
    const place = cursor.peek();
    const unit = this.unit();
    if (isBytes !== (unit !== undefined) && (isBytes || unit !== undefined)) {
      throw cursor.error('conflict', 'the rate and its burst are of one unit', place);
    }
    return burst * (unit ?? 1);
  }

  private key(): RateKey {
    const { cursor } = this;
    const by = cursor.word(['saddr', 'daddr'], 'whose rate it is') === 'saddr' ? 'source' : 'destination';
    const bits: { 4?: number; 6?: number } = {};
    for (const [word, version, most] of [['ip', 4, 32] as const, ['ip6', 6, 128] as const]) {
      if (!cursor.at(word) || !cursor.at('prefix', 1)) continue;
      cursor.take();
      cursor.take();
      bits[version] = number('a length of a prefix', most)(cursor);
    }
    const size = cursor.accept('size') ? number('a size', U32)(cursor) : undefined;
    const hasBits = bits[4] !== undefined || bits[6] !== undefined;
    return { by, ...(hasBits ? { bits } : {}), ...(size === undefined ? {} : { size }) };
  }

  /** What stands without a protocol in front: fields of both versions, devices, marks, and conditions of our own. */
  private bare(word: string): readonly Match[] | undefined {
    const { cursor } = this;
    switch (word) {
      case 'saddr':
      case 'daddr':
        return [this.address()];
      case 'dscp':
      case 'hoplimit':
        cursor.take();
        return [this.number(word)];
      case 'mark':
        cursor.take();
        return [this.mark()];
      case 'iif':
      case 'iifname':
      case 'oif':
      case 'oifname':
        cursor.take();
        return [this.device(word.startsWith('i') ? 'in' : 'out')];
      case 'fragment':
        cursor.take();
        return [this.fragment()];
      case 'when':
        cursor.take();
        return [{ kind: 'predicate', ...negation(cursor), name: cursor.string('the name of a predicate') }];
      default:
        return undefined;
    }
  }

  private mark(): Match {
    const { cursor } = this;
    if (!cursor.accept('&') && !cursor.accept('and')) return this.number('mark');
    const mask = READERS.mark(cursor);
    const not = negation(cursor);
    return { kind: 'bits', field: 'mark', mask, value: READERS.mark(cursor), ...not };
  }

  private device(way: 'in' | 'out'): Match {
    const { cursor } = this;
    const not = negation(cursor);
    const set = setName(cursor);
    const names = set ?? (cursor.at('{') ? list(cursor, () => deviceName(cursor)) : [deviceName(cursor)]);
    return { kind: 'interface', way, in: names, ...not };
  }

  private fragment(): Match {
    const { cursor } = this;
    const not = negation(cursor);
    return { kind: 'fragment', which: cursor.word(['any', 'first', 'later', 'header'], 'which fragments'), ...not };
  }
}
