/** Tokens of the pcap filter language (pcap-filter(7)), each with its place, and the error that names one. */

import { UsageError } from '../../core/errors.js';

/** A text that is no filter: says where, counted from 1, and what could have stood there. */
export class PcapFilterError extends UsageError {
  readonly column: number;
  /** What would have been right at that place; empty where it is not a matter of grammar. */
  readonly expected: string;

  constructor(message: string, column: number, expected = '') {
    super('ERR_BAD_FILTER', `column ${column}: ${message}`);
    this.name = 'PcapFilterError';
    this.column = column;
    this.expected = expected;
  }
}

/** Kinds of tokens: `name` is a word that is never a keyword, since a backslash stood in front of it; `end` comes after the last. */
export type TokenKind = 'word' | 'name' | 'number' | 'ipv4' | 'ipv6' | 'mac' | 'punctuation' | 'end';

/** One token, and its column counted from 1. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly column: number;
}

const HEX6 = '[0-9a-f]{1,2}';
const GROUP = '[0-9a-f]{1,4}';

// In order of preference. A word may begin with a digit and have signs in it (`tcp-syn`, `1-1024`), as in libpcap.
const RULES: readonly (readonly [TokenKind, RegExp])[] = [
  ['mac', new RegExp(`${HEX6}(?::${HEX6}){5}(?![0-9a-z:.])`, 'iy')],
  [
    'ipv6',
    new RegExp(
      `(?:(?:${GROUP}:){7}${GROUP}|(?:${GROUP}:){6}\\d+(?:\\.\\d+){3}|(?:${GROUP}(?::${GROUP})*)?::(?:${GROUP}(?::${GROUP})*)?(?::?\\d+(?:\\.\\d+){3})?)(?![0-9a-z:.])`,
      'iy',
    ),
  ],
  ['name', /\\[^\s!()\\]+/y],
  ['word', /[a-z0-9](?:[-_.a-z0-9]*[.a-z0-9])?/iy],
  ['punctuation', /&&|\|\||!=|==|<=|>=|<<|>>|[^\s]/y],
];

const BLANKS = /\s*/y;
const NUMBER = /^(?:0x[0-9a-f]+|\d+)$/i;
const DOTTED = /^\d+(?:\.\d+){1,3}$/;
const MAC_OF_WORDS = new RegExp(
  `^(?:${HEX6}(?:-${HEX6}){5}|${HEX6}(?:\\.${HEX6}){5}|[0-9a-f]{4}(?:\\.[0-9a-f]{4}){2}|[0-9a-f]{12})$`,
  'i',
);

/** What a word is by its looks. Three groups with dots are a MAC address only with all of their digits: `10.0.0` is a network. */
function classify(text: string): TokenKind {
  if (MAC_OF_WORDS.test(text)) return 'mac';
  if (DOTTED.test(text)) return 'ipv4';
  return NUMBER.test(text) ? 'number' : 'word';
}

/** All tokens of a text, the last of kind `end`. Never throws: what is nothing else is punctuation. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (true) {
    BLANKS.lastIndex = at;
    at += BLANKS.exec(text)?.[0].length ?? 0;
    if (at >= text.length) break;
    const column = at + 1;
    for (const [kind, rule] of RULES) {
      rule.lastIndex = at;
      const found = rule.exec(text)?.[0];
      if (found === undefined) continue;
      at += found.length;
      if (kind === 'word') tokens.push({ kind: classify(found), text: found, column });
      else tokens.push({ kind, text: kind === 'name' ? found.slice(1) : found, column });
      break;
    }
  }
  tokens.push({ kind: 'end', text: '', column: text.length + 1 });
  return tokens;
}

/** The 48 bits of a MAC address in any of its spellings. */
export function macOf(text: string): number {
  const groups = text.split(/[-:.]/);
  const digits = groups.length === 1 ? 12 : 12 / groups.length;
  return Number.parseInt(groups.map((group) => group.padStart(digits, '0')).join(''), 16);
}

/** Moves along the tokens of one text. */
export class Cursor {
  private readonly tokens: readonly Token[];
  private at = 0;

  constructor(text: string) {
    this.tokens = tokenize(text);
  }

  /** The token `ahead` of the current one; the last one for ever. */
  peek(ahead = 0): Token {
    const token = this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)];
    return token ?? { kind: 'end', text: '', column: 1 };
  }

  next(): Token {
    const token = this.peek();
    this.at++;
    return token;
  }

  /** Whether the token `ahead` is one of these words or signs. A name is none of them. */
  is(texts: readonly string[], ahead = 0): boolean {
    const { kind, text } = this.peek(ahead);
    return (kind === 'word' || kind === 'punctuation') && texts.includes(text);
  }

  /** Takes the token if it is one of these. */
  take(...texts: readonly string[]): boolean {
    if (!this.is(texts)) return false;
    this.at++;
    return true;
  }

  /** @throws PcapFilterError where the token is another */
  expect(text: string): void {
    if (!this.take(text)) throw this.unexpected(`"${text}"`);
  }

  /** The error that says what was expected in place of the current token. */
  unexpected(expected: string): PcapFilterError {
    const { kind, text, column } = this.peek();
    const found = kind === 'end' ? 'the end' : `"${text}"`;
    return new PcapFilterError(`expected ${expected}, not ${found}`, column, expected);
  }

  /** Offset, in tokens from here, of the bracket that closes the one at the current token; of the end where none does. */
  closing(): number {
    let depth = 0;
    for (let ahead = 0; ; ahead++) {
      if (this.is(['('], ahead)) depth++;
      else if (this.is([')'], ahead)) depth--;
      if (depth === 0 || this.peek(ahead).kind === 'end') return ahead;
    }
  }
}
