import { expect } from 'chai';
import { Subject } from 'rxjs';
import { Ipv4Address, parseIp } from '../../../lib/core/address.js';
import type { RxFrame } from '../../../lib/core/frame.js';
import { EthernetLink } from '../../../lib/l2/ethernet-link.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { Autoconf, type AutoconfEvent, type AutoconfInterface } from '../../../operators/index.js';
import { host } from '../../../operators/stack/host.js';
import { network } from '../../../operators/testing/index.js';
import { fakeDevice, virtualEnv } from '../../lib/l2/fake-device.js';
import { ROUTER, SLAAC, logOf, addressesOf, finish } from './autoconf-hosts.js';

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
      ['fe80::fe%one', one],
      ['fe80::fe%other', other],
    ] as const) {
      expect(make(gateway).deviceTo(gateway.includes(':') ? '2a00::1' : '192.0.2.1'), gateway).to.equal(device);
    }
    expect(() => make('10.2.0.254')).to.throw('no interface leads to the gateway');
    expect(() => make('fe80::fe%another')).to.throw('no interface leads to the gateway');
    const automatic = { interfaces: [{ device: one }, { device: other }], slaac: true, gateway: 'fe80::fe%other' };
    expect(host(automatic, env).tables.deviceTo('2a00::1')).to.equal(other);
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

  /** Addresses of two links of which nobody is asked, so that all is told at once, and that end when something is told. */
  function endedAtOnce(options: Omit<AutoconfInterface, 'device'>) {
    const env = virtualEnv();
    const tables = new IpTables(env);
    const devices = ['eth0', 'eth1'].map((name) => fakeDevice(env, { name }));
    const links = devices.map((device) => {
      const addresses = tables.arpAddresses(device);
      return new EthernetLink({ device, addresses, addresses6: tables.ndpAddresses(device) }, env);
    });
    const interfaces = devices.map((device) => ({ device, dad: { transmits: 0 }, ...options }));
    const autoconf = new Autoconf({ interfaces, links, tables }, env);
    autoconf.events$.subscribe(() => autoconf.dispose());
    autoconf.start();
    expect(env.scheduler.pending).to.equal(0);
    return tables.addresses6.list().map(({ cidr }) => cidr.toString());
  }

  it('ends for good by who is told of an address, though others were to follow', () => {
    expect(endedAtOnce(SLAAC)).to.deep.equal([]);
    expect(endedAtOnce({ addresses: ['2001:db8::1/64', '10.0.0.1/24', 'fe80::1/64'] })).to.deep.equal([
      '2001:db8::1/64',
    ]);
  });

  it('leaves what is there to who ends it when IPv6 is about to be disabled', () => {
    const given = ['fe80::ff:fe00:9/64', '2001:db8::1/64'];
    const macs = { me: '02:00:00:00:00:09', other: '02:00:00:00:00:0a' };
    const hosts = { me: { dad: { transmits: 5 }, addresses: given }, other: { addresses: 'fe80::ff:fe00:9/64' } };
    const net = network({ hosts, links: { lan: { macs } } });
    const { me } = net.hosts;
    me.autoconf.events$.subscribe(({ kind }) => {
      if (kind === 'failed') me.autoconf.dispose();
    });
    net.runFor(10_000);
    expect(addressesOf(me)).to.deep.equal(['2001:db8::1/64']);
    finish(net);
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
