import { expect } from 'chai';
import { Subject } from 'rxjs';
import { Ipv6Address } from '../../../lib/core/address.js';
import type { Impairments } from '../../../lib/l2/impairment.js';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import { dhcpv6, dhcpv6Information, type Dhcpv6Options } from '../../../operators/l7/dhcpv6.js';
import { type Network, network } from '../../../operators/testing/network.js';
import { TestServer6 } from './dhcpv6-server.js';

const ip = (text: string) => Ipv6Address.parse(text);

type Names = 'us' | 'server' | 'other';

/** Hosts that have nothing but link-local addresses, one of them with a server. */
class Bench {
  readonly net: Network<Names, 'lan'>;
  readonly events: string[] = [];

  constructor(impair: Impairments = { delay: 2 }, seed = 1) {
    const hosts = { us: 'fe80::2/64', server: ['fe80::1/64', '2001:db8::1/64'], other: 'fe80::3/64' };
    this.net = network({ seed, hosts, links: { lan: { impair } } });
  }

  ask(options: Partial<Dhcpv6Options> = {}, who: Names = 'us') {
    const device = this.net.links.lan.end(who);
    return dhcpv6(this.net.hosts[who], { device, ...options }).subscribe({
      next: ({ kind, lease }) => {
        this.events.push([kind, ...(lease?.addresses ?? []).map(({ address }) => address.toString())].join(' '));
      },
      complete: () => this.events.push('complete'),
      error: (error: Error) => this.events.push(error.message),
    });
  }

  addresses(who: Names = 'us'): string[] {
    const global = this.net.hosts[who].tables.addresses6.list().filter(({ cidr }) => !cidr.address.isLinkLocal);
    return global.map(({ cidr, deprecated }) => `${cidr.toString()}${deprecated ? ' deprecated' : ''}`);
  }

  finish(): void {
    this.net.run();
    this.net.assertIdle();
    this.net.dispose();
  }
}

