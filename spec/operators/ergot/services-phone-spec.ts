import { expect } from 'chai';
import { link } from '../../../drivers/link.js';
import { FramePool } from '../../../lib/core/frame.js';
import * as e from '../../../lib/ergot/index.js';
import { ergot } from '../../../operators/ergot/ergot.js';
import { discover, findSockets, ping, services } from '../../../operators/ergot/services/index.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';

/** An apex with two children, which have asked it for their addresses. */
function family() {
  const scheduler = new SimulationScheduler();
  const env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
  const device = (bits: number) =>
    ergot(e.phoneProfile({ bits, link: ({ name }) => (name === 'up' ? 'parent' : 'child') }), {}, env);
  const [apex, a, b] = [device(10), device(7), device(6)] as const;
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
});
