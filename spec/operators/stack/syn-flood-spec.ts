import { expect } from 'chai';
import { ipOf } from '../../../lib/core/address.js';
import { asTx } from '../../../lib/core/frame.js';
import { link } from '../../../drivers/link.js';
import { host } from '../../../operators/stack/host.js';
import { virtualEnv } from '../../lib/l2/fake-device.js';
import { App, pattern } from '../../lib/l4/tcp/pair.js';
import { bytesInUse, segmentOf } from '../../../bench/memory.js';
import { TcpFlag } from '../../../lib/wire/tcp.js';

const SYNS = 100_000;
const BURST = 500;

describe('a host under a flood of SYNs (RFC 4987)', () => {
  it('serves a client meanwhile, and grows by no more than its embryonic connections', () => {
    const env = virtualEnv();
    const { ends } = link({ ends: ['client', 'server', 'attacker'], medium: 'ip' }, env);
    const [, , attacker] = ends;
    const sideOf = (index: 0 | 1, address: string) => {
      const device = ends[index];
      const me = host({ device, addresses: [`${address}/24`], routes: [{ destination: 'default', device }] }, env);
      const subscription = device.frames$.pipe(me).subscribe(device.sink);
      return { me, subscription, address: ipOf(address) };
    };
    const [here, there] = [sideOf(0, '10.0.0.1'), sideOf(1, '10.0.0.2')];
    const data = pattern(200_000);
    const [client, server] = [new App(data), new App(data)];
    const listener = there.me.tcp.listen({ address: there.address, port: 80 });
    listener.acceptable = () => {
      const connection = listener.accept();
      if (connection !== undefined) server.attach(connection).start();
    };
    const syn = (i: number) => segmentOf(env, there.address, i, { flags: TcpFlag.Syn, sequence: i });
    const before = bytesInUse();
    for (let burst = 0; burst < SYNS / BURST; burst++) {
      env.scheduler.schedule(() => {
        for (let i = 0; i < BURST; i++) {
          attacker?.sink.next(asTx(syn(burst * BURST + i)));
        }
      }, 50 * burst);
    }
    env.scheduler.runFor(5000);
    expect(there.me.tcp.size).to.equal(1024);
    client.connection = here.me.tcp.connect({ address: there.address, port: 80 }, client);
    env.scheduler.runFor(6000);
    expect(bytesInUse() - before).to.be.lessThan(10_000_000);
    expect([Buffer.compare(client.data, data), Buffer.compare(server.data, data)]).to.deep.equal([0, 0]);
    expect(there.me.tcp.size).to.be.at.most(1025);
    expect(there.me.tcp.counters.segmentsIn).to.be.at.least(SYNS);
    for (const { subscription } of [here, there]) subscription.unsubscribe();
    env.scheduler.runFor(10);
    expect([env.pool.outstanding, env.scheduler.pending]).to.deep.equal([0, 0]);
  }).timeout(60_000);
});
