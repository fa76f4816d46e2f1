/** What comparisons mean in bytes: the header that is accessed must be there, else the comparison is false. */

import type { Arithmetic, CompareNode, Relation } from './ast.js';
import {
  all,
  ALWAYS,
  Compare,
  compute,
  type Condition,
  holds,
  NEVER,
  not,
  Source,
  type Test,
  type Value,
} from './condition.js';
import type { Layout } from './layout.js';

/** How each relation is one of the three comparisons, perhaps the opposite of it. */
const RELATIONS: Readonly<Record<Relation, readonly [compare: Compare, isOpposite: boolean]>> = {
  '=': [Compare.Equal, false],
  '!=': [Compare.Equal, true],
  '>': [Compare.Above, false],
  '<=': [Compare.Above, true],
  '>=': [Compare.AtLeast, false],
  '<': [Compare.AtLeast, true],
};

/** A value, and what must hold for it to have one. */
interface Lowered {
  readonly value: Value;
  readonly guards: readonly Condition[];
}

/** The condition of a comparison. */
export function lowerCompare({ relation, left, right }: CompareNode, layout: Layout): Condition {
  const one = lowerValue(left, layout);
  const other = lowerValue(right, layout);
  const [compare, isOpposite] = RELATIONS[relation];
  const test = testOf(one.value, other.value, compare);
  return all(...one.guards, ...other.guards, isOpposite ? not(test) : test);
}

function testOf(left: Value, right: Value, compare: Compare): Condition {
  if (right.kind === 'constant') {
    if (left.kind === 'constant') return holds(compare, left.value, right.value) ? ALWAYS : NEVER;
    const simple = simpleTest(left, compare, right.value | 0);
    if (simple !== undefined) return simple;
  }
  return { kind: 'test', source: Source.Computed, at: 0, base: -1, mask: -1, compare, value: 0, left, right };
}

/** The test of a single load or of the length, perhaps under a mask; `undefined` for what must be computed. */
function simpleTest(value: Value, compare: Compare, constant: number): Test | undefined {
  if (value.kind === 'binary' && value.operator === '&' && value.right.kind === 'constant') {
    const inner = simpleTest(value.left, compare, constant);
    return inner === undefined ? undefined : { ...inner, mask: inner.mask & value.right.value };
  }
  const rest = { kind: 'test', mask: -1, compare, value: constant } as const;
  if (value.kind === 'length') return { ...rest, source: Source.Length, at: 0, base: -1 };
  if (value.kind !== 'load' || value.index.kind !== 'constant') return undefined;
  const at = value.at + value.index.value;
  // An index that is meant as a negative one is beyond any packet.
  if (at > 0x7fff_ffff) return undefined;
  return { ...rest, source: value.size, at, base: value.base };
}

function lowerValue(node: Arithmetic, layout: Layout): Lowered {
  switch (node.kind) {
    case 'number':
      return { value: { kind: 'constant', value: node.value }, guards: [] };
    case 'length':
      return { value: node, guards: [] };
    case 'negate':
      return lowerValue(
        { kind: 'binary', operator: '-', left: { kind: 'number', value: 0 }, right: node.operand },
        layout,
      );
    case 'load': {
      const index = lowerValue(node.offset, layout);
      const { guard, at, base } = layout.place(node.protocol);
      return {
        value: { kind: 'load', size: node.size, index: index.value, at, base },
        guards: [...index.guards, guard],
      };
    }
    case 'binary': {
      const left = lowerValue(node.left, layout);
      const right = lowerValue(node.right, layout);
      const guards = [...left.guards, ...right.guards];
      const known = folded(node.operator, left.value, right.value);
      return {
        value: known ?? { kind: 'binary', operator: node.operator, left: left.value, right: right.value },
        guards,
      };
    }
  }
}

function folded(operator: Parameters<typeof compute>[0], left: Value, right: Value): Value | undefined {
  if (left.kind !== 'constant' || right.kind !== 'constant') return undefined;
  const value = compute(operator, left.value, right.value);
  return value === undefined ? undefined : { kind: 'constant', value };
}
