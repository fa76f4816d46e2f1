import { expect } from 'chai';
import { DuplicateAddressDetection, type DadVerdict } from '../../../lib/l2/dad.js';
import {
  eui64Address,
  isReservedIdentifier,
  randomAddress,
  StableIdentifiers,
} from '../../../lib/l3/interface-identifiers.js';
import { type AutoAddress, Slaac, type SlaacEvent, type SlaacOptions } from '../../../lib/l3/slaac.js';
import type { NdpPrefix } from '../../../lib/wire/ndp-options.js';
import { type VirtualEnv, virtualEnv } from '../l2/fake-device.js';
import { ip, prefixOption } from './advertisements.js';

const SECRET = Uint32Array.of(1, 2, 3, 4);
const PREFIX = '2001:db8:1::';
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

describe('interface identifiers', () => {
  const prefix = ip(PREFIX);
  const make = (given: Partial<ConstructorParameters<typeof StableIdentifiers>[0]> = {}) =>
    new StableIdentifiers({ secret: SECRET, interfaceName: 'eth0', ...given });

  it('RFC 7217 5: the same for the same prefix, interface, network, count and secret; another if any of them is', () => {
    const address = (identifiers: StableIdentifiers, of = prefix, conflicts = 0) =>
      identifiers.address(of, conflicts).toString();
    const usual = address(make());
    expect(address(make())).to.equal(usual);
    expect(usual).to.match(/^2001:db8:1:0:/);
    const others = [
      address(make({ secret: Uint32Array.of(1, 2, 3, 5) })),
      address(make({ interfaceName: 'eth1' })),
      address(make({ networkId: 'home' })),
      address(make({ interfaceName: 'eth', networkId: '0' })),
      address(make(), prefix, 1),
    ];
    expect(new Set([usual, ...others]).size).to.equal(6);
    const elsewhere = make().address(ip('2001:db8:2::'), 0);
    const here = make().address(prefix, 0);
    expect([elsewhere.c, elsewhere.d]).to.not.deep.equal([here.c, here.d]);
  });

  it('RFC 5453: the reserved ones are known and never made', () => {
    expect(isReservedIdentifier(0, 0)).to.equal(true);
    expect(isReservedIdentifier(0, 1)).to.equal(false);
    expect(isReservedIdentifier(0x0200_5eff, 0xfe00_5212)).to.equal(true);
    expect(isReservedIdentifier(0x0200_5eff, 0xfd00_0000)).to.equal(false);
    expect(isReservedIdentifier(0xfdff_ffff, 0xffff_ff80)).to.equal(true);
    expect(isReservedIdentifier(0xfdff_ffff, 0xffff_ff7f)).to.equal(false);
    const words = [0, 0, 7, 9];
    const random = { ...virtualEnv().random, uint32: () => words.shift() ?? 1 };
    expect(randomAddress(prefix, random).toString()).to.equal('2001:db8:1::7:0:9');
  });

  it('RFC 4291 appendix A: of a MAC address', () => {
    expect(eui64Address(ip('fe80::'), 0x3456_789a_bcde).toString()).to.equal('fe80::3656:78ff:fe9a:bcde');
  });
});

