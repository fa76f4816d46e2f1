import { expect } from 'chai';
import * as fc from 'fast-check';
import { SeededRandom } from '../../../lib/core/random.js';
import * as build from '../../../lib/filter/build.js';
import { compileRules } from '../../../lib/filter/compile.js';
import type { RuleSet } from '../../../lib/filter/model.js';
import { RuleError } from '../../../lib/filter/rule-error.js';
import { parseRules } from '../../../lib/filter/text-parser.js';
import { printRule, printRules } from '../../../lib/filter/text-printer.js';
import { PREDICATES, ruleSets } from './generators.js';

const context = { now: () => 0, wallTime: () => 0, log: () => undefined, translate: () => true };

function compile(set: RuleSet): void {
  compileRules(set, { predicates: PREDICATES, random: new SeededRandom(1), context });
}

/** What is wrong with a text, as `problem rule line:column`; empty where nothing is. */
function wrong(text: string, translate?: () => boolean): string {
  try {
    const all = { now: () => 0, wallTime: () => 0, log: () => undefined };
    compileRules(parseRules(text), {
      random: new SeededRandom(1),
      context: translate === undefined ? all : { ...all, translate },
    });
    return '';
  } catch (error) {
    if (!(error instanceof RuleError)) throw error;
    expect(error.code).to.equal('ERR_BAD_RULE');
    expect(error.message).to.contain(`${error.line}:${error.column}: `);
    return `${error.problem} ${error.rule === '' ? '-' : error.rule} ${error.line}:${error.column}`;
  }
}

/** Texts, and the rules that builders make of the same. */
const SAME: readonly (readonly [string, ReturnType<typeof build.accept>])[] = [
  ['dscp lephb drop', build.drop(build.dscp('le'))],
  ['tcp dport 22 ip saddr 10.0.0.0/8 accept', build.accept(build.tcp, build.dport(22), build.from('10.0.0.0/8'))],
  ['udp sport { 53, 1000-2000 } drop', build.drop(build.udp, build.sport(53, [1000, 2000]))],
  ['th dport @web accept', build.accept(build.dport('@web'))],
  ['ip6 daddr fd00::1 reject with icmpx port-unreachable', build.reject(build.to('fd00::1'))],
  ['saddr { 10.0.0.1, fd00::1 } accept', build.accept(build.from('10.0.0.1', 'fd00::1'))],
  ['saddr != 10.0.0.0/8 drop', build.drop(build.not(build.from('10.1.2.3/8')))],
  ['meta l4proto tcp reject with tcp reset', build.rejectWith('tcp-reset')],
  ['tcp flags & (syn | ack) == syn accept', build.accept(build.flags('syn', 'syn ack'))],
  ['icmp type echo-request accept', build.accept(build.icmpType('echo-request'))],
  ['icmpv6 type { nd-router-advert, 200 } accept', build.accept(build.icmpv6Type('nd-router-advert', 200))],
  ['iifname { "eth0", "veth*" } jump inside', build.jump('inside', build.iif('eth0', 'veth*'))],
  ['oifname != "lo" goto outside', build.goto('outside', build.not(build.oif('lo')))],
  ['ct state established,related accept', build.accept(build.state('established', 'related'))],
  ['ct direction reply return', build.leave(build.direction('reply'))],
  ['ether saddr 02:00:00:00:00:01 accept', build.accept(build.fromMac('02:00:00:00:00:01'))],
  [
    'meta length 100-200 hoplimit 1 dscp ef drop',
    build.drop(build.length([100, 200]), build.hopLimit(1), build.dscp('ef')),
  ],
  ['meta mark 0x5 meta mark set meta mark | 0x2', build.pass(build.marked(5), build.orMark(2))],
  ['meta mark & 0xff != 0x1 meta mark set 0x0', build.pass(build.not(build.marked(1, 0xff)), build.setMark(0))],
  ['meta mark set meta mark & 0xf', build.pass(build.andMark(15))],
  ['meta mark set meta mark ^ 0xf', build.pass(build.xorMark(15))],
  ['fragment later drop comment "no ports"', build.comment('no ports', build.drop(build.fragment('later')))],
  ['meta hour { "22:00:00"-"23:59:59", "00:00:00"-"06:00:00" } drop', build.drop(build.hours(['22:00', '06:00']))],
  ['meta day { "Sunday", "Saturday" } drop', build.drop(build.days('Sunday', 'Saturday'))],
  ['limit rate 10/second burst 20 packets accept', build.accept(build.limit('10/second', { burst: 20 }))],
  [
    'limit rate over 1000 bytes/minute per saddr log prefix "much: " drop',
    build.drop(build.limit('1000/minute', { unit: 'bytes', over: true, by: 'source' }), build.log('much: ')),
  ],
  [
    'limit rate 1/hour per daddr ip prefix 24 ip6 prefix 48 size 100 counter accept',
    build.accept(build.limit('1/hour', { by: { by: 'destination', bits: { 4: 24, 6: 48 }, size: 100 } }), build.count),
  ],
  ['tcp dport 80 redirect to :8080', build.redirect(8080, build.tcp, build.dport(80))],
  ['oifname "wan" masquerade to :1024-2047', build.masquerade([1024, 2047], build.oif('wan'))],
  ['meta nfproto ipv4 udp dport 53 dnat ip to 10.0.0.1', build.dnat('10.0.0.1', undefined, build.udp, build.dport(53))],
  ['meta nfproto ipv6 snat ip6 to [fd00::1]:5-6', build.snat('fd00::1', [5, 6])],
];

