/** A router of ours between kernels: pings, traces, transfers, narrow links, redirects. */

import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { merge, Subscription } from 'rxjs';
import { link } from '../../drivers/link.js';
import type { Device } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { layer } from '../../operators/flow/layer.js';
import { type RoutedPacket, router, type Router } from '../../operators/stack/router.js';
import { toDevices } from '../../operators/stack/to-devices.js';
import { LiveRouter, type LiveRouterOptions, ROUTED, transferBothWays, webServer } from './live-router.js';
import { describeNetns, type Namespace } from './namespace.js';
import { Recording } from './recording.js';

const SIZE = 30 << 20;

/** What is looked at in the program's JSON. */
interface IperfReport {
  readonly error?: string;
  readonly end: { readonly sum_received: { readonly bits_per_second: number; readonly bytes: number } };
}

async function iperf3(client: Namespace, server: Namespace, to: string, ...args: readonly string[]): Promise<number> {
  server.start('iperf3', ['-s', '-1']);
  for (let tries = 0; ; tries++) {
    const { stdout } = await server.run('ss', ['-Hltn', 'sport = :5201']);
    if (stdout !== '' || tries > 100) break;
  }
  const { stdout, stderr } = await client.run('iperf3', ['-c', to, '-t', '2', '-J', ...args], { timeout: 20_000 });
  const report = JSON.parse(stdout) as IperfReport;
  expect(report.error, stderr).to.equal(undefined);
  return report.end.sum_received.bits_per_second;
}

function busyboxTraces(): boolean {
  try {
    return execFileSync('busybox', ['--list'], { encoding: 'utf8' }).includes('traceroute6');
  } catch {
    return false;
  }
}

/** Two routers of ours between the devices, and a link of memory between them whose MTU is smaller. */
function narrow(mtu: number): NonNullable<LiveRouterOptions['between']> {
  return (left: Device, right: Device, env: Env) => {
    const { ends } = link({ ends: ['near', 'far'], mtu, defer: (run) => setImmediate(run) }, env);
    const [near, far] = ends;
    const six = mtu >= 1280;
    const make = (outer: Device, inner: Device, number: number, beyond: number): Router =>
      router(
        {
          interfaces: [
            { device: outer, addresses: [`10.${number}.0.1/24`, ...(six ? [`fd0${number}::1/64`] : [])] },
            { device: inner, addresses: [`10.9.0.${number}/24`, ...(six ? [`fd09::${number}/64`] : [])] },
          ],
          gateway: [`10.9.0.${beyond}`, ...(six ? [`fd09::${beyond}`] : [])],
        },
        env,
      );
    const one = make(left, near, 1, 2);
    const other = make(right, far, 2, 1);
    const subscription = new Subscription();
    subscription.add(merge(left.frames$, near.frames$).pipe(one).subscribe(toDevices(left, near)));
    subscription.add(merge(right.frames$, far.frames$).pipe(other).subscribe(toDevices(right, far)));
    subscription.add(() => ends.forEach((end) => void end.close()));
    return { subscription, me: one };
  };
}

