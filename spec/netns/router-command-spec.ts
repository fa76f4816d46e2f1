/** `rx-netstack router` as a process between two kernels, and `rx-netstack show` asking it. */

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Answer } from '../../cli/router/control.js';
import { describeNetns, type Namespace, type Netns } from './namespace.js';
import { until } from '../until.js';

const MAIN = new URL('../../cli/main.ts', import.meta.url).pathname;
const MEBIBYTE = 1 << 20;

/** A configuration of two networks, with more lines. */
const routed = (...more: readonly string[]): string =>
  [
    'devices:',
    "  lan: { addresses: [10.1.0.1/24, 'fd01::1/64'], clampMss: true }",
    "  wan: { addresses: [10.2.0.1/24, 'fd02::1/64'] }",
    ...more,
    '',
  ].join('\n');

/** Rules that let connections to these ports begin. */
const rules = (...ports: readonly number[]): string =>
  [
    'firewall: |',
    '  table inet filter {',
    '    chain forward {',
    '      type filter hook forward priority 0; policy drop;',
    '      ct state established,related accept',
    '      meta l4proto { icmp, icmpv6 } accept',
    ...ports.map((port) => `      tcp dport ${port} accept`),
    '    }',
    '  }',
  ].join('\n');

/** The command on its devices, whose other ends are in namespaces of their own. */
class RouterProcess {
  readonly client: Namespace;
  readonly server: Namespace;
  readonly home: Namespace;
  readonly file: string;
  readonly socket: string;
  stderr = '';
  private readonly child: ChildProcess;

  private constructor(netns: Netns, directory: string, configuration: string) {
    this.home = netns.namespace;
    this.client = netns.make('client');
    this.server = netns.make('server');
    this.socket = join(directory, 'control');
    this.file = join(directory, 'router.yaml');
    this.write(configuration);
    for (const namespace of [this.home, this.client, this.server]) namespace.ip('link', 'set', 'lo', 'up');
    this.child = this.home.start(process.execPath, ['--import=tsx', MAIN, 'router', '--config', this.file, '--json']);
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
  }

  static async start(netns: Netns, directory: string, configuration: string): Promise<RouterProcess> {
    const made = new RouterProcess(netns, directory, configuration);
    await made.said(/"event":"ready"/);
    made.place(made.client, 'lan', 1);
    made.place(made.server, 'wan', 2);
    return made;
  }

  write(configuration: string): void {
    writeFileSync(this.file, `${configuration}\ncontrol: ${this.socket}\nmetrics: 127.0.0.1:9100\n`);
  }

  /** Gives it another configuration; what it says to that. */
  async change(configuration: string): Promise<{ readonly event: string; readonly what: string }> {
    this.write(configuration);
    this.stderr = '';
    const [pid = ''] = (await this.home.run('sh', ['-c', `pgrep -f 'router --config ${this.file}'`])).stdout.split(
      '\n',
    );
    process.kill(Number(pid), 'SIGHUP');
    await this.said(/\n$/);
    return JSON.parse(this.stderr) as { event: string; what: string };
  }

  async show(what: string, ...args: readonly string[]): Promise<Answer> {
    const command = ['--import=tsx', MAIN, 'show', what, ...args, '--socket', this.socket, '--json'];
    const { code, stdout, stderr } = await this.home.run(process.execPath, command);
    expect(code, stderr).to.equal(0);
    return JSON.parse(stdout) as Answer;
  }

