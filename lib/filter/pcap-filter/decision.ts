/**
 * The decision that a filter is compiled to: a graph of tests without cycles, each with the one that follows if it holds and the one that
 * follows if not. A byte that is not in the packet ends it: such a packet does not match, whatever surrounds the test, as in BPF.
 *
 * What an earlier test on the way has settled is not tested again: after `type = 0x86dd`, `type = 0x800` is known.
 */

import { Compare, type Condition, holds, type Source, type Test, type Value } from './condition.js';
import { computed } from './computed.js';

/** The source of an end, whose value says whether the packet matches. */
const END = -2;
const NOTHING: Value = { kind: 'constant', value: 0 };

/** One test, or an end. The two ways may be moved by threading. */
export class Decision {
  readonly source: Source | typeof END;
  readonly at: number;
  readonly base: number;
  readonly mask: number;
  readonly isEqual: boolean;
  readonly compare: Compare;
  readonly value: number;
  readonly left: Value;
  readonly right: Value;
  yes: Decision;
  no: Decision;

  constructor(test: Test | boolean, yes?: Decision, no?: Decision) {
    const isEnd = typeof test === 'boolean';
    this.source = isEnd ? END : test.source;
    this.at = isEnd ? 0 : test.at;
    this.base = isEnd ? 0 : test.base;
    this.mask = isEnd ? 0 : test.mask;
    this.isEqual = isEnd || test.compare === Compare.Equal;
    this.compare = isEnd ? Compare.Equal : test.compare;
    this.value = isEnd ? Number(test) : test.value;
    this.left = isEnd ? NOTHING : (test.left ?? NOTHING);
    this.right = isEnd ? NOTHING : (test.right ?? NOTHING);
    this.yes = yes ?? this;
    this.no = no ?? this;
  }
}

/** The decision about a condition. */
export function decide(condition: Condition): Decision {
  return thread(connect(condition, new Decision(true), new Decision(false)));
}

/** The decision that goes on with `yes` or with `no`. */
function connect(condition: Condition, yes: Decision, no: Decision): Decision {
  switch (condition.kind) {
    case 'always':
      return condition.value ? yes : no;
    case 'not':
      return connect(condition.operand, no, yes);
    case 'and':
      return condition.operands.reduceRight((next, operand) => connect(operand, next, no), yes);
    case 'or':
      return condition.operands.reduceRight((next, operand) => connect(operand, yes, next), no);
    case 'test':
      return new Decision(condition, yes, no);
  }
}

/**
 * Whether a packet, the bytes `start` to `end`, matches; `length` is how long it was on its wire. The numbers of {@link Source} are written
 * out: what is imported is loaded each time.
 */
export function matches(root: Decision, view: DataView, start: number, end: number, length: number): boolean {
  for (let on = root; ; ) {
    const { source } = on;
    let value = length;
    if (source > 0) {
      let at = start + on.at;
      if (on.base >= 0) {
        const header = start + on.base;
        if (header >= end) return false;
        at += (view.getUint8(header) & 0x0f) * 4;
      }
      if (at + source > end) return false;
      value = source === 2 ? view.getUint16(at) : source === 1 ? view.getUint8(at) : view.getInt32(at);
    } else if (source === -2) {
      return on.value === 1;
    } else if (source === -1) {
      const left = computed(on.left, view, start, end, length);
      const right = left < 0 ? left : computed(on.right, view, start, end, length);
      if (right < 0) return false;
      on = holds(on.compare, left, right) ? on.yes : on.no;
      continue;
    }
    value &= on.mask;
    if (on.isEqual) on = value === on.value ? on.yes : on.no;
    else on = holds(on.compare, value >>> 0, on.value >>> 0) ? on.yes : on.no;
  }
}

/** What is known of one number of the packet on the way to a decision: its value, or some that it does not have. */
interface Fact {
  readonly equals: number | undefined;
  readonly differs: readonly number[];
}
type Facts = ReadonlyMap<string, Fact>;

/** More values than these are not remembered, so that long lists of addresses are compiled in time that grows with their length. */
const MOST_DIFFERENCES = 8;

/** Leads every way past the tests whose outcome is known on it. */
function thread(root: Decision): Decision {
  const known = new Map<Decision, Facts>([[root, new Map()]]);
  for (const decision of inOrder(root)) {
    const facts = known.get(decision);
    if (facts === undefined || decision.source === END) continue;
    const ifYes = learnt(facts, decision, true);
    const ifNo = learnt(facts, decision, false);
    decision.yes = past(decision.yes, ifYes);
    decision.no = past(decision.no, ifNo);
    tell(known, decision.yes, ifYes);
    tell(known, decision.no, ifNo);
  }
  return root;
}

/** All decisions, each before those that can follow it. */
function inOrder(root: Decision): Decision[] {
  const order: Decision[] = [];
  const seen = new Set<Decision>();
  // A stack of our own: lists of addresses are as deep as they are long.
  const stack: { readonly decision: Decision; isDone: boolean }[] = [{ decision: root, isDone: false }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const { decision } = top;
    if (top.isDone || (seen.has(decision) && !top.isDone)) {
      stack.pop();
      if (top.isDone) order.push(decision);
      continue;
    }
    seen.add(decision);
    top.isDone = true;
    for (const next of [decision.yes, decision.no]) if (!seen.has(next)) stack.push({ decision: next, isDone: false });
  }
  return order.toReversed();
}

function keyOf({ source, at, base, mask }: Decision): string | undefined {
  return source < 0 ? undefined : `${source} ${at} ${base} ${mask}`;
}

function learnt(facts: Facts, decision: Decision, outcome: boolean): Facts {
  const key = keyOf(decision);
  if (key === undefined || decision.compare !== Compare.Equal) return facts;
  const before = facts.get(key);
  const differs = before?.differs ?? [];
  if (outcome) return new Map([...facts, [key, { equals: decision.value, differs: [] }]]);
  if (before?.equals !== undefined || differs.length === MOST_DIFFERENCES) return facts;
  return new Map([...facts, [key, { equals: undefined, differs: [...differs, decision.value] }]]);
}

function past(from: Decision, facts: Facts): Decision {
  let at = from;
  for (let outcome = settled(at, facts); outcome !== undefined; outcome = settled(at, facts))
    at = outcome ? at.yes : at.no;
  return at;
}

/** The outcome of a test, where it is known. The number was read before, so that leaving it out changes nothing for short packets. */
function settled(decision: Decision, facts: Facts): boolean | undefined {
  const key = keyOf(decision);
  const fact = key === undefined ? undefined : facts.get(key);
  if (fact === undefined) return undefined;
  const { compare, value } = decision;
  if (fact.equals !== undefined) return holds(compare, fact.equals >>> 0, value >>> 0);
  return compare === Compare.Equal && fact.differs.includes(value) ? false : undefined;
}

/** Adds a way to a decision: what is known there is what is known on all ways. */
function tell(known: Map<Decision, Facts>, to: Decision, facts: Facts): void {
  const before = known.get(to);
  if (before === undefined) {
    known.set(to, facts);
    return;
  }
  const both = new Map<string, Fact>();
  for (const [key, fact] of before) {
    const other = facts.get(key);
    if (other === undefined) continue;
    if (fact.equals !== undefined && fact.equals === other.equals) both.set(key, fact);
    const differs = fact.differs.filter((value) => other.differs.includes(value));
    if (differs.length > 0) both.set(key, { equals: undefined, differs });
  }
  known.set(to, both);
}
