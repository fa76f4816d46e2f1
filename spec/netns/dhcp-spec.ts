/** DHCP against other people's: dnsmasq leases us addresses, busybox's client takes ours. Time goes fast for us where it can. */

import { execFileSync, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Ipv4Address, type Ipv6Address } from '../../lib/core/address.js';
import { linkMtu } from '../../lib/l3/routes.js';
import { dhcpv4, type Dhcpv4Options, dhcpv4Server } from '../../operators/l7/dhcpv4.js';
import { dhcpv6, dhcpv6Information } from '../../operators/l7/dhcpv6.js';
import { fastClock, LiveHost, OUR_MAC } from './live-host.js';
import { until } from '../until.js';
import { describeNetns, type Namespace } from './namespace.js';

/** So much faster than the wall: dnsmasq gives leases of two minutes at least. */
const PACE = 40;

/** dnsmasq on the kernel's side of the TAP. */
class Dnsmasq {
  log = '';
  private readonly child: ChildProcess;

  constructor(namespace: Namespace, directory: string, ...options: string[]) {
    const leases = join(directory, 'leases');
    const basic = ['--no-daemon', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--bind-dynamic', '--no-ping'];
    const own = [
      '--interface=tap0',
      `--dhcp-leasefile=${leases}`,
      '--dhcp-authoritative',
      '--log-dhcp',
      '--log-facility=-',
    ];
    this.child = namespace.start('dnsmasq', [...basic, ...own, '--pid-file=', '--dhcp-sequential-ip', ...options]);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.log += text));
    }
  }

  ready(): Promise<void> {
    return until(() => /started/.test(this.log) && /DHCPv?6?, (IP range|sockets)/.test(this.log));
  }

  /** Has it read nothing for so many milliseconds. */
  async doze(milliseconds: number): Promise<void> {
    this.child.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    this.child.kill('SIGCONT');
  }

  /** How often it said that. */
  count(what: string): number {
    return this.log.split(what).length - 1;
  }

  /** In how many transactions it got a message of that type: one that is repeated, as its answer was late, keeps its number (RFC 8415 16.1). */
  transactions(type: string): number {
    const found = this.log.matchAll(new RegExp(`(\\d+) ${type}\\(tap0\\)`, 'g'));
    return new Set(Array.from(found, ([, number]) => number)).size;
  }
}

