/**
 * Row 2 of the acceptance of dual stack: radvd configures us, we configure a kernel, and an address that the kernel has is given up in both
 * families.
 */

import { type ChildProcess, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Ipv6Address, parseIp } from '../../lib/core/address.js';
import { StableIdentifiers } from '../../lib/l3/interface-identifiers.js';
import type { AutoconfEvent } from '../../operators/index.js';
import { LiveHost, type LiveOptions, OUR_LINK_LOCAL, OURS, OURS6, THEIRS } from './live-host.js';
import { until } from '../until.js';
import { describeNetns, type Namespace } from './namespace.js';
import { Recording } from './recording.js';

const SECRET = Uint32Array.of(7, 7, 7, 7);
const SLAAC = { addresses: [], peer: ['fe80::1/64'], slaac: { secret: SECRET, temporary: false } } as const;
const PREFIX = '2001:db8:77::';
const FAR = parseIp('2001:db8:99::1');

function isMissing(command: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' });
    return false;
  } catch {
    return true;
  }
}

/** A host of ours, and what happened to it. */
class Configured extends LiveHost {
  readonly log: string[] = [];
  readonly events: AutoconfEvent[] = [];

  constructor(namespace: Namespace, options: LiveOptions) {
    super(namespace, { services: [], ...options });
    this.me.autoconf.events$.subscribe((event) => {
      this.events.push(event);
      this.log.push('origin' in event ? `${event.kind} ${event.origin} ${event.address.toString()}` : event.kind);
    });
  }

  /** Our addresses of radvd's prefix that may be used. */
  global(prefix = PREFIX) {
    const own = this.me.tables.addresses6.list();
    return own.filter(({ cidr, tentative }) => !tentative && cidr.toString().startsWith(prefix.slice(0, -1)));
  }

  /** Where packets to the rest of the world go first. */
  gateway(): string | undefined {
    return this.me.tables.route6(0x2001_0db8, 0x99_0000, 0, 1)?.gateway?.toString();
  }

  has(what: RegExp): Promise<void> {
    return until(() => this.log.some((line) => what.test(line)));
  }
}

