/** Walks over the tokens of a script; what it does not find is an error at its place in the file. */

import type { Token } from '../../../lib/text/notation-lexer.js';
import type { Place } from './script.js';
import { ScriptError } from './script-error.js';

/** A position in a script. */
export class ScriptCursor {
  readonly file: string;
  private readonly tokens: readonly Token[];
  private index = 0;

  constructor(tokens: readonly Token[], file: string) {
    this.tokens = tokens;
    this.file = file;
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

  accept(text: string): boolean {
    if (!this.at(text)) return false;
    this.index++;
    return true;
  }

  expect(text: string): Token {
    if (!this.at(text)) throw this.error(`expected '${text}'`);
    return this.take();
  }

  /** A word, whichever. */
  word(what: string): Token {
    if (this.peek().kind !== 'word') throw this.error(`expected ${what}`);
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
  error(message: string): ScriptError {
    const { kind, text } = this.peek();
    const found = text.length > 40 ? `${text.slice(0, 40)}...` : text;
    return this.errorAt(
      `${message}, found ${kind === 'end' ? 'the end' : `'${found.replaceAll('\n', ' ')}'`}`,
      this.peek(),
    );
  }

  errorAt(message: string, place: Place): ScriptError {
    return new ScriptError(message, this.file, place);
  }
}
