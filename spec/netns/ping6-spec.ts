/** Row 1 of the acceptance of dual stack: what a kernel does over IPv4 in `ping-spec`, `http-spec` and `refused-spec`, it does over IPv6. */

import { once } from 'node:events';
import { expect } from 'chai';
import { anyAddress, parseIp } from '../../lib/core/address.js';
import { DUAL, listening, LiveHost, OUR_LINK_LOCAL, OUR_MAC, OURS, OURS6, THEIRS6 } from './live-host.js';
import { askUntil, until } from '../until.js';
import { describeNetns, type Namespace } from './namespace.js';
import { Recording } from './recording.js';
import { digestOf, transfers } from './transfers.js';

const MIB = 1 << 20;

async function ping(namespace: Namespace, count: number, size: number, target = OURS6): Promise<string> {
  const args = ['-6', '-q', '-c', `${count}`, '-i', '0.05', '-W', '2', '-s', `${size}`];
  return (await namespace.run('ping', [...args, ...(size > 0 ? ['-p', 'a5c3'] : []), target])).stdout;
}

/** A counter of /proc/net/snmp6. */
async function counter(namespace: Namespace, name: string): Promise<number> {
  const { stdout } = await namespace.run('grep', [`^${name}\\b`, '/proc/net/snmp6']);
  return Number(stdout.trim().split(/\s+/)[1]);
}

describeNetns('dual stack, row 1: ping -6', (netns) => {
  const recording = new Recording();

  it('answers 100 of 100 pings', async () => {
    const live = new LiveHost(netns.namespace, { ...DUAL, recording });
    expect(await ping(netns.namespace, 100, 56)).to.match(/100 received, 0% packet loss/);
    expect(live.me.stats().delivered).to.be.at.least(100);
    await live.close();
  });

  it('answers pings of 8000 bytes, in fragments both ways', async () => {
    const { namespace } = netns;
    const live = new LiveHost(namespace, { ...DUAL, recording });
    expect(await ping(namespace, 50, 8000)).to.match(/50 received, 0% packet loss/);
    expect(await counter(namespace, 'Ip6FragCreates'), 'fragments sent by the kernel').to.equal(50 * 6);
    expect(await counter(namespace, 'Ip6ReasmReqds'), 'fragments sent by us').to.equal(50 * 6);
    expect(await counter(namespace, 'Ip6ReasmOKs')).to.equal(50);
    await live.close();
  });

  for (const size of [0, 1, 1452, 1453, 65_527]) {
    it(`answers pings of ${size} bytes`, async () => {
      const live = new LiveHost(netns.namespace, { ...DUAL, recording });
      // -p: ping itself compares the bytes that come back.
      expect(await ping(netns.namespace, 5, size))
        .to.match(/5 received, 0% packet loss/)
        .and.not.to.contain('wrong data');
      await live.close();
    });
  }

  it('answers at its link-local address, and once for all nodes', async () => {
    const { namespace } = netns;
    const live = new LiveHost(namespace, { ...DUAL, recording });
    expect(await ping(namespace, 10, 56, `${OUR_LINK_LOCAL}%tap0`)).to.match(/10 received, 0% packet loss/);
    // The kernel answers itself as well; with the last packet ping does not wait for others.
    const all = await namespace.run('ping', ['-6', '-c', '4', '-i', '0.1', '-W', '2', 'ff02::1%tap0']);
    const ours = all.stdout.split('\n').filter((line) => line.includes(`from ${OUR_LINK_LOCAL}%tap0`));
    const sequence = ours.map((line) => /icmp_seq=(\d)/.exec(line)?.[1]);
    expect(sequence.length).to.be.at.least(2);
    expect(new Set(sequence).size, 'answered once each').to.equal(sequence.length);
    await live.close();
  });

  it('answers pings over TUN, and both versions at once', async () => {
    const live = new LiveHost(netns.namespace, { ...DUAL, recording, medium: 'ip', name: 'tun0' });
    for (const size of [56, 8000]) expect(await ping(netns.namespace, 20, size)).to.match(/20 received/);
    const four = await netns.namespace.run('ping', ['-4', '-q', '-c', '5', '-i', '0.1', '-W', '2', OURS]);
    expect(four.stdout).to.match(/5 received/);
    await live.close();
  });

  it('answers ndisc6 with its MAC address', async function () {
    const { namespace } = netns;
    if ((await namespace.run('ndisc6', ['-V'])).code === 127) {
      console.warn('SKIPPED: ndisc6 is not installed');
      return this.skip();
    }
    const live = new LiveHost(namespace, { ...DUAL, recording });
    for (const target of [OURS6, OUR_LINK_LOCAL]) {
      const { code, stdout } = await namespace.run('ndisc6', ['-1', '-w', '2000', target, 'tap0']);
      expect(stdout).to.contain(`Target link-layer address: ${OUR_MAC.toUpperCase()}`);
      expect(code).to.equal(0);
    }
    const nobody = await namespace.run('ndisc6', ['-1', '-r', '1', '-w', '300', 'fd77::99', 'tap0']);
    expect(nobody.code).to.equal(2);
    await live.close();
  });

  it('is found again after the kernel forgot it, and finds the kernel again whose MAC address changed', async () => {
    const { namespace } = netns;
    const live = new LiveHost(namespace, { ...DUAL, recording });
    const state = () => namespace.ip('-6', 'neigh', 'show', OURS6);
    expect(await ping(namespace, 2, 56)).to.match(/2 received/);
    expect(state()).to.contain(OUR_MAC).and.to.contain('REACHABLE');
    namespace.ip('neigh', 'flush', 'dev', 'tap0');
    expect(await ping(namespace, 2, 56)).to.match(/2 received/);
    namespace.ip('link', 'set', 'tap0', 'address', '02:77:00:00:00:77');
    expect(await ping(namespace, 2, 56)).to.match(/2 received/);
    const known = live.me.neighbours(live.device)?.get(parseIp(THEIRS6));
    expect(known?.mac?.toString(16)).to.equal('27700000077');
    await live.close();
  });

  it('4861-3: probes the kernel, while nothing is lost', async () => {
    const { namespace } = netns;
    const own = new Recording();
    const neighbours = { baseReachable: 200, delayFirstProbe: 100, retransTimer: 100 };
    const live = new LiveHost(namespace, { ...DUAL, recording: own, both: true, neighbours });
    const states = new Set<string | undefined>();
    live.me.neighbours(live.device)?.observe(({ state }) => states.add(state));
    const args = ['-6', '-q', '-c', '60', '-i', '0.05', '-W', '2', OURS6];
    expect((await namespace.run('ping', args)).stdout).to.match(/60 received, 0% packet loss/);
    const probes = await own.tshark('icmpv6.type == 135 && !(eth.dst.ig == 1)', '-T', 'fields', '-e', 'eth.src');
    expect(probes.filter((source) => source === OUR_MAC).length, 'our probes').to.be.at.least(2);
    expect([...states]).to.include.members(['reachable', 'stale', 'delay', 'probe']);
    expect([...states]).to.not.include('unreachable');
    await live.close();
    await own.expectSound({ icmpv6: 60 });
  });

  it('row 5: tshark finds nothing wrong with what we sent', async function () {
    this.timeout(60_000);
    await recording.expectSound({ frames: 600, icmpv6: 200 });
  });
});

