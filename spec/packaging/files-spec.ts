/** What is in the package: all that its documents lead to. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The way in a link of Markdown, unless it leads out of the package or to the same page. */
const LINK = /\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g;

describe('the files of the package', () => {
  it('are all that its documents lead to', function () {
    this.timeout(60_000);
    const packed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    const [{ files }] = JSON.parse(packed) as [{ files: { path: string }[] }];
    const paths = files.map(({ path }) => path);
    const documents = paths.filter((path) => path.endsWith('.md'));
    expect(documents).to.include.members(['README.md', 'docs/TESTING.md']);
    for (const document of documents) {
      for (const [, way = ''] of readFileSync(join(ROOT, document), 'utf8').matchAll(LINK)) {
        const target = join(dirname(document), way);
        const isThere = paths.some((path) => path === target || path.startsWith(`${target}/`));
        expect(isThere, `${document}: ${way}`).to.equal(true);
      }
    }
  });
});
