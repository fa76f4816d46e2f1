import { expect } from 'chai';
import { Subject, type Subscription, take } from 'rxjs';
import { Ipv4Address } from '../../../lib/core/address.js';
import { SeededRandom } from '../../../lib/core/random.js';
import { linkMtu } from '../../../lib/l3/routes.js';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import { DnsSources } from '../../../lib/l7/dns-sources.js';
import { dhcpv4, type Dhcpv4Options, dhcpv4Server, type Dhcpv4ServeOptions } from '../../../operators/l7/dhcpv4.js';
import type { Host } from '../../../operators/stack/host.js';
import { type Network, network } from '../../../operators/testing/network.js';
import type { Device } from '../../../lib/core/device.js';
import type { Impairments } from '../../../lib/l2/impairment.js';

const SERVER = '10.0.0.1';
const ip = (text: string) => Ipv4Address.parse(text);

type Names = 'us' | 'gateway' | 'other';

/** Two hosts without addresses, and a gateway that may serve them. */
class Bench {
  readonly net: Network<Names, 'lan'>;
  readonly events: string[] = [];
  readonly served: string[] = [];

  constructor(options: { readonly seed?: number; readonly impair?: Impairments } = {}) {
    const { seed = 1, impair = { delay: 2 } } = options;
    this.net = network({ seed, hosts: { us: [], gateway: `${SERVER}/24`, other: [] }, links: { lan: { impair } } });
  }

  serve(options: Partial<Dhcpv4ServeOptions> = {}): Subscription {
    const device = this.net.links.lan.end('gateway');
    const settings: Dhcpv4ServeOptions = {
      device,
      address: `${SERVER}/24`,
      pool: ['10.0.0.50', '10.0.0.59'],
      leaseTime: 120,
      options: { routers: [ip(SERVER)], dnsServers: [ip('10.0.0.53')], mtu: 1300, domainName: 'home.test' },
      ...options,
    };
    return dhcpv4Server(this.net.hosts.gateway, settings).subscribe(({ kind, binding }) => {
      this.served.push(`${kind} ${binding.address.toString()}`);
    });
  }

  ask(options: Partial<Dhcpv4Options> = {}, who: Names = 'us'): Subscription {
    const device = this.net.links.lan.end(who);
    return dhcpv4(this.net.hosts[who], { device, ...options }).subscribe({
      next: (event) => {
        const what = event.kind === 'link-local' ? event.address : event.lease?.address;
        this.events.push(`${event.kind}${what === undefined ? '' : ` ${what.toString()}`}`);
      },
      complete: () => this.events.push('complete'),
      error: (error: Error) => this.events.push(error.message),
    });
  }

  addresses(who: Names = 'us'): string[] {
    return this.net.hosts[who].tables.addresses.list().map(({ cidr }) => cidr.toString());
  }

  routes(who: Names = 'us'): string[] {
    return this.net.hosts[who].tables.routes
      .list()
      .map((route) => [route.destination, route.gateway ?? 'link', linkMtu(route)].join(' '));
  }

  finish(): void {
    this.net.run();
    this.net.assertIdle();
    this.net.dispose();
  }
}

/** Whether a datagram from one host reaches the other. */
function reaches(net: Network<Names, 'lan'>, from: Host, to: Host, address: string): boolean {
  let heard = false;
  const idle = { error: () => undefined };
  const there = to.udp.bind(anyEndpoint(4, 9999), { message: () => void (heard = true), ...idle });
  const here = from.udp.bind(anyEndpoint(4, 0), { message: () => undefined, ...idle });
  try {
    here.send(new Uint8Array(1), { address: ip(address), port: 9999 });
    net.runFor(5000);
  } catch {
    // There is no way to it.
  }
  here.close();
  there.close();
  return heard;
}