describeNetns('dual stack, row 1: curl over IPv6', (netns) => {
  const recording = new Recording();

  it('serves and digests, every byte right', async function () {
    this.timeout(60_000);
    const live = new LiveHost(netns.namespace, { ...DUAL, recording });
    const { fetch, upload } = transfers(netns.namespace, 30_000, `[${OURS6}]`);
    expect(await fetch(MIB)).to.equal(await digestOf(MIB));
    expect(await fetch(30 * MIB)).to.equal(await digestOf(30 * MIB));
    expect(await upload(10 * MIB)).to.equal(await digestOf(10 * MIB));
    await live.quiet({ timeWait: true });
    await live.close();
  });

  it('serves at its link-local address', async () => {
    const live = new LiveHost(netns.namespace, { ...DUAL, recording });
    const { fetch } = transfers(netns.namespace, 10_000, `'[${OUR_LINK_LOCAL}%25tap0]'`);
    expect(await fetch(MIB)).to.equal(await digestOf(MIB));
    await live.quiet({ timeWait: true });
    await live.close();
  });

  it('connects out, to global and link-local addresses', async () => {
    const { namespace } = netns;
    const live = new LiveHost(namespace, { ...DUAL, recording });
    const linkLocal = /inet6 (fe80\S+)\/64/.exec(namespace.ip('addr', 'show', 'tap0'))?.[1] ?? '';
    for (const [port, address] of [
      [4000, THEIRS6],
      [4001, `${linkLocal}%tap0`],
    ] as const) {
      await listening(namespace, port, 'nc', '-6', '-l', '-N', `${port}`);
      const socket = live.net.connect(port, address);
      await once(socket, 'connect');
      socket.end();
      await once(socket, 'close');
    }
    await live.quiet({ timeWait: true });
    await live.close();
  });

  it('row 5: tshark finds nothing wrong with what we sent', async function () {
    this.timeout(60_000);
    await recording.expectSound({ tcp: 1500 });
  });
});

