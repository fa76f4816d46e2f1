/** The package as it is published: compiled, and with constants of its modules' own for what they import and export. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { ownBindings } from '../../packaging/own-bindings.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

describe('own bindings of compiled modules', () => {
  it('are constants for what is imported, in its line', () => {
    expect(ownBindings(`import { a, b as c, d$, } from './x.js';\nc(a, d$);\n`)).to.equal(
      `import { a as a$imported, b as c$imported, d$ as d$$imported } from './x.js'; ` +
        `const a = a$imported, c = c$imported, d$ = d$$imported;\nc(a, d$);\n`,
    );
  });

  it('are constants for what is exported, in front of the source map', () => {
    const source = [
      `export const LIMIT = 4;`,
      `export class Port {`,
      `}`,
      `export async function open() {`,
      `    return LIMIT;`,
      `}`,
      `//# sourceMappingURL=x.js.map`,
    ];
    const own = ownBindings(source.join('\n')).split('\n');
    expect(own.slice(0, 6)).to.deep.equal(source.slice(0, 6).map((line) => line.replace('export ', '')));
    expect(own.slice(6)).to.deep.equal([
      'const LIMIT$exported = LIMIT, Port$exported = Port, open$exported = open; ' +
        'export { LIMIT$exported as LIMIT, Port$exported as Port, open$exported as open };',
      '//# sourceMappingURL=x.js.map',
    ]);
  });

  it('are not made for what may change, or belongs to others', () => {
    for (const line of [
      `import { readFileSync } from 'node:fs';`,
      `import * as all from './x.js';`,
      `import './x.js';`,
      `import {} from './x.js';`,
      `export { a } from './x.js';`,
      `export * from './x.js';`,
      `export let count = 0;`,
      `const text = "export const a = 1";`,
      `    export const indented = 1;`,
    ])
      expect(ownBindings(line), line).to.equal(line);
  });

  it('are made once', () => {
    const once = ownBindings(`import { a } from './x.js';\nexport const b = a;\n`);
    expect(ownBindings(once)).to.equal(once);
  });

  describe('in the package', () => {
    let built: string;
    let plain: Map<string, string>;
    before(function () {
      this.timeout(120_000);
      built = mkdtempSync(join(tmpdir(), 'rx-build-'));
      const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
      execFileSync(process.execPath, [compiler, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', built]);
      const modules = readdirSync(built, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.js'));
      plain = new Map(modules.map((path) => [path, readFileSync(join(built, path), 'utf8')]));
      execFileSync('npm', ['run', '--silent', 'build', '--', built], {
        cwd: ROOT,
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      writeFileSync(join(built, 'package.json'), '{"type":"module"}');
      symlinkSync(join(ROOT, 'node_modules'), join(built, 'node_modules'));
    });
    after(() => rmSync(built, { recursive: true }));

    it('leave no binding of ours to be read from a cell, and no line elsewhere', () => {
      expect(plain.size).to.be.above(500);
      for (const [path, before] of plain) {
        const now = readFileSync(join(built, path), 'utf8');
        expect(now, path).not.to.match(/^export (?:const|let|class|function|async)/m);
        for (const [, list] of now.matchAll(/^import \{([^}]+)\} from '\./gm)) {
          for (const binding of list?.split(',') ?? []) expect(binding, path).to.match(/ as [\w$]+\$imported *$/);
        }
        const lines = now.split('\n');
        for (const [i, line] of before.trimEnd().split('\n').entries()) {
          if (line.startsWith('import {')) expect(lines[i], path).to.match(/^import \{/);
          else if (!line.startsWith('//# sourceMappingURL'))
            expect(lines[i], path).to.equal(line.replace(/^export (?![{*])/, ''));
        }
      }
    });

    it('stand in classes that assign their fields, and define none before that', () => {
      for (const [path, text] of plain) expect(text, path).not.to.match(/^ {4}(?!return;)[\w$]+;$/m);
    });

    it('change nothing of what it exports', async function () {
      this.timeout(60_000);
      const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
        exports: Record<string, { default?: string }>;
      };
      const entries = Object.values(exports).flatMap(({ default: entry }) => entry ?? []);
      expect(entries).to.have.length.above(5);
      for (const entry of entries) {
        const path = relative('dist', entry);
        const compiled = (await import(pathToFileURL(join(built, path)).href)) as object;
        const source = (await import(pathToFileURL(join(ROOT, path.replace(/\.js$/, '.ts'))).href)) as object;
        expect(Object.keys(compiled), entry).to.deep.equal(Object.keys(source));
      }
    });

    it('run the demo', function () {
      this.timeout(60_000);
      const output = execFileSync(process.execPath, [join(built, 'cli/main.js')], { cwd: built, encoding: 'utf8' });
      expect(output).to.match(/no connection, no frame, no timer/);
    });
  });
});
