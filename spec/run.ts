/**
 * What `npm test` runs: the specs whose other end is the kernel, in which time passes, in two processes, and beside them, as far as there is processor
 * time left, all others. Arguments are handed to all runs of mocha, e.g. `npm test -- --grep vlan`.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { constants, setPriority } from 'node:os';

const MOCHA = createRequire(import.meta.url).resolve('mocha/bin/mocha.js');
const WITH_THE_KERNEL = 'spec/{netns,drivers,bench}/**/*-spec.ts';
/** They take about as long as the rest of these. */
const SECOND_HALF = 'spec/netns/[n-z]*-spec.ts';
/** With those that run whole programs, examples among them, which have to end in time. */
const FIRST_HALF = ['spec/*-spec.ts', WITH_THE_KERNEL, '--ignore', SECOND_HALF];
const OTHERS = ['spec/*/**/*-spec.ts', '--ignore', WITH_THE_KERNEL];
/** They have the processor when others leave it. */
const PATIENCE = ['--timeout', '60000'];
const COUNTS = ['passing', 'pending', 'failing'] as const;

interface Run {
  readonly output: string;
  /** Of the process: 0 where all passed, 1 where it was killed. */
  readonly status: number;
}

/** Runs mocha on these files, and prints what it says: as it comes, or, in the background, at the end. */
async function run(files: readonly string[], inBackground: boolean, priority: number): Promise<Run> {
  const args = [MOCHA, ...process.argv.slice(2), ...files];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.pid !== undefined && priority !== 0) setPriority(child.pid, priority);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (!inBackground) process.stdout.write(text);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (inBackground) process.stdout.write(output);
  return { output, status: code ?? 1 };
}

/** How many tests passed, failed or were skipped, as mocha's closing lines say. */
function count(what: string, { output }: Run): number {
  return Number([...output.matchAll(new RegExp(`^ *([0-9]+) ${what}`, 'gm'))].at(-1)?.[1] ?? 0);
}

const started = Date.now();
const runs = await Promise.all([
  run(FIRST_HALF, false, 0),
  run([SECOND_HALF], true, 0),
  run([...OTHERS, ...PATIENCE], true, constants.priority.PRIORITY_BELOW_NORMAL),
]);
const minutes = ((Date.now() - started) / 60_000).toFixed(1);
process.stdout.write(`\nAll specs, in ${minutes} minutes:\n`);
for (const what of COUNTS) {
  const sum = runs.reduce((total, one) => total + count(what, one), 0);
  if (sum > 0 || what === 'passing') process.stdout.write(`  ${sum} ${what}\n`);
}
process.exitCode = Math.max(...runs.map(({ status }) => Math.min(status, 1)));
