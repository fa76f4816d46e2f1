/** `rx-netstack ping`, `traceroute` and `resolve` as processes, against real kernels: a neighbour, and a path of three namespaces. */

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { hasDnsmasq, NameServer } from './dnsmasq.js';
import { describeNetns, type Namespace, type Netns, type Ran } from './namespace.js';

const MAIN = new URL('../../cli/main.ts', import.meta.url).pathname;
const PLACE = ['--no-dad', '--tap', 'tap0', '--address', '10.77.0.2/24', '--peer', '10.77.0.1/24'];
const PLACE6 = ['--address', 'fd77::2/64', '--peer', 'fd77::1/64'];
const BOTH = [...PLACE, ...PLACE6];

function tool(namespace: Namespace, name: string, ...args: readonly string[]): Promise<Ran> {
  return namespace.run(process.execPath, ['--import=tsx', MAIN, name, ...args], { timeout: 40_000 });
}

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
const json = (text: string): Record<string, unknown>[] => lines(text).map((line) => JSON.parse(line) as never);

describeNetns('rx-netstack ping', (netns) => {
  for (const [version, to] of [
    [4, '10.77.0.1'],
    [6, 'fd77::1'],
  ] as const) {
    it(`pings the kernel by IPv${version}, small and in fragments, and prints what ping prints`, async function () {
      this.timeout(60_000);
      const small = await tool(netns.namespace, 'ping', to, '-c', '3', '-i', '0.05', '-t', '17', ...BOTH);
      const [head, first, , , title, packets, rtt] = lines(small.stdout);
      expect(head).to.equal(`PING ${to}: 56 bytes of data, ${version === 4 ? 84 : 104} with headers`);
      const hops = version === 4 ? 'ttl' : 'hoplimit';
      expect(first).to.match(new RegExp(`^64 bytes from ${to}: icmp_seq=1 ${hops}=64 time=[\\d.]+ ms$`));
      expect(title).to.equal(`--- ${to} ping statistics ---`);
      expect(packets).to.match(/^3 packets transmitted, 3 received, 0% packet loss, time \d+ms$/);
      expect(rtt).to.match(/^rtt min\/avg\/max\/mdev = [\d.]+\/[\d.]+\/[\d.]+\/[\d.]+ ms$/);
      expect(small).to.include({ code: 0, stderr: '' });

      const big = await tool(netns.namespace, 'ping', to, '-c', '5', '-i', '0.02', '-s', '8000', '--json', ...BOTH);
      const events = json(big.stdout);
      expect(events).to.have.length(6);
      expect(events[0]).to.include({
        kind: 'reply',
        sequence: 1,
        from: to,
        length: 8008,
        intact: true,
        duplicate: false,
      });
      expect(events.at(-1)).to.include({ destination: to, transmitted: 5, received: 5, loss: 0, errors: 0 });
      expect(big.code).to.equal(0);
    });
  }

  it('says who is not there, and ends with 1 for no reply, with 2 where nothing can be sent', async function () {
    this.timeout(60_000);
    const [dead, away, name] = await Promise.all([
      tool(netns.namespace, 'ping', '10.77.0.9', '-c', '1', ...PLACE),
      tool(netns.make(), 'ping', '10.78.0.9', '-c', '1', ...PLACE),
      tool(netns.make(), 'ping', 'www.test', '-c', '1', ...PLACE),
    ]);
    expect(dead.stdout).to.contain('\nFrom 10.77.0.2 icmp_seq=1 Destination Host Unreachable\n');
    expect(dead.stdout).to.match(/\n1 packets transmitted, 0 received, \+1 errors, 100% packet loss, time \d+ms\n$/);
    expect(dead.code).to.equal(1);
    expect(away.stderr).to.match(/^rx-netstack ping: there is no way to 10\.78\.0\.9: .*\(ENETUNREACH\)\n$/);
    expect(away.code).to.equal(2);
    expect(name.stderr).to.equal(
      'rx-netstack ping: www.test: there is no name server to ask: give one with --dns (ECONNREFUSED)\n',
    );
    expect(name.code).to.equal(2);
  });

  it('goes on until SIGINT, and then prints the statistics', async function () {
    this.timeout(30_000);
    const child = netns.namespace.start(process.execPath, [
      '--import=tsx',
      MAIN,
      'ping',
      '10.77.0.1',
      '-i',
      '0.02',
      ...PLACE,
    ]);
    let out = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (out += text));
    while (!out.includes('icmp_seq=5')) await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
    const closed = once(child, 'close') as Promise<[number]>;
    child.kill('SIGINT');
    expect((await closed)[0]).to.equal(0);
    expect(out).to.match(/\n--- 10\.77\.0\.1 ping statistics ---\n\d+ packets transmitted, \d+ received, /);
  });
});

