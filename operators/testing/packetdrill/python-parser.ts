/** Parses the code of scripts: `assert EXPRESSION [, MESSAGE]`, one a line or separated by `;`. */

import type { Token } from '../../../lib/text/notation-lexer.js';
import type { Assertion, Code, CodeBlock } from './python.js';
import type { Place } from './script.js';
import { ScriptError } from './script-error.js';

interface PyToken extends Place {
  readonly kind: 'number' | 'string' | 'name' | 'operator' | 'newline' | 'end';
  readonly text: string;
  readonly at: number;
}

const RULES: readonly (readonly [PyToken['kind'], RegExp])[] = [
  ['number', /0x[0-9a-f]+|\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+/iy],
  ['string', /"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/y],
  ['name', /[a-z_]\w*(?:\.[a-z_]\w*)*/iy],
  ['operator', /\/\/|<<|>>|[=!<>]=|[-+*/%&|~()<>,;[\]]/y],
];
const BLANKS = /(?:[ \t\r]+|\\\r?\n|#[^\n]*)+/y;
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
    while (this.peek().kind !== 'end') {
      if (this.peek().kind === 'newline' || this.accept(';')) {
        if (this.peek().kind === 'newline') this.index++;
        continue;
      }
      const assertion = this.statement();
      if (assertion !== undefined) assertions.push(assertion);
      const next = this.peek();
      if (next.kind !== 'newline' && next.kind !== 'end' && next.text !== ';')
        throw this.error('expected the end of the line');
    }
    return { assertions };
  }

  private statement(): Assertion | undefined {
    const begin = this.peek();
    if (begin.text === 'pass' && begin.kind === 'name') {
      this.index++;
      return undefined;
    }
    if (begin.text === 'print' && begin.kind === 'name') {
      this.index++;
      if (!['newline', 'end'].includes(this.peek().kind) && this.peek().text !== ';') this.items();
      return undefined;
    }
    if (!this.acceptName('assert')) throw this.error("expected 'assert'");
    const from = this.peek().at;
    const test = this.expression();
    const to = this.peek().at;
    if (this.accept(',')) this.expression();
    const text = this.source.slice(from, to).replaceAll(/\s+/g, ' ').trim();
    return { place: { line: begin.line, column: begin.column }, text, test };
  }

  private items(): Code[] {
    const items = [this.expression()];
    while (this.accept(',')) if (this.peek().text !== ')') items.push(this.expression());
    return items;
  }

  private expression(): Code {
    if (++this.depth > DEEPEST) throw this.error('nested too deep');
    const code = this.chain(['or'], () => this.chain(['and'], () => this.negation()));
    this.depth--;
    return code;
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
    while (['==', '!=', '<', '<=', '>', '>='].includes(this.peek().text) && this.peek().kind === 'operator') {
      operators.push(this.take().text);
      terms.push(this.sum());
    }
    return operators.length === 0 && terms[0] !== undefined ? terms[0] : { kind: 'compare', operators, terms };
  }

  private sum(): Code {
    const product = () => this.chain(['*', '/', '//', '%'], () => this.unary());
    const plus = () => this.chain(['+', '-'], product);
    const shift = () => this.chain(['<<', '>>'], plus);
    return this.chain(['|'], () => this.chain(['&'], shift));
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
      const quotes = /^("""|''')/.test(token.text) ? 3 : 1;
      return { kind: 'value', value: token.text.slice(quotes, -quotes) };
    }
    if (token.kind === 'name') return this.named();
    if (this.accept('(')) {
      if (this.accept(')')) return { kind: 'tuple', items: [] };
      const items = this.items();
      const [only] = items;
      this.expect(')');
      return items.length === 1 && only !== undefined ? only : { kind: 'tuple', items };
    }
    throw this.error('expected a value');
  }

  private named(): Code {
    const { text } = this.take();
    if (text === 'True' || text === 'False') return { kind: 'value', value: text === 'True' };
    if (['and', 'or', 'not', 'assert', 'if', 'else', 'for', 'in', 'is', 'import'].includes(text)) {
      this.index--;
      throw this.error('expected a value');
    }
    if (!this.accept('(')) return { kind: 'name', name: text };
    const args = this.peek().text === ')' ? [] : this.items();
    this.expect(')');
    return { kind: 'call', name: text, args };
  }

  private peek(): PyToken {
    const token = this.tokens[Math.min(this.index, this.tokens.length - 1)];
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
    if (source === '(') open++;
    if (source === ')') open = Math.max(0, open - 1);
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
