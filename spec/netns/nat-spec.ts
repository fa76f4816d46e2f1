/**
 * Translators of ours between namespaces of the kernel.
 *
 *     inside --TAP-- us --TAP-- outside --veth-- far
 *
 * Nobody outside knows a way to the inside: what comes back was translated.
 */

import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { expect } from 'chai';
import { asyncScheduler, merge, type Subscription } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import { FramePool } from '../../lib/core/frame.js';
import type { NatOptions } from '../../lib/l4/nat/options.js';
import type { NatRule } from '../../lib/l4/nat/rules.js';
import { conntrack } from '../../operators/filter/conntrack.js';
import { type Nat, nat } from '../../operators/l3/nat.js';
import { router } from '../../operators/stack/router.js';
import { toDevices } from '../../operators/stack/to-devices.js';
import { environment } from '../../operators/time/environment.js';
import { TimerWheel } from '../../operators/time/timer-wheel.js';
import { until } from '../until.js';
import { describeNetns, type Namespace, type Netns } from './namespace.js';

/** What stands around a translator. */
interface BoxOptions extends NatOptions {
  readonly inside: Namespace;
  readonly outside: Namespace;
  /** Number of the box, by which its devices and the addresses outside are told apart. */
  readonly number?: number;
  readonly rules?: readonly NatRule[];
}

const MASQUERADE: NatRule = { kind: 'masquerade', out: 'wan1' };

/** A home router: 10.1.0.1/16 inside, 198.51.NUMBER.1/24 outside, whose router is 198.51.NUMBER.254. */
class Box {
  readonly timers: TimerWheel = new TimerWheel(asyncScheduler);
  readonly env = environment({ scheduler: this.timers, pool: new FramePool({ poison: true }) });
  readonly nat: Nat;
  private readonly devices: readonly Device[];
  private readonly subscription: Subscription;

  constructor({ inside, outside, number = 1, rules = [MASQUERADE], ...options }: BoxOptions) {
    const { env } = this;
    const lan = inside.openTap(
      { name: `lan${number}`, mac: `02:77:00:00:0${number}:01`, peer: ['10.1.0.2/16', `fd01::2/64`] },
      env,
    );
    const wan = outside.openTap(
      {
        name: `wan${number}`,
        mac: `02:77:00:00:0${number}:02`,
        peer: [`198.51.${number}.254/24`, `2001:db8:${number}::fe/64`],
      },
      env,
    );
    inside.ip('route', 'add', 'default', 'via', '10.1.0.1');
    inside.ip('route', 'add', 'default', 'via', 'fd01::1');
    this.nat = nat(rules, { tables: () => me.tables, ...options }, env);
    const { prerouting, postrouting, replies$ } = this.nat;
    // What was in the way of nothing else would be no test of it.
    const tracking = conntrack({ invalid: 'drop' }, env);
    const me = router(
      {
        interfaces: [
          { device: lan, addresses: ['10.1.0.1/16', 'fd01::1/64'] },
          { device: wan, addresses: [`198.51.${number}.1/24`, `2001:db8:${number}::1/64`] },
        ],
        gateway: [`198.51.${number}.254`, `2001:db8:${number}::fe`],
        hooks: { prerouting: [prerouting, tracking], postrouting: [tracking.confirm, postrouting] },
        replies: [replies$],
      },
      env,
    );
    this.devices = [lan, wan];
    this.subscription = merge(lan.frames$, wan.frames$).pipe(me).subscribe(toDevices(lan, wan));
    this.subscription.add(() => tracking.dispose());
  }

  /** Stops everything, and holds that nothing is left. */
  async close(): Promise<void> {
    this.subscription.unsubscribe();
    for (const device of this.devices) await device.close();
    expect(this.timers.pending, 'timers').to.equal(0);
    expect(this.env.pool.outstanding, 'frames').to.equal(0);
    expect(this.env.drops.toJSON()['callback-threw'], 'exceptions').to.equal(undefined);
  }
}

/** Bytes that a number determines. */
const bytesOf = (seed: number, length: number): Buffer =>
  createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16, seed & 0xff)).update(
    Buffer.alloc(length, seed >>> 8),
  );
const LENGTH = 20_000;
const CLIENTS = 500;

/** A server in Node: whoever sends a number and a newline gets its bytes. Says who they were on a line each. */
const SERVER = `
const { createCipheriv } = require('node:crypto');
require('node:net').createServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', (data) => {
    const seed = Number(data.toString());
    console.log(socket.remoteAddress);
    socket.end(createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16, seed & 255)).update(Buffer.alloc(${LENGTH}, seed >>> 8)));
  });
}).listen(Number(process.argv[1]), () => console.log('listening'));
`;

