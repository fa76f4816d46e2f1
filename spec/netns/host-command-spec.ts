/** `rx-netstack host` as a process, against a real kernel. */

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Statistics } from '../../cli/statistics.js';
import { CaptureReader } from '../../lib/capture/reader.js';
import { describeNetns, type Namespace } from './namespace.js';

const MAIN = new URL('../../cli/main.ts', import.meta.url).pathname;
const BASIC = ['--tap', 'h0', '--address', '10.77.0.2/24', '--peer', '10.77.0.1/24'] as const;

/** A running command, and what it has printed so far. */
class HostProcess {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';

  constructor(namespace: Namespace, args: readonly string[]) {
    this.child = namespace.start(process.execPath, ['--import=tsx', MAIN, 'host', ...args]);
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
  }

  /** Waits until it has said that on standard error. */
  async said(what: RegExp): Promise<void> {
    while (!what.test(this.stderr)) await once(this.child.stderr as NonNullable<ChildProcess['stderr']>, 'data');
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    const closed = once(this.child, 'close') as Promise<[number | null]>;
    this.child.kill(signal);
    return (await closed)[0];
  }
}

describeNetns('rx-netstack host', (netns) => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rx-host-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('serves until SIGTERM, then closes everything and prints statistics as JSON', async function () {
    this.timeout(30_000);
    const { namespace } = netns;
    const pcap = join(directory, 'host.pcapng');
    const options = [
      '--mac',
      '02:00:00:00:00:77',
      '--mtu',
      '1400',
      '--serve',
      'echo,http',
      '--json',
      '--pcap',
      pcap,
      '--receive-processors',
      '0',
      // A machine may have no such device.
      ...(existsSync('/dev/cpu_dma_latency') ? ['--wake-latency', '1000000'] : []),
    ];
    const host = new HostProcess(namespace, [...BASIC, ...options]);
    await host.said(/\n/);
    expect(JSON.parse(host.stderr)).to.deep.equal({
      ready: true,
      device: 'h0',
      mac: '02:00:00:00:00:77',
      mtu: 1400,
      address: '10.77.0.2/24',
      addresses: ['10.77.0.2/24'],
      services: ['echo', 'http'],
    });
    const ping = await namespace.run('ping', ['-c', '3', '-i', '0.2', '-s', '3000', '10.77.0.2']);
    expect(ping.stdout).to.contain(' 0% packet loss');
    const fetched = await namespace.sh('curl -s http://10.77.0.2/bytes/1048576 | sha256sum');
    expect(fetched.stdout).to.match(/^8025e8ea3abdfc526ea731f7b6559db12c920a84f9ace053e1115a88e726b878 /);
    const live = JSON.parse((await namespace.run('curl', ['-s', 'http://10.77.0.2/stats'])).stdout) as Statistics;
    expect(live.connections).to.have.property('ESTABLISHED', 1);
    expect(await namespace.run('nc', ['-z', '10.77.0.2', '9'])).to.have.property('code', 1);
    expect(namespace.ip('-o', 'link', 'show', 'h0')).to.contain('mtu 1400');
    expect((await namespace.sh('cat /sys/class/net/h0/queues/rx-0/rps_cpus')).stdout).to.match(/^[0,]*1\n$/);

    // It ends in the middle of a transfer, too: the peer learns it at once.
    const slow = namespace.run('curl', [
      '-s',
      '--limit-rate',
      '500k',
      '-o',
      '/dev/null',
      'http://10.77.0.2/bytes/100000000',
    ]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const asked = Date.now();
    expect(await host.end('SIGTERM')).to.equal(0);
    expect(Date.now() - asked).to.be.below(3000);
    expect((await slow).code).to.be.oneOf([18, 56]);

    const statistics = JSON.parse(host.stdout) as Statistics;
    expect(statistics.drops).to.have.property('tcp-no-connection', 1);
    expect(statistics.connections).to.deep.equal({});
    expect(statistics.counters).to.include({ frames: 0, udpSockets: 0 });
    expect(() => namespace.ip('link', 'show', 'h0')).to.throw('does not exist');
    const { packets: received } = statistics.counters['received'] as Record<string, number>;
    const { packets: sent } = statistics.counters['sent'] as Record<string, number>;
    expect(directionsIn(pcap)).to.deep.equal({ inbound: received, outbound: sent });
  });

  it('warns of a second host with our address; SIGINT ends it with a table', async function () {
    this.timeout(30_000);
    const { namespace } = netns;
    const host = new HostProcess(namespace, BASIC);
    await host.said(/^ready: 10\.77\.0\.2\/24 at 02:[0-9a-f:]+ on h0 \(Ctrl-C ends it\)\n$/);
    namespace.ip('address', 'add', '10.77.0.2/32', 'dev', 'h0');
    await namespace.run('arping', ['-c', '1', '-A', '-I', 'h0', '10.77.0.2']);
    await host.said(/warning: another host, [0-9a-f:]+, uses 10\.77\.0\.2; we said again that it is ours\n/);
    namespace.ip('address', 'del', '10.77.0.2/32', 'dev', 'h0');
    expect(await host.end('SIGINT')).to.equal(0);
    expect(host.stdout).to.match(/^host\n {2}seconds +[\d.]+\n {2}delivered +\d+\n/);
    expect(host.stdout).to.contain('\nconnections: none\n');
  });

  it('says in one line that the interface is taken, or gone', async function () {
    this.timeout(30_000);
    const { namespace } = netns;
    const host = new HostProcess(namespace, BASIC);
    await host.said(/ready/);
    const second = new HostProcess(namespace, BASIC);
    const [code] = (await once(second.child, 'close')) as [number];
    expect(second.stderr).to.match(/^rx-netstack host: cannot open h0: .*EBUSY.*\n$/);
    expect(second.stdout).to.equal('');
    expect(code).to.equal(1);
    const closed = once(host.child, 'close') as Promise<[number]>;
    namespace.ip('link', 'del', 'h0');
    expect((await closed)[0]).to.equal(1);
    expect(host.stderr).to.match(/\nrx-netstack host: h0: .*\n$/);
    expect(host.stdout).to.match(/^host\n/);
  });

  it('lets go of the interface where no host can be made on it, and ends', async function () {
    this.timeout(30_000);
    const { namespace } = netns;
    // To a device they are the same.
    const addresses = ['fe80::2/64', 'fe80::2%h0/64'].flatMap((address) => ['--address', address]);
    const none = new HostProcess(namespace, ['--tap', 'h0', ...addresses, '--no-dad']);
    const [code] = (await once(none.child, 'close')) as [number];
    expect(none.stderr).to.equal('rx-netstack host: h0 already has the address fe80::2%h0\n');
    expect(code).to.equal(1);
  });

  it('4862-1, 5227-1: uses no address that another host has, and gives up where it has no other', async function () {
    this.timeout(30_000);
    const { namespace } = netns;
    const addresses = ['10.77.0.2/24', 'fd77::2/64'].flatMap((address) => ['--address', address]);
    const taken = ['--tap', 'h0', '--peer', '10.77.0.2/24', '--peer', 'fd77::2/64'];
    const other = new HostProcess(namespace, [...taken, '--json', ...addresses, '--address', '10.77.0.3/24']);
    await other.said(/"ready".*\n/);
    const lines = other.stderr
      .trim()
      .split('\n')
      .filter((line) => line.startsWith('{'));
    const said = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(said.at(-1)).to.deep.include({ ready: true, addresses: ['10.77.0.3/24'] });
    for (const address of ['10.77.0.2', 'fd77::2']) {
      expect(said).to.deep.include({ by: 'autoconf', event: 'duplicate', addresses: [address] });
    }
    await other.end('SIGTERM');
    const none = new HostProcess(namespace, [...taken, ...addresses]);
    const [code] = (await once(none.child, 'close')) as [number];
    expect(code).to.equal(1);
    expect(none.stderr).to.match(/\nrx-netstack host: other hosts have 10\.77\.0\.2 and fd77::2\n$/);
    const sure = new HostProcess(namespace, [...taken, ...addresses, '--no-dad']);
    await sure.said(/^ready: 10\.77\.0\.2\/24, fd77::2\/64 at /m);
    await sure.end('SIGTERM');
  });

  it('says in one line that it has no permission', async function () {
    this.timeout(30_000);
    const { namespace } = netns;
    const user = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, '--import=tsx', MAIN];
    const { code, stderr, stdout } = await namespace.run('setpriv', [...user, 'host', ...BASIC], { timeout: 20_000 });
    expect(stderr).to.match(/^rx-netstack host: cannot open h0: .*(EACCES|EPERM).*\n$/);
    expect(stdout).to.equal('');
    expect(code).to.equal(1);
  });
});

function directionsIn(path: string): Readonly<Record<string, number>> {
  const reader = new CaptureReader();
  reader.push(readFileSync(path));
  const directions: Record<string, number> = {};
  for (let record = reader.next(); record !== undefined; record = reader.next()) {
    const direction = record.direction ?? 'none';
    directions[direction] = (directions[direction] ?? 0) + 1;
  }
  expect(reader.end()).to.equal('complete');
  return directions;
}