/** Texts, and others that mean the same. */
const ALIKE: readonly (readonly [string, string])[] = [
  ['tcp dport 22 accept; drop', 'tcp dport 22 accept\n\n  # why not\ndrop\n'],
  ['tcp dport { 22, 80 } accept', 'tcp dport {\n 22,\n 80,\n}\\\n accept'],
  ['tcp dport 22 accept', 'tcp dport eq 22 accept'],
  ['tcp dport 22 tcp sport 1 drop', 'meta l4proto tcp th dport 22 th sport 1 drop'],
  ['ip ttl < 5 drop', 'ip ttl 0-4 drop'],
  ['ip6 hoplimit >= 5 drop', 'ip6 hoplimit 5-255 drop'],
  ['ip saddr 10.0.0.0-10.0.0.5 drop', 'ip saddr { 10.0.0.0/30, 10.0.0.4/31 } drop'],
  ['ip6 saddr fd00::-fd00::ffff drop', 'ip6 saddr fd00::/112 drop'],
  ['ip saddr 10.1.2.3/8 drop', 'ip saddr 10.0.0.0/8 drop'],
  ['tcp flags syn drop', 'tcp flags & syn != 0x0 drop'],
  ['tcp flags == syn drop', 'tcp flags & 0xff == syn drop'],
  ['tcp flags syn / syn,ack drop', 'tcp flags & (syn | ack) == syn drop'],
  ['tcp flags ! syn drop', 'tcp flags & syn == 0x0 drop'],
  ['exthdr frag exists drop', 'meta nfproto ipv6 fragment header drop'],
  ['exthdr frag missing drop', 'meta nfproto ipv6 fragment != header drop'],
  ['meta day > "Monday" drop', 'meta day 2-6 drop'],
  ['ether saddr >= ff:ff:ff:ff:ff:00 drop', 'ether saddr ff:ff:ff:ff:ff:00-ff:ff:ff:ff:ff:ff drop'],
  ['ip frag-off & 0x1fff != 0 drop', 'meta nfproto ipv4 fragment later drop'],
  ['ip frag-off & 0x3fff == 0 drop', 'meta nfproto ipv4 fragment != any drop'],
  ['reject', 'reject with icmpx port-unreachable'],
  ['reject with icmp type host-unreachable', 'meta nfproto ipv4 reject with icmpx host-unreachable'],
  ['reject with icmpv6 no-route', 'meta nfproto ipv6 reject with icmpx no-route'],
  ['tcp dport 1 reject with tcp reset', 'meta l4proto tcp th dport 1 reject with tcp reset'],
  ['tcp flags syn reject with tcp reset', 'tcp flags & syn != 0 reject with tcp reset'],
  ['counter packets 10 bytes 1000 accept', 'counter accept'],
  ['log prefix "x" level info accept', 'log prefix "x" accept'],
  ['limit rate 2 kbytes/second drop', 'limit rate 2048 bytes/second drop'],
  ['iif "eth0" accept', 'meta iifname eth0 accept'],
  ['meta mark and 0xff == 1 accept', 'mark & 255 0x1 accept'],
  ['meta mark set mark and 0xff or 0x1', 'meta mark set meta mark & 0xfe ^ 0x1'],
  [
    'policy drop; accept',
    'table inet x { chain forward { type filter hook forward priority filter; policy drop; accept; }; }',
  ],
  ['accept', 'table inet x {\nchain forward {\ntype filter hook forward priority dstnat + 100\naccept\n}\n}'],
];

