import { expect } from 'chai';
import { ipOf } from '../../../../lib/core/address.js';
import { PacketNotation } from '../../../../lib/text/notation.js';
import type { TcpSpec } from '../../../../lib/text/packet-spec.js';
import { Flow } from '../../../../operators/testing/packetdrill/flow.js';
import { readLivePacket } from '../../../../operators/testing/packetdrill/live-packet.js';
import { packetdrill, type PacketdrillOptions } from '../../../../operators/testing/packetdrill/packetdrill.js';
import { parseScript } from '../../../../operators/testing/packetdrill/parser.js';
import { resultText, type ScriptResult } from '../../../../operators/testing/packetdrill/result.js';

/** A listener, and a connection without options that it has accepted. */
const ACCEPTED = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32792 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
+.1 < . 1:1(0) ack 1 win 32792
+0 accept(3, ..., ...) = 4
`;

/** The same, with all options. */
const WITH_OPTIONS = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32792 <mss 1000,sackOK,TS val 700 ecr 0,nop,wscale 7>
`;

function run(script: string, options: PacketdrillOptions = {}): ScriptResult {
  const [result] = packetdrill(script, { ipVersions: ['ipv4'], ...options });
  if (result === undefined) throw new Error('no result');
  return result;
}

interface Wrong {
  readonly title: string;
  readonly script: string;
  /** The outcome's kind, and the field of a mismatch. */
  readonly kind: string;
  readonly field?: string;
  readonly options?: PacketdrillOptions;
}

