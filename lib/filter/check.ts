/** Whether rules can be done: chains and sets that they name are there, values fit their fields, and nothing leads in circles. */

import type {
  AddressMatch,
  BitsMatch,
  Chain,
  Hook,
  InterfaceMatch,
  LimitMatch,
  NamedSet,
  NumberMatch,
  NumberSet,
  NumberSetType,
} from './model.js';
import {
  demandedProtocol,
  demandedVersion,
  firstDemand,
  isAddressSet,
  isNat,
  isVerdict,
  LARGEST,
  type NatStatement,
  type NumberField,
  type Part,
  type Predicate,
  type Rule,
  type RuleSet,
} from './model.js';
import { type Place, placeOf, RuleError, type RuleProblem } from './rule-error.js';
import { columnsOf } from './text-printer.js';

/** What rules may ask for. */
export interface CheckOptions {
  readonly hook?: Hook;
  readonly predicates?: Readonly<Record<string, Predicate>>;
  readonly context: { readonly translate?: unknown };
}

const TCP = 6;
const U16 = 0xffff;
const U32 = 0xffff_ffff;

/** The type of named sets that go with a field. */
const SET_TYPES: Partial<Readonly<Record<NumberField, NamedSet['type']>>> = {
  protocol: 'inet_proto',
  sport: 'inet_service',
  dport: 'inet_service',
  mark: 'mark',
  'ether-source': 'ether_addr',
  'ether-destination': 'ether_addr',
};

const SET_LARGEST: Readonly<Record<NumberSetType, number>> = {
  inet_service: U16,
  inet_proto: 0xff,
  mark: U32,
  ether_addr: 0xffff_ffff_ffff,
};

/** Fields whose value may be wanted of packets of one version only. */
const WITH_FAMILY: ReadonlySet<NumberField> = new Set<NumberField>([
  'protocol',
  'hoplimit',
  'dscp',
  'icmp-type',
  'icmp-code',
]);

