/** Arithmetic of the filter language: numbers, the packet's length, bytes of headers, and C's operators with C's precedence. */

import type { Arithmetic, BinaryOperator, CompareNode, Relation } from './ast.js';
import { type Cursor, PcapFilterError, type Token } from './lexer.js';
import { CONSTANTS, LINK_KEYWORDS, PROTOCOL_KEYWORDS } from './names.js';
import { numberOf } from './numbers.js';

const RELATIONS: ReadonlyMap<string, Relation> = new Map([
  ['=', '='],
  ['==', '='],
  ['!=', '!='],
  ['<', '<'],
  ['<=', '<='],
  ['>', '>'],
  ['>=', '>='],
] satisfies [string, Relation][]);

/** Loosest first. */
const PRECEDENCE: readonly (readonly BinaryOperator[])[] = [
  ['|'],
  ['^'],
  ['&'],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '%'],
];
const RELATION_SIGNS = [...RELATIONS.keys()];
const SIGNS: readonly string[] = [...RELATION_SIGNS, ...PRECEDENCE.flat()];
/** Deeper nests of brackets are refused, so that no text can exhaust the stack. */
export const DEEPEST = 500;

/** Protocols whose header cannot be reached by an offset, although they are keywords. */
const WITHOUT_ACCESS: readonly string[] = ['aarp', 'stp', 'ipx', 'netbeui', 'iso', 'sca', 'ah', 'esp'];

/** Whether a comparison of numbers begins at the cursor, rather than a list of addresses or a condition. */
export function startsComparison(cursor: Cursor): boolean {
  const { kind, text } = cursor.peek();
  if (kind === 'number') return cursor.is(SIGNS, 1);
  if (kind === 'punctuation') return text === '-' || (text === '(' && cursor.is(SIGNS, cursor.closing() + 1));
  if (kind !== 'word') return false;
  if (text === 'len' || text === 'length' || CONSTANTS.has(text)) return true;
  return isProtocol(text) && cursor.is(['['], 1);
}

function isProtocol(text: string): boolean {
  return PROTOCOL_KEYWORDS.has(text) || LINK_KEYWORDS.includes(text);
}

/** Reads `left relation right`. @throws PcapFilterError */
export function parseComparison(cursor: Cursor): CompareNode {
  const parser = new ArithmeticParser(cursor);
  const left = parser.parse();
  const relation = RELATIONS.get(cursor.peek().text);
  if (relation === undefined || !cursor.is(RELATION_SIGNS))
    throw cursor.unexpected('an operator or a relation such as =');
  cursor.next();
  return { kind: 'compare', relation, left, right: parser.parse() };
}

class ArithmeticParser {
  private readonly cursor: Cursor;
  private depth = 0;

  constructor(cursor: Cursor) {
    this.cursor = cursor;
  }

  parse(level = 0): Arithmetic {
    const operators = PRECEDENCE[level];
    if (operators === undefined) return this.nested(() => this.operand());
    let left = this.parse(level + 1);
    while (this.cursor.is(operators)) {
      const token = this.cursor.next();
      const right = this.parse(level + 1);
      left = binary(operators.find((one) => one === token.text) ?? '+', left, right, token);
    }
    return left;
  }

  private nested(parse: () => Arithmetic): Arithmetic {
    if (++this.depth > DEEPEST) throw new PcapFilterError('nested too deeply', this.cursor.peek().column);
    const node = parse();
    this.depth--;
    return node;
  }

  private operand(): Arithmetic {
    const { cursor } = this;
    if (cursor.take('-')) return { kind: 'negate', operand: this.nested(() => this.operand()) };
    if (cursor.take('(')) {
      const node = this.parse();
      cursor.expect(')');
      return node;
    }
    const token = cursor.peek();
    if (token.kind === 'number') return { kind: 'number', value: numberOf(cursor.next()) };
    if (cursor.take('len', 'length')) return { kind: 'length' };
    const constant = token.kind === 'word' ? CONSTANTS.get(token.text) : undefined;
    if (constant !== undefined) {
      cursor.next();
      return { kind: 'number', value: constant };
    }
    if (token.kind === 'word' && isProtocol(token.text)) return this.load(cursor.next());
    throw cursor.unexpected('a number, len, or bytes of a header such as tcp[13]');
  }

  private load({ text, column }: Token): Arithmetic {
    const { cursor } = this;
    if (WITHOUT_ACCESS.includes(text)) throw new PcapFilterError(`the bytes of ${text} cannot be accessed`, column);
    cursor.expect('[');
    const offset = this.parse();
    const size = cursor.take(':') ? this.size() : 1;
    cursor.expect(']');
    return { kind: 'load', protocol: LINK_KEYWORDS.includes(text) ? 'ether' : text, offset, size };
  }

  private size(): 1 | 2 | 4 {
    const token = this.cursor.peek();
    const size = token.kind === 'number' ? numberOf(token) : 0;
    if (size !== 1 && size !== 2 && size !== 4) throw this.cursor.unexpected('a size of 1, 2 or 4 bytes');
    this.cursor.next();
    return size;
  }
}

function binary(operator: BinaryOperator, left: Arithmetic, right: Arithmetic, { column }: Token): Arithmetic {
  if (right.kind === 'number') {
    if ((operator === '/' || operator === '%') && right.value === 0)
      throw new PcapFilterError('division by zero', column);
    if ((operator === '<<' || operator === '>>') && right.value > 31) {
      throw new PcapFilterError('shift by more than 31 bits', column);
    }
  }
  return { kind: 'binary', operator, left, right };
}
