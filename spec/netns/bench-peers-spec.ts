/** Those that the TAP benchmark compares, ourselves included: each serves every load. */

import { expect } from 'chai';
import { columnsOf, type Load, measured, measuredColumn, NODE_LOAD } from '../../bench/load.js';
import { addressOf, PEERS } from '../../bench/peers.js';
import { Workshop } from '../../bench/programs.js';
import { ready } from '../../bench/ready.js';
import { withPorts } from '../../bench/tap.js';
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
      for (const column of columnsOf(load)) {
        const figure = await measuredColumn(client, load, column, address, { seconds: 0.1, warmUp: 0.1 });
        expect(figure, column.key).to.be.above(0);
      }
    });
  }

  it('has the kernel send by the congestion control that a column asks for', async function () {
    this.timeout(60_000);
    const { namespace: client } = netns;
    const program = workshop.c('load');
    const [peer] = PEERS;
    if (program === undefined || peer === undefined) this.skip();
    const made = peer.make({ client, workshop, net: NET, server: (label) => netns.make(label) });
    if ('missing' in made) this.skip();
    await ready(made);
    const load: Load = { kind: 'send', address: addressOf(NET), parallel: 1, seconds: 1, congestion: 'reno' };
    const running = measured(client, program, load);
    let seen = '';
    for (let left = 50; left > 0 && !/ reno /.test(seen); left--)
      seen = (await client.run('ss', ['-Htin', 'state', 'established'])).stdout;
    expect(seen).to.match(/ reno /);
    expect(await running).to.be.above(0);
  });

  it('asks a load that cannot choose one for no such column', () => {
    const keys = columnsOf(NODE_LOAD).map(({ key }) => key);
    expect(keys).to.include('send');
    expect(keys).not.to.include('sendByCubic');
  });
});
