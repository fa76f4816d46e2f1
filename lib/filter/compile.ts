/** Makes a program of rules: chains become indexes, conditions rows of numbers. */

import type { Cidr } from '../core/address.js';
import type { Random } from '../core/random.js';
import { checkRules } from './check.js';
import { ConditionWriter, Conditions, keyOf } from './conditions.js';
import { Facts, Field, Fragment, Need } from './facts.js';
import { KeyedLimiter, Limiter } from './limiter.js';
import type {
  AddressMatch,
  Chain,
  FragmentMatch,
  Hook,
  InterfaceMatch,
  LimitMatch,
  Match,
  NamedSet,
  NumberField,
  NumberMatch,
  Part,
  Predicate,
  Range,
  Rule,
  RuleSet,
  StateName,
  Verdict,
} from './model.js';
import { isAddressSet, isNegated, isVerdict } from './model.js';
import {
  type CompiledChain,
  type CompiledRule,
  ConditionStep,
  CountStep,
  Ending,
  type FilterContext,
  KeyedLimitStep,
  LimitStep,
  LogStep,
  MarkStep,
  Outcome,
  PredicateStep,
  Program,
  type RuleInfo,
  type Step,
} from './program.js';
import { type NumberKey, type PrefixKey, type RuleKeys, RuleTree } from './rule-tree.js';

/** What rules are compiled for. */
export interface CompileOptions {
  /** Which base chains: those of this hook. Default: those of the only hook that there is. */
  readonly hook?: Hook;
  /** Conditions that rules call by name. */
  readonly predicates?: Readonly<Record<string, Predicate>>;
  readonly context: FilterContext;
  readonly random: Random;
}

const NUMBER_FIELDS: Readonly<Record<NumberField, Field>> = {
  version: Field.Version,
  protocol: Field.Protocol,
  sport: Field.SourcePort,
  dport: Field.DestinationPort,
  length: Field.Length,
  hoplimit: Field.HopLimit,
  dscp: Field.Dscp,
  'icmp-type': Field.IcmpType,
  'icmp-code': Field.IcmpCode,
  mark: Field.Mark,
  hour: Field.Hour,
  day: Field.Day,
  'ether-source': Field.EtherSource,
  'ether-destination': Field.EtherDestination,
};

/** Bits of `Field.State`, by `FlowState`. */
const STATES: Readonly<Record<StateName, number>> = { untracked: 1, new: 2, established: 4, related: 8, invalid: 16 };

const FRAGMENTS: Readonly<Record<FragmentMatch['which'], Range>> = {
  any: [Fragment.First, Fragment.Later],
  header: [Fragment.First, Fragment.Atomic],
  first: [Fragment.First, Fragment.First],
  later: [Fragment.Later, Fragment.Later],
};

const ENDINGS: Readonly<Record<Verdict['kind'], Ending>> = {
  accept: Ending.Accept,
  drop: Ending.Drop,
  reject: Ending.Reject,
  jump: Ending.Jump,
  goto: Ending.Goto,
  return: Ending.Return,
  redirect: Ending.Nat,
  masquerade: Ending.Nat,
  dnat: Ending.Nat,
  snat: Ending.Nat,
};

/** Rules that name more values than these are not put into the index under each of them. */
const MOST_KEYS = 16;

/**
 * Compiles rules.
 *
 * @throws RuleError for rules that cannot be done
 */
export function compileRules(set: RuleSet, options: CompileOptions): Program {
  const bases = checkRules(set, options);
  return new Compiler(set, options).compile(bases);
}

class Compiler {
  private readonly set: RuleSet;
  private readonly options: CompileOptions;
  private readonly facts = new Facts();
  private readonly writer = new ConditionWriter();
  private readonly sets: ReadonlyMap<string, NamedSet>;
  private readonly chainNumbers: ReadonlyMap<string, number>;
  private readonly setTables = new Map<string, number>();
  private readonly rules: CompiledRule[] = [];
  private readonly infos: RuleInfo[] = [];

  constructor(set: RuleSet, options: CompileOptions) {
    this.set = set;
    this.options = options;
    this.sets = new Map(set.sets.map((each) => [each.name, each]));
    this.chainNumbers = new Map(set.chains.map(({ name }, i) => [name, i]));
  }