const WRONG: readonly Wrong[] = [
  {
    title: 'a sequence number that is one too large',
    script: `${ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > P. 2:102(100) ack 1`,
    kind: 'mismatch',
    field: 'sequence number',
  },
  {
    title: 'an acknowledgment number that is one too small',
    script: `${ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 0`,
    kind: 'mismatch',
    field: 'acknowledgment number',
  },
  {
    title: 'a missing PSH',
    script: `${ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > . 1:101(100) ack 1`,
    kind: 'mismatch',
    field: 'PSH',
  },
  {
    title: 'a FIN that nobody sent',
    script: `${ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > FP. 1:101(100) ack 1`,
    kind: 'mismatch',
    field: 'FIN',
  },
  {
    title: 'a SYN-ACK without ACK',
    script: `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32792 <mss 1000>
+0 > S 0:0(0) <mss 1460>`,
    kind: 'mismatch',
    field: 'ACK',
  },
  {
    title: 'a RST where there is none',
    script: `${ACCEPTED}+0 close(4) = 0\n+0 > R. 1:1(0) ack 1`,
    kind: 'mismatch',
    field: 'FIN',
  },
  {
    title: 'a payload that is longer than what is sent',
    script: `${ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > P. 1:102(101) ack 1`,
    kind: 'mismatch',
    field: 'payload length',
  },
  {
    title: 'a payload that is shorter than what is sent',
    script: `${ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > P. 1:100(99) ack 1`,
    kind: 'mismatch',
    field: 'payload length',
  },
  {
    title: 'segments that end within the next',
    script: `${ACCEPTED}+0 write(4, ..., 2000) = 2000\n+0 > P. 1:1501(1500) ack 1`,
    kind: 'mismatch',
    field: 'payload length',
  },
  {
    title: 'another window',
    script: `${ACCEPTED}+.1 < P. 1:101(100) ack 1 win 32792\n+0 > . 1:1(0) ack 101 win 17`,
    kind: 'mismatch',
    field: 'window',
  },
  {
    title: 'options in another order',
    script: `${WITH_OPTIONS}+0 > S. 0:0(0) ack 1 <sackOK,mss 1460,TS val 100 ecr 700,nop,wscale 8>`,
    kind: 'mismatch',
    field: 'options',
  },
  {
    title: 'an option less',
    script: `${WITH_OPTIONS}+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,TS val 100 ecr 700,nop,wscale 8>`,
    kind: 'mismatch',
    field: 'options',
  },
  {
    title: 'no options where there are some',
    script: `${WITH_OPTIONS}+0 > S. 0:0(0) ack 1`,
    kind: 'mismatch',
    field: 'options',
  },
  {
    title: 'an option of another value, also where the order does not matter',
    script: `${WITH_OPTIONS}+0 > S. 0:0(0) ack 1 <mss 1461,sackOK,TS val 100 ecr 700,nop,wscale 8>`,
    kind: 'mismatch',
    field: 'options',
    options: { profile: 'freebsd' },
  },
  {
    title: 'another value of our timestamp, if the script gives its tick',
    script: `--tcp_ts_tick_usecs=1000
${WITH_OPTIONS}+0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 700,nop,wscale 8>
+.1 < . 1:1(0) ack 1 win 257 <nop,nop,TS val 800 ecr 100>
+0 accept(3, ..., ...) = 4
+0 write(4, ..., 1) = 1
+0 > P. 1:2(1) ack 1 <nop,nop,TS val 150 ecr 800>`,
    kind: 'mismatch',
    field: 'timestamp',
  },
  {
    title: 'another echo, strictly',
    script: `${WITH_OPTIONS}+0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 701,nop,wscale 8>`,
    kind: 'mismatch',
    field: 'timestamp echo',
    options: { strict: true },
  },
  {
    title: 'another hop limit',
    script: `${ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > (ttl 63) P. 1:101(100) ack 1`,
    kind: 'mismatch',
    field: 'hop limit',
  },
  {
    title: 'a mark that nobody set',
    script: `${ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > [ect0] P. 1:101(100) ack 1`,
    kind: 'mismatch',
    field: 'ECN',
  },
  {
    title: 'urgent data that nobody sent',
    script: `${ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 1 urg 1`,
    kind: 'mismatch',
    field: 'urgent pointer',
  },
  {
    title: 'a segment that leaves too early',
    script: `${ACCEPTED}+0 write(4, ..., 100) = 100\n+.1 > P. 1:101(100) ack 1`,
    kind: 'early',
  },
  {
    title: 'a segment that leaves too late',
    script: `${ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 1\n+.1 > P. 1:101(100) ack 1`,
    kind: 'late',
  },
  {
    title: 'a segment outside of a range of times',
    script: `${ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 1\n+.5~+.6 > P. 1:101(100) ack 1`,
    kind: 'early',
  },
  { title: 'a segment that never leaves', script: `${ACCEPTED}+0 > . 1:1(0) ack 1`, kind: 'missing' },
  { title: 'a segment that never leaves, at whatever time', script: `${ACCEPTED}* > . 1:1(0) ack 1`, kind: 'missing' },
  {
    title: 'a segment that the script does not know of',
    script: `${ACCEPTED}+0 write(4, ..., 100) = 100\n+.1 < . 1:1(0) ack 101 win 32792`,
    kind: 'extra',
  },
  {
    title: 'another error',
    script: `${ACCEPTED}+0 recv(4, ..., 100, MSG_DONTWAIT) = -1 ECONNRESET (Connection reset by peer)`,
    kind: 'mismatch',
    field: 'error',
  },
  {
    title: 'an error where there is none',
    script: `${ACCEPTED}+0 write(4, ..., 100) = -1 EPIPE (Broken pipe)`,
    kind: 'mismatch',
    field: 'error',
  },
  {
    title: 'success where there is an error',
    script: `${ACCEPTED}+0 recv(4, ..., 100, MSG_DONTWAIT) = 100`,
    kind: 'mismatch',
    field: 'result',
  },
  {
    title: 'fewer bytes than are read',
    script: `${ACCEPTED}+.1 < P. 1:101(100) ack 1 win 32792\n+0 > . 1:1(0) ack 101\n+0 read(4, ..., 1000) = 99`,
    kind: 'mismatch',
    field: 'result',
  },
  {
    title: 'a call that blocks, where the script says that it does not',
    script: `${ACCEPTED}+0 read(4, ..., 1000) = 99`,
    kind: 'missing',
  },
  {
    title: 'a blocking call that returns too early',
    script: `${ACCEPTED}+0...0.3 read(4, ..., 1000) = 100\n+.1 < P. 1:101(100) ack 1 win 32792\n+0 > . 1:1(0) ack 101`,
    kind: 'early',
  },
  {
    title: 'a blocking call that returns too late',
    script: `${ACCEPTED}+0...0.1 read(4, ..., 1000) = 100\n+.3 < P. 1:101(100) ack 1 win 32792\n+0 > . 1:1(0) ack 101`,
    kind: 'late',
  },
  {
    title: 'a blocking call that never returns',
    script: `${ACCEPTED}+0...0.1 read(4, ..., 1000) = 100`,
    kind: 'missing',
  },
  {
    title: 'an assertion that does not hold',
    script: `${ACCEPTED}+0 %{ assert tcpi_state == TCP_CLOSE_WAIT, tcpi_state }%`,
    kind: 'mismatch',
    field: 'value',
  },
  ...[
    '(tcpi_unacked, tcpi_state) == (0, TCP_CLOSE_WAIT)',
    '(tcpi_unacked, tcpi_state) != (0, TCP_ESTABLISHED)',
    '[tcpi_unacked, tcpi_state] == (0,)',
    '(tcpi_unacked, tcpi_unacked) is not (0, 0)',
    '(tcpi_unacked, (1, 2)) == (0, (1, 3))',
    '(1, tcpi_unacked) == tcpi_unacked',
    '(0, 0) == ()',
    'tcpi_unacked not in (0,)',
    '(tcpi_unacked, 1) in ((0, 2), (0, 3))',
    'tcpi_unacked == None',
    '0 / 0 <= 1',
    '()',
  ].map((test) => ({
    title: `an assertion about several values that does not hold: ${test}`,
    script: `${ACCEPTED}+0 %{ assert ${test} }%`,
    kind: 'mismatch',
    field: 'value',
  })),
  {
    title: 'another value of a socket option',
    script: `${ACCEPTED}+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [ECONNRESET], [4]) = 0`,
    kind: 'mismatch',
    field: 'SO_ERROR',
  },
  {
    title: 'another value of a field of TCP_INFO, beside one that is not known',
    script: `${ACCEPTED}+0 getsockopt(4, SOL_TCP, TCP_INFO, {tcpi_bogus=7, tcpi_state=TCP_CLOSE_WAIT}, [236]) = 0`,
    kind: 'mismatch',
    field: 'tcpi_state',
  },
  {
    title: 'flags of a message that there are not',
    script: `${ACCEPTED}+0 < P. 1:11(10) ack 1 win 32792
+0 > . 1:1(0) ack 11
+0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 10}], msg_flags=MSG_TRUNC}, 0) = 10`,
    kind: 'mismatch',
    field: 'msg_flags',
  },
  {
    title: 'a descriptor that there is not',
    script: `${ACCEPTED}+0 write(9, ..., 100) = 100`,
    kind: 'mismatch',
    field: 'result',
  },
  {
    title: 'what is not supported',
    script: `${ACCEPTED}+0 recvmsg(4, {msg_iov(1)=[{..., 10}]}, MSG_ERRQUEUE) = 10`,
    kind: 'unsupported',
  },
];