/** Three routers of the kernel behind the TAP, and a server; `tap0` is made by the tool. */
function routers(netns: Netns): { near: Namespace; far: Namespace } {
  const { namespace: near } = netns;
  const far = netns.make('far');
  const server = netns.make('server');
  near.ip('link', 'add', 'm0', 'type', 'veth', 'peer', 'name', 'm1', 'netns', far.name);
  far.ip('link', 'add', 's0', 'type', 'veth', 'peer', 'name', 's1', 'netns', server.name);
  const up = (namespace: Namespace, device: string, network: number, host: number) => {
    namespace.ip('link', 'set', device, 'up');
    namespace.ip('addr', 'add', `10.${network}.0.${host}/24`, 'dev', device);
    namespace.ip('addr', 'add', `fd${network}::${host}/64`, 'dev', device, 'nodad');
  };
  up(near, 'm0', 78, 1);
  up(far, 'm1', 78, 2);
  up(far, 's0', 79, 1);
  up(server, 's1', 79, 2);
  for (const [network, via] of [
    ['10.79.0.0/24', '10.78.0.2'],
    ['fd79::/64', 'fd78::2'],
  ] as const) {
    near.ip('route', 'add', network, 'via', via);
  }
  far.ip('route', 'add', '10.77.0.0/24', 'via', '10.78.0.1');
  far.ip('route', 'add', 'fd77::/64', 'via', 'fd78::1');
  server.ip('route', 'add', 'default', 'via', '10.79.0.1');
  server.ip('route', 'add', 'default', 'via', 'fd79::1');
  for (const router of [near, far]) {
    router.sysctl('net.ipv4.ip_forward', 1);
    router.sysctl('net.ipv6.conf.all.forwarding', 1);
  }
  return { near, far };
}

describeNetns('rx-netstack traceroute', (netns) => {
  for (const [version, to, gateway, way] of [
    [4, '10.79.0.2', '10.77.0.1', ['10.77.0.1', '10.78.0.2', '10.79.0.2']],
    [6, 'fd79::2', 'fd77::1', ['fd77::1', 'fd78::2', 'fd79::2']],
  ] as const) {
    for (const icmp of [false, true]) {
      it(`crosses two routers by IPv${version}, with ${icmp ? 'echo requests' : 'datagrams'}`, async function () {
        this.timeout(60_000);
        const { near } = routers(netns);
        const ran = await tool(
          near,
          'traceroute',
          to,
          '--json',
          ...(icmp ? ['-I'] : []),
          '--gateway',
          gateway,
          ...BOTH,
        );
        const hops = json(ran.stdout) as unknown as {
          hop: number;
          probes: { from: string; outcome: string; rtt: number }[];
        }[];
        expect(ran).to.include({ code: 0, stderr: '' });
        expect(hops.map(({ hop }) => hop)).to.deep.equal([1, 2, 3]);
        expect(hops.map(({ probes }) => probes.map(({ from }) => from))).to.deep.equal(
          way.map((one) => [one, one, one]),
        );
        const outcomes = hops.map(({ probes }) => [...new Set(probes.map(({ outcome }) => outcome))].join());
        expect(outcomes).to.deep.equal(['passed', 'passed', 'reached']);
      });
    }
  }

  it('marks the hop that knows no way on, is silent about those that are, and ends with 1', async function () {
    this.timeout(60_000);
    const { near, far } = routers(netns);
    const args = ['-q', '1', '-w', '0.5', '--gateway', '10.77.0.1', ...PLACE];
    far.ip('route', 'add', 'unreachable', '10.80.0.0/24');
    near.ip('route', 'add', '10.80.0.0/24', 'via', '10.78.0.2');
    const lost = await tool(near, 'traceroute', '10.80.0.1', ...args);
    expect(lost.stdout).to.match(
      /^traceroute to 10\.80\.0\.1, .*\n 1 {2}10\.77\.0\.1 {2}[\d.]+ ms\n 2 {2}10\.78\.0\.2 {2}[\d.]+ ms !H\n$/,
    );
    expect(lost.code).to.equal(1);
    far.ip('route', 'add', 'blackhole', '10.81.0.0/24');
    near.ip('route', 'add', '10.81.0.0/24', 'via', '10.78.0.2');
    const silent = await tool(near, 'traceroute', '10.81.0.1', '-m', '4', ...args);
    expect(lines(silent.stdout).slice(-2)).to.deep.equal([' 3 *', ' 4 *']);
    expect(silent.code).to.equal(1);
  });
});

