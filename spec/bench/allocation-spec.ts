/** The path of every frame makes no objects: what it did would be collected again and again, in the middle of everything else. */

import { execFileSync } from 'node:child_process';
import { expect } from 'chai';

/** What a program prints. In a process of its own: what other tests did with the same functions the engine would have optimised them for, too. */
function printedBy(program: string, ...args: readonly string[]): number {
  const { pathname } = new URL(program, import.meta.url);
  const options = { encoding: 'utf8', timeout: 25_000 } as const;
  return Number(execFileSync(process.execPath, ['--import=tsx', pathname, ...args], options));
}

for (const version of [4, 6] as const) {
  describe(`Ethernet, IPv${version} and the lookup of the connection`, () => {
    for (const flows of [1, 64]) {
      it(`make no object per frame, with ${flows} flows`, function () {
        this.timeout(30_000);
        const bytes = printedBy('allocation-program.ts', `${version}`, `${flows}`);
        // A view is 48 bytes. Code that the engine has not optimised yet may box a number, of 16.
        expect(bytes).to.be.below(24);
      });
    }
  });
}

describe('A round trip on a connection', () => {
  it('makes no array for what is sent back, nor anything else but a few numbers', function () {
    this.timeout(30_000);
    // Times are boxed, 16 bytes each, where functions hand them on. An array takes 270.
    expect(printedBy('echo-program.ts')).to.be.below(250);
  });
});