describeNetns('dual stack, row 2: router advertisements', (netns) => {
  const recording = new Recording();
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rx-radvd-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** Starts radvd on the kernel's side of the TAP, with lifetimes as short as it lets us. */
  function radvd(name: string, router: string, prefix: string, more = ''): ChildProcess {
    const file = join(directory, `${name}.conf`);
    const lines = `interface ${name} { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; ${router}
      prefix ${PREFIX}/64 { ${prefix} }; ${more} };`;
    writeFileSync(file, lines, { mode: 0o644 });
    netns.namespace.sysctl('net.ipv6.conf.all.forwarding', 1);
    return netns.namespace.start('radvd', ['-n', '-m', 'stderr', '-C', file, '-p', `${file}.pid`]);
  }

  async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }

  const describeRadvd = isMissing('radvd') ? describe.skip : describe;
  if (describeRadvd === describe.skip) console.warn('SKIPPED: radvd: it is not installed');

  describeRadvd('radvd', () => {
    // radvd speaks from the link-local address that we give it, not from one that the kernel makes.
    beforeEach(() => netns.namespace.sysctl('net.ipv6.conf.default.addr_gen_mode', 1));

    it('configures us: addresses, routes, MTU, timers, name servers; SLAAC addresses talk to the kernel', async function () {
      this.timeout(20_000);
      const { namespace } = netns;
      const live = new Configured(namespace, { ...SLAAC, recording, slaac: { secret: SECRET } });
      radvd(
        'tap0',
        'AdvLinkMTU 1400; AdvReachableTime 9000; AdvRetransTimer 500; AdvCurHopLimit 33; AdvOtherConfigFlag on;',
        'AdvOnLink on; AdvAutonomous on; AdvValidLifetime 3600; AdvPreferredLifetime 1800;',
        `route 2001:db8:aa::/48 { AdvRoutePreference high; AdvRouteLifetime 600; };
         RDNSS ${PREFIX}53 fe80::1 { AdvRDNSSLifetime 60; }; DNSSL example.test sub.example.test { AdvDNSSLLifetime 60; };`,
      );
      await until(() => live.global().length === 2);
      expect(live.gateway()).to.equal('fe80::1');
      const [stable, temporary] = live.global();
      expect(stable?.cidr.address.toString()).to.equal(
        new StableIdentifiers({ secret: SECRET, interfaceName: 'tap0' })
          .address(Ipv6Address.parse(PREFIX), 0)
          .toString(),
      );
      expect([stable?.temporary, temporary?.temporary]).to.deep.equal([false, true]);
      const known = live.me.autoconf.interface6(live.device)?.slaac?.list();
      for (const { validUntil, preferredUntil, kind } of known ?? []) {
        if (kind === 'link-local') continue;
        const left = [preferredUntil, validUntil].map((until) => (until - live.env.timers.now()) / 1000);
        expect(left[0]).to.be.within(1790, 1800);
        expect(left[1]).to.be.within(3590, 3600);
      }
      const { parameters, dnsServers, searchDomains } = live.me.autoconf.interface6(live.device)?.discovery ?? {};
      expect(parameters).to.deep.equal({
        hopLimit: 33,
        mtu: 1400,
        reachableTime: 9000,
        retransmitTimer: 500,
        managed: false,
        other: true,
      });
      expect(dnsServers?.map(String)).to.deep.equal([`${PREFIX}53`, 'fe80::1%tap0']);
      expect(searchDomains).to.deep.equal(['example.test', 'sub.example.test']);
      expect(live.me.tables.path(FAR)).to.deep.include({ source: temporary?.cidr.address, mtu: 1400 });
      const route = live.me.tables.routes6.list().find(({ destination }) => destination.length === 48);
      expect(route?.destination.toString()).to.equal('2001:db8:aa::/48');
      namespace.ip('address', 'add', `${PREFIX}1/64`, 'dev', 'tap0');
      for (const { cidr } of live.global()) {
        const pinged = await namespace.run('ping', [
          '-6',
          '-q',
          '-c',
          '3',
          '-i',
          '0.05',
          '-s',
          '3000',
          cidr.address.toString(),
        ]);
        expect(pinged.stdout).to.contain('3 received, 0% packet loss');
      }
      await live.close();
    });

    it('is gone: at once where it says so, else when its lifetime ends; addresses are deprecated, then removed', async function () {
      this.timeout(30_000);
      const live = new Configured(netns.namespace, { ...SLAAC, recording });
      const lifetimes = 'AdvValidLifetime 6; AdvPreferredLifetime 4;';
      const polite = radvd('tap0', 'AdvDefaultLifetime 60;', lifetimes);
      await until(() => live.global().length === 1 && live.gateway() !== undefined);
      expect(live.global()[0]?.deprecated).to.equal(false);
      await ended(polite, 'SIGTERM');
      await until(() => live.gateway() === undefined);
      const rude = radvd('tap0', 'AdvDefaultLifetime 4;', lifetimes);
      await until(() => live.gateway() !== undefined);
      const [first] = live.global();
      await ended(rude, 'SIGKILL');
      expect(live.gateway(), 'nobody said anything').to.equal('fe80::1');
      await until(() => live.gateway() === undefined, 8000);
      await until(() => live.global()[0]?.deprecated === true, 8000);
      expect(live.global()[0]?.cidr.toString(), 'the same').to.equal(first?.cidr.toString());
      await until(() => live.global().length === 0, 8000);
      expect(live.me.tables.routes6.list(), 'nothing left').to.deep.equal([]);
      expect(live.log.filter((line) => line.includes(' stable ')).map((line) => line.split(' ')[0])).to.deep.equal([
        'added',
        'deprecated',
        'removed',
      ]);
      await live.close();
    });

    it('two of them: by the preferred one, by the other when that has gone (RFC 4191)', async function () {
      this.timeout(30_000);
      const { namespace } = netns;
      // Both behind one bridge, so that we hear both.
      namespace.ip('link', 'add', 'br0', 'type', 'bridge');
      namespace.ip('link', 'add', 'low0', 'type', 'veth', 'peer', 'name', 'low1');
      namespace.ip('link', 'add', 'high0', 'type', 'veth', 'peer', 'name', 'high1');
      namespace.ip('tuntap', 'add', 'tap0', 'mode', 'tap');
      for (const port of ['low1', 'high1', 'tap0']) namespace.ip('link', 'set', port, 'master', 'br0', 'up');
      namespace.ip('link', 'set', 'br0', 'up');
      const live = new Configured(namespace, { ...SLAAC, peer: [], recording });
      for (const [name, address] of [
        ['low0', 'fe80::10'],
        ['high0', 'fe80::20'],
      ] as const) {
        namespace.ip('link', 'set', name, 'up');
        namespace.ip('address', 'add', `${address}/64`, 'dev', name);
      }
      radvd('low0', 'AdvDefaultLifetime 60; AdvDefaultPreference low;', '');
      await until(() => live.gateway() === 'fe80::10', 8000);
      const high = radvd('high0', 'AdvDefaultLifetime 60; AdvDefaultPreference high;', '');
      await until(() => live.gateway() === 'fe80::20', 8000);
      await until(() => live.global().length > 0);
      expect(live.global(), 'one prefix').to.have.length(1);
      await ended(high, 'SIGTERM');
      await until(() => live.gateway() === 'fe80::10');
      await live.close();
    });

    it('answers our solicitation, though it has just told all', async function () {
      this.timeout(20_000);
      const { namespace } = netns;
      namespace.ip('tuntap', 'add', 'tap0', 'mode', 'tap');
      namespace.ip('link', 'set', 'tap0', 'up');
      namespace.ip('address', 'add', 'fe80::1/64', 'dev', 'tap0');
      const live = new Configured(namespace, { ...SLAAC, recording, dad: { transmits: 0 } });
      const file = join(directory, 'quiet.conf');
      // Only solicited ones come in time.
      writeFileSync(
        file,
        `interface tap0 { AdvSendAdvert on; MinRtrAdvInterval 600; MaxRtrAdvInterval 900; prefix ${PREFIX}/64 {}; };`,
      );
      namespace.sysctl('net.ipv6.conf.all.forwarding', 1);
      namespace.start('radvd', ['-n', '-m', 'stderr', '-C', file, '-p', join(directory, 'quiet.pid')]);
      await until(() => live.global().length === 1, 12_000);
      await live.close();
    });
  });

  describe('of ours', () => {
    const ROUTER: LiveOptions = {
      addresses: [`${PREFIX}1/64`],
      peer: [],
      recording,
      advertise: {
        maxInterval: 4000,
        mtu: 1400,
        hopLimit: 77,
        preference: 1,
        reachableTime: 9000,
        retransmitTimer: 500,
        prefixes: [{ prefix: `${PREFIX}/64`, validLifetime: 3600, preferredLifetime: 1800 }],
        routes: [{ prefix: '2001:db8:aa::/48', preference: -1, lifetime: 600 }],
        dnsServers: [`${PREFIX}53`],
        searchDomains: ['example.test'],
      },
    };

    it('configure a kernel, which pings us from the address it made, and learns at the end that we are gone', async function () {
      this.timeout(20_000);
      const { namespace } = netns;
      namespace.sysctl('net.ipv6.conf.default.accept_ra', 2);
      namespace.sysctl('net.ipv6.conf.default.accept_ra_rt_info_max_plen', 64);
      namespace.sysctl('net.ipv6.conf.default.router_solicitations', 3);
      namespace.sysctl('net.ipv6.conf.default.router_solicitation_delay', 0);
      const live = new Configured(namespace, ROUTER);
      const addresses = () => namespace.ip('-6', 'address', 'show', 'dev', 'tap0', 'scope', 'global');
      await until(() => addresses().includes(PREFIX.slice(0, -1)), 8000);
      expect(addresses()).to.match(/valid_lft 3[56]\d\dsec preferred_lft 1[78]\d\dsec/);
      const routes = () => namespace.ip('-6', 'route', 'show', 'dev', 'tap0');
      expect(routes()).to.match(new RegExp(`default via ${OUR_LINK_LOCAL} proto ra .*pref high`));
      expect(routes()).to.match(new RegExp(`2001:db8:aa::/48 via ${OUR_LINK_LOCAL} .*pref low`));
      const setting = async (key: string) => (await namespace.run('sysctl', ['-n', key])).stdout.trim();
      expect(await setting('net.ipv6.conf.tap0.mtu')).to.equal('1400');
      expect(await setting('net.ipv6.conf.tap0.hop_limit')).to.equal('77');
      expect(await setting('net.ipv6.neigh.tap0.base_reachable_time_ms')).to.equal('9000');
      expect(await setting('net.ipv6.neigh.tap0.retrans_time_ms')).to.equal('500');
      const ping = await namespace.run('ping', ['-6', '-q', '-c', '3', '-i', '0.2', '-s', '3000', `${PREFIX}1`]);
      expect(ping.stdout).to.contain('3 received, 0% packet loss');
      const neighbour = namespace.ip('-6', 'neighbour', 'show', OUR_LINK_LOCAL, 'dev', 'tap0');
      expect(neighbour, 'the kernel knows us for a router').to.contain('router');
      live.me.autoconf.interface6(live.device)?.stopAdvertising();
      await until(() => !routes().includes('default'));
      await live.close();
    });

    it('answer rdisc6', async function () {
      if (isMissing('rdisc6')) {
        console.warn('SKIPPED: rdisc6 is not installed');
        return this.skip();
      }
      this.timeout(20_000);
      const { namespace } = netns;
      const live = new Configured(namespace, ROUTER);
      const asked = await namespace.run('rdisc6', ['-1', 'tap0']);
      expect(asked.code, asked.stderr).to.equal(0);
      const said = asked.stdout.replace(/ +/g, ' ');
      for (const line of [
        'Hop limit : 77',
        'Router preference : high',
        'Router lifetime : 12 (0x0000000c) seconds',
        'Reachable time : 9000 (0x00002328) milliseconds',
        'Retransmit time : 500 (0x000001f4) milliseconds',
        `Prefix : ${PREFIX}/64`,
        'On-link : Yes',
        'Autonomous address conf.: Yes',
        'Valid time : 3600 (0x00000e10) seconds',
        'Pref. time : 1800 (0x00000708) seconds',
        'Route : 2001:db8:aa::/48',
        'Route preference : low',
        'MTU : 1400 bytes (valid)',
        `Recursive DNS server : ${PREFIX}53`,
        'DNS search list : example.test',
        'Source link-layer address: 02:77:00:00:00:02',
        `from ${OUR_LINK_LOCAL}`,
      ]) {
        expect(said).to.contain(line);
      }
      await live.close();
    });
  });

  describe('duplicate addresses', () => {
    const both = { addresses: [`${OURS}/24`, `${OURS6}/64`], recording } as const;
    const quick = { within: 700, retransmitTimer: 300 } as const;

    it('that the kernel has are found in both families, and given up (RFC 5227 2.1, RFC 4862 5.4)', async function () {
      this.timeout(10_000);
      const { namespace } = netns;
      const live = new Configured(namespace, { ...both, peer: [`${OURS}/24`, `${OURS6}/64`], dad: quick });
      await live.has(new RegExp(`^failed static ${OURS}$`));
      await live.has(new RegExp(`^failed static ${OURS6}$`));
      expect(live.me.tables.addresses.list()).to.deep.equal([]);
      expect(live.me.tables.addresses6.list().map(({ cidr }) => cidr.toString())).to.deep.equal([
        `${OUR_LINK_LOCAL}/64`,
      ]);
      expect(live.me.tables.path(parseIp(THEIRS))).to.equal(undefined);
      await live.close();
    });

    it('that nobody has are taken into use, and work', async function () {
      this.timeout(10_000);
      const { namespace } = netns;
      const live = new Configured(namespace, { ...both, peer: [`${THEIRS}/24`, 'fd77::1/64'], dad: quick });
      expect(live.me.tables.addresses.list()).to.deep.equal([]);
      await new Promise<void>((resolve) => live.me.autoconf.settled$.subscribe(resolve));
      expect(live.log.filter((line) => !line.startsWith('added'))).to.deep.equal([]);
      for (const [version, address] of [
        ['-4', OURS],
        ['-6', OURS6],
      ] as const) {
        const { stdout } = await namespace.run('ping', [version, '-q', '-c', '3', '-i', '0.2', address]);
        expect(stdout).to.contain('3 received, 0% packet loss');
      }
      await live.close();
    });

    it('of ours are found by the kernel', async function () {
      this.timeout(10_000);
      const { namespace } = netns;
      const live = new Configured(namespace, { ...both, peer: [`${THEIRS}/24`, 'fd77::1/64'] });
      namespace.sysctl('net.ipv6.conf.tap0.accept_dad', 1);
      namespace.ip('address', 'add', `${OURS6}/64`, 'dev', 'tap0');
      const state = () => namespace.ip('-6', 'address', 'show', 'dev', 'tap0');
      await until(() => state().includes('dadfailed'));
      const { code } = await namespace.run('arping', ['-D', '-c', '2', '-w', '2', '-I', 'tap0', OURS]);
      expect(code, 'arping -D').to.equal(1);
      await live.close();
    });

    it('that a kernel takes from us are defended, and given up when it insists (RFC 5227 2.4)', async function () {
      this.timeout(15_000);
      const { namespace } = netns;
      const live = new Configured(namespace, { addresses: [`${OURS}/24`], recording, dad: quick });
      await live.has(new RegExp(`^added static ${OURS}$`));
      namespace.ip('address', 'add', `${OURS}/32`, 'dev', 'tap0');
      const announce = () => namespace.run('arping', ['-A', '-c', '1', '-w', '1', '-I', 'tap0', '-s', OURS, OURS]);
      await announce();
      expect(live.me.tables.addresses.list(), 'defended').to.have.length(1);
      await announce();
      await live.has(new RegExp(`^failed static ${OURS}$`));
      expect(live.me.tables.addresses.list()).to.deep.equal([]);
      await live.close();
    });

    it('that SLAAC would make are replaced by others (RFC 7217 6)', async function () {
      this.timeout(15_000);
      const identifiers = new StableIdentifiers({ secret: SECRET, interfaceName: 'tap0' });
      const taken = identifiers.address(Ipv6Address.parse('fe80::'), 0).toString();
      const next = identifiers.address(Ipv6Address.parse('fe80::'), 1).toString();
      const live = new Configured(netns.namespace, { ...SLAAC, recording, peer: [`${taken}/64`] });
      await live.has(new RegExp(`^added link-local ${next}$`));
      expect(live.log[0]).to.equal(`duplicate link-local ${taken}`);
      await live.close();
    });
  });

  describe('on the wire', () => {
    it('row 5: tshark finds nothing wrong with what we sent', async function () {
      this.timeout(60_000);
      await recording.expectSound({ frames: 60 });
    });
  });
});
