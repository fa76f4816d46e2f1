import { expect } from 'chai';
import { SeededRandom } from '../../../lib/core/random.js';
import { Dhcpv6InformationClient } from '../../../lib/l7/dhcpv6-information.js';
import { optionOf } from '../../../lib/l7/dhcpv6-lease.js';
import { Dhcpv6Type } from '../../../lib/wire/dhcpv6.js';
import type { Dhcpv6Option } from '../../../lib/wire/dhcpv6-options.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { DUID, FakeInterface6, FakePort6, ip, type Said, SERVER, status } from './dhcpv6-bench.js';

function bench() {
  const scheduler = new SimulationScheduler();
  const port = new FakePort6(scheduler);
  const env = environment({ scheduler, random: new SeededRandom(3) });
  const configuration = new FakeInterface6(env.timers);
  const seen: number[] = [];
  const changed = () => void seen.push(scheduler.now());
  const client = new Dhcpv6InformationClient({ port, configuration, duid: DUID, changed }, env);
  const reply = (to: Said, ...more: Dhcpv6Option[]) => {
    const own: Dhcpv6Option[] = [
      { kind: 'client-id', duid: DUID },
      { kind: 'server-id', duid: SERVER },
    ];
    const { transaction } = to.message;
    port.received?.({ type: Dhcpv6Type.Reply, transaction, options: [...own, ...more] });
  };
  return { scheduler, port, configuration, client, seen, reply };
}

const dns: Dhcpv6Option = { kind: 'dns-servers', servers: [ip('2001:db8::53')] };

describe('Dhcpv6InformationClient (8415-5)', () => {
  it('asks for settings, and again after a day', () => {
    const { scheduler, port, configuration, client, seen, reply } = bench();
    client.start();
    scheduler.runFor(1000);
    const asked = port.one('information-request');
    expect(asked.at).to.be.within(0, 1000);
    expect(optionOf(asked.message.options, 'option-request')?.codes).to.deep.equal([23, 24, 32, 83]);
    expect(optionOf(asked.message.options, 'ia-na')).to.equal(undefined);
    reply(asked, dns, { kind: 'domain-list', domains: ['home.test'] });
    expect(configuration.told).to.deep.equal(['dns 2001:db8::53 home.test']);
    const answered = scheduler.now();
    expect(client.information?.refreshAt).to.equal(answered + 86_400_000);
    scheduler.runUntil(answered + 86_400_000 - 1);
    expect(port.said).to.have.length(0);
    scheduler.runFor(1001);
    reply(port.one('information-request'), dns);
    expect(seen).to.have.length(2);
    client.dispose();
    expect(configuration.told.at(-1)).to.equal('dns');
    expect([scheduler.pending, port.closed]).to.deep.equal([0, true]);
  });

  it('asks again when the server says, in ten minutes at the soonest, or never', () => {
    for (const [seconds, wait] of [
      [1000, 1_000_000],
      [1, 600_000],
      [0xffff_ffff, Infinity],
    ] as const) {
      const { scheduler, port, client, reply } = bench();
      client.start();
      scheduler.runFor(1000);
      reply(port.one('information-request'), dns, { kind: 'information-refresh-time', seconds });
      expect((client.information?.refreshAt ?? 0) - scheduler.now()).to.equal(wait);
      expect(scheduler.pending).to.equal(wait === Infinity ? 0 : 1);
    }
  });

  it('goes on asking until somebody answers, ever more rarely; ignores failures and strangers', () => {
    const { scheduler, port, client, seen, reply } = bench();
    client.start();
    scheduler.runFor(1000);
    const first = port.one('information-request');
    reply(first, status(1));
    reply({ ...first, message: { ...first.message, transaction: first.message.transaction ^ 1 } }, dns);
    port.received?.({ type: Dhcpv6Type.Reply, transaction: first.message.transaction, options: [dns] });
    port.received?.({ ...first.message, type: Dhcpv6Type.Advertise });
    expect(seen).to.deep.equal([]);
    scheduler.runFor(5 * 3_600_000);
    const times = [first, ...port.said].map(({ at }) => at);
    const waits = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(waits[0]).to.be.within(900, 1100);
    expect(Math.max(...waits)).to.be.within(3_240_000, 3_960_000);
  });

  it('takes the longest wait from a server that has nothing else to say (RFC 8415 18.2.10)', () => {
    const { scheduler, port, client, reply } = bench();
    client.start();
    scheduler.runFor(1000);
    reply(port.one('information-request'), status(1), { kind: 'inf-max-rt', seconds: 60 });
    scheduler.runFor(3_600_000);
    const waits = port.said.slice(1).map(({ at }, index) => at - (port.said[index]?.at ?? 0));
    expect(Math.max(...waits)).to.be.within(50_000, 66_000);
  });

  it('asks at once when the link comes back', () => {
    const { scheduler, port, client, reply } = bench();
    client.linkChanged();
    expect(scheduler.pending).to.equal(0);
    client.start();
    scheduler.runFor(1000);
    reply(port.one('information-request'), dns);
    client.linkChanged();
    scheduler.runFor(1000);
    port.one('information-request');
  });
});
