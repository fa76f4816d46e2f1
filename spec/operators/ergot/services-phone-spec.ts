import { expect } from 'chai';
import { link } from '../../../drivers/link.js';
import { FramePool } from '../../../lib/core/frame.js';
import * as e from '../../../lib/ergot/index.js';
import { ergot } from '../../../operators/ergot/ergot.js';
import { discover, findSockets, ping, services } from '../../../operators/ergot/services/index.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';

/** An apex with two children, which have asked it for their addresses. */
function family(bits = 6) {
  const scheduler = new SimulationScheduler();
  const env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
  const device = (bits: number, sockets = 7) =>
    ergot(e.phoneProfile({ bits, sockets, link: ({ name }) => (name === 'up' ? 'parent' : 'child') }), {}, env);
  const [apex, a, b] = [device(10), device(7), device(bits, bits)] as const;
  for (const child of [a, b]) {
    const { ends } = link({ medium: 'ergot', ends: ['down', 'up'] }, env);
    apex.plug(ends[0]);
    child.plug(ends[1]);
  }
  scheduler.runFor(2000);
  const end = (): void => {
    for (const node of [apex, a, b]) node.dispose();
    scheduler.run();
    expect([env.pool.outstanding, scheduler.pending]).to.deep.equal([0, 0]);
  };
  return { scheduler, apex, a, b, end };
}

describe('services between phone numbers', () => {
  it('find devices and sockets, which then can be pinged and asked', () => {
    const { scheduler, apex, a, b, end } = family();
    const sum = e.endpoint('app/sum', e.seq(e.u8), e.u32);
    services(apex, { device: { name: 'apex', id: 1n } });
    services(b, { device: { name: 'b', id: 3n } });
    b.serve(sum, { port: 9 }).subscribe((request) => request.answer(request.value.reduce((x, y) => x + y, 0)));

    const devices = new Map<string | undefined, e.PhoneAddress>();
    discover(a, { timeout: 500 }).subscribe(({ name, address }) => devices.set(name, address));
    scheduler.runFor(600);
    expect([...devices.keys()]).to.have.members(['apex', 'b']);

    const heard: string[] = [];
    for (const [name, address] of devices) {
      ping(a, address, { count: 1 }).subscribe(({ kind }) => heard.push(`${String(name)} ${kind}`));
    }
    const sockets: e.PhoneAddress[] = [];
    findSockets(a, e.serversOf(sum), { timeout: 500 }).subscribe(({ address }) => sockets.push(address));
    scheduler.runFor(1100);
    expect(heard).to.have.members(['apex reply', 'b reply']);

    const [found] = sockets;
    expect(sockets.length).to.equal(1);
    if (found === undefined) return;
    a.request(sum, found, [1, 2, 3]).subscribe(({ value }) => heard.push(String(value)));
    scheduler.runFor(100);
    expect(heard.at(-1)).to.equal('6');
    end();
  });

  it('tell of a socket at port 255, and of those that share a topic, apart', () => {
    const { scheduler, a, b, end } = family(8);
    const double = e.endpoint('app/double', e.u8, e.u8);
    const yeet = e.topic('topic/yeet', e.u8);
    services(b);
    b.serve(double, { port: 255 }).subscribe((request) => request.answer(2 * request.value));
    const heard: string[] = [];
    b.topic(yeet, { port: 254 }).subscribe(() => heard.push('own'));
    b.topic(yeet).subscribe(() => heard.push('shared'));
    const find = (query: e.SocketQuery): e.PhoneAddress | undefined => {
      const found: e.PhoneAddress[] = [];
      findSockets(a, query, { timeout: 100 }).subscribe(({ address }) => found.push(address));
      scheduler.runFor(200);
      expect(found.length).to.equal(1);
      return found[0];
    };
    const [server, shared, own] = [
      e.serversOf(double),
      e.subscribersOf(yeet),
      e.subscribersOf(yeet, undefined, false),
    ].map(find);
    if (server === undefined || shared === undefined || own === undefined) return;
    a.request(double, server, 4).subscribe(({ value }) => heard.push(String(value)));
    for (const to of [shared, own]) a.publish(yeet, to, 1);
    scheduler.runFor(100);
    expect(heard.sort()).to.deep.equal(['8', 'own', 'shared']);
    end();
  });
});
