/**
 * The titles of the tests, read from their source: what `it...('...')` says, and the `describe...('...')` or `forBothVersions('...')` around it;
 * and the first comments of packetdrill scripts.
 *
 * A title names a requirement where the id is one of the words that it begins with (`1122-I1: refuses ...`, `GP-17 8200-2 refuses ...`,
 * `RFC 6946: ...`), or stands in parentheses (`... (MUST-11, E-09)`, `... (MUST-24..28)`). It has to be there literally: what is computed does not count.
 * Skipped tests do not count either.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One test. */
export interface Title {
  /** Relative to the root of the repository. */
  readonly file: string;
  readonly line: number;
  readonly title: string;
  /** Words of the title, and of the titles around it, that stand where ids stand. */
  readonly words: ReadonlySet<string>;
}

interface Suite {
  readonly indent: number;
  readonly skipped: boolean;
  readonly words: readonly string[];
}

// A call at the start of a statement, with its title in quotes. The formatter sees to the indentation.
const CALL =
  /(?<![\w.$'"`])(describe|forBothVersions|it(?=[A-Z(.]))(\w*)(\.only|\.skip)?\(\s*(['"`])((?:\\.|(?!\4)[^\\])*)\4/g;

/** The tests of all TypeScript files and packetdrill scripts of a directory, and what is in it. */
export function readTitles(root: string, directory = 'spec'): readonly Title[] {
  return readdirSync(join(root, directory), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(({ name }) => {
      const path = `${directory}/${name}`;
      if (name.endsWith('.ts')) return titlesOf(readFileSync(join(root, path), 'utf8'), path);
      if (name.endsWith('.pkt')) return scriptTitle(readFileSync(join(root, path), 'utf8'), path);
      return name.includes('.') ? [] : readTitles(root, path);
    });
}

/** The title of a packetdrill script: its first comment, unless that says how to run it. */
export function scriptTitle(source: string, file: string): readonly Title[] {
  for (const [index, line] of source.split('\n').entries()) {
    const [, title] = /^\/\/\s*(.*?)\s*$/.exec(line) ?? [];
    if (title === undefined || title.startsWith('profile:')) continue;
    // In front of the colon, ids stand behind a paragraph: `RFC 9293 3.6, E-12: ...`.
    const [head = ''] = title.includes(':') ? title.split(':') : [];
    return [
      { file, line: index + 1, title, words: new Set([...wordsOf(title), ...head.split(/[\s,]+/).flatMap(idsOf)]) },
    ];
  }
  return [];
}

/** The tests of one file. */
export function titlesOf(source: string, file: string): readonly Title[] {
  const found: Title[] = [];
  let around: Suite[] = [];
  for (const match of source.matchAll(CALL)) {
    const [, kind = '', , modifier = '', , title = ''] = match;
    const start = source.lastIndexOf('\n', match.index) + 1;
    const before = source.slice(start, match.index).trim();
    if (before.startsWith('//') || before.startsWith('*') || before.startsWith('/*')) continue;
    const indent = source.slice(start).search(/\S/);
    around = around.filter((suite) => suite.indent < indent);
    const skipped = modifier === '.skip' || around.some((suite) => suite.skipped);
    const words = wordsOf(title);
    if (kind !== 'it') {
      around.push({ indent, skipped, words });
      continue;
    }
    if (skipped) continue;
    const line = source.slice(0, match.index).split('\n').length;
    found.push({ file, line, title, words: new Set([...around.flatMap((suite) => suite.words), ...words]) });
  }
  return found;
}

/** The words of a title that may be ids: those that it begins with, as long as they look like one, and those in parentheses. */
export function wordsOf(title: string): readonly string[] {
  const found: string[] = [];
  for (const word of title.split(/[\s,]+/)) {
    const id = word.replace(/:$/, '');
    if (id !== 'RFC') {
      const ids = idsOf(id);
      if (ids.length === 0) break;
      found.push(...ids);
    }
    if (word.endsWith(':')) break;
  }
  for (const [, inside = ''] of title.matchAll(/\(([^()]*)\)/g)) {
    found.push(...inside.split(/[\s,;:]+/).flatMap(idsOf));
  }
  return found;
}

/** The ids that a word stands for: itself, or `MUST-24..28` all from one to the other; none if it looks like no id. */
function idsOf(word: string): readonly string[] {
  const [, prefix = '', from = '', to = ''] = /^([A-Z]+-)(\d+)\.\.(\d+)$/.exec(word) ?? [];
  if (prefix === '') return ID.test(word) ? [word] : [];
  const count = Math.max(0, Number(to) - Number(from) + 1);
  return Array.from({ length: count }, (_, i) => prefix + String(Number(from) + i).padStart(from.length, '0'));
}

/** What ids look like: those of RFC 9293, our own, an RFC's number. */
const ID = /^(?:(?:MUST|SHLD|MAY|REC|E|GP|GT|GN|SM)-\d+|arp-sec|802\.1[QD]-\d|\d{3,4}(?:-[A-Z]?\d+)?)$/;