/** A client in Node: fetches the bytes of each number from the server, each from a source address of its own, and prints their digests. */
const CLIENT = `
const { createHash } = require('node:crypto');
const [host, port, count, bind] = process.argv.slice(1);
let next = 0;
function one() {
  const seed = next++;
  if (seed >= Number(count)) return;
  const digest = createHash('sha256');
  const localAddress = bind === 'bind' ? '10.1.' + (1 + Math.floor(seed / 250)) + '.' + (1 + (seed % 250)) : undefined;
  const socket = require('node:net').connect({ host, port: Number(port), localAddress }, () => socket.write(seed + '\\n'));
  socket.on('data', (data) => digest.update(data));
  socket.on('error', (error) => { console.log(seed, error.code); one(); });
  socket.on('end', () => { console.log(seed, digest.digest('hex')); one(); });
}
for (let i = 0; i < 50; i++) one();
`;

/** The digests that clients have to print. */
function expectDigests(stdout: string, count: number): void {
  const lines = stdout.trim().split('\n').sort();
  const expected = Array.from({ length: count }, (_, seed) => {
    return `${seed} ${createHash('sha256').update(bytesOf(seed, LENGTH)).digest('hex')}`;
  });
  expect(lines).to.deep.equal(expected.sort());
}

/** Starts a server; what it prints is gathered. */
async function serve(namespace: Namespace, port: number): Promise<() => string> {
  let printed = '';
  const child = namespace.start(process.execPath, ['-e', SERVER, `${port}`]);
  child.stdout?.on('data', (data: Buffer) => (printed += data.toString()));
  await until(() => printed.includes('listening'));
  return () => printed;
}

const fetchAll = (namespace: Namespace, host: string, port: number, count: number, bind = false) =>
  namespace.run(process.execPath, ['-e', CLIENT, host, `${port}`, `${count}`, bind ? 'bind' : ''], { timeout: 60_000 });

/** A namespace behind `outside`, 192.0.2.2, by a link of that MTU. */
function far(netns: Netns, outside: Namespace, mtu: number): Namespace {
  const beyond = netns.make('far');
  outside.sysctl('net.ipv4.ip_forward', 1);
  outside.ip('link', 'add', 'down0', 'mtu', `${mtu}`, 'type', 'veth', 'peer', 'name', 'up0', 'netns', beyond.name);
  outside.ip('address', 'add', '192.0.2.1/24', 'dev', 'down0');
  outside.ip('link', 'set', 'down0', 'up');
  beyond.ip('address', 'add', '192.0.2.2/24', 'dev', 'up0');
  beyond.ip('link', 'set', 'up0', 'mtu', `${mtu}`, 'up');
  beyond.ip('route', 'add', '198.51.0.0/16', 'via', '192.0.2.1');
  return beyond;
}

