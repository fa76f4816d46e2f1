/**
 * Compiled rules at work: what becomes of one packet. A chain is an index of its rules; the conditions that a rule starts with are a row of
 * numbers; what follows, limits and logs say, are steps of their own, done in the order of the rule.
 */

import type { Frame } from '../core/frame.js';
import type { Conditions } from './conditions.js';
import { type Facts, Field, Need } from './facts.js';
import type { KeyedLimiter, Limiter } from './limiter.js';
import type { NatStatement, Predicate, RejectWith } from './model.js';
import type { RuleTester, RuleTree } from './rule-tree.js';

/** What becomes of a packet. */
export const Outcome = { Accept: 0, Drop: 1, Reject: 2 } as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** How a rule ends, where its conditions are fulfilled: an outcome, or where it goes on. */
export const Ending = { Accept: 0, Drop: 1, Reject: 2, Next: 3, Jump: 4, Goto: 5, Return: 6, Nat: 7 } as const;
export type Ending = (typeof Ending)[keyof typeof Ending];

/** Number of the rule that is meant where a chain's policy decided. */
export const POLICY = -1;

/** What a rule is called. */
export interface RuleInfo {
  readonly chain: string;
  /** Its place in the chain, from 1. */
  readonly number: number;
  readonly comment?: string;
}

/** What rules need from outside. */
export interface FilterContext {
  /** Milliseconds, for rates. */
  now(): number;
  /** Milliseconds since the beginning of 1970 by the clock on the wall, for times of day. */
  wallTime(): number;
  /** A rule says to tell of the packet. */
  log(rule: RuleInfo, prefix: string, frame: Frame): void;
  /** Does what a rule asks of the translator; false where it cannot. */
  translate?(statement: NatStatement, frame: Frame): boolean;
}

/** A step of a rule behind the conditions that it starts with: whether the packet goes on to the next step. */
export interface Step {
  take(program: Program, rule: number): boolean;
}

/** Conditions behind a step. */
export class ConditionStep implements Step {
  private readonly from: number;
  private readonly to: number;

  constructor(from: number, to: number) {
    this.from = from;
    this.to = to;
  }

  take(program: Program): boolean {
    return program.conditions.hold(this.from, this.to);
  }
}

/** A rate. */
export class LimitStep implements Step {
  private readonly limiter: Limiter;
  private readonly over: boolean;

  constructor(limiter: Limiter, over: boolean) {
    this.limiter = limiter;
    this.over = over;
  }

  take({ context, facts, isUnlimited }: Program): boolean {
    return (isUnlimited || this.limiter.take(context.now(), facts.fields.length)) !== this.over;
  }
}

/** A rate for each address. */
export class KeyedLimitStep implements Step {
  private readonly limiter: KeyedLimiter;
  private readonly over: boolean;
  private readonly field: Field;

  constructor(limiter: KeyedLimiter, over: boolean, field: Field) {
    this.limiter = limiter;
    this.over = over;
    this.field = field;
  }

  take({ context, facts, isUnlimited }: Program): boolean {
    const { fields, values } = facts;
    const { limiter, field } = this;
    return (isUnlimited || limiter.take(context.now(), fields.length, fields.version, values, field)) !== this.over;
  }
}

/** A condition of the user's. */
export class PredicateStep implements Step {
  private readonly test: Predicate;
  private readonly not: boolean;

  constructor(test: Predicate, not: boolean) {
    this.test = test;
    this.not = not;
  }

  take(program: Program): boolean {
    program.isAsking = true;
    try {
      return this.test(program.frame, program.facts.fields) !== this.not;
    } catch {
      program.failed = true;
      return false;
    } finally {
      program.isAsking = false;
    }
  }
}

/** Counts. */
export class CountStep implements Step {
  take(program: Program, rule: number): boolean {
    program.count(rule);
    return true;
  }
}

/** Tells of the packet. */
export class LogStep implements Step {
  private readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  take(program: Program, rule: number): boolean {
    const info = program.infos[rule];
    if (info === undefined) return true;
    program.isAsking = true;
    try {
      program.context.log(info, this.prefix, program.frame);
    } finally {
      program.isAsking = false;
    }
    return true;
  }
}

/** Changes the mark; the conditions behind it see the new one. */
export class MarkStep implements Step {
  private readonly and: number;
  private readonly xor: number;

  constructor(and: number, xor: number) {
    this.and = and;
    this.xor = xor;
  }

  take(program: Program): boolean {
    const { frame } = program;
    frame.mark = ((frame.mark & this.and) ^ this.xor) >>> 0;
    program.facts.values[Field.Mark] = frame.mark;
    return true;
  }
}

/** A compiled rule. */
export interface CompiledRule {
  /** Where the conditions that it starts with are. */
  readonly from: number;
  readonly to: number;
  readonly steps: readonly Step[];
  readonly ending: Ending;
  /** Number of the chain that it leads to. */
  readonly target: number;
  readonly with: RejectWith;
  readonly nat: NatStatement | undefined;
  /** Whether it counts when all is fulfilled, and not at a step of its own. */
  readonly counts: boolean;
}

/** A compiled chain: the rules from `first` to `end`. */
export interface CompiledChain {
  readonly name: string;
  readonly first: number;
  readonly end: number;
  readonly tree: RuleTree;
  readonly policy: typeof Outcome.Accept | typeof Outcome.Drop;
}

/** What a program is made of. */
export interface ProgramParts {
  readonly facts: Facts;
  readonly conditions: Conditions;
  readonly rules: readonly CompiledRule[];
  readonly infos: readonly RuleInfo[];
  readonly chains: readonly CompiledChain[];
  /** Those where packets start, in order. */
  readonly bases: readonly CompiledChain[];
  readonly context: FilterContext;
}

