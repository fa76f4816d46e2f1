/**
 * Rules as text, in the manner of nftables: a table of the family `inet` with named sets and chains, or the rules of one chain alone. What is read
 * means the same to nftables; what nftables knows and this firewall does not is refused, and never left out. Words of our own, which
 * nftables does not know: `saddr`, `daddr`, `hoplimit` and `dscp` of either version, `fragment`, `when "predicate"`, and `limit ... per saddr`.
 */

import type { Base, Chain, Hook, NamedSet, NumberSetType, Part, Rule, RuleSet } from './model.js';
import { isVerdict } from './model.js';
import { PROTOCOLS } from './names.js';
import { placed } from './rule-error.js';
import { TokenCursor, tokenize } from './text-lexer.js';
import { MatchParser } from './text-matches.js';
import { StatementParser } from './text-statements.js';
import { deviceName, list, mac, number, numberOr, prefixes, range, type Reader } from './text-values.js';

const HOOKS: readonly Hook[] = ['prerouting', 'input', 'forward', 'output', 'postrouting'];

/** Names of priorities, of the family `inet`. */
const PRIORITIES: ReadonlyMap<string, number> = new Map([
  ['raw', -300],
  ['mangle', -150],
  ['dstnat', -100],
  ['filter', 0],
  ['security', 50],
  ['srcnat', 100],
]);

const U16 = 0xffff;
const U32 = 0xffff_ffff;

const NUMBER_SETS: Readonly<Record<NumberSetType, Reader>> = {
  inet_service: number('a port', U16),
  inet_proto: numberOr(PROTOCOLS, 'a protocol', 0xff),
  ether_addr: mac,
  mark: number('a mark', U32),
};

/**
 * Reads rules.
 *
 * @example
 * parseRules('tcp dport { 22, 80-90 } ip saddr 10.0.0.0/8 accept; reject');
 *
 * @throws RuleError that says in which rule, line and column
 */
export function parseRules(text: string): RuleSet {
  return new RuleParser(text).parse();
}

class RuleParser {
  private readonly cursor: TokenCursor;
  private readonly matches: MatchParser;
  private readonly statements: StatementParser;

  constructor(text: string) {
    this.cursor = new TokenCursor(tokenize(text));
    this.matches = new MatchParser(this.cursor);
    this.statements = new StatementParser(this.cursor, this.matches);
  }

  parse(): RuleSet {
    const { cursor } = this;
    cursor.skipEnds();
    const set = cursor.at('table') ? this.table() : this.bareRules();
    cursor.reading = '';
    cursor.skipEnds();
    if (cursor.at('table')) throw cursor.error('unsupported', 'one table is all that is known here');
    if (cursor.peek().kind !== 'end') throw cursor.unexpected('the end');
    return set;
  }

  /** The rules of one chain: of the hook `forward`, that accepts what no rule decides about unless it says so. */
  private bareRules(): RuleSet {
    const { cursor } = this;
    const place = cursor.peek();
    const policy = cursor.accept('policy') ? this.policy() : undefined;
    const base: Base = { hook: 'forward', ...(policy === undefined ? {} : { policy }) };
    const rules = this.rules('forward');
    return { sets: [], chains: [placed({ name: 'forward', base, rules }, place)] };
  }

  private table(): RuleSet {
    const { cursor } = this;
    cursor.take();
    const { kind, text } = cursor.peek();
    if (kind === 'word' && ['ip', 'ip6', 'arp', 'bridge', 'netdev'].includes(text) && cursor.peek(1).kind === 'word') {
      throw cursor.error('unsupported', 'tables are of the family inet');
    }
    cursor.expect('inet');
    cursor.name('the name of a table');
    cursor.expect('{');
    const sets: NamedSet[] = [];
    const chains: Chain[] = [];
    for (cursor.skipEnds(); !cursor.accept('}'); cursor.skipEnds()) {
      const place = cursor.peek();
      if (cursor.accept('set')) sets.push(placed(this.set(), place));
      else if (cursor.accept('chain')) chains.push(placed(this.chain(), place));
      else if (cursor.peek().kind === 'word') {
        throw cursor.error('unsupported', `${cursor.peek().text} is not known in a table`);
      } else throw cursor.unexpected('a set or a chain');
    }
    return { sets, chains };
  }

