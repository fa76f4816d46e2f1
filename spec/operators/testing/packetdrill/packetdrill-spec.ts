import { expect } from 'chai';
import { PcapngReader } from '../../../../lib/capture/pcapng.js';
import {
  modesOf,
  packetdrill,
  type PacketdrillOptions,
} from '../../../../operators/testing/packetdrill/packetdrill.js';
import { resultText, type ScriptResult } from '../../../../operators/testing/packetdrill/result.js';

const LISTENING = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
`;
const ACCEPTED = `${LISTENING}+0 < S 0:0(0) win 32792 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
+.1 < . 1:1(0) ack 1 win 32792
+0 accept(3, ..., ...) = 4
`;
const CONNECTING = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0 > S 0:0(0) <...>
`;

function passes(script: string, options: PacketdrillOptions = {}): readonly ScriptResult[] {
  const results = packetdrill(script, options);
  expect(results.filter(({ ok }) => !ok).map(resultText)).to.deep.equal([]);
  return results;
}

describe('packetdrill: running scripts', () => {
  it('runs over IPv4 and IPv6, unless the script or its name says otherwise', () => {
    const modes = (name: string, option?: string) =>
      modesOf({ name, options: new Map(option === undefined ? [] : [['ip_version', option]]) });
    expect(modes('a.pkt')).to.deep.equal(['ipv4', 'ipv6']);
    expect(modes('icmp-v4.pkt')).to.deep.equal(['ipv4']);
    expect(modes('x/mtu-ipv6.pkt')).to.deep.equal(['ipv6']);
    expect(modes('a.pkt', 'ipv4-mapped-ipv6')).to.deep.equal(['ipv4-mapped-ipv6']);
    expect(passes(ACCEPTED).map(({ mode }) => mode)).to.deep.equal(['ipv4', 'ipv6']);
    expect(passes(ACCEPTED, { ipVersions: ['ipv4-mapped-ipv6'] }).map(({ mode }) => mode)).to.deep.equal([
      'ipv4-mapped-ipv6',
    ]);
  });

  it('gives the same result whenever it runs', () => {
    const [one, other] = [packetdrill(ACCEPTED), packetdrill(ACCEPTED)].map((results) =>
      results.map((r) => r.pcapng()),
    );
    expect(one).to.deep.equal(other);
  });

  it('writes down all packets', () => {
    const [result] = packetdrill(ACCEPTED);
    const reader = new PcapngReader();
    reader.push(result?.pcapng() ?? new Uint8Array(0));
    const directions: (string | undefined)[] = [];
    for (let record = reader.next(); record !== undefined; record = reader.next()) directions.push(record.direction);
    expect(directions).to.deep.equal(['inbound', 'outbound', 'inbound']);
  });

  it('tells the place of an event, or of an assertion, by line and column alone', () => {
    const [result] = passes(`${ACCEPTED}+0 %{\nassert tcpi_nonsense == 1\nassert tcpi_unacked == 0 }%`);
    expect(result?.events.slice(-3).map(({ place, text }) => ({ place, text }))).to.deep.equal([
      { place: { line: 7, column: 4 }, text: 'accept(3, ..., ...) = 4' },
      { place: { line: 9, column: 1 }, text: 'tcpi_nonsense == 1' },
      { place: { line: 10, column: 1 }, text: 'tcpi_unacked == 0' },
    ]);
  });

  it('counts what it asserted and what it skipped', () => {
    const [result] = passes(`${ACCEPTED}+0 %{ assert tcpi_state == TCP_ESTABLISHED\nassert tcpi_nothing == 1 }%`);
    expect(result).to.include({ asserted: 3, skipped: 1 });
  });

  it('lets segments of one size stand for one, and takes in more than one segment holds', () => {
    passes(`${ACCEPTED}+0 write(4, ..., 3500) = 3500
+0 > P. 1:3501(3500) ack 1
+.1 < P. 1:5001(5000) ack 3501 win 32792
* > . 3501:3501(0) ack 5001
+0 read(4, ..., 10000) = 5000`);
  });

  it('takes a payload in that no packet holds', () => {
    passes(`${LISTENING}+0 < S 0:0(0) win 32792 <mss 1000,nop,wscale 8>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,wscale 8>
+.1 < . 1:1(0) ack 1 win 32792
+0 accept(3, ..., ...) = 4
+.1 < P. 1:1001(1000) ack 1 win 32792
* > . 1:1(0) ack 1001`);
  });

  it('maps SACK blocks to live numbers, and back', () => {
    passes(`${LISTENING}+0 < S 0:0(0) win 32792 <mss 1000,sackOK,nop,nop>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK>
+.1 < . 1:1(0) ack 1 win 32792
+0 accept(3, ..., ...) = 4
+.1 < . 1001:2001(1000) ack 1 win 32792
+0 > . 1:1(0) ack 1 <nop,nop,sack 1001:2001>
+0 write(4, ..., 3000) = 3000
+0 > P. 1:3001(3000) ack 1 <nop,nop,sack 1001:2001>
+.1 < . 2001:2001(0) ack 1 win 32792 <nop,nop,sack 989:3001>
+0 > . 1:989(988) ack 1 <nop,nop,sack 1001:2001>`);
  });

  it('maps timestamps to live values, and checks them where the script gives their tick', () => {
    passes(`--tcp_ts_tick_usecs=1000
${LISTENING}+0 < S 0:0(0) win 32792 <mss 1000,sackOK,TS val 700 ecr 0,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 700,nop,wscale 8>
+.1 < . 1:1(0) ack 1 win 257 <nop,nop,TS val 800 ecr 100>
+0 accept(3, ..., ...) = 4
+.1 write(4, ..., 1) = 1
+0 > P. 1:2(1) ack 1 <nop,nop,TS val 300 ecr 800>
+.1 < . 1:1(0) ack 2 win 257 <nop,nop,TS val 900 ecr 300>
+0 %{ assert 90000 <= tcpi_rtt <= 110000, tcpi_rtt }%`);
  });

  it('takes numbers with ! for live ones', () => {
    passes(`${CONNECTING}+.1 < S. 0:0(0) ack 1 win 5792 <mss 1000>
+0 > . 1:1(0) ack 1!
+.1 < R. 1:1(0)! ack 1 win 0
+0 read(3, ..., 10) = -1 ECONNRESET (Connection reset by peer)`);
  });

  it('tells connections apart by their ports', () => {
    passes(`0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 10) = 0
+0 < 5001 > 8080 S 0:0(0) win 32792 <mss 1000>
+0 < 5002 > 8080 S 7000:7000(0) win 32792 <mss 1000>
+0 > 8080 > 5002 S. 0:0(0) ack 7001 <mss 1460>
+0 > 8080 > 5001 S. 0:0(0) ack 1 <mss 1460>
+.1 < 5002 > 8080 . 7001:7001(0) ack 1 win 32792
+0 accept(3, ..., ...) = 4`);
  });

  it('brings ICMP errors in, in the words of either version', () => {
    for (const error of ['unreachable host_unreachable', 'unreachable address_unreachable']) {
      passes(`${CONNECTING}+.1 < icmp ${error} [0:0(0)]
+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [EHOSTUNREACH], [4]) = 0`);
    }
    passes(`${ACCEPTED}+0 write(4, ..., 1000) = 1000
+0 > P. 1:1001(1000) ack 1
+.1 < icmp unreachable frag_needed mtu 1280 [1:1001(1000)]
+0 write(4, ..., 1) = 1`);
  });

  it('does what sysctl says before the host is made, and while it runs', () => {
    passes(`\`../common/defaults.sh
sysctl -q net.ipv4.tcp_sack=0 net.ipv4.tcp_timestamps=0\`
0 \`sysctl -w net.ipv4.tcp_window_scaling=0\`
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0 > S 0:0(0) <mss 1460>
+0 close(3) = 0
+0 \`./set_sysctls.py /proc/sys/net/ipv4/tcp_window_scaling=1\`
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 4
+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(4, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0 > S 0:0(0) <mss 1460,nop,wscale 8>
\`/tmp/sysctl_restore_\${PPID}.sh\``);
  });

  it('takes a host with the defaults of FreeBSD, and compares options as a set', () => {
    passes(`// profile: freebsd
0 \`sysctl net.inet.tcp.rfc1323=0\`
+0 \`sysctl net.inet.tcp.hostcache.purgenow=1\`
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 65535 <mss 1460,sackOK,eol,eol>
+0 > S. 0:0(0) ack 1 win 1 <mss 1460,sackOK,eol,eol>
+0 getsockopt(3, SOL_SOCKET, SO_RCVBUF, [65700], [4]) = 0`);
  });

  it('calls without blocking, and blocks where it may', () => {
    passes(`${LISTENING}+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 accept(3, ..., ...) = -1 EAGAIN (Resource temporarily unavailable)
+0 poll([{fd=3, events=POLLIN, revents=0}], 1, 0) = 0
+0...0.3 poll([{fd=3, events=POLLIN, revents=POLLIN}], 1, 1000) = 1
+.1 < S 0:0(0) win 32792 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
+.2 < . 1:1(0) ack 1 win 32792
+0 accept(3, ..., ...) = 4
+0 fcntl(4, F_GETFL) = 0x2 (flags O_RDWR)
+0...0.5 poll([{fd=4, events=POLLIN, revents=0}], 1, 500) = 0
+.5 writev(4, [{..., 10}, {..., 20}], 2) = 30
+0 > P. 1:31(30) ack 1`);
  });

  it('peeks, waits for all, writes more, and says what is queued', () => {
    passes(`${ACCEPTED}+.1 < P. 1:101(100) ack 1 win 32792
+0 > . 1:1(0) ack 101
+0 recv(4, ..., 50, MSG_PEEK) = 50
+0 ioctl(4, SIOCINQ, [100]) = 0
+0...0.1 recv(4, ..., 150, MSG_WAITALL) = 150
+.1 < P. 101:151(50) ack 1 win 32792
* > . 1:1(0) ack 151
+0 send(4, ..., 100, MSG_MORE) = 100
+0 ioctl(4, SIOCOUTQ, [100]) = 0
+0 send(4, ..., 100, 0) = 100
+0 > P. 1:201(200) ack 151`);
  });

  it('resets with a linger time of 0, and when a connection is to nowhere', () => {
    passes(`${ACCEPTED}+0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0
+0 close(4) = 0
+0 > R. 1:1(0) ack 1`);
    passes(`${ACCEPTED}+0 connect(4, AF_UNSPEC, ...) = 0
+0 > R. 1:1(0) ack 1`);
  });

  it('tells a connection that is being opened what it is told', () => {
    passes(`${CONNECTING}+0 connect(3, ..., ...) = -1 EALREADY (Operation already in progress)
+0 write(3, ..., 100) = -1 EAGAIN (Resource temporarily unavailable)
+.1 < S. 0:0(0) ack 1 win 5792 <mss 1000>
+0 > . 1:1(0) ack 1
+0 connect(3, ..., ...) = 0
+0 connect(3, ..., ...) = -1 EISCONN (Transport endpoint is already connected)`);
  });

  it('answers how many sockets are in a state', () => {
    const closing = `${ACCEPTED}+0 close(4) = 0
+0 > F. 1:1(0) ack 1
+.1 < F. 1:1(0) ack 2 win 32792
+0 > . 2:2(0) ack 2
`;
    passes(`${closing}+0 \`sockstat -4 -P tcp -s | grep -c TIME_WAIT | grep 1\``);
    const [wrong] = packetdrill(`${closing}+0 \`sockstat -4 -P tcp -s | grep -c TIME_WAIT | grep 0\`\n+0 close(3) = 0`);
    expect(wrong?.failure?.outcome).to.deep.equal({
      kind: 'mismatch',
      field: 'sockets in TIME-WAIT',
      expected: '0',
      got: '1',
    });
  });

  it('lets code and commands pass what nobody looks at any more, and nothing else', () => {
    const unanswered = `${ACCEPTED}+0 write(4, ..., 1000) = 1000\n+0 > P. 1:1001(1000) ack 1\n`;
    passes(`${unanswered}+1 %{ assert tcpi_unacked == 1 }%\n+0 \`nstat\``);
    const [extra] = packetdrill(`${unanswered}+1 close(4) = 0`);
    expect(extra?.failure?.outcome.kind).to.equal('extra');
  });

  it('does not fail for what the script calls not fatal', () => {
    passes(`--non_fatal=packet\n${ACCEPTED}+0 write(4, ..., 1000) = 1000\n+0 > . 1:901(900) ack 1`);
  });

  it('passes over datagrams', () => {
    const [result] = passes(`${ACCEPTED}+0 < udp (100)\n+0 %{ assert tcpi_state == TCP_ESTABLISHED }%`);
    expect(result?.skipped).to.equal(1);
  });

  it('runs hundreds of events in no time, whatever the clock says', () => {
    const events = Array.from(
      { length: 300 },
      (_, i) => `+60 < . ${1 + i}:${2 + i}(1) ack 1 win 32792\n* > . 1:1(0) ack ${2 + i}`,
    );
    const [result] = passes(`${ACCEPTED}${events.join('\n')}`);
    expect(result?.events.at(-1)?.time).to.be.greaterThan(18_000_000);
  });
});