describe('dhcpv6', () => {
  it('gets an address and name servers, renews them, and gives them back', () => {
    const bench = new Bench();
    const { net } = bench;
    const settings = [{ kind: 'dns-servers', servers: [ip('2001:db8::53')] }] as const;
    const server = new TestServer6(net.hosts.server, { settings });
    const asked: string[] = [];
    const resolver = { setServers: (servers: readonly Ipv6Address[]) => void asked.push(servers.join()) };
    const lease = bench.ask({ resolver });
    net.runFor(5000);
    expect(bench.events).to.deep.equal(['bound 2001:db8::50']);
    expect(bench.addresses()).to.deep.equal(['2001:db8::50/128']);
    expect(asked).to.deep.equal(['2001:db8::53']);
    net.runFor(60_000);
    expect(bench.events.slice(1)).to.deep.equal(['renewed 2001:db8::50', 'renewed 2001:db8::50']);
    lease.unsubscribe();
    expect(bench.addresses()).to.deep.equal([]);
    expect(asked.at(-1)).to.equal('');
    net.run();
    expect(server.heard).to.deep.equal(['solicit', 'request', 'renew', 'renew', 'release']);
    expect(server.leases.size).to.equal(0);
    server.close();
    bench.finish();
  });

  it('gets one over a link that loses every fourth frame', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const bench = new Bench({ delay: 5, jitter: 5, loss: 0.25 }, seed);
      const server = new TestServer6(bench.net.hosts.server, { valid: 3600, preferred: 1800 });
      const all = [bench.ask(), bench.ask({}, 'other')];
      bench.net.runFor(400_000);
      const given = [...bench.addresses(), ...bench.addresses('other')];
      expect(new Set(given).size, `seed ${seed}: ${bench.events.join(', ')}`).to.equal(2);
      for (const one of all) one.unsubscribe();
      bench.net.run();
      server.close();
      bench.finish();
    }
  });

  it('verifies the address; declines one that another host has (RFC 8415 18.2.8)', () => {
    const bench = new Bench();
    const { net } = bench;
    net.hosts.other.tables.addAddress(net.links.lan.end('other'), '2001:db8::50/64');
    const server = new TestServer6(net.hosts.server);
    const lease = bench.ask();
    net.runFor(30_000);
    expect(bench.events).to.deep.equal(['conflict', 'bound 2001:db8::51']);
    expect(server.heard.slice(0, 3)).to.deep.equal(['solicit', 'request', 'decline']);
    lease.unsubscribe();
    net.run();
    server.close();
    bench.finish();
  });

  it('deprecates and loses an address whose server is gone', () => {
    const bench = new Bench();
    const server = new TestServer6(bench.net.hosts.server);
    const lease = bench.ask();
    bench.net.runFor(5000);
    server.close();
    bench.net.runFor(60_000);
    expect(bench.addresses()).to.deep.equal(['2001:db8::50/128 deprecated']);
    bench.net.runFor(60_000);
    expect(bench.addresses()).to.deep.equal([]);
    expect(bench.events).to.deep.equal(['bound 2001:db8::50', 'deprecated 2001:db8::50', 'expired']);
    lease.unsubscribe();
    bench.finish();
  });

  it('confirms the address when the link comes back', () => {
    const bench = new Bench();
    const linkUp$ = new Subject<void>();
    const server = new TestServer6(bench.net.hosts.server);
    const lease = bench.ask({ linkUp$ });
    bench.net.runFor(5000);
    linkUp$.next();
    bench.net.runFor(2000);
    expect(server.heard.at(-1)).to.equal('confirm');
    lease.unsubscribe();
    expect(linkUp$.observed).to.equal(false);
    bench.net.run();
    server.close();
    bench.finish();
  });

  it('waits for a link-local address', () => {
    const bench = new Bench();
    const { us } = bench.net.hosts;
    const device = bench.net.links.lan.end('us');
    us.tables.removeAddress(device, 'fe80::2');
    const server = new TestServer6(bench.net.hosts.server);
    const lease = bench.ask();
    bench.net.runFor(10_000);
    expect(server.heard).to.deep.equal([]);
    us.tables.addAddress(device, 'fe80::99/64', { tentative: true });
    bench.net.runFor(20_000);
    expect(server.heard).to.deep.equal([]);
    us.tables.addresses6.update(device, ip('fe80::99'), { tentative: false });
    bench.net.runFor(40_000);
    expect(bench.events.slice(0, 1)).to.deep.equal(['bound 2001:db8::50']);
    // It moves with the address.
    us.tables.addAddress(device, 'fe80::98/64');
    us.tables.removeAddress(device, 'fe80::99');
    const before = bench.events.length;
    bench.net.runFor(40_000);
    expect(bench.events.slice(before)).to.include('renewed 2001:db8::50');
    expect(us.udp.size).to.equal(2);
    lease.unsubscribe();
    bench.net.run();
    server.close();
    bench.finish();
  });

  it('gets an address for each device of a host, from the servers of its link', () => {
    const net = network({
      hosts: { us: { on: { one: 'fe80::21/64', two: 'fe80::22/64' } }, left: 'fe80::1/64', right: 'fe80::1/64' },
      links: { one: { between: ['us', 'left'] }, two: { between: ['us', 'right'] } },
    });
    const { us, left, right } = net.hosts;
    const servers = [new TestServer6(left), new TestServer6(right)];
    const devices = [net.links.one.end('us'), net.links.two.end('us')];
    const subscriptions = devices.map((device) => dhcpv6(us, { device }).subscribe());
    net.runFor(5000);
    expect(servers.map(({ leases }) => leases.size)).to.deep.equal([1, 1]);
    for (const device of devices)
      expect(us.tables.addresses6.find(device, ip('2001:db8::50'))?.tentative).to.equal(false);
    for (const one of subscriptions) one.unsubscribe();
    net.run();
    for (const { heard } of servers) expect(heard).to.deep.equal(['solicit', 'request', 'release']);
    for (const server of servers) server.close();
    net.run();
    net.assertIdle();
    net.dispose();
  });

  it('completes when the host ends; errors where the port is taken', () => {
    for (const after of [0, 500, 3000, 60_000]) {
      const bench = new Bench();
      void new TestServer6(bench.net.hosts.server);
      bench.ask();
      const left = bench.ask({}, 'other');
      bench.net.runFor(after);
      // It still tries to tell the server.
      left.unsubscribe();
      bench.net.dispose();
      expect(bench.events.filter((event) => event === 'complete')).to.have.length(1);
      bench.net.assertIdle();
    }
    const bench = new Bench();
    bench.net.hosts.us.udp.bind(anyEndpoint(6, 546), { message: () => undefined, error: () => undefined });
    bench.ask();
    expect(bench.events[0]).to.contain('EADDRINUSE');
    bench.finish();
  });
});

describe('dhcpv6Information', () => {
  it('asks for settings, and no address', () => {
    const { net } = new Bench();
    const { us } = net.hosts;
    const servers = [ip('2001:db8::53')];
    const settings = [
      { kind: 'dns-servers', servers },
      { kind: 'domain-list', domains: ['home.test'] },
      { kind: 'information-refresh-time', seconds: 3600 },
    ] as const;
    const server = new TestServer6(net.hosts.server, { settings });
    const told: string[] = [];
    const resolver = {
      setServers: (given: readonly Ipv6Address[], search: readonly string[]) =>
        void told.push([...given, ...search].join()),
    };
    let count = 0;
    const device = net.links.lan.end('us');
    const asking = dhcpv6Information(us, { device, resolver }).subscribe(() => count++);
    net.runFor(2000);
    expect([count, ...told]).to.deep.equal([1, '2001:db8::53,home.test']);
    net.runFor(3_600_000);
    expect(server.heard).to.deep.equal(['informationrequest', 'informationrequest']);
    expect(us.tables.addresses6.list()).to.have.length(1);
    asking.unsubscribe();
    expect(told.at(-1)).to.equal('');
    server.close();
    net.run();
    net.assertIdle();
    let completed = false;
    dhcpv6Information(us, { device }).subscribe({ complete: () => (completed = true) });
    net.dispose();
    expect(completed).to.equal(true);
    net.run();
    net.assertIdle();
  });
});
