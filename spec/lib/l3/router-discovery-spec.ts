import { expect } from 'chai';
import { Ipv6Address } from '../../../lib/core/address.js';
import { DropReason } from '../../../lib/core/drops.js';
import { EthernetLink } from '../../../lib/l2/ethernet-link.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { RouterDiscovery, type RouterEvent } from '../../../lib/l3/router-discovery.js';
import { RouterRoutes } from '../../../lib/l3/router-routes.js';
import type { NdpOption } from '../../../lib/wire/ndp-options.js';
import { fakeDevice, type VirtualEnv, virtualEnv } from '../l2/fake-device.js';
import { fields, ip, prefixOption } from './advertisements.js';

const ONE = ip('fe80::1%eth0');
const TWO = ip('fe80::2%eth0');
const FAR = ip('2001:db8:9::9');

describe('router discovery', () => {
  let env: VirtualEnv;
  let log: string[];
  let asked: number[];
  let discovery: RouterDiscovery;
  let tables: IpTables;
  let table: RouterRoutes;
  let link: EthernetLink;
  /** Ends everything from within when it is told of that. */
  let endsAt: RouterEvent['kind'] | undefined;

  function describeEvent(event: RouterEvent): string {
    switch (event.kind) {
      case 'route-added':
      case 'route-removed': {
        const { destination, gateway, preference } = event.route;
        const sign = event.kind === 'route-added' ? '+' : '-';
        return `${sign} ${destination.toString()} via ${gateway?.toString() ?? 'link'} ${preference}`;
      }
      case 'dns':
        return `dns ${event.servers.map(String).join(',')} ${event.domains.join(',')}`;
      case 'prefix':
        return `prefix ${event.prefix.prefix.toString()}`;
      default:
        return event.kind;
    }
  }
  const hear = (source: Ipv6Address, given: Parameters<typeof fields>[0] = {}, options: NdpOption[] = []) =>
    discovery.received(source, fields(given), options);
  const best = ({ a, b, c, d }: Ipv6Address) => tables.route6(a, b, c, d);
  const wait = (ms: number) => env.scheduler.runFor(ms);
  const routers = () => discovery.routes.defaultRouters().map(String);

  function make(seed = 1): void {
    env = virtualEnv(seed);
    log = [];
    asked = [];
    endsAt = undefined;
    const device = fakeDevice(env, { name: 'eth0' });
    tables = new IpTables(env);
    const addresses = tables.arpAddresses(device);
    link = new EthernetLink({ device, addresses, addresses6: tables.ndpAddresses(device) }, env);
    table = new RouterRoutes(link, tables, env);
    discovery = new RouterDiscovery(
      {
        solicit: () => asked.push(env.timers.now()),
        on: (event) => {
          log.push(describeEvent(event));
          if (event.kind === 'route-added') table.add(event.route);
          else if (event.kind === 'route-removed') table.remove(event.route);
          if (event.kind === endsAt) discovery.dispose();
        },
      },
      env,
      1_500,
    );
  }

  beforeEach(() => make());
  afterEach(() => {
    discovery.dispose();
    expect(tables.routes6.list(), 'routes left').to.deep.equal([]);
    table.dispose();
    expect(env.scheduler.pending, 'timers left').to.equal(0);
  });

  it('RFC 4191 3.2: a router that answers is known again, but not at an address that no host has', () => {
    const router = ip('fe80::1');
    const mac = () => link.neighbours.get(router)?.mac;
    hear(ONE);
    link.neighbours.ask(router.a, router.b, router.c, router.d);
    wait(3_000);
    for (const said of [-1, 0, 0xffff_ffff_ffff, link.device.mac.value]) {
      table.answered(ONE, said);
      expect(mac(), String(said)).to.equal(undefined);
    }
    table.answered(ONE, 0x0200_0000_0009);
    expect(mac()).to.equal(0x0200_0000_0009);
    link.dispose();
  });

  describe('solicitations', () => {
    it('4861-5: three, four seconds apart, the first after a random delay of up to a second; then there is no router (RFC 4861 6.3.7)', () => {
      const firsts = new Set<number>();
      for (let seed = 1; seed < 6; seed++) {
        make(seed);
        discovery.start();
        env.scheduler.run();
        const [first = NaN] = asked;
        expect(first).to.be.within(0, 1_000);
        expect(asked).to.deep.equal([first, first + 4_000, first + 8_000]);
        expect(log).to.deep.equal(['no-router']);
        expect(env.timers.now()).to.equal(first + 9_000);
        firsts.add(first);
      }
      expect(firsts.size).to.equal(5);
    });

    it('4861-5: ends them when a router answers, not when one that is no default router does (RFC 4861 6.3.7)', () => {
      discovery.start();
      wait(1_000);
      hear(ONE, { lifetime: 0 });
      wait(4_000);
      expect(asked).to.have.length(2);
      hear(ONE);
      wait(10_000);
      expect(asked).to.have.length(2);
      expect(log).to.not.include('no-router');
    });

    it('4861-5: asks once even though a router spoke before, since that may have been incomplete (RFC 4861 6.3.7)', () => {
      discovery.start();
      hear(ONE);
      wait(20_000);
      expect(asked).to.have.length(1);
    });

    it('4861-5: starts anew when asked to', () => {
      discovery.start();
      wait(100_000);
      discovery.start();
      wait(100_000);
      expect(asked).to.have.length(6);
      discovery.start();
      discovery.stop();
      wait(100_000);
      expect(asked).to.have.length(6);
    });
  });

  describe('default routers', () => {
    it('4861-5: only from link-local sources (RFC 4861 6.1.2)', () => {
      expect(hear(ip('2001:db8::1'))).to.equal(DropReason.NdpBadSource);
      expect(log).to.deep.equal([]);
    });

    it('4861-5: last as long as they say, are refreshed, and go at once at lifetime 0 (RFC 4861 6.3.4)', () => {
      hear(ONE, { lifetime: 10 });
      wait(9_000);
      hear(ONE, { lifetime: 10 });
      wait(9_999);
      expect(routers()).to.deep.equal([ONE.toString()]);
      wait(1);
      expect(routers()).to.deep.equal([]);
      hear(ONE);
      hear(ONE, { lifetime: 0 });
      expect(log).to.deep.equal([
        '+ ::/0 via fe80::1%eth0 0',
        '- ::/0 via fe80::1%eth0 0',
        '+ ::/0 via fe80::1%eth0 0',
        '- ::/0 via fe80::1%eth0 0',
      ]);
    });

    it('4861-4: one that says it is a router no more goes, with all its routes (RFC 4861 7.2.5)', () => {
      hear(ONE, {}, [{ kind: 'route', prefix: ip('2001:db8:9::'), length: 48, preference: 0, lifetime: 60 }]);
      hear(TWO);
      discovery.routerGone(ONE);
      expect(discovery.routes.list().map((route) => String(route.gateway))).to.deep.equal([TWO.toString()]);
    });

    it('RFC 4191 3.2: the preferred one first', () => {
      hear(ONE, { preference: -1 });
      hear(TWO, { preference: 1 });
      expect(routers()).to.deep.equal([TWO.toString(), ONE.toString()]);
      expect(best(FAR)?.gateway?.d).to.equal(TWO.d);
    });

    it('RFC 4191 3.2: a change of preference replaces the route', () => {
      hear(ONE);
      hear(ONE, { preference: 1 });
      expect(log.slice(1)).to.deep.equal(['+ ::/0 via fe80::1%eth0 1', '- ::/0 via fe80::1%eth0 0']);
    });

    it('RFC 4191 3.2: one that does not answer stays behind others when it changes its preference', () => {
      hear(ONE);
      hear(TWO);
      link.neighbours.ask(TWO.a, TWO.b, TWO.c, TWO.d);
      wait(3_000);
      hear(TWO, { preference: 1 });
      expect(best(FAR)?.gateway?.d).to.equal(ONE.d);
    });

    it('keeps 128 routes at most, whoever floods', () => {
      for (let i = 1; i < 200; i++) hear(new Ipv6Address(0xfe80_0000, 0, 0, i));
      expect(discovery.routes.list()).to.have.length(128);
      hear(new Ipv6Address(0xfe80_0000, 0, 0, 1), { lifetime: 0 });
      hear(new Ipv6Address(0xfe80_0000, 0, 0, 199));
      expect(discovery.routes.list()).to.have.length(128);
    });
  });

  describe('routes', () => {
    it('RFC 4191 3.1: the longest prefix, then the preference; lifetime 0 removes', () => {
      const route = (length: number, preference: -1 | 0 | 1, lifetime = 60): NdpOption => ({
        kind: 'route',
        prefix: FAR,
        length,
        preference,
        lifetime,
      });
      hear(ONE, { preference: 1 }, [route(32, 0)]);
      hear(TWO, { preference: -1 }, [route(32, 1)]);
      expect(best(FAR)?.gateway?.d).to.equal(2);
      expect(best(ip('2a00::1'))?.gateway?.d).to.equal(1);
      hear(ONE, { preference: 1 }, [route(48, -1)]);
      expect(best(FAR)?.destination.toString()).to.equal('2001:db8:9::/48');
      hear(ONE, { preference: 1 }, [route(48, -1, 0)]);
      expect(best(FAR)?.gateway?.d).to.equal(2);
      wait(60_000);
      expect(routers()).to.deep.equal([ONE.toString(), TWO.toString()]);
      expect(discovery.routes.list()).to.have.length(2);
    });

    it('RFC 4191 3.1: a route option for ::/0 overrides the header', () => {
      hear(ONE, { lifetime: 0 }, [{ kind: 'route', prefix: ip('::'), length: 0, preference: 1, lifetime: 5 }]);
      expect(log).to.deep.equal(['+ ::/0 via fe80::1%eth0 1']);
      wait(5_000);
      expect(routers()).to.deep.equal([]);
    });

    it('RFC 4191 2.2: the preference of a router that is no default router means nothing', () => {
      hear(ONE, { lifetime: 0, preference: 1 });
      expect(log).to.deep.equal([]);
    });

    it('4861-5: prefixes with the on-link flag are of the link as long as they say; others and fe80:: are not (RFC 4861 6.3.4)', () => {
      hear(ONE, { lifetime: 0 }, [
        prefixOption('2001:db8:1::5', { validLifetime: 10 }),
        prefixOption('2001:db8:2::', { onLink: false }),
        prefixOption('2001:db8:3::/48', { autonomous: false, validLifetime: 0xffff_ffff }),
        prefixOption('fe80::'),
      ]);
      expect(log).to.deep.equal([
        '+ 2001:db8:1::/64 via link 0',
        'prefix 2001:db8:1::5',
        'prefix 2001:db8:2::',
        '+ 2001:db8:3::/48 via link 0',
      ]);
      expect(best(ip('2001:db8:1::77'))?.gateway).to.equal(undefined);
      wait(1e12);
      expect(log.slice(4)).to.deep.equal(['- 2001:db8:1::/64 via link 0']);
      hear(ONE, { lifetime: 0 }, [prefixOption('2001:db8:3::/48', { autonomous: false, validLifetime: 0 })]);
      expect(discovery.routes.list()).to.deep.equal([]);
    });
  });

  describe('parameters', () => {
    it('4861-5: takes over hop limit, timers and flags, and leaves what is unspecified (RFC 4861 6.3.4)', () => {
      hear(ONE, { hopLimit: 3, reachableTime: 5_000, retransmitTimer: 200, managed: true });
      hear(ONE, { managed: true });
      expect(log.filter((line) => line === 'parameters')).to.have.length(1);
      expect(discovery.parameters).to.deep.equal({
        hopLimit: 3,
        mtu: 1_500,
        reachableTime: 5_000,
        retransmitTimer: 200,
        managed: true,
        other: false,
      });
      hear(ONE, { reachableTime: 3_600_001, other: true });
      expect(discovery.parameters).to.deep.include({ reachableTime: 5_000, other: true, managed: false });
    });

    it('takes over no time between queries that leaves no time to answer, or never comes to an end', () => {
      const retransmit = (value: number) => {
        hear(ONE, { retransmitTimer: value });
        return discovery.parameters.retransmitTimer;
      };
      expect([9, 10, 60_000, 60_001, 0xffff_ffff].map(retransmit)).to.deep.equal([1_000, 10, 60_000, 60_000, 60_000]);
    });

    it('4861-5: an MTU from 1280 to the device\u2019s own counts, another does not (RFC 4861 6.3.4)', () => {
      const mtu = (value: number) => {
        hear(ONE, {}, [{ kind: 'mtu', mtu: value }]);
        return discovery.parameters.mtu;
      };
      expect([1_279, 1_501, 1_400, 1_280, 0, 1_500].map(mtu)).to.deep.equal([1_500, 1_500, 1_400, 1_280, 1_280, 1_500]);
    });
  });

  describe('names', () => {
    const servers = (lifetime: number, ...list: string[]): NdpOption => ({
      kind: 'rdnss',
      lifetime,
      servers: list.map(ip),
    });

    it('RFC 8106 5.1: servers last as long as they say; link-local ones are of the link', () => {
      hear(ONE, { lifetime: 0 }, [servers(10, '2001:db8::53', 'fe80::53'), servers(20, 'ff02::1', '2001:db8::54')]);
      expect(log).to.deep.equal(['dns 2001:db8::53,fe80::53%eth0,2001:db8::54 ']);
      hear(ONE, { lifetime: 0 }, [servers(10, '2001:db8::53')]);
      expect(log, 'nothing new').to.have.length(1);
      wait(10_000);
      expect(discovery.dnsServers.map(String)).to.deep.equal(['2001:db8::54']);
      hear(ONE, { lifetime: 0 }, [servers(0, '2001:db8::54')]);
      expect(log.at(-1)).to.equal('dns  ');
      hear(ONE, { lifetime: 0 }, [servers(0, '2001:db8::54')]);
      expect(log, 'nothing to tell').to.have.length(3);
    });

    it('RFC 8106 5.2: search domains, too, whatever their case', () => {
      hear(ONE, { lifetime: 0 }, [{ kind: 'dnssl', lifetime: 10, domains: ['Example.org', 'example.net'] }]);
      hear(ONE, { lifetime: 0 }, [{ kind: 'dnssl', lifetime: 0, domains: ['example.ORG'] }]);
      expect(discovery.searchDomains).to.deep.equal(['example.net']);
      wait(10_000);
      expect(log.at(-1)).to.equal('dns  ');
    });

    it('RFC 8106 5.3.1: keeps eight of each', () => {
      const many = Array.from({ length: 20 }, (_, i) => `2001:db8::${i + 1}`);
      hear(ONE, { lifetime: 0 }, [servers(10, ...many)]);
      expect(discovery.dnsServers).to.have.length(8);
    });
  });

  for (const kind of ['parameters', 'route-added', 'prefix', 'dns'] as const) {
    it(`learns nothing more once it was ended by who is told of ${kind}`, () => {
      endsAt = kind;
      const rest: NdpOption[] = [
        prefixOption('2001:db8:1::/64'),
        { kind: 'rdnss', lifetime: 10, servers: [FAR] },
        { kind: 'dnssl', lifetime: 10, domains: ['example.org'] },
      ];
      hear(ONE, { hopLimit: 9 }, rest);
      const told = log.length;
      hear(ONE, { hopLimit: 8 }, rest);
      expect(log).to.have.length(told);
      expect([tables.routes6.list(), discovery.routes.list(), discovery.dnsServers]).to.deep.equal([[], [], []]);
      expect(env.scheduler.pending).to.equal(0);
    });
  }
});
