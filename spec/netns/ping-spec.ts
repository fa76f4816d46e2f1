/** Row 1 of the acceptance of a living host: a kernel pings it, resolves it, and a second host with its address is noticed. */

import { expect } from 'chai';
import type { HostConflict } from '../../operators/stack/host.js';
import { LiveHost, OUR_MAC, OURS } from './live-host.js';
import { until } from '../until.js';
import { describeNetns, type Namespace } from './namespace.js';
import { Recording } from './recording.js';

async function ping(namespace: Namespace, count: number, size: number, ...more: string[]): Promise<string> {
  const args = [
    '-q',
    '-c',
    `${count}`,
    ...(more.includes('-f') ? [] : ['-i', '0.02']),
    '-W',
    '2',
    '-s',
    `${size}`,
    ...more,
    OURS,
  ];
  return (await namespace.run('ping', args)).stdout;
}

describeNetns('a living host, row 1: ping and arping', (netns) => {
  const recording = new Recording();

  it('answers 100 of 100 pings', async () => {
    const live = new LiveHost(netns.namespace, { recording });
    expect(await ping(netns.namespace, 100, 56)).to.match(/100 received, 0% packet loss/);
    expect(live.me.stats().delivered).to.be.at.least(100);
    await live.close();
  });

  it('answers pings of 8000 bytes, in fragments both ways', async () => {
    const live = new LiveHost(netns.namespace, { recording });
    expect(await ping(netns.namespace, 50, 8000)).to.match(/50 received, 0% packet loss/);
    const { stdout } = await netns.namespace.run('grep', ['^Ip:', '/proc/net/snmp']);
    const [names = [], values = []] = stdout.split('\n').map((line) => line.split(' '));
    const counter = (name: string) => Number(values[names.indexOf(name)]);
    expect(counter('FragCreates'), 'fragments sent by the kernel').to.equal(50 * 6);
    expect(counter('ReasmReqds'), 'fragments sent by us').to.equal(50 * 6);
    expect(counter('ReasmOKs')).to.equal(50);
    await live.close();
  });

  for (const size of [0, 1, 1472, 1473, 65_507]) {
    it(`answers pings of ${size} bytes`, async () => {
      const live = new LiveHost(netns.namespace, { recording });
      // -p: ping itself compares the bytes that come back.
      const said = await ping(netns.namespace, 5, size, ...(size > 0 ? ['-p', 'a5c3'] : []));
      expect(said)
        .to.match(/5 received, 0% packet loss/)
        .and.not.to.contain('wrong data');
      await live.close();
    });
  }

  it('answers pings over TUN', async () => {
    const live = new LiveHost(netns.namespace, { recording, medium: 'ip', name: 'tun0' });
    for (const size of [56, 8000]) {
      expect(await ping(netns.namespace, 20, size)).to.match(/20 received, 0% packet loss/);
    }
    await live.close();
  });

  it('answers a flood of pings, and drops nothing', async () => {
    netns.namespace.sysctl('net.ipv6.conf.default.disable_ipv6', 1);
    const live = new LiveHost(netns.namespace, { recording });
    expect(await ping(netns.namespace, 500, 1000, '-f')).to.match(/500 received, 0% packet loss/);
    const { drops, delivered } = live.me.stats();
    // The kernel itself has but a group to leave and join.
    expect(Object.keys(drops)).to.deep.equal([]);
    expect(delivered).to.be.within(501, 503);
    await live.close();
  });

  it('answers arping with its MAC address, and a probe that asks for its address', async () => {
    const live = new LiveHost(netns.namespace, { recording });
    const asked = await netns.namespace.run('arping', ['-c', '2', '-I', 'tap0', OURS]);
    expect(asked.code).to.equal(0);
    expect(asked.stdout).to.contain(`Unicast reply from ${OURS} [${OUR_MAC.toUpperCase()}]`);
    expect(asked.stdout).to.contain('Received 2 response(s)');
    const probed = await netns.namespace.run('arping', ['-D', '-c', '1', '-w', '2', '-I', 'tap0', OURS]);
    expect(probed.code, probed.stdout).to.equal(1);
    expect(probed.stdout).to.contain('Received 1 response(s)');
    const free = await netns.namespace.run('arping', ['-D', '-c', '1', '-w', '1', '-I', 'tap0', '10.77.0.3']);
    expect(free.code, free.stdout).to.equal(0);
    await live.close();
  });

  it('notices a kernel that takes its address, and defends it', async () => {
    const live = new LiveHost(netns.namespace, { recording });
    const conflicts: HostConflict[] = [];
    live.me.conflicts$.subscribe((conflict) => conflicts.push(conflict));
    netns.namespace.ip('addr', 'add', `${OURS}/32`, 'dev', 'tap0');
    const mac = /link\/ether (\S+)/.exec(netns.namespace.ip('link', 'show', 'tap0'))?.[1];
    await netns.namespace.run('arping', ['-A', '-c', '1', '-w', '1', '-I', 'tap0', '-s', OURS, OURS]);
    await until(() => conflicts.length > 0);
    const [conflict] = conflicts;
    expect(conflict?.kind).to.equal('defended');
    expect(conflict?.mac.toString(16).padStart(12, '0')).to.equal(mac?.replaceAll(':', ''));
    expect(conflict?.device).to.equal(live.device);
    await live.close();
  });

  it('two hosts, bridged, with one address: each notices the other', async () => {
    const { namespace } = netns;
    namespace.ip('link', 'add', 'br0', 'type', 'bridge');
    namespace.ip('link', 'set', 'br0', 'up');
    // Made beforehand, so that the second host's first announcement crosses the bridge.
    for (const name of ['tap0', 'tap1']) {
      namespace.ip('tuntap', 'add', name, 'mode', 'tap');
      namespace.ip('link', 'set', name, 'master', 'br0', 'up');
    }
    const seen = new Set<string>();
    const live = (name: string, mac: string, announce: boolean) => {
      const one = new LiveHost(namespace, { recording, name, mac, peer: [], announce, services: [] });
      one.me.conflicts$.subscribe(({ mac }) => seen.add(`${name} sees ${mac.toString(16)}`));
      return one;
    };
    const first = live('tap0', '02:77:00:00:00:0a', false);
    const second = live('tap1', '02:77:00:00:00:0b', true);
    await until(() => seen.size === 2);
    expect([...seen].sort()).to.deep.equal(['tap0 sees 2770000000b', 'tap1 sees 2770000000a']);
    await first.close();
    await second.close();
  });

  it('row 5: tshark finds nothing wrong with what we sent', async function () {
    this.timeout(60_000);
    await recording.expectSound({ frames: 1000, icmp: 700, ip: 1000 });
  });
});
