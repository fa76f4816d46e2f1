/**
 * Conditions as a row of numbers, and the loop that goes through it: no closures, no calls that depend on the kind of condition, and nothing
 * made per packet.
 */

import type { Cidr } from '../core/address.js';
import { PrefixSet } from '../core/prefix-set.js';
import { ABSENT, type Facts, Field } from './facts.js';
import type { PrefixKey } from './rule-tree.js';

/** Kinds of conditions. Each is followed by the field, by 1 if it is negated, and by its operands. */
const Op = {
  /** From, to. */
  Range: 0,
  /** Number of a table of ranges. */
  Ranges: 1,
  /** Mask, value. */
  Bits: 2,
  /** Version, four words, four masks. */
  Prefix: 3,
  /** Number of a set of prefixes. */
  Prefixes: 4,
  /** Number of a condition on names. */
  Device: 5,
} as const;

const OPERANDS = [2, 1, 2, 9, 1, 1] as const;
const HEAD = 3;

/** Writes conditions one behind the other. */
export class ConditionWriter {
  readonly code: number[] = [];
  readonly tables: Float64Array[] = [];
  readonly sets: PrefixSet[] = [];

  /** The number is in one of the ranges. */
  ranges(field: Field, ranges: readonly (readonly [number, number])[], not: boolean): void {
    const [first] = ranges;
    if (first !== undefined && ranges.length === 1) {
      this.code.push(Op.Range, field, Number(not), ...first);
      return;
    }
    this.table(field, this.addTable(ranges), not);
  }

  /** The number is in one of the ranges of a table. */
  table(field: Field, table: number, not: boolean): void {
    this.code.push(Op.Ranges, field, Number(not), table);
  }

  /** Makes a table of ranges, and returns its number. */
  addTable(ranges: readonly (readonly [number, number])[]): number {
    const merged: [number, number][] = [];
    for (const [low, high] of ranges.toSorted((a, b) => a[0] - b[0])) {
      const last = merged.at(-1);
      if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high);
      else merged.push([low, high]);
    }
    return this.tables.push(Float64Array.from(merged.flat())) - 1;
  }

  bits(field: Field, mask: number, value: number, not: boolean): void {
    this.code.push(Op.Bits, field, Number(not), mask | 0, value | 0);
  }

  /** The address is in one of the prefixes. */
  prefixes(field: Field, prefixes: readonly Cidr[], not: boolean): void {
    const [first] = prefixes;
    if (first === undefined || prefixes.length > 1) {
      this.set(field, this.addSet(prefixes), not);
      return;
    }
    const { version, length } = first;
    const { words } = keyOf(first);
    const masks = [0, 1, 2, 3].map((word) => maskOf(length + (version === 4 ? MAPPED : 0) - word * WORD));
    const masked = words.map((word, i) => word & (masks[i] ?? 0));
    this.code.push(Op.Prefix, field, Number(not), version, ...masked, ...masks);
  }

  /** The address is in a prefix of a set. */
  set(field: Field, set: number, not: boolean): void {
    this.code.push(Op.Prefixes, field, Number(not), set);
  }

  /** Makes a set of prefixes, and returns its number. */
  addSet(prefixes: readonly Cidr[]): number {
    return this.sets.push(PrefixSet.of(prefixes)) - 1;
  }

  /** The device, in or out, fulfils a condition on its name. */
  device(field: Field, condition: number, not: boolean): void {
    this.code.push(Op.Device, field, Number(not), condition);
  }
}

const MAPPED = 96;
const WORD = 32;

/** A prefix as the signed words of its address, and its length. */
export function keyOf({ address, length, version }: Cidr): PrefixKey {
  const words = [0, 1, 2, 3].map((word) => address.word(word as 0 | 1 | 2 | 3) | 0);
  return { version, words: words as [number, number, number, number], length };
}

function maskOf(bits: number): number {
  return bits <= 0 ? 0 : bits >= WORD ? -1 : -1 << (WORD - bits);
}

/** Conditions that are done writing. */
export class Conditions {
  private readonly code: Float64Array;
  private readonly tables: readonly Float64Array[];
  private readonly sets: readonly PrefixSet[];
  private readonly facts: Facts;

  constructor(writer: ConditionWriter, facts: Facts) {
    this.code = Float64Array.from(writer.code);
    this.tables = writer.tables;
    this.sets = writer.sets;
    this.facts = facts;
  }

  /** Whether the packet that the facts are about fulfils all conditions from `from` to `to`. */
  hold(from: number, to: number): boolean {
    const { code, facts } = this;
    const { values } = facts;
    for (let at = from; at < to; ) {
      const op = (code[at] ?? 0) | 0;
      const field = (code[at + 1] ?? 0) | 0;
      const value = values[field] ?? ABSENT;
      const operand = at + HEAD;
      let holds = false;
      if (op === Op.Range) {
        if (value === ABSENT) return false;
        holds = value >= (code[operand] ?? 0) && value <= (code[operand + 1] ?? 0);
      } else if (op === Op.Prefix) holds = this.inPrefix(field, operand);
      else if (op === Op.Prefixes) holds = this.inPrefixes(field, (code[operand] ?? 0) | 0);
      else {
        if (value === ABSENT) return false;
        if (op === Op.Bits) holds = (value & (code[operand] ?? 0)) === (code[operand + 1] ?? 0);
        else if (op === Op.Ranges) holds = isIn(this.tables[(code[operand] ?? 0) | 0], value);
        else holds = this.isDevice(field, (code[operand] ?? 0) | 0);
      }
      if (holds === (code[at + 2] === 1)) return false;
      at = operand + (OPERANDS[op] ?? 0);
    }
    return true;
  }

  private inPrefix(field: number, operand: number): boolean {
    const { code } = this;
    const { values } = this.facts;
    if (values[Field.Version] !== code[operand]) return false;
    for (let i = 3; i >= 0; i--) {
      if (((values[field + i] ?? 0) & (code[operand + 5 + i] ?? 0)) !== (code[operand + 1 + i] ?? 0)) return false;
    }
    return true;
  }

  private inPrefixes(field: number, number: number): boolean {
    const { values } = this.facts;
    const set = this.sets[number];
    if (set === undefined) return false;
    const version = values[Field.Version] === 4 ? 4 : 6;
    return set.has(version, values[field] ?? 0, values[field + 1] ?? 0, values[field + 2] ?? 0, values[field + 3] ?? 0);
  }

  private isDevice(field: number, condition: number): boolean {
    const device = field === Field.InInterface ? this.facts.inDevice : this.facts.outDevice;
    return device?.fulfils[condition] === 1;
  }
}

/** Whether a value is in one of the sorted ranges of a table. */
function isIn(table: Float64Array | undefined, value: number): boolean {
  if (table === undefined) return false;
  let low = 0;
  let high = table.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((table[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  // At the end of a range, or within: the ends have the odd places.
  return low < table.length && ((low & 1) === 1 || table[low] === value);
}