const NO_FRAME = undefined as unknown as Frame;

/** Compiled rules. */
export class Program implements RuleTester {
  readonly facts: Facts;
  readonly values: Float64Array;
  readonly conditions: Conditions;
  readonly infos: readonly RuleInfo[];
  readonly context: FilterContext;
  readonly bases: readonly CompiledChain[];
  /** By rule: what fulfilled it. */
  readonly packets: Float64Array;
  readonly bytes: Float64Array;
  /** By base chain: what its policy decided about. */
  readonly policyPackets: Float64Array;
  readonly policyBytes: Float64Array;
  /** The packet that is looked at. */
  frame: Frame = NO_FRAME;
  /** The rule that decided, or {@link POLICY}. */
  decided: number = POLICY;
  /** A callback threw: the packet is to be dropped. */
  failed = false;
  /** A callback is being called. It may have other packets judged, by {@link Program.aside}. */
  isAsking = false;
  /** Every packet is within every rate, and counts towards none. */
  isUnlimited = false;
  /** Of each rule where the conditions that it starts with begin, and where they end. */
  private readonly bounds: Int32Array;
  private readonly endings: Uint8Array;
  private readonly rules: readonly CompiledRule[];
  private readonly chains: readonly CompiledChain[];

  constructor(parts: ProgramParts) {
    const { facts, conditions, rules, infos, chains, bases, context } = parts;
    this.facts = facts;
    this.values = facts.values;
    this.conditions = conditions;
    this.infos = infos;
    this.context = context;
    this.bases = bases;
    this.rules = rules;
    this.chains = chains;
    this.bounds = new Int32Array(2 * rules.length);
    for (const [i, { from, to }] of rules.entries()) this.bounds.set([from, to], 2 * i);
    this.endings = Uint8Array.from(rules, ({ ending }) => ending);
    this.packets = new Float64Array(rules.length);
    this.bytes = new Float64Array(rules.length);
    this.policyPackets = new Float64Array(bases.length);
    this.policyBytes = new Float64Array(bases.length);
  }

  /** What the rule that rejected says to tell the sender. */
  get rejectWith(): RejectWith {
    return this.rules[this.decided]?.with ?? 'port-unreachable';
  }

  matches(rule: number): boolean {
    return this.conditions.hold(this.bounds[2 * rule] ?? 0, this.bounds[2 * rule + 1] ?? 0);
  }

  /** Reads a packet whose IP header is at `network`; whether it is sound. */
  read(frame: Frame, network: number): boolean {
    this.frame = frame;
    this.failed = false;
    const { facts } = this;
    const isTimed = (facts.needs & Need.Clock) !== 0;
    return facts.read(frame, network, isTimed ? this.context.wallTime() / 1_000 : 0);
  }

  /** What becomes of the packet that was read. */
  decide(): Outcome {
    const { bases } = this;
    for (let i = 0; i < bases.length; i++) {
      const base = bases[i];
      if (base === undefined) break;
      const ending = this.go(base);
      if (ending === Ending.Drop || ending === Ending.Reject) return ending;
      if (ending === Ending.Accept) continue;
      this.policyPackets[i] = (this.policyPackets[i] ?? 0) + 1;
      this.policyBytes[i] = (this.policyBytes[i] ?? 0) + this.facts.fields.length;
      this.decided = POLICY;
      if (base.policy === Outcome.Drop) return Outcome.Drop;
    }
    return Outcome.Accept;
  }

  /** Judges other packets while a callback is asked about one; afterwards everything is as it was. */
  aside<T>(work: () => T): T {
    const { frame, failed, isUnlimited } = this;
    this.isAsking = this.isUnlimited = false;
    try {
      return this.facts.aside(work);
    } finally {
      this.frame = frame;
      this.failed = failed;
      this.isUnlimited = isUnlimited;
      this.isAsking = true;
    }
  }

  count(rule: number): void {
    this.packets[rule] = (this.packets[rule] ?? 0) + 1;
    this.bytes[rule] = (this.bytes[rule] ?? 0) + this.facts.fields.length;
  }

  /** Goes through a chain: an outcome, or `Next` where none was found. */
  private go({ tree, first, end }: CompiledChain): Ending {
    for (let rule = tree.find(this, first, end); rule < end; rule = tree.find(this, rule + 1, end)) {
      const ending = this.apply(rule);
      if (ending === Ending.Next) continue;
      if (ending <= Outcome.Reject) {
        this.decided = rule;
        return ending;
      }
      if (ending === Ending.Return) return Ending.Next;
      const target = this.chains[this.rules[rule]?.target ?? 0];
      const inner = target === undefined ? Ending.Next : this.go(target);
      if (inner !== Ending.Next || ending === Ending.Goto) return inner;
    }
    return Ending.Next;
  }

  /** Does what follows the conditions that a rule starts with. */
  private apply(rule: number): Ending {
    const compiled = this.rules[rule];
    if (compiled === undefined) return Ending.Next;
    const { steps } = compiled;
    for (let i = 0; i < steps.length; i++) {
      if (steps[i]?.take(this, rule) !== true) return this.failed ? Ending.Drop : Ending.Next;
    }
    if (compiled.counts) this.count(rule);
    const ending = this.endings[rule] as Ending;
    return ending === Ending.Nat ? this.translate(compiled) : ending;
  }

  private translate({ nat }: CompiledRule): Ending {
    this.isAsking = true;
    try {
      const done = nat !== undefined && this.context.translate?.(nat, this.frame) === true;
      return done ? Ending.Accept : Ending.Drop;
    } catch {
      this.failed = true;
      return Ending.Drop;
    } finally {
      this.isAsking = false;
    }
  }
}
