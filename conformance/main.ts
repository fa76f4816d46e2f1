/** The conformance matrix: `npm run conformance -- [family...] [--missing] [--json]`. */

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BINDING, matrixOf, problemsOf, readSources, REQUIRED, type Row, type Status, statusOf } from './matrix.js';

const USAGE = `Usage: npm run conformance -- [family...] [--missing] [--json]

Which rule of which RFC is tested where: each row of conformance/requirements/*.md with the tests whose titles name its id, or with the row
of the README's table "not implemented" that excuses it (conformance/excused.ts).

  family      only the rows of these, e.g. ipv4 arp
  --missing   only rows without a test
  --json      an array of objects, for programs
  --help      this text

A title names an id by beginning with it ('1122-I1: refuses ...'), or in parentheses ('... (MUST-11, E-09)').

Exit code 1 if a row of ${REQUIRED.join(', ')}
or a MUST of ${BINDING.join(', ')} has neither test nor excuse, or if an excuse is not true;
then the last lines say what is wrong. 2 if the command line is.
`;

interface Choice {
  readonly families: readonly string[];
  readonly missing: boolean;
  readonly json: boolean;
}

/** @throws Error whose message is for the user; `undefined` is a request for help */
function read(args: readonly string[], known: readonly string[]): Choice | undefined {
  const flag = { type: 'boolean', default: false } as const;
  const options = { missing: flag, json: flag, help: flag };
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options });
  const stranger = positionals.find((name) => !known.includes(name));
  if (stranger !== undefined) throw new Error(`there is no family ${stranger}, but ${known.join(', ')}`);
  return values.help ? undefined : { families: positionals, missing: values.missing, json: values.json };
}

function toJson(row: Row): object {
  const { requirement, tests, excuse } = row;
  const where = tests.map(({ file, line, title }) => ({ file, line, title }));
  const why = excuse === undefined ? {} : { readme: excuse.row, reason: excuse.reason };
  return { ...requirement, status: statusOf(row), tests: where, ...why };
}

function toText(row: Row): string {
  const { requirement, tests, excuse } = row;
  const { id, level, source, text } = requirement;
  const lines = [`${id.padEnd(9)} ${level.padEnd(10)} ${statusOf(row).padEnd(15)} ${text} (${source})`];
  for (const { file, line, title } of tests) lines.push(`            ${file}:${line} ${title}`);
  if (excuse !== undefined) lines.push(`            README, not implemented: ${excuse.row}: ${excuse.reason}`);
  return `${lines.join('\n')}\n`;
}

function summary(rows: readonly Row[], family: string): string {
  const counts = new Map<Status, number>();
  for (const row of rows) counts.set(statusOf(row), (counts.get(statusOf(row)) ?? 0) + 1);
  const parts = [...counts].map(([status, count]) => `${count} ${status}`);
  return `${family}: ${rows.length} rows: ${parts.join(', ')}\n`;
}

function print(rows: readonly Row[], { missing, json }: Choice): void {
  const shown = rows.filter((row) => !missing || row.tests.length === 0);
  if (json) {
    process.stdout.write(`${JSON.stringify(shown.map(toJson), undefined, 2)}\n`);
    return;
  }
  for (const family of new Set(rows.map(({ requirement }) => requirement.family))) {
    const isOf = (row: Row): boolean => row.requirement.family === family;
    process.stdout.write(`\n${summary(rows.filter(isOf), family)}\n${shown.filter(isOf).map(toText).join('')}`);
  }
}

/** Returns the exit code. */
function main(args: readonly string[]): number {
  const sources = readSources(fileURLToPath(new URL('..', import.meta.url)));
  const rows = matrixOf(sources);
  let choice: Choice | undefined;
  try {
    choice = read(args, [...new Set(sources.requirements.map(({ family }) => family))]);
  } catch (error) {
    process.stderr.write(`conformance: ${(error as Error).message.split('\n')[0]}\n`);
    return 2;
  }
  if (choice === undefined) {
    process.stdout.write(USAGE);
    return 0;
  }
  const { families } = choice;
  print(
    rows.filter(({ requirement }) => families.length === 0 || families.includes(requirement.family)),
    choice,
  );
  const problems = problemsOf(sources);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  return problems.length === 0 ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
