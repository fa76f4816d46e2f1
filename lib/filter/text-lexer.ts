/** Tokens of the text of rules, each with its place. Blanks and comments from `#` on separate tokens, ends of lines separate rules. */

import { type Place, RuleError, type RuleProblem } from './rule-error.js';

/** Kinds of tokens; `end` comes after the last, `line` and a semicolon end a rule. */
export type TokenKind = 'word' | 'number' | 'string' | 'mac' | 'ipv4' | 'ipv6' | 'punctuation' | 'line' | 'end';

/** One token: `text` is what stands in the source, without the quotes of strings. */
export interface Token extends Place {
  readonly kind: TokenKind;
  readonly text: string;
}

// In order of preference.
const RULES: readonly (readonly [TokenKind, RegExp])[] = [
  ['string', /"[^"\n]*"/y],
  ['mac', /[0-9a-f]{2}(?::[0-9a-f]{2}){5}(?![0-9a-f:])/iy],
  [
    'ipv6',
    /(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}(?![\w:])|(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*)?::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*)?(?:(?<=[0-9])(?:\.\d+){3})?(?![\w:])/iy,
  ],
  ['ipv4', /\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w.])/y],
  ['number', /0x[0-9a-f]+(?!\w)|\d+(?!\w)/iy],
  ['word', /[a-z_][\w.]*(?:-[a-z_0-9][\w.]*)*\*?/iy],
  ['punctuation', /==|!=|<=|>=|&&|\|\||<<|>>|[^\s]/y],
];

const BLANKS = /(?:[^\S\n]|\\\n|#[^\n]*)+/y;

/** All tokens of a text, the last of kind `end`. Never throws: what is nothing else is punctuation. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let lineStart = 0;
  let at = 0;
  while (at < text.length) {
    BLANKS.lastIndex = at;
    if (BLANKS.test(text)) {
      for (let i = text.indexOf('\n', at); i >= 0 && i < BLANKS.lastIndex; i = text.indexOf('\n', i + 1)) {
        line++;
        lineStart = i + 1;
      }
      at = BLANKS.lastIndex;
      continue;
    }
    const place = { line, column: at - lineStart + 1 };
    if (text[at] === '\n') {
      tokens.push({ kind: 'line', text: '\n', ...place });
      line++;
      lineStart = ++at;
      continue;
    }
    const [kind, source] = first(text, at);
    tokens.push({ kind, text: kind === 'string' ? source.slice(1, -1) : source, ...place });
    at += source.length;
  }
  tokens.push({ kind: 'end', text: '', line, column: at - lineStart + 1 });
  return tokens;
}

function first(text: string, at: number): readonly [TokenKind, string] {
  for (const [kind, rule] of RULES) {
    rule.lastIndex = at;
    const match = rule.exec(text);
    if (match !== null) return [kind, match[0]];
  }
  return ['punctuation', text.charAt(at)];
}

const END: Token = { kind: 'end', text: '', line: 1, column: 1 };

/** Walks over tokens; what does not find what it names throws a {@link RuleError} that names the rule that is read. */
export class TokenCursor {
  /** The rule, chain or set that is read. */
  reading = '';
  private readonly tokens: readonly Token[];
  private index = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  /** The token `ahead` places further, or the end. */
  peek(ahead = 0): Token {
    return this.tokens[Math.min(this.index + ahead, this.tokens.length - 1)] ?? END;
  }

  take(): Token {
    const token = this.peek();
    this.index++;
    return token;
  }

  /** Whether the next token is this word or punctuation. */
  at(text: string, ahead = 0): boolean {
    const { kind, text: found } = this.peek(ahead);
    return found === text && (kind === 'word' || kind === 'punctuation');
  }

  /** Takes this word or punctuation if it is next. */
  accept(text: string): boolean {
    if (!this.at(text)) return false;
    this.index++;
    return true;
  }

  expect(text: string): Token {
    if (!this.at(text)) throw this.unexpected(`'${text}'`);
    return this.take();
  }

  /** Takes the first of these words that is next. */
  oneOf<T extends string>(words: readonly T[]): T | undefined {
    return words.find((word) => this.accept(word));
  }

  /** The word that is next, which is one of `words`. */
  word<T extends string>(words: readonly T[], what: string): T {
    const found = this.oneOf(words);
    if (found === undefined) throw this.unexpected(`${what}: ${words.join(', ')}`);
    return found;
  }

  /** A name of the user's. */
  name(what: string): string {
    const token = this.peek();
    if (token.kind !== 'word' || token.text.endsWith('*')) throw this.unexpected(what);
    return this.take().text;
  }

  string(what: string): string {
    if (this.peek().kind !== 'string') throw this.unexpected(`${what} in quotes`);
    return this.take().text;
  }

  /** An unsigned integer, decimal or hex, that doubles hold exactly. */
  number(what: string): number {
    const { kind, text } = this.peek();
    if (kind !== 'number') throw this.unexpected(what);
    const value = Number(text);
    if (!Number.isSafeInteger(value)) throw this.error('value', `${text} is too large for ${what}`);
    this.index++;
    return value;
  }

  skipLines(): void {
    while (this.peek().kind === 'line') this.index++;
  }

  /** Ends of lines, and semicolons. */
  skipEnds(): void {
    while (this.peek().kind === 'line' || this.at(';')) this.index++;
  }

  /** Whether a rule, or another line, ends here. */
  get atEnd(): boolean {
    const { kind } = this.peek();
    return kind === 'line' || kind === 'end' || this.at(';') || this.at('}');
  }

  /** An error at the next token. */
  error(problem: RuleProblem, message: string, place: Place = this.peek()): RuleError {
    return new RuleError(problem, message, this.reading, place);
  }

  /** The next token is not what there has to be. */
  unexpected(expected: string): RuleError {
    const { kind, text } = this.peek();
    const shown = text.length > 40 ? `${text.slice(0, 40)}...` : text;
    const found = kind === 'end' ? 'the end' : kind === 'line' ? 'the end of the line' : `'${shown}'`;
    return this.error('syntax', `expected ${expected}, found ${found}`);
  }
}