/** Texts, and what is wrong with them. */
const WRONG: readonly (readonly [string, string])[] = [
  ['tcp dport 70000 accept', 'value forward #1 1:11'],
  ['accept\n  tcp dport 90-80 drop', 'value forward #2 2:13'],
  ['accept drop', 'conflict forward #1 1:8'],
  ['comment "nothing"', 'value forward #1 1:1'],
  ['acept', 'syntax forward #1 1:1'],
  ['tcp dport { 22', 'syntax forward #1 1:15'],
  ['tcp dport { 22 : accept } ', 'unsupported forward #1 1:16'],
  ['tcp dport 22 udp dport 53 drop', 'conflict forward #1 1:24'],
  ['ip saddr fd00::1 drop', 'value forward #1 1:10'],
  ['ip saddr 10.0.0.0/33 drop', 'value forward #1 1:19'],
  ['ip saddr 300.0.0.1 drop', 'value forward #1 1:10'],
  ['ip saddr 10.0.0.9-10.0.0.1 drop', 'value forward #1 1:10'],
  ['ip saddr @nets drop', 'unknown-set forward #1 1:1'],
  ['accept\ntcp dport 1 jump nowhere', 'unknown-chain forward #2 2:13'],
  ['jump forward', 'unknown-chain forward #1 1:1'],
  ['when "odd" drop', 'unknown-predicate forward #1 1:1'],
  ['masquerade', 'missing-option forward #1 1:1'],
  ['tcp flags & syn == ack drop', 'conflict forward #1 1:17'],
  ['ct state vmap { new : accept }', 'syntax forward #1 1:10'],
  ['queue num 1', 'unsupported forward #1 1:1'],
  ['meta cpu 1 drop', 'unsupported forward #1 1:6'],
  ['ip checksum 1 drop', 'unsupported forward #1 1:13'],
  ['reject with icmp net-prohibited', 'unsupported forward #1 1:18'],
  ['limit rate 0/second drop', 'value forward #1 1:1'],
  ['limit rate 5/second burst 5 bytes drop', 'conflict forward #1 1:29'],
  ['meta hour "25:00" drop', 'value forward #1 1:11'],
  ['meta day > "Saturday" drop', 'value forward #1 1:10'],
  ['tcp dport 99999999999999999999 drop', 'value forward #1 1:11'],
  ['accept comment "x" drop', 'syntax forward #1 1:20'],
  ['accept comment "x', 'syntax forward #1 1:16'],
  ['table ip x { }', 'unsupported - 1:7'],
  ['table inet x { }', 'base-chain - 1:1'],
  ['table inet x { flowtable f { } }', 'unsupported - 1:16'],
  ['table inet x { map m { } }', 'unsupported - 1:16'],
  ['table inet x { } table inet y { }', 'unsupported - 1:18'],
  ['table inet x { chain a { type route hook output priority 0; } }', 'unsupported chain a 1:37'],
  ['table inet x { chain a { type filter hook ingress priority 0; } }', 'syntax chain a 1:43'],
  ['table inet x { set s { type ipv4_addr . inet_service; } }', 'unsupported set s 1:39'],
  ['table inet x { set s { type ipv4_addr; flags dynamic; } }', 'syntax set s 1:46'],
  ['table inet x { set s { type ipv4_addr; timeout 5s; } }', 'unsupported set s 1:40'],
  ['table inet x { set s { type ipv4_addr; elements = { fd00::1 } } }', 'value set s 1:53'],
  [
    'table inet x {\n chain a { type filter hook input priority 0; }\n chain b { type filter hook output priority 0; }\n}',
    'base-chain - 1:1',
  ],
  ['table inet x {\n chain a { }\n chain a { }\n}', 'duplicate chain a 2:2'],
  ['table inet x {\n set a { type ifname; }\n set a { type ifname; }\n}', 'duplicate set a 2:2'],
  [
    'table inet x {\n set a { type ifname; }\n chain c { type filter hook input priority 0;\n tcp dport @a drop }\n}',
    'unknown-set c #1 4:2',
  ],
  [
    'table inet x {\n chain a { jump b; }\n chain b { accept; goto a; }\n chain c { type filter hook input priority 0; }\n}',
    'cycle b #2 3:20',
  ],
];

