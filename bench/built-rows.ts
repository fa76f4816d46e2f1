/**
 * Rows of benchmarks that need no wire. They are measured by what is built, as the package is published, not by sources that a loader translates; each in a process
 * of its own, since what one did with the stack's functions V8 would have optimised them for in the next, too.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { removeAtExit, removed } from './leavings.js';
import type { Workshop } from './programs.js';
import type { Row } from './report.js';
import type { InMemory } from './rows.js';

/** Measures one of them. @throws Error if it does not compile, or fails */
export async function builtRows(name: InMemory, rounds: number, workshop: Pick<Workshop, 'stack'>): Promise<Row[]> {
  const { command, args } = workshop.stack('rows');
  const own = ['--expose-gc', ...args, name, String(rounds)];
  const child = spawn(command, own, { stdio: ['ignore', 'pipe', 'inherit'] });
  const running = { remove: () => void child.kill('SIGKILL') };
  removeAtExit(running);
  try {
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => void (printed += text));
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    if (code !== 0) throw new Error(`the benchmark ${name} failed with ${code ?? signal}`);
    return JSON.parse(printed) as Row[];
  } finally {
    removed(running);
  }
}
