/** Row 4 of the acceptance of a living host: what is refused, unreachable or suddenly gone is told at once, with the right code. */

import { once } from 'node:events';
import { expect } from 'chai';
import { createHash } from 'node:crypto';
import { Ipv4Address } from '../../lib/core/address.js';
import type { Socket } from '../../lib/socket/socket.js';
import { listening, LiveHost, OURS, THEIRS } from './live-host.js';
import { askUntil, until } from '../until.js';
import { describeNetns } from './namespace.js';
import { Recording } from './recording.js';
import { digestOf, opensslBytes } from './transfers.js';

/** The `code` of the error of a connection that is opened, and the milliseconds until it came. */
async function failure(socket: Socket): Promise<{ code: string; after: number }> {
  const start = performance.now();
  const [error] = (await Promise.race([
    once(socket, 'error'),
    once(socket, 'connect').then(() => [{ code: 'connected' }]),
  ]).catch((thrown: unknown) => [thrown])) as [{ code: string }];
  return { code: error.code, after: performance.now() - start };
}

describeNetns('a living host, row 4: refused to the kernel', (netns) => {
  const recording = new Recording();

  it('nc and socat to a closed TCP port are refused at once', async () => {
    const live = new LiveHost(netns.namespace, { recording });
    const nc = await netns.namespace.run('nc', ['-v', '-z', '-w', '3', OURS, '81']);
    expect(nc.code).to.equal(1);
    expect(nc.stderr).to.contain('Connection refused');
    const start = performance.now();
    const socat = await netns.namespace.run('socat', ['-', `TCP:${OURS}:81`]);
    expect(performance.now() - start).to.be.below(1000);
    expect(socat.stderr).to.contain('Connection refused');
    expect(live.me.stats().tcp['resetsSent']).to.equal(2);
    expect(live.me.stats().drops['tcp-no-connection']).to.equal(2);
    await live.quiet();
    await live.close();
  });

  it('a datagram to a closed UDP port brings port unreachable to its sender', async () => {
    const live = new LiveHost(netns.namespace, { recording });
    const socat = await netns.namespace.run('socat', ['-T', '3', '-', `UDP:${OURS}:999`], { input: 'anyone there?' });
    expect(socat.stderr).to.contain('Connection refused');
    expect(live.me.stats().drops['udp-no-socket']).to.equal(1);
    const { stdout } = await netns.namespace.run('grep', ['^IcmpMsg:', '/proc/net/snmp']);
    expect(stdout)
      .to.contain('InType3')
      .and.to.match(/IcmpMsg: .*1\b/);
    await live.close();
  });

  it('an unknown IP protocol brings protocol unreachable', async () => {
    const live = new LiveHost(netns.namespace, { recording, both: true });
    await netns.namespace.run('socat', ['-u', '-T', '0.2', '-', `IP-SENDTO:${OURS}:253`], { input: 'protocol 253' });
    await until(() => live.me.stats().drops['ip-unknown-protocol'] === 1);
    const answers = await recording.tshark('icmp.type == 3 && icmp.code == 2');
    expect(answers).to.have.length(1);
    await live.close();
  });

  it('row 5: tshark finds nothing wrong with what we sent', async function () {
    this.timeout(60_000);
    await recording.expectSound({ tcp: 2, icmp: 2 });
  });
});

