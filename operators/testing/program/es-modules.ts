/**
 * Runs ES modules of a program. Node loads them, with hooks of ours in between (see `module-hooks`); this room is what the loaded
 * modules find on this thread, and the main module's start.
 */

import { register } from 'node:module';
import { pathToFileURL } from 'node:url';
import { UsageError } from '../../../lib/core/errors.js';
import type { CommonJs } from './common-js.js';
import type { Builtins } from './modules.js';
import { PROGRAM_QUERY, REGISTRY } from './module-names.js';

/** What a program's modules ask for. */
interface Resident {
  readonly builtins: Builtins;
  readonly commonJs: CommonJs;
  readonly globals: Readonly<Record<string, unknown>>;
  /** A module begins to run: everything is loaded. */
  readonly entered: () => void;
}

const residents = new Map<number, Resident>();
let registered = false;
let ids = 0;

function resident(id: number): Resident {
  const one = residents.get(id);
  if (one === undefined) throw new UsageError('ERR_INVALID_STATE', `there is no program ${id}`);
  return one;
}

function registerHooks(): void {
  if (registered) return;
  registered = true;
  const registry = {
    enter(id: number) {
      const { entered, globals } = resident(id);
      entered();
      return globals;
    },
    builtin: (id: number, name: string) => resident(id).builtins(name),
    require: (id: number, file: string) => resident(id).commonJs.require(file),
  };
  Object.defineProperty(globalThis, Symbol.for(REGISTRY), { value: registry, configurable: true });
  // As this module is written: in TypeScript while it is developed.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  register(new URL(`./module-hooks.${extension}`, import.meta.url));
}

/** Imports the main module of a program, which runs it. @param over settles when the program has ended */
export async function importMain(file: string, own: Resident, over: Promise<unknown>): Promise<void> {
  registerHooks();
  const id = ids++;
  residents.set(id, own);
  void over.then(() => residents.delete(id));
  await import(`${pathToFileURL(file).href}?${PROGRAM_QUERY}=${id}`);
}
