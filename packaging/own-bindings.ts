/**
 * The last step of a build: compiled modules use constants of their own for what they import and export.
 *
 * V8 keeps whatever a module exports in a cell, and reads that cell at each use, in the module itself as well as where it is imported, without knowing what it will
 * find there; a constant that is not exported it puts into the machine code. A packet's way leads through a hundred modules: docs/PERFORMANCE.md says what
 * this brings. Lint sees to what it needs: exports that do not change, so that nobody can tell a copy from the binding, and imports that go in no circle, so
 * that whatever is imported is there before it is copied. Lines stay where they are, for the source maps.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

// As the compiler writes them. Node's own modules are left out: their bindings may be replaced (`syncBuiltinESMExports`).
const IMPORT = /^import \{([^}]+)\} from ((['"])(?!node:).+\3);$/gm;
const BINDING = /([\w$]+)(?: as ([\w$]+))?/g;
const EXPORT = /^export (?=(?:const|class|function\*?|async function\*?) ([\w$]+))/gm;
/** At the end of a module, where there is one. */
const MAP = /\n*(\/\/# sourceMappingURL=.*\n*)?$/;

function withOwnImports(source: string): string {
  return source.replaceAll(IMPORT, (_, list: string, from: string) => {
    const bindings = Array.from(list.matchAll(BINDING), ([, name, local = name]) => ({ name, local }));
    const imports = bindings.map(({ name, local }) => `${name} as ${local}$imported`);
    const constants = bindings.map(({ local }) => `${local} = ${local}$imported`);
    return `import { ${imports.join(', ')} } from ${from}; const ${constants.join(', ')};`;
  });
}

function withOwnExports(source: string): string {
  const names = Array.from(source.matchAll(EXPORT), ([, name]) => name);
  if (names.length === 0) return source;
  const constants = names.map((name) => `${name}$exported = ${name}`).join(', ');
  const exports = names.map((name) => `${name}$exported as ${name}`).join(', ');
  const end = `\nconst ${constants}; export { ${exports} };\n`;
  return source.replaceAll(EXPORT, '').replace(MAP, (_, map: string | undefined) => `${end}${map ?? ''}`);
}

/** A compiled module that uses constants of its own, each line where it was; one that does so already is left as it is. */
export function ownBindings(source: string): string {
  return /\$(imported|exported)\b/.test(source) ? source : withOwnExports(withOwnImports(source));
}

/** The same for every module of a directory, in place. */
export function ownBindingsIn(directory: string): void {
  for (const path of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.js')) continue;
    const file = resolve(directory, path);
    writeFileSync(file, ownBindings(readFileSync(file, 'utf8')));
  }
}