if (hasDnsmasq()) {
  describeNetns('rx-netstack resolve', (netns) => {
    const start = async (...options: string[]) => {
      // The interface is the kernel's, and stays between the tools.
      const { namespace } = netns;
      namespace.ip('tuntap', 'add', 'dev', 'tap0', 'mode', 'tap');
      namespace.ip('addr', 'add', '10.77.0.1/24', 'dev', 'tap0');
      namespace.ip('addr', 'add', 'fd77::1/64', 'dev', 'tap0', 'nodad');
      namespace.ip('link', 'set', 'tap0', 'up');
      await NameServer.start(
        namespace,
        '--host-record=www.test,10.77.0.1,fd77::1',
        '--cname=alias.test,www.test',
        ...options,
      );
    };
    const OWN = ['--no-dad', '--tap', 'tap0', '--address', '10.77.0.2/24', '--address', 'fd77::2/64'];

    it('finds addresses, names and other records', async function () {
      this.timeout(60_000);
      await start('--mx-host=test,www.test,10', '--txt-record=test,say "hi"');
      const found = await tool(
        netns.namespace,
        'resolve',
        'alias',
        '10.77.0.1',
        'fd77::1',
        '--dns',
        '[fd77::1]:53',
        '--search',
        'test',
        ...OWN,
      );
      expect(lines(found.stdout).map((line) => line.replace(/\t\d+\t/, ' '))).to.deep.equal([
        'alias.test CNAME\twww.test',
        'www.test A\t10.77.0.1',
        'www.test AAAA\tfd77::1',
        '1.0.77.10.in-addr.arpa PTR\twww.test',
        `1.${'0.'.repeat(27)}7.7.d.f.ip6.arpa PTR\twww.test`,
      ]);
      expect(found).to.include({ code: 0, stderr: '' });
      const more = await tool(
        netns.namespace,
        'resolve',
        'test',
        'nobody.test',
        '--type',
        'MX,TXT',
        '--json',
        '--dns',
        '10.77.0.1',
        ...OWN,
      );
      expect(json(more.stdout).map(({ type, data }) => [type, data])).to.deep.equal([
        ['MX', '10 www.test'],
        ['TXT', '"say \\"hi\\""'],
      ]);
      expect(more.stderr).to.equal('rx-netstack resolve: nobody.test: there is no such name (ENOTFOUND)\n');
      expect(more.code).to.equal(1);
    });

    it('ping and traceroute take names, and name the routers', async function () {
      this.timeout(60_000);
      await start();
      const args = ['--dns', '10.77.0.1', ...OWN];
      const ping = await tool(netns.namespace, 'ping', 'www.test', '-6', '-c', '1', ...args);
      expect(ping.stdout).to.contain('PING www.test (fd77::1): 56 bytes of data');
      expect(ping.code).to.equal(0);
      const trace = await tool(netns.namespace, 'traceroute', 'www.test', '-4', '-q', '1', ...args);
      expect(trace.stdout).to.match(/\n 1 {2}www\.test \(10\.77\.0\.1\) {2}[\d.]+ ms\n$/);
      expect(trace.code).to.equal(0);
    });

    it('gets addresses and name servers by DHCP, and from routers', async function () {
      this.timeout(90_000);
      const directory = mkdtempSync(join(tmpdir(), 'rx-tools-'));
      try {
        const dhcp = [
          '--dhcp-range=10.77.0.50,10.77.0.60,1h',
          '--dhcp-option=option:dns-server,10.77.0.1',
          '--dhcp-authoritative',
        ];
        const ra = ['--enable-ra', '--dhcp-range=fd77::,ra-only,64,1h', '--dhcp-option=option6:dns-server,[fd77::1]'];
        await start(...dhcp, ...ra, '--no-ping', `--dhcp-leasefile=${join(directory, 'leases')}`);
        for (const how of ['--dhcp', '--slaac']) {
          const found = await tool(netns.namespace, 'resolve', 'www.test', '--type', 'A', '--tap', 'tap0', how);
          expect(found.stderr).to.equal('');
          expect(found.stdout, how).to.match(/^www\.test\t\d+\tA\t10\.77\.0\.1\n$/);
          expect(found.code).to.equal(0);
        }
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
  });
}
