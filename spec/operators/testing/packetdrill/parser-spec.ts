import { expect } from 'chai';
import { array, assert, constantFrom, oneof, property, string } from 'fast-check';
import { parseScript } from '../../../../operators/testing/packetdrill/parser.js';
import type { Action, Script, SegmentLine } from '../../../../operators/testing/packetdrill/script.js';
import { ScriptError } from '../../../../operators/testing/packetdrill/script-error.js';

const SOCKET = '0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n';

/** What scripts are made of. */
const WORDS = [
  '0',
  '+0',
  '*',
  '+.1',
  '...',
  '~',
  '<',
  '>',
  'S',
  '.',
  '1:1(0)',
  'ack',
  'win',
  '[',
  ']',
  '(',
  ')',
  '{',
  '}',
  ',',
  '=',
  'socket',
  'close',
  '%{',
  '}%',
  '`',
  '"',
  'assert',
  'icmp',
  'udp',
  '<mss',
  'TS',
  'val',
  '|',
  '-1',
  'EINVAL',
  '#ifdef',
  '#endif',
  '\n',
  '//',
  '/*',
  '*/',
  '--mtu=1',
  'sack',
  'FO',
  'not',
  '-',
  '==',
  "'",
  '\\',
] as const;

function parse(text: string, defines: Readonly<Record<string, string>> = {}): Script {
  return parseScript(text, { name: 'x.pkt', defines });
}

/** The action of one event behind the first. */
function action(line: string, defines?: Readonly<Record<string, string>>): Action {
  const event = parse(SOCKET + line, defines).events[1];
  if (event === undefined) throw new Error('no event');
  return event.action;
}

function segment(line: string): SegmentLine {
  const found = action(line);
  if (found.kind !== 'inbound' && found.kind !== 'outbound') throw new Error('no segment');
  return found.segment;
}

/** Where, and what, the error of a text is. */
function error(text: string): string {
  try {
    parse(text);
  } catch (thrown) {
    if (thrown instanceof ScriptError) return thrown.message;
    throw thrown;
  }
  return 'none';
}