describeNetns('a living host, row 4: connecting out', (netns) => {
  const recording = new Recording();

  it('fetches from and sends to servers of the kernel, every byte right', async function () {
    this.timeout(30_000);
    const { namespace } = netns;
    const live = new LiveHost(namespace, { recording });
    const size = 8 << 20;
    await listening(namespace, 4000, 'socat', '-u', `SYSTEM:${opensslBytes(`${size}`)}`, `TCP-LISTEN:4000,reuseaddr`);
    const hash = createHash('sha256');
    for await (const chunk of live.net.connect(4000, THEIRS)) hash.update(chunk as Uint8Array);
    expect(hash.digest('hex')).to.equal(await digestOf(size));

    const sink = await listening(namespace, 4001, 'nc', '-l', '-N', '4001');
    const heard = createHash('sha256');
    sink.stdout?.on('data', (chunk: Buffer) => heard.update(chunk));
    const sent = Buffer.alloc(size, 'every byte counts. ');
    live.net.connect(4001, THEIRS).end(sent);
    await once(sink, 'close');
    expect(heard.digest('hex')).to.equal(createHash('sha256').update(sent).digest('hex'));
    await live.quiet({ timeWait: true });
    await live.close();
  });

  it('sends and receives datagrams of all sizes', async () => {
    const { namespace } = netns;
    const live = new LiveHost(namespace, { recording });
    namespace.start('socat', ['-b', '65536', 'UDP-LISTEN:4002,fork', 'PIPE']);
    namespace.start('socat', ['-b', '65536', '-T', '60', 'UDP-RECVFROM:4003,fork', 'PIPE']);
    const answers: Uint8Array[] = [];
    const { udp } = live.me;
    const any = Ipv4Address.parse('0.0.0.0');
    const socket = udp.bind(
      { address: any, port: 0 },
      { message: ({ data }) => void answers.push(data), error: () => undefined },
    );
    const to = { address: Ipv4Address.parse(THEIRS), port: 4003 };
    for (const size of [1, 1472, 1473, 8000, 60_000]) {
      const data = Buffer.alloc(size, `${size} bytes `);
      // The server may not be up yet: until it is, port unreachable comes. Its buffer holds three of the largest.
      await askUntil(
        () => answers.length > 0,
        () => socket.send(data, to),
      );
      expect(Buffer.compare(answers[0] ?? Buffer.alloc(0), data), `${size}`).to.equal(0);
      await new Promise((resolve) => setTimeout(resolve, 50));
      answers.length = 0;
    }
    socket.close();
    await live.close();
  });

  it('ECONNREFUSED: nobody listens there', async () => {
    const live = new LiveHost(netns.namespace, { recording });
    const { code, after } = await failure(live.net.connect(4005, THEIRS));
    expect(code).to.equal('ECONNREFUSED');
    expect(after).to.be.below(1000);
    await live.quiet();
    await live.close();
  });

  it('ECONNREFUSED: a connected UDP socket hears of port unreachable', async () => {
    const live = new LiveHost(netns.namespace, { recording });
    const codes: string[] = [];
    const socket = live.me.udp.bind(
      { address: Ipv4Address.parse('0.0.0.0'), port: 0 },
      { message: () => undefined, error: ({ code }) => void codes.push(code) },
    );
    socket.connect({ address: Ipv4Address.parse(THEIRS), port: 4006 });
    socket.send(Buffer.from('anyone there?'));
    await until(() => codes.length > 0);
    expect(codes).to.deep.equal(['ECONNREFUSED']);
    socket.close();
    await live.close();
  });

  it('EHOSTUNREACH: no such neighbour', async () => {
    const live = new LiveHost(netns.namespace, { recording, neighbours: { retransTimer: 100 } });
    const { code, after } = await failure(live.net.connect(80, '10.77.0.99'));
    expect(code).to.equal('EHOSTUNREACH');
    expect(after).to.be.within(200, 2000);
    await live.quiet();
    await live.close();
  });

  it('ENETUNREACH: no route of ours', async () => {
    const live = new LiveHost(netns.namespace, { recording });
    expect((await failure(live.net.connect(80, '192.0.2.1'))).code).to.equal('ENETUNREACH');
    await live.close();
  });

  it('what the gateway says: ENETUNREACH, EHOSTUNREACH', async () => {
    const { namespace } = netns;
    namespace.sysctl('net.ipv4.ip_forward', 1);
    namespace.sysctl('net.ipv4.icmp_ratelimit', 0);
    namespace.ip('route', 'add', 'unreachable', '192.0.2.0/24');
    namespace.ip('route', 'add', 'prohibit', '198.51.100.0/24');
    const live = new LiveHost(namespace, { recording, gateway: THEIRS });
    const codes = new Map<string, string>();
    for (const address of ['203.0.113.1', '192.0.2.1', '198.51.100.1']) {
      codes.set(address, (await failure(live.net.connect(80, address))).code);
    }
    // As Linux would say: network unreachable, host unreachable, and "administratively prohibited" as the latter.
    expect(Object.fromEntries(codes)).to.deep.equal({
      '203.0.113.1': 'ENETUNREACH',
      '192.0.2.1': 'EHOSTUNREACH',
      '198.51.100.1': 'EHOSTUNREACH',
    });
    await live.quiet();
    await live.close();
  });

  it('ETIMEDOUT: a neighbour that does not answer', async () => {
    const { namespace } = netns;
    const live = new LiveHost(namespace, { recording, tcp: { synRetries: 2, initialRto: 100 } });
    namespace.sysctl('net.ipv4.ip_forward', 0);
    namespace.ip('addr', 'add', '10.77.0.3/24', 'dev', 'tap0');
    namespace.ip('route', 'add', 'blackhole', `${OURS}/32`);
    const { code, after } = await failure(live.net.connect(80, '10.77.0.3'));
    expect(code).to.equal('ETIMEDOUT');
    expect(after).to.be.within(600, 3000);
    await live.quiet();
    await live.close();
  });

  it('row 5: tshark finds nothing wrong with what we sent', async function () {
    this.timeout(60_000);
    await recording.expectSound({ tcp: 100, udp: 5 });
  });
});

