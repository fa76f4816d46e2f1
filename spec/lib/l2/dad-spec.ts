import { expect } from 'chai';
import { Ipv6Address } from '../../../lib/core/address.js';
import { DuplicateAddressDetection, type DadOptions } from '../../../lib/l2/dad.js';
import { type VirtualEnv, virtualEnv } from './fake-device.js';

const ADDRESS = Ipv6Address.parse('fe80::1234:5678:9abc:def0');
const GROUP = 'ff02::1:ffbc:def0';

describe('duplicate address detection', () => {
  let env: VirtualEnv;
  let log: string[];
  let nonces: Uint8Array[];
  let sentAt: number[];
  let joined: Map<string, number>;

  function make(options: DadOptions = {}): DuplicateAddressDetection {
    return new DuplicateAddressDetection(
      {
        solicit: (target, nonce) => {
          expect([...joined.keys()], 'joined before it asks').to.include(GROUP);
          nonces.push(nonce);
          sentAt.push(env.timers.now());
          log.push(`ask ${target.toString()}`);
        },
        join: (group, delay) => {
          expect(delay).to.be.within(0, 1_000);
          joined.set(group.toString(), (joined.get(group.toString()) ?? 0) + 1);
        },
        leave: (group) => joined.set(group.toString(), (joined.get(group.toString()) ?? 0) - 1),
      },
      env,
      options,
    );
  }
  const start = (dad: DuplicateAddressDetection, delayed = true) =>
    dad.start(ADDRESS, (verdict) => log.push(verdict), delayed);
  const wait = (ms: number) => env.scheduler.runFor(ms);

  beforeEach(() => {
    env = virtualEnv();
    log = [];
    nonces = [];
    sentAt = [];
    joined = new Map();
  });
  afterEach(() => expect(env.scheduler.pending, 'timers left').to.equal(0));

  it('4862-1: joins, waits up to a second, asks once, and takes silence for consent after RetransTimer (RFC 4862 5.4)', () => {
    const dad = make();
    start(dad);
    expect(joined.get(GROUP)).to.equal(1);
    expect(dad.isTentative(ADDRESS)).to.equal(true);
    expect(log).to.deep.equal([]);
    wait(1_000);
    expect(log).to.deep.equal([`ask ${ADDRESS.toString()}`]);
    env.scheduler.run();
    expect(env.timers.now()).to.be.within((sentAt[0] ?? 0) + 1_000, 2_000);
    expect(log).to.deep.equal([`ask ${ADDRESS.toString()}`, 'unique']);
    expect(dad.isTentative(ADDRESS)).to.equal(false);
    expect(joined.get(GROUP), 'still joined').to.equal(1);
  });

  it('4862-1: draws the delay of the first probe at random (RFC 4862 5.4.2)', () => {
    const times = new Set<number>();
    for (let seed = 1; seed <= 10; seed++) {
      env = virtualEnv(seed);
      sentAt = [];
      start(make());
      env.scheduler.run();
      times.add(sentAt[0] ?? 0);
    }
    expect(times.size).to.equal(10);
    expect(Math.min(...times)).to.be.lessThan(500);
    expect(Math.max(...times)).to.be.within(500, 1_000);
  });

  it('4862-1: asks DupAddrDetectTransmits times, RetransTimer apart, at once where it was told not to wait', () => {
    const dad = make({ transmits: 3, retransmitTimer: 200 });
    start(dad, false);
    env.scheduler.run();
    expect(sentAt).to.deep.equal([0, 200, 400]);
    expect(env.timers.now()).to.equal(600);
    expect(log.at(-1)).to.equal('unique');
  });

  it('4862-1: asks nobody where DupAddrDetectTransmits is 0 (RFC 4862 5.1)', () => {
    start(make({ transmits: 0 }));
    expect(log).to.deep.equal(['unique']);
    expect(joined.get(GROUP)).to.equal(1);
  });

  it('4862-1: an advertisement of the address makes it a duplicate, also before the first probe (RFC 4862 5.4.4)', () => {
    for (const after of [0, 1_500]) {
      log = [];
      const dad = make();
      start(dad);
      wait(after);
      expect(dad.advertised(ADDRESS)).to.equal(true);
      expect(log.at(-1)).to.equal('duplicate');
      expect(joined.get(GROUP)).to.equal(0);
      expect(dad.advertised(ADDRESS)).to.equal(false);
      env.scheduler.run();
      expect(log.filter((line) => line === 'unique')).to.deep.equal([]);
    }
  });

  it('4862-1: a solicitation from :: makes it a duplicate, one from a host that resolves it does not (RFC 4862 5.4.3)', () => {
    const dad = make();
    start(dad);
    expect(dad.solicited(ADDRESS, false)).to.equal(true);
    expect(log).to.deep.equal([]);
    expect(dad.solicited(ADDRESS, true)).to.equal(true);
    expect(log).to.deep.equal(['duplicate']);
    expect(dad.solicited(ADDRESS, true)).to.equal(false);
  });

  it('4862-1: two hosts that probe at the same time both find a duplicate', () => {
    const one = make();
    const other = make();
    start(one, false);
    start(other, false);
    wait(0);
    expect(nonces).to.have.length(2);
    one.solicited(ADDRESS, true, nonces[1]);
    other.solicited(ADDRESS, true, nonces[0]);
    expect(log.slice(-2)).to.deep.equal(['duplicate', 'duplicate']);
  });

  it('RFC 7527 4.2: a probe of ours that came back is no duplicate, and we ask three times more', () => {
    const dad = make();
    const loops: string[] = [];
    dad.observeLoops((address) => loops.push(address.toString()));
    start(dad, false);
    wait(0);
    expect(nonces[0]).to.have.length(6);
    dad.solicited(ADDRESS, true, nonces[0]);
    env.scheduler.run();
    expect(loops).to.deep.equal([ADDRESS.toString()]);
    expect(sentAt).to.deep.equal([0, 1_000, 2_000, 3_000]);
    expect(log.at(-1)).to.equal('unique');
    expect(new Set(nonces.map(String)).size, 'each has its own nonce').to.equal(4);
  });

  it('RFC 7527 4.1: stays tentative while the link returns every probe, and looks again each minute', () => {
    const dad = make();
    const loops: string[] = [];
    dad.observeLoops((address) => loops.push(address.toString()));
    start(dad, false);
    let seen = 0;
    for (let i = 0; i < 400; i++) {
      wait(250);
      for (; seen < nonces.length; seen++) dad.solicited(ADDRESS, true, nonces[seen]);
    }
    expect(log).to.not.include('unique');
    expect(dad.isTentative(ADDRESS)).to.equal(true);
    expect(loops).to.have.length(1);
    expect(nonces.length).to.be.within(5, 10);
    env.scheduler.run();
    expect(log.at(-1)).to.equal('unique');
  });

  it('RFC 7527: another nonce is another host', () => {
    const dad = make();
    start(dad, false);
    wait(0);
    dad.solicited(ADDRESS, true, new Uint8Array(6));
    expect(log.at(-1)).to.equal('duplicate');
  });

  it('can be called off, alone or all at once, and leaves the group', () => {
    const dad = make();
    const stop = start(dad);
    stop();
    expect(joined.get(GROUP)).to.equal(0);
    start(dad);
    stop();
    expect(dad.isTentative(ADDRESS), 'stopping twice does not stop another').to.equal(true);
    dad.dispose();
    expect(joined.get(GROUP)).to.equal(0);
    env.scheduler.run();
    expect(log).to.deep.equal([]);
  });

  it('refuses addresses that no host can have, and to probe one twice', () => {
    const dad = make();
    expect(() => dad.start(Ipv6Address.ANY, () => {})).to.throw('cannot be the address');
    expect(() => dad.start(Ipv6Address.parse('ff02::1'), () => {})).to.throw('cannot be the address');
    start(dad);
    expect(() => start(dad)).to.throw('is being probed');
    expect(() => make({ transmits: -1 })).to.throw('probes');
    dad.dispose();
  });
});
