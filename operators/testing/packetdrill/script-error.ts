/** What is wrong with the text of a script. */

import { UsageError } from '../../../lib/core/errors.js';
import type { Place } from './script.js';

/** A text that is no script: `file:line:column: what is wrong`. */
export class ScriptError extends UsageError {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The message without the place. */
  readonly reason: string;

  constructor(reason: string, file: string, { line, column }: Place) {
    super('ERR_BAD_PACKET_TEXT', `${file}:${line}:${column}: ${reason}`);
    this.name = 'ScriptError';
    this.reason = reason;
    this.file = file;
    this.line = line;
    this.column = column;
  }
}
