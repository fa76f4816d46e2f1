/** The path of every frame makes no objects: what it did would be collected again and again, in the middle of everything else. */

import { expect } from 'chai';
import { BATCH, tcpDemux } from '../../bench/micro/pipeline.js';
import { allocated } from './heap.js';

for (const version of [4, 6] as const) {
  describe(`Ethernet, IPv${version} and the lookup of the connection`, () => {
    for (const flows of [1, 64]) {
      it(`make no object per frame, with ${flows} flows`, () => {
        // A view is 48 bytes. Code that the engine has not optimised yet may box a number, of 16.
        expect(allocated(tcpDemux(version, flows), BATCH)).to.be.below(24);
      });
    }
  });
}
