import { expect } from 'chai';
import { DropReason } from '../../../lib/core/drops.js';
import { forBothVersions } from '../../both-versions.js';
import { type BenchOptions, ENDS, RouterBench } from './router-bench.js';

forBothVersions('forward', ({ version }) => {
  const { a, b, left } = ENDS[version];
  const icmp = version === 4 ? 'icmp' : 'icmpv6';
  let bench: RouterBench;
  const make = (options?: BenchOptions): void => {
    bench = new RouterBench(version, options);
  };
  afterEach(() => bench.close());

  it('takes one off the hop limit, in the buffer that came in, behind a new link header (1812-3, 8200-7)', () => {
    make();
    expect(bench.receive('left', `udp 53 > 1024 (12) from ${a} to ${b} ttl 9 tos 0xb9`)).to.equal('taken');
    const [frame] = bench.expectSent('right', `> udp 53 > 1024 (12) from ${a} to ${b} ttl 8 tos 0xb9`);
    expect(frame?.bytes().slice(0, 12)).to.deep.equal(Uint8Array.from([2, 0, 0, 0, 0, 0x12, 2, 0, 0, 0, 0, 0x11]));
  });

  it('sends nothing of the padding of the link that a packet came by', () => {
    make();
    const packet = `udp 53 > 1024 (1) from ${a} to ${b}`;
    bench.receive('left', packet, (frame) => void (frame.slab.bytes.fill(0xaa, frame.end), (frame.end = frame.limit)));
    const [frame] = bench.expectSent('right', `> ${packet}`);
    expect(frame?.length).to.equal(14 + (version === 4 ? 20 : 40) + 9);
  });

  for (const ttl of [0, 1]) {
    it(`tells the sender that a hop limit of ${ttl} has ended (1812-3, 8200-7)`, () => {
      make();
      const packet = `udp 53 > 1024 (12) from ${a} to ${b}`;
      expect(bench.receive('left', `${packet} ttl ${ttl}`)).to.equal('hop-limit-exceeded');
      bench.expectSent('left', `> ${icmp} time_exceeded ttl [udp 53 > 1024 (12) to ${b}] from ${left} to ${a}`);
      bench.expectSent('right');
    });
  }

  it('tells nobody that the hop limit of an error, of a fragment, or of what has no single sender has ended', () => {
    make();
    const error = `${icmp} unreachable port [udp 1 > 2 (4)]`;
    expect(bench.receive('left', `${error} from ${a} to ${b} ttl 1`)).to.equal('hop-limit-exceeded');
    const from = version === 4 ? '127.0.0.1' : '::1';
    expect(bench.receive('left', `udp 53 > 1024 (12) from ${from} to ${b} ttl 1`)).to.equal('forward-not-allowed');
    bench.expectSent('left');
  });

  it('takes nothing further that was sent to everybody on a link (1812-2)', () => {
    make();
    const line = `udp 53 > 1024 (12) from ${a} to ${b}`;
    const toAll = (frame: { slab: { bytes: Uint8Array }; start: number }) =>
      void frame.slab.bytes.fill(0xff, frame.start, frame.start + 6);
    expect(bench.receive('left', line, toAll)).to.equal('forward-not-allowed');
    bench.expectSent('right');
  });

  const martians =
    version === 4
      ? ['0.0.0.0', '0.1.2.3', '127.0.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255', '169.254.0.1']
      : ['::', '::1', '::ffff:a01:2', 'ff02::1', 'ff0e::1'];
  for (const from of martians) {
    it(`takes nothing further from ${from} (1812-2)`, () => {
      make();
      expect(bench.receive('left', `udp 53 > 1024 (12) from ${from} to ${b}`)).to.equal('forward-not-allowed');
      bench.expectSent('right');
      bench.expectSent('left');
    });
  }

  const nowhere =
    version === 4
      ? ['0.0.0.1', '127.0.0.1', '224.0.0.9', '240.0.0.1', '10.2.0.255', '10.1.0.255']
      : ['::', '::1', '::ffff:a02:2', 'fe80::2', 'ff02::9', 'ff0e::9'];
  for (const to of nowhere) {
    it(`takes nothing further to ${to}, whatever the routes say (1812-2, 1812-8)`, () => {
      make({ routes: [{ destination: version === 4 ? '0.0.0.0/0' : '::/0', gateway: b, side: 'right' }] });
      bench.receive('left', `udp 53 > 1024 (12) from ${a} to ${to}`);
      bench.expectSent('right');
    });
  }

  it('goes by the most specific route, to its gateway', () => {
    const other = version === 4 ? '192.0.2.0/24' : '2001:db8::/32';
    const host = version === 4 ? '192.0.2.9' : '2001:db8::9';
    const gateway = version === 4 ? '10.2.0.7' : 'fd02::7';
    make({
      routes: [
        { destination: version === 4 ? '0.0.0.0/0' : '::/0', gateway: a, side: 'left' },
        { destination: other, gateway, side: 'right' },
      ],
    });
    bench.knows(bench.right, gateway, '02:00:00:00:00:17');
    bench.receive('left', `udp 53 > 1024 (12) from ${a} to ${host}`);
    bench.expectSent('right', `> udp 53 > 1024 (12) from ${a} to ${host} mac-to 02:00:00:00:00:17`);
  });

  it('follows routes and addresses that change', () => {
    make();
    const to = version === 4 ? '192.0.2.9' : '2001:db8::9';
    const line = `udp 53 > 1024 (12) from ${a} to ${to}`;
    expect(bench.receive('left', line)).to.equal('ip-no-route');
    bench.expectSent('left', `> ${icmp} unreachable ${version === 4 ? 'net' : 'no_route'} from ${left} to ${a}`);
    bench.me.tables.addRoute({ destination: `${to}/${version === 4 ? 32 : 128}`, gateway: b, device: bench.right });
    bench.receive('left', line);
    bench.expectSent('right', `> ${line}`);
    bench.me.tables.addAddress(bench.right, `${to}/${version === 4 ? 32 : 128}`);
    expect(bench.receive('left', line)).to.equal('udp-no-socket');
    bench.expectSent('right');
    bench.expectSent('left', `> ${icmp} unreachable port from ${to} to ${a}`);
  });

  it('says how much the next link carries, of packets that must not be cut', () => {
    make({ mtu: { right: version === 4 ? 600 : 1300 } });
    const df = version === 4 ? ' df' : '';
    const mtu = version === 4 ? 600 : 1300;
    const headers = version === 4 ? 28 : 48;
    expect(bench.receive('left', `udp 53 > 1024 (${mtu - headers + 1}) from ${a} to ${b}${df}`)).to.equal('ip-too-big');
    const what = version === 4 ? 'unreachable frag_needed' : 'packet_too_big';
    bench.expectSent('left', `> ${icmp} ${what} mtu ${mtu} from ${left} to ${a}`);
    bench.receive('left', `udp 53 > 1024 (${mtu - headers}) from ${a} to ${b}${df}`);
    bench.expectSent('right', `> udp 53 > 1024 (${mtu - headers}) from ${a} to ${b}${df}`);
  });

  it('tells a sender whose address is good on its link only that it is', () => {
    make();
    const from = version === 4 ? '169.254.0.2' : 'fe80::2';
    bench.knows(bench.left, from, '02:00:00:00:00:02');
    expect(bench.receive('left', `udp 53 > 1024 (12) from ${from} to ${b}`)).to.equal('forward-not-allowed');
    if (version === 4) bench.expectSent('left');
    else bench.expectSent('left', `> icmpv6 unreachable beyond_scope from fe80::ff:fe00:1 to ${from}`);
    bench.expectSent('right');
  });

  if (version === 6) {
    it('4007: tells it by the link that the packet came by, whichever that is', () => {
      make();
      bench.knows(bench.left, 'fe80::9', '02:00:00:00:00:09');
      bench.knows(bench.right, 'fe80::9', '02:00:00:00:00:19');
      bench.receive('right', `udp 53 > 1024 (12) from fe80::9 to ${a}`);
      const own = 'from fe80::ff:fe00:11 to fe80::9 mac-to 02:00:00:00:00:19';
      bench.expectSent('right', `> icmpv6 unreachable beyond_scope ${own}`);
      bench.receive('right', `udp 53 > 1024 (12) from fe80::9 to ${left}`);
      bench.expectSent('right', `> icmpv6 unreachable port from ${left} to fe80::9 mac-to 02:00:00:00:00:19`);
      bench.expectSent('left');
    });
  }

  it('tells that nobody is there once nobody has answered', () => {
    make();
    const to = version === 4 ? '10.2.0.9' : 'fd02::9';
    const line = `udp 53 > 1024 (12) from ${a} to ${to}`;
    bench.receive('left', line);
    bench.env.scheduler.runFor(3500);
    bench.right.sent.length = 0;
    bench.expectSent('left', `> ${icmp} unreachable ${version === 4 ? 'host' : 'address'} from ${left} to ${a}`);
    expect(bench.env.drops.count(DropReason.NeighbourUnreachable)).to.equal(1);
  });

  it('is silent above its rate', () => {
    make({ icmpErrors: { rate: 10, burst: 3 } });
    for (let i = 0; i < 10; i++) bench.receive('left', `udp 53 > 1024 (12) from ${a} to ${b} ttl 1`);
    expect(bench.left.sent.splice(0)).to.have.length(3);
  });

  it('counts what goes by way of each interface', () => {
    make();
    for (let i = 0; i < 3; i++) bench.receive('left', `udp 53 > 1024 (12) from ${a} to ${b}`);
    bench.receive('right', `udp 53 > 1024 (12) from ${b} to ${a}`);
    bench.right.sent.length = bench.left.sent.length = 0;
    const length = (version === 4 ? 28 : 48) + 12;
    const counters = { received: 3, receivedBytes: 3 * length, sent: 1, sentBytes: length };
    expect(bench.me.forwarded(bench.left)).to.include(counters);
    expect(bench.me.forwarded(bench.right)).to.include({ received: 1, sent: 3 });
  });

  it('can be told at run time to take nothing further from an interface', () => {
    make();
    const switches = bench.me.switches(bench.left);
    if (switches !== undefined) switches.forwarding = false;
    const line = `udp 53 > 1024 (12) from ${a} to ${b}`;
    expect(bench.receive('left', line)).to.equal(`ipv${version}-not-for-us`);
    if (switches !== undefined) switches.forwarding = true;
    expect(bench.receive('left', line)).to.equal('taken');
    bench.expectSent('right', `> ${line}`);
  });
});
