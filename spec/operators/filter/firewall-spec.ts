import { expect } from 'chai';
import { of, Subject } from 'rxjs';
import { DropReason, dropReasonName } from '../../../lib/core/drops.js';
import { DELIVERED, FlowState, type Frame, type TxPacket } from '../../../lib/core/frame.js';
import {
  accept,
  drop,
  dport,
  jump,
  log,
  pass,
  reject,
  ruleSet,
  state,
  tcp,
  udp,
  when,
} from '../../../lib/filter/build.js';
import type { FilterLog, RuleSource } from '../../../lib/filter/filter.js';
import { RuleError } from '../../../lib/filter/rule-error.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { Ipv4Packet, refreshIpv4Checksum } from '../../../lib/wire/ipv4.js';
import { firewall, type FirewallOptions } from '../../../operators/filter/firewall.js';
import { outgoing } from '../../../operators/flow/outgoing.js';
import { net } from '../../../operators/testing/net.js';
import { forBothVersions, type VersionFacts } from '../../both-versions.js';
import { type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { driver, passesOn } from '../flow/marbles.js';

/** A firewall that is given packets one by one, as a driver gives them. */
class Bench {
  readonly env: VirtualEnv = virtualEnv();
  readonly wall: ReturnType<typeof firewall>;
  readonly replies: string[] = [];
  readonly logs: FilterLog[] = [];
  readonly notation: PacketNotation;
  private readonly packets$ = new Subject<Frame>();
  private passed = false;

  constructor(
    rules: RuleSource,
    { version }: { readonly version: 4 | 6 } = { version: 4 },
    options: FirewallOptions = {},
  ) {
    this.notation = new PacketNotation({ version, linkType: 'ip' });
    this.wall = firewall(rules, options, this.env);
    driver(this.packets$)
      .pipe(this.wall)
      .subscribe(() => {
        this.passed = true;
      });
  }

  /** Whether the packet passes, or why it does not. */
  judge(line: string, change: (frame: Frame) => void = () => undefined): string {
    const frame = this.notation.build(line, '<', this.env.pool);
    frame.network = frame.start;
    change(frame);
    const before = Uint8Array.from(frame.bytes());
    const { start, end } = frame;
    this.passed = false;
    frame.retain();
    this.packets$.next(frame);
    expect(frame.bytes()).to.deep.equal(before);
    expect([frame.start, frame.end]).to.deep.equal([start, end]);
    const { fate } = frame;
    frame.release();
    if (this.passed) expect(fate).to.equal(0);
    return this.passed ? 'passed' : fate === DELIVERED ? 'delivered' : dropReasonName(fate as DropReason);
  }

  /** Remembers what senders are told, in the notation. */
  listen(): this {
    this.wall.replies$.subscribe((packet: TxPacket) => {
      this.replies.push(this.notation.format(packet, '>'));
      packet.release();
    });
    this.wall.logs$.subscribe((entry) => this.logs.push(entry));
    return this;
  }

  end(): void {
    expect(this.env.pool.outstanding, 'frames left').to.equal(0);
  }
}

const SYN = '< S 0:0(0) win 1000';

describe('firewall', () => {
  passesOn((env) => firewall('drop', {}, env));

  it('drops malformed packets of IP, whatever the rules say, and cut short anywhere', () => {
    for (const version of [4, 6] as const) {
      const bench = new Bench('accept', { version });
      expect(bench.judge(SYN)).to.equal('passed');
      const { length } = bench.notation.build(SYN);
      for (let cut = 1; cut <= length; cut++) {
        const fate = bench.judge(SYN, (frame) => (frame.end -= cut));
        const truncated = version === 4 ? 'ipv4-truncated' : 'ipv6-truncated';
        expect(fate).to.equal(cut === length ? 'ip-unknown-version' : truncated);
      }
      expect(bench.judge(SYN, ({ slab, start }) => (slab.bytes[start] = 0x75))).to.equal('ip-unknown-version');
      bench.end();
    }
    const bench = new Bench('accept');
    expect(bench.judge(SYN, ({ slab, start }) => (slab.bytes[start] = 0x41))).to.equal('ipv4-bad-header');
  });

  it('lets padding behind a packet be', () => {
    const bench = new Bench('udp dport 9 accept; drop');
    expect(bench.judge('< udp 1 > 9 (2)', (frame) => frame.pad(60))).to.equal('passed');
    expect(bench.judge('< udp 1 > 8 (2)', (frame) => frame.pad(60))).to.equal('filtered');
  });

  it('judges packets that a layer has narrowed to their payload', () => {
    const bench = new Bench('udp dport 9 accept; drop');
    expect(bench.judge('< udp 1 > 9 (2)', (frame) => (frame.start += 20))).to.equal('passed');
    expect(bench.judge('< udp 1 > 8 (2)', (frame) => (frame.start += 20))).to.equal('filtered');
  });

  it('takes no mapped address of IPv6 for the one of IPv4, by a prefix, by several, or by an index of rules', () => {
    const mapped = ({ slab, start }: Frame): void => {
      for (const [i, word] of [0, 0, 0xffff, 0x0a01_0203].entries()) slab.view.setUint32(start + 8 + 4 * i, word);
    };
    const judge = (rules: string) => new Bench(rules, { version: 6 }).judge(SYN, mapped);
    const many = Array.from(
      { length: 20 },
      (_, i) => `ip saddr 10.1.${i}.0/24 accept; ip6 saddr fd00:${i}::/32 accept`,
    );
    for (const some of ['10.0.0.0/8', '{ 10.0.0.0/8, 192.168.0.0/16 }']) {
      expect(judge(`ip saddr ${some} accept; drop`)).to.equal('filtered');
      expect(judge(`ip saddr != ${some} drop; accept`)).to.equal('passed');
      expect(judge(`ip saddr ${some} accept; ${many.join('; ')}; drop`)).to.equal('filtered');
    }
    for (const some of ['::ffff:0:0/96', '{ ::ffff:0:0/96, fc00::/7 }', '{ ::/0, fc00::/7 }']) {
      expect(judge(`ip6 saddr ${some} drop; accept`)).to.equal('filtered');
      expect(judge(`ip6 saddr != ${some} drop; accept`)).to.equal('passed');
      expect(judge(`${many.join('; ')}; ip6 saddr ${some} drop; accept`)).to.equal('filtered');
    }
  });

  it('is at home with views as with frames', () => {
    const env = virtualEnv();
    const frame = new PacketNotation({ linkType: 'ip' }).build('< udp 1 > 9 (2)');
    frame.network = frame.start;
    const packets$ = new Subject<Ipv4Packet>();
    const seen: Ipv4Packet[] = [];
    packets$.pipe(firewall([accept(udp), drop()], {}, env)).subscribe((packet) => seen.push(packet));
    const packet = new Ipv4Packet(frame, frame.start);
    packets$.next(packet);
    expect(seen).to.deep.equal([packet]);
  });

  it('takes a predicate for rules, and drops what it throws at', () => {
    const bench = new Bench((frame, { destinationPort }) => {
      if (destinationPort === 7) throw new Error('mine');
      return destinationPort === 9 && frame.length > 0;
    });
    expect(bench.judge('< udp 1 > 9 (2)')).to.equal('passed');
    expect(bench.judge('< udp 1 > 8 (2)')).to.equal('filtered');
    expect(bench.judge('< udp 1 > 7 (2)')).to.equal('callback-threw');
    expect(bench.judge('< udp 1 > 9 (2)')).to.equal('passed');
  });

  it('takes predicates by name', () => {
    const predicates = { short: ({ length }: Frame) => length < 40 };
    const bench = new Bench('when "short" accept; drop', undefined, { predicates });
    expect(bench.judge('< udp 1 > 9 (2)')).to.equal('passed');
    expect(bench.judge('< udp 1 > 9 (20)')).to.equal('filtered');
  });

  it('refuses rules that cannot be done at once', () => {
    expect(() => firewall('tcp dport x accept')).to.throw(RuleError, 'forward #1: 1:11: expected a port');
    expect(() => firewall([accept(), jump('nowhere')])).to.throw(
      RuleError,
      'forward #2: 1:1: there is no chain nowhere',
    );
    expect(() => firewall([])).to.not.throw();
  });

  it('goes by the base chains of its hook, in order of their priorities', () => {
    const text = `table inet filter {
      chain late { type filter hook input priority 10; policy drop; udp dport 9 accept }
      chain early { type filter hook input priority -10; udp dport 7 drop; accept }
      chain other { type filter hook forward priority 0; drop }
    }`;
    const bench = new Bench(text, undefined, { hook: 'input' });
    const fates = [9, 8, 7].map((port) => bench.judge(`< udp 1 > ${port} (2)`));
    expect(fates).to.deep.equal(['passed', 'filtered', 'filtered']);
    const counted = bench.wall.counters().rules.filter(({ packets }) => packets > 0);
    expect(counted.map(({ chain, number, packets }) => [chain, number, packets])).to.deep.equal([
      ['late', 1, 1],
      ['early', 1, 1],
      ['early', 2, 2],
    ]);
  });

  it('counts what each rule, and each policy, was about', () => {
    const bench = new Bench(ruleSet({ rules: [accept(udp, dport(9)), pass(udp)], policy: 'drop' }));
    for (const port of [9, 9, 8]) bench.judge(`< udp 1 > ${port} (2)`);
    const { rules, policies } = bench.wall.counters();
    expect(rules).to.deep.equal([
      { chain: 'forward', number: 1, packets: 2, bytes: 60 },
      { chain: 'forward', number: 2, packets: 1, bytes: 30 },
    ]);
    expect(policies).to.deep.equal([{ chain: 'forward', packets: 1, bytes: 30 }]);
  });

  it('tells of packets with the rule, and sets marks', () => {
    const bench = new Bench(
      'udp dport 9 log prefix "nine: " meta mark set 7 comment "the ninth"; meta mark 7 log',
    ).listen();
    let frame: Frame | undefined;
    expect(bench.judge('< udp 1 > 9 (2)', (each) => (frame = each))).to.equal('passed');
    expect(frame?.mark).to.equal(7);
    expect(bench.logs.map(({ rule, prefix }) => [rule, prefix])).to.deep.equal([
      [{ chain: 'forward', number: 1, comment: 'the ninth' }, 'nine: '],
      [{ chain: 'forward', number: 2 }, ''],
    ]);
    expect(bench.logs[0]?.frame).to.equal(frame);
  });

  it('keeps rates on the clock of its environment', () => {
    const bench = new Bench('limit rate 2/second burst 2 packets accept; drop');
    const send = () => bench.judge('< udp 1 > 9 (2)') === 'passed';
    expect([send(), send(), send()]).to.deep.equal([true, true, false]);
    bench.env.scheduler.runFor(499);
    expect(send()).to.equal(false);
    bench.env.scheduler.runFor(1);
    expect([send(), send()]).to.deep.equal([true, false]);
    bench.env.scheduler.runFor(3_600_000);
    expect([send(), send(), send()]).to.deep.equal([true, true, false]);
  });

  it('lets as many bytes more through at once as the burst says, as nftables does', () => {
    const bench = new Bench('limit rate 1000 bytes/second burst 500 bytes accept; drop');
    const send = (bytes: number) => bench.judge(`< udp 1 > 9 (${bytes - 28})`) === 'passed';
    expect([send(1501), send(1000), send(501), send(500), send(28)]).to.deep.equal([false, true, false, true, false]);
    bench.env.scheduler.runFor(1000);
    expect([send(1001), send(1000)]).to.deep.equal([false, true]);
    bench.env.scheduler.runFor(3_600_000);
    expect(send(1500)).to.equal(true);
  });

  it('keeps rates of each sender, and forgets the idlest where there are too many', () => {
    const bench = new Bench('limit rate 1/minute burst 2 packets per saddr size 64 accept; drop');
    const from = (host: number) =>
      bench.judge('< udp 1 > 9 (2)', ({ slab, start }) => slab.view.setUint32(start + 12, host)) === 'passed';
    const BUSY = 0x0a00_0001;
    expect([from(BUSY), from(BUSY), from(BUSY)]).to.deep.equal([true, true, false]);
    for (let host = 1; host <= 10_000; host++) expect(from(0xac10_0000 + host)).to.equal(true);
    expect(from(BUSY)).to.equal(false);
  });

  it('goes by the clock on the wall for times of day', () => {
    const bench = new Bench('meta hour "08:00"-"17:00" meta day 1-5 accept; drop');
    const isOpen = () => bench.judge('< udp 1 > 9 (2)') === 'passed';
    // Thursday, midnight.
    expect(isOpen()).to.equal(false);
    bench.env.scheduler.runFor(8 * 3_600_000);
    expect(isOpen()).to.equal(true);
    bench.env.scheduler.runFor(48 * 3_600_000);
    expect(isOpen()).to.equal(false);
    const later = new Bench('meta hour "08:00"-"17:00" accept; drop', undefined, {
      wallTime: () => Date.UTC(2026, 0, 1, 12),
    });
    expect(later.judge('< udp 1 > 9 (2)')).to.equal('passed');
  });

  it('asks the translator, and drops where that cannot, or throws', () => {
    const asked: unknown[] = [];
    const bench = new Bench('udp dport 9 dnat ip to 10.0.0.9:53; udp dport 8 redirect to :7; masquerade', undefined, {
      nat(statement) {
        asked.push(statement.kind);
        if (statement.kind === 'masquerade') throw new Error('mine');
        return statement.kind === 'dnat';
      },
    });
    const fates = [9, 8, 7].map((port) => bench.judge(`< udp 1 > ${port} (2)`));
    expect(fates).to.deep.equal(['passed', 'filtered', 'callback-threw']);
    expect(asked).to.deep.equal(['dnat', 'redirect', 'masquerade']);
  });

  describe('goes by the packet itself where those that are asked or told of it send another', () => {
    /** Sends one packet to port 9, upon which `meanwhile` sends another one, to port 514. */
    function both(rules: string, options: (meanwhile: () => boolean) => FirewallOptions = () => ({})) {
      const packets$ = new Subject<Frame>();
      const passed: Frame[] = [];
      const notation = new PacketNotation({ version: 4, linkType: 'ip' });
      const [outer, inner] = ['< udp 1 > 9 (2)', '< udp 1 > 514 (200)'].map((line) => {
        const frame = notation.build(line);
        frame.network = frame.start;
        return frame;
      });
      if (outer === undefined || inner === undefined) throw new Error('two frames');
      const meanwhile = () => {
        packets$.next(inner);
        return true;
      };
      const wall = firewall(rules, options(meanwhile), virtualEnv());
      wall.logs$.subscribe(meanwhile);
      packets$.pipe(wall).subscribe((frame) => passed.push(frame));
      packets$.next(outer);
      const { rules: counters } = wall.counters();
      return { outer, inner, passed, bytes: counters.map(({ bytes }) => bytes) };
    }

    it('by a log', () => {
      const { passed, inner, bytes } = both('udp dport 9 log; udp dport 9 drop; accept');
      expect(passed).to.deep.equal([inner]);
      expect(bytes).to.deep.equal([30, 30, 228]);
    });

    it('by a log in front of a mark', () => {
      const { passed, outer, inner } = both('udp dport 9 log meta mark set 7; accept');
      expect(passed).to.deep.equal([inner, outer]);
      expect([outer.mark, inner.mark]).to.deep.equal([7, 0]);
    });

    it('by a predicate', () => {
      const options = (meanwhile: () => boolean) => ({ predicates: { mine: meanwhile } });
      const { passed, inner, bytes } = both('udp dport 9 when "mine" drop; udp dport 9 accept; accept', options);
      expect(passed).to.deep.equal([inner]);
      expect(bytes).to.deep.equal([30, 0, 228]);
    });

    it('by a translator', () => {
      const text = `table inet filter {
        chain one { type filter hook input priority 0; udp dport 9 redirect; accept }
        chain two { type filter hook input priority 1; udp dport 9 drop; accept }
      }`;
      const { passed, inner } = both(text, (meanwhile) => ({ nat: meanwhile }));
      expect(passed).to.deep.equal([inner]);
    });
  });

  it('releases what it drops on the way out', () => {
    const env = virtualEnv();
    const packets$ = new Subject<Frame>();
    let passed = 0;
    packets$.pipe(firewall('udp dport 9 accept; drop', { outgoing: true }, env)).subscribe((frame) => {
      passed++;
      frame.release();
    });
    for (const port of [9, 8]) {
      const frame = new PacketNotation({ linkType: 'ip' }).build(`> udp 1 > ${port} (2)`, '>', env.pool);
      frame.network = frame.start;
      packets$.next(frame);
    }
    expect(passed).to.equal(1);
    expect(env.drops.count(DropReason.Filtered)).to.equal(1);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('shares its limits among the streams that go through it, and with no other firewall', () => {
    const env = virtualEnv();
    const rules = 'limit rate 1/hour burst 1 packets accept; drop';
    const walls = [firewall(rules, {}, env), firewall(rules, {}, env)] as const;
    const frame = new PacketNotation({ linkType: 'ip' }).build('< udp 1 > 9 (2)');
    frame.network = frame.start;
    const passes = (wall: ReturnType<typeof firewall>) => {
      let passed = false;
      frame.fate = 0;
      of(frame)
        .pipe(wall)
        .subscribe(() => (passed = true));
      return passed;
    };
    expect([passes(walls[0]), passes(walls[0]), passes(walls[1])]).to.deep.equal([true, false, true]);
  });
});

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
