/** Arguments and results of system calls: numbers, words, strings, lists and structures. */

import type { Token } from '../../../lib/text/notation-lexer.js';
import type { ScriptCursor } from './cursor.js';

/** One argument. */
export type Expression =
  | { readonly kind: 'any' }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'word'; readonly name: string; readonly token: Token }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'address'; readonly value: string }
  | { readonly kind: 'or'; readonly parts: readonly Expression[] }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: 'list'; readonly items: readonly Expression[] }
  | {
      readonly kind: 'struct';
      readonly fields: ReadonlyMap<string, Expression>;
      readonly items: readonly Expression[];
    };

// Deeper nesting is nobody's intention; without a bound a hostile script exhausts the stack.
const DEEPEST = 32;

/** Parses one expression. @throws ScriptError */
export function parseExpression(cursor: ScriptCursor, depth = 0): Expression {
  if (depth > DEEPEST) throw cursor.error('nested too deep');
  const first = parseTerm(cursor, depth);
  if (!cursor.at('|')) return first;
  const parts = [first];
  while (cursor.accept('|')) parts.push(parseTerm(cursor, depth));
  return { kind: 'or', parts };
}

function parseTerm(cursor: ScriptCursor, depth: number): Expression {
  const token = cursor.peek();
  switch (token.kind) {
    case 'ellipsis':
      cursor.take();
      return { kind: 'any' };
    case 'integer':
    case 'hex':
    case 'float':
      cursor.take();
      return { kind: 'number', value: Number(token.text) };
    case 'string':
      cursor.take();
      return { kind: 'string', value: token.text };
    case 'ipv4':
    case 'ipv6':
      cursor.take();
      return { kind: 'address', value: token.text };
    case 'word':
      return parseWord(cursor, depth);
    default:
  }
  if (cursor.accept('[')) return { kind: 'list', items: parseItems(cursor, ']', depth) };
  if (cursor.accept('{')) return parseStruct(cursor, depth);
  if (cursor.accept('(')) {
    const inner = parseExpression(cursor, depth + 1);
    cursor.expect(')');
    return inner;
  }
  throw cursor.error('expected a value');
}

function parseWord(cursor: ScriptCursor, depth: number): Expression {
  const token = cursor.take();
  if (!cursor.accept('(')) return { kind: 'word', name: token.text, token };
  return { kind: 'call', name: token.text, args: parseItems(cursor, ')', depth) };
}

/** Expressions, separated by commas, up to and including `close`. */
export function parseItems(cursor: ScriptCursor, close: string, depth = 0): Expression[] {
  const items: Expression[] = [];
  if (cursor.accept(close)) return items;
  do items.push(parseExpression(cursor, depth + 1));
  while (cursor.accept(','));
  cursor.expect(close);
  return items;
}

/** `{onoff=1, linger=0}`, `{..., 1000}`, `{msg_name(...)=..., msg_iov(1)=[...]}`. */
function parseStruct(cursor: ScriptCursor, depth: number): Expression {
  const fields = new Map<string, Expression>();
  const items: Expression[] = [];
  while (!cursor.accept('}')) {
    if (fields.size + items.length > 0) cursor.expect(',');
    const value = parseExpression(cursor, depth + 1);
    const named = value.kind === 'word' || value.kind === 'call';
    if (named && cursor.accept('=')) fields.set(value.name, parseExpression(cursor, depth + 1));
    else items.push(value);
  }
  return { kind: 'struct', fields, items };
}
