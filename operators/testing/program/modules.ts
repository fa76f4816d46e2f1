/** The built-in modules of a program: those that have to do with network and time are its host's, the others are Node's. */

import { createRequire } from 'node:module';
import type { LookupFunction } from 'node:net';
import { programHttp } from './http.js';
import { programDns } from './names.js';
import type { Program } from './program.js';
import { refused } from './refused.js';
import { programDgram, programNet } from './sockets.js';
import { type ProgramTimers, programTimerPromises } from './timers.js';

/** What would leave the simulation, or the process: may be required, as libraries do that then leave it alone, but not used. */
const NOT_SIMULATED = new Set([
  'child_process',
  'cluster',
  'http2',
  'https',
  'inspector',
  'inspector/promises',
  'repl',
  'tls',
  'worker_threads',
]);

const nodeRequire = createRequire(import.meta.url);

/** Finds built-in modules, by names with or without `node:`. */
export type Builtins = (name: string) => unknown;

/** @param globals of {@link programGlobals} */
export function programBuiltins(
  program: Program,
  timers: ProgramTimers,
  { globals, crypto }: Readonly<Record<'globals' | 'crypto', Readonly<Record<string, unknown>>>>,
  lookup: LookupFunction,
): Builtins {
  const net = programNet(program, lookup);
  const dns = programDns(lookup);
  const promises = programTimerPromises({ ...timers, clear: timers.clearTimeout });
  const own: Readonly<Record<string, unknown>> = {
    net,
    http: programHttp(net, () => program.timers.now()),
    dgram: programDgram(program, lookup),
    crypto,
    dns,
    'dns/promises': dns['promises'],
    timers: { ...timers, promises },
    'timers/promises': promises,
    process: globals['process'],
    console: globals['console'],
    perf_hooks: { ...(nodeRequire('node:perf_hooks') as object), performance: globals['performance'] },
  };
  return (name) => {
    const bare = name.replace(/^node:/, '');
    if (Object.hasOwn(own, bare)) return own[bare];
    const module: unknown = nodeRequire(name);
    return NOT_SIMULATED.has(bare) ? refusing(bare, module as object) : module;
  };
}

/** A module whose functions and classes throw when they are called. */
function refusing(name: string, module: object): Readonly<Record<string, unknown>> {
  const entries = Object.entries(module).filter(([, value]) => typeof value !== 'object');
  return Object.fromEntries(
    entries.map(([key, value]) => [key, typeof value === 'function' ? refused(`${name}.${key}`) : (value as unknown)]),
  );
}