  private set(): NamedSet {
    const { cursor } = this;
    const name = cursor.name('the name of a set');
    cursor.reading = `set ${name}`;
    cursor.expect('{');
    cursor.skipEnds();
    cursor.expect('type');
    const types = ['ipv4_addr', 'ipv6_addr', 'ifname', ...(Object.keys(NUMBER_SETS) as NumberSetType[])] as const;
    const type = cursor.word(types, 'a type of sets');
    if (cursor.at('.')) throw cursor.error('unsupported', 'a set has one type');
    let set = this.emptySet(name, type);
    for (cursor.skipEnds(); !cursor.accept('}'); cursor.skipEnds()) set = this.setLine(set);
    return set;
  }

  private emptySet(name: string, type: NamedSet['type']): NamedSet {
    return { name, type, elements: [] };
  }

  private setLine(set: NamedSet): NamedSet {
    const { cursor } = this;
    if (cursor.accept('elements')) {
      cursor.expect('=');
      return this.elements(set);
    }
    if (cursor.accept('flags')) {
      do cursor.word(['interval', 'constant'], 'flags of sets that do not change');
      while (cursor.accept(','));
    } else if (cursor.accept('size')) {
      number('a size', U32)(cursor);
    } else if (!cursor.accept('auto-merge')) {
      throw cursor.error('unsupported', `${cursor.peek().text} is not known in a set`);
    }
    return set;
  }

  private elements(set: NamedSet): NamedSet {
    const { cursor } = this;
    switch (set.type) {
      case 'ipv4_addr':
      case 'ipv6_addr': {
        const family = set.type === 'ipv4_addr' ? 4 : 6;
        return { ...set, elements: [...set.elements, ...list(cursor, () => prefixes(cursor, family)).flat()] };
      }
      case 'ifname':
        return { ...set, elements: [...set.elements, ...list(cursor, () => deviceName(cursor))] };
      default:
        return { ...set, elements: [...set.elements, ...list(cursor, () => range(cursor, NUMBER_SETS[set.type]))] };
    }
  }

  private chain(): Chain {
    const { cursor } = this;
    const name = cursor.name('the name of a chain');
    cursor.reading = `chain ${name}`;
    cursor.expect('{');
    cursor.skipEnds();
    const base = cursor.at('type') ? this.base() : undefined;
    const rules = this.rules(name);
    cursor.expect('}');
    return { name, ...(base === undefined ? {} : { base }), rules };
  }

  private base(): Base {
    const { cursor } = this;
    cursor.take();
    const type = cursor.name('a type of chains');
    if (type !== 'filter' && type !== 'nat')
      throw cursor.error('unsupported', `chains of type ${type} are not known here`);
    cursor.expect('hook');
    const hook = cursor.word(HOOKS, 'a hook');
    cursor.expect('priority');
    const priority = this.priority();
    cursor.skipEnds();
    const policy = cursor.accept('policy') ? this.policy() : undefined;
    return { hook, ...(priority === 0 ? {} : { priority }), ...(policy === undefined ? {} : { policy }) };
  }

  private priority(): number {
    const { cursor } = this;
    const named = PRIORITIES.get(cursor.peek().text);
    if (named !== undefined) cursor.take();
    const sign = cursor.accept('-') ? -1 : 1;
    const isSum = sign < 0 || cursor.accept('+');
    if (named !== undefined && !isSum) return named;
    return (named ?? 0) + sign * number('a priority', 2 ** 31)(cursor);
  }

  private policy(): 'accept' | 'drop' {
    return this.cursor.word(['accept', 'drop'], 'a policy');
  }

  private rules(chain: string): readonly Rule[] {
    const { cursor } = this;
    const rules: Rule[] = [];
    for (cursor.skipEnds(); !cursor.at('}') && cursor.peek().kind !== 'end'; cursor.skipEnds()) {
      cursor.reading = `${chain} #${rules.length + 1}`;
      rules.push(this.rule());
    }
    return rules;
  }

  private rule(): Rule {
    const { cursor, matches, statements } = this;
    const start = cursor.peek();
    const parts: Part[] = [];
    matches.reset();
    let comment: string | undefined;
    while (!cursor.atEnd) {
      const place = cursor.peek();
      if (cursor.accept('comment')) {
        comment = cursor.string('a comment');
        if (!cursor.atEnd) throw cursor.unexpected('the end of the rule behind its comment');
        break;
      }
      const last = parts.at(-1);
      if (last !== undefined && isVerdict(last))
        throw cursor.error('conflict', `what follows ${last.kind} is never done`);
      for (const part of matches.parse() ?? statements.parse()) {
        matches.note(part);
        parts.push(placed(part, place));
      }
    }
    return placed({ parts, ...(comment === undefined ? {} : { comment }) }, start);
  }
}
