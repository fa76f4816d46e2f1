/** The path of every frame makes no objects: what it did would be collected again and again, in the middle of everything else. */

import { expect } from 'chai';
import { BATCH, tcpDemux } from '../../bench/micro/pipeline.js';

const RUNS = 20;
const TRIES = 20;

/** Bytes of the heap per frame, the least of several tries: the test runner allocates, too. */
function allocated(work: () => void): number {
  for (let i = 0; i < 200; i++) work();
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIES; i++) {
    const before = process.memoryUsage().heapUsed;
    for (let run = 0; run < RUNS; run++) work();
    const grown = process.memoryUsage().heapUsed - before;
    if (grown >= 0) least = Math.min(least, grown / (RUNS * BATCH));
  }
  return least;
}

for (const version of [4, 6] as const) {
  describe(`Ethernet, IPv${version} and the lookup of the connection`, () => {
    for (const flows of [1, 64]) {
      it(`make no object per frame, with ${flows} flows`, () => {
        // A view is 48 bytes. Code that the engine has not optimised yet may box a number, of 16.
        expect(allocated(tcpDemux(version, flows))).to.be.below(24);
      });
    }
  });
}
