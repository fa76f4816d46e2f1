import { expect } from 'chai';
import { packetdrill } from '../../../../operators/testing/packetdrill/packetdrill.js';
import { parseScript } from '../../../../operators/testing/packetdrill/parser.js';
import type { ScriptResult } from '../../../../operators/testing/packetdrill/result.js';

const SOCKET = '0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n';
const LISTENING = `${SOCKET}+0 bind(3, ..., ...) = 0\n+0 listen(3, SOMAXCONN) = 0\n`;
const ACCEPTED = `${LISTENING}+0 < S 0:0(0) win 32792 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
+.1 < . 1:1(0) ack 1 win 32792
+0 accept(3, ..., ...) = 4
`;

function run(script: string): ScriptResult {
  const [result] = packetdrill(script, { ipVersions: ['ipv4'] });
  if (result === undefined) throw new Error('no result');
  return result;
}

describe('packetdrill: arguments of system calls', () => {
  const unknown: readonly (readonly [before: string, call: string])[] = [
    ['', '0 socket(..., SOCK_STREAM|SOCK_NONBLOK, IPPROTO_TCP) = 3'],
    [SOCKET, '+0 bind(3, {sa_family = AF_INET, sin_port = htons(PORT)}, ...) = 0'],
    [SOCKET, '+0 bind(3, {sa_family = AF_INET, sin_port = htons(70000)}, ...) = 0'],
    [SOCKET, '+0 listen(3, MANY) = 0'],
    [SOCKET, '+0 listen(SOCK, 1) = 0'],
    [SOCKET, '+0 connect(3, {sa_family = AF_INET6, sin6_port = PORT}, ...) = -1 EINPROGRESS'],
    [ACCEPTED, '+0 accept4(3, ..., ..., SOCK_NONBLOK) = 5'],
    [ACCEPTED, '+0 send(4, ..., 1000, MSG_DONTWAIT|MSG_MOER) = 1000'],
    [ACCEPTED, '+0 sendmsg(4, {msg_iov(1)=[{..., 10}]}, MSG_MOER) = 10'],
    [ACCEPTED, '+0 recv(4, ..., 1000, MSG_PEEKK) = -1 EAGAIN'],
    [ACCEPTED, '+0 recvmsg(4, {msg_iov(1)=[{..., 10}]}, MSG_PEEKK) = -1 EAGAIN'],
    [ACCEPTED, '+0 write(4, ..., 8000000000) = 8000000000'],
    [ACCEPTED, '+0 write(4, ..., 1.5) = 1'],
    [ACCEPTED, '+0 writev(4, [{..., 2000000000}, {..., 2000000000}], 2) = 4000000000'],
    [ACCEPTED, '+0 poll([{fd=4, events=POLLIN|POLLX}], 1, 0) = 0'],
    [ACCEPTED, '+0 poll([{fd=FOUR, events=POLLIN}], 1, 0) = 0'],
    [ACCEPTED, '+0 poll([4], 1, 0) = 0'],
    [ACCEPTED, '+0 poll(..., 1, 0) = 0'],
    [ACCEPTED, '+0 poll([{fd=4, events=POLLIN}], 1, SOON) = 0'],
    [ACCEPTED, '+0 ioctl(4, FIONBIO, [ON]) = 0'],
    [ACCEPTED, '+0 setsockopt(4, SOL_TCP, TCP_NODELAY, [ON], 4) = 0'],
    [ACCEPTED, '+0 setsockopt(4, SOL_SOCKET, SO_REUSEADDR, [ON], 4) = 0'],
    [ACCEPTED, '+0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=ON, linger=1}, 8) = 0'],
    [ACCEPTED, '+0 setsockopt(4, SOL_SOCKET, SO_LINGER, [1], 4) = 0'],
    [ACCEPTED, '+0 setsockopt(4, SOL_SOCKET, SO_RCVTIMEO, {tv_sec=SOON, tv_usec=0}, 16) = 0'],
    [ACCEPTED, '+0 setsockopt(4, SOL_SOCKET, SO_RCVTIMEO, [1], 4) = 0'],
  ];
  for (const [before, call] of unknown) {
    it(`are not run where they are not known: ${call}`, () => {
      const { ok, failure } = run(`${before}${call}\n+0 %{ assert 1 == 1 }%`);
      expect([ok, failure?.outcome.kind]).to.deep.equal([false, 'unsupported']);
    });
  }

  it('may be left open, or be of options that mean nothing here', () => {
    for (const [before, call] of [
      ['', '0 socket(..., ..., IPPROTO_TCP) = 3'],
      [SOCKET, '+0 bind(3, {sa_family = AF_INET, sin_port = ...}, ...) = 0'],
      [ACCEPTED, '+0 accept4(3, ..., ..., SOCK_NONBLOCK) = -1 EAGAIN'],
      [ACCEPTED, '+0 send(4, ..., 10, ...) = 10'],
      [ACCEPTED, '+0 poll([{fd=4, events=POLLIN, revents=...}, {fd=4}], 2, 0) = 0'],
      [ACCEPTED, '+0 setsockopt(4, SOL_SOCKET, SO_TIMESTAMPING, [SOF_TIMESTAMPING_SOFTWARE], 4) = 0'],
      [ACCEPTED, '+0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0'],
    ] as const) {
      const nonBlocking = call.includes('accept4') ? '+0 fcntl(3, F_SETFL, O_NONBLOCK) = 0\n' : '';
      expect(run(`${before}${nonBlocking}${call}\n+0 %{ assert 1 == 1 }%`), call).to.include({ ok: true });
    }
  });

  it('of less than no bytes are an error of the call', () => {
    for (const call of ['write(4, ..., -1)', 'read(4, ..., -1)', 'writev(4, [{..., 5}, {..., -3}], 2)']) {
      expect(run(`${ACCEPTED}+0 ${call} = -1 EINVAL (Invalid argument)`), call).to.include({ ok: true });
    }
  });
});

describe('packetdrill: packets that come in', () => {
  it('say all that is to be sent', () => {
    for (const [line, message] of [
      ['. 1:1(0) ack ... win 1', /the acknowledgment number must be said/],
      ['S 0:0(0) win 1 <mss ...>', /options to be sent must be said/],
      ['S 0:0(0) win 1 <nop,wscale ...>', /options to be sent must be said/],
      ['. 1:1(0) ack 1 win 1 <nop,nop,TS val 1 ecr ...>', /options to be sent must be said/],
      ['. 1:1(0) ack 1 win 1 <nop,nop,TS val ... ecr 1>', /options to be sent must be said/],
      ['. 1:1(0) ack 1 win 1 <...>', /options to be sent must be said/],
    ] as const) {
      expect(() => parseScript(`0 < ${line}`), line).to.throw(message);
    }
    parseScript('0 > . 1:1(0) ack ... <nop,nop,TS val ... ecr ...>');
  });

  it('come from and go to ports that there are', () => {
    for (const name of ['bind_port', 'connect_port']) {
      parseScript(`--${name}=65535\n${SOCKET}`);
      expect(() => parseScript(`--${name}=70000\n${SOCKET}`)).to.throw(/is at most 65535, not 70000/);
    }
  });
});