  /** Follows packets: `began` once the router does, `end` gives what was said. */
  trace(filter: string): { readonly began: Promise<void>; readonly end: () => string } {
    const socket = connect(this.socket);
    let said = '';
    socket.setEncoding('utf8').on('data', (text: string) => (said += text));
    socket.write(`${JSON.stringify({ show: 'trace', filter })}\n`);
    return {
      // What it is asked later it answers later.
      began: this.show('interfaces').then(() => undefined),
      end: () => {
        socket.destroy();
        const answers = said
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as Answer);
        return answers.map((answer) => ('text' in answer ? `${answer.hook}: ${answer.text}` : '')).join('');
      },
    };
  }

  async rows(what: string): Promise<readonly Readonly<Record<string, string | number>>[]> {
    const answer = await this.show(what);
    return 'rows' in answer ? answer.rows : [];
  }

  async end(): Promise<number | null> {
    const closed = once(this.child, 'close') as Promise<[number | null]>;
    this.child.kill('SIGTERM');
    return (await closed)[0];
  }

  private async said(what: RegExp): Promise<void> {
    while (!what.test(this.stderr)) {
      if (this.child.exitCode !== null) throw new Error(`the router ended: ${this.stderr}`);
      await Promise.race([
        once(this.child.stderr as NonNullable<ChildProcess['stderr']>, 'data'),
        once(this.child, 'exit'),
      ]);
    }
  }

  /** Gives the other end of a device to a namespace. */
  private place(namespace: Namespace, device: string, network: number): void {
    this.home.ip('link', 'set', device, 'netns', namespace.name);
    namespace.ip('addr', 'add', `10.${network}.0.2/24`, 'dev', device);
    namespace.ip('-6', 'addr', 'add', `fd0${network}::2/64`, 'dev', device, 'nodad');
    namespace.ip('link', 'set', device, 'up');
    namespace.ip('route', 'add', 'default', 'via', `10.${network}.0.1`);
    namespace.ip('-6', 'route', 'add', 'default', 'via', `fd0${network}::1`);
  }
}

/** Serves as many zeros as are asked for by the port, slowly if it is to last. */
function serveZeros(server: Namespace, port: number, bytes: number): void {
  server.start('socat', [`TCP6-LISTEN:${port},reuseaddr,fork,ipv6-v6only=0`, `SYSTEM:head -c ${bytes} /dev/zero`]);
}

/** Waits until a namespace has a TCP socket as `ss` is asked for. */
async function hasSocket(namespace: Namespace, ...asked: readonly string[]): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if ((await namespace.run('ss', ['-Htn', ...asked])).stdout !== '') return;
  }
  throw new Error(`no socket: ${asked.join(' ')}`);
}

function listens(server: Namespace, port: number): Promise<void> {
  return hasSocket(server, '-l', `sport = :${port}`);
}

/** Reads all that a server has, not too fast, and says how much it was, with its sha256. */
const SLOW_READER = `
import hashlib, socket, sys, time
connection, digest, length = socket.create_connection((sys.argv[1], int(sys.argv[2]))), hashlib.sha256(), 0
while data := connection.recv(65536):
    digest.update(data)
    length += len(data)
    time.sleep(0.002)
print(length, digest.hexdigest())
`;

