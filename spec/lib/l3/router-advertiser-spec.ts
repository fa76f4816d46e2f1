import { expect } from 'chai';
import { Ipv6Address } from '../../../lib/core/address.js';
import { RouterAdvertiser, type RouterAdvertiserOptions } from '../../../lib/l3/router-advertiser.js';
import type { RouterAdvertisementFields } from '../../../lib/wire/ndp.js';
import type { NdpOption } from '../../../lib/wire/ndp-options.js';
import { type VirtualEnv, virtualEnv } from '../l2/fake-device.js';
import { ip } from './advertisements.js';

interface Sent {
  readonly at: number;
  readonly to: string;
  readonly fields: Partial<RouterAdvertisementFields>;
  readonly options: readonly NdpOption[];
}

const ONE = ip('fe80::1');

describe('router advertiser', () => {
  let env: VirtualEnv;
  let sent: Sent[];
  let advertiser: RouterAdvertiser;

  function make(options: RouterAdvertiserOptions = {}, seed = 1): RouterAdvertiser {
    env = virtualEnv(seed);
    sent = [];
    const advertise = (to: Ipv6Address, fields: Partial<RouterAdvertisementFields>, more: readonly NdpOption[]) =>
      sent.push({ at: env.timers.now(), to: to.toString(), fields, options: more });
    advertiser = new RouterAdvertiser({ advertise }, env, options);
    return advertiser;
  }
  const wait = (ms: number) => env.scheduler.runFor(ms);
  const gaps = () => sent.slice(1).map(({ at }, index) => at - (sent[index]?.at ?? 0));

  afterEach(() => {
    advertiser.dispose();
    expect(env.scheduler.pending, 'timers left').to.equal(0);
  });

  it('4861-7: three at once and within 16 seconds each, then every 200 to 600 seconds, to all nodes (RFC 4861 6.2.4)', () => {
    make().start();
    advertiser.start();
    wait(100_000_000);
    const [first = 0, second = 0, ...later] = gaps();
    expect(sent[0]?.at).to.equal(0);
    expect([first, second]).to.deep.equal([16_000, 16_000]);
    expect(later.length).to.be.greaterThan(100);
    expect(Math.min(...later)).to.be.within(200_000, 220_000);
    expect(Math.max(...later)).to.be.within(580_000, 600_000);
    expect(new Set(sent.map(({ to }) => to))).to.deep.equal(new Set(['ff02::1']));
  });

  it('4861-7: shorter intervals, where they are asked for, hold for the first ones, too', () => {
    make({ maxInterval: 4_000 }).start();
    wait(1_000_000);
    for (const gap of gaps()) expect(gap).to.be.within(3_000, 4_000);
  });

  it('4861-7: answers a solicitation within half a second, at a random time, to all (RFC 4861 6.2.6)', () => {
    const delays = new Set<number>();
    for (let seed = 1; seed <= 10; seed++) {
      make({}, seed).start();
      wait(100_000);
      const before = sent.length;
      const asked = env.timers.now();
      advertiser.solicited(ONE);
      wait(500);
      expect(sent).to.have.length(before + 1);
      expect(sent.at(-1)?.to).to.equal('ff02::1');
      delays.add((sent.at(-1)?.at ?? 0) - asked);
      advertiser.dispose();
    }
    expect(delays.size).to.equal(10);
  });

  it('4861-7: one answer to all serves everybody who asked meanwhile', () => {
    make().start();
    wait(100_000);
    const before = sent.length;
    for (let i = 1; i <= 50; i++) advertiser.solicited(new Ipv6Address(0xfe80_0000, 0, 0, i));
    wait(2_000);
    expect(sent).to.have.length(before + 1);
  });

  it('4861-7: tells all not more often than every three seconds, whoever asks (RFC 4861 6.2.6)', () => {
    make().start();
    for (let i = 0; i < 600; i++) {
      advertiser.solicited(Ipv6Address.ANY);
      wait(100);
    }
    const all = sent.filter(({ to }) => to === 'ff02::1').map(({ at }) => at);
    expect(all.length).to.be.within(15, 21);
    for (const gap of gaps()) expect(gap).to.be.at.least(3_000);
  });

  it('4861-7: answers hosts alone where all were told just now, once each, and not too many', () => {
    make().start();
    wait(100);
    advertiser.solicited(ONE);
    advertiser.solicited(ONE);
    wait(500);
    expect(sent.map(({ to }) => to)).to.deep.equal(['ff02::1', 'fe80::1']);
    for (let i = 1; i <= 100; i++) advertiser.solicited(new Ipv6Address(0xfe80_0000, 0, 0, i));
    wait(500);
    expect(sent).to.have.length(10);
    wait(3_500);
    expect(sent.at(-1)?.to, 'the rest is told with all').to.equal('ff02::1');
    expect(sent).to.have.length(11);
  });

  it('4861-7: says at the end that it is a default router no more (RFC 4861 6.2.5)', () => {
    make().start();
    wait(1_000);
    advertiser.solicited(ONE);
    advertiser.stop();
    advertiser.stop();
    advertiser.solicited(ONE);
    wait(1_000_000);
    expect(sent.map(({ fields: { lifetime } }) => lifetime)).to.deep.equal([1_800, 0]);
  });

  it('4861-7: says what it is told to, with the RFC’s defaults (RFC 4861 6.2.1, RFC 4191, RFC 8106)', () => {
    make({
      maxInterval: 10_000,
      preference: 1,
      other: true,
      reachableTime: 5_000,
      retransmitTimer: 200,
      mtu: 1_400,
      prefixes: [
        { prefix: '2001:db8:1::9/64' },
        { prefix: 'fd00::/48', autonomous: false, validLifetime: 60 },
        { prefix: 'fd01::/64', onLink: false, validLifetime: Infinity, preferredLifetime: Infinity },
      ],
      routes: [{ prefix: '2001:db8:9::/48', preference: -1 }],
      dnsServers: ['2001:db8::53'],
      searchDomains: ['example.org'],
    }).start();
    wait(0);
    const [{ fields, options } = { fields: {}, options: [] }] = sent;
    expect(fields).to.deep.equal({
      hopLimit: 64,
      managed: false,
      other: true,
      preference: 1,
      lifetime: 30,
      reachableTime: 5_000,
      retransmitTimer: 200,
    });
    const prefix = { kind: 'prefix', onLink: true, autonomous: true, routerAddress: false } as const;
    expect(options).to.deep.equal([
      { kind: 'mtu', mtu: 1_400 },
      { ...prefix, prefix: ip('2001:db8:1::'), length: 64, validLifetime: 2_592_000, preferredLifetime: 604_800 },
      { ...prefix, prefix: ip('fd00::'), length: 48, autonomous: false, validLifetime: 60, preferredLifetime: 60 },
      {
        ...prefix,
        prefix: ip('fd01::'),
        length: 64,
        onLink: false,
        validLifetime: 0xffff_ffff,
        preferredLifetime: 0xffff_ffff,
      },
      { kind: 'route', prefix: ip('2001:db8:9::'), length: 48, preference: -1, lifetime: 30 },
      { kind: 'rdnss', lifetime: 30, servers: [ip('2001:db8::53')] },
      { kind: 'dnssl', lifetime: 30, domains: ['example.org'] },
    ]);
  });

  it('4861-7: what does not fit into 1280 bytes is said in several, each with the same fields (RFC 4861 6.2.3)', () => {
    const prefixes = Array.from({ length: 60 }, (_, i) => ({ prefix: `2001:db8:${i.toString(16)}::/64` }));
    make({ prefixes, dnsServers: ['fd00::53'] }).start();
    wait(0);
    const parts = sent.splice(0);
    expect(parts.map(({ options }) => options.length)).to.deep.equal([38, 23]);
    expect(parts[1]?.fields).to.deep.equal(parts[0]?.fields);
    expect(parts.flatMap(({ options }) => options).map(({ kind }) => kind)).to.deep.equal([
      ...prefixes.map(() => 'prefix'),
      'rdnss',
    ]);
    advertiser.solicited(ONE);
    wait(500);
    expect(sent.splice(0).map(({ to, options }) => `${to} ${options.length}`)).to.deep.equal([
      'fe80::1 38',
      'fe80::1 23',
    ]);
    advertiser.stop();
    expect(sent.map(({ fields }) => fields.lifetime)).to.deep.equal([0, 0]);
  });

  it('RFC 4191 2.2: a router that is no default router has no preference', () => {
    make({ lifetime: 0, preference: 1 }).start();
    wait(0);
    expect(sent[0]?.fields).to.deep.include({ lifetime: 0, preference: 0 });
  });

  const wrong: readonly (readonly [string, RouterAdvertiserOptions])[] = [
    ['maxInterval', { maxInterval: 3_999 }],
    ['maxInterval', { maxInterval: 1_800_001 }],
    ['minInterval', { minInterval: 2_999 }],
    ['minInterval', { maxInterval: 100_000, minInterval: 75_001 }],
    ['lifetime', { lifetime: 9_001 }],
    ['lifetime', { lifetime: 599 }],
    ['hopLimit', { hopLimit: 256 }],
    ['reachableTime', { reachableTime: 3_600_001 }],
    ['mtu', { mtu: 1_279 }],
    ['advertise', { prefixes: [{ prefix: 'fe80::/64' }] }],
    ['not an IPv6 prefix', { prefixes: [{ prefix: '10.0.0.0/8' }] }],
    ['not an IPv6 prefix', { routes: [{ prefix: 'ff00::/8' }] }],
    ['preferred', { prefixes: [{ prefix: 'fd00::/64', validLifetime: 10, preferredLifetime: 11 }] }],
    ['not a domain name', { searchDomains: ['a..b'] }],
    ['does not fit', { dnsServers: Array.from({ length: 76 }, () => 'fd00::53') }],
    ['an option holds', { dnsServers: Array.from({ length: 128 }, () => 'fd00::53') }],
  ];
  for (const [what, options] of wrong) {
    it(`4861-7: refuses ${JSON.stringify(options).slice(0, 100)} (RFC 4861 6.2.1)`, () => {
      make();
      expect(() => new RouterAdvertiser({ advertise() {} }, env, options))
        .to.throw(what)
        .with.property('code', 'ERR_INVALID_OPTION');
    });
  }
});
