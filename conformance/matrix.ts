/** Requirements, the tests that name them, and the excuses for those that none does: the matrix, and what is wrong with it. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXCUSES, type Excuse } from './excused.js';
import { cellsOf, type Requirement, readRequirements } from './requirements.js';
import { readTitles, type Title } from './titles.js';

/** What the matrix is made of. */
export interface Sources {
  readonly requirements: readonly Requirement[];
  readonly titles: readonly Title[];
  readonly excuses: readonly Excuse[];
  /** What the README says is not implemented: the first cells of its table. */
  readonly readme: readonly string[];
}

/** A requirement, and what there is about it. */
export interface Row {
  readonly requirement: Requirement;
  readonly tests: readonly Title[];
  readonly excuse: Excuse | undefined;
}

/** What is said of a row: tested; tested, except for what an excuse names; excused; or none of it. */
export type Status = 'tested' | 'partly tested' | 'not implemented' | 'no test';

/** The families of which each row must have a test or an excuse. */
export const REQUIRED: readonly string[] = ['link', 'arp', 'ipv4', 'icmp', 'ipv6', 'ndp', 'slaac', 'tcp'];

/** The families of which each binding row, a MUST or MUST NOT, must have one. */
export const BINDING: readonly string[] = ['multicast', 'udp', 'dhcp', 'dns'];

/** Reads everything from the repository at `root`. @throws Error what {@link readRequirements} throws */
export function readSources(root: string): Sources {
  return {
    requirements: readRequirements(),
    titles: readTitles(root),
    excuses: EXCUSES,
    readme: notImplemented(readFileSync(join(root, 'README.md'), 'utf8')),
  };
}

/** A row for each requirement, in their order. */
export function matrixOf({ requirements, titles, excuses }: Sources): readonly Row[] {
  return requirements.map((requirement) => ({
    requirement,
    tests: titles.filter(({ words }) => words.has(requirement.id)),
    excuse: excuses.find(({ ids }) => ids.includes(requirement.id)),
  }));
}

export function statusOf({ tests, excuse }: Row): Status {
  if (tests.length > 0) return excuse === undefined ? 'tested' : 'partly tested';
  return excuse === undefined ? 'no test' : 'not implemented';
}

/** The first cells of the table that says what is not implemented. */
export function notImplemented(readme: string): readonly string[] {
  const lines = readme.split('\n');
  const head = lines.findIndex((line) => /^\|\s*not implemented\s*\|/.test(line));
  if (head < 0) return [];
  const rest = lines.slice(head + 2);
  const end = rest.findIndex((line) => !line.startsWith('|'));
  return rest.slice(0, end < 0 ? undefined : end).map((line) => cellsOf(line)[0] ?? '');
}

/** What is wrong, a line each; nothing if each row that must have one has a test or an excuse, and all excuses are true. */
export function problemsOf(sources: Sources): readonly string[] {
  const { requirements, titles } = sources;
  const ids = new Set(requirements.map(({ id }) => id));
  const missing = matrixOf(sources)
    .filter((row) => isRequired(row.requirement) && statusOf(row) === 'no test')
    .map(({ requirement: { id, level, text } }) => `${id} (${level}) has no test and no excuse: ${text}`);
  const strangers = titles.flatMap(({ file, line, words }) =>
    [...words]
      .filter((word) => isOurs(word) && !ids.has(word))
      .map((word) => `${file}:${line} names ${word}, which there is not`),
  );
  return [...missing, ...falseExcuses(sources), ...strangers];
}

function isRequired({ family, level }: Requirement): boolean {
  return REQUIRED.includes(family) || (BINDING.includes(family) && level.startsWith('MUST'));
}

function falseExcuses(sources: Sources): readonly string[] {
  const { excuses, readme } = sources;
  const rows = matrixOf(sources);
  return excuses.flatMap(({ ids, row, partly = false }) => [
    ...(readme.some((cell) => cell.includes(row))
      ? []
      : [`${ids.join(', ')}: the README’s table "not implemented" has no row "${row}"`]),
    ...ids.flatMap((id) => {
      const tests = rows.find(({ requirement }) => requirement.id === id)?.tests;
      if (tests === undefined) return [`${id} is excused, but there is no such requirement`];
      if (tests.length > 0 && !partly) return [`${id} is excused, but tested: ${tests[0]?.file}:${tests[0]?.line}`];
      return tests.length === 0 && partly ? [`${id} is excused in part only, but has no test`] : [];
    }),
  ]);
}

/** Whether a word is meant for the id of a requirement: not the bare number of an RFC, nor the id of another stack’s test. */
function isOurs(word: string): boolean {
  return /^(?:MUST|SHLD|MAY|REC|E|\d{3,4})-/.test(word);
}