/** What the lexer takes for one word. */
const NAME = /^[A-Za-z_][\w.]*(?:-\w[\w.]*)*$/;
const TEXT = /^[^"\r\n]*$/;
const START: Place = { line: 1, column: 1 };
const MOST_PLACES = 2 ** 24;
/** Jumps, one from the other, as in nftables. */
const MOST_JUMPS = 16;

/**
 * Checks rules, and returns the base chains of the hook that is meant, in order.
 *
 * @throws RuleError
 */
export function checkRules(set: RuleSet, options: CheckOptions): readonly Chain[] {
  new Checker(set, options).check();
  return basesOf(set, options.hook);
}

function basesOf({ chains }: RuleSet, hook: Hook | undefined): readonly Chain[] {
  const hooks = new Set(chains.flatMap(({ base }) => (base === undefined ? [] : [base.hook])));
  const [only, ...others] = hooks;
  if (hook === undefined && others.length > 0) {
    throw new RuleError('base-chain', `say which hook is meant: ${[...hooks].join(', ')}`, '', START);
  }
  const meant = hook ?? only;
  const bases = chains.filter(({ base }) => base !== undefined && base.hook === meant);
  if (bases.length === 0) {
    throw new RuleError('base-chain', `there is no base chain${meant === undefined ? '' : ` of ${meant}`}`, '', START);
  }
  return bases.toSorted((a, b) => (a.base?.priority ?? 0) - (b.base?.priority ?? 0));
}

class Checker {
  private readonly set: RuleSet;
  private readonly options: CheckOptions;
  private readonly sets: ReadonlyMap<string, NamedSet>;
  private readonly chains: ReadonlyMap<string, Chain>;
  /** What is looked at, for errors. */
  private name = '';
  private rule: Rule | undefined;
  private part: Part | undefined;

  constructor(set: RuleSet, options: CheckOptions) {
    this.set = set;
    this.options = options;
    this.sets = new Map(set.sets.map((each) => [each.name, each]));
    this.chains = new Map(set.chains.map((chain) => [chain.name, chain]));
  }

  check(): void {
    for (const set of this.set.sets) this.checkSet(set);
    for (const chain of this.set.chains) this.checkChain(chain);
    this.checkWays();
  }

  private fail(problem: RuleProblem, message: string, at?: object): never {
    const place = placeOf(at ?? this.part ?? this.rule ?? {});
    throw new RuleError(problem, message, this.name, place ?? this.columnOfPart());
  }

  private columnOfPart(): Place {
    const { rule, part } = this;
    if (rule === undefined || part === undefined) return START;
    return { line: 1, column: columnsOf(rule)[rule.parts.indexOf(part)] ?? 1 };
  }

  private checkSet(set: NamedSet): void {
    this.name = `set ${set.name}`;
    this.rule = this.part = undefined;
    if (this.sets.get(set.name) !== set) this.fail('duplicate', 'there are two sets of this name', set);
    if (!NAME.test(set.name)) this.fail('value', `${JSON.stringify(set.name)} is no name of a set`, set);
    if (set.type === 'ifname') {
      for (const name of set.elements) this.checkDevice(name, set);
    } else if (isAddressSet(set)) {
      const version = set.type === 'ipv4_addr' ? 4 : 6;
      const other = set.elements.find((element) => element.version !== version);
      if (other !== undefined) this.fail('value', `${other.toString()} is not of IPv${version}`, set);
    } else this.checkRanges(set);
  }

  private checkRanges(set: NumberSet): void {
    for (const range of set.elements) this.checkRange(range, SET_LARGEST[set.type], set);
  }

  private checkChain(chain: Chain): void {
    this.name = `chain ${chain.name}`;
    this.rule = this.part = undefined;
    if (this.chains.get(chain.name) !== chain) this.fail('duplicate', 'there are two chains of this name', chain);
    if (!NAME.test(chain.name)) this.fail('value', `${JSON.stringify(chain.name)} is no name of a chain`, chain);
    const priority = chain.base?.priority ?? 0;
    if (!Number.isInteger(priority) || Math.abs(priority) > 2 ** 31) this.fail('value', 'no priority', chain);
    for (const [i, rule] of chain.rules.entries()) {
      this.name = `${chain.name} #${i + 1}`;
      this.checkRule(rule);
    }
  }

  private checkRule(rule: Rule): void {
    this.rule = rule;
    this.part = undefined;
    if (rule.comment !== undefined && !TEXT.test(rule.comment))
      this.fail('value', 'quotes or ends of lines in a comment');
    if (rule.parts.length === 0) this.fail('value', 'a rule without conditions and statements');
    for (const part of rule.parts) {
      this.part = part;
      const last = rule.parts.at(-1);
      if (isVerdict(part) && part !== last) this.fail('conflict', `what follows ${part.kind} is never done`, last);
      this.checkPart(part, rule);
    }
  }

  private checkPart(part: Part, rule: Rule): void {
    switch (part.kind) {
      case 'number':
        return this.checkNumber(part);
      case 'bits':
        return this.checkBits(part);
      case 'address':
        return this.checkAddress(part);
      case 'interface':
        return this.checkInterface(part);
      case 'state':
        if (part.states.length === 0) this.fail('value', 'no state');
        return;
      case 'limit':
        return this.checkLimit(part);
      case 'predicate':
        return this.checkPredicate(part.name, part.test);
      case 'log':
        if (!TEXT.test(part.prefix ?? '')) this.fail('value', 'quotes or ends of lines in a prefix');
        return;
      case 'mark':
        return this.checkRange([Math.min(part.and, part.xor), Math.max(part.and, part.xor)], U32);
      case 'reject':
        if (part.with === 'tcp-reset' && firstDemand(rule.parts, demandedProtocol) !== TCP) {
          this.fail('conflict', 'a TCP reset answers TCP only: put tcp before it');
        }
        return;
      case 'jump':
      case 'goto':
        return this.checkTarget(part.chain);
      default:
        if (isNat(part)) this.checkNat(part, rule);
    }
  }

  private checkNumber({ field, in: values, family }: NumberMatch): void {
    const isIcmp = field === 'icmp-type' || field === 'icmp-code';
    if (isIcmp && family === undefined) this.fail('value', `${field} needs a version of IP`);
    if (family !== undefined && !WITH_FAMILY.has(field)) this.fail('value', `${field} goes with no version of IP`);
    if ('set' in values) {
      const type = SET_TYPES[field];
      return this.checkSetOf(values.set, type === undefined ? [] : [type]);
    }
    if (values.length === 0) this.fail('value', `no value for ${field}`);
    for (const range of values) this.checkRange(range, LARGEST[field]);
    if (field === 'version' && values.some(([low, high]) => low !== high || (low !== 4 && low !== 6))) {
      this.fail('value', 'a version is 4 or 6');
    }
  }

  private checkRange([low, high]: readonly [number, number], largest: number, at?: object): void {
    for (const value of [low, high]) {
      if (!Number.isInteger(value) || value < 0 || value > largest)
        this.fail('value', `${value} is not in 0..${largest}`, at);
    }
    if (low > high) this.fail('value', `${low}-${high} is upside down`, at);
  }

  private checkBits({ field, mask, value }: BitsMatch): void {
    const largest = field === 'mark' ? U32 : 0xff;
    this.checkRange([mask, mask], largest);
    this.checkRange([value, value], largest);
    if ((value & ~mask) !== 0) this.fail('conflict', 'bits outside of the mask can never be set');
  }

  private checkAddress({ in: prefixes, family }: AddressMatch): void {
    if ('set' in prefixes) {
      const types = { 4: ['ipv4_addr'], 6: ['ipv6_addr'] } as const;
      return this.checkSetOf(prefixes.set, family === undefined ? ['ipv4_addr', 'ipv6_addr'] : types[family]);
    }
    if (prefixes.length === 0) this.fail('value', 'no address');
    for (const prefix of prefixes) {
      if (family !== undefined && prefix.version !== family) {
        this.fail('value', `${prefix.toString()} is not of IPv${family}`);
      }
      if (!prefix.network.equals(prefix.address)) this.fail('value', `${prefix.toString()} has bits behind its prefix`);
    }
  }

  private checkInterface({ in: names }: InterfaceMatch): void {
    if ('set' in names) return this.checkSetOf(names.set, ['ifname']);
    if (names.length === 0) this.fail('value', 'no name of a device');
    for (const name of names) this.checkDevice(name);
  }

  private checkDevice(name: string, at?: object): void {
    if (name === '' || !TEXT.test(name)) this.fail('value', `${JSON.stringify(name)} is no name of a device`, at);
  }

  private checkSetOf(name: string, types: readonly NamedSet['type'][]): void {
    const set = this.sets.get(name);
    if (set === undefined) this.fail('unknown-set', `there is no set ${name}`);
    if (!types.includes(set.type)) this.fail('unknown-set', `the set ${name} is of ${set.type}`);
  }

  private checkLimit({ rate, burst, key }: LimitMatch): void {
    if (!Number.isInteger(rate) || rate < 1 || rate > U32) this.fail('value', `${rate} is no rate`);
    if (burst !== undefined && (!Number.isInteger(burst) || burst < 1 || burst > U32)) {
      this.fail('value', `${burst} is no burst`);
    }
    const { size = 1, bits } = key ?? {};
    if (!Number.isInteger(size) || size < 1 || size > MOST_PLACES) this.fail('value', `${size} is no size of a table`);
    for (const [given, most] of [[bits?.[4] ?? 0, 32] as const, [bits?.[6] ?? 0, 128] as const]) {
      if (!Number.isInteger(given) || given < 0 || given > most)
        this.fail('value', `${given} bits are not in 0..${most}`);
    }
  }

  private checkPredicate(name: string, test: Predicate | undefined): void {
    if (!TEXT.test(name)) this.fail('value', 'quotes or ends of lines in a name');
    const { predicates = {} } = this.options;
    if (test === undefined && !Object.hasOwn(predicates, name)) {
      this.fail('unknown-predicate', `the options have no predicate ${JSON.stringify(name)}`);
    }
  }

  private checkTarget(name: string): void {
    const target = this.chains.get(name);
    if (target === undefined) this.fail('unknown-chain', `there is no chain ${name}`);
    if (target.base !== undefined) this.fail('unknown-chain', `${name} is a base chain: packets start there`);
  }

  private checkNat(part: NatStatement, rule: Rule): void {
    if (part.ports !== undefined) this.checkRange(part.ports, U16);
    if ('address' in part && firstDemand(rule.parts, demandedVersion) !== part.address.version) {
      this.fail('conflict', `put ipv${part.address.version} before it`);
    }
    if (this.options.context.translate === undefined) {
      this.fail('missing-option', `${part.kind} needs a translator: the option nat`);
    }
  }

  /** How many chains lead from one to the next at most, this one included. */
  private depthOf(chain: Chain, path: readonly Chain[], depths: Map<Chain, number>): number {
    const known = depths.get(chain);
    if (known !== undefined) return known;
    const way = [...path, chain];
    let depth = 1;
    for (const [i, rule] of chain.rules.entries()) {
      const last = rule.parts.at(-1);
      const target = last?.kind === 'jump' || last?.kind === 'goto' ? this.chains.get(last.chain) : undefined;
      if (target === undefined) continue;
      this.name = `${chain.name} #${i + 1}`;
      this.rule = rule;
      this.part = last;
      const from = way.indexOf(target);
      if (from >= 0) this.fail('cycle', [...way.slice(from), target].map(({ name }) => name).join(' leads to '));
      if (way.length > MOST_JUMPS) this.fail('depth', `more than ${MOST_JUMPS} jumps, one from the other`);
      depth = Math.max(depth, 1 + this.depthOf(target, way, depths));
    }
    depths.set(chain, depth);
    return depth;
  }

  private checkWays(): void {
    const depths = new Map<Chain, number>();
    for (const chain of this.set.chains) {
      const depth = this.depthOf(chain, [], depths);
      this.name = `chain ${chain.name}`;
      this.rule = this.part = undefined;
      if (depth > MOST_JUMPS + 1) this.fail('depth', `more than ${MOST_JUMPS} jumps, one from the other`, chain);
    }
  }
}
