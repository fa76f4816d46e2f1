/**
 * Loads the ES modules of programs: runs on the thread that Node keeps for customisation hooks (`module.register`).
 *
 * A module belongs to a program if its URL says so in its query, which what it imports inherits. Its built-in modules are the program's, and
 * its globals are imported in front of its first line, except those names that it declares itself: the engine
 * says which.
 */

import { readFileSync } from 'node:fs';
import { isBuiltin, type LoadHook, type ResolveHook } from 'node:module';
import { fileURLToPath } from 'node:url';
import { BUILTIN_SCHEME, GLOBALS, GLOBALS_MODULE, PROGRAM_QUERY, REGISTRY } from './module-names.js';

const ROOM = `globalThis[Symbol.for('${REGISTRY}')]`;

/** The program's part of a URL, as it stands there, or `undefined`. */
function queryOf(url: string | undefined): string | undefined {
  return url === undefined ? undefined : new RegExp(`\\?(${PROGRAM_QUERY}=.*)$`).exec(url)?.[1];
}

function programOf(query: string): string {
  return query.slice(PROGRAM_QUERY.length + 1);
}

export const resolve: ResolveHook = async (specifier, context, next) => {
  const query = queryOf(context.parentURL);
  if (query === undefined || specifier.startsWith(BUILTIN_SCHEME)) {
    return specifier.startsWith(BUILTIN_SCHEME) ? { url: specifier, shortCircuit: true } : next(specifier, context);
  }
  if (isBuiltin(specifier)) {
    return { url: `${BUILTIN_SCHEME}${programOf(query)}/${specifier.replace(/^node:/, '')}`, shortCircuit: true };
  }
  const parentURL = context.parentURL?.slice(0, -query.length - 1);
  const found = await next(specifier, { ...context, parentURL });
  return found.url.startsWith('file:') ? { ...found, url: `${found.url}?${query}` } : found;
};

export const load: LoadHook = async (url, context, next) => {
  if (url.startsWith(BUILTIN_SCHEME)) return synthetic(await builtin(url));
  const query = queryOf(url);
  if (query === undefined) return next(url, context);
  const id = programOf(query);
  const file = fileURLToPath(url.slice(0, -query.length - 1));
  const loaded = await next(url, context);
  if (loaded.format === 'commonjs') return synthetic(commonJs(id, file));
  if (loaded.format !== 'module') return loaded;
  const source = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source);
  return { ...loaded, source: await withGlobals(source, id) };
};

/** The text of a module with the program's globals imported in front. */
async function withGlobals(source: string, id: string): Promise<string> {
  const names: string[] = [...GLOBALS];
  for (;;) {
    const text = withFront(source, `import {${names.join()}} from '${BUILTIN_SCHEME}${id}/${GLOBALS_MODULE}';`);
    const own = await declaredTwice(text);
    if (own === undefined || !names.includes(own)) return text;
    names.splice(names.indexOf(own), 1);
  }
}

/** On the first line, so that the lines of errors are right; behind what is for the shell. */
function withFront(source: string, front: string): string {
  return /^#!.*/.test(source) ? source.replace(/^#!.*/, front) : front + source;
}

/**
 * A name that a module declares although it imports it, if there is one: asks the engine to compile the module here. It does not run, since
 * what it imports first can be found on no thread but the program's.
 */
async function declaredTwice(text: string): Promise<string | undefined> {
  try {
    await import(`data:text/javascript,${encodeURIComponent(text)}`);
  } catch (error) {
    if (error instanceof SyntaxError)
      return /^Identifier '([^']+)' has already been declared$/.exec(error.message)?.[1];
  }
  return undefined;
}

function synthetic(source: string) {
  return { format: 'module' as const, source, shortCircuit: true };
}

/** A module that exports what the program has under this name; named exports are those that Node's has. */
async function builtin(url: string): Promise<string> {
  const [, id = '', name = ''] = /^([^/]*)\/(.*)$/.exec(url.slice(BUILTIN_SCHEME.length)) ?? [];
  if (name === GLOBALS_MODULE) return exporting(`${ROOM}.enter(${id})`, GLOBALS);
  const names = Object.keys((await import(`node:${name}`)) as object);
  return exporting(`${ROOM}.builtin(${id}, ${JSON.stringify(name)})`, names);
}

/** A CommonJS module, which the program requires; named exports are those that are assigned to by name in its text. */
function commonJs(id: string, file: string): string {
  const text = readFileSync(file, 'utf8');
  const names = [...text.matchAll(/\bexports\.([A-Za-z_$][\w$]*)\s*=[^=]/g)].map(([, name = '']) => name);
  return exporting(`${ROOM}.require(${id}, ${JSON.stringify(file)})`, names);
}

function exporting(value: string, names: readonly string[]): string {
  const named = [...new Set(names)].filter((name) => name !== 'default' && name !== 'module.exports');
  const lines = named.map((name, i) => `const e${i} = m[${JSON.stringify(name)}]; export { e${i} as ${name} };`);
  return [`const m = ${value}; export default m;`, ...lines].join('\n');
}
