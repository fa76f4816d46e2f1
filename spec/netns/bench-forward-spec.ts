/** Those that the forwarding benchmark compares, ourselves included: each takes further what it is sent, from whom it is to be. */

import { expect } from 'chai';
import { forwarded } from '../../bench/forward.js';
import { TRAFFIC } from '../../bench/forward-report.js';
import { FORWARDERS } from '../../bench/forwarders.js';
import { Workshop } from '../../bench/programs.js';
import { describeNetns } from './namespace.js';

describeNetns('the forwarding benchmark', (netns) => {
  const workshop = new Workshop();
  after(() => workshop.remove());

  for (const forwarder of FORWARDERS) {
    it(`sends everything through ${forwarder.name}, and counts what it is to count`, async function () {
      this.timeout(60_000);
      const { namespace: client } = netns;
      const server = netns.make('server');
      const load = workshop.c('packets');
      if (load === undefined) {
        console.warn('SKIPPED: the forwarding benchmark: there is no C compiler');
        this.skip();
      }
      const made = await forwarder.make({ client, server, workshop, between: () => netns.make('router') });
      if (made !== undefined) {
        console.warn(`SKIPPED: ${forwarder.name}: ${made.missing}`);
        this.skip();
      }
      const ends = { client, server };
      for (const traffic of TRAFFIC) {
        const { translates } = forwarder;
        let rate = 0;
        // On a busy machine a tenth of a second may be too short for anything.
        for (let tries = 0; tries < 5 && rate === 0; tries++) {
          rate = await forwarded(load, { ...ends, translates }, traffic, { seconds: 0.1, warmUp: 0.1 });
        }
        expect(rate, traffic.key).to.be.above(0);
        const others = { ...ends, translates: !translates };
        expect(await forwarded(load, others, traffic, { seconds: 0.05, warmUp: 0 }), 'from others').to.equal(0);
      }
    });
  }
});
