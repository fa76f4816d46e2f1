import { expect } from 'chai';
import { Subject } from 'rxjs';
import { FlowState, type Frame } from '../../../lib/core/frame.js';
import { accept, drop, dport, log, pass, reject, state, tcp, udp, when } from '../../../lib/filter/build.js';
import { RuleError } from '../../../lib/filter/rule-error.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { refreshIpv4Checksum } from '../../../lib/wire/ipv4.js';
import { firewall } from '../../../operators/filter/firewall.js';
import { outgoing } from '../../../operators/flow/outgoing.js';
import { net } from '../../../operators/testing/net.js';
import { forBothVersions, type VersionFacts } from '../../both-versions.js';
import { fakeDevice, virtualEnv } from '../../lib/l2/fake-device.js';
import { Bench } from './firewall-bench.js';

forBothVersions('firewall', (facts: VersionFacts) => {
  const { version, icmp } = facts;

  it('lets through, drops and rejects as its rules say', () => {
    const [local, remote] = version === 4 ? ['192.168.0.1', '192.0.2.1'] : ['fd3d:a0b:17d6::1', 'fd3d:fa7b:d17d::1'];
    net(
      ({ rx, expectTx, expectDrops, env, device }) => {
        const wall = firewall([accept(udp, dport(53)), accept(state('established')), drop(tcp), reject()], {}, env);
        const in$ = rx(
          '                --a--b--c--|',
          {
            a: '< udp 40000 > 53 (12)',
            b: '< S 0:0(0) win 1000',
            c: '< udp 40000 > 54 (12)',
          },
          device(),
        );
        expectTx(wall.replies$, '       ^----------!').toBe('--------r--', {
          r: `> ${icmp} unreachable port [udp 40000 > 54 (12)]`,
        });
        expectTx(in$.pipe(wall, outgoing())).toBe('--a--------|', {
          a: `> udp 40000 > 53 (12) from ${remote} to ${local}`,
        });
        expectDrops().toBe('            -----b--c--', { b: 'filtered', c: 'filter-rejected' });
      },
      { version, linkType: 'ip' },
    );
  });

  const KINDS: readonly (readonly [string, string])[] = [
    ['port-unreachable', 'unreachable port'],
    ['no-route', version === 4 ? 'unreachable net' : 'unreachable no_route'],
    ['host-unreachable', version === 4 ? 'unreachable host' : 'unreachable address'],
    ['admin-prohibited', version === 4 ? 'unreachable packet_filtered' : 'unreachable admin_prohibited'],
  ];
  for (const [word, told] of KINDS) {
    it(`tells senders ${word}`, () => {
      const bench = new Bench(`reject with icmpx ${word}`, { version }).listen();
      expect(bench.judge('< udp 1 > 9 (2)')).to.equal('filter-rejected');
      expect(bench.replies).to.have.length(1);
      expect(bench.replies[0])
        .to.match(new RegExp(`^> ${icmp} ${told} `))
        .and.to.match(/\[udp 1 > 9 \(2/);
      bench.end();
    });
  }

  it('answers segments with a reset that is exact, and resets with nothing', () => {
    const bench = new Bench('reject with tcp reset', { version }).listen();
    for (const line of ['< S 5:5(0) win 1', '< . 5:8(3) ack 77 win 1', '< F 5:8(3) win 1', '< R 5:5(0) win 1']) {
      expect(bench.judge(line)).to.equal('filter-rejected');
    }
    expect(bench.replies).to.have.length(3);
    for (const [i, expected] of [
      '> R. 0:0(0) ack 6 win 0',
      '> R 77:77(0) win 0',
      '> R. 0:0(0) ack 9 win 0',
    ].entries()) {
      expect(bench.replies[i]).to.contain(expected);
    }
    bench.end();
  });

  it('tells a sender whose address is of one link by that link only (RFC 4007 9)', () => {
    const bench = new Bench('meta l4proto tcp reject with tcp reset; reject', { version });
    const lan = fakeDevice(bench.env, { name: 'lan1' });
    const told: (string | undefined)[] = [];
    bench.wall.replies$.subscribe((answer) => {
      told.push(answer.device?.name);
      answer.release();
    });
    const near = version === 4 ? '169.254.0.9' : 'fe80::9';
    const far = version === 4 ? '192.0.2.9' : '2001:db8::9';
    for (const address of [near, far]) {
      bench.judge(`< S 5:5(0) win 1 from ${address}`, (frame) => (frame.device = lan));
      bench.judge(`< udp 1 > 9 (2) from ${address}`, (frame) => (frame.device = lan));
    }
    const link = version === 4 ? undefined : 'lan1';
    expect(told).to.deep.equal([link, link, undefined, undefined]);
    bench.end();
  });

  it('tells nobody of a rejected error, of what went to a group, or where nobody listens', () => {
    const bench = new Bench('reject', { version }).listen();
    const error = `< ${icmp} unreachable port [udp 8080 > 53 (12)]`;
    expect(bench.judge(error)).to.equal('filter-rejected');
    expect(bench.judge('< udp 1 > 9 (2)', (frame) => (frame.ipCast = 1))).to.equal('filter-rejected');
    expect(bench.replies).to.deep.equal([]);
    bench.end();
    const deaf = new Bench('reject', { version });
    expect(deaf.judge('< udp 1 > 9 (2)')).to.equal('filter-rejected');
    deaf.end();
  });

  it('tells nobody of what may not be what somebody sent', () => {
    const bench = new Bench('meta l4proto tcp reject with tcp reset; reject', { version }).listen();
    const lines = ['S 0:0(0) win 1 bad-checksum', 'udp 1 > 9 (2) bad-checksum', 'udp 1 > 9 (100) frag 0:64+ ipid 1'];
    for (const line of [...lines, `${icmp} echo_request id 1 seq 1 (8) bad-checksum`]) {
      expect(bench.judge(`< ${line}`)).to.equal('filter-rejected');
    }
    expect(bench.replies).to.deep.equal([]);
    for (const line of ['S 0:0(0) win 1', 'udp 1 > 9 (3)', `${icmp} echo_request id 1 seq 1 (8)`]) {
      expect(bench.judge(`< ${line}`)).to.equal('filter-rejected');
    }
    expect(bench.replies).to.have.length(3);
    bench.end();
  });

  it('does not tell more of ICMP than its limit allows', () => {
    const bench = new Bench('reject', { version }).listen();
    for (let i = 0; i < 200; i++) bench.judge('< udp 1 > 9 (2)');
    expect(bench.replies).to.have.length(50);
    bench.end();
  });

  it('tells of a datagram that is shorter than what IP carries (RFC 9868), and of one without a checksum (RFC 6935)', () => {
    const bench = new Bench('reject', { version }).listen();
    const header = version === 4 ? 20 : 40;
    const lengthen = (frame: Frame) => {
      const { view } = frame.slab;
      frame.pad(frame.length + 4);
      view.setUint16(frame.start + (version === 4 ? 2 : 4), frame.length - (version === 4 ? 0 : header));
      if (version === 4) refreshIpv4Checksum(view, frame.start);
    };
    bench.judge('< udp 1 > 9 (2)', lengthen);
    bench.judge('< udp 1 > 9 (2)', ({ slab, start }) => slab.view.setUint16(start + header + 6, 0));
    expect(bench.replies).to.have.length(2);
    // Of one that is longer, or none, nobody can tell.
    for (const length of [0, 7, 11, 0xffff]) {
      bench.judge('< udp 1 > 9 (2)', ({ slab, start }) => slab.view.setUint16(start + header + 4, length));
    }
    expect(bench.replies).to.have.length(2);
    bench.end();
  });

  it('judges fragments by what they have', () => {
    const bench = new Bench('fragment later meta length < 30 drop; udp dport 9 accept; fragment later accept; drop', {
      version,
    });
    expect(bench.judge('< udp 1 > 9 (100) frag 0:64+ ipid 1')).to.equal('passed');
    expect(bench.judge('< udp 1 > 8 (100) frag 0:64+ ipid 1')).to.equal('filtered');
    expect(bench.judge('< udp 1 > 9 (100) frag 64:108 ipid 1')).to.equal('passed');
  });

  if (version === 6)
    it('takes the first of two fragment headers for that of the packet', () => {
      const twice = (frame: Frame) => {
        const { view, bytes } = frame.slab;
        const at = frame.start + 40;
        frame.put(8);
        bytes.copyWithin(at + 16, at + 8, frame.end - 8);
        view.setUint8(at, 44);
        view.setUint32(at + 8, 0x1100_0000);
        view.setUint32(at + 12, 7);
        view.setUint16(frame.start + 4, frame.length - 40);
      };
      const first = '< udp 1 > 9 (100) frag 0:64+ ipid 1';
      for (const rules of ['fragment any drop; accept', 'exthdr frag exists drop; accept']) {
        expect(new Bench(rules, { version }).judge(first, twice)).to.equal('filtered');
      }
      const atomic = ({ slab, start }: Frame) => slab.view.setUint16(start + 42, 0);
      expect(new Bench('exthdr frag exists drop; accept', { version }).judge(first, atomic)).to.equal('filtered');
      expect(new Bench('fragment any drop; accept', { version }).judge(first, atomic)).to.equal('passed');
    });

  it('puts other rules in place between two packets, and keeps the old ones where they are wrong', () => {
    const bench = new Bench('udp dport 9 accept; drop', { version });
    expect(bench.judge('< udp 1 > 9 (2)')).to.equal('passed');
    expect(() => bench.wall.replace('udp dport 8 accept; dorp')).to.throw(RuleError);
    expect(bench.judge('< udp 1 > 9 (2)')).to.equal('passed');
    expect(bench.wall.counters().rules[0]?.packets).to.equal(2);
    bench.wall.replace([accept(udp, dport(8)), drop()]);
    expect(bench.judge('< udp 1 > 9 (2)')).to.equal('filtered');
    expect(bench.judge('< udp 1 > 8 (2)')).to.equal('passed');
    expect(bench.wall.counters().rules[0]?.packets).to.equal(1);
  });

  it('replaces rules from within, as the packet that asked for it goes by the old ones', () => {
    const env = virtualEnv();
    const wall = firewall([pass(udp, log('next')), accept(udp)], {}, env);
    const packets$ = new Subject<Frame>();
    let passed = 0;
    wall.logs$.subscribe(() => wall.replace('drop'));
    packets$.pipe(wall).subscribe(() => passed++);
    const frame = new PacketNotation({ version, linkType: 'ip' }).build('< udp 1 > 9 (2)');
    frame.network = frame.start;
    packets$.next(frame);
    packets$.next(frame);
    expect(passed).to.equal(1);
  });

  const flow =
    (id: number, flowState: FlowState, flowReply = false) =>
    (frame: Frame) => {
      frame.flow = id;
      frame.flowState = flowState;
      frame.flowReply = flowReply;
    };

  it('lets established flows go on over a replacement, by the idiom, and forgets them only where they are forbidden first', () => {
    const bench = new Bench('ct state established accept; udp dport 9 accept; drop', { version });
    expect(bench.judge('< udp 1 > 9 (2)', flow(5, FlowState.New))).to.equal('passed');
    bench.wall.replace('ct state established accept; udp dport 8 accept; drop');
    expect(bench.judge('< udp 1 > 9 (2)', flow(5, FlowState.Established))).to.equal('passed');
    expect(bench.judge('< udp 1 > 9 (2)', flow(6, FlowState.New))).to.equal('filtered');
    bench.wall.replace('udp dport 9 drop; ct state established accept; drop');
    expect(bench.judge('< udp 1 > 9 (2)', flow(5, FlowState.Established))).to.equal('filtered');
  });

  it('asks new rules about each flow that goes on, if told to', () => {
    const rules = 'ct state established accept; ct state new udp dport 9 accept; drop';
    const bench = new Bench(rules, { version }, { revalidate: true });
    const there = (id: number, port: number, of: FlowState) => bench.judge(`< udp 1 > ${port} (2)`, flow(id, of));
    const back = (id: number, port: number) =>
      bench.judge(`< udp ${port} > 1 (2)`, flow(id, FlowState.Established, true));
    expect(there(5, 9, FlowState.New)).to.equal('passed');
    expect(there(6, 8, FlowState.Established)).to.equal('passed');
    bench.wall.replace(rules);
    // Nothing is known yet: replies go by the rules as they are.
    expect(back(6, 8)).to.equal('passed');
    expect(there(5, 9, FlowState.Established)).to.equal('passed');
    expect(back(5, 9)).to.equal('passed');
    expect(there(6, 8, FlowState.Established)).to.equal('filtered');
    expect(back(6, 8)).to.equal('filtered');
    // A flow that begins now is asked about as it begins.
    expect(there(7, 9, FlowState.New)).to.equal('passed');
    expect(there(7, 9, FlowState.Established)).to.equal('passed');
    bench.wall.replace('ct state established accept; accept');
    expect([back(6, 8), there(6, 8, FlowState.Established)]).to.deep.equal(['passed', 'passed']);
  });

  it('does not end a flow because of what a callback threw', () => {
    let broken = true;
    const mine = when(() => {
      if (broken) throw new Error('mine');
      return true;
    }, 'mine');
    const rules = [accept(mine), drop()];
    const bench = new Bench(rules, { version }, { revalidate: true });
    bench.wall.replace(rules);
    const send = () => bench.judge('< udp 1 > 9 (2)', flow(5, FlowState.Established));
    expect(send()).to.equal('callback-threw');
    broken = false;
    expect(send()).to.equal('passed');
  });

  it('does not end flows because there are many: they are within every limit, and leave it to new ones', () => {
    for (const rules of [
      'ct state new limit rate 1/hour burst 1 packets accept; ct state established accept; drop',
      'ct state new limit rate over 1/hour burst 1 packets per saddr drop; accept',
    ]) {
      const bench = new Bench(rules, { version }, { revalidate: true });
      bench.wall.replace(rules);
      const send = (id: number, of: FlowState) => bench.judge('< udp 1 > 9 (2)', flow(id, of));
      for (const id of [1, 2, 3, 2]) expect(send(id, FlowState.Established)).to.equal('passed');
      expect([send(4, FlowState.New), send(5, FlowState.New)]).to.deep.equal(['passed', 'filtered']);
    }
  });

  it('asks the rules that a callback puts in place about the flow that it was called for, too', () => {
    const wall: { replace?: (rules: string) => void } = {};
    const replacing = when(() => {
      wall.replace?.('ct state established accept; drop');
      return true;
    }, 'replacing');
    const bench = new Bench([accept(replacing)], { version }, { revalidate: true });
    bench.wall.replace([accept(replacing)]);
    wall.replace = (rules) => bench.wall.replace(rules);
    const send = () => bench.judge('< udp 1 > 9 (2)', flow(5, FlowState.Established));
    expect([send(), send()]).to.deep.equal(['passed', 'filtered']);
  });

  it('asks anew about a flow that begins under the number of a refused one', () => {
    const rules = 'ct state established accept; ct state new udp dport 9 accept; drop';
    const bench = new Bench(rules, { version }, { revalidate: true });
    const there = (port: number, of: FlowState) => bench.judge(`< udp 1 > ${port} (2)`, flow(5, of));
    bench.wall.replace(rules);
    expect(there(8, FlowState.Established)).to.equal('filtered');
    expect([there(9, FlowState.New), there(9, FlowState.Established)]).to.deep.equal(['passed', 'passed']);
    // Nor is one let through because the former one was.
    expect([there(8, FlowState.New), there(8, FlowState.Established)]).to.deep.equal(['filtered', 'filtered']);
  });

  it('takes what a predicate builds into its rules', () => {
    const bench = new Bench([accept(when((_, fields) => fields.version === version, 'mine')), drop()], { version });
    expect(bench.judge('< udp 1 > 9 (2)')).to.equal('passed');
  });
});
