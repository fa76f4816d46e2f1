import { expect } from 'chai';
import { of, Subject } from 'rxjs';
import { DropReason } from '../../../lib/core/drops.js';
import type { Frame } from '../../../lib/core/frame.js';
import { accept, drop, dport, jump, pass, ruleSet, udp } from '../../../lib/filter/build.js';
import { RuleError } from '../../../lib/filter/rule-error.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { firewall, type FirewallOptions } from '../../../operators/filter/firewall.js';
import { virtualEnv } from '../../lib/l2/fake-device.js';
import { passesOn } from '../flow/marbles.js';
import { Bench, SYN } from './firewall-bench.js';

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
