/** A living host's services, TCP and UDP, with nc and socat: half-closes, shut windows, keepalive; and two hosts in one process. */

import { once } from 'node:events';
import { expect } from 'chai';
import { Ipv4Address } from '../../lib/core/address.js';
import { LIVE, listening, LiveHost } from './live-host.js';
import { until } from '../until.js';
import { describeNetns, type Namespace } from './namespace.js';
import { Recording } from './recording.js';
import { digestOf, opensslBytes } from './transfers.js';

// RFC 864: 72 characters a line, each line starting one further in the ring of the 95 printable ones.
const RING = Array.from({ length: 95 * 2 }, (_, i) => String.fromCharCode(32 + (i % 95))).join('');
const LINES = Array.from({ length: 95 }, (_, i) => `${RING.slice(i, i + 72)}\r\n`).join('');

const line = (input: string) => ({ input, timeout: 5000 });

for (const { version, ours, theirs, at, options } of Object.values(LIVE)) {
  describeNetns(`a living host's services over TCP and IPv${version}`, (netns) => {
    const recording = new Recording();
    let namespace: Namespace;
    let live: LiveHost;

    beforeEach(() => {
      namespace = netns.namespace;
      live = new LiveHost(namespace, { ...options, recording });
    });

    it('echo: nc sends, half-closes, and gets everything back', async () => {
      const text = 'to whom it may concern\n'.repeat(5000);
      const nc = await namespace.run('nc', ['-N', ours, '7'], line(text));
      expect(nc.code).to.equal(0);
      expect(nc.stdout).to.equal(text);
      await live.quiet();
      await live.close();
    });

    it('echo: 20 MiB through, both directions at once', async function () {
      this.timeout(30_000);
      const size = 20 << 20;
      const command = `${opensslBytes(`${size}`)} | socat -t 10 - TCP:${at}:7 | sha256sum`;
      const { stdout } = await namespace.sh(command, { timeout: 30_000 });
      expect(stdout.slice(0, 64)).to.equal(await digestOf(size));
      await live.quiet();
      await live.close();
    });

    it('discard: takes everything, says nothing, and closes after us', async () => {
      const nc = await namespace.run('nc', ['-N', ours, '9'], line('x'.repeat(1 << 20)));
      expect(nc).to.deep.include({ code: 0, stdout: '' });
      await live.quiet();
      await live.close();
    });

    it('chargen: the pattern of RFC 864, until the reader has enough', async () => {
      const { stdout } = await namespace.sh(`nc -d ${ours} 19 | head -c 1000000`);
      expect(stdout).to.equal(LINES.repeat(200).slice(0, 1_000_000));
      await live.quiet();
      await live.close();
    });

    it('the other half-close: our end of stream first, and still theirs is heard', async () => {
      const heard: string[] = [];
      const server = live.net.createServer({ allowHalfOpen: true }, (socket) => {
        socket.end('that is all from us\n');
        socket.setEncoding('utf8').on('data', (text: string) => void heard.push(text));
        socket.on('end', () => void heard.push('end'));
      });
      server.listen(4030);
      // It answers only after our end came.
      const script = `exec 3<>/dev/tcp/${ours}/4030; cat <&3 >/dev/null; echo late words >&3; exec 3>&-`;
      expect((await namespace.sh(script)).code).to.equal(0);
      await until(() => heard.at(-1) === 'end');
      expect(heard.join('')).to.equal('late words\nend');
      server.close();
      await live.quiet({ timeWait: true });
      await live.close();
    });

    it('half-closes of ours towards a server of the kernel', async () => {
      await listening(namespace, 4031, 'socat', `TCP${version}-LISTEN:4031,reuseaddr`, 'SYSTEM:sort');
      let sorted = '';
      const socket = live.net.connect(4031, theirs);
      socket.end('pear\napple\nquince\n');
      for await (const text of socket.setEncoding('utf8')) sorted += text as string;
      expect(sorted).to.equal('apple\npear\nquince\n');
      await live.quiet({ timeWait: true });
      await live.close();
    });

    it('closes at once, both sides', async () => {
      const server = live.net.createServer((socket) => {
        // A kernel that closes without having read our words resets.
        socket
          .resume()
          .on('error', () => undefined)
          .end('bye\n');
      });
      server.listen(4032);
      const script = `for i in $(seq 50); do exec 3<>/dev/tcp/${ours}/4032; exec 3>&-; done`;
      expect(await namespace.sh(script)).to.deep.equal({ code: 0, stdout: '', stderr: '' });
      server.close();
      await live.quiet({ timeWait: true });
      await live.close();
    });

    it('socat with keepalive is answered, and stays connected', async () => {
      const keepalive = 'keepalive,keepidle=1,keepintvl=1,keepcnt=1';
      const socat = namespace.start('socat', ['-', `TCP:${at}:7,${keepalive}`]);
      await until(() => live.connections['ESTABLISHED'] === 1);
      const before = live.me.stats().tcp['segmentsOut'] ?? 0;
      await until(() => (live.me.stats().tcp['segmentsOut'] ?? 0) >= before + 2, 6000);
      expect(live.connections).to.deep.equal({ ESTABLISHED: 1 });
      socat.stdin?.end('still here?\n');
      const [answer] = (await once(socat.stdout ?? socat, 'data')) as [Buffer];
      expect(answer.toString()).to.equal('still here?\n');
      await live.quiet();
      await live.close();
    });

    it('row 5: tshark finds nothing wrong with what we sent', async function () {
      this.timeout(60_000);
      await recording.expectSound({ tcp: 1000 });
    });
  });

  describeNetns(`a living host's TCP over IPv${version} and shut windows`, (netns) => {
    it('a reader that sleeps shuts the window; we probe, and all bytes come in the end', async function () {
      this.timeout(30_000);
      const recording = new Recording();
      const live = new LiveHost(netns.namespace, { ...options, recording, both: true });
      const size = 4 << 20;
      // The kernel buffers less than that; curl writes into a pipe that nobody reads for a while.
      const command = `curl -sS --limit-rate 1000M http://${at}/bytes/${size} | (sleep 1.5; sha256sum)`;
      netns.namespace.sysctl('net.ipv4.tcp_rmem', '4096 16384 65536');
      const { stdout } = await netns.namespace.sh(command, { timeout: 20_000 });
      expect(stdout.slice(0, 64)).to.equal(await digestOf(size));
      expect(live.me.stats().tcp['windowProbes']).to.be.within(1, 8);
      await live.quiet({ timeWait: true });
      await live.close();
      expect(await recording.tshark('tcp.analysis.zero_window && frame.packet_flags_direction == 1')).not.to.be.empty;
      // Our probe is one byte back, without data: tshark calls it a keepalive.
      const probes = 'frame.packet_flags_direction == 2 && (tcp.analysis.zero_window_probe || tcp.analysis.keep_alive)';
      expect(await recording.tshark(probes)).not.to.be.empty;
      await recording.expectSound({ tcp: 1000 });
    });

    it('a reader of ours that sleeps shuts ours; the kernel probes, and goes on when we read', async function () {
      this.timeout(30_000);
      const recording = new Recording();
      const live = new LiveHost(netns.namespace, { ...options, recording, both: true });
      const size = 4 << 20;
      let received = 0;
      let held = 0;
      const done = new Promise<void>((resolve) => {
        // From the beginning: what it read before would let the buffer grow.
        const server = live.net.createServer({ pauseOnConnect: true }, (socket) => {
          server.close();
          setTimeout(() => {
            held = [...live.me.tcp.connections()][0]?.readableBytes ?? 0;
            socket.on('data', (chunk: Buffer) => (received += chunk.length)).resume();
          }, 1200);
          socket.on('close', () => resolve());
        });
        server.listen(4040);
      });
      await netns.namespace.sh(`head -c ${size} /dev/zero | nc -N ${ours} 4040`, { timeout: 20_000 });
      await done;
      expect(received).to.equal(size);
      // Nobody read, so the buffer did not grow; a window is rounded up to what its field can say.
      const { receiveBuffer } = live.me.tcp.config;
      expect(held, 'bytes that waited').to.be.within(0.9 * receiveBuffer, receiveBuffer + 256);
      await live.quiet({ timeWait: true });
      await live.close();
      expect(await recording.tshark('tcp.analysis.zero_window && frame.packet_flags_direction == 2')).not.to.be.empty;
      // Of what came in super-segments each has one acknowledgment.
      await recording.expectSound({ tcp: 20 });
    });
  });

  describeNetns(`a living host's services over UDP and IPv${version}`, (netns) => {
    const recording = new Recording();

    it('echo, for all sizes; chargen; discard', async function () {
      this.timeout(20_000);
      const { namespace } = netns;
      const live = new LiveHost(namespace, { ...options, recording });
      const socat = (port: number, wait: string, input: string) =>
        namespace.run('socat', ['-b', '65536', '-t', wait, '-', `UDP:${at}:${port}`], line(input));
      for (const size of [1, 1452, 1453, 1472, 1473, 8000, 65_507]) {
        const text = 'datagram '.repeat(8000).slice(0, size);
        expect((await socat(7, '0.3', text)).stdout, `${size} bytes`).to.equal(text);
      }
      expect((await socat(19, '0.3', 'x')).stdout).to.equal(LINES.slice(0, 512));
      expect((await socat(9, '0.1', 'x')).stdout).to.equal('');
      // An empty datagram is one, too.
      const { delivered } = live.me.stats();
      await namespace.sh(`printf '' | socat -u -,shut-null UDP:${at}:7,shut-null`);
      await until(() => live.me.stats().delivered > delivered);
      await live.close();
    });

    // There is no broadcast in IPv6.
    if (version === 4) {
      it('a broadcast reaches a socket of ours', async () => {
        const { namespace } = netns;
        const live = new LiveHost(namespace, { ...options, recording });
        const heard: string[] = [];
        const socket = live.me.udp.bind(
          { address: Ipv4Address.parse('0.0.0.0'), port: 4050 },
          {
            message: ({ data, destination }) =>
              void heard.push(`${Buffer.from(data).toString()} to ${destination.address.toString()}`),
            error: () => undefined,
          },
        );
        await namespace.run('socat', ['-u', '-', 'UDP-SENDTO:10.77.0.255:4050,broadcast'], line('to all'));
        await namespace.run('socat', ['-u', '-', `UDP-SENDTO:${ours}:4050`], line('to you'));
        await until(() => heard.length === 2);
        expect(heard).to.deep.equal(['to all to 10.77.0.255', `to you to ${ours}`]);
        socket.close();
        await live.close();
      });
    }

    it('row 5: tshark finds nothing wrong with what we sent', async function () {
      this.timeout(60_000);
      await recording.expectSound({ udp: 5, ...(version === 4 ? { ip: 50 } : {}) });
    });
  });
}

