import { expect } from 'chai';
import { Subject } from 'rxjs';
import { Ipv4Address, Ipv6Address, parseIp } from '../../../lib/core/address.js';
import type { RxFrame } from '../../../lib/core/frame.js';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import type { AutoconfEvent, Host } from '../../../operators/index.js';
import { host } from '../../../operators/stack/host.js';
import { type Network, network, type NetworkHostOptions } from '../../../operators/testing/index.js';
import { fakeDevice, virtualEnv } from '../../lib/l2/fake-device.js';

const PREFIX = '2001:db8:1::/64';
const ROUTER = { advertise: { maxInterval: 10_000, mtu: 1_400, prefixes: [{ prefix: PREFIX }] } } as const;
const SECRET = Uint32Array.of(1, 2, 3, 4);
const SLAAC = { slaac: { secret: SECRET, temporary: false } } as const;

function textOf(event: AutoconfEvent): string {
  switch (event.kind) {
    case 'route-added':
    case 'route-removed':
      return `${event.kind} ${event.route.destination.toString()}`;
    case 'parameters':
    case 'dns':
    case 'no-router':
      return event.kind;
    default:
      return 'origin' in event ? `${event.kind} ${event.origin}` : event.kind;
  }
}

/** What happens to the addresses of a host, with the time. */
function logOf(me: Host): string[] {
  const log: string[] = [];
  me.autoconf.events$.subscribe((event) => log.push(textOf(event)));
  return log;
}

const addressesOf = (me: Host) => me.tables.addresses6.list().map(({ cidr }) => cidr.toString());
const global = (me: Host) =>
  me.tables.addresses6.list().find(({ cidr, tentative }) => !tentative && !cidr.address.isLinkLocal);

/** Whether a datagram of a's arrives at b. */
function reaches(net: Network, a: Host, b: Host, to: string): boolean {
  let heard = false;
  const server = b.udp.bind(anyEndpoint(6, 7), { message: () => (heard = true), error() {} });
  const client = a.udp.bind(anyEndpoint(6, 0), { message() {}, error() {} });
  try {
    client.send(new Uint8Array(1), { address: parseIp(to), port: 7 });
  } catch {
    // There is no way.
  }
  net.runFor(100);
  server.close();
  client.close();
  return heard;
}

function finish(net: Network): void {
  net.dispose();
  net.assertIdle();
}

