/**
 * A router of ours with a translator between a kernel that has IPv6 alone and one that has IPv4 alone.
 *
 *     client (IPv6) --TAP-- us --TAP-- server (IPv4)
 */

import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { asyncScheduler, merge, type Subscription } from 'rxjs';
import { nat64Device, type Nat64Device } from '../../drivers/translator.js';
import type { TunOptions } from '../../drivers/tun.js';
import type { Device } from '../../lib/core/device.js';
import { FramePool } from '../../lib/core/frame.js';
import type { Nat64Forward } from '../../lib/l4/nat64/nat64.js';
import { router } from '../../operators/stack/router.js';
import { toDevices } from '../../operators/stack/to-devices.js';
import { environment } from '../../operators/time/environment.js';
import { TimerWheel } from '../../operators/time/timer-wheel.js';
import { describeNetns, type Namespace, type Netns } from './namespace.js';

const PREFIX = '64:ff9b:1::/96';
const POOL = '192.0.2.64';
/** The server, 10.2.0.2, as the client knows it. */
const SERVER = '64:ff9b:1::a02:2';
const LENGTH = 8_000_000;
const DATA = Buffer.alloc(LENGTH, 'from one version to the other, ');

/** Options of {@link LiveNat64}. */
interface LiveOptions {
  readonly driver?: Pick<TunOptions, 'offload' | 'coalesce'>;
  readonly serverMtu?: number;
  readonly forwards?: readonly Nat64Forward[];
}

/** A client, a server, and us between them. */
class LiveNat64 {
  readonly timers: TimerWheel = new TimerWheel(asyncScheduler);
  readonly env = environment({ scheduler: this.timers, pool: new FramePool({ poison: true }) });
  readonly client: Namespace;
  readonly server: Namespace;
  readonly translator: Nat64Device;
  private readonly devices: readonly Device[];
  private readonly subscription: Subscription;

  constructor(netns: Netns, { driver = {}, serverMtu = 1500, forwards = [] }: LiveOptions = {}) {
    this.client = netns.namespace;
    this.server = netns.make('server');
    const { env } = this;
    const left = this.client.openTap({ ...driver, name: 'tap0', mac: '02:77:00:00:00:01', peer: ['fd01::2/64'] }, env);
    const right = this.server.openTap(
      { ...driver, name: 'tap0', mac: '02:77:00:00:00:02', mtu: serverMtu, peer: ['10.2.0.2/24'] },
      env,
    );
    this.client.ip('route', 'add', 'default', 'via', 'fd01::1');
    this.server.ip('route', 'add', 'default', 'via', '10.2.0.1');
    const device = nat64Device({ prefix: PREFIX, pool: [POOL], forwards, defer: queueMicrotask }, env);
    this.translator = device;
    this.devices = [left, right, device];
    const me = router(
      {
        interfaces: [
          { device: left, addresses: ['fd01::1/64'] },
          { device: right, addresses: ['10.2.0.1/24'] },
          { device },
        ],
        routes: [
          { destination: PREFIX, device },
          { destination: `${POOL}/32`, device },
        ],
      },
      env,
    );
    const frames$ = merge(left.frames$, right.frames$, device.frames$);
    this.subscription = frames$.pipe(me).subscribe(toDevices(left, right, device));
  }