for (const version of [4, 6] as const) {
  const { server: to, us } = ROUTED[version];
  describeNetns(`a router of ours between kernels, IPv${version}`, (netns) => {
    const recording = new Recording();

    it('takes pings further, small and in fragments', async function () {
      this.timeout(30_000);
      const live = new LiveRouter(netns, { recording });
      const small = await live.client.run('ping', ['-c', '20', '-i', '0.1', '-W', '1', to]);
      expect(small.stdout).to.match(/20 received, 0% packet loss/);
      expect(small.stdout).to.contain('ttl=63');
      const big = await live.client.run('ping', ['-c', '5', '-i', '0.1', '-W', '1', '-s', '20000', to]);
      expect(big.stdout).to.match(/5 received, 0% packet loss/);
      await live.close();
    });

    it('appears in traceroute', async function () {
      if (!busyboxTraces()) {
        console.warn('SKIPPED: traceroute by way of a router: there is no busybox that does it');
        this.skip();
      }
      this.timeout(30_000);
      // Not recorded: in what the kernel quotes checksums are not complete.
      const live = new LiveRouter(netns);
      const program = version === 4 ? 'traceroute' : 'traceroute6';
      const { stdout } = await live.client.run('busybox', [program, '-n', '-q', '1', '-w', '1', to]);
      const hops = stdout.trim().split('\n').slice(1);
      expect(hops.map((line) => line.trim().split(/\s+/).slice(0, 2))).to.deep.equal([
        ['1', us],
        ['2', to],
      ]);
      // To the kernel errors are bad whose socket is a raw one.
      await live.close({ complaints: true });
    });

    it('tells that it knows no way, and that nobody is there', async function () {
      this.timeout(30_000);
      const live = new LiveRouter(netns, { recording });
      const nowhere = version === 4 ? '192.0.2.1' : '2001:db8::1';
      const nobody = version === 4 ? '10.2.0.99' : 'fd02::99';
      const lost = await live.client.run('ping', ['-n', '-c', '1', '-W', '1', nowhere]);
      expect(lost.stdout).to.match(version === 4 ? /Net Unreachable/ : /No route/);
      const absent = await live.client.run('ping', ['-n', '-c', '1', '-W', '5', nobody]);
      expect(absent.stdout).to.match(version === 4 ? /Host Unreachable/ : /Address unreachable/);
      await live.close();
    });

    for (const [name, driver] of [
      ['by super-segments', {}],
      ['packet by packet', { offload: false, coalesce: false }],
    ] as const) {
      it(`carries transfers of curl and iperf3 both ways, ${name}`, async function () {
        this.timeout(90_000);
        const live = new LiveRouter(netns, { driver });
        await webServer(live.server);
        await transferBothWays(live.client, to, SIZE);
        expect(await iperf3(live.client, live.server, to)).to.be.above(50e6);
        expect(await iperf3(live.client, live.server, to, '-R')).to.be.above(50e6);
        await live.close();
      });
    }

    for (const place of ['behind it', 'in the middle, between two routers of ours'] as const) {
      it(`has senders find out what a narrower link carries, ${place}`, async function () {
        this.timeout(60_000);
        const mtu = 1300;
        const options = place === 'behind it' ? { mtu: { server: mtu }, recording } : { between: narrow(mtu) };
        const live = new LiveRouter(netns, options);
        await webServer(live.server);
        await transferBothWays(live.client, to, 5 << 20);
        const told = await live.client.run('ping', ['-n', '-c', '1', '-W', '1', '-s', '1400', '-M', 'do', to]);
        expect(told.stdout).to.match(
          version === 4 ? /Frag needed and DF set \(mtu = 1300\)/ : /Packet too big: mtu=1300/,
        );
        const { stdout } = await live.client.run('ip', ['route', 'get', to]);
        expect(stdout).to.contain(`mtu ${mtu}`);
        // Without "do not fragment", IPv4 is cut on the way; IPv6 by its source, once it knows.
        const ping = await live.client.run('ping', ['-c', '3', '-i', '0.1', '-s', '1400', '-M', 'dont', to]);
        expect(ping.stdout).to.match(/3 received, 0% packet loss/);
        expect(live.env.drops.count(DropReason.IpTooBig)).to.be.within(1, 100);
        await live.close();
      });
    }

    it('puts fragments together for its hooks, and sends them in pieces', async function () {
      this.timeout(30_000);
      const seen: number[] = [];
      const look = layer<RoutedPacket, RoutedPacket>(() => (packet) => {
        seen.push(packet.frame.length);
        return packet;
      });
      const live = new LiveRouter(netns, { recording, hooks: { forward: look } });
      const ping = await live.client.run('ping', ['-c', '3', '-i', '0.1', '-W', '1', '-s', '4000', to]);
      expect(ping.stdout).to.match(/3 received, 0% packet loss/);
      const whole = 4008 + (version === 4 ? 20 : 40);
      expect(seen.filter((length) => length === whole)).to.have.length(6);
      await live.close();
    });

    it('tells of a better first hop, and the kernel takes it', async function () {
      this.timeout(30_000);
      const { far, near } = version === 4 ? { far: '10.9.0.1', near: '10.1.0.3' } : { far: 'fd09::1', near: 'fe80::3' };
      const live = new LiveRouter(netns, { recording });
      const other = netns.make('other');
      const { client } = live;
      // A second router, on the client's link.
      client.ip('link', 'add', 'br0', 'type', 'bridge');
      client.ip('link', 'add', 'c0', 'type', 'veth', 'peer', 'name', 'c1', 'netns', other.name);
      client.ip('addr', 'flush', 'dev', 'tap0');
      for (const port of ['tap0', 'c0']) client.ip('link', 'set', port, 'master', 'br0', 'up');
      client.ip('link', 'set', 'br0', 'up');
      const bits = version === 4 ? '/24' : '/64';
      client.ip('addr', 'add', `${ROUTED[version].client}${bits}`, 'dev', 'br0', ...(version === 6 ? ['nodad'] : []));
      // A redirect of IPv6 is believed of the link-local address that the route is by.
      client.ip('route', 'replace', 'default', 'via', version === 4 ? us : 'fe80::77:ff:fe00:1', 'dev', 'br0');
      client.sysctl(version === 4 ? 'net.ipv4.conf.br0.accept_redirects' : 'net.ipv6.conf.br0.accept_redirects', 1);
      other.ip('link', 'set', 'c1', 'up');
      const six = version === 6 ? ['nodad'] : [];
      other.ip('addr', 'add', version === 4 ? '10.1.0.3/24' : 'fd01::3/64', 'dev', 'c1', ...six);
      if (version === 6) other.ip('addr', 'add', 'fe80::3/64', 'dev', 'c1', ...six);
      other.ip('addr', 'add', `${far}/${version === 4 ? 32 : 128}`, 'dev', 'lo', ...six);
      live.me.tables.addRoute({
        destination: version === 4 ? '10.9.0.0/24' : 'fd09::/64',
        gateway: near,
        device: live.left,
      });
      const ping = await client.run('ping', ['-n', '-c', '5', '-i', '0.2', '-W', '1', far]);
      expect(ping.stdout).to.match(/5 received/);
      const { stdout } = await client.run('ip', ['route', 'get', far]);
      expect(stdout).to.contain(`via ${near}`);
      await live.close();
    });

    it('tshark finds nothing wrong with what we sent in all that', async function () {
      this.timeout(60_000);
      await recording.expectSound(version === 4 ? { icmp: 40, tcp: 1000 } : { icmpv6: 40, tcp: 1000 });
    });
  });
}
