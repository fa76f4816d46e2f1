/**
 * The same rules in nftables and in a firewall of ours, each in a router between two namespaces: the same connections get through.
 *
 *     client --- the kernel with nft, or us --- server
 */

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { asyncScheduler, merge } from 'rxjs';
import { FramePool } from '../../lib/core/frame.js';
import { conntrack } from '../../operators/filter/conntrack.js';
import { firewall } from '../../operators/filter/firewall.js';
import { type Router, router } from '../../operators/stack/router.js';
import { toDevices } from '../../operators/stack/to-devices.js';
import { environment } from '../../operators/time/environment.js';
import { TimerWheel } from '../../operators/time/timer-wheel.js';
import type { Came, Try } from './connections.js';
import { RULE_FILES, type RuleFile } from './firewall-rules.js';
import { describeNetns, type Namespace, type Netns } from './namespace.js';

const PROGRAM = fileURLToPath(new URL('connections.ts', import.meta.url));
const TSX = import.meta.resolve('tsx');
const PORTS = [22, 53, 80, 443, 5000];
const CLIENTS = { 4: ['10.1.0.2', '10.1.0.3'], 6: ['fd01::2', 'fd01::3'] } as const;
const SERVER = { 4: '10.2.0.2', 6: 'fd02::2' } as const;

/** Everything that the client tries, in order. */
const FROM_CLIENT: readonly Try[] = [4, 6].flatMap((version) => {
  const of = version as 4 | 6;
  const to = SERVER[of];
  return CLIENTS[of].flatMap((from): Try[] => [
    ...PORTS.flatMap((port): Try[] => [
      { kind: 'tcp', to, port, from },
      { kind: 'udp', to, port, from },
    ]),
    ...[80, 80, 443, 443].map((port): Try => ({ kind: 'tcp', to, port, from })),
    { kind: 'tcp', to, port: 81, from },
    { kind: 'udp', to, port: 54, from },
    { kind: 'ping', to, port: 0, from },
    { kind: 'ping', to, port: 0, from, size: 1200 },
    { kind: 'ping', to, port: 0, from, size: 3000 },
    { kind: 'ping', to, port: 0, from, ttl: 10 },
    { kind: 'ping', to, port: 0, from, ttl: 20 },
  ]);
});

/** What the server tries of the client, which has the same services. */
const FROM_SERVER: readonly Try[] = [...CLIENTS[4], ...CLIENTS[6]].flatMap((to): Try[] => [
  { kind: 'tcp', to, port: 22 },
  { kind: 'tcp', to, port: 443 },
  { kind: 'udp', to, port: 53 },
  { kind: 'ping', to, port: 0 },
]);

/** Why there is nothing to compare with, or `undefined`. */
function whyNoNft(): string | undefined {
  try {
    execFileSync('nft', ['list', 'tables'], { stdio: 'pipe', timeout: 5000 });
  } catch (error) {
    return `needs nft, and a kernel with nf_tables: ${String(error).split('\n')[0]}`;
  }
  return undefined;
}

/** Two hosts of the kernel. */
interface Hosts {
  readonly client: Namespace;
  readonly server: Namespace;
}

/** Addresses beyond the first, routes, and services. */
async function furnish({ client, server }: Hosts): Promise<void> {
  for (const address of ['10.1.0.3/24', 'fd01::3/64']) client.ip('address', 'add', address, 'dev', 'cli0');
  for (const [namespace, network] of [
    [client, 1],
    [server, 2],
  ] as const) {
    namespace.ip('route', 'add', 'default', 'via', `10.${network}.0.1`);
    namespace.ip('route', 'add', 'default', 'via', `fd0${network}::1`);
    const child = namespace.start(process.execPath, [`--import=${TSX}`, PROGRAM, 'serve', ...PORTS.map(String)]);
    if (child.stdout !== null) await once(child.stdout, 'data');
  }
}

async function tryFrom(namespace: Namespace, tries: readonly Try[]): Promise<readonly Came[]> {
  const args = [`--import=${TSX}`, PROGRAM, 'try', JSON.stringify(tries)];
  const ran = await namespace.run(process.execPath, args, { timeout: 30_000 });
  expect(ran.stderr).to.equal('');
  return JSON.parse(ran.stdout) as Came[];
}

/** What got through, one line a try. */
async function tryAll({ client, server }: Hosts): Promise<readonly string[]> {
  const lines = (who: string, tries: readonly Try[], came: readonly Came[]) =>
    tries.map(({ kind, from = who, to, port, size, ttl }, i) => {
      const more = [size === undefined ? '' : ` (${size})`, ttl === undefined ? '' : ` ttl ${ttl}`].join('');
      return `${i}: ${kind} ${from} > ${to}.${port}${more}: ${came[i]}`;
    });
  const there = lines('client', FROM_CLIENT, await tryFrom(client, FROM_CLIENT));
  return [...there, ...lines('server', FROM_SERVER, await tryFrom(server, FROM_SERVER))];
}

