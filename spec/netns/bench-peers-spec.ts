/** Those that the TAP benchmark compares, ourselves included: each serves every load. */

import { expect } from 'chai';
import { measured, pinged } from '../../bench/load.js';
import { addressOf, PEERS } from '../../bench/peers.js';
import { Workshop } from '../../bench/programs.js';
import { ready } from '../../bench/ready.js';
import { withPorts } from '../../bench/tap.js';
import { COLUMNS } from '../../bench/tap-report.js';
import { describeNetns } from './namespace.js';

const NET = 7;

describeNetns('the TAP benchmark', (netns) => {
  const workshop = new Workshop();
  after(() => workshop.remove());

  for (const peer of PEERS) {
    it(`asks ${peer.name} for everything`, async function () {
      this.timeout(60_000);
      const { namespace: client } = netns;
      withPorts(client);
      const load = workshop.c('load');
      if (load === undefined) this.skip();
      const made = peer.make({ client, workshop, net: NET, server: (label) => netns.make(label) });
      if ('missing' in made) this.skip();
      await ready(made);
      const address = addressOf(NET, peer.version);
      for (const { kind, parallel, key } of COLUMNS) {
        const brief = { parallel, address, seconds: 0.1, warmUp: 0.1 };
        const figure = await (kind === 'ping'
          ? pinged(client, address, 1)
          : measured(client, load, { kind, ...brief }));
        expect(figure, key).to.be.above(0);
      }
    });
  }
});
