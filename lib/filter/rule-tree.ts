/**
 * Which rule comes first: an index over the rules of a chain.
 *
 * A node takes the field that tells its rules apart best and puts each rule where it belongs by its value, range or prefix of it; rules that
 * say nothing of the field have a subtree of their own, as have those of each value. So each rule is in one leaf, or in a few where it names several values, and
 * what a packet asks for is in few leaves: that of its value, those of the ranges and prefixes around it, and the rest. Every subtree knows its
 * first rule, and is left out where a rule before that has been found. Nothing is replicated over values, as it would be in decision trees that
 * cut (HiCuts) or in bit vectors, and changes of order cannot happen: the smallest number wins.
 */

import type { IpVersion } from '../core/address.js';
import { PrefixMap } from '../core/prefix-map.js';
import { Field } from './facts.js';

/** A prefix, as words of an address and its length. */
export interface PrefixKey {
  readonly version: IpVersion;
  readonly words: readonly [number, number, number, number];
  readonly length: number;
}

/** Values of one field that a rule is about: exact numbers where both ends are one. */
export type NumberKey = readonly [low: number, high: number];

/** What a rule says of the fields that it can be found by: it is about nothing else than these values. */
export interface RuleKeys {
  readonly rule: number;
  readonly numbers: ReadonlyMap<Field, readonly NumberKey[]>;
  readonly prefixes: ReadonlyMap<Field, readonly PrefixKey[]>;
}

/** Whether a packet that it knows fulfils the conditions of a rule. */
export interface RuleTester {
  readonly values: Float64Array;
  matches(rule: number): boolean;
}

/** More rules than these are divided, if there is a field that does. */
const LEAF = 6;
/** A division has to leave at most this part of them, as a rule. */
const WORTH = 0.8;
const NO_FIELD = -1;
const EMPTY = new Int32Array(0);

/** A subtree. */
export class RuleTree {
  /** Smallest and largest number of its rules. */
  readonly first: number;
  readonly last: number;
  /** Of a leaf with more than one: its rules, in order. */
  readonly rules: Int32Array;
  readonly field: number;
  readonly numbers: NumberIndex | undefined;
  readonly prefixes: PrefixIndex | undefined;
  readonly children: readonly RuleTree[];
  readonly rest: RuleTree | undefined;

  private constructor(rules: readonly RuleKeys[], division: Division | undefined) {
    this.first = rules[0]?.rule ?? -1;
    this.last = rules.at(-1)?.rule ?? -1;
    this.rules = division === undefined && rules.length > 1 ? Int32Array.from(rules, ({ rule }) => rule) : EMPTY;
    this.field = division?.field ?? NO_FIELD;
    this.numbers = division?.numbers;
    this.prefixes = division?.prefixes;
    this.children = division?.groups.map((group) => RuleTree.build(group, division.field)) ?? [];
    const rest = division?.rest ?? [];
    this.rest = rest.length === 0 ? undefined : RuleTree.build(rest, division?.field);
  }

  /** The index of these rules, in order of their numbers; of what they say about the field `done` nothing is left to be found out. */
  static build(rules: readonly RuleKeys[], done?: Field): RuleTree {
    const left = done === undefined ? rules : rules.map((keys) => without(keys, done));
    return new RuleTree(left, left.length <= LEAF ? undefined : divide(left));
  }

  /** The first rule from `from` on, and before `before`, that a packet fulfils; else `before`. */
  find(tester: RuleTester, from: number, before: number): number {
    const { first, last } = this;
    if (first >= before || last < from) return before;
    if (first === last) return tester.matches(first) ? first : before;
    if (this.field === NO_FIELD) return this.search(tester, from, before);
    let found = before;
    const { rest } = this;
    const restComesFirst = rest !== undefined && rest.first === first;
    if (restComesFirst) found = rest.find(tester, from, found);
    if (this.numbers !== undefined) {
      found = this.numbers.find(this, tester, from, found);
    } else if (this.prefixes !== undefined) {
      found = this.prefixes.find(this, tester, from, found);
    }
    return rest === undefined || restComesFirst ? found : rest.find(tester, from, found);
  }

  private search(tester: RuleTester, from: number, before: number): number {
    const { rules } = this;
    for (let i = firstAtLeast(rules, from); i < rules.length; i++) {
      const rule = rules[i] ?? 0;
      if (rule >= before) return before;
      if (tester.matches(rule)) return rule;
    }
    return before;
  }
}

