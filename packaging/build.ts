/**
 * Compiles the package as it is published.
 *
 *     build.ts [DIRECTORY]
 */

import { execFileSync, type ExecFileSyncOptions } from 'node:child_process';
import { resolve } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { ownBindingsIn } from './own-bindings.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const COMPILER = resolve(ROOT, 'node_modules/typescript/bin/tsc');

/** What it says is shown. In a group of its own: Ctrl-C ends what starts the compiler, but not the compiler, which would go on writing. */
const OPTIONS: ExecFileSyncOptions & { detached: boolean } = { stdio: ['ignore', 2, 2], detached: true };

/** Compiles a project of the compiler's into a directory; what it has to say goes to our standard error. @throws Error if it does not compile */
export function build(project: string, directory: string): void {
  execFileSync(process.execPath, [COMPILER, '-p', project, '--outDir', directory], OPTIONS);
  ownBindingsIn(directory);
}

if (fileURLToPath(import.meta.url) === resolve(argv[1] ?? '')) {
  build(resolve(ROOT, 'tsconfig.build.json'), resolve(argv[2] ?? 'dist'));
}
