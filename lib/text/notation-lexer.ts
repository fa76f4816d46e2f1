/**
 * Tokens of the packet notation and of the packetdrill scripts around it: words, numbers, strings, addresses, punctuation, each with its
 * place. Blanks and comments (`//` to the end of the line, C style) separate tokens and mean nothing else.
 */

import { UsageError } from '../core/errors.js';

/** A text that is not a packet: says where, counted from 1. */
export class NotationError extends UsageError {
  readonly line: number;
  readonly column: number;

  constructor(message: string, line: number, column: number) {
    super('ERR_BAD_PACKET_TEXT', `${line}:${column}: ${message}`);
    this.name = 'NotationError';
    this.line = line;
    this.column = column;
  }
}

/** Kinds of tokens; `end` comes after the last. */
export type TokenKind =
  | 'word'
  | 'integer'
  | 'float'
  | 'hex'
  | 'string'
  | 'command'
  | 'code'
  | 'option'
  | 'mac'
  | 'ipv4'
  | 'ipv6'
  | 'ellipsis'
  | 'punctuation'
  | 'end';

/** One token: `text` is what stands in the source, without the quotes of strings, commands and code. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly line: number;
  readonly column: number;
  /** Whether nothing separates it from the token before. */
  readonly adjacent: boolean;
}

// In order of preference; `1:1001` is no IPv6 address, so that one needs all of its colons or a double one. None looks further than the
// token that it finds or, where it finds none, than a few characters: what is quoted is the exception, see `QUOTES`.
const RULES: readonly (readonly [TokenKind, RegExp])[] = [
  ['option', /--[a-z][a-z0-9_]*/y],
  ['string', /"(?:[^"\\\n]|\\.)*"/y],
  ['command', /`[^`]*`/y],
  ['code', /%\{[\s\S]*?\}%/y],
  ['mac', /[0-9a-f]{2}(?::[0-9a-f]{2}){5}(?![0-9a-f:])/iy],
  [
    'ipv6',
    /(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}(?![\w:])|(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?(?:\.\d+){0,3}(?![\w:])/iy,
  ],
  ['ipv4', /\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w.])/y],
  ['ellipsis', /\.\.\./y],
  ['hex', /0x[0-9a-f]*(?![\w])/iy],
  ['float', /-?\d*\.\d+(?![\w])/y],
  ['integer', /-?\d+(?![\w])/y],
  ['word', /\w+(?:-[a-z]\w*)*/iy],
  ['punctuation', /[^\s]/y],
];

const BLANKS = /(?:\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)+/y;
const BLANKS_WITHOUT_END = /(?:\s+|\/\/[^\n]*)+/y;

/** What opens what is quoted, and where it has to be closed at the latest, if that is not the end. */
const QUOTES: ReadonlyMap<TokenKind, { readonly open: string; readonly before?: string }> = new Map([
  ['string', { open: '"', before: '\n' }],
  ['command', { open: '`' }],
  ['code', { open: '%{' }],
]);

/** All tokens of a text, the last of kind `end`. Never throws: what is nothing else is punctuation. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let lineStart = 0;
  let at = 0;
  const unclosed: Unclosed = new Map();
  // Behind the last end of a comment no other is closed, and is not to be looked for from each place again.
  const lastEnd = text.lastIndexOf('*/');
  const advance = (to: number): void => {
    for (let i = at; i < to; i++) {
      if (text[i] !== '\n') continue;
      line++;
      lineStart = i + 1;
    }
    at = to;
  };
  while (at <= text.length) {
    const blanks = at < lastEnd ? BLANKS : BLANKS_WITHOUT_END;
    blanks.lastIndex = at;
    const separated = blanks.test(text);
    if (separated) advance(blanks.lastIndex);
    const place = { line, column: at - lineStart + 1, adjacent: !separated && tokens.length > 0 };
    if (at >= text.length) {
      tokens.push({ kind: 'end', text: '', ...place });
      break;
    }
    const [kind, source] = longest(text, at, unclosed);
    const quotes = QUOTES.get(kind)?.open.length ?? 0;
    tokens.push({ kind, text: source.slice(quotes, source.length - quotes), ...place });
    advance(at + source.length);
  }
  return tokens;
}

/** Up to where nothing more that is quoted in a way is closed, since what was opened before was not. */
type Unclosed = Map<TokenKind, number>;

function longest(text: string, at: number, unclosed: Unclosed): readonly [TokenKind, string] {
  for (const [kind, rule] of RULES) {
    const quotes = QUOTES.get(kind);
    if (quotes !== undefined && (!text.startsWith(quotes.open, at) || at < (unclosed.get(kind) ?? 0))) continue;
    rule.lastIndex = at;
    const match = rule.exec(text);
    if (match !== null) return [kind, match[0]];
    if (quotes === undefined) continue;
    const end = quotes.before === undefined ? -1 : text.indexOf(quotes.before, at);
    unclosed.set(kind, end < 0 ? text.length : end);
  }
  return ['punctuation', text.charAt(at)];
}

/** Walks over tokens; every `take` that does not find what it names throws a {@link NotationError}. */
export class TokenCursor {
  private readonly tokens: readonly Token[];
  private index = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  /** The token `ahead` places further, or the end. */
  peek(ahead = 0): Token {
    const token = this.tokens[Math.min(this.index + ahead, this.tokens.length - 1)];
    return token ?? { kind: 'end', text: '', line: 1, column: 1, adjacent: false };
  }

  take(): Token {
    const token = this.peek();
    this.index++;
    return token;
  }

  /** Whether the next token is this punctuation or word. */
  at(text: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.text === text && (token.kind === 'punctuation' || token.kind === 'word' || token.kind === 'ellipsis');
  }

  /** Takes this punctuation or word if it is next. */
  accept(text: string): boolean {
    if (!this.at(text)) return false;
    this.index++;
    return true;
  }

  expect(text: string): Token {
    if (!this.at(text)) throw this.error(`expected '${text}'`);
    return this.take();
  }

  /** An unsigned integer up to `maximum`, decimal or hex. */
  number(what: string, maximum = 0xffff_ffff): number {
    const token = this.peek();
    const value = token.kind === 'integer' || token.kind === 'hex' ? Number(token.text) : Number.NaN;
    if (!Number.isInteger(value) || /^0x$/i.test(token.text)) throw this.error(`expected ${what}`);
    if (value < 0 || value > maximum) throw this.error(`${what} is not in 0..${maximum}`);
    this.take();
    return value;
  }

  /** The same, or `undefined` for `...`. */
  numberOrAny(what: string, maximum?: number): number | undefined {
    return this.accept('...') ? undefined : this.number(what, maximum);
  }

  get done(): boolean {
    return this.peek().kind === 'end';
  }

  /** How many tokens were taken. */
  get taken(): number {
    return this.index;
  }

  /** An error at the next token. */
  error(message: string): UsageError {
    const token = this.peek();
    const text = token.text.length > 40 ? `${token.text.slice(0, 40)}...` : token.text;
    const found = token.kind === 'end' ? 'the end' : `'${text.replaceAll('\n', ' ')}'`;
    return this.errorAt(`${message}, found ${found}`, token);
  }

  errorAt(message: string, { line, column }: Pick<Token, 'line' | 'column'>): UsageError {
    return new NotationError(message, line, column);
  }
}