/** Index of the first element that is at least `value`. */
function firstAtLeast(sorted: Int32Array, value: number): number {
  if ((sorted[0] ?? value) >= value) return 0;
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function without(keys: RuleKeys, field: Field): RuleKeys {
  const { rule } = keys;
  const drop = <T>(map: ReadonlyMap<Field, T>): ReadonlyMap<Field, T> => {
    if (!map.has(field)) return map;
    const left = new Map(map);
    left.delete(field);
    return left;
  };
  return { rule, numbers: drop(keys.numbers), prefixes: drop(keys.prefixes) };
}

/** Rules divided by one field. */
interface Division {
  readonly field: Field;
  readonly numbers?: NumberIndex;
  readonly prefixes?: PrefixIndex;
  readonly groups: readonly (readonly RuleKeys[])[];
  readonly rest: readonly RuleKeys[];
  /** How many rules a packet still has to do with, if it is like what the rules are about. */
  readonly cost: number;
}

/** The best division, if one is worth it. */
function divide(rules: readonly RuleKeys[]): Division | undefined {
  let best: Division | undefined;
  for (const field of fieldsOf(rules)) {
    const division = isAddress(field) ? divideByPrefix(rules, field) : divideByNumber(rules, field);
    if (best === undefined || division.cost < best.cost) best = division;
  }
  return best !== undefined && best.cost <= rules.length * WORTH ? best : undefined;
}

function isAddress(field: Field): boolean {
  return field === Field.Source || field === Field.Destination;
}

function fieldsOf(rules: readonly RuleKeys[]): ReadonlySet<Field> {
  const fields = new Set<Field>();
  for (const { numbers, prefixes } of rules) {
    for (const field of numbers.keys()) fields.add(field);
    for (const field of prefixes.keys()) fields.add(field);
  }
  return fields;
}

/** Cost of a division: what is left, and the average group, weighed by size, with all that lies around it. */
function costOf(rest: number, sizes: readonly number[], around: readonly number[]): number {
  let sum = 0;
  let all = 0;
  for (const [i, size] of sizes.entries()) {
    sum += size * (around[i] ?? 0);
    all += size;
  }
  return all === 0 ? Number.POSITIVE_INFINITY : rest + sum / all;
}

/** Finds the children whose number, or range, a value lies in. */
class NumberIndex {
  private readonly field: Field;
  private readonly exact: ReadonlyMap<number, number>;
  /** Where the intervals between the ends of ranges begin, and which ranges each lies in. */
  private readonly starts: Float64Array;
  private readonly lists: readonly Int32Array[];

  constructor(field: Field, exact: ReadonlyMap<number, number>, starts: Float64Array, lists: readonly Int32Array[]) {
    this.field = field;
    this.exact = exact;
    this.starts = starts;
    this.lists = lists;
  }

  find({ children }: RuleTree, tester: RuleTester, from: number, before: number): number {
    const value = tester.values[this.field] ?? 0;
    let found = before;
    const child = this.exact.get(value);
    if (child !== undefined) found = children[child]?.find(tester, from, found) ?? found;
    if (this.starts.length === 0) return found;
    const list = this.lists[intervalOf(this.starts, value)];
    if (list === undefined) return found;
    for (let i = 0; i < list.length; i++) found = children[list[i] ?? 0]?.find(tester, from, found) ?? found;
    return found;
  }
}

/** Index of the last start that is at most `value`, or -1. */
function intervalOf(starts: Float64Array, value: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((starts[middle] ?? 0) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Ranges may lie in so many intervals on the average; of those with more the widest count as wildcards. */
const MAX_INTERVALS = 8;

/** Rules that say the same of a field. */
interface Group<Key> {
  readonly key: Key;
  readonly rules: RuleKeys[];
}

function divideByNumber(rules: readonly RuleKeys[], field: Field): Division {
  const wide = widestOf(rules, field);
  const rest: RuleKeys[] = [];
  const exact = new Map<number, number>();
  const wider = new Map<string, number>();
  const groups: Group<NumberKey>[] = [];
  for (const rule of rules) {
    const keys = rule.numbers.get(field);
    if (keys === undefined || keys.some(([low, high]) => high - low >= wide)) {
      rest.push(rule);
      continue;
    }
    for (const key of keys) {
      const [low, high] = key;
      if (low === high) join(groups, exact, low, key, rule);
      else join(groups, wider, `${low}-${high}`, key, rule);
    }
  }
  const ranges = groups.flatMap(({ key }, child) => (key[0] === key[1] ? [] : [{ key, child }]));
  const starts = boundariesOf(ranges.map(({ key }) => key));
  const lists = starts.length === 0 ? [] : listsOf(starts, ranges);
  const sizes = groups.map((group) => group.rules.length);
  const weights = lists.map((list) => list.reduce((sum, child) => sum + (sizes[child] ?? 0), 0));
  const around = groups.map(({ key: [low, high] }, i) => {
    return (low === high ? (sizes[i] ?? 0) : 0) + (weights[intervalOf(starts, low)] ?? 0);
  });
  return {
    field,
    numbers: new NumberIndex(field, exact, starts, lists),
    groups: groups.map((group) => group.rules),
    rest,
    cost: costOf(rest.length, sizes, around),
  };
}

/** Puts a rule into the group of a key; once, even if it says it twice. */
function join<K, Key>(groups: Group<Key>[], places: Map<K, number>, place: K, key: Key, rule: RuleKeys): void {
  const known = places.get(place);
  if (known === undefined) places.set(place, groups.push({ key, rules: [rule] }) - 1);
  else add(groups[known], rule);
}

function add(group: Group<unknown> | undefined, rule: RuleKeys): void {
  if (group !== undefined && group.rules.at(-1) !== rule) group.rules.push(rule);
}

/** Where intervals begin, sorted. */
function boundariesOf(ranges: readonly NumberKey[]): Float64Array {
  const starts = new Set<number>();
  for (const [low, high] of ranges) {
    starts.add(low);
    starts.add(high + 1);
  }
  return Float64Array.from(starts).sort();
}

function listsOf(
  starts: Float64Array,
  ranges: readonly { readonly key: NumberKey; readonly child: number }[],
): Int32Array[] {
  const lists: number[][] = Array.from(starts, () => []);
  for (const { key, child } of ranges) {
    const end = intervalOf(starts, key[1]);
    for (let i = intervalOf(starts, key[0]); i <= end; i++) lists[i]?.push(child);
  }
  return lists.map((list) => Int32Array.from(list));
}

/** Ranges from this width on would lie in too many intervals; `Infinity` if none does. */
function widestOf(rules: readonly RuleKeys[], field: Field): number {
  const keys = rules.flatMap((rule) => (rule.numbers.get(field) ?? []).filter(([low, high]) => low < high));
  if (keys.length === 0) return Number.POSITIVE_INFINITY;
  const starts = boundariesOf(keys);
  const distinct = [...new Map(keys.map((key) => [`${key[0]}-${key[1]}`, key])).values()];
  const budget = MAX_INTERVALS * distinct.length;
  let taken = 0;
  for (const [low, high] of distinct.toSorted((a, b) => a[1] - a[0] - (b[1] - b[0]))) {
    taken += intervalOf(starts, high) - intervalOf(starts, low) + 1;
    if (taken > budget) return high - low;
  }
  return Number.POSITIVE_INFINITY;
}

/** Finds the children whose prefix an address lies in. */
class PrefixIndex {
  private readonly field: Field;
  private readonly maps: Readonly<Record<IpVersion, PrefixMap>>;
  /** For each child the one of the next shorter prefix around its own, or -1. */
  private readonly parents: Int32Array;

  constructor(field: Field, maps: Readonly<Record<IpVersion, PrefixMap>>, parents: Int32Array) {
    this.field = field;
    this.maps = maps;
    this.parents = parents;
  }

  find({ children }: RuleTree, tester: RuleTester, from: number, before: number): number {
    const { values } = tester;
    const at = this.field;
    const map = values[Field.Version] === 4 ? this.maps[4] : this.maps[6];
    let found = before;
    let child = map.lookup(values[at] ?? 0, values[at + 1] ?? 0, values[at + 2] ?? 0, values[at + 3] ?? 0);
    while (child >= 0) {
      found = children[child]?.find(tester, from, found) ?? found;
      child = this.parents[child] ?? -1;
    }
    return found;
  }
}

function divideByPrefix(rules: readonly RuleKeys[], field: Field): Division {
  const rest: RuleKeys[] = [];
  const groups: Group<PrefixKey>[] = [];
  const maps = { 4: new PrefixMap(4), 6: new PrefixMap(6) };
  for (const rule of rules) {
    const keys = rule.prefixes.get(field);
    if (keys === undefined) rest.push(rule);
    for (const key of keys ?? []) {
      const { version, words, length } = key;
      const known = maps[version].get(...words, length);
      if (known < 0) maps[version].set(...words, length, groups.push({ key, rules: [rule] }) - 1);
      else add(groups[known], rule);
    }
  }
  const parents = parentsOf(groups);
  const sizes = groups.map((group) => group.rules.length);
  const around = sizes.map((_, i) => {
    let sum = 0;
    for (let child = i; child >= 0; child = parents[child] ?? -1) sum += sizes[child] ?? 0;
    return sum;
  });
  return {
    field,
    prefixes: new PrefixIndex(field, maps, parents),
    groups: groups.map((group) => group.rules),
    rest,
    cost: costOf(rest.length, sizes, around),
  };
}

/** For each group the one of the next shorter prefix around its own, or -1. */
function parentsOf(groups: readonly Group<PrefixKey>[]): Int32Array {
  const parents = new Int32Array(groups.length);
  const shorter = { 4: new PrefixMap(4), 6: new PrefixMap(6) };
  const order = groups.map((_, i) => i).sort((a, b) => (groups[a]?.key.length ?? 0) - (groups[b]?.key.length ?? 0));
  for (const i of order) {
    const key = groups[i]?.key;
    if (key === undefined) continue;
    const { version, words, length } = key;
    parents[i] = shorter[version].lookup(...words);
    shorter[version].set(...words, length, i);
  }
  return parents;
}