  compile(bases: readonly Chain[]): Program {
    const chains = this.set.chains.map((chain) => this.chain(chain));
    return new Program({
      facts: this.facts,
      conditions: new Conditions(this.writer, this.facts),
      rules: this.rules,
      infos: this.infos,
      chains,
      bases: bases.flatMap(({ name }) => chains[this.chainNumbers.get(name) ?? -1] ?? []),
      context: this.options.context,
    });
  }

  private chain({ name, base, rules }: Chain): CompiledChain {
    const first = this.rules.length;
    const keys = rules.map((rule, i): RuleKeys => {
      this.infos.push({
        chain: name,
        number: i + 1,
        ...(rule.comment === undefined ? {} : { comment: rule.comment }),
      });
      this.rules.push(this.rule(rule));
      return this.keysOf(rule, first + i);
    });
    const policy = base?.policy === 'drop' ? Outcome.Drop : Outcome.Accept;
    return { name, first, end: first + rules.length, tree: RuleTree.build(keys), policy };
  }

  private rule({ parts }: Rule): CompiledRule {
    const head = headOf(parts);
    const from = this.writer.code.length;
    // In any order: what few packets fulfil comes first.
    for (const match of head.toSorted((a, b) => rankOf(a) - rankOf(b))) this.condition(match);
    const to = this.writer.code.length;
    const steps = this.steps(parts.slice(head.length));
    const last = parts.at(-1);
    const verdict = last !== undefined && isVerdict(last) ? last : undefined;
    const leadsTo = verdict?.kind === 'jump' || verdict?.kind === 'goto' ? verdict.chain : '';
    return {
      from,
      to,
      steps,
      ending: verdict === undefined ? Ending.Next : ENDINGS[verdict.kind],
      target: this.chainNumbers.get(leadsTo) ?? -1,
      with: verdict?.kind === 'reject' ? verdict.with : 'port-unreachable',
      nat:
        verdict !== undefined && ENDINGS[verdict.kind] === Ending.Nat
          ? (verdict as NonNullable<CompiledRule['nat']>)
          : undefined,
      counts: !parts.some(({ kind }) => kind === 'count'),
    };
  }

  private steps(parts: readonly Part[]): Step[] {
    const steps: Step[] = [];
    for (const part of parts) {
      if (isVerdict(part)) break;
      steps.push(this.step(part));
    }
    return steps;
  }

  private step(part: Exclude<Part, Verdict>): Step {
    switch (part.kind) {
      case 'count':
        return new CountStep();
      case 'log':
        return new LogStep(part.prefix ?? '');
      case 'limit':
        return this.limit(part);
      case 'predicate':
        return new PredicateStep(this.predicate(part.name, part.test), part.not === true);
      case 'mark':
        return new MarkStep(part.and, part.xor);
      default: {
        const from = this.writer.code.length;
        this.condition(part);
        return new ConditionStep(from, this.writer.code.length);
      }
    }
  }

  private predicate(name: string, test: Predicate | undefined): Predicate {
    return test ?? this.options.predicates?.[name] ?? (() => false);
  }

  private limit(match: LimitMatch): Step {
    const { key, over } = match;
    if (key === undefined) return new LimitStep(new Limiter(match), over === true);
    const limiter = new KeyedLimiter(match, key, this.options.random);
    return new KeyedLimitStep(limiter, over === true, key.by === 'source' ? Field.Source : Field.Destination);
  }

  /** Writes a condition that depends on nothing but the packet. */
  private condition(match: Match): void {
    const { writer } = this;
    const not = isNegated(match);
    switch (match.kind) {
      case 'number':
        return this.number(match, not);
      case 'bits':
        return writer.bits(match.field === 'mark' ? Field.Mark : Field.TcpFlags, match.mask, match.value, not);
      case 'address':
        return this.address(match, not);
      case 'interface':
        return this.device(match, not);
      case 'state': {
        const states = match.states.reduce((sum, state) => sum | STATES[state], 0);
        return writer.bits(Field.State, states, 0, !not);
      }
      case 'direction': {
        const direction = match.direction === 'reply' ? 1 : 0;
        return writer.ranges(Field.Direction, [[direction, direction]], false);
      }
      case 'fragment':
        return writer.ranges(Field.Fragment, [FRAGMENTS[match.which]], not);
      default:
        throw new TypeError(`a ${match.kind} is a step`);
    }
  }

  private family(match: NumberMatch | AddressMatch): void {
    const { family } = match;
    if (family !== undefined) this.writer.ranges(Field.Version, [[family, family]], false);
  }