describeNetns('rx-netstack router', (netns) => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rx-router-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('takes packets of both versions further, tells what it knows, and leaves nothing behind', async function () {
    this.timeout(60_000);
    const running = await RouterProcess.start(
      netns,
      directory,
      routed('routes: [{ to: 10.9.0.0/16, type: unreachable }]', rules(80)),
    );
    const { client, home } = running;
    for (const to of ['10.2.0.2', 'fd02::2']) {
      const ping = await client.run('ping', ['-c', '3', '-i', '0.1', '-W', '2', to]);
      expect(ping.stdout).to.contain(' 0% packet loss');
    }
    expect((await client.run('ping', ['-c', '1', '-W', '2', '10.9.0.1'])).stdout).to.contain('Unreachable');

    const interfaces = await running.rows('interfaces');
    expect(interfaces.map(({ name, kind }) => `${name} ${kind}`)).to.deep.equal(['lan tap', 'wan tap']);
    expect(interfaces[0]?.['forwarded in']).to.be.at.least(6);
    const routes = await running.rows('routes');
    expect(routes).to.deep.include({
      table: 'main',
      destination: '10.9.0.0/16',
      type: 'unreachable',
      via: '',
      device: '',
      metric: 0,
      weight: 1,
    });
    expect((await running.rows('flows')).map(({ flow }) => flow).join()).to.contain('10.1.0.2 > 10.2.0.2');
    expect((await running.rows('neighbours')).map(({ address }) => address)).to.include.members([
      '10.1.0.2',
      '10.2.0.2',
    ]);
    expect((await running.rows('drops')).map(({ reason }) => reason)).to.include('route-unreachable');
    expect((await running.rows('policy')).map(({ does }) => does)).to.deep.equal(['table main', 'table main']);
    const byRule = await running.rows('rules');
    expect(byRule.find(({ rule }) => rule === 2)?.['packets']).to.be.at.least(2);
    const stages = (await running.rows('counters')).map(({ hook, stage }) => `${hook} ${stage}`);
    expect(stages).to.deep.equal([
      'prerouting conntrack',
      'input confirm',
      'forward firewall',
      'output conntrack',
      'postrouting confirm',
    ]);
    expect(await running.rows('nat')).to.deep.equal([]);
    expect(await running.show('config'))
      .to.have.property('configuration')
      .that.contains('clampMss: true');

    const metrics = (await home.run('curl', ['-s', 'http://127.0.0.1:9100/metrics'])).stdout;
    for (const line of metrics.split('\n'))
      expect(line).to.match(/^(# (HELP|TYPE) rx_netstack_\w+ .+|rx_netstack_\w+(\{.+\})? \d+|)$/);
    expect(metrics).to.match(/^rx_netstack_dropped_packets_total\{reason="route-unreachable"\} [1-9]/m);
    expect(metrics).to.match(/^rx_netstack_device_packets_total\{device="lan",direction="received"\} [1-9]/m);
    expect(statSync(running.socket).mode & 0o777).to.equal(0o600);

    expect(await running.end()).to.equal(0);
    expect(existsSync(running.socket)).to.equal(false);
    expect(() => client.ip('link', 'show', 'lan')).to.throw('does not exist');
  });

  it('goes by other rules on SIGHUP while a transfer runs, and by the old ones where the new ones are wrong', async function () {
    this.timeout(60_000);
    const running = await RouterProcess.start(netns, directory, routed(rules(8080)));
    const { client, server } = running;
    serveZeros(server, 8080, 20 * MEBIBYTE);
    serveZeros(server, 8081, MEBIBYTE);
    await Promise.all([listens(server, 8080), listens(server, 8081)]);
    const open = (port: number) =>
      client.run('socat', ['-u', `TCP:10.2.0.2:${port},connect-timeout=1`, 'OPEN:/dev/null'], { timeout: 5000 });
    expect((await open(8081)).code).not.to.equal(0);

    const slow = client.run('python3', ['-c', SLOW_READER, '10.2.0.2', '8080'], { timeout: 40_000 });
    await hasSocket(client, 'state', 'established', 'dport = :8080');

    expect(await running.change(routed(rules(8081)))).to.deep.include({ event: 'changed' });
    expect((await open(8081)).code).to.equal(0);
    expect((await open(8080)).code).not.to.equal(0);

    const refusedRules = await running.change(routed(rules(99_999)));
    expect(refusedRules.event).to.equal('unchanged');
    expect(refusedRules.what).to.match(/router\.yaml:\d+:\d+: firewall: /);
    const refusedDevices = await running.change(routed(rules(8081)).replace('clampMss: true', 'mtu: 1400'));
    expect(refusedDevices).to.deep.include({ event: 'unchanged' });
    expect(refusedDevices.what).to.contain('device lan');
    expect((await open(8081)).code).to.equal(0);

    // Zeros, all of them: nothing of the flow that began under the old rules was lost.
    expect((await slow).stdout).to.equal(
      `${20 * MEBIBYTE} cd52d81e25f372e6fa4db2c0dfceb59862c1969cab17096da352b34950c973cc\n`,
    );
    expect(await running.end()).to.equal(0);
  });

  it('hides hosts behind its address, gives them theirs, and shows the way of packets', async function () {
    this.timeout(60_000);
    const lease = 'dhcp: { first: 10.1.0.100, last: 10.1.0.110 }';
    const more = [
      'nat: { masquerade: [{ out: wan }], forward: [{ on: wan, protocol: tcp, ports: 8080, to: 10.1.0.2, toPort: 80 }] }',
    ];
    const running = await RouterProcess.start(netns, directory, routed(...more).replace('clampMss: true', lease));
    const { client, server } = running;
    const leased = await client.run('udhcpc', ['-i', 'lan', '-n', '-q', '-f', '-s', '/bin/true', '-t', '3', '-T', '1']);
    expect(leased.stdout + leased.stderr).to.match(/lease of 10\.1\.0\.1(0\d|10) obtained/);
    // The server knows no way to the network inside.
    server.ip('route', 'del', 'default');
    const tracing = running.trace('icmp and host 10.1.0.2');
    await tracing.began;
    expect((await client.run('ping', ['-c', '3', '-i', '0.1', '-W', '2', '10.2.0.2'])).stdout).to.contain(
      ' 0% packet loss',
    );
    expect((await running.rows('nat')).map(({ internal }) => internal).join()).to.contain('10.1.0.2');
    client.start('socat', ['TCP-LISTEN:80,reuseaddr,fork', 'SYSTEM:echo inside']);
    await listens(client, 80);
    const through = await server.run('socat', ['-u', 'TCP:10.2.0.1:8080', 'STDOUT'], { timeout: 5000 });
    expect(through.stdout).to.equal('inside\n');
    const traced = tracing.end();
    expect(traced).to.match(/^prerouting: .* icmp echo_request .* from 10\.1\.0\.2 to 10\.2\.0\.2/m);
    expect(traced).to.match(/^postrouting: (?:.*\n)+? {2}nat +passed +.* -> /m);
    expect(await running.end()).to.equal(0);
  });

  it('advertises what it is told to, for a short time, too', async function () {
    this.timeout(60_000);
    const wanted = "advertise: { lifetime: 9, dns: ['fd01::53'], search: [home.arpa] }";
    const running = await RouterProcess.start(netns, directory, routed().replace('clampMss: true', wanted));
    const { client } = running;
    const sniffed = client.run('tcpdump', ['-i', 'lan', '-c', '2', '-vv', '-n', 'icmp6 and ip6[40] == 134']);
    const told = (await sniffed).stdout;
    expect(told).to.match(/router lifetime 9s/);
    expect(told).to.match(/rdnss option .*addr: fd01::53/);
    expect(told).to.match(/dnssl option .*home\.arpa/);
    expect(told).to.match(/prefix info option .*fd01::\/64/);
    expect(await running.end()).to.equal(0);
  });

  it('is no router to its neighbours any more once it takes nothing of theirs further', async function () {
    this.timeout(60_000);
    const wanted = (forwarding: boolean) =>
      routed().replace('clampMss: true', `advertise: { lifetime: 9 }, forwarding: ${forwarding}`);
    const running = await RouterProcess.start(netns, directory, wanted(true));
    const { client } = running;
    const isRouter = () => client.ip('-6', 'route', 'show', 'default').includes('proto ra');
    for (const is of [true, false, true]) {
      expect(await running.change(wanted(is))).to.deep.include({ event: 'changed' });
      // What is not said to end goes on for 5 seconds at least.
      await until(() => isRouter() === is, is ? 10_000 : 4000);
    }
    expect(await running.end()).to.equal(0);
  });

  it('says what is wrong with a configuration', async () => {
    const file = join(directory, 'wrong.yaml');
    writeFileSync(file, 'devices: { lan: { mtu: 1 } }\n');
    const { code, stderr } = await netns.namespace.run(process.execPath, [
      '--import=tsx',
      MAIN,
      'router',
      '--check',
      '-c',
      file,
    ]);
    expect(code).to.equal(1);
    expect(stderr).to.equal(
      `rx-netstack router: ${file}:1:24: devices.lan.mtu: expected an MTU: a whole number from 576 to 65521\n`,
    );
  });
});
