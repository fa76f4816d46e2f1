/** Starts programs. */

import { existsSync, readFileSync } from 'node:fs';
import { dirname, extname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../../../lib/core/errors.js';
import { SeededRandom } from '../../../lib/core/random.js';
import type { Host } from '../../stack/host.js';
import { programChance } from './chance.js';
import { CommonJs } from './common-js.js';
import { importMain } from './es-modules.js';
import { programGlobals } from './globals.js';
import { programBuiltins } from './modules.js';
import { type HostNames, programLookup } from './names.js';
import { Program } from './program.js';
import { programTimers } from './timers.js';

/** A program and what it is given: either `file` or `source`. */
export interface ProgramOptions {
  /** The main module, CommonJS or ES. */
  readonly file?: string | URL;
  /** Its text, instead: CommonJS. */
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
  const random = new SeededRandom(where.stack.env.random.uint32());
  const { module: crypto, web } = programChance(random);
  const globals = programGlobals(program, { timers, random, crypto: web }, { args, env, input, file: main });
  const lookup = programLookup(where.stack, where.names);
  const builtins = programBuiltins(program, timers, { globals, crypto }, lookup);
  const commonJs = new CommonJs(builtins, globals);
  if (file !== undefined && isEsModule(main)) {
    program.load((entered) => importMain(main, { builtins, commonJs, globals, entered }, program.exited));
  } else program.start(() => commonJs.run(main, source ?? readFileSync(main, 'utf8')));
  return program;
}

/** Whether Node takes a file for an ES module: by its name, or by what its package says. */
function isEsModule(file: string): boolean {
  const extension = extname(file);
  if (extension === '.mjs') return true;
  return extension === '.js' && packageType(dirname(file)) === 'module';
}

function packageType(directory: string): unknown {
  const file = join(directory, 'package.json');
  if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { readonly type?: unknown }).type;
  const above = dirname(directory);
  return above === directory ? undefined : packageType(above);
}