  private number(match: NumberMatch, not: boolean): void {
    const field = NUMBER_FIELDS[match.field];
    if (field === Field.Hour || field === Field.Day) this.facts.needs |= Need.Clock;
    if (field === Field.EtherSource || field === Field.EtherDestination) this.facts.needs |= Need.Link;
    this.family(match);
    if (!('set' in match.in)) return this.writer.ranges(field, match.in, not);
    const { set } = match.in;
    const table = this.setTables.get(set) ?? this.writer.addTable(this.rangesOf(set));
    this.setTables.set(set, table);
    this.writer.table(field, table, not);
  }

  private address(match: AddressMatch, not: boolean): void {
    const field = match.side === 'source' ? Field.Source : Field.Destination;
    // Where it is not negated its prefixes tell versions apart.
    if (not) this.family(match);
    if (!('set' in match.in)) return this.writer.prefixes(field, match.in, not);
    const { set } = match.in;
    const number = this.setTables.get(set) ?? this.writer.addSet(this.prefixesOf(set));
    this.setTables.set(set, number);
    this.writer.set(field, number, not);
  }

  private device(match: InterfaceMatch, not: boolean): void {
    this.facts.needs |= Need.Interfaces;
    const field = match.way === 'in' ? Field.InInterface : Field.OutInterface;
    this.writer.device(field, this.facts.devices.conditionOf(this.namesOf(match)), not);
  }

  private rangesOf(set: string): readonly Range[] {
    const found = this.sets.get(set);
    return found === undefined || isAddressSet(found) || found.type === 'ifname' ? [] : found.elements;
  }

  private prefixesOf(set: string): readonly Cidr[] {
    const found = this.sets.get(set);
    return found !== undefined && isAddressSet(found) ? found.elements : [];
  }

  private namesOf({ in: names }: InterfaceMatch): readonly string[] {
    if (!('set' in names)) return names;
    const found = this.sets.get(names.set);
    return found?.type === 'ifname' ? found.elements : [];
  }

  /** What the conditions that a rule starts with say of fields by which it can be found. */
  private keysOf({ parts }: Rule, rule: number): RuleKeys {
    const numbers = new Map<Field, readonly NumberKey[]>();
    const prefixes = new Map<Field, readonly PrefixKey[]>();
    for (const match of headOf(parts)) {
      if (isNegated(match)) continue;
      if (match.kind === 'number') {
        this.addNumbers(
          numbers,
          NUMBER_FIELDS[match.field],
          'set' in match.in ? this.rangesOf(match.in.set) : match.in,
        );
      } else if (match.kind === 'address') {
        const field = match.side === 'source' ? Field.Source : Field.Destination;
        const all = 'set' in match.in ? this.prefixesOf(match.in.set) : match.in;
        if (all.length <= MOST_KEYS && !prefixes.has(field)) prefixes.set(field, all.map(keyOf));
      } else if (match.kind === 'interface') {
        const names = this.namesOf(match);
        if (names.some((name) => name.endsWith('*'))) continue;
        const ranges = names.map((name): Range => {
          const number = this.facts.devices.numberOf(name);
          return [number, number];
        });
        this.addNumbers(numbers, match.way === 'in' ? Field.InInterface : Field.OutInterface, ranges);
      }
    }
    return { rule, numbers, prefixes };
  }

  private addNumbers(keys: Map<Field, readonly NumberKey[]>, field: Field, ranges: readonly Range[]): void {
    if (ranges.length <= MOST_KEYS && !keys.has(field)) keys.set(field, ranges);
  }
}

/** The conditions before anything that has to be done in its turn: a limit, a predicate, a statement. */
function headOf(parts: readonly Part[]): readonly Match[] {
  const end = parts.findIndex((part) => !isPlain(part));
  return (end < 0 ? parts : parts.slice(0, end)) as readonly Match[];
}

/** By how few packets a condition is fulfilled, roughly. */
function rankOf(match: Match): number {
  if (isNegated(match)) return 3;
  if (match.kind === 'address') return 1;
  if (match.kind !== 'number') return 2;
  return match.field === 'protocol' || match.field === 'version' ? 3 : 0;
}

const PLAIN: ReadonlySet<Part['kind']> = new Set<Part['kind']>([
  'number',
  'bits',
  'address',
  'interface',
  'state',
  'direction',
  'fragment',
]);

function isPlain(part: Part): part is Match {
  return PLAIN.has(part.kind);
}
