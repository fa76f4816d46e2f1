/**
 * Compiles the package as it is published.
 *
 *     build.ts [DIRECTORY]
 */

import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { ownBindingsIn } from './own-bindings.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const COMPILER = resolve(ROOT, 'node_modules/typescript/bin/tsc');

/** Compiles a project of the compiler's into a directory; what it has to say goes to our standard error. @throws Error if it does not compile */
export function build(project: string, directory: string): void {
  execFileSync(process.execPath, [COMPILER, '-p', project, '--outDir', directory], { stdio: ['ignore', 2, 2] });
  ownBindingsIn(directory);
}

if (fileURLToPath(import.meta.url) === resolve(argv[1] ?? '')) {
  build(resolve(ROOT, 'tsconfig.build.json'), resolve(argv[2] ?? 'dist'));
}