describe('dhcpv4', () => {
  it('configures a host from a server of ours, renews, and gives everything back (2131-1, 2131-2)', () => {
    const bench = new Bench();
    const { net } = bench;
    const { us, gateway } = net.hosts;
    const asked: string[] = [];
    const resolver = {
      setServers: (servers: readonly Ipv4Address[], search: readonly string[]) => {
        asked.push([...servers, ...search].join(' '));
      },
    };
    const serving = bench.serve();
    expect(reaches(net, us, gateway, SERVER)).to.equal(false);
    const lease = bench.ask({ resolver });
    net.runFor(10_000);
    expect(bench.events).to.deep.equal(['bound 10.0.0.50/24']);
    expect(bench.addresses()).to.deep.equal(['10.0.0.50/24']);
    expect(bench.routes()).to.deep.equal(['10.0.0.0/24 link 1300', '0.0.0.0/0 10.0.0.1 1300']);
    expect(us.tables.path(ip('192.0.2.1'))).to.deep.include({ mtu: 1300 });
    expect(asked).to.deep.equal(['10.0.0.53 home.test']);
    expect(reaches(net, us, gateway, SERVER)).to.equal(true);
    expect(reaches(net, gateway, us, '10.0.0.50')).to.equal(true);
    net.runFor(60_000);
    expect(bench.events.slice(1)).to.deep.equal(['renewed 10.0.0.50/24']);
    net.runFor(600_000);
    expect(bench.events.length).to.be.within(11, 13);
    lease.unsubscribe();
    net.runFor(1000);
    expect(bench.served.at(-1)).to.equal('released 10.0.0.50');
    expect(bench.addresses()).to.deep.equal([]);
    expect(bench.routes()).to.deep.equal([]);
    expect(asked.at(-1)).to.equal('');
    serving.unsubscribe();
    bench.finish();
  });

  it('gets an address over a link that loses every fourth frame, for each of two hosts', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const bench = new Bench({ seed, impair: { delay: 5, jitter: 5, loss: 0.25 } });
      const all = [bench.serve({ leaseTime: 3600 }), bench.ask(), bench.ask({}, 'other')];
      bench.net.runFor(400_000);
      const given = [...bench.addresses(), ...bench.addresses('other')].filter((address) => !address.startsWith('169'));
      expect(new Set(given).size, `seed ${seed}: ${bench.events.join(', ')}`).to.equal(2);
      for (const one of all.toReversed()) one.unsubscribe();
      bench.finish();
    }
  });

  it('limits routes of the user by the MTU of the lease, and leaves them otherwise alone', () => {
    const bench = new Bench();
    const device = bench.net.links.lan.end('us');
    const { tables } = bench.net.hosts.us;
    tables.addRoute({ destination: '198.51.100.0/25', device, mtu: 900 });
    tables.addRoute({ destination: '198.51.100.128/25', device });
    const serving = bench.serve();
    const lease = bench.ask();
    bench.net.runFor(10_000);
    expect(bench.routes().slice(0, 2)).to.deep.equal(['198.51.100.0/25 link 900', '198.51.100.128/25 link 1300']);
    lease.unsubscribe();
    expect(bench.routes()).to.deep.equal(['198.51.100.0/25 link 900', '198.51.100.128/25 link 1500']);
    serving.unsubscribe();
    bench.finish();
  });

  it('takes away nothing that the user had configured', () => {
    const bench = new Bench();
    const serving = bench.serve();
    const device = bench.net.links.lan.end('us');
    const { tables } = bench.net.hosts.us;
    tables.addAddress(device, '10.0.0.50/24');
    tables.addRoute({ destination: 'default', gateway: SERVER, device });
    tables.addRoute({ destination: 'default', gateway: SERVER, device, metric: 9 });
    const routes = () =>
      tables.routes.list().map((route) => [String(route.destination), String(route.gateway), route.metric]);
    const before = routes();
    const lease = bench.ask();
    bench.net.runFor(10_000);
    expect(bench.events).to.deep.equal(['bound 10.0.0.50/24']);
    lease.unsubscribe();
    bench.net.runFor(1000);
    expect(bench.addresses()).to.deep.equal(['10.0.0.50/24']);
    expect(routes()).to.deep.equal(before);
    serving.unsubscribe();
    bench.finish();
  });

  it('declines an address that another host has by now, and gets another (5227-1)', () => {
    const bench = new Bench();
    const { other } = bench.net.hosts;
    other.tables.addAddress(bench.net.links.lan.end('other'), '10.0.0.50/24');
    const serving = bench.serve();
    const lease = bench.ask();
    bench.net.runFor(30_000);
    expect(bench.served).to.deep.equal(['bound 10.0.0.50', 'declined 10.0.0.50', 'bound 10.0.0.51']);
    expect(bench.events).to.deep.equal(['bound 10.0.0.51/24']);
    lease.unsubscribe();
    serving.unsubscribe();
    bench.finish();
  });

  it('gives an address up that another host insists on (5227-3)', () => {
    const bench = new Bench();
    const { other } = bench.net.hosts;
    const serving = bench.serve({ leaseTime: 3600 });
    const lease = bench.ask();
    bench.net.runFor(20_000);
    const device = bench.net.links.lan.end('other');
    other.tables.addAddress(device, '10.0.0.50/24');
    // It announces twice, two seconds apart, and answers our defence with its own.
    other.claims(device)?.announce(ip('10.0.0.50').value);
    bench.net.runFor(60_000);
    expect(bench.served).to.include('declined 10.0.0.50');
    expect(bench.events).to.deep.equal(['bound 10.0.0.50/24', 'conflict', 'bound 10.0.0.51/24']);
    lease.unsubscribe();
    serving.unsubscribe();
    bench.finish();
  });

  it('has a link-local address until a server is there, and one that nobody has (3927)', () => {
    const bench = new Bench();
    const { net } = bench;
    const first = bench.ask();
    const second = bench.ask({}, 'other');
    net.runFor(60_000);
    const [ours = ''] = bench.addresses();
    const [theirs = ''] = bench.addresses('other');
    expect(ours).to.match(/^169\.254\..*\/16$/);
    expect(theirs)
      .to.match(/^169\.254\..*\/16$/)
      .and.not.equal(ours);
    expect(bench.events.toSorted()).to.deep.equal(
      [`link-local ${ours.slice(0, -3)}`, `link-local ${theirs.slice(0, -3)}`].toSorted(),
    );
    expect(reaches(net, net.hosts.us, net.hosts.other, theirs.slice(0, -3))).to.equal(true);
    const serving = bench.serve();
    net.runFor(100_000);
    expect(bench.addresses()).to.deep.equal(['10.0.0.50/24']);
    expect(bench.addresses('other')).to.deep.equal(['10.0.0.51/24']);
    expect(bench.events.filter((event) => event === 'link-local')).to.have.length(2);
    // The server is gone for good: back to link-local addresses, ours the same as before.
    serving.unsubscribe();
    net.runFor(300_000);
    expect(bench.addresses()).to.deep.equal([ours]);
    for (const one of [first, second]) one.unsubscribe();
    expect(bench.addresses()).to.deep.equal([]);
    bench.finish();
  });

  it('gives the lease back for who leaves as the link-local address goes', () => {
    const bench = new Bench();
    const { net } = bench;
    const kinds: string[] = [];
    dhcpv4(net.hosts.us, { device: net.links.lan.end('us') })
      .pipe(take(2))
      .subscribe(({ kind }) => kinds.push(kind));
    net.runFor(60_000);
    const serving = bench.serve();
    net.runFor(100_000);
    expect(kinds).to.deep.equal(['link-local', 'link-local']);
    expect(bench.addresses()).to.deep.equal([]);
    expect(bench.routes()).to.deep.equal([]);
    expect(bench.served).to.deep.equal(['bound 10.0.0.50', 'released 10.0.0.50']);
    serving.unsubscribe();
    expect(net.hosts.us.udp.size).to.equal(0);
    bench.finish();
  });

  it('configures each device of a host by the servers of its link', () => {
    const net = network({
      hosts: { us: {}, left: '10.1.0.1/24', right: '10.2.0.1/24' },
      links: { one: { between: ['us', 'left'] }, two: { between: ['us', 'right'] } },
    });
    const { us, left, right } = net.hosts;
    const subscriptions = [
      dhcpv4Server(left, { device: net.links.one.end('left'), address: '10.1.0.1/24', pool: ['10.1.0.5', '10.1.0.9'] }),
      dhcpv4Server(right, {
        device: net.links.two.end('right'),
        address: '10.2.0.1/24',
        pool: ['10.2.0.5', '10.2.0.9'],
      }),
    ].map((serving$) => serving$.subscribe());
    for (const device of [net.links.one.end('us'), net.links.two.end('us')]) {
      // With the same choice of transactions, only the device tells whose an answer is.
      const alike = { ...us, env: { ...us.env, random: new SeededRandom(1) } };
      subscriptions.push(dhcpv4(alike, { device, startDelay: 0 }).subscribe());
    }
    net.runFor(10_000);
    const where = us.tables.addresses.list().map(({ device, cidr }) => `${cidr.toString()} ${device.name}`);
    expect(where.toSorted()).to.deep.equal(['10.1.0.5/24 us.one', '10.2.0.5/24 us.two']);
    for (const one of subscriptions.toReversed()) one.unsubscribe();
    net.run();
    net.assertIdle();
    net.dispose();
  });

  it('serves each link of a gateway by its own server, and no link without one', () => {
    const net = network({
      hosts: {
        gateway: { on: { one: '10.1.0.1/24', two: '10.2.0.1/24', three: '10.3.0.1/24' } },
        first: {},
        second: {},
        third: {},
      },
      links: {
        one: { between: ['gateway', 'first'] },
        two: { between: ['gateway', 'second'] },
        three: { between: ['gateway', 'third'] },
      },
    });
    const { gateway, first, second, third } = net.hosts;
    const { one, two, three } = net.links;
    const serve = (device: Device, network: string) => {
      const pool = [`10.${network}.0.5`, `10.${network}.0.9`] as const;
      return dhcpv4Server(gateway, { device, address: `10.${network}.0.1/24`, pool }).subscribe();
    };
    const subscriptions = [
      serve(one.end('gateway'), '1'),
      serve(two.end('gateway'), '2'),
      dhcpv4(first, { device: one.end('first') }).subscribe(),
      dhcpv4(second, { device: two.end('second') }).subscribe(),
      dhcpv4(third, { device: three.end('third'), linkLocal: false }).subscribe(),
    ];
    net.runFor(20_000);
    const given = [first, second, third].map(({ tables }) =>
      tables.addresses.list().map(({ cidr }) => cidr.toString()),
    );
    expect(given).to.deep.equal([['10.1.0.5/24'], ['10.2.0.5/24'], []]);
    for (const subscription of subscriptions.toReversed()) subscription.unsubscribe();
    net.run();
    net.assertIdle();
    net.dispose();
  });

  it('asks whether the lease still is good when the link comes back', () => {
    const bench = new Bench();
    const linkUp$ = new Subject<void>();
    const serving = bench.serve({ leaseTime: 3600 });
    const lease = bench.ask({ linkUp$ });
    bench.net.runFor(20_000);
    linkUp$.next();
    bench.net.runFor(10_000);
    expect(bench.events).to.deep.equal(['bound 10.0.0.50/24', 'renewed 10.0.0.50/24']);
    // Another network: its server refuses, and gives an address of its own.
    serving.unsubscribe();
    bench.net.hosts.gateway.tables.addAddress(bench.net.links.lan.end('gateway'), '10.1.0.1/24');
    const elsewhere = bench.serve({ address: '10.1.0.1/24', pool: ['10.1.0.50', '10.1.0.59'] });
    linkUp$.next();
    bench.net.runFor(20_000);
    expect(bench.events.slice(2)).to.deep.equal(['refused', 'bound 10.1.0.50/24']);
    expect(bench.addresses()).to.deep.equal(['10.1.0.50/24']);
    expect(bench.routes()[0]).to.equal('10.1.0.0/24 link 1300');
    lease.unsubscribe();
    expect(linkUp$.observed).to.equal(false);
    elsewhere.unsubscribe();
    bench.finish();
  });

  it('asks whether the address still is free when the link comes back (RFC 5227 2.1, RFC 3927 2.2)', () => {
    for (const kind of ['lease', 'link-local']) {
      const bench = new Bench();
      const { net } = bench;
      const linkUp$ = new Subject<void>();
      const serving = kind === 'lease' ? bench.serve({ leaseTime: 3600 }) : undefined;
      const asking = bench.ask({ linkUp$ });
      net.runFor(60_000);
      const [before = ''] = bench.addresses();
      linkUp$.next();
      net.runFor(10_000);
      expect(bench.addresses(), kind).to.deep.equal([before]);
      // Another link, on which it is somebody else's.
      const device = net.links.lan.end('other');
      net.hosts.other.tables.addAddress(device, before);
      linkUp$.next();
      net.runFor(60_000);
      const [after = ''] = bench.addresses();
      expect(after, kind).to.match(/^(10\.0\.0\.51\/24|169\.254\..*\/16)$/);
      expect(after, kind).not.to.equal(before);
      asking.unsubscribe();
      serving?.unsubscribe();
      bench.finish();
    }
  });

  it('completes when the host ends, whatever it was doing', () => {
    for (const after of [0, 2000, 5000, 60_000]) {
      const bench = new Bench();
      const serving = bench.serve();
      bench.ask();
      bench.ask({}, 'other');
      bench.net.runFor(after);
      bench.net.dispose();
      expect(bench.events.filter((event) => event === 'complete')).to.have.length(2);
      expect(serving.closed).to.equal(true);
      bench.net.run();
      bench.net.assertIdle();
    }
  });

  it('errors where the port is taken, and serves only from an address of its own', () => {
    const bench = new Bench();
    const { us } = bench.net.hosts;
    const taken = us.udp.bind(anyEndpoint(4, 68), { message: () => undefined, error: () => undefined });
    bench.ask();
    expect(bench.events[0]).to.contain('EADDRINUSE');
    taken.close();
    const errors: Error[] = [];
    const device = bench.net.links.lan.end('gateway');
    const pool = ['10.7.0.2', '10.7.0.3'] as const;
    dhcpv4Server(bench.net.hosts.gateway, { device, address: '10.7.0.1/24', pool }).subscribe({
      error: (error: Error) => errors.push(error),
    });
    expect(errors[0]?.message).to.contain('EADDRNOTAVAIL');
    expect(bench.net.hosts.gateway.udp.size).to.equal(0);
    bench.finish();
  });
});