describe('a host that configures itself', () => {
  function pair(router: NetworkHostOptions = ROUTER, me: NetworkHostOptions = SLAAC) {
    const net = network({ hosts: { me, router } });
    return { net, me: net.hosts.me, router: net.hosts.router, log: logOf(net.hosts.me) };
  }

  it('4862-2: makes a link-local address and one of the advertised prefix, and goes by the router', () => {
    const { net, me, router, log } = pair();
    net.runFor(5_000);
    expect(log).to.have.members([
      'added link-local',
      'route-added ::/0',
      `route-added ${PREFIX}`,
      'parameters',
      'added stable',
    ]);
    const [local, stable] = addressesOf(me);
    expect(local).to.match(/^fe80::.*\/64$/);
    expect(stable).to.match(/^2001:db8:1:0:.*\/64$/);
    const path = me.tables.path(parseIp('2001:db8:9::1'));
    expect(`${path?.source.toString()}/64 ${path?.mtu}`).to.equal(`${stable} 1400`);
    const gateway = me.tables.route6(0x2001_0db8, 9, 0, 1)?.gateway;
    expect(gateway?.toString()).to.equal(addressesOf(router)[0]?.replace('/64', ''));
    const own = net.links.lan.end('router');
    router.tables.addAddress(own, '2001:db8:1::1/64');
    expect(reaches(net, me, router, '2001:db8:1::1')).to.equal(true);
    finish(net);
  });

  it('4862-2: with a temporary address beside it, which it sends from (RFC 8981, RFC 6724 rule 7)', () => {
    const { net, me } = pair(ROUTER, { slaac: true });
    net.runFor(5_000);
    const [, ...globals] = me.tables.addresses6.list();
    expect(globals.map(({ temporary }) => temporary)).to.deep.equal([false, true]);
    const source = me.tables.path(parseIp('2001:db8:9::1'))?.source;
    expect(source?.equals(globals[1]?.cidr.address ?? Ipv6Address.ANY)).to.equal(true);
    finish(net);
  });

  it('RFC 7217: has the same addresses the next time, if the secret is kept', () => {
    const [first, second] = [1, 2].map(() => {
      const { net, me } = pair();
      net.runFor(5_000);
      const addresses = addressesOf(me);
      finish(net);
      return addresses;
    });
    expect(first).to.have.length(2).and.to.deep.equal(second);
  });

  it('RFC 4291 appendix A: makes identifiers of the MAC address where that is wanted', () => {
    const { net, me } = pair(ROUTER, { slaac: { eui64: true, temporary: false } });
    net.runFor(5_000);
    const identifiers = me.tables.addresses6.list().map(({ cidr: { address } }) => [address.c, address.d]);
    expect(identifiers[0]).to.deep.equal(identifiers[1]);
    expect((identifiers[0]?.[0] ?? 0) & 0xff).to.equal(0xff);
    finish(net);
  });

  it('4862-2: no traffic from a tentative address, and none to it (RFC 4862 5.4)', () => {
    const { net, me, router } = pair({ ...ROUTER, addresses: '2001:db8:1::1/64' });
    const tentative = () => me.tables.addresses6.list().find(({ cidr }) => !cidr.address.isLinkLocal);
    while (tentative() === undefined) net.runFor(10);
    const address = tentative()?.cidr.address.toString() ?? '';
    expect(tentative()?.tentative).to.equal(true);
    expect(me.tables.path(parseIp('2001:db8:1::1'))?.source.toString()).to.not.equal(address);
    expect(reaches(net, router, me, address)).to.equal(false);
    net.runFor(3_000);
    expect(tentative()?.tentative).to.equal(false);
    expect(reaches(net, router, me, address)).to.equal(true);
    finish(net);
  });

  it('4862-2: deprecates and removes addresses, and the route to their network, as the lifetimes end (RFC 4862 5.5.4)', () => {
    const prefixes = [{ prefix: PREFIX, preferredLifetime: 20, validLifetime: 40 }];
    const { net, me, router, log } = pair({ advertise: { maxInterval: 10_000, prefixes } });
    net.runFor(5_000);
    expect(global(me)?.deprecated).to.equal(false);
    router.autoconf.interface6(net.links.lan.end('router'))?.stopAdvertising();
    net.runFor(25_000);
    expect(global(me)?.deprecated).to.equal(true);
    net.runFor(20_000);
    expect(global(me)).to.equal(undefined);
    expect(me.tables.routes6.list()).to.deep.equal([]);
    expect(log.slice(-4)).to.deep.equal([
      'route-removed ::/0',
      'deprecated stable',
      `route-removed ${PREFIX}`,
      'removed stable',
    ]);
    finish(net);
  });

  it('4861-5: is without a way when the router says that it is none any more, at once (RFC 4861 6.3.4)', () => {
    const { net, me, router } = pair();
    net.runFor(5_000);
    expect(me.tables.path(parseIp('2001:db8:9::1'))).to.not.equal(undefined);
    router.autoconf.interface6(net.links.lan.end('router'))?.stopAdvertising();
    net.runFor(10);
    expect(me.tables.path(parseIp('2001:db8:9::1'))).to.equal(undefined);
    expect(global(me), 'its addresses stay for their time').to.not.equal(undefined);
    finish(net);
  });

  it('4861-4: a router that answers as a host is none any more (RFC 4861 7.2.5)', () => {
    const { net, me, router } = pair();
    net.runFor(5_000);
    const end = net.links.lan.end('router');
    const address = router.tables.addresses6.sourceFor(end, Ipv6Address.parse('fe80::1'));
    const ndp = router.autoconf.interface6(end);
    expect(ndp).to.not.equal(undefined);
    expect(me.tables.routes6.list().some(({ gateway }) => gateway !== undefined)).to.equal(true);
    // Quietly: it forgot to say so itself.
    ndp?.advertiser?.dispose();
    ndp?.stopAdvertising();
    me.neighbours(net.links.lan.end('me'))?.flush();
    reaches(net, me, router, '2001:db8:9::1');
    net.runFor(1_000);
    expect(me.tables.routes6.list().some(({ gateway }) => gateway?.equals(address ?? Ipv6Address.ANY))).to.equal(false);
    finish(net);
  });

  it('4861-5: takes over the timers of the router, and MTU and hop limit for all that it sends by IPv6 (RFC 4861 6.3.4)', () => {
    const advertise = { maxInterval: 10_000, mtu: 1_300, hopLimit: 17, reachableTime: 7_000, retransmitTimer: 300 };
    const { net, me } = pair({ advertise, addresses: '2001:db8:1::1/64' }, { ...SLAAC, addresses: '2001:db8:1::2/64' });
    net.runFor(5_000);
    const six = me.autoconf.interface6(net.links.lan.end('me'));
    expect(six?.discovery?.parameters).to.deep.include({ mtu: 1_300, reachableTime: 7_000, retransmitTimer: 300 });
    expect(six?.dad.retransmitTimer).to.equal(300);
    expect(me.tables.path(parseIp('2001:db8:1::1'))).to.include({ mtu: 1_300, hopLimit: 17 });
    const queries: number[] = [];
    me.neighbours(net.links.lan.end('me'))?.observe(({ kind, address }) => {
      if (address.toString() === '2001:db8:1::99' && kind !== 'changed') queries.push(net.now);
    });
    reaches(net, me, me, '2001:db8:1::99');
    net.runFor(5_000);
    expect((queries[1] ?? 0) - (queries[0] ?? 0), 'three queries at RetransTimer').to.equal(900);
    finish(net);
  });

  it('RFC 8106: asks the name servers that are advertised, until they are gone', () => {
    const advertise = { ...ROUTER.advertise, dnsServers: ['2001:db8:1::53'], searchDomains: ['example.org'] };
    const { net, me, log } = pair({ advertise });
    net.runFor(5_000);
    expect(me.autoconf.dnsServers.map(String)).to.deep.equal(['2001:db8:1::53']);
    expect(me.autoconf.searchDomains).to.deep.equal(['example.org']);
    expect(me.dns.getServers().map(({ address }) => address.toString())).to.deep.equal(['2001:db8:1::53']);
    expect(log).to.include('dns');
    finish(net);
  });

  it('4861-5: says that there is no router, after three solicitations', () => {
    const net = network({ hosts: { me: SLAAC, other: '10.0.0.1/24' } });
    const log = logOf(net.hosts.me);
    net.runFor(20_000);
    expect(log).to.deep.equal(['added link-local', 'no-router']);
    finish(net);
  });

  it('4862-1: takes another address when somebody has its first one (RFC 4862 5.4, RFC 7217 6)', () => {
    const net = network({ hosts: { one: SLAAC, router: ROUTER }, links: { lan: {} } });
    net.runFor(5_000);
    const wanted = addressesOf(net.hosts.one);
    finish(net);
    // The same once more, with another host that has these addresses by hand.
    const again = network({ hosts: { one: SLAAC, router: ROUTER, squatter: { addresses: wanted } } });
    const log = logOf(again.hosts.one);
    again.runFor(10_000);
    expect(log.filter((line) => line.startsWith('duplicate'))).to.deep.equal([
      'duplicate link-local',
      'duplicate stable',
    ]);
    expect(addressesOf(again.hosts.one)).to.have.length(2).and.not.include.members(wanted);
    expect(
      reaches(again, again.hosts.router, again.hosts.one, global(again.hosts.one)?.cidr.address.toString() ?? ''),
    ).to.equal(false);
    finish(again);
  });

  it('4862-1: disables IPv6 where somebody has the link-local address of its MAC address (RFC 4862 5.4.5)', () => {
    const macs = { one: '02:00:00:00:00:09', other: '02:00:00:00:00:0a' };
    const net = network({
      hosts: { one: { slaac: { eui64: true } }, other: { addresses: 'fe80::ff:fe00:9/64' } },
      links: { lan: { macs } },
    });
    const log = logOf(net.hosts.one);
    net.runFor(10_000);
    expect(log).to.deep.equal(['duplicate link-local', 'failed link-local', 'disabled']);
    expect(addressesOf(net.hosts.one)).to.deep.equal([]);
    finish(net);
  });

  it('RFC 4191 3.2: goes by the preferred router, by the other when that falls silent, and back when it returns', () => {
    const router = (preference: -1 | 0 | 1) => ({ advertise: { maxInterval: 100_000, lifetime: 9_000, preference } });
    const net = network({
      hosts: { me: { ...SLAAC, addresses: '2001:db8:1::2/64' }, good: router(1), bad: router(-1) },
      links: { lan: { between: ['me', 'good', 'bad'] } },
    });
    const { me, good, bad } = net.hosts;
    const gatewayOf = (one: Host) => addressesOf(one)[0]?.replace('/64', '');
    const used = () => me.tables.route6(0x2a00_0000, 0, 0, 1)?.gateway?.toString();
    net.runFor(10_000);
    expect(used()).to.equal(gatewayOf(good));
    const silent = good.tables.addresses6.list().map(({ cidr }) => cidr);
    const end = net.links.lan.end('good');
    for (const { address } of silent) good.tables.removeAddress(end, address);
    me.neighbours(net.links.lan.end('me'))?.flush();
    for (let i = 0; i < 10; i++) {
      reaches(net, me, good, '2a00::1');
      net.runFor(1_000);
    }
    expect(used()).to.equal(gatewayOf(bad));
    for (const cidr of silent) good.tables.addAddress(end, cidr);
    net.runFor(70_000);
    expect(used(), 'asked once a minute').to.equal(gatewayOf(good));
    finish(net);
  });

  it('4861-5: where no router answers, they take turns (RFC 4861 6.3.6)', () => {
    const router = { advertise: { maxInterval: 100_000, lifetime: 9_000 } };
    const net = network({ hosts: { me: { ...SLAAC, addresses: '2001:db8:1::2/64' }, r1: router, r2: router } });
    const { me, r1, r2 } = net.hosts;
    net.runFor(10_000);
    for (const [name, one] of Object.entries({ r1, r2 })) {
      const end = net.links.lan.end(name);
      for (const { cidr } of one.tables.addresses6.list()) one.tables.removeAddress(end, cidr.address);
    }
    me.neighbours(net.links.lan.end('me'))?.flush();
    const tried = new Set<string>();
    for (let i = 0; i < 20; i++) {
      tried.add(String(me.tables.route6(0x2a00_0000, 0, 0, 1)?.gateway));
      reaches(net, me, r1, '2a00::1');
      net.runFor(1_000);
    }
    expect(tried.size).to.equal(2);
    finish(net);
  });

  it('on several links: an address of each, routers of each, each link-local address on its own', () => {
    const prefix = (number: number) => ({ advertise: { prefixes: [{ prefix: `2001:db8:${number}::/64` }] } });
    const net = network({
      hosts: { me: SLAAC, left: prefix(1), right: prefix(2) },
      links: { west: { between: ['me', 'left'] }, east: { between: ['me', 'right'] } },
    });
    const { me, left, right } = net.hosts;
    net.runFor(5_000);
    const own = me.tables.addresses6
      .list()
      .map(({ cidr: { network }, device }) => `${device.name} ${network.toString()}`);
    expect(own.toSorted()).to.deep.equal([
      'me.east 2001:db8:2::',
      'me.east fe80::',
      'me.west 2001:db8:1::',
      'me.west fe80::',
    ]);
    for (const [router, link, prefix] of [
      [left, 'west', 1],
      [right, 'east', 2],
    ] as const) {
      router.tables.addAddress(net.links[link].end(router === left ? 'left' : 'right'), `2001:db8:${prefix}::1/64`);
      expect(reaches(net, me, router, `2001:db8:${prefix}::1`)).to.equal(true);
    }
    finish(net);
  });

  it('keeps the user’s own routes before those that it learns, and his addresses', () => {
    const { net, me } = pair(ROUTER, {
      ...SLAAC,
      addresses: ['2001:db8:1::2/64', 'fe80::2/64'],
      gateway: 'fe80::99',
    });
    net.runFor(5_000);
    expect(me.tables.route6(0x2a00_0000, 0, 0, 1)?.gateway?.toString()).to.equal('fe80::99');
    const stable = me.tables.addresses6
      .list()
      .find(({ noPrefixRoute, cidr }) => noPrefixRoute && !cidr.address.isLinkLocal);
    expect(stable).to.not.equal(undefined);
    net.dispose();
    expect(addressesOf(me)).to.deep.equal(['2001:db8:1::2/64', 'fe80::2/64']);
    net.assertIdle();
  });

  it('refuses what cannot be', () => {
    const env = virtualEnv();
    const tun = fakeDevice(env, { medium: 'ip' });
    const eth = fakeDevice(env);
    expect(() => host({ interfaces: [{ device: tun, slaac: true }] }, env)).to.throw('no Ethernet');
    expect(() => host({ device: tun, advertise: {} }, env)).to.throw('no Ethernet');
    expect(() => host({ device: eth, slaac: true, advertise: {} }, env)).to.throw('a router');
    expect(() => host({ device: eth, slaac: { secret: Uint32Array.of(1) } }, env)).to.throw('four words');
  });
});

