/** The path of every frame makes no objects: what it did would be collected again and again, in the middle of everything else. */

import { execFileSync } from 'node:child_process';
import { expect } from 'chai';

const PROGRAM = new URL('allocation-program.ts', import.meta.url).pathname;

for (const version of [4, 6] as const) {
  describe(`Ethernet, IPv${version} and the lookup of the connection`, () => {
    for (const flows of [1, 64]) {
      it(`make no object per frame, with ${flows} flows`, function () {
        this.timeout(30_000);
        // In a process of its own: what other tests did with the same functions the engine would have optimised them for, too.
        const args = ['--import=tsx', PROGRAM, `${version}`, `${flows}`];
        const bytes = Number(execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 25_000 }));
        // A view is 48 bytes. Code that the engine has not optimised yet may box a number, of 16.
        expect(bytes).to.be.below(24);
      });
    }
  });
}
