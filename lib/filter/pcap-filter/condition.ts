/** Conditions over bytes: what a filter comes down to for one kind of link. Between the syntax tree and the decision. */

import type { BinaryOperator } from './ast.js';

/** Where a number comes from; of what is read from the packet, how many bytes it has. */
export const Source = { Computed: -1, Length: 0, Byte: 1, Half: 2, Word: 4 } as const;
export type Source = (typeof Source)[keyof typeof Source];

export const Compare = { Equal: 0, Above: 1, AtLeast: 2 } as const;
export type Compare = (typeof Compare)[keyof typeof Compare];

/** A number of a packet under a mask, compared with a constant. Mask and constant are signed 32-bit numbers, compared as unsigned. */
export interface Test {
  readonly kind: 'test';
  readonly source: Source;
  /** Offset from the packet's first byte; counted from the end of the IPv4 header at `base` if that is not negative. */
  readonly at: number;
  readonly base: number;
  readonly mask: number;
  readonly compare: Compare;
  readonly value: number;
  /** For `Source.Computed`. */
  readonly left?: Value;
  readonly right?: Value;
}

/** A condition: tests under operators, evaluated from left to right, no further than needed. */
export type Condition =
  | Test
  | { readonly kind: 'always'; readonly value: boolean }
  | { readonly kind: 'and' | 'or'; readonly operands: readonly Condition[] }
  | { readonly kind: 'not'; readonly operand: Condition };

/** A number to be computed, of unsigned 32 bits. */
export type Value =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'length' }
  /** `size` bytes at `index` + `at`, and behind the IPv4 header at `base` if that is not negative. */
  | {
      readonly kind: 'load';
      readonly size: 1 | 2 | 4;
      readonly index: Value;
      readonly at: number;
      readonly base: number;
    }
  | { readonly kind: 'binary'; readonly operator: BinaryOperator; readonly left: Value; readonly right: Value };

export const ALWAYS: Condition = { kind: 'always', value: true };
export const NEVER: Condition = { kind: 'always', value: false };

export function all(...operands: readonly Condition[]): Condition {
  return { kind: 'and', operands };
}
export function any(...operands: readonly Condition[]): Condition {
  return { kind: 'or', operands };
}
export function not(operand: Condition): Condition {
  return { kind: 'not', operand };
}

const ALL_BITS = -1;
/** No header of variable length is in front. */
const FIXED = -1;

/** A test of bytes at a fixed place, and of all of their bits. */
export function test(source: Source, at: number, value: number, mask: number = ALL_BITS): Test {
  return { kind: 'test', source, at, base: FIXED, mask: mask | 0, compare: Compare.Equal, value: value | 0 };
}

/** The test of those bits that are in `mask`: where there are none, nothing is looked at. */
export function masked(source: Source, at: number, value: number, mask: number): Condition {
  return mask === 0 ? ALWAYS : test(source, at, value, mask);
}

/** The value of an operation on unsigned 32-bit numbers; `undefined` for a division by zero. */
export function compute(operator: BinaryOperator, left: number, right: number): number | undefined {
  switch (operator) {
    case '+':
      return (left + right) >>> 0;
    case '-':
      return (left - right) >>> 0;
    case '*':
      return Math.imul(left, right) >>> 0;
    case '/':
      return right === 0 ? undefined : Math.floor(left / right);
    case '%':
      return right === 0 ? undefined : left % right;
    case '&':
      return (left & right) >>> 0;
    case '|':
      return (left | right) >>> 0;
    case '^':
      return (left ^ right) >>> 0;
    case '<<':
      return right > 31 ? 0 : (left << right) >>> 0;
    case '>>':
      return right > 31 ? 0 : left >>> right;
  }
}

/** Compares unsigned numbers. */
export function holds(compare: Compare, left: number, right: number): boolean {
  if (compare === Compare.Equal) return left === right;
  return compare === Compare.Above ? left > right : left >= right;
}