describeNetns('living hosts together', (netns) => {
  it('two in one process, on two TAPs, through the kernel as their router', async function () {
    this.timeout(20_000);
    const { namespace } = netns;
    const recording = new Recording();
    namespace.sysctl('net.ipv4.ip_forward', 1);
    const a = new LiveHost(namespace, {
      recording,
      name: 'tap0',
      mac: '02:77:00:00:00:0a',
      peer: ['10.77.1.1/24'],
      addresses: ['10.77.1.2/24'],
      gateway: '10.77.1.1',
    });
    const b = new LiveHost(namespace, {
      recording,
      name: 'tun0',
      medium: 'ip',
      peer: ['10.77.2.1/24'],
      addresses: ['10.77.2.2/24'],
      gateway: '10.77.2.1',
    });
    const sent = Buffer.alloc(3 << 20, 'from one host of ours to the other, ');
    const received: Buffer[] = [];
    const socket = a.net.connect({ port: 7, host: '10.77.2.2' });
    socket.on('data', (chunk: Buffer) => void received.push(chunk)).end(sent);
    await once(socket, 'end');
    expect(Buffer.compare(Buffer.concat(received), sent)).to.equal(0);
    for (const address of ['10.77.1.2', '10.77.2.2']) {
      // Once it has an answer, ping waits for the last one no longer than the interval.
      const ping = await namespace.run('ping', ['-q', '-c', '3', '-i', '0.1', '-W', '3', '-s', '4000', address]);
      expect(ping.stdout).to.match(/3 received, 0% packet loss/);
    }
    await a.quiet({ timeWait: true });
    await b.quiet({ timeWait: true });
    await a.close();
    await b.close();
    await recording.expectSound({ tcp: 1000 });
  });

  it('two neighbours on a bridge find each other by ARP and talk', async function () {
    this.timeout(20_000);
    const { namespace } = netns;
    const recording = new Recording();
    namespace.ip('link', 'add', 'br0', 'type', 'bridge');
    namespace.ip('link', 'set', 'br0', 'up');
    const hosts = ['tap0', 'tap1'].map((name, i) => {
      const addresses = [`10.77.3.${i + 1}/24`];
      const one = new LiveHost(namespace, { recording, name, mac: `02:77:00:00:01:0${i}`, peer: [], addresses });
      namespace.ip('link', 'set', name, 'master', 'br0');
      return one;
    });
    const [a, b] = hosts;
    if (a === undefined || b === undefined) throw new Error('no hosts');
    let received = 0;
    const sent = 1 << 20;
    const socket = a.net.connect(7, '10.77.3.2');
    socket.on('data', (chunk: Buffer) => (received += chunk.length)).end(Buffer.alloc(sent, 'neighbour'));
    await once(socket, 'end');
    expect(received).to.equal(sent);
    for (const one of hosts) await one.quiet({ timeWait: true });
    for (const one of hosts) await one.close();
    await recording.expectSound({ tcp: 500 });
  });
});
