/** The code of scripts: assertions in a subset of Python about what the kernel says of a connection. */

import type { Place } from './script.js';

/** An expression. */
export type Code =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'unary'; readonly operator: string; readonly of: Code }
  | { readonly kind: 'binary'; readonly operator: string; readonly left: Code; readonly right: Code }
  | { readonly kind: 'compare'; readonly operators: readonly string[]; readonly terms: readonly Code[] }
  | { readonly kind: 'choice'; readonly test: Code; readonly chosen: Code; readonly otherwise: Code }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Code[] }
  | { readonly kind: 'tuple'; readonly items: readonly Code[] };

/** A value; a tuple or a list is what it has in it. */
export type Value = number | string | boolean | undefined | readonly Value[];

/** A statement that was passed over. */
export interface Statement {
  readonly place: Place;
  readonly text: string;
}

/** `assert EXPRESSION`; a message is not kept. */
export interface Assertion extends Statement {
  readonly test: Code;
}

/** What stands between `%{` and `}%`. */
export interface CodeBlock {
  readonly assertions: readonly Assertion[];
  /** What else there is, and may matter. */
  readonly others: readonly Statement[];
}

/** What a name stands for; `undefined` where the stack does not know. */
export type Names = (name: string) => number | string | undefined;

/** The outcome of an assertion. */
export type Verdict = { readonly held: boolean; readonly seen: string } | { readonly unknown: string };

class Unknown extends Error {
  readonly what: string;
  constructor(what: string) {
    super(what);
    this.what = what;
  }
}

/** Whether an assertion holds; `unknown` names what the stack cannot tell. */
export function judge({ test }: Assertion, names: Names): Verdict {
  const seen: string[] = [];
  const look: Names = (name) => {
    const value = names(name);
    if (value !== undefined && /^[a-z]/.test(name)) seen.push(`${name} = ${value}`);
    return value;
  };
  try {
    return { held: truth(evaluate(test, look)), seen: [...new Set(seen)].join(', ') };
  } catch (error) {
    if (error instanceof Unknown) return { unknown: error.what };
    throw error;
  }
}

function truth(value: Value): boolean {
  if (typeof value === 'object') return value.length > 0;
  return value !== undefined && value !== 0 && value !== '' && value !== false;
}

function evaluate(code: Code, names: Names): Value {
  switch (code.kind) {
    case 'value':
      return code.value;
    case 'name':
      return known(names(code.name), code.name);
    case 'unary':
      return unary(code.operator, evaluate(code.of, names));
    case 'binary':
      return binary(code.operator, code.left, code.right, names);
    case 'compare':
      return compare(code.operators, code.terms, names);
    case 'choice':
      return evaluate(truth(evaluate(code.test, names)) ? code.chosen : code.otherwise, names);
    case 'call':
      return call(code.name, code.args, names);
    case 'tuple':
      return code.items.map((item) => evaluate(item, names));
  }
}

/** A value to compute with. */
function number(value: Value): number {
  if (typeof value === 'object') throw new Unknown('what a tuple is as a number');
  return Number(value);
}

function known(value: Value, what: string): Value {
  if (value === undefined) throw new Unknown(what);
  return value;
}

function unary(operator: string, value: Value): Value {
  if (operator === 'not') return !truth(value);
  if (operator === '~') return ~number(value);
  return operator === '-' ? -number(value) : number(value);
}

function binary(operator: string, left: Code, right: Code, names: Names): Value {
  const a = evaluate(left, names);
  if (operator === 'and') return truth(a) ? evaluate(right, names) : a;
  if (operator === 'or') return truth(a) ? a : evaluate(right, names);
  const b = evaluate(right, names);
  if (operator === '+' && typeof a === 'string' && typeof b === 'string') return a + b;
  return arithmetic(operator, number(a), number(b));
}

function arithmetic(operator: string, a: number, b: number): number {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '//':
      return Math.floor(a / b);
    case '%':
      return a - b * Math.floor(a / b);
    case '&':
      return Number(BigInt.asIntN(64, BigInt(Math.trunc(a)) & BigInt(Math.trunc(b))));
    case '^':
      return Number(BigInt.asIntN(64, BigInt(Math.trunc(a)) ^ BigInt(Math.trunc(b))));
    case '|':
      return Number(BigInt.asIntN(64, BigInt(Math.trunc(a)) | BigInt(Math.trunc(b))));
    case '<<':
      return a * 2 ** b;
    case '>>':
      return Math.floor(a / 2 ** b);
    default:
      return Number.NaN;
  }
}

function compare(operators: readonly string[], terms: readonly Code[], names: Names): boolean {
  const [first, ...rest] = terms;
  let left = first === undefined ? undefined : evaluate(first, names);
  return rest.every((term, i) => {
    const right = evaluate(term, names);
    const holds = relation(operators[i] ?? '', left, right);
    left = right;
    return holds;
  });
}

function relation(operator: string, left: Value, right: Value): boolean {
  switch (operator) {
    case '==':
      return isSame(left, right);
    case '!=':
      return !isSame(left, right);
    case 'in':
      return contains(right, left);
    case 'not in':
      return !contains(right, left);
    case '<':
      return isLess(left, right);
    case '<=':
      return isLess(left, right) || isSame(left, right);
    case '>':
      return isLess(right, left);
    default:
      return isLess(right, left) || isSame(left, right);
  }
}

/** Tuples are the same that have the same in them. */
function isSame(left: Value, right: Value): boolean {
  if (typeof left === 'object' && typeof right === 'object') {
    return left.length === right.length && left.every((item, i) => isSame(item, right[i]));
  }
  return plain(left) === plain(right);
}

/** Whether a tuple has a value, or a text a part. */
function contains(whole: Value, part: Value): boolean {
  if (typeof whole === 'object') return whole.some((item) => isSame(item, part));
  if (typeof whole !== 'string' || typeof part !== 'string') throw new Unknown('what is in a value');
  return whole.includes(part);
}

function isLess(left: Value, right: Value): boolean {
  const [a, b] = [plain(left), plain(right)];
  if (typeof a === 'number' && typeof b === 'number') return a < b;
  if (typeof a === 'string' && typeof b === 'string') return a < b;
  throw new Unknown('which of the values is less');
}

/** Truth values are numbers, too. */
function plain(value: Value): Value {
  return typeof value === 'boolean' ? Number(value) : value;
}

const FUNCTIONS: Readonly<Record<string, (...args: number[]) => number>> = {
  abs: Math.abs,
  min: Math.min,
  max: Math.max,
  int: Math.trunc,
  float: Number,
  round: Math.round,
};

function call(name: string, args: readonly Code[], names: Names): Value {
  const run = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
  if (run === undefined) throw new Unknown(`${name}()`);
  return run(...args.map((arg) => number(evaluate(arg, names))));
}