function hasProgram(...command: readonly [string, ...string[]]): boolean {
  try {
    execFileSync(command[0], command.slice(1), { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describeNetns('a translator of ours between kernels', (netns) => {
  it(`takes the connections of ${CLIENTS} hosts through one address, all bytes right`, async function () {
    this.timeout(90_000);
    const inside = netns.namespace;
    const outside = netns.make('outside');
    const box = new Box({ inside, outside });
    const addresses = Array.from({ length: CLIENTS }, (_, i) => {
      return `address add 10.1.${1 + Math.floor(i / 250)}.${1 + (i % 250)}/16 dev lan1\n`;
    });
    expect((await inside.run('ip', ['-batch', '-'], { input: addresses.join('') })).code).to.equal(0);
    const printed = await serve(outside, 8000);
    const { stdout } = await fetchAll(inside, '198.51.1.254', 8000, CLIENTS, true);
    expectDigests(stdout, CLIENTS);
    const seen = printed().trim().split('\n').slice(1);
    expect(seen).to.have.lengthOf(CLIENTS);
    expect(new Set(seen)).to.deep.equal(new Set(['::ffff:198.51.1.1']));
    expect(box.nat.stats()).to.include({ mappings: CLIENTS, hosts: CLIENTS });
    expect(box.nat.sessions().every(({ state }) => state === 'closing')).to.equal(true);
    await box.close();
  });

  it('takes pings of many hosts with the same identifier, fragments too', async function () {
    this.timeout(30_000);
    const inside = netns.namespace;
    const outside = netns.make('outside');
    const box = new Box({ inside, outside });
    inside.ip('address', 'add', '10.1.0.3/16', 'dev', 'lan1');
    for (const from of ['10.1.0.2', '10.1.0.3']) {
      for (const size of [56, 5000]) {
        const args = ['-c', '5', '-i', '0.1', '-W', '1', '-e', '77', '-I', from, '-s', `${size}`, '198.51.1.254'];
        expect((await inside.run('ping', args)).stdout).to.match(/5 received, 0% packet loss/);
      }
    }
    expect(box.nat.stats()).to.include({ mappings: 2 });
    await box.close();
  });

  it('lets the way be traced and its MTU be found through it', async function () {
    this.timeout(40_000);
    const inside = netns.namespace;
    const outside = netns.make('outside');
    const beyond = far(netns, outside, 1400);
    const box = new Box({ inside, outside });
    for (const [hops, from] of [
      [1, '10.1.0.1'],
      [2, '198.51.1.254'],
      [3, '192.0.2.2'],
    ] as const) {
      const { stdout } = await inside.run('ping', ['-n', '-c', '1', '-W', '1', '-t', `${hops}`, '192.0.2.2']);
      expect(stdout.toLowerCase()).to.match(
        new RegExp(`from ${from.replaceAll('.', '\\.')}:? icmp_seq=1 ${hops === 3 ? 'ttl=62' : 'time'}`),
      );
    }
    const trace = `
import socket, sys, struct
for hops in (1, 2, 3):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, 11, 1)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
    s.settimeout(2)
    s.connect(('192.0.2.2', 33434))
    s.send(b'trace')
    try: s.recv(100)
    except OSError as error: pass
    data, control, flags, address = s.recvmsg(100, 512, socket.MSG_ERRQUEUE)
    level, kind, what = control[0]
    print(hops, what[5], what[6], socket.inet_ntoa(what[20:24]), address[0])
`;
    if (hasProgram('python3', '--version')) {
      // Time exceeded is type 11, and a port unreachable type 3, code 3.
      expect((await inside.run('python3', ['-c', trace])).stdout.trim().split('\n')).to.deep.equal([
        '1 11 0 10.1.0.1 192.0.2.2',
        '2 11 0 198.51.1.254 192.0.2.2',
        '3 3 3 192.0.2.2 192.0.2.2',
      ]);
    }
    const big = ['-c', '3', '-i', '0.2', '-W', '1', '-M', 'do', '-s', '1472', '192.0.2.2'];
    const found = await inside.run('ping', big);
    expect(`${found.stdout}${found.stderr}`).to.match(/mtu ?= ?1400/);
    expect(inside.ip('route', 'get', '192.0.2.2')).to.contain('mtu 1400');
    await serve(beyond, 8000);
    inside.ip('route', 'flush', 'cache');
    expectDigests((await fetchAll(inside, '192.0.2.2', 8000, 10)).stdout, 10);
    await box.close();
  });

  it('forwards a port, from outside and by the external address from inside', async function () {
    this.timeout(40_000);
    const inside = netns.namespace;
    const outside = netns.make('outside');
    const server = netns.make('server');
    // A second host on our internal link, behind the first one's bridge.
    inside.ip('link', 'add', 'down0', 'type', 'veth', 'peer', 'name', 'up0', 'netns', server.name);
    const forward: NatRule = { kind: 'forward', protocol: 'tcp', ports: '8080-8089', to: '10.1.0.80', toPort: 8000 };
    const box = new Box({ inside, outside, rules: [MASQUERADE, forward] });
    inside.ip('link', 'add', 'br0', 'address', '02:77:00:00:01:99', 'type', 'bridge');
    inside.ip('address', 'flush', 'dev', 'lan1');
    for (const device of ['lan1', 'down0']) inside.ip('link', 'set', device, 'master', 'br0', 'up');
    inside.ip('address', 'add', '10.1.0.2/16', 'dev', 'br0');
    inside.ip('link', 'set', 'br0', 'up');
    inside.ip('route', 'add', 'default', 'via', '10.1.0.1');
    server.ip('address', 'add', '10.1.0.80/16', 'dev', 'up0');
    server.ip('link', 'set', 'up0', 'up');
    server.ip('route', 'add', 'default', 'via', '10.1.0.1');
    const printed = await serve(server, 8003);
    expectDigests((await fetchAll(outside, '198.51.1.1', 8083, 20)).stdout, 20);
    expect(printed()).to.contain('::ffff:198.51.1.254');
    expectDigests((await fetchAll(inside, '198.51.1.1', 8083, 20)).stdout, 20);
    expect(printed()).to.contain('::ffff:198.51.1.1\n');
    expect(printed()).to.not.contain('10.1.0.2');
    const refused = await fetchAll(outside, '198.51.1.1', 8084, 1);
    expect(refused.stdout).to.equal('0 ECONNREFUSED\n');
    await box.close();
  });

  it('lets two hosts behind two of them talk by UDP, whom a third one has introduced (hole punching)', async function () {
    this.timeout(40_000);
    const [a, b, outside] = [netns.namespace, netns.make('b'), netns.make('outside')];
    const boxes = [
      new Box({ inside: a, outside, number: 1 }),
      new Box({ inside: b, outside, number: 2, rules: [{ kind: 'masquerade', out: 'wan2' }] }),
    ];
    outside.sysctl('net.ipv4.ip_forward', 1);
    const introducer = `
const socket = require('node:dgram').createSocket('udp4');
const known = new Map();
socket.on('message', (message, from) => {
  known.set(message.toString(), from);
  const [a, b] = [known.get('a'), known.get('b')];
  if (a && b) for (const [to, of] of [[a, b], [b, a]]) socket.send(of.address + ' ' + of.port, to.port, to.address);
});
socket.bind(3478, '198.51.1.254', () => console.log('listening'));
`;
    const peer = `
const name = process.argv[1];
const socket = require('node:dgram').createSocket('udp4');
let other;
socket.on('message', (message, from) => {
  if (from.port === 3478) { const [address, port] = message.toString().split(' '); other = { address, port: Number(port) }; return; }
  console.log(message.toString() + ' from ' + from.address);
  socket.send('hello from ' + name, from.port, from.address, () => setTimeout(() => process.exit(0), 300));
});
setInterval(() => {
  if (other) socket.send('hello from ' + name, other.port, other.address);
  else socket.send(name, 3478, '198.51.1.254');
}, 50);
setTimeout(() => process.exit(1), 10000);
socket.bind(4000);
`;
    let ready = '';
    outside
      .start(process.execPath, ['-e', introducer])
      .stdout?.on('data', (data: Buffer) => (ready += data.toString()));
    await until(() => ready !== '');
    const met = await Promise.all([
      a.run(process.execPath, ['-e', peer, 'a'], { timeout: 15_000 }),
      b.run(process.execPath, ['-e', peer, 'b'], { timeout: 15_000 }),
    ]);
    expect(met.map(({ code }) => code)).to.deep.equal([0, 0]);
    expect(met[0].stdout).to.contain('hello from b from 198.51.2.1');
    expect(met[1].stdout).to.contain('hello from a from 198.51.1.1');
    for (const box of boxes) {
      expect(box.nat.stats()).to.include({ mappings: 1 });
      await box.close();
    }
  });

  it('translates IPv6 for those who want that', async function () {
    this.timeout(30_000);
    const inside = netns.namespace;
    const outside = netns.make('outside');
    const box = new Box({ inside, outside, rules: [{ kind: 'masquerade', out: 'wan1', version: 6 }] });
    const printed = await serve(outside, 8000);
    await until(() => box.nat.stats().mappings === 0);
    expectDigests((await fetchAll(inside, '2001:db8:1::fe', 8000, 10)).stdout, 10);
    expect(printed()).to.contain('2001:db8:1::1');
    const pings = await inside.run('ping', ['-6', '-c', '5', '-i', '0.1', '-W', '1', '2001:db8:1::fe']);
    expect(pings.stdout).to.match(/5 received, 0% packet loss/);
    await box.close();
  });

  it('carries iperf3 in both directions, TCP and UDP', async function () {
    if (!hasProgram('iperf3', '--version')) {
      console.warn('SKIPPED: iperf3 through NAT: it is not installed');
      return this.skip();
    }
    this.timeout(60_000);
    const inside = netns.namespace;
    const outside = netns.make('outside');
    const box = new Box({ inside, outside });
    outside.start('iperf3', ['-s']);
    await new Promise((resolve) => setTimeout(resolve, 500));
    for (const args of [[], ['-R'], ['-u', '-b', '20M']]) {
      const { stdout } = await inside.run('iperf3', ['-c', '198.51.1.254', '-t', '1', '-J', ...args], {
        timeout: 20_000,
      });
      const report = JSON.parse(stdout) as {
        readonly error?: string;
        readonly end: Readonly<Record<string, { readonly bits_per_second: number }>>;
      };
      expect(report.error).to.equal(undefined);
      const received = report.end['sum_received'] ?? report.end['sum'];
      expect(received?.bits_per_second).to.be.above(1e6);
    }
    return box.close();
  });
});
