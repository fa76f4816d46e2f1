import { expect } from 'chai';
import { ETHERNET_HEADER, readMac } from '../../../lib/wire/ethernet.js';
import { IPV6_HEADER } from '../../../lib/wire/ipv6.js';
import { NdpRedirect } from '../../../lib/wire/ndp.js';
import { forBothVersions } from '../../both-versions.js';
import { ether6, ip6, ndpPacket } from './packets6.js';
import { type BenchOptions, ENDS, RouterBench } from './router-bench.js';

forBothVersions('the routes of a router', ({ version }) => {
  const { a, b, left } = ENDS[version];
  const icmp = version === 4 ? 'icmp' : 'icmpv6';
  const network = version === 4 ? '192.0.2.0/24' : '2001:db8::/32';
  const host = (number: number) => (version === 4 ? `192.0.2.${number}` : `2001:db8::${number.toString(16)}`);
  const gateways = version === 4 ? (['10.2.0.7', '10.2.0.8'] as const) : (['fd02::7', 'fd02::8'] as const);
  let bench: RouterBench;
  const make = (options: BenchOptions): void => {
    bench = new RouterBench(version, options);
    bench.knows(bench.right, gateways[0], '02:00:00:00:00:17');
    bench.knows(bench.right, gateways[1], '02:00:00:00:00:18');
  };
  /** The last byte of the link addresses that packets went to since the last time. */
  const hops = (): number[] => bench.right.sent.splice(0).map((bytes) => readMac(new DataView(bytes.buffer), 0) & 0xff);
  afterEach(() => bench.close());

  for (const [type, reason, told] of [
    ['blackhole', 'route-blackhole', undefined],
    ['unreachable', 'route-unreachable', version === 4 ? 'host' : 'no_route'],
    ['prohibit', 'route-prohibited', version === 4 ? 'packet_filtered' : 'admin_prohibited'],
  ] as const) {
    for (const [what, way] of [
      ['', {}],
      [', whatever device', { side: 'right' }],
      [', whatever gateway', { side: 'right', gateway: gateways[1] }],
    ] as const) {
      it(`may be of type ${type}${what}`, () => {
        make({
          routes: [
            { destination: network, type, ...way },
            { destination: `${host(9)}/${version === 4 ? 32 : 128}`, gateway: gateways[0], side: 'right' },
          ],
        });
        expect(bench.receive('left', `udp 53 > 1024 (12) from ${a} to ${host(8)}`)).to.equal(reason);
        if (told === undefined) bench.expectSent('left');
        else bench.expectSent('left', `> ${icmp} unreachable ${told} from ${left} to ${a}`);
        bench.receive('left', `udp 53 > 1024 (12) from ${a} to ${host(9)}`);
        expect(hops()).to.deep.equal([0x17]);
      });
    }
  }

  it('share the flows where they are equally good, and keep each on its way', () => {
    make({ routes: gateways.map((gateway) => ({ destination: network, gateway, side: 'right' })) });
    const send = (port: number, to = host(9)) => bench.receive('left', `udp ${port} > 53 (12) from ${a} to ${to}`);
    const first: number[] = [];
    for (let port = 1000; port < 1100; port++) {
      send(port);
      first.push(...hops());
    }
    expect(first.filter((hop) => hop === 0x17).length).to.be.within(25, 75);
    expect(new Set(first)).to.deep.equal(new Set([0x17, 0x18]));
    for (let port = 1000; port < 1100; port++) send(port);
    expect(hops()).to.deep.equal(first);
  });

  it('take the flows of a way that goes, and no others', () => {
    make({ routes: gateways.map((gateway) => ({ destination: network, gateway, side: 'right' })) });
    const all = () => {
      for (let port = 1000; port < 1050; port++) bench.receive('left', `udp ${port} > 53 (12) from ${a} to ${host(9)}`);
      return hops();
    };
    expect(new Set(all())).to.have.property('size', 2);
    bench.me.tables.routes.remove(({ gateway }) => gateway?.toString() === gateways[0]);
    bench.me.tables.routes6.remove(({ gateway }) => gateway?.toString() === gateways[0]);
    expect(new Set(all())).to.deep.equal(new Set([0x18]));
  });

  it('go by rules, of where packets come from, by what device, and with what mark', () => {
    const other = version === 4 ? '10.1.0.3' : 'fd01::3';
    make({
      routes: [
        { destination: network, gateway: gateways[0], side: 'right' },
        { destination: network, gateway: gateways[1], side: 'right', table: 100 },
      ],
      rules: [{ priority: 10, from: `${other}/${version === 4 ? 32 : 128}`, table: 100 }],
    });
    bench.receive('left', `udp 1 > 53 (12) from ${a} to ${host(9)}`);
    bench.receive('left', `udp 1 > 53 (12) from ${other} to ${host(9)}`);
    expect(hops()).to.deep.equal([0x17, 0x18]);
    bench.me.routing[version].replaceRules([
      { priority: 10, device: bench.left, table: 100 },
      { priority: 32_766, table: 'main' },
    ]);
    bench.receive('left', `udp 1 > 53 (12) from ${a} to ${host(9)}`);
    expect(hops()).to.deep.equal([0x18]);
    bench.me.routing[version].addRule({ priority: 5, dscp: 46, action: 'prohibit' });
    expect(bench.receive('left', `udp 1 > 53 (12) tos 0xb8 from ${a} to ${host(9)}`)).to.equal('route-prohibited');
    bench.left.sent.length = 0;
  });

  it('do not take what is for the router itself', () => {
    make({ rules: [{ priority: 1, action: 'blackhole' }] });
    bench.receive('left', `${icmp} echo_request id 7 seq 1 (8) from ${a} to ${left}`);
    bench.left.sent.length = 0;
    expect(bench.receive('left', `udp 1 > 53 (12) from ${a} to ${b}`)).to.equal('route-blackhole');
  });

  describe('that lead back to where packets come from', () => {
    const better = version === 4 ? '10.1.0.3' : 'fe80::3';
    const redirect =
      version === 4
        ? `> icmp redirect host gateway ${better} [udp 53 > 1024 (12) to ${host(9)}] from ${left} to ${a}`
        : `> icmpv6 redirect from fe80::ff:fe00:1 to ${a}`;
    const line = `udp 53 > 1024 (12) from ${a} to ${host(9)}`;
    const back = (options: BenchOptions = {}): void => {
      make({ routes: [{ destination: network, gateway: better, side: 'left' }], ...options });
      bench.knows(bench.left, better, '02:00:00:00:00:03');
    };

    it('have the sender told of the better first hop, and the packet goes there (1812-6)', () => {
      back();
      bench.receive('left', line);
      const [told] = bench.expectSent('left', redirect, `> ${line} mac-to 02:00:00:00:00:03`);
      if (version === 4 || told === undefined) return;
      const message = new NdpRedirect(told, told.start + ETHERNET_HEADER + IPV6_HEADER);
      expect([message.target, message.destination].map(String)).to.deep.equal([better, host(9)]);
      expect(message.options().map(({ kind }) => kind)).to.deep.equal(['target-link-address', 'redirected']);
    });

    it('say nothing of it where that is switched off, or of those who are no neighbours (1812-6)', () => {
      back({ left: { redirects: false } });
      bench.receive('left', line);
      bench.expectSent('left', `> ${line} mac-to 02:00:00:00:00:03`);
      const switches = bench.me.switches(bench.left);
      if (switches !== undefined) switches.redirects = true;
      const far = `udp 53 > 1024 (12) from ${version === 4 ? '198.51.100.1' : '2001:db9::1'} to ${host(9)}`;
      bench.receive('left', far);
      bench.expectSent('left', `> ${far} mac-to 02:00:00:00:00:03`);
    });

    it('say so not too often, and not about errors', () => {
      back();
      for (let i = 0; i < 50; i++) bench.receive('left', line);
      expect(bench.left.sent.splice(0)).to.have.length(50 + 20);
      bench.env.scheduler.runFor(1000);
      bench.receive('left', `${icmp} unreachable port [udp 1 > 2 (4)] from ${a} to ${host(9)}`);
      expect(bench.left.sent.splice(0)).to.have.length(1);
    });
  });
});

describe('the routes of a router, and redirects from others', () => {
  const [router, better] = ['fe80::99', 'fe80::42'];
  const far = ip6('2001:db8::1');
  for (const forwarding of [true, false]) {
    it(`RFC 4861 8.2: ${forwarding ? 'do not heed' : 'heed'} them on an interface that ${forwarding ? 'forwards' : 'is but a host'}`, () => {
      const bench = new RouterBench(6, {
        right: { forwarding },
        routes: [{ destination: 'default', gateway: router, side: 'right' }],
      });
      const redirect = ndpPacket((frame) => NdpRedirect.emit(frame, ip6(better), far), {
        source: ip6(router),
        destination: ip6(ENDS[6].right),
      });
      const fate = bench.receiveBytes('right', ether6(redirect, bench.right.mac.value));
      expect(fate).to.equal(forwarding ? 'ndp-unsolicited' : 'taken');
      const { a, b, c, d } = far;
      expect(bench.me.tables.route6(a, b, c, d)?.gateway?.toString()).to.equal(forwarding ? router : better);
      bench.close();
    });
  }
});
