/** Starts programs. */

import { readFileSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../../../lib/core/errors.js';
import type { Host } from '../../stack/host.js';
import { CommonJs } from './common-js.js';
import { programGlobals } from './globals.js';
import { programBuiltins } from './modules.js';
import { type HostNames, programLookup } from './names.js';
import { Program } from './program.js';
import { programTimers } from './timers.js';

/** A program and what it is given: either `file` or `source`. */
export interface ProgramOptions {
  /** The main module. */
  readonly file?: string | URL;
  /** Its text, instead. */
  readonly source?: string;
  /** What a `source` is called, and where it requires from. Default `program.cjs` of the working directory. */
  readonly name?: string;
  /** `process.argv` behind the program's name. */
  readonly args?: readonly string[];
  /** `process.env`. Default empty: a program that reads the tester's is another one elsewhere. */
  readonly env?: Readonly<Record<string, string>>;
  /** What it reads from `process.stdin`. */
  readonly input?: string;
}

export function startProgram(where: { host: string; stack: Host; names: HostNames }, options: ProgramOptions): Program {
  const { file, source, name = 'program.cjs', args = [], env = {}, input } = options;
  if ((file === undefined) === (source === undefined)) {
    throw new UsageError('ERR_INVALID_OPTION', 'a program has either a file or a source');
  }
  const path = file instanceof URL || file?.startsWith('file:') ? fileURLToPath(file) : (file ?? name);
  const main = isAbsolute(path) ? path : resolve(path);
  const program = new Program(where.host, where.stack);
  const timers = programTimers(program);
  const globals = programGlobals(program, timers, { args, env, input, file: main });
  const builtins = programBuiltins(program, timers, globals, programLookup(where.stack, where.names));
  program.start(() => new CommonJs(builtins, globals).run(main, source ?? readFileSync(main, 'utf8')));
  return program;
}
