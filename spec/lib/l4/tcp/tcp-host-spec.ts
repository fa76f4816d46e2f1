import { expect } from 'chai';
import { forBothVersions } from '../../../both-versions.js';
import { App, join, Pair, pattern } from './pair.js';

forBothVersions('two TCP hosts', ({ version }) => {
  it('shake hands, move data both ways in order, and close (SM-11)', () => {
    const pair = new Pair({ version });
    const up = pattern(100_000, 3);
    const down = pattern(200_000, 5);
    const client = new App(up);
    const server = new App(down);
    join(pair, client, server);
    pair.scheduler.run();
    expect(Buffer.compare(server.data, up)).to.equal(0);
    expect(Buffer.compare(client.data, down)).to.equal(0);
    expect(client.events.at(0)).to.equal('connected');
    expect(client.events.at(-1)).to.equal('closed');
    expect(server.events.at(-1)).to.equal('closed');
    expect(pair.hosts[0].counters).to.deep.include({ opened: 1, accepted: 0 });
    expect(pair.hosts[1].counters).to.deep.include({ opened: 0, accepted: 1 });
    expect(pair.hosts[0].counters.retransmits + pair.hosts[1].counters.retransmits).to.equal(0);
    pair.expectClean();
  });

  it('refuse where nobody listens (E-01)', () => {
    const pair = new Pair({ version });
    const client = new App();
    client.connection = pair.hosts[0].connect({ address: pair.ends[1], port: 81 }, client);
    pair.scheduler.run();
    expect(client.events).to.deep.equal(['closed ECONNREFUSED']);
    pair.expectClean();
  });
});