describeNetns('dual stack, row 1: refused over IPv6', (netns) => {
  const recording = new Recording();

  it('nc and socat to a closed TCP port are refused at once', async () => {
    const live = new LiveHost(netns.namespace, { ...DUAL, recording });
    const nc = await netns.namespace.run('nc', ['-6', '-v', '-z', '-w', '3', OURS6, '81']);
    expect(nc.code).to.equal(1);
    expect(nc.stderr).to.contain('Connection refused');
    const socat = await netns.namespace.run('socat', ['-', `TCP6:[${OURS6}]:81`]);
    expect(socat.stderr).to.contain('Connection refused');
    expect(live.me.stats().drops['tcp-no-connection']).to.equal(2);
    await live.close();
  });

  it('a datagram to a closed UDP port brings port unreachable to its sender', async () => {
    const live = new LiveHost(netns.namespace, { ...DUAL, recording });
    const to = `UDP6:[${OURS6}]:999`;
    const socat = await netns.namespace.run('socat', ['-T', '3', '-', to], { input: 'anyone there?' });
    expect(socat.stderr).to.contain('Connection refused');
    expect(await counter(netns.namespace, 'Icmp6InDestUnreachs')).to.equal(1);
    await live.close();
  });

  it('GP-08: an unknown next header brings a parameter problem that points to it', async () => {
    const live = new LiveHost(netns.namespace, { ...DUAL, recording, both: true });
    await netns.namespace.run('socat', ['-u', '-T', '0.2', '-', `IP6-SENDTO:[${OURS6}]:253`], {
      input: 'protocol 253',
    });
    await until(() => live.me.stats().drops['ip-unknown-protocol'] === 1);
    const answers = await recording.tshark(
      'icmpv6.type == 4 && icmpv6.code == 1',
      '-T',
      'fields',
      '-e',
      'icmpv6.pointer',
    );
    expect(answers).to.deep.equal(['6']);
    await live.close();
  });

  it('ECONNREFUSED: a connected UDP socket hears of port unreachable', async () => {
    const live = new LiveHost(netns.namespace, { ...DUAL, recording });
    const codes: string[] = [];
    const socket = live.me.udp.bind(
      { address: anyAddress(6), port: 0 },
      { message: () => undefined, error: ({ code }) => void codes.push(code) },
    );
    socket.connect({ address: parseIp(THEIRS6), port: 4006 });
    socket.send(Buffer.from('anyone there?'));
    await until(() => codes.length > 0);
    expect(codes).to.deep.equal(['ECONNREFUSED']);
    socket.close();
    await live.close();
  });

  it('what the way says: no neighbour, no route, and what the gateway answers', async () => {
    const { namespace } = netns;
    namespace.sysctl('net.ipv6.conf.all.forwarding', 1);
    namespace.sysctl('net.ipv6.icmp.ratelimit', 0);
    namespace.ip('-6', 'route', 'add', 'unreachable', '2001:db8:1::/48');
    namespace.ip('-6', 'route', 'add', 'prohibit', '2001:db8:2::/48');
    const neighbours = { retransTimer: 100 };
    const live = new LiveHost(namespace, { ...DUAL, recording, neighbours });
    const failure = async (address: string): Promise<string> => {
      const [error] = (await once(live.net.connect(80, address), 'error')) as [{ code: string }];
      return error.code;
    };
    expect(await failure('2001:db8:1::1')).to.equal('ENETUNREACH');
    expect(await failure('fd77::99')).to.equal('EHOSTUNREACH');
    live.me.tables.addRoute({ destination: 'default', gateway: THEIRS6, device: live.device });
    // As Linux would say.
    expect(await failure('2001:db8:1::1')).to.equal('ENETUNREACH');
    expect(await failure('2001:db8:2::1')).to.equal('EACCES');
    expect(await failure('2001:db8:3::1')).to.equal('ENETUNREACH');
    expect(await failure(THEIRS6)).to.equal('ECONNREFUSED');
    await live.quiet();
    await live.close();
  });

  it('echoes datagrams of all sizes', async () => {
    const { namespace } = netns;
    const live = new LiveHost(namespace, { ...DUAL, recording });
    namespace.start('socat', ['-b', '65536', '-T', '60', 'UDP6-RECVFROM:4003,fork', 'PIPE']);
    const answers: Uint8Array[] = [];
    const socket = live.me.udp.bind(
      { address: anyAddress(6), port: 0 },
      { message: ({ data }) => void answers.push(data), error: () => undefined },
    );
    const to = { address: parseIp(THEIRS6), port: 4003 };
    for (const size of [1, 1452, 1453, 8000, 60_000]) {
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

  it('row 5: tshark finds nothing wrong with what we sent', async function () {
    this.timeout(60_000);
    await recording.expectSound({ tcp: 2, icmpv6: 2, udp: 5 });
  });
});
