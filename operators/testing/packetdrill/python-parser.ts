/**
 * Parses the code of scripts: `assert EXPRESSION [, MESSAGE]`, one a line or separated by `;`. Other statements assert nothing of their own:
 * they are passed over, with what is indented below them, and told as skipped if they could decide what is asserted.
 */

import type { Token } from '../../../lib/text/notation-lexer.js';
import type { Assertion, Code, CodeBlock, Statement } from './python.js';
import type { Place } from './script.js';
import { ScriptError } from './script-error.js';

interface PyToken extends Place {
  readonly kind: 'number' | 'string' | 'name' | 'operator' | 'newline' | 'end';
  readonly text: string;
  readonly at: number;
}

const RULES: readonly (readonly [PyToken['kind'], RegExp])[] = [
  ['number', /0x[0-9a-f]+|\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+/iy],
  ['string', /[bfru]{0,2}(?:"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')/iy],
  ['name', /[a-z_]\w*(?:\.[a-z_]\w*)*/iy],
  ['operator', /\*\*|\/\/|<<|>>|[=!<>]=|[-+*/%&|^~()<>,;:=.@{}[\]]/y],
];
const BLANKS = /(?:[ \t\r]+|\\\r?\n|#[^\n]*)+/y;
/** Statements that say nothing of a connection. */
const MEANINGLESS = ['print', 'pass', 'import', 'from'];
// Deeper nesting is nobody's intention; without a bound a hostile script exhausts the stack.
const DEEPEST = 64;

/** Parses what stands between `%{` and `}%`. @throws ScriptError */
export function parseCode(token: Token, file: string): CodeBlock {
  return new CodeParser(token, file).block();
}

class CodeParser {
  private readonly source: string;
  private readonly file: string;
  private readonly tokens: readonly PyToken[];
  private index = 0;
  private depth = 0;

  constructor({ text, line, column }: Token, file: string) {
    this.source = text;
    this.file = file;
    this.tokens = tokens(text, file, { line, column: column + 2 });
  }

  block(): CodeBlock {
    const assertions: Assertion[] = [];
    const others: Statement[] = [];
    while (this.peek().kind !== 'end') {
      if (this.peek().kind === 'newline' || this.accept(';')) {
        if (this.peek().kind === 'newline') this.index++;
        continue;
      }
      const begin = this.peek();
      if (begin.text === 'assert' && begin.kind === 'name') assertions.push(this.assertion());
      else if (begin.kind === 'name') this.other(others);
      else throw this.error("expected 'assert'");
      const next = this.peek();
      if (next.kind !== 'newline' && next.kind !== 'end' && next.text !== ';')
        throw this.error('expected the end of the line');
    }
    return { assertions, others };
  }

  private assertion(): Assertion {
    const { line, column } = this.take();
    const from = this.peek().at;
    const test = this.expression();
    const to = this.peek().at;
    // The message is for people.
    if (this.accept(',')) this.passStatement();
    return { place: { line, column }, text: this.textOf(from, to), test };
  }

  /** A statement that is no assertion, and the lines that are indented below it. */
  private other(others: Statement[]): void {
    const { at, line, column, text } = this.peek();
    const block = ['if', 'elif', 'else', 'for', 'while', 'def', 'try', 'except', 'finally', 'with'].includes(text);
    if (!block && !/^[=(.:[+*/|&-]/.test(this.peek(1).text) && !MEANINGLESS.includes(text)) {
      throw this.error("expected 'assert'");
    }
    if (block) this.passBlock(column);
    else this.passStatement();
    if (!MEANINGLESS.includes(text)) {
      others.push({ place: { line, column }, text: this.textOf(at, this.peek().at) });
    }
  }

  /** The first token of the next line that has any, or the end. */
  private below(): PyToken {
    let ahead = 0;
    while (this.peek(ahead).kind === 'newline') ahead++;
    return this.peek(ahead);
  }

  /** The rest of the line, and the lines below it that are further to the right. */
  private passBlock(column: number): void {
    this.passUntil();
    while (this.peek().kind === 'newline' && this.below().column > column) {
      while (this.peek().kind === 'newline') this.index++;
      this.passUntil();
    }
  }

  private passStatement(): void {
    this.passUntil(';');
  }

  /** Up to the end of the line, or to an operator. */
  private passUntil(operator?: string): void {
    while (!['newline', 'end'].includes(this.peek().kind) && this.peek().text !== operator) this.index++;
  }

  private textOf(from: number, to: number): string {
    return this.source.slice(from, to).replaceAll(/\s+/g, ' ').trim();
  }

  private items(): Code[] {
    const items = [this.expression()];
    while (this.accept(',')) if (![')', ']'].includes(this.peek().text)) items.push(this.expression());
    return items;
  }

  private expression(): Code {
    if (++this.depth > DEEPEST) throw this.error('nested too deep');
    const code = this.chain(['or'], () => this.chain(['and'], () => this.negation()));
    const chosen = this.acceptName('if') ? this.choice(code) : code;
    this.depth--;
    return chosen;
  }

  /** `THEN if TEST else OTHERWISE`. */
  private choice(chosen: Code): Code {
    const test = this.chain(['or'], () => this.chain(['and'], () => this.negation()));
    if (!this.acceptName('else')) throw this.error("expected 'else'");
    return { kind: 'choice', test, chosen, otherwise: this.expression() };
  }

  private negation(): Code {
    if (++this.depth > DEEPEST) throw this.error('nested too deep');
    const code: Code = this.acceptName('not')
      ? { kind: 'unary', operator: 'not', of: this.negation() }
      : this.comparison();
    this.depth--;
    return code;
  }

  private comparison(): Code {
    const terms = [this.sum()];
    const operators: string[] = [];
    for (let operator = this.relation(); operator !== undefined; operator = this.relation()) {
      operators.push(operator);
      terms.push(this.sum());
    }
    return operators.length === 0 && terms[0] !== undefined ? terms[0] : { kind: 'compare', operators, terms };
  }

  /** `<`, `==`, `in`, `not in`, `is`, `is not`, ... */
  private relation(): string | undefined {
    const { kind, text } = this.peek();
    if (kind === 'operator' && ['==', '!=', '<', '<=', '>', '>='].includes(text)) return this.take().text;
    if (this.acceptName('in')) return 'in';
    if (this.acceptName('is')) return this.acceptName('not') ? '!=' : '==';
    if (kind !== 'name' || text !== 'not' || this.peek(1).text !== 'in') return undefined;
    this.index += 2;
    return 'not in';
  }

  private sum(): Code {
    const product = () => this.chain(['*', '/', '//', '%'], () => this.unary());
    const plus = () => this.chain(['+', '-'], product);
    const shift = () => this.chain(['<<', '>>'], plus);
    return this.chain(['|'], () => this.chain(['^'], () => this.chain(['&'], shift)));
  }

  private chain(operators: readonly string[], part: () => Code): Code {
    let left = part();
    while (operators.includes(this.peek().text) && ['operator', 'name'].includes(this.peek().kind)) {
      left = { kind: 'binary', operator: this.take().text, left, right: part() };
    }
    return left;
  }

  private unary(): Code {
    const { kind, text } = this.peek();
    if (kind === 'operator' && ['-', '+', '~'].includes(text)) {
      this.index++;
      if (++this.depth > DEEPEST) throw this.error('nested too deep');
      const of = this.unary();
      this.depth--;
      return { kind: 'unary', operator: text, of };
    }
    return this.atom();
  }

  private atom(): Code {
    const token = this.peek();
    if (token.kind === 'number') {
      this.index++;
      return { kind: 'value', value: Number(token.text) };
    }
    if (token.kind === 'string') {
      this.index++;
      const text = token.text.replace(/^[bfru]+/i, '');
      const quotes = /^("""|''')/.test(text) ? 3 : 1;
      return { kind: 'value', value: text.slice(quotes, -quotes) };
    }
    if (token.kind === 'name') return this.named();
    if (this.accept('(')) {
      if (this.accept(')')) return { kind: 'tuple', items: [] };
      const items = this.items();
      const [only, second] = items;
      // A comma makes a tuple also of one value.
      const isTuple = second !== undefined || this.peek(-1).text === ',';
      this.expect(')');
      return only === undefined || isTuple ? { kind: 'tuple', items } : only;
    }
    if (this.accept('[')) {
      const items = this.peek().text === ']' ? [] : this.items();
      this.expect(']');
      return { kind: 'tuple', items };
    }
    throw this.error('expected a value');
  }

  private named(): Code {
    const { text } = this.take();
    if (text === 'True' || text === 'False') return { kind: 'value', value: text === 'True' };
    if (text === 'None') return { kind: 'value', value: undefined };
    if (['and', 'or', 'not', 'assert', 'if', 'else', 'for', 'in', 'is', 'import'].includes(text)) {
      this.index--;
      throw this.error('expected a value');
    }
    if (!this.accept('(')) return { kind: 'name', name: text };
    const args = this.peek().text === ')' ? [] : this.items();
    this.expect(')');
    return { kind: 'call', name: text, args };
  }

  private peek(ahead = 0): PyToken {
    const token = this.tokens[Math.min(this.index + ahead, this.tokens.length - 1)];
    return token ?? { kind: 'end', text: '', at: 0, line: 1, column: 1 };
  }

  private take(): PyToken {
    const token = this.peek();
    this.index++;
    return token;
  }

  private accept(operator: string): boolean {
    if (this.peek().kind !== 'operator' || this.peek().text !== operator) return false;
    this.index++;
    return true;
  }

  private acceptName(name: string): boolean {
    if (this.peek().kind !== 'name' || this.peek().text !== name) return false;
    this.index++;
    return true;
  }

  private expect(operator: string): void {
    if (!this.accept(operator)) throw this.error(`expected '${operator}'`);
  }

  private error(message: string): ScriptError {
    const { kind, text } = this.peek();
    const found = kind === 'end' ? 'the end' : kind === 'newline' ? 'the end of the line' : `'${text.slice(0, 40)}'`;
    return new ScriptError(`${message}, found ${found}`, this.file, this.peek());
  }
}

/** The tokens of some code that begins at `place`; line ends count only outside of parentheses. */
function tokens(text: string, file: string, place: Place): PyToken[] {
  const found: PyToken[] = [];
  let { line, column } = place;
  let at = 0;
  let open = 0;
  const advance = (to: number): void => {
    for (; at < to; at++) {
      if (text[at] === '\n') {
        line++;
        column = 1;
      } else column++;
    }
  };
  for (;;) {
    BLANKS.lastIndex = at;
    if (BLANKS.test(text)) advance(BLANKS.lastIndex);
    if (at >= text.length) break;
    if (text[at] === '\n') {
      if (open === 0) found.push({ kind: 'newline', text: '\n', at, line, column });
      advance(at + 1);
      continue;
    }
    const [kind, source] = next(text, at);
    if (source === '') throw new ScriptError(`unexpected '${text.charAt(at)}' in code`, file, { line, column });
    if (['(', '[', '{'].includes(source)) open++;
    if ([')', ']', '}'].includes(source)) open = Math.max(0, open - 1);
    found.push({ kind, text: source, at, line, column });
    advance(at + source.length);
  }
  found.push({ kind: 'end', text: '', at: text.length, line, column });
  return found;
}

function next(text: string, at: number): readonly [PyToken['kind'], string] {
  for (const [kind, rule] of RULES) {
    rule.lastIndex = at;
    const match = rule.exec(text);
    if (match !== null) return [kind, match[0]];
  }
  return ['end', ''];
}