  /** Serves a body by HTTP, and echoes datagrams, in a namespace. */
  async serve(namespace: Namespace, address: string): Promise<void> {
    const body = `Buffer.alloc(${LENGTH}, 'from one version to the other, ')`;
    const http = `http.createServer((q, r) => q.method === 'GET' ? r.end(body) : q.pipe(crypto.createHash('sha256')).setEncoding('hex').pipe(r))`;
    const udp = `const s = dgram.createSocket('${address.includes(':') ? 'udp6' : 'udp4'}'); s.on('message', (m, { port, address }) => s.send(m, port, address)); s.bind(7, '${address}')`;
    const script = `const body = ${body}; ${http}.listen(80, '${address}', () => console.log('ready')); ${udp};`;
    // It ends with its namespace.
    const served = namespace.sh(`exec node -e "${script}" > /tmp/${namespace.name} 2>&1`, { timeout: 60_000 });
    served.catch(() => undefined);
    const { code } = await namespace.sh(
      `for i in $(seq 100); do grep -q ready /tmp/${namespace.name} && exit 0; sleep 0.05; done; exit 1`,
    );
    await namespace.sh(`rm -f /tmp/${namespace.name}`);
    expect(code, 'the server').to.equal(0);
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

/** Sends a datagram of each size and prints the sizes of the answers. */
const asker = (address: string, port: number, sizes: readonly number[]): string => `
  const dgram = require('dgram');
  const s = dgram.createSocket('${address.includes(':') ? 'udp6' : 'udp4'}');
  const sizes = ${JSON.stringify(sizes)};
  const got = [];
  s.on('message', (m) => { got.push(m.length); if (got.length === sizes.length) { console.log(got.join(' ')); s.close(); } });
  let i = 0;
  const next = () => { if (i < sizes.length) { s.send(Buffer.alloc(sizes[i++], 1), ${port}, '${address}'); setTimeout(next, 20); } };
  next();
  setTimeout(() => process.exit(1), 5000).unref();
`;

describeNetns('NAT64 between kernels', (netns) => {
  const digest = createHash('sha256').update(DATA).digest('hex');

  it('takes pings, small and in fragments of IPv4', async function () {
    this.timeout(30_000);
    const live = new LiveNat64(netns);
    const small = await live.client.run('ping', ['-c', '20', '-i', '0.1', '-W', '1', SERVER]);
    expect(small.stdout).to.match(/20 received, 0% packet loss/);
    expect(small.stdout).to.contain('ttl=62');
    const big = await live.client.run('ping', ['-c', '5', '-i', '0.1', '-W', '1', '-s', '1400', SERVER]);
    expect(big.stdout).to.match(/5 received, 0% packet loss/);
    await live.close();
  });

  for (const [title, options] of [
    ['', {}],
    [', with offloads of the devices', { driver: { offload: true } }],
    [', over a smaller link', { serverMtu: 1380 }],
  ] as const) {
    it(`takes what curl asks for, to the byte${title}`, async function () {
      this.timeout(60_000);
      const live = new LiveNat64(netns, options);
      await live.serve(live.server, '0.0.0.0');
      const get = await live.client.sh(
        `set -o pipefail; curl -sS --fail --max-time 20 'http://[${SERVER}]/' | sha256sum`,
        { timeout: 25_000 },
      );
      expect(get.stdout.slice(0, 64), get.stderr).to.equal(digest);
      const put = await live.client.sh(
        `head -c ${LENGTH} /dev/zero | tee >(sha256sum >&2) | curl -sS --fail --max-time 20 -X POST -H 'Expect:' --data-binary @- 'http://[${SERVER}]/'`,
        { timeout: 25_000 },
      );
      expect(put.stdout.slice(0, 64)).to.equal(createHash('sha256').update(Buffer.alloc(LENGTH)).digest('hex'));
      await live.close();
    });
  }

  it('takes datagrams, those that IPv4 fragments too', async function () {
    this.timeout(30_000);
    const live = new LiveNat64(netns);
    await live.serve(live.server, '0.0.0.0');
    const { stdout, stderr } = await live.client.run('node', ['-e', asker(SERVER, 7, [1, 100, 1232, 1400, 1452])], {
      timeout: 8000,
    });
    expect(stdout.trim(), stderr).to.equal('1 100 1232 1400 1452');
    expect(live.translator.list().map(({ protocol }) => protocol)).to.deep.equal(['udp']);
    await live.close();
  });

  it('brings IPv4 to a port of a host of IPv6', async function () {
    this.timeout(60_000);
    const to = { address: 'fd01::2', port: 80 };
    const live = new LiveNat64(netns, { forwards: [{ protocol: 'tcp', port: 8080, to }] });
    await live.serve(live.client, '::');
    const get = await live.server.sh(
      `set -o pipefail; curl -sS --fail --max-time 20 http://${POOL}:8080/ | sha256sum`,
      { timeout: 25_000 },
    );
    expect(get.stdout.slice(0, 64), get.stderr).to.equal(digest);
    const { code } = await live.server.sh(`curl -sS --max-time 2 http://${POOL}:8081/`);
    expect(code).to.not.equal(0);
    await live.close();
  });

  it('is seen on the way, in either version', async function () {
    this.timeout(30_000);
    const live = new LiveNat64(netns);
    for (const [hops, from] of [
      [1, 'fd01::1'],
      [2, '64:ff9b:1::a02:1'],
    ] as const) {
      const { stdout } = await live.client.run('ping', ['-n', '-c', '1', '-W', '1', '-t', `${hops}`, SERVER]);
      expect(stdout.toLowerCase()).to.contain(`from ${from} icmp_seq=1 time exceeded`);
    }
    await live.close();
  });
});