describe('packetdrill: the parser', () => {
  describe('times', () => {
    const time = (line: string) => parse(SOCKET + line).events[1]?.time;

    it('reads absolute, relative, any and ranges, in microseconds', () => {
      expect(time('0.5 > . 1:1(0)')).to.deep.equal({ kind: 'at', relative: false, from: 500_000, to: 500_000 });
      expect(time('+.1 > . 1:1(0)')).to.deep.equal({ kind: 'at', relative: true, from: 100_000, to: 100_000 });
      expect(time('* > . 1:1(0)')).to.deep.equal({ kind: 'any' });
      expect(time('+.1~+.25 > . 1:1(0)')).to.deep.equal({ kind: 'at', relative: true, from: 100_000, to: 250_000 });
      expect(time('1~2 > . 1:1(0)')).to.deep.equal({ kind: 'at', relative: false, from: 1_000_000, to: 2_000_000 });
    });

    it('reads the end of a blocking call', () => {
      expect(action('+0...0.200 accept(3, ..., ...) = 4'))
        .to.include({ kind: 'call' })
        .and.to.have.nested.property('call.end', 200_000);
      expect(action('1...1.5 accept(3, ..., ...) = 4')).to.have.nested.property('call.end', 1_500_000);
    });

    it('refuses what goes backwards, does not begin at 0, or has no meaning for the event', () => {
      expect(error('1 close(3) = 0')).to.equal('x.pkt:1:1: the first event must be at time 0');
      expect(error(`${SOCKET}1 close(3) = 0\n.5 close(3) = 0`)).to.match(/^x.pkt:3:1: the time is before/);
      expect(error(`${SOCKET}* close(3) = 0`)).to.match(/^x.pkt:2:1: only packets that go out/);
      expect(error(`${SOCKET}+1~+2 close(3) = 0`)).to.match(/^x.pkt:2:1: only packets that go out/);
      expect(error(`${SOCKET}+1~+.5 > . 1:1(0)`)).to.match(/^x.pkt:2:1: the range ends before/);
      expect(error(`${SOCKET}+1~2 > . 1:1(0)`)).to.match(/^x.pkt:2:4: both ends/);
      expect(error(`${SOCKET}+0...1 > . 1:1(0)`)).to.match(/^x.pkt:2:1: only system calls/);
      expect(error(`${SOCKET}+1...0.5 close(3) = 0`)).to.match(/^x.pkt:2:1: the call returns before/);
      expect(error(`${SOCKET}+x close(3) = 0`)).to.match(/^x.pkt:2:2: expected a time/);
    });
  });

  describe('segments', () => {
    it('reads control bits', () => {
      const flags = (text: string) => segment(`+0 > ${text} 1:1(0)`).flags;
      expect([flags('S'), flags('S.'), flags('FP.'), flags('R'), flags('.'), flags('-')]).to.deep.equal([
        2, 18, 25, 4, 16, 0,
      ]);
      expect([flags('SEW'), flags('SEWA'), flags('SE.'), flags('U.'), flags('P.5'), flags('.3')]).to.deep.equal([
        0xc2, 0x1c2, 0x52, 0x30, 0x158, 0xd0,
      ]);
    });

    it('reads numbers, absolute ones, and those that do not matter', () => {
      expect(segment('+0 > P. 4294967290:4(10)! ack 7! win 9 urg 3 <...>')).to.include({
        sequence: 4_294_967_290,
        absoluteSequence: true,
        length: 10,
        ack: 7,
        absoluteAck: true,
        window: 9,
        urgent: 3,
        options: 'any',
      });
      expect(segment('+0 > . ...(0) ack 1').sequence).to.equal(undefined);
    });

    it('reads what the IP header says, and ports', () => {
      expect(segment('+0 > [ect0] (ttl 3) [tos 0x10,flowlabel 0xabc] 8080 > 12345 . 1:1(0)')).to.deep.include({
        ip: { ecn: 'ect0', ttl: 3, tos: 16, flowLabel: 0xabc },
        ports: { source: 8080, destination: 12_345 },
      });
      expect(segment('+0 < (hlim 1) (class 2) . 1:1(0) win 5').ip).to.deep.equal({ ttl: 1, tos: 2 });
    });

    it('reads options in wire order', () => {
      const { options, absoluteEcho } = segment(
        '+0 < . 1:1(0) win 5 <mss 1460,nop,wscale 6,sackOK,TS val 1 ecr 2!,eol,nop,nop,nop>',
      );
      expect(options).to.deep.equal([
        { kind: 'mss', value: 1460 },
        { kind: 'nop' },
        { kind: 'wscale', value: 6 },
        { kind: 'sackOK' },
        { kind: 'TS', value: 1, echo: 2 },
        { kind: 'eol' },
        { kind: 'nop' },
        { kind: 'nop' },
        { kind: 'nop' },
      ]);
      expect(absoluteEcho).to.equal(true);
    });

    it('reads SACK blocks, cookies, signatures and counters', () => {
      const { options } = segment('+0 > . 1:1(0) <nop,nop,sack 1:2 3:4,FO 32c1a2b3d4e5,FOEXP>');
      expect(options).to.deep.equal([
        { kind: 'nop' },
        { kind: 'nop' },
        {
          kind: 'sack',
          blocks: [
            [1, 2],
            [3, 4],
          ],
        },
        { kind: 'FO', cookie: Uint8Array.of(0x32, 0xc1, 0xa2, 0xb3, 0xd4, 0xe5) },
        { kind: 'FOEXP', cookie: new Uint8Array(0) },
      ]);
      expect(segment('+0 > . 1:1(0) <nop,nop,md5 00112233445566778899aabbccddeeff>').options).to.have.nested.property(
        '[2].number',
        19,
      );
      expect(segment('+0 > . 1:1(0) <nop,ECN e0b 1 ceb 0 e1b 2>').options).to.deep.include({
        kind: 'ECN',
        order: 0,
        fields: [1, 0, 2],
      });
      expect(segment('+0 > . 1:1(0) <ECN e1b 1,nop,nop,nop>').options).to.deep.include({
        kind: 'ECN',
        order: 1,
        fields: [1],
      });
      expect(error(`${SOCKET}+0 > . 1:1(0) <ECN ceb 1>`)).to.match(/counters in neither order/);
    });

    it('refuses what is no segment, at its place', () => {
      expect(error(`${SOCKET}+0 > Q 1:1(0)`)).to.match(/^x.pkt:2:6: expected the control bits of a segment, found 'Q'/);
      expect(error(`${SOCKET}+0 > . 1:2(0)`)).to.match(/^x.pkt:2:10: the range does not span 0 bytes/);
      expect(error(`${SOCKET}+0 < . 1:1(0) ack 1`)).to.match(/^x.pkt:2:20: expected 'win'/);
      expect(error(`${SOCKET}+0 > . 1:1(0) win 65536`)).to.match(/^x.pkt:2:19: a window is not in/);
      expect(error(`${SOCKET}+0 > . 1:1(0) <nop>`)).to.match(/^x.pkt:2:15: options take 1 bytes/);
      expect(error(`${SOCKET}+0 > . 1:1(0) <bogus 1>`)).to.match(/^x.pkt:2:16: expected a TCP option, found 'bogus'/);
      expect(error(`${SOCKET}+0 < . 1:1(0) win 1 <...>`)).to.match(/options to be sent must be said/);
      expect(error(`${SOCKET}+0 > [ect9] . 1:1(0)`)).to.match(/^x.pkt:2:7: expected what the IP header says/);
      expect(error(`${SOCKET}+0 > gre . 1:1(0)`)).to.match(/^x.pkt:2:6: packets within packets/);
      expect(error(`${SOCKET}+0 > icmp unreachable`)).to.match(/ICMP can only come in/);
    });
  });

  it('reads ICMP errors', () => {
    const message = (line: string) => {
      const found = action(line);
      return found.kind === 'icmp' ? found.message : undefined;
    };
    expect(message('+0 < icmp unreachable frag_needed mtu 1200 [1:1461(1460)]')).to.deep.include({
      type: 'unreachable',
      code: 'frag_needed',
      mtu: 1200,
      quote: { sequence: 1, absolute: false, length: 1460 },
    });
    expect(message('+0 < icmp packet_too_big mtu 1280 [1:1(0)]')).to.include({ type: 'packet_too_big', mtu: 1280 });
    expect(message('+0 < icmp time_exceeded [udp (5)]')).to.include({ datagram: true });
  });

  it('puts in the words that the user defines', () => {
    const found = action('+0 < icmp unreachable CODE [1:1(0)]', { CODE: 'host_unreachable' });
    expect(found).to.have.nested.property('message.code', 'host_unreachable');
    expect(action('+0 CMD', { CMD: '`ls`' })).to.deep.equal({ kind: 'command', command: 'ls' });
    expect(action('+0 read(3, ..., N) = 1', { N: '7' })).to.deep.nested.include({
      'call.args[2]': { kind: 'number', value: 7 },
    });
  });

  it('reads calls with their results and notes', () => {
    expect(action('+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation (now) in progress)')).to.have.nested.property(
      'call.result.errno',
      'EINPROGRESS',
    );
    expect(
      action('+0 sendmsg(4, {msg_name(...)=...,\n msg_iov(2)=[{..., 10}, {..., 20}], msg_flags=0}, MSG_MORE|0x4) = 30'),
    ).to.have.nested.property('call.args.length', 3);
    expect(error(`${SOCKET}+0 fork(3) = 0`)).to.equal("x.pkt:2:4: unknown system call 'fork'");
    expect(error(`${SOCKET}+0 close(3) = -1 nonsense`)).to.match(/^x.pkt:2:18: expected an error number/);
    expect(error(`${SOCKET}+0 close(3) = 0 EINVAL`)).to.match(/an error number only comes with -1/);
    expect(error(`${SOCKET}+0 close(3 = 0`)).to.match(/^x.pkt:2:12: expected '\)'/);
    expect(error(`${SOCKET}+0 close(3)`)).to.match(/expected '=', found the end/);
  });

  it('reads code, and refuses what is none', () => {
    const found = action(
      '+0 %{\nassert 990 <= tcpi_rtt <= 1010, "rtt=%d" % tcpi_rtt # all of it\nassert tcpi_state == TCP_ESTABLISHED; assert not (1 > 2) }%',
    );
    expect(found.kind === 'code' && found.code.assertions.map(({ text }) => text)).to.deep.equal([
      '990 <= tcpi_rtt <= 1010',
      'tcpi_state == TCP_ESTABLISHED',
      'not (1 > 2)',
    ]);
    expect(error(`${SOCKET}+0 %{ asert 1 == 1 }%`)).to.equal("x.pkt:2:7: expected 'assert', found 'asert'");
    expect(error(`${SOCKET}+0 %{\n assert 1 ==\n }%`)).to.match(
      /^x.pkt:3:13: expected a value, found the end of the line/,
    );
    expect(error(`${SOCKET}+0 %{ assert 1 1 }%`)).to.match(/^x.pkt:2:16: expected the end of the line/);
    expect(error(`${SOCKET}+0 %{ assert 1 $ }%`)).to.match(/unexpected '\$' in code/);
  });

  it('passes over code that is no assertion, and tells of it where it may matter', () => {
    const found = action(
      '+0 %{\nimport sys\nprint("%d" % tcpi_rtt); x = tcpi_rtt + 1\nif x > 1:\n  assert x == 2\n\n  y = 1\nelse:\n  pass\n' +
        'assert x in (1, 2) and x not in [3], "{} {}".format(x, f\'{y}\')\nassert x if x is None else y }%',
    );
    if (found.kind !== 'code') throw new TypeError('no code');
    expect(found.code.assertions.map(({ text }) => text)).to.deep.equal([
      'x in (1, 2) and x not in [3]',
      'x if x is None else y',
    ]);
    expect(found.code.others.map(({ place, text }) => `${place.line}: ${text}`)).to.deep.equal([
      '4: x = tcpi_rtt + 1',
      '5: if x > 1: assert x == 2 y = 1',
      '9: else: pass',
    ]);
  });

  it('reads what ICMP errors quote in front of them and behind', () => {
    const quote = { sequence: 1, absolute: false, length: 100 };
    for (const text of [
      '[1:101(100)] icmp unreachable',
      '[ect0] [1:101(100)] icmp unreachable',
      'icmp unreachable [1:101(100)]',
    ]) {
      expect(action(`+0 < ${text}`), text).to.deep.include({ kind: 'icmp' });
      expect(action(`+0 < ${text}`), text).to.have.deep.nested.property('message.quote', quote);
    }
    expect(action('+0 < icmp unreachable frag_needed [1:101(100)] mtu 900')).to.deep.include({
      message: { ip: {}, type: 'unreachable', code: 'frag_needed', mtu: 900, id: undefined, quote, datagram: false },
    });
    expect(action('+0 < [udp(100)] icmp unreachable port_unreachable')).to.have.nested.property(
      'message.datagram',
      true,
    );
    expect(error(`${SOCKET}+0 < [1:101(100)] . 1:1(0) win 0`)).to.match(/expected 'icmp' after what it quotes/);
  });

  it('reads options, commands and what is around the events', () => {
    const script = parse(
      '--tolerance_usecs=10000\n--ip_version=ipv4-mapped-ipv6\n`a`\n`b`\n0 close(3) = 0\n+0 `c`\n`d`',
    );
    expect([...script.options]).to.deep.equal([
      ['tolerance_usecs', '10000'],
      ['ip_version', 'ipv4-mapped-ipv6'],
    ]);
    expect(script).to.deep.include({ init: ['a', 'b'], cleanup: 'd' });
    expect(error('--nonsense=1\n0 close(3) = 0')).to.equal('x.pkt:1:1: unknown option --nonsense');
    expect(error('--mtu\n0 close(3) = 0')).to.match(/--mtu needs a value/);
    expect(error('--mtu=big\n0 close(3) = 0')).to.match(/--mtu needs a number/);
    expect(error('--ip_version=ipv5\n0 close(3) = 0')).to.match(/--ip_version is/);
    expect(error('')).to.match(/expected an event, found the end/);
  });

  it('decides what is for others', () => {
    const text = (name: string) => `${SOCKET}#ifdef ${name}\n+0 close(3) = 0\n#endif\n+0 shutdown(3, SHUT_WR) = 0`;
    expect(parse(text('STANDARD')).events).to.have.length(3);
    expect(parse(text('FreeBSD')).events.map(({ place }) => place.line)).to.deep.equal([1, 5]);
    expect(error(`${SOCKET}#ifdef X`)).to.equal('x.pkt:2:1: #ifdef without #endif');
    expect(error(`${SOCKET}#endif`)).to.equal('x.pkt:2:1: #endif without #ifdef');
  });

  it('throws nothing but its own error, whatever the text, and always ends', () => {
    const words = constantFrom(...WORDS);
    assert(
      property(
        oneof(
          array(words, { maxLength: 60 }).map((parts) => parts.join(' ')),
          string(),
        ),
        (text) => {
          for (const script of [text, SOCKET + text, `${SOCKET}+0 %{ ${text} }%`]) {
            try {
              parse(script);
            } catch (thrown) {
              if (!(thrown instanceof ScriptError)) throw thrown;
            }
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('does not exhaust the stack where brackets nest', () => {
    expect(error(`${SOCKET}+0 close(${'['.repeat(100_000)}) = 0`)).to.match(/nested too deep/);
    expect(error(`${SOCKET}+0 %{ assert ${'('.repeat(100_000)} }%`)).to.match(/nested too deep/);
    expect(error(`${SOCKET}+0 %{ assert ${'not '.repeat(100_000)} }%`)).to.match(/nested too deep/);
    expect(error(`${SOCKET}+0 %{ assert ${'-'.repeat(100_000)}1 }%`)).to.match(/nested too deep/);
  });

  for (const [what, text] of [
    ['conditions within conditions', '#ifndef x\n'.repeat(40_000)],
    ['lines of code that are passed over', `${SOCKET}+0 %{\nif x > 1:\n${'  y = 1\n'.repeat(40_000)}}%`],
  ] as const) {
    it(`takes no longer for each where there are many: ${what}`, () => {
      const before = performance.now();
      try {
        parse(text);
      } catch (thrown) {
        expect(thrown).to.be.instanceOf(ScriptError);
      }
      expect(performance.now() - before).to.be.below(3000);
    });
  }
});
