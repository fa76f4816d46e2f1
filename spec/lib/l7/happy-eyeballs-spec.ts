import { expect } from 'chai';
import { type IpAddress, parseIp } from '../../../lib/core/address.js';
import { alternate, HappyEyeballs, type HappyEyeballsOptions } from '../../../lib/l7/happy-eyeballs.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';

const ips = (...texts: string[]) => texts.map(parseIp);

/** What becomes of an attempt: when it ends, in milliseconds after it started, and how; never, where it is left out. */
type Fates = Readonly<Record<string, readonly [after: number, how: 'connected' | 'refused'] | 'throws'>>;

function race(addresses: IpAddress[], fates: Fates, more: Partial<HappyEyeballsOptions<string>> = {}) {
  const scheduler = new SimulationScheduler();
  const env = environment({ scheduler, seed: 1 });
  const log: string[] = [];
  const say = (text: string) => log.push(`${scheduler.now()} ${text}`);
  const eyeballs = new HappyEyeballs<string>(
    addresses,
    {
      ...more,
      connect: (address, handler) => {
        const name = address.toString();
        say(`try ${name}`);
        const fate = fates[name];
        if (fate === 'throws') throw new Error(name);
        const timer = env.timers.timer(() => {
          if (fate?.[1] === 'connected') handler.connected(name);
          else handler.failed(new Error(name));
        });
        if (fate !== undefined) timer.arm(scheduler.now() + fate[0]);
        return () => {
          say(`give up ${name}`);
          timer.cancel();
        };
      },
      done: (result) => say('connection' in result ? `won ${result.connection}` : `failed ${result.error.message}`),
    },
    env,
  );
  return { scheduler, eyeballs, log };
}

describe('happy eyeballs (RFC 8305)', () => {
  it('lets the families take turns, from the family of the first address or the preferred one', () => {
    const all = ips('::1', '::2', '::3', '10.0.0.1', '10.0.0.2');
    const text = (list: IpAddress[]) => list.map((address) => address.toString()).join(' ');
    expect(text(alternate(all))).to.equal('::1 10.0.0.1 ::2 10.0.0.2 ::3');
    expect(text(alternate(all, 4))).to.equal('10.0.0.1 ::1 10.0.0.2 ::2 ::3');
    expect(alternate([])).to.deep.equal([]);
  });

  it('starts the next attempt after 250 ms; the first to connect wins, the others are given up', () => {
    const { scheduler, log } = race(ips('::1', '10.0.0.1', '::2'), { '10.0.0.1': [300, 'connected'] });
    scheduler.run();
    expect(log).to.deep.equal([
      '0 try ::1',
      '250 try 10.0.0.1',
      '500 try ::2',
      '550 give up ::1',
      '550 give up ::2',
      '550 won 10.0.0.1',
    ]);
    expect(scheduler.pending).to.equal(0);
  });

  it('does not try a second address when the first answers in time', () => {
    const { scheduler, log } = race(ips('::1', '10.0.0.1'), { '::1': [249, 'connected'] });
    scheduler.run();
    expect(log).to.deep.equal(['0 try ::1', '249 won ::1']);
  });

  it('goes on at once after a failure, and tells all failures in the end', () => {
    const { scheduler, log } = race(ips('::1', '10.0.0.1', '::2'), {
      '::1': [20, 'refused'],
      '10.0.0.1': 'throws',
      '::2': [5, 'refused'],
    });
    scheduler.run();
    expect(log).to.deep.equal([
      '0 try ::1',
      '20 try 10.0.0.1',
      '20 try ::2',
      '25 failed no address could be connected to',
    ]);
  });

  it('gives the failure itself where there is one only, and an error of its own where there is no address', () => {
    const one = race(ips('::1'), { '::1': [7, 'refused'] });
    one.scheduler.run();
    expect(one.log).to.deep.equal(['0 try ::1', '7 failed ::1']);
    const none = race([], {});
    none.scheduler.run();
    expect(none.log).to.deep.equal(['0 failed connect EADDRNOTAVAIL']);
  });

  it('takes addresses that come later, and fails only when no more will come', () => {
    const { scheduler, eyeballs, log } = race(
      ips('::1'),
      { '::1': [10, 'refused'], '10.0.0.1': [10, 'refused'] },
      { more: true },
    );
    scheduler.runFor(100);
    eyeballs.add(ips('10.0.0.1'));
    scheduler.runFor(100);
    expect(log).to.deep.equal(['0 try ::1', '100 try 10.0.0.1']);
    eyeballs.complete();
    expect(log.at(-1)).to.equal('200 failed no address could be connected to');
  });

  it('is silent after it was aborted', () => {
    const { scheduler, eyeballs, log } = race(ips('::1', '10.0.0.1'), { '::1': [100, 'connected'] });
    scheduler.runFor(50);
    eyeballs.abort();
    scheduler.run();
    expect(log).to.deep.equal(['0 try ::1', '50 give up ::1']);
    expect([eyeballs.attempts, scheduler.pending]).to.deep.equal([0, 0]);
  });

  it('keeps the delay between 10 ms and 2 s', () => {
    for (const [delay, kept] of [
      [1, 10],
      [5000, 2000],
    ] as const) {
      const { scheduler, log } = race(ips('::1', '::2'), { '::2': [1, 'connected'] }, { delay });
      scheduler.run();
      expect(log[1]).to.equal(`${kept} try ::2`);
    }
  });
});
