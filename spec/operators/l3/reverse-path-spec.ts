import { expect } from 'chai';
import { forBothVersions } from '../../both-versions.js';
import { type BenchOptions, ENDS, RouterBench } from './router-bench.js';

forBothVersions('reversePath', ({ version }) => {
  const { a, b, left } = ENDS[version];
  const elsewhere = version === 4 ? '192.0.2.9' : '2001:db8::9';
  const network = version === 4 ? '192.0.2.0/24' : '2001:db8::/32';
  const all = version === 4 ? '0.0.0.0/0' : '::/0';
  const icmp = version === 4 ? 'icmp' : 'icmpv6';
  let bench: RouterBench;
  const make = (options: BenchOptions): void => {
    bench = new RouterBench(version, options);
  };
  const from = (source: string, to = b) => bench.receive('left', `udp 53 > 1024 (12) from ${source} to ${to}`);
  afterEach(() => {
    bench.left.sent.length = bench.right.sent.length = 0;
    bench.close();
  });

  it('strict: takes what comes by the interface that leads to its source (1812-10)', () => {
    make({ left: { reversePath: 'strict' }, routes: [{ destination: network, gateway: b, side: 'right' }] });
    expect(from(a)).to.equal('taken');
    expect(from(b)).to.equal('reverse-path-failed');
    expect(from(elsewhere)).to.equal('reverse-path-failed');
    expect(from(elsewhere, left)).to.equal('reverse-path-failed');
    expect(from(version === 4 ? '198.51.100.1' : '2001:db9::1')).to.equal('reverse-path-failed');
  });

  it('loose: takes what there is a route back to, other than a default one (1812-10)', () => {
    make({
      left: { reversePath: 'loose' },
      routes: [
        { destination: network, gateway: b, side: 'right' },
        { destination: all, gateway: b, side: 'right' },
      ],
    });
    expect(from(elsewhere)).to.equal('taken');
    expect(from(b)).to.equal('taken');
    expect(from(version === 4 ? '198.51.100.1' : '2001:db9::1')).to.equal('reverse-path-failed');
  });

  it('believes everybody on other interfaces, and where nothing is said', () => {
    make({ right: { reversePath: 'strict' } });
    expect(from(elsewhere)).to.equal('taken');
  });

  it('takes no mapped address of IPv6 for the one of IPv4', () => {
    for (const mode of ['strict', 'loose'] as const) {
      make({ left: { reversePath: mode } });
      if (version === 6) expect(from('::ffff:10.1.0.2')).to.equal('reverse-path-failed');
      bench.close();
    }
    make({});
  });

  it('heeds routes that change', () => {
    make({ left: { reversePath: 'strict' } });
    expect(from(elsewhere)).to.equal('reverse-path-failed');
    bench.me.tables.addRoute({ destination: network, gateway: a, device: bench.left });
    expect(from(elsewhere)).to.equal('taken');
  });

  it('lets neighbours speak from addresses of the link', () => {
    make({ left: { reversePath: 'strict' } });
    if (version === 4) return;
    bench.knows(bench.left, 'fe80::9', '02:00:00:00:00:02');
    bench.receive('left', `${icmp} echo_request id 7 seq 1 (8) from fe80::9 to fe80::ff:fe00:1`);
    bench.expectSent('left', `> ${icmp} echo_reply id 7 seq 1 (8) from fe80::ff:fe00:1 to fe80::9`);
  });
});
