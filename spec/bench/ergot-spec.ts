/** What benchmarks of ergot say that does not depend on the machine, and that the path of a frame makes no objects. */

import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { headerBytes, overheadRows, phoneHeaderBytes } from '../../bench/ergot.js';
import { routes } from '../../bench/micro/ergot.js';
import { netAddress } from '../../lib/ergot/index.js';

const PROGRAM = new URL('ergot-program.ts', import.meta.url).pathname;

describe('the benchmark of ergot', () => {
  it('says how many bytes a frame takes beside what is said', () => {
    expect(overheadRows().map(({ value }) => value)).to.deep.equal([9, 13, 18, 7, 11, 15, 20]);
    expect(headerBytes(netAddress(0, 1, 1), 0)).to.equal(8);
    expect(phoneHeaderBytes(0x3a22, 16)).to.equal(8);
  });

  it('fills tables as it says', () => {
    expect([routes(10).size, routes(1_000).size, routes(10, true).size]).to.deep.equal([10, 1_000, 10]);
  });

  it('makes no object for whatever is done to each frame', function () {
    this.timeout(60_000);
    // In a process of its own: what other tests did with the same functions the engine would have optimised them for, too.
    const args = ['--import=tsx', PROGRAM];
    const bytes = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 50_000 })) as object;
    expect(Object.keys(bytes)).to.have.length(11);
    // Not even a number in memory, which is 16 bytes.
    for (const [name, each] of Object.entries(bytes)) expect(each, name).to.be.below(12);
  });
});