describe('a host that verifies its addresses', () => {
  const DAD = { dad: true } as const;

  it('4862-1, 5227-1: uses them once nobody has answered, and announces them', () => {
    const net = network({
      hosts: { me: { ...DAD, addresses: ['10.0.0.1/24', '2001:db8::1/64'] }, other: '10.0.0.2/24' },
    });
    const { me } = net.hosts;
    const log = logOf(me);
    let settled = false;
    me.autoconf.settled$.subscribe(() => (settled = true));
    net.runFor(500);
    expect(me.tables.isLocal(Ipv4Address.parse('10.0.0.1'))).to.equal(false);
    expect(me.tables.isLocal(parseIp('2001:db8::1'))).to.equal(false);
    expect(settled).to.equal(false);
    net.runFor(1_600);
    expect(me.tables.isLocal(parseIp('2001:db8::1'))).to.equal(true);
    expect(log).to.deep.equal(['added static', 'added static']);
    net.runFor(6_000);
    expect(me.tables.isLocal(Ipv4Address.parse('10.0.0.1'))).to.equal(true);
    expect(log).to.have.length(3);
    expect(settled).to.equal(true);
    finish(net);
  });

  it('4862-1, 5227-1: gives up those that somebody has, in both families, and says so', () => {
    const taken = ['10.0.0.1/24', '2001:db8::1/64'];
    const net = network({ hosts: { me: { ...DAD, addresses: [...taken, '10.0.0.9/24'] }, other: taken } });
    const { me } = net.hosts;
    const events: AutoconfEvent[] = [];
    me.autoconf.events$.subscribe((event) => events.push(event));
    net.runFor(10_000);
    const of = (kind: AutoconfEvent['kind']) =>
      events.flatMap((event) => ('origin' in event && event.kind === kind ? [event.address.toString()] : []));
    expect(of('duplicate')).to.have.members(['10.0.0.1', '2001:db8::1']);
    expect(of('failed')).to.have.members(['10.0.0.1', '2001:db8::1']);
    expect(me.tables.addresses.list().map(({ cidr }) => cidr.toString())).to.deep.equal(['10.0.0.9/24']);
    expect(addressesOf(me).every((address) => address.startsWith('fe80::'))).to.equal(true);
    finish(net);
  });

  it('4862-1: is without IPv6 where somebody has the link-local address of its MAC address (RFC 4862 5.4.5)', () => {
    const macs = { me: '02:00:00:00:00:09', other: '02:00:00:00:00:0a' };
    const addresses = ['2001:db8::1/64', '2001:db8::2/64'];
    const net = network({
      hosts: { me: { dad: { transmits: 5 }, addresses }, other: { addresses: 'fe80::ff:fe00:9/64' } },
      links: { lan: { macs } },
    });
    const { me } = net.hosts;
    const log = logOf(me);
    let settled = 0;
    me.autoconf.settled$.subscribe(() => settled++);
    net.runFor(3_000);
    expect(log).to.deep.equal(['duplicate static', 'failed static', 'disabled']);
    expect(addressesOf(me)).to.deep.equal([]);
    expect(settled).to.equal(1);
    finish(net);
  });

  it('5227-1: two hosts that begin at the same moment: not both have it', () => {
    const both = { ...DAD, addresses: ['10.0.0.1/24', '2001:db8::1/64'] };
    const net = network({ hosts: { one: both, two: both } });
    const { one, two } = net.hosts;
    net.runFor(20_000);
    for (const address of ['10.0.0.1', '2001:db8::1'].map(parseIp)) {
      expect([one, two].filter((me) => me.tables.isLocal(address)).length, address.toString()).to.be.at.most(1);
    }
    finish(net);
  });

  it('knows by which interface a gateway is reached before the address there is verified', () => {
    const env = virtualEnv();
    const [one, other] = [fakeDevice(env, { name: 'one' }), fakeDevice(env, { name: 'other' })];
    const interfaces = [
      { device: one, addresses: ['10.0.0.1/24', '2001:db8::1/64'] },
      { device: other, addresses: ['10.1.0.1/24', '2001:db8:1::1/64'], dad: false },
    ];
    const make = (...gateway: string[]) => host({ interfaces, dad: true, gateway }, env).tables;
    for (const [gateway, device] of [
      ['10.0.0.254', one],
      ['10.1.0.254', other],
      ['2001:db8::fe', one],
      ['2001:db8:1::fe', other],
    ] as const) {
      expect(make(gateway).deviceTo(gateway.includes(':') ? '2a00::1' : '192.0.2.1'), gateway).to.equal(device);
    }
    expect(() => make('10.2.0.254')).to.throw('no interface leads to the gateway');
    expect(
      make()
        .addresses.list()
        .map(({ cidr }) => cidr.toString()),
    ).to.deep.equal(['10.1.0.1/24']);
  });

  it('5227-1: sends from no address that it probes for, and is quick where it may be', () => {
    const net = network({
      hosts: { me: { dad: { within: 200, retransmitTimer: 50 }, addresses: '10.0.0.1/24' }, other: '10.0.0.2/24' },
    });
    net.runFor(100);
    expect(net.hosts.me.tables.path(Ipv4Address.parse('10.0.0.2'))).to.equal(undefined);
    net.runFor(100);
    expect(net.hosts.me.tables.path(Ipv4Address.parse('10.0.0.2'))).to.not.equal(undefined);
    finish(net);
  });

  it('5227-3: defends an address once, and gives it up when the other insists within ten seconds (RFC 5227 2.4)', () => {
    const net = network({ hosts: { me: { ...DAD, addresses: '10.0.0.1/24' }, rival: '10.0.0.2/24' } });
    const { me, rival } = net.hosts;
    const log = logOf(me);
    net.runFor(10_000);
    const end = net.links.lan.end('rival');
    // Twice, two seconds apart.
    rival.claims(end)?.announce(Ipv4Address.parse('10.0.0.1').value);
    net.runFor(10);
    expect(me.tables.isLocal(Ipv4Address.parse('10.0.0.1')), 'defended').to.equal(true);
    net.runFor(5_000);
    expect(me.tables.isLocal(Ipv4Address.parse('10.0.0.1'))).to.equal(false);
    expect(log).to.deep.equal(['added static', 'duplicate static', 'failed static']);
    finish(net);
  });

  it('4862-1: tells of another host that answers for an address which is in use', () => {
    const both = '2001:db8::1/64';
    const net = network({ hosts: { me: both, rival: { addresses: both, announce: true } } });
    const [log, rivals] = [logOf(net.hosts.me), logOf(net.hosts.rival)];
    net.runFor(10);
    expect(log).to.deep.equal(['conflict']);
    expect(rivals).to.deep.equal([]);
    expect(net.hosts.me.tables.isLocal(parseIp('2001:db8::1'))).to.equal(true);
    finish(net);
  });

  it('RFC 7527: on a link that returns what it sends it does not take itself for another host', () => {
    const env = virtualEnv();
    const device = fakeDevice(env);
    const me = host({ device, addresses: ['2001:db8::1/64'], dad: true }, env);
    const log = logOf(me);
    const frames = new Subject<RxFrame>();
    const echo: RxFrame[] = [];
    let loops = true;
    const subscription = frames.pipe(me).subscribe((frame) => {
      if (loops) echo.push(env.pool.copy(frame) as unknown as RxFrame);
      frame.release();
    });
    const run = (ms: number) => {
      for (let i = 0; i < ms; i += 10) {
        env.scheduler.runFor(10);
        for (const frame of echo.splice(0)) {
          frames.next(frame);
          frame.release();
        }
      }
    };
    run(10_000);
    expect(log).to.deep.equal(['looped', 'looped']);
    expect(me.tables.isLocal(parseIp('2001:db8::1')), 'nothing is known').to.equal(false);
    loops = false;
    run(120_000);
    expect(log.slice(2)).to.deep.equal(['added static', 'added static']);
    subscription.unsubscribe();
    expect(env.scheduler.pending).to.equal(0);
    expect(env.pool.outstanding).to.equal(0);
  });
});

describe('a host that advertises a router', () => {
  it('4861-7: joins all routers, answers solicitations, says that it is a router (RFC 4861 6.2)', () => {
    const net = network({ hosts: { router: ROUTER, late: SLAAC } });
    const { router, late } = net.hosts;
    net.runFor(5_000);
    const groups = router.tables.addresses6.memberships().map(String);
    expect(groups).to.include('ff02::2');
    const neighbour = late.neighbours(net.links.lan.end('late'))?.entries()[0];
    expect(neighbour).to.deep.include({ isRouter: true });
    // Before its address was verified it could not say where it lives.
    late.autoconf.interface6(net.links.lan.end('late'))?.discovery?.start();
    net.runFor(2_000);
    expect(router.neighbours(net.links.lan.end('router'))?.entries()[0]).to.deep.include({ isRouter: false });
    finish(net);
  });

  it('4861-7: waits for its link-local address to be verified', () => {
    const net = network({ hosts: { router: { ...ROUTER, dad: true }, me: SLAAC } });
    const log = logOf(net.hosts.me);
    net.runFor(900);
    expect(log).to.deep.equal([]);
    net.runFor(10_000);
    expect(log).to.include('added stable');
    finish(net);
  });
});
