/** What the hooks of ES modules and the programs agree on. */

/** Key of the query that says to which program a module belongs. */
export const PROGRAM_QUERY = 'rx-netstack-program';
/** Scheme of a program's built-in modules: `rx-netstack-builtin:1/net`. */
export const BUILTIN_SCHEME = 'rx-netstack-builtin:';
/** Name of the one that has the program's globals. */
export const GLOBALS_MODULE = '(globals)';
/** Symbol, registered for all, under which `globalThis` leads from a module to its program. */
export const REGISTRY = 'rx-netstack.programs';

/** Globals that a program has of its own. */
export const GLOBALS = [
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
  'queueMicrotask',
  'Date',
  'performance',
  'Math',
  'crypto',
  'process',
  'console',
  'fetch',
  'WebSocket',
  'EventSource',
  'globalThis',
  'global',
] as const;
