/** Waits for the services of benchmarks. */

import type { ChildProcess } from 'node:child_process';

/** A service says `ready` when it can be asked. @throws Error if it ends before */
export function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stdout?.on('data', (data: Buffer) => {
      said += data.toString();
      if (said.includes('ready')) resolve();
    });
    child.stderr?.on('data', (data: Buffer) => process.stderr.write(data));
    child.once('close', () => reject(new Error('a benchmark service ended early')));
  });
}