function isInstalled(command: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Skips the test, loudly, where a tool is missing. */
function needs(test: Mocha.Context, command: string): void {
  if (isInstalled(command)) return;
  console.warn(`SKIPPED: ${command} is not installed`);
  test.skip();
}

describeNetns('DHCP', (netns) => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rx-dhcp-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** A host without addresses, and its lease. */
  function lease(live: LiveHost, options: Partial<Dhcpv4Options> = {}) {
    const events: string[] = [];
    const subscription = dhcpv4(live.me, { device: live.device, resolver: live.me.dns, ...options }).subscribe(
      (event) => {
        const address = event.kind === 'link-local' ? event.address : event.lease?.address;
        events.push(`${event.kind} ${address?.toString() ?? ''}`.trim());
      },
    );
    return { events, subscription };
  }

  it('dnsmasq leases us an IPv4 address, renews it, takes it back (2131-1, 2131-2)', async function () {
    this.timeout(20_000);
    needs(this, 'dnsmasq');
    const { namespace } = netns;
    const live = new LiveHost(namespace, { addresses: [], clock: fastClock(PACE), services: [] });
    const server = new Dnsmasq(
      namespace,
      directory,
      '--dhcp-range=10.77.0.100,10.77.0.110,255.255.255.0,2m',
      '--domain=home.test',
      '--dhcp-option=option:mtu,1400',
      '--dhcp-option=121,10.99.0.0/16,10.77.0.1,0.0.0.0/0,10.77.0.1',
    );
    await server.ready();
    const { events, subscription } = lease(live, { hostName: 'guest' });
    await until(() => events.length > 0);
    expect(events).to.deep.equal(['bound 10.77.0.100/24']);
    const { routes } = live.me.tables;
    expect(routes.list().map((route) => [route.destination, route.gateway, linkMtu(route)].join(' '))).to.deep.equal([
      '10.77.0.0/24  1400',
      '10.99.0.0/16 10.77.0.1 1400',
      '0.0.0.0/0 10.77.0.1 1400',
    ]);
    expect((await namespace.run('ping', ['-c', '2', '-i', '0.05', '-s', '3000', '10.77.0.100'])).stdout).to.contain(
      ' 0% packet loss',
    );
    // dnsmasq is our name server, too, and knows us by name.
    expect((await live.me.dns.lookup('guest')).join()).to.equal('10.77.0.100');
    await until(() => events.length >= 4, 15_000);
    expect(events.slice(1, 4)).to.deep.equal([
      'renewed 10.77.0.100/24',
      'renewed 10.77.0.100/24',
      'renewed 10.77.0.100/24',
    ]);
    expect(server.count('DHCPACK(tap0) 10.77.0.100')).to.be.at.least(4);
    expect(server.count('DHCPDISCOVER')).to.equal(1);
    subscription.unsubscribe();
    await until(() => server.count('DHCPRELEASE(tap0) 10.77.0.100') === 1);
    expect(live.me.tables.addresses.list()).to.deep.equal([]);
    expect(routes.list()).to.deep.equal([]);
    await live.close();
  });

  it('declines an address of dnsmasq that the kernel has (5227-1), and heeds a refusal', async function () {
    this.timeout(20_000);
    needs(this, 'dnsmasq');
    const { namespace } = netns;
    const live = new LiveHost(namespace, { addresses: [], clock: fastClock(PACE), services: [] });
    namespace.ip('address', 'add', '10.77.0.100/32', 'dev', 'lo');
    const server = new Dnsmasq(namespace, directory, '--dhcp-range=10.77.0.100,10.77.0.110,255.255.255.0,2m');
    await server.ready();
    const { events, subscription } = lease(live, { previous: Ipv4Address.parse('10.9.9.9') });
    await until(() => events.length > 0, 10_000);
    expect(server.count('DHCPNAK')).to.equal(1);
    expect(server.count('DHCPDECLINE(tap0) 10.77.0.100')).to.equal(1);
    expect(events).to.deep.equal(['bound 10.77.0.101/24']);
    subscription.unsubscribe();
    await live.close();
  });

  it('has a link-local address that the kernel reaches where no server answers (3927)', async function () {
    this.timeout(20_000);
    const { namespace } = netns;
    const peer = ['169.254.1.1/16'];
    const live = new LiveHost(namespace, { addresses: [], peer, clock: fastClock(PACE), services: [] });
    const { events, subscription } = lease(live);
    await until(() => events.length > 0);
    const address = events[0]?.replace('link-local ', '') ?? '';
    expect(address).to.match(/^169\.254\./);
    expect((await namespace.run('ping', ['-c', '2', '-i', '0.05', address])).stdout).to.contain(' 0% packet loss');
    subscription.unsubscribe();
    expect(live.me.tables.addresses.list()).to.deep.equal([]);
    await live.close();
  });

  it('busybox leases an address of ours, renews and releases it (2131-3)', async function () {
    this.timeout(60_000);
    needs(this, 'udhcpc');
    const { namespace } = netns;
    const live = new LiveHost(namespace, { peer: [], services: [] });
    const events: string[] = [];
    const serving = dhcpv4Server(live.me, {
      device: live.device,
      address: '10.77.0.2/24',
      pool: ['10.77.0.50', '10.77.0.59'],
      leaseTime: 600,
      options: { routers: [Ipv4Address.parse('10.77.0.2')], dnsServers: [Ipv4Address.parse('10.77.0.2')], mtu: 1400 },
    }).subscribe(({ kind, binding }) =>
      events.push(`${kind} ${binding.address.toString()} ${binding.hostName ?? ''}`.trim()),
    );
    const script = join(directory, 'script');
    const told = join(directory, 'told');
    writeFileSync(
      script,
      `#!/bin/sh
echo "$1 $ip/$mask $router $dns $mtu $lease" >> ${told}
[ "$1" = deconfig ] && ip address flush dev $interface
[ "$1" = bound ] && ip address add $ip/$mask dev $interface
exit 0
`,
    );
    chmodSync(script, 0o755);
    const client = namespace.start('busybox', [
      'udhcpc',
      '-f',
      '-R',
      '-i',
      'tap0',
      '-s',
      script,
      '-O',
      'mtu',
      '-x',
      'hostname:guest',
    ]);
    // By itself it renews no sooner than after a minute. What answers before it has closed the socket that it asked
    // from is lost to it: it asks again after 3, 6 and 9 s, the last time from a socket that hears everything.
    const patience = 12_000;
    for (const renewals of [0, 1, 2]) {
      const isTold = () => readFileSync(told, 'utf8').split('\n').length > renewals + 2;
      await until(() => events.length > renewals && isTold(), patience);
      client.kill('SIGUSR1');
    }
    await until(() => events.length > 3, patience);
    expect(events.slice(0, 3)).to.deep.equal(Array.from({ length: 3 }, () => 'bound 10.77.0.50 guest'));
    const lines = readFileSync(told, 'utf8').split('\n');
    expect(lines.slice(0, 3)).to.deep.equal([
      lines[0],
      'bound 10.77.0.50/24 10.77.0.2 10.77.0.2 1400 600',
      'renew 10.77.0.50/24 10.77.0.2 10.77.0.2 1400 600',
    ]);
    expect(lines[0]).to.match(/^deconfig /);
    expect((await namespace.run('ping', ['-c', '2', '-i', '0.05', '10.77.0.2'])).stdout).to.contain(' 0% packet loss');
    client.kill('SIGTERM');
    await until(() => events.includes('released 10.77.0.50 guest'));
    serving.unsubscribe();
    await live.close();
  });

  it('dnsmasq leases us an IPv6 address, renews it, takes it back (8415-1, 8415-2, 8415-3)', async function () {
    this.timeout(20_000);
    needs(this, 'dnsmasq');
    const { namespace } = netns;
    const live = new LiveHost(namespace, {
      addresses: [],
      slaac: true,
      peer: ['fd77::1/64'],
      clock: fastClock(PACE),
      services: [],
    });
    const server = new Dnsmasq(
      namespace,
      directory,
      '--dhcp-range=fd77::100,fd77::1ff,64,2m',
      '--enable-ra',
      '--domain=home.test',
      '--dhcp-option=option6:dns-server,[fd77::1]',
    );
    await server.ready();
    const events: string[] = [];
    const dns: string[] = [];
    const subscription = dhcpv6(live.me, {
      device: live.device,
      resolver: { setServers: (servers) => void dns.push(servers.join()) },
    }).subscribe(({ kind, lease: { addresses = [] } = {} }) => {
      events.push([kind, ...addresses.map(({ address }) => address.toString())].join(' '));
    });
    await until(() => events.length > 0, 10_000);
    const address = events[0]?.replace('bound ', '') ?? '';
    expect(address).to.match(/^fd77::1[0-9a-f][0-9a-f]$/);
    expect(dns).to.deep.equal(['fd77::1']);
    expect((await namespace.run('ping', ['-6', '-c', '2', '-i', '0.05', '-s', '3000', address])).stdout).to.contain(
      ' 0% packet loss',
    );
    await until(() => events.length >= 3, 12_000);
    expect(events.slice(1, 3)).to.deep.equal([`renewed ${address}`, `renewed ${address}`]);
    expect(server.count('DHCPRENEW(tap0)')).to.be.at.least(2);
    // With a second of ours being 25 milliseconds of the server's, we may have asked more than once.
    expect(server.count('DHCPSOLICIT(tap0)')).to.be.below(5);
    subscription.unsubscribe();
    await until(() => server.transactions('DHCPRELEASE') === 1);
    expect(dns.at(-1)).to.equal('');
    // Its answer ends the exchange.
    await until(() => live.me.udp.size === 0);
    await live.close();
  });

  it('declines an IPv6 address of dnsmasq that the kernel has (8415-3)', async function () {
    this.timeout(20_000);
    needs(this, 'dnsmasq');
    const { namespace } = netns;
    const live = new LiveHost(namespace, {
      addresses: ['fe80::2/64'],
      peer: ['fd77::1/64', 'fd77::100/128'],
      clock: fastClock(PACE),
      services: [],
    });
    const mac = OUR_MAC;
    const server = new Dnsmasq(
      namespace,
      directory,
      '--dhcp-range=fd77::100,fd77::101,64,2m',
      `--dhcp-host=${mac},[fd77::100]`,
    );
    await server.ready();
    const events: string[] = [];
    const subscription = dhcpv6(live.me, { device: live.device }).subscribe(
      ({ kind, lease: { addresses = [] } = {} }) => {
        events.push([kind, ...addresses.map(({ address }) => address.toString())].join(' '));
      },
    );
    await until(() => events.includes('bound fd77::101'), 10_000);
    expect(events).to.deep.equal(['conflict', 'bound fd77::101']);
    expect(server.count('DHCPDECLINE(tap0)')).to.equal(1);
    subscription.unsubscribe();
    await until(() => live.me.udp.size === 0);
    await live.close();
  });

  it('dnsmasq tells us name servers, but no address (8415-5)', async function () {
    this.timeout(20_000);
    needs(this, 'dnsmasq');
    const { namespace } = netns;
    const live = new LiveHost(namespace, {
      addresses: ['fe80::2/64'],
      peer: ['fd77::1/64'],
      clock: fastClock(PACE),
      services: [],
    });
    const server = new Dnsmasq(
      namespace,
      directory,
      '--dhcp-range=fd77::,ra-stateless,64,2m',
      '--dhcp-option=option6:dns-server,[fd77::1]',
      '--dhcp-option=option6:domain-search,home.test',
    );
    await server.ready();
    const told: string[] = [];
    const subscription = dhcpv6Information(live.me, { device: live.device }).subscribe(({ dnsServers, search }) => {
      told.push([...dnsServers.map((one: Ipv6Address) => one.toString()), ...search].join(' '));
    });
    await until(() => told.length > 0);
    expect(told).to.deep.equal(['fd77::1 home.test']);
    expect(server.count('DHCPINFORMATION-REQUEST(tap0)')).to.be.at.least(1);
    subscription.unsubscribe();
    await live.close();
  });

  it('`rx-netstack host --dhcp --slaac` has all of its addresses leased, and gives them back', async function () {
    this.timeout(40_000);
    needs(this, 'dnsmasq');
    const { namespace } = netns;
    const main = new URL('../../cli/main.ts', import.meta.url).pathname;
    const peers = ['--peer', '10.77.0.1/24', '--peer', 'fd77::1/64'];
    const args = ['--import=tsx', main, 'host', '--tap', 'tap0', ...peers, '--dhcp', '--slaac', '--json'];
    const command = namespace.start(process.execPath, args);
    let said = '';
    command.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
    await until(() => said.includes('"ready":true'), 20_000);
    const ranges = ['--dhcp-range=10.77.0.100,10.77.0.110,255.255.255.0,2m', '--dhcp-range=fd77::100,fd77::1ff,64,2m'];
    const server = new Dnsmasq(namespace, directory, ...ranges, '--enable-ra');
    await until(() => /"dhcpv4","event":"bound"/.test(said) && /"dhcpv6","event":"bound"/.test(said), 15_000);
    const six = /"dhcpv6","event":"bound","addresses":\["([^"]*)"\]/.exec(said)?.[1] ?? '';
    for (const address of ['10.77.0.100', six]) {
      const { stdout } = await namespace.run('ping', ['-c', '2', '-i', '0.05', address]);
      expect(stdout).to.contain(' 0% packet loss');
    }
    command.kill('SIGTERM');
    // The interface is there for as long as an answer is to come.
    await server.doze(700);
    await until(() => server.transactions('DHCPRELEASE') === 2);
  });
});