describe('address autoconfiguration', () => {
  let env: VirtualEnv;
  let log: string[];
  let slaac: Slaac;
  let released: string[];
  /** What detections find; addresses in `taken` are duplicates. */
  let taken: (address: string) => boolean;
  let detections: { address: string; at: number; delayed: boolean }[];
  /** Whether verdicts come at once, as where nobody is asked. */
  let atOnce: boolean;
  /** Ends everything from within when it is told of that. */
  let endsAt: SlaacEvent['kind'] | undefined;

  function make(options: Partial<SlaacOptions> = {}): void {
    env = virtualEnv();
    log = [];
    released = [];
    detections = [];
    taken = () => false;
    atOnce = false;
    endsAt = undefined;
    slaac = new Slaac(
      {
        detect: (address, done, delayed) => {
          detections.push({ address: address.toString(), at: env.timers.now(), delayed });
          const verdict: DadVerdict = taken(address.toString()) ? 'duplicate' : 'unique';
          if (atOnce) {
            done(verdict);
            return () => {};
          }
          const timer = env.timers.timer(() => done(verdict));
          timer.arm(env.timers.now() + 1_000);
          return () => timer.cancel();
        },
        release: (address) => released.push(address.toString()),
        on: ({ kind, address }) => {
          log.push(`${env.timers.now()} ${kind} ${address.kind}`);
          if (kind === endsAt) slaac.dispose();
        },
      },
      env,
      { secret: SECRET, interfaceName: 'eth0', temporary: false, ...options },
    );
  }
  const hear = (given: Partial<NdpPrefix> = {}, prefix = `${PREFIX}/64`) => slaac.received(prefixOption(prefix, given));
  const wait = (ms: number) => env.scheduler.runFor(ms);
  const states = () => slaac.list().map(({ kind, state }) => `${kind} ${state}`);
  function only(): AutoAddress {
    const [address, more] = slaac.list();
    if (address === undefined || more !== undefined) throw new Error('not one address');
    return address;
  }
  const temporaries = () => slaac.list().filter(({ kind }) => kind === 'temporary');

  beforeEach(() => make());
  afterEach(() => {
    slaac.dispose();
    expect(env.scheduler.pending, 'timers left').to.equal(0);
    expect(slaac.list()).to.deep.equal([]);
  });

  describe('link-local', () => {
    it('4862-1: one, after detection, for ever (RFC 4862 5.3)', () => {
      slaac.start('eth0');
      slaac.start('eth0');
      expect(states()).to.deep.equal(['link-local tentative']);
      expect(log).to.deep.equal([]);
      wait(100 * DAY);
      expect(log).to.deep.equal(['1000 added link-local']);
      expect(only().address.isLinkLocal).to.equal(true);
      expect(only().address.zone).to.equal('eth0');
    });

    it('RFC 7217 6: another one after a conflict, IDGEN_RETRIES times, with a delay', () => {
      taken = () => true;
      slaac.start();
      env.scheduler.run();
      expect(new Set(detections.map(({ address }) => address)).size).to.equal(4);
      expect(log.map((line) => line.split(' ')[1])).to.deep.equal([
        'duplicate',
        'duplicate',
        'duplicate',
        'duplicate',
        'failed',
      ]);
      detections.slice(1).forEach(({ at }, index) => {
        expect(at - (detections[index]?.at ?? 0)).to.be.within(1_000, 2_000);
      });
      expect(slaac.list()).to.deep.equal([]);
    });

    it('4862-1: a duplicate made of the MAC address is final (RFC 4862 5.4.5)', () => {
      make({ eui64: 0x0200_0000_0001 });
      taken = () => true;
      slaac.start();
      env.scheduler.run();
      expect(detections.map(({ address }) => address)).to.deep.equal(['fe80::ff:fe00:1']);
      expect(log).to.deep.equal(['1000 duplicate link-local', '1000 failed link-local']);
    });

    it('RFC 7217 5: comes back to the same address the next time', () => {
      slaac.start();
      const before = only().address.toString();
      slaac.dispose();
      expect(released, 'was never in use').to.deep.equal([]);
      slaac.start();
      expect(only().address.toString()).to.equal(before);
    });
  });

  describe('of prefixes', () => {
    it('4862-2: one address a prefix, preferred, deprecated, removed as the router says (RFC 4862 5.5.4)', () => {
      hear({ preferredLifetime: 100, validLifetime: 200 });
      hear({ preferredLifetime: 100, validLifetime: 200 });
      const { address } = only();
      expect(address.toString()).to.match(/^2001:db8:1:0:/);
      expect(detections.map(({ delayed }) => delayed)).to.deep.equal([true]);
      env.scheduler.run();
      expect(log).to.deep.equal(['1000 added stable', '100000 deprecated stable', '200000 removed stable']);
      expect(released).to.deep.equal([address.toString()]);
    });

    it('4862-2: no address without the A flag, of fe80::, of ff00::, of another length than 64, with preferred above valid, or valid 0', () => {
      hear({ autonomous: false });
      hear({}, 'fe80::/64');
      hear({}, 'ff02::/64');
      hear({}, '2001:db8::/48');
      hear({}, '2001:db8::/65');
      hear({ preferredLifetime: 11, validLifetime: 10 });
      hear({ preferredLifetime: 0, validLifetime: 0 });
      expect(slaac.list()).to.deep.equal([]);
      expect(detections).to.deep.equal([]);
    });

    it('4862-2: lifetimes without end (RFC 4861 4.6.2)', () => {
      hear({ preferredLifetime: 0xffff_ffff, validLifetime: 0xffff_ffff });
      wait(1000 * DAY);
      expect(states()).to.deep.equal(['stable preferred']);
    });

    it('4862-2: the preferred lifetime is always taken over: deprecated, and preferred again (RFC 4862 5.5.3 e)', () => {
      hear();
      wait(2_000);
      hear({ preferredLifetime: 0 });
      expect(states()).to.deep.equal(['stable deprecated']);
      hear({ preferredLifetime: 50 });
      expect(states()).to.deep.equal(['stable preferred']);
      wait(50_000);
      expect(log).to.deep.equal([
        '1000 added stable',
        '2000 deprecated stable',
        '2000 preferred stable',
        '52000 deprecated stable',
      ]);
    });

    it('4862-2: one whose time as preferred is over when detection ends begins deprecated', () => {
      hear({ preferredLifetime: 0 });
      wait(2_000);
      expect(states()).to.deep.equal(['stable deprecated']);
    });

    // [remaining, received, then remaining], in seconds.
    const rules: readonly (readonly [number, number, number, string])[] = [
      [86_400, 0, 7_200, 'cut to two hours'],
      [86_400, 7_200, 7_200, 'two hours is not above two hours, so cut to it'],
      [86_400, 7_201, 7_201, 'more than two hours: believed'],
      [86_400, 90_000, 90_000, 'longer: believed'],
      [3_600, 60, 3_600, 'less than two hours left: ignored'],
      [3_600, 3_601, 3_601, 'less than two hours, but longer than what is left: believed'],
      [7_200, 0, 7_200, 'exactly two hours left: ignored'],
      [60, 0xffff_ffff, Infinity, 'for ever'],
    ];
    for (const [remaining, received, then, why] of rules) {
      it(`4862-2: two-hour rule (RFC 4862 5.5.3 e): ${remaining} s left, ${received} s received: ${why}`, () => {
        hear({ validLifetime: remaining, preferredLifetime: 0 });
        hear({ validLifetime: received, preferredLifetime: 0 });
        expect(only().validUntil).to.equal(then * 1_000);
      });
    }

    it('RFC 7217 6: regenerates after a conflict, and uses no duplicate', () => {
      let first = '';
      taken = (address) => {
        first ||= address;
        return address === first;
      };
      hear();
      wait(5_000);
      expect(log.map((line) => line.split(' ')[1])).to.deep.equal(['duplicate', 'added']);
      expect(only().address.toString()).to.not.equal(first);
    });

    it('RFC 7217 6: does not try again when the prefix has gone meanwhile', () => {
      taken = () => true;
      hear({ preferredLifetime: 1, validLifetime: 1 });
      env.scheduler.run();
      expect(detections).to.have.length(1);
    });

    it('makes addresses of 16 prefixes at most', () => {
      for (let i = 0; i < 40; i++) hear({}, `2001:db8:${i.toString(16)}::/64`);
      expect(slaac.list()).to.have.length(16);
    });

    it('tells of every removal when it ends', () => {
      hear();
      wait(2_000);
      slaac.dispose();
      expect(log.at(-1)).to.equal('2000 removed stable');
      expect(released).to.have.length(1);
    });
  });

  describe('temporary', () => {
    const long = { preferredLifetime: 30 * 86_400, validLifetime: 60 * 86_400 };
    beforeEach(() => make({ temporary: true }));

    it('RFC 8981 3.4: beside the stable address, another at random, no longer than its own limits', () => {
      hear(long);
      wait(2_000);
      expect(states()).to.deep.equal(['stable preferred', 'temporary preferred']);
      const [temporary] = temporaries();
      expect(temporary?.preferredUntil).to.be.within(0.6 * DAY, DAY);
      expect(temporary?.validUntil).to.equal(2 * DAY);
      hear(long);
      expect(temporaries()[0], 'refreshing does not prolong it').to.deep.equal(temporary);
    });

    it('RFC 8981 3.4: no longer than the prefix either', () => {
      hear({ preferredLifetime: 100, validLifetime: 200 });
      expect(temporaries()[0]).to.deep.include({ preferredUntil: 100_000, validUntil: 200_000 });
    });

    it('RFC 8981 3.4: none where it would need a successor at once; one as soon as the prefix is prolonged', () => {
      hear({ preferredLifetime: 5, validLifetime: 86_400 });
      expect(temporaries()).to.deep.equal([]);
      hear({ preferredLifetime: 86_400, validLifetime: 86_400 });
      expect(temporaries()).to.have.length(1);
    });

    it('RFC 8981 3.5: a successor is ready REGEN_ADVANCE before one is deprecated; there is always a preferred one', () => {
      hear(long);
      wait(2_000);
      const seen = new Set<string>();
      for (let minutes = 0; minutes < 20 * 24 * 60; minutes++) {
        wait(60_000);
        const preferred = temporaries().filter(({ state }) => state === 'preferred');
        expect(preferred.length).to.be.within(1, 2);
        for (const { address } of preferred) seen.add(address.toString());
      }
      expect(seen.size).to.be.within(20, 34);
      expect(temporaries().length).to.be.within(2, 5);
      const deprecations = log.filter((line) => line.endsWith('deprecated temporary'));
      expect(new Set(deprecations.map((line) => (Number(line.split(' ')[0]) % DAY).toFixed())).size).to.be.greaterThan(
        9,
      );
    });

    it('RFC 8981 3.3.2: three conflicts in a row end temporary addresses, not the stable one', () => {
      let count = 0;
      taken = () => count++ > 0;
      hear(long);
      wait(10_000);
      expect(detections).to.have.length(4);
      expect(log.filter((line) => line.endsWith('temporary')).at(-1)).to.contain('failed');
      taken = () => false;
      hear(long);
      hear(long, '2001:db8:2::/64');
      wait(10_000);
      expect(states()).to.deep.equal(['stable preferred', 'stable preferred']);
    });

    it('RFC 8981 3.3.2: one conflict makes another address at once', () => {
      let count = 0;
      taken = () => count++ === 1;
      hear(long);
      wait(5_000);
      expect(detections.at(-1)?.at).to.equal(1_000);
      expect(states()).to.deep.equal(['stable preferred', 'temporary preferred']);
    });
  });

  describe('ended by who is told of', () => {
    /** What there is to see, and nothing more comes of it. */
    function ended(expected: readonly string[]): void {
      expect(log).to.deep.equal(expected);
      expect([slaac.list(), env.scheduler.pending]).to.deep.equal([[], 0]);
    }

    it('a duplicate, tries no other address', () => {
      endsAt = 'duplicate';
      taken = () => true;
      slaac.start();
      wait(1_000);
      ended(['1000 duplicate link-local']);
      hear();
      wait(1_000);
      ended(['1000 duplicate link-local', '2000 duplicate stable']);
    });

    it('a temporary duplicate, makes no other', () => {
      make({ temporary: true });
      taken = (address) => address !== detections[0]?.address;
      hear();
      wait(500);
      endsAt = 'duplicate';
      wait(500);
      ended(['1000 added stable', '1000 duplicate temporary', '1000 removed stable']);
    });

    it('an address that is there at once, makes no temporary one beside it', () => {
      make({ temporary: true });
      atOnce = true;
      endsAt = 'added';
      hear();
      ended(['0 added stable', '0 removed stable']);
    });

    for (const [kind, at, hearing] of [
      ['deprecated', 20_000, { preferredLifetime: 20, validLifetime: 40 }],
      ['removed', 40_000, { preferredLifetime: 40, validLifetime: 40 }],
    ] as const) {
      it(`one that is ${kind}, tells of each that goes once`, () => {
        hear(hearing);
        hear(hearing, '2001:db8:2::/64');
        wait(1_000);
        endsAt = kind;
        log.length = 0;
        wait(at);
        const removed = [`${at} removed stable`, `${at} removed stable`];
        ended(kind === 'removed' ? removed : [`${at} deprecated stable`, ...removed]);
      });
    }
  });

  it('4862-1: works with the detection', () => {
    env = virtualEnv();
    const asked: string[] = [];
    const groups: string[] = [];
    const dad = new DuplicateAddressDetection(
      {
        solicit: (target) => asked.push(target.toString()),
        join: (group) => groups.push(group.toString()),
        leave: (group) => groups.splice(groups.indexOf(group.toString()), 1),
      },
      env,
    );
    slaac = new Slaac(
      {
        detect: (address, done, delayed) => dad.start(address, done, delayed),
        release: () => {},
        on: ({ kind, address }) => log.push(`${kind} ${address.address.toString()}`),
      },
      env,
      { secret: SECRET, interfaceName: 'eth0' },
    );
    slaac.start();
    const first = only().address;
    wait(1_000);
    dad.advertised(first);
    wait(10_000);
    const second = only().address;
    expect(second.toString()).to.not.equal(first.toString());
    expect(asked).to.deep.equal([first.toString(), second.toString()]);
    expect(log).to.deep.equal([`duplicate ${first.toString()}`, `added ${second.toString()}`]);
    expect(groups).to.have.length(1);
    hear();
    slaac.dispose();
    expect(groups, 'called off').to.have.length(1);
  });

  it('refuses a secret of another size', () => {
    expect(() => make({ secret: Uint32Array.of(1) })).to.throw('four words');
  });
});
