/** What is wrong with rules: which rule, and where in it. */

import { UsageError } from '../core/errors.js';

/** A place in a text, counted from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Why rules are refused. Stable, as codes of errors are. */
export type RuleProblem =
  /** The text is not one of rules. */
  | 'syntax'
  /** Rules that this firewall cannot do, though they may be right elsewhere. */
  | 'unsupported'
  /** A value that its field cannot have. */
  | 'value'
  /** A jump to a chain that there is not, or to a base chain. */
  | 'unknown-chain'
  /** Chains that lead back to themselves. */
  | 'cycle'
  /** Too many jumps, one from the other. */
  | 'depth'
  /** A set that there is not, or of a type that does not go with the field. */
  | 'unknown-set'
  /** A predicate that is known neither here nor in the options. */
  | 'unknown-predicate'
  /** Two chains, or sets, of one name. */
  | 'duplicate'
  /** Parts that contradict each other, or that are never come to. */
  | 'conflict'
  /** It is not said which of several base chains is meant, or there is none. */
  | 'base-chain'
  /** An action that needs what the options do not give. */
  | 'missing-option';

/** Rules that cannot be taken: the message says `rule: line:column: what`. */
export class RuleError extends UsageError {
  readonly problem: RuleProblem;
  /** The rule that is meant, such as `input #3`, or the chain or set; empty where the text as a whole is. */
  readonly rule: string;
  /** In the text, or, of rules that were built, in the rule as `printRule` writes it. */
  readonly line: number;
  readonly column: number;

  constructor(problem: RuleProblem, message: string, rule: string, { line, column }: Place) {
    super('ERR_BAD_RULE', `${rule === '' ? '' : `${rule}: `}${line}:${column}: ${message}`);
    this.name = 'RuleError';
    this.problem = problem;
    this.rule = rule;
    this.line = line;
    this.column = column;
  }
}

const PLACES = new WeakMap<object, Place>();

/** Remembers where in its text a part, chain or set stands; it is no part of the model. */
export function placed<T extends object>(thing: T, place: Place): T {
  PLACES.set(thing, place);
  return thing;
}

/** Where in its text something stands, if it comes from one. */
export function placeOf(thing: object): Place | undefined {
  return PLACES.get(thing);
}