describe('DnsSources', () => {
  it('puts together what several sources say, each once, the fixed ones first', () => {
    const said: string[] = [];
    const target = {
      setServers: (servers: readonly unknown[], search: readonly string[]) => {
        said.push([...servers.map(textOf), ...search].join(' '));
      },
    };
    const sources = new DnsSources(target, {
      servers: [{ address: ip('9.9.9.9'), port: 5353 }],
      search: ['fixed.test'],
    });
    sources.from('a').setServers([ip('10.0.0.1'), ip('10.0.0.2')], ['a.test']);
    sources.set('b', [ip('10.0.0.3'), ip('10.0.0.2')], ['fixed.test', 'b.test']);
    sources.set('a', [], []);
    sources.set('a', [], []);
    sources.set('a', [ip('10.0.0.4')], []);
    expect(said).to.deep.equal([
      '9.9.9.9:5353 10.0.0.1 10.0.0.2 fixed.test a.test',
      '9.9.9.9:5353 10.0.0.1 10.0.0.2 10.0.0.3 fixed.test a.test b.test',
      '9.9.9.9:5353 10.0.0.3 10.0.0.2 fixed.test b.test',
      '9.9.9.9:5353 10.0.0.4 10.0.0.3 10.0.0.2 fixed.test b.test',
    ]);
  });
});

function textOf(server: unknown): string {
  if (server instanceof Ipv4Address) return server.toString();
  const { address, port } = server as { readonly address: Ipv4Address; readonly port: number };
  return `${address.toString()}:${port}`;
}
