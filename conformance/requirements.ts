/**
 * The rules of the RFCs that the stack is held to, in our own words: the tables of `requirements/*.md`, one row a rule, under an id that
 * tests name in their titles. `MUST-n`, `SHLD-n`, `MAY-n` and `REC-n` are the ids of RFC 9293; the others are ours: the RFC's number,
 * often with a count behind it.
 */

import { readdirSync, readFileSync } from 'node:fs';

/** How binding a rule is (RFC 2119); the negative ones say what must not or should not be done. */
export type Level = (typeof LEVELS)[number];
const LEVELS = ['MUST', 'MUST NOT', 'SHOULD', 'SHOULD NOT', 'MAY'] as const;

/** One rule. */
export interface Requirement {
  readonly id: string;
  /** What it is about: the heading that its table stands under, up to a colon. */
  readonly family: string;
  readonly level: Level;
  /** Where it stands, e.g. `RFC 1122 3.2.1.3`. */
  readonly source: string;
  readonly text: string;
}

const TABLES = new URL('requirements/', import.meta.url);

/**
 * Reads all tables, in the order of the files' names.
 *
 * @throws Error that names the line of a table that is not as it should be, or an id that is there twice
 */
export function readRequirements(): readonly Requirement[] {
  const files = readdirSync(TABLES).filter((name) => name.endsWith('.md'));
  const all = files.sort().flatMap((name) => parseRequirements(readFileSync(new URL(name, TABLES), 'utf8'), name));
  const twice = all.find(({ id }, i) => all.findIndex((other) => other.id === id) !== i);
  if (twice !== undefined) throw new Error(`the requirement ${twice.id} is there twice`);
  return all;
}

/** The requirements of one file. */
export function parseRequirements(markdown: string, name: string): readonly Requirement[] {
  const found: Requirement[] = [];
  let family = '';
  for (const [i, line] of markdown.split('\n').entries()) {
    if (line.startsWith('## ')) family = line.slice(3).split(':')[0] ?? '';
    if (!line.startsWith('|')) continue;
    const [id = '', level = '', source = '', text = ''] = cellsOf(line);
    if (id === 'id' || /^:?-+:?$/.test(id)) continue;
    const known = LEVELS.find((one) => one === level);
    if (known === undefined || family === '' || source === '' || text === '') {
      throw new Error(`${name}:${i + 1}: not a requirement: ${line}`);
    }
    found.push({ id, family, level: known, source, text });
  }
  return found;
}

/** The cells of a line of a Markdown table. */
export function cellsOf(line: string): readonly string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}
