/** Bulk both ways, short connections and datagrams at once, for seconds; `npm run bench -- mixed` does it for minutes. */

import { expect } from 'chai';
import { growth, mixedLoad } from '../../bench/mixed-load.js';
import { describeNetns } from './namespace.js';

describeNetns('mixed load', (netns) => {
  for (const offload of [true, false]) {
    it(`brings every byte right, and takes no more memory at its end, ${offload ? 'with' : 'without'} offloads`, async function () {
      this.timeout(60_000);
      const options = { seconds: 6, connectionsPerSecond: 200, datagramsPerSecond: 1000 };
      const { done, health } = await mixedLoad({ ...options, tap: { offload } }, netns.namespace);
      expect(done.wrong).to.deep.equal({});
      expect(done.sent, 'transfers to us').to.be.at.least(1);
      expect(done.received, 'transfers from us').to.be.at.least(1);
      expect(done.connections).to.be.above(800);
      expect(done.datagrams).to.be.above(4000);
      // Seconds show a leak of every segment, connection or datagram: each would be tens of megabytes.
      expect(
        growth(health, (each) => each.heap),
        'bytes more',
      ).to.be.below(32 << 20);
    });
  }
});
