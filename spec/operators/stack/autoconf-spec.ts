import { expect } from 'chai';
import { Ipv6Address, parseIp } from '../../../lib/core/address.js';
import type { Device } from '../../../lib/core/device.js';
import { ALL_NODES, ALL_ROUTERS } from '../../../lib/l3/scope.js';
import { RouterAdvertisement } from '../../../lib/wire/ndp.js';
import type { Host } from '../../../operators/index.js';
import { host } from '../../../operators/stack/host.js';
import { type Network, network, type NetworkHostOptions } from '../../../operators/testing/index.js';
import { fakeDevice, virtualEnv } from '../../lib/l2/fake-device.js';
import { advertisement, ether6, ndpPacket, PEER6, US6 } from '../l3/packets6.js';
import { PREFIX, ROUTER, SLAAC, logOf, addressesOf, global, reaches, finish } from './autoconf-hosts.js';

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
    // Nor is it one again for any change of its addresses and groups.
    router.tables.addresses6.join(Ipv6Address.parse('ff05::1234'));
    router.tables.addAddress(net.links.lan.end('router'), '2001:db8:1::1/64');
    net.runFor(100_000);
    expect(me.tables.path(parseIp('2001:db8:9::1'))).to.equal(undefined);
    finish(net);
  });

  it('who ceases to be a router leaves the group of all routers (RFC 4861 6.2.5)', () => {
    const { net, router } = pair();
    net.runFor(5_000);
    const isMember = () => router.tables.addresses6.memberships().some((group) => group.equals(ALL_ROUTERS));
    expect(isMember()).to.equal(true);
    router.autoconf.interface6(net.links.lan.end('router'))?.stopAdvertising();
    expect(isMember()).to.equal(false);
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

  describe('that was redirected to another router', () => {
    const far = parseIp('2001:db8:9::1') as Ipv6Address;
    const linkLocal = (net: Network, name: string) => {
      const { tables } = net.hosts[name] as Host;
      return tables.addresses6.sourceFor(
        net.links.lan?.end(name) as Device,
        Ipv6Address.parse('fe80::'),
      ) as Ipv6Address;
    };
    const gateway = ({ tables }: Host) => tables.route6(far.a, far.b, far.c, far.d)?.gateway?.toString();

    for (const [how, isSaid] of [
      ['says so to all', true],
      ['answers as a host', false],
    ] as const) {
      it(`4861-4: goes by the first one again when the other ${how} (RFC 4861 6.3.5, 7.2.5)`, () => {
        const better = { advertise: { maxInterval: 10_000, preference: 1 } } as const;
        const net = network({ hosts: { me: SLAAC, router: better, other: isSaid ? ROUTER : 'fe80::b/64' } });
        const { me } = net.hosts;
        net.runFor(5_000);
        const [first, second] = [linkLocal(net, 'router'), linkLocal(net, 'other')];
        expect(gateway(me)).to.equal(first.toString());
        expect(me.tables.redirect6(net.links.lan.end('me'), first, far, second)).to.equal(true);
        expect(gateway(me)).to.equal(second.toString());
        if (isSaid) net.hosts.other.autoconf.interface6(net.links.lan.end('other'))?.stopAdvertising();
        else reaches(net, me, net.hosts.other, far.toString());
        net.runFor(100);
        expect(gateway(me)).to.equal(first.toString());
        finish(net);
      });
    }

    it('4861-4: goes straight to a neighbour, as a redirect said, who need be no router', () => {
      const net = network({ hosts: { me: SLAAC, router: ROUTER, other: ['fe80::b/64', '2001:db8:9::1/128'] } });
      const { me, other } = net.hosts;
      net.runFor(5_000);
      expect(me.tables.redirect6(net.links.lan.end('me'), linkLocal(net, 'router'), far, far)).to.equal(true);
      expect(reaches(net, me, other, far.toString())).to.equal(true);
      expect(gateway(me)).to.equal(undefined);
      finish(net);
    });
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

  it('RFC 4862 5.4.5: asks no name servers of an interface that is disabled', () => {
    const env = virtualEnv();
    const device = fakeDevice(env);
    const me = host({ device, slaac: { eui64: true }, dns: { servers: ['10.0.0.53'] } }, env);
    const running = device.frames$.pipe(me).subscribe(device.sink);
    const servers = () => me.dns.getServers().map(({ address }) => address.toString());
    const toAll = { source: PEER6.linkLocal, destination: ALL_NODES };
    const parameters = { hopLimit: 0, lifetime: 1800, preference: 0, reachableTime: 0, retransmitTimer: 0 } as const;
    const rdnss = { kind: 'rdnss', lifetime: 1800, servers: [Ipv6Address.parse('2001:db8::53')] } as const;
    const heard = ndpPacket((frame) => RouterAdvertisement.emit(frame, parameters, [rdnss]), toAll);
    device.receive(ether6(heard));
    expect(servers()).to.deep.equal(['10.0.0.53', '2001:db8::53']);
    device.receive(ether6(advertisement(US6.linkLocal, { solicited: false }, toAll)));
    expect(me.tables.addresses6.list()).to.deep.equal([]);
    expect(servers()).to.deep.equal(['10.0.0.53']);
    running.unsubscribe();
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
