/** Walks over the tokens of a script; what it does not find is an error at its place in the file. */

import { type Token, TokenCursor } from '../../../lib/text/notation-lexer.js';
import type { Place } from './script.js';
import { ScriptError } from './script-error.js';

/** A position in a script. */
export class ScriptCursor extends TokenCursor {
  readonly file: string;

  constructor(tokens: readonly Token[], file: string) {
    super(tokens);
    this.file = file;
  }

  /** A word, whichever. */
  word(what: string): Token {
    if (this.peek().kind !== 'word') throw this.error(`expected ${what}`);
    return this.take();
  }

  override errorAt(message: string, place: Place): ScriptError {
    return new ScriptError(message, this.file, place);
  }
}