/** A router of the kernel, with the rules in nftables. */
async function byKernel(netns: Netns, { text }: RuleFile): Promise<readonly string[]> {
  const hosts = { client: netns.make('kc'), server: netns.make('ks') };
  const between = netns.make('kr');
  for (const [namespace, name, network] of [
    [hosts.client, 'cli0', 1],
    [hosts.server, 'srv0', 2],
  ] as const) {
    between.ip('link', 'add', name, 'type', 'veth', 'peer', 'name', name, 'netns', namespace.name);
    for (const [end, last] of [
      [between, 1],
      [namespace, 2],
    ] as const) {
      end.ip('address', 'add', `10.${network}.0.${last}/24`, 'dev', name);
      end.ip('address', 'add', `fd0${network}::${last}/64`, 'dev', name, 'nodad');
      end.ip('link', 'set', name, 'up');
    }
  }
  for (const key of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']) between.sysctl(key, 1);
  // Every rejection is told of.
  for (const key of ['net.ipv4.icmp_ratelimit', 'net.ipv6.icmp.ratelimit']) between.sysctl(key, 0);
  const loaded = await between.run('nft', ['-f', '-'], { input: text });
  expect(loaded.stderr).to.equal('');
  await furnish(hosts);
  return tryAll(hosts);
}

/** A router of ours, with the rules in a firewall. */
function ourRouter(netns: Netns, text: string, defragment: boolean) {
  const hosts = { client: netns.make('c'), server: netns.make('s') };
  const timers = new TimerWheel(asyncScheduler);
  const env = environment({ scheduler: timers, pool: new FramePool({ poison: true }) });
  const devices = [
    hosts.client.openTap({ name: 'cli0', peer: ['10.1.0.2/24', 'fd01::2/64'] }, env),
    hosts.server.openTap({ name: 'srv0', peer: ['10.2.0.2/24', 'fd02::2/64'] }, env),
  ];
  const tracking = conntrack({}, env);
  const wall = firewall(text, { errors: { about: (...about) => me.icmpErrors.about(...about) } }, env);
  const me: Router = router(
    {
      interfaces: devices.map((device, i) => ({ device, addresses: [`10.${i + 1}.0.1/24`, `fd0${i + 1}::1/64`] })),
      icmpErrors: { rate: 10_000, burst: 1_000 },
      hooks: { prerouting: tracking, forward: wall, postrouting: tracking.confirm },
      replies: [wall.replies$],
      defragment,
    },
    env,
  );
  const subscription = merge(...devices.map(({ frames$ }) => frames$))
    .pipe(me)
    .subscribe(toDevices(...devices));
  /** Stops everything, and holds that nothing is left. */
  const close = async (): Promise<void> => {
    subscription.unsubscribe();
    tracking.dispose();
    for (const device of devices) await device.close();
    expect(env.pool.outstanding, 'frames').to.equal(0);
    expect(timers.pending, 'timers').to.equal(0);
  };
  return { hosts, env, wall, close };
}

async function byUs(netns: Netns, { text, pieces }: RuleFile): Promise<readonly string[]> {
  const { hosts, close } = ourRouter(netns, text, !pieces);
  await furnish(hosts);
  const lines = await tryAll(hosts);
  await close();
  return lines;
}

const why = whyNoNft();
if (why !== undefined) console.warn(`SKIPPED: rules as nftables keeps them: ${why}`);

describeNetns('rules as nftables keeps them', (netns) => {
  for (const file of RULE_FILES) {
    it(file.name, async function () {
      this.timeout(120_000);
      if (why !== undefined) this.skip();
      const [kernel, ours] = await Promise.all([byKernel(netns, file), byUs(netns, file)]);
      // Rules that let through all or nothing compare nothing.
      expect(kernel.some((line) => line.endsWith(': open'))).to.equal(true);
      expect(kernel.some((line) => !line.endsWith(': open'))).to.equal(true);
      expect(ours).to.deep.equal(kernel);
    });
  }
});

describeNetns('rules that are replaced under traffic', (netns) => {
  it('lose nothing of what both allow', async function () {
    this.timeout(60_000);
    const { hosts, env, wall, close } = ourRouter(
      netns,
      'ct state established accept; tcp dport 80 accept; drop',
      true,
    );
    await furnish(hosts);
    let replaced = 0;
    const rules = (i: number) =>
      `ip saddr 192.168.0.${i % 256} drop; ct state established accept; tcp dport ${i % 2 === 0 ? 80 : '{ 80, 81 }'} accept; drop`;
    const timer = setInterval(() => wall.replace(rules(replaced++)), 2);
    const bytes = 20_000_000;
    const there = `head -c ${bytes} /dev/urandom | tee >(sha256sum >&2) | socat -t 20 - TCP:10.2.0.2:80 | sha256sum`;
    const ran = await hosts.client.sh(there, { timeout: 40_000 });
    clearInterval(timer);
    const [sent = 'nothing', came] = [ran.stderr, ran.stdout].map((text) => /[0-9a-f]{64}/.exec(text)?.[0]);
    expect(came).to.equal(sent);
    expect(replaced).to.be.greaterThan(20);
    expect(env.drops.toJSON()).to.not.have.any.keys('filtered', 'filter-rejected', 'callback-threw');
    await close();
  });
});