describe('the text of rules', () => {
  for (const [text, rule] of SAME) {
    it(`is that of builders: ${text}`, () => {
      expect(printRule(rule)).to.equal(text);
      expect(parseRules(text).chains[0]?.rules).to.deep.equal([rule]);
    });
  }

  for (const [text, other] of ALIKE) {
    it(`may be written otherwise: ${text}`, () => {
      expect(parseRules(other)).to.deep.equal(parseRules(text));
    });
  }

  it('is read as it was written: parse(print(rules)) = rules', () => {
    fc.assert(
      fc.property(ruleSets(12), (set) => {
        expect(parseRules(printRules(set))).to.deep.equal(set);
      }),
      { numRuns: 500 },
    );
  });

  for (const [text, expected] of WRONG) {
    it(`is refused: ${text.replaceAll('\n', ' / ')}`, () => {
      expect(wrong(text)).to.equal(expected);
    });
  }

  it('is refused where jumps go too deep', () => {
    const chains = (count: number) =>
      Array.from({ length: count }, (_, i) => `chain c${i} { ${i + 1 < count ? `jump c${i + 1}` : 'accept'}; }`);
    const text = (count: number) =>
      `table inet x { ${chains(count).join('\n')}\n chain b { type filter hook input priority 0; jump c0; } }`;
    expect(wrong(text(16))).to.equal('');
    expect(wrong(text(17))).to.match(/^depth /);
    expect(wrong(text(5000))).to.match(/^depth /);
  });

  it('says where in a rule that was built something is wrong', () => {
    const rule = build.accept(build.tcp, build.dport(22), build.from('10.0.0.0/8'), build.length(70_000));
    expect(() => compile(build.ruleSet({ rules: [build.drop(), rule] })))
      .to.throw(RuleError, 'forward #2: 1:34: 70000 is not in 0..65575')
      .with.property('problem', 'value');
  });

  it('has names that it can be read by again, or they are refused', () => {
    const named = (name: string): RuleSet => ({
      sets: [{ name, type: 'ifname', elements: [] }],
      chains: [...build.ruleSet({ chains: { [name]: [build.drop()] }, rules: [build.jump(name)] }).chains],
    });
    for (const name of ['a', 'a-b', 'a-1.b_-c', '_']) {
      compile(named(name));
      expect(parseRules(printRules(named(name)))).to.deep.equal(named(name));
    }
    for (const name of ['a-', 'a--b', 'a.-.b', '-a', '1a', '']) {
      expect(() => compile(named(name)), name)
        .to.throw(RuleError)
        .with.property('problem', 'value');
    }
  });

  it('may ask for translations where there is a translator', () => {
    expect(wrong('masquerade', () => true)).to.equal('');
    expect(wrong('dnat to 10.0.0.1', () => true)).to.equal('');
  });
});

const WORDS = `
  tcp udp ip ip6 meta ct th icmp icmpv6 ether saddr daddr sport dport flags state direction mark set length hour day
  limit rate over burst per type code fragment when counter log prefix accept drop reject with reset jump goto return
  comment chain hook forward priority policy elements syn ack new established reply echo-request second bytes any later
  ef size masquerade dnat to redirect l4proto nfproto ipv4 dscp ttl hoplimit iifname { } , ; = == != < >= & | ^ / - @ :
  ( ) ! # 0 1 22 65535 0x10 99999999999999999999 10.0.0.1 10.0.0.0/8 fd00::1 :: 1.2.3 "x" "even" "10:00" " eth0 eth*
  02:00:00:00:00:01 é $x __proto__ constructor`
  .trim()
  .split(/\s+/)
  .concat('table inet', '\n', '\\\n', '\u0000');

/** Text that is almost one of rules. */
const almost: fc.Arbitrary<string> = fc.oneof(
  fc.array(fc.constantFrom(...WORDS), { maxLength: 40, size: 'max' }).map((words) => words.join(' ')),
  fc
    .tuple(ruleSets(4), fc.array(fc.tuple(fc.nat(2000), fc.constantFrom(...WORDS), fc.nat(8)), { maxLength: 3 }))
    .map(([set, changes]) => {
      let text = printRules(set);
      for (const [at, word, length] of changes) {
        const from = at % (text.length + 1);
        text = text.slice(0, from) + word + text.slice(from + length);
      }
      return text;
    }),
  fc
    .tuple(fc.constantFrom(...SAME.map(([text]) => text)), fc.nat(60), fc.constantFrom(...WORDS))
    .map(([text, at, word]) => `${text.slice(0, at)} ${word} ${text.slice(at)}`),
  fc.string({ unit: 'binary', maxLength: 60 }),
);

describe('text that may be none of rules', () => {
  it('is refused by a RuleError, or is rules that can be printed, read again and compiled', function () {
    this.timeout(60_000);
    let taken = 0;
    fc.assert(
      fc.property(almost, (text) => {
        try {
          const set = parseRules(text);
          compile(set);
          taken++;
          expect(parseRules(printRules(set))).to.deep.equal(set);
        } catch (error) {
          if (!(error instanceof RuleError)) throw error;
          const lines = text.split('\n');
          expect(error.line).to.be.within(1, lines.length);
          expect(error.column).to.be.within(1, (lines[error.line - 1]?.length ?? 0) + 1);
        }
      }),
      { numRuns: 5000 },
    );
    expect(taken).to.be.greaterThan(200);
  });
});