describe('packetdrill: scripts that must fail', () => {
  for (const { title, script, kind, field, options } of WRONG) {
    it(`fails for ${title}`, () => {
      const { ok, failure } = run(script, options);
      expect(ok).to.equal(false);
      expect(failure?.outcome.kind).to.equal(kind);
      if (failure?.outcome.kind === 'mismatch') expect(failure.outcome.field.replace(/ \(.*/, '')).to.equal(field);
    });
  }

  it('fails for a script that asserts nothing, and for one whose every assertion was skipped', () => {
    const nothing = '0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0';
    expect(run(nothing)).to.include({ ok: false, error: 'asserts nothing' });
    const skipped = run(`${nothing}\n+0 %{ assert tcpi_no_such_thing == 1 }%`);
    expect(skipped).to.include({ ok: false, error: 'asserts nothing', skipped: 1 });
    for (const option of ['TCP_CONGESTION, "nonsense", [8]', 'TCP_INFO, {tcpi_bogus=7, tcpi_state=TCP_BOGUS}, [236]']) {
      const result = run(`${nothing}\n+0 getsockopt(3, SOL_TCP, ${option}) = 0`);
      expect(result).to.include({ ok: false, error: 'asserts nothing', asserted: 0 });
      expect(result.skipped).to.be.at.least(1);
    }
  });

  it('skips an assertion that asks of several values what it does not tell', () => {
    const { asserted } = run(ACCEPTED);
    for (const [test, skipped] of [
      ['(tcpi_unacked, tcpi_state) == (0, TCP_ESTABLISHED)', 0],
      ['(tcpi_unacked, [1, 2]) != (0, [1, 3])', 0],
      ['(tcpi_unacked, 1) != 0 and (1, 2)', 0],
      ['(0, tcpi_unacked) in ((1, 0), (0, 0)) and tcpi_unacked in (0,)', 0],
      ['(tcpi_no_such_thing, 1) == (5, 6)', 1],
      ['(tcpi_unacked, 1) < (1, 1)', 1],
      ['(tcpi_unacked, 1) + 1 > 0', 1],
      ['-(tcpi_unacked, 1) < 0', 1],
      ['max((tcpi_unacked, 1)) == 1', 1],
      ['tcpi_unacked in 0', 1],
      ['None < 1', 1],
    ] as const) {
      const all = asserted + 1 - skipped;
      expect(run(`${ACCEPTED}+0 %{ assert ${test} }%`), test).to.include({ ok: true, asserted: all, skipped });
    }
  });

  it('counts what a call asks for and the stack does not tell as skipped, beside what it tells', () => {
    const data = '+0 < P. 1:11(10) ack 1 win 32792\n+0 > . 1:1(0) ack 11\n';
    const { asserted } = run(`${ACCEPTED}${data}`);
    for (const [call, skipped] of [
      ['getsockopt(4, SOL_TCP, TCP_INFO, {tcpi_state=TCP_ESTABLISHED, tcpi_snd_mss=1000}, [236]) = 0', 0],
      ['getsockopt(4, SOL_TCP, TCP_INFO, {tcpi_state=TCP_ESTABLISHED, tcpi_snd_mss=...}, [236]) = 0', 0],
      ['getsockopt(4, SOL_TCP, TCP_INFO, {tcpi_state=TCP_ESTABLISHED, tcpi_bogus=7}, [236]) = 0', 1],
      ['getsockopt(4, SOL_TCP, TCP_INFO, {tcpi_ca_state=BOGUS, tcpi_unacked=0, tcpi_bogus=7}, [236]) = 0', 2],
      ['recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 10}], msg_flags=0}, 0) = 10', 0],
      ['recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 10}], msg_flags=MSG_BOGUS}, 0) = 10', 1],
      ['recvmsg(4, {msg_iov(1)=[{..., 10}], msg_flags=0, msg_control=[{cmsg_level=1}]}, 0) = 10', 1],
      ['poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, 0) = 1', 0],
      ['poll([{fd=4, events=POLLIN, revents=POLLBOGUS}], 1, 0) = 1', 1],
      ['ioctl(4, SIOCINQ, [10]) = 0', 0],
      ['ioctl(4, SIOCINQ, [BOGUS]) = 0', 1],
    ] as const) {
      expect(run(`${ACCEPTED}${data}+0 ${call}`), call).to.include({ ok: true, asserted: asserted + 1, skipped });
    }
  });

  it('knows a segment from or to another address than those of the script for wrong', () => {
    for (const [version, local, remote, other] of [
      [4, '192.168.0.1', '192.0.2.1', '10.9.9.9'],
      [6, 'fd00::1', 'fd00::2', 'fd00::9'],
    ] as const) {
      const notation = new PacketNotation({ version, linkType: 'ip', local, remote });
      const wrong = (words: string): string | undefined =>
        readLivePacket(notation.build(`> . 1:1(0) ack 1${words}`).bytes().slice(), 0, ipOf(local), ipOf(remote))?.wrong;
      expect(wrong('')).to.equal(undefined);
      expect(wrong(` from ${other}`)).to.equal(`addresses, ${other} to ${remote}`);
      expect(wrong(` to ${other}`)).to.equal(`addresses, ${local} to ${other}`);
    }
  });

  it('takes a SYN that is sent again with another number for another, unless a connection may have ended since', () => {
    const flow = new Flow('connecting', 1, 2);
    const send = (flags: string, sequence: number): void => {
      const line = `> ${flags} 0:0(0)`;
      const spec = new PacketNotation({ linkType: 'ip', localPort: 1, remotePort: 2 });
      const bytes = spec
        .build({ ...(spec.parse(line) as TcpSpec), sequence })
        .bytes()
        .slice();
      const packet = readLivePacket(bytes, 0, ipOf('192.168.0.1'), ipOf('192.0.2.1'));
      const [event] = parseScript(`0 ${line}`, {}).events;
      if (packet === undefined || event?.action.kind !== 'outbound') throw new Error('no packet');
      flow.learn(event.action.segment, packet);
    };
    const receive = (text: string): void => {
      const [event] = parseScript(`0 < ${text} win 1`, {}).events;
      if (event?.action.kind === 'inbound') flow.receive(event.action.segment);
    };
    const zero = (sequence: number): boolean => flow.scriptSequence(sequence) === 0;
    send('S', 1000);
    send('S', 5000);
    expect(zero(1000) && !zero(5000)).to.equal(true);
    // A simultaneous open, and the other side's SYN again.
    for (let i = 0; i < 2; i++) {
      receive('S 7:7(0)');
      send('S.', 5000);
    }
    expect(zero(1000)).to.equal(true);
    receive('S 8:8(0)');
    send('S.', 5000);
    expect(zero(5000)).to.equal(true);
    receive('R 9:9(0)');
    receive('S 8:8(0)');
    send('S.', 6000);
    expect(zero(6000)).to.equal(true);
  });

  it('says where, what was expected, what came, and how far off it was', () => {
    const script = `${ACCEPTED}+0 write(4, ..., 100) = 100\n+.1 > P. 1:101(100) ack 1`;
    expect(resultText(run(script, { name: 'early.pkt' })).split('\n')).to.deep.equal([
      'not ok early.pkt [ipv4]',
      '    early.pkt:9: 100.000 ms too early (at 0.100000, -100.000 ms)',
      '    script    > P. 1:101(100) ack 1',
      '    expected  > P. 1:101(100) ack 1',
      '    actual    > P. 1:101(100) ack 1 win 65535',
    ]);
  });
});