describeNetns('a living host, row 4: a peer that is gone in the middle', (netns) => {
  const recording = new Recording();

  /** A server of ours that sends without end; what became of its connection. */
  function flooding(live: LiveHost, port: number, accepted?: (socket: Socket) => void): Promise<string> {
    return new Promise((resolve) => {
      // Half open, so that it goes on after the peer's FIN, which a killed one may send before it resets.
      const server = live.net.createServer({ allowHalfOpen: true }, (socket) => {
        accepted?.(socket);
        const chunk = Buffer.alloc(65_536);
        const more = () => {
          while (!socket.destroyed && socket.write(chunk)) {
            // until the buffer is full
          }
        };
        let outcome = 'closed';
        socket.on('drain', more).on('error', (error: Error & { code?: string }) => (outcome = error.code ?? 'none'));
        socket.on('close', () => {
          server.close();
          resolve(outcome);
        });
        more();
      });
      server.listen(port);
    });
  }

  for (const stopped of [false, true]) {
    it(`ECONNRESET or EPIPE: the receiver is killed ${stopped ? 'after its window closed' : 'in full flow'}`, async () => {
      const { namespace } = netns;
      const live = new LiveHost(namespace, { recording });
      const ended = flooding(live, 4010);
      const reader = namespace.start('socat', ['-u', `TCP:${OURS}:4010`, 'OPEN:/dev/null']);
      await until(() => (live.me.stats().tcp['segmentsOut'] ?? 0) > 1000);
      if (stopped) {
        reader.kill('SIGSTOP');
        await until(() => (live.me.stats().tcp['windowProbes'] ?? 0) > 0);
      }
      reader.kill('SIGKILL');
      // In full flow there may be nothing that was not read, and FIN comes before RST: a broken pipe, as Linux says too.
      expect(await ended).to.be.oneOf(stopped ? ['ECONNRESET'] : ['ECONNRESET', 'EPIPE']);
      await live.quiet();
      await live.close();
    });
  }

  it('the HTTP service survives curls that are killed either way, again and again', async function () {
    this.timeout(20_000);
    const { namespace } = netns;
    const live = new LiveHost(namespace, { recording });
    for (let i = 0; i < 5; i++) {
      const down = namespace.start('curl', ['-sS', '-o', '/dev/null', `http://${OURS}/bytes/1099511627776`]);
      const up = namespace.start('curl', ['-sS', '-T', '/dev/zero', '-X', 'POST', `http://${OURS}/sha256`]);
      const { tcp } = live.me;
      await until(() => [...tcp.connections()].filter(({ state }) => state === 'ESTABLISHED').length === 2);
      await new Promise((resolve) => setTimeout(resolve, 50));
      down.kill('SIGKILL');
      up.kill('SIGKILL');
      await Promise.all([once(down, 'close'), once(up, 'close')]);
    }
    await live.quiet({ timeWait: true });
    await live.close();
  });

  it('ETIMEDOUT: the link goes down while we send', async () => {
    const { namespace } = netns;
    const live = new LiveHost(namespace, { recording });
    const outcome = flooding(live, 4011, () => {
      for (const connection of live.me.tcp.connections()) connection.setUserTimeout(800);
    });
    namespace.start('socat', ['-u', `TCP:${OURS}:4011`, 'OPEN:/dev/null']);
    await until(() => live.connections['ESTABLISHED'] === 1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    namespace.ip('link', 'set', 'tap0', 'down');
    const start = performance.now();
    expect(await outcome).to.equal('ETIMEDOUT');
    expect(performance.now() - start).to.be.within(500, 3000);
    await live.quiet();
    await live.close();
  });

  it('ETIMEDOUT: keepalive notices that the link is down while nothing is sent', async () => {
    const { namespace } = netns;
    const live = new LiveHost(namespace, { recording });
    await listening(namespace, 4012, 'nc', '-l', '4012');
    const socket = live.net.connect(4012, THEIRS);
    await once(socket, 'connect');
    for (const connection of live.me.tcp.connections()) connection.setKeepAlive(true, 300, 100, 3);
    await until(() => (live.me.stats().tcp['keepaliveProbes'] ?? 0) >= 2);
    expect(socket.destroyed, 'while the peer answers').to.equal(false);
    namespace.ip('link', 'set', 'tap0', 'down');
    const { code } = await failure(socket);
    expect(code).to.equal('ETIMEDOUT');
    await live.quiet();
    await live.close();
  });

  it('ENETDOWN: our own side is taken away', async () => {
    const { namespace } = netns;
    const live = new LiveHost(namespace, { recording });
    await listening(namespace, 4013, 'nc', '-l', '4013');
    const socket = live.net.connect(4013, THEIRS);
    await once(socket, 'connect');
    const failed = failure(socket);
    await live.close();
    expect((await failed).code).to.equal('ENETDOWN');
  });

  it('row 5: tshark finds nothing wrong with what we sent', async function () {
    this.timeout(60_000);
    await recording.expectSound({ tcp: 1000 });
  });
});
