/** Tokens of a script: those of the packet notation, after `#ifdef`s were decided and the words that the user defines were put in. */

import { tokenize, type Token, type TokenKind } from '../../../lib/text/notation-lexer.js';
import { ScriptError } from './script-error.js';

/** Values of words, as `-D WORD=value` gives them. */
export type Defines = Readonly<Record<string, string>>;

/** Words that `#ifdef` knows besides those that the user defines: what holds for any stack. */
const DEFINED = ['STANDARD'];

/** The tokens of a script. @throws ScriptError for an `#ifdef` without its `#endif` and the like */
export function lex(text: string, file: string, defines: Defines): Token[] {
  const tokens = tokenize(decide(text, file, defines));
  return tokens.map((token) => (token.kind === 'word' ? substituted(token, defines) : token));
}

function substituted(token: Token, defines: Defines): Token {
  const value = Object.hasOwn(defines, token.text) ? defines[token.text] : undefined;
  if (value === undefined) return token;
  const [kind, text] = kindOf(value);
  return { ...token, kind, text };
}

function kindOf(value: string): readonly [TokenKind, string] {
  const quoted = /^(["`])([\s\S]*)\1$/.exec(value);
  if (quoted !== null) return [quoted[1] === '"' ? 'string' : 'command', quoted[2] ?? ''];
  if (/^-?\d+$/.test(value)) return ['integer', value];
  return [/^0x[0-9a-f]+$/i.test(value) ? 'hex' : 'word', value];
}

const DIRECTIVE = /^[ \t]*#(ifdef|ifndef|else|endif)\b[ \t]*(\w*)[^\n]*$/gm;

/** Replaces what is not to be read by blanks, so that everything keeps its place. */
function decide(text: string, file: string, defines: Defines): string {
  let out = '';
  let from = 0;
  const open: { readonly outer: boolean; readonly at: number; here: boolean }[] = [];
  const reading = (): boolean => {
    const innermost = open.at(-1);
    return innermost === undefined || (innermost.outer && innermost.here);
  };
  for (const match of text.matchAll(DIRECTIVE)) {
    const [line, word = '', name = ''] = match;
    const fail = (reason: string) => new ScriptError(reason, file, placeOf(text, match.index));
    out += reading() ? text.slice(from, match.index) : blank(text.slice(from, match.index));
    from = match.index + line.length;
    out += blank(line);
    const innermost = open.at(-1);
    if (word === 'ifdef' || word === 'ifndef') {
      if (name === '') throw fail(`#${word} of nothing`);
      const known = DEFINED.includes(name) || Object.hasOwn(defines, name);
      open.push({ outer: reading(), at: match.index, here: known === (word === 'ifdef') });
    } else if (innermost === undefined) throw fail(`#${word} without #ifdef`);
    else if (word === 'else') innermost.here = !innermost.here;
    else open.pop();
  }
  const left = open.at(-1);
  if (left !== undefined) throw new ScriptError('#ifdef without #endif', file, placeOf(text, left.at));
  return out + text.slice(from);
}

function blank(text: string): string {
  return text.replaceAll(/[^\n]/g, ' ');
}

function placeOf(text: string, at: number): { line: number; column: number } {
  const before = text.slice(0, at).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
