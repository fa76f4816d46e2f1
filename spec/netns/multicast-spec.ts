/** Groups with a kernel: it sends to them, it is a member of them, and its bridge asks for members and listens to reports. */

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { nodeDgram } from '../../lib/socket/dgram.js';
import type { DatagramSocket } from '../../lib/socket/dgram.js';
import { DUAL, LiveHost, OUR_MAC, OURS, OURS6, THEIRS, THEIRS6 } from './live-host.js';
import { until } from '../until.js';
import { describeNetns, type Namespace } from './namespace.js';
import { Recording } from './recording.js';

const PORT = 7000;

interface Facts {
  readonly type: 'udp4' | 'udp6';
  readonly group: string;
  readonly other: string;
  readonly ours: string;
  readonly theirs: string;
  /** A second address of the kernel's. */
  readonly alias: string;
  /** How the kernel's programs name the interface, and ours. */
  readonly theirInterface: string;
  readonly ourInterface: string;
}

const FACTS: Readonly<Record<'IPv4' | 'IPv6', Facts>> = {
  IPv4: {
    type: 'udp4',
    group: '239.77.1.1',
    other: '239.77.1.2',
    ours: OURS,
    theirs: THEIRS,
    alias: '10.77.0.9',
    theirInterface: THEIRS,
    ourInterface: OURS,
  },
  IPv6: {
    type: 'udp6',
    group: 'ff15::77:1',
    other: 'ff15::77:2',
    ours: OURS6,
    theirs: THEIRS6,
    alias: 'fd77::9',
    theirInterface: '::%tap0',
    ourInterface: '::%tap0',
  },
};

/** A program of the kernel's side: sends `text` to a group from one of its addresses. */
async function tell(
  namespace: Namespace,
  facts: Facts,
  group: string,
  text: string,
  from = facts.theirs,
): Promise<void> {
  const script = `
    const socket = require('node:dgram').createSocket('${facts.type}');
    socket.bind(0, '${from}', () => {
      socket.setMulticastInterface('${facts.theirInterface}');
      socket.send('${text}', ${PORT}, '${group}', () => socket.close());
    });`;
  const { code, stderr } = await namespace.run(process.execPath, ['-e', script]);
  expect(code, stderr).to.equal(0);
}

/** A program of the kernel's side that is a member of a group, and prints what it hears. */
async function member(
  namespace: Namespace,
  facts: Facts,
  group: string,
): Promise<{ heard: string[]; child: ChildProcess }> {
  const script = `
    const socket = require('node:dgram').createSocket({ type: '${facts.type}', reuseAddr: true });
    socket.on('message', (message, from) => console.log(message + ' from ' + from.address));
    socket.bind(${PORT}, () => { socket.addMembership('${group}', '${facts.theirInterface}'); console.log('ready'); });`;
  const child = namespace.start(process.execPath, ['-e', script]);
  const heard: string[] = [];
  child.stdout?.on('data', (data: Buffer) => heard.push(...data.toString().trim().split('\n')));
  await until(() => heard.length > 0);
  expect(heard.splice(0)).to.deep.equal(['ready']);
  return { heard, child };
}

/** A socket of ours on the port, and what it hears. */
async function socketOf(live: LiveHost, facts: Facts): Promise<{ socket: DatagramSocket; heard: string[] }> {
  const heard: string[] = [];
  const socket = nodeDgram(live.me.udp).createSocket({ type: facts.type, reuseAddr: true });
  socket.on('message', (message: Buffer, from) => heard.push(`${message.toString()} from ${from.address}`));
  socket.bind(PORT);
  await once(socket, 'listening');
  return { socket, heard };
}

for (const [version, facts] of Object.entries(FACTS)) {
  describeNetns(`multicast with a kernel, ${version}`, (netns) => {
    const recording = new Recording();
    const alias = `${facts.alias}/${version === 'IPv4' ? 24 : 64}`;

    function start(): LiveHost {
      netns.namespace.sysctl('net.ipv6.conf.default.accept_dad', 0);
      const peer = [...DUAL.peer, alias];
      return new LiveHost(netns.namespace, { ...DUAL, peer, recording, services: [] });
    }

    it('receives what the kernel sends to a group, in all sockets that joined, and in no other', async () => {
      const live = start();
      const [one, two, none] = [await socketOf(live, facts), await socketOf(live, facts), await socketOf(live, facts)];
      one.socket.addMembership(facts.group);
      two.socket.addMembership(facts.group, facts.ourInterface);
      none.socket.addMembership(facts.other);
      await tell(netns.namespace, facts, facts.group, 'first');
      await until(() => one.heard.length + two.heard.length === 2);
      expect([one.heard, two.heard]).to.deep.equal([[`first from ${facts.theirs}`], [`first from ${facts.theirs}`]]);
      one.socket.dropMembership(facts.group);
      await tell(netns.namespace, facts, facts.group, 'second');
      await until(() => two.heard.length === 2);
      expect(one.heard).to.have.length(1);
      expect(none.heard).to.deep.equal([]);
      for (const { socket } of [one, two, none]) socket.close();
      await live.close();
    });

    it('receives from the sources that it asked for only', async () => {
      const live = start();
      const { socket, heard } = await socketOf(live, facts);
      socket.addSourceSpecificMembership(facts.alias, facts.group, facts.ourInterface);
      await tell(netns.namespace, facts, facts.group, 'no', facts.theirs);
      await tell(netns.namespace, facts, facts.group, 'yes', facts.alias);
      await until(() => heard.length > 0);
      expect(heard).to.deep.equal([`yes from ${facts.alias}`]);
      socket.addSourceSpecificMembership(facts.theirs, facts.group, facts.ourInterface);
      socket.dropSourceSpecificMembership(facts.alias, facts.group, facts.ourInterface);
      await tell(netns.namespace, facts, facts.group, 'no more', facts.alias);
      await tell(netns.namespace, facts, facts.group, 'now', facts.theirs);
      await until(() => heard.length > 1);
      expect(heard[1]).to.equal(`now from ${facts.theirs}`);
      socket.close();
      await live.close();
    });

    it('sends to members in the kernel, and to those on the same host if they want', async () => {
      const live = start();
      const { heard } = await member(netns.namespace, facts, facts.group);
      const here = await socketOf(live, facts);
      const sender = await socketOf(live, facts);
      here.socket.addMembership(facts.group);
      sender.socket.setMulticastInterface(facts.ourInterface);
      sender.socket.setMulticastTTL(7);
      sender.socket.send('looped', PORT, facts.group);
      await until(() => heard.length === 1 && here.heard.length === 1);
      sender.socket.setMulticastLoopback(false);
      sender.socket.send('not looped', PORT, facts.group);
      await until(() => heard.length === 2);
      sender.socket.setMulticastLoopback(true);
      sender.socket.setMulticastTTL(0);
      sender.socket.send('stays here', PORT, facts.group);
      await until(() => here.heard.length === 2);
      expect(heard).to.deep.equal([`looped from ${facts.ours}`, `not looped from ${facts.ours}`]);
      expect(here.heard).to.deep.equal([`looped from ${facts.ours}`, `stays here from ${facts.ours}`]);
      const sent = await recording.tshark(
        `udp.dstport == ${PORT} && frame.packet_flags_direction == 2 && eth.src == ${OUR_MAC}`,
        '-T',
        'fields',
        '-e',
        'ip.ttl',
        '-e',
        'ipv6.hlim',
      );
      expect(sent.map((line) => line.trim())).to.deep.equal(['7', '7']);
      here.socket.close();
      sender.socket.close();
      await live.close();
    });

    it('refuses what Node refuses, with the same words', async () => {
      const live = start();
      const source = facts.alias;
      const calls: readonly (readonly [string, ...unknown[]])[] = [
        ['dropMembership', facts.group, facts.theirInterface],
        ['dropSourceSpecificMembership', source, facts.group, facts.theirInterface],
        ['addMembership'],
        ['addMembership', 'nonsense'],
        ['addMembership', facts.theirs, facts.theirInterface],
        ['addMembership', facts.group, 'nonsense'],
        ['addMembership', facts.group, facts.theirInterface],
        ['addMembership', facts.group, facts.theirInterface],
        ['addSourceSpecificMembership', source, facts.other, facts.theirInterface],
        ['addSourceSpecificMembership', source, facts.other, facts.theirInterface],
        ['dropSourceSpecificMembership', facts.theirs, facts.other, facts.theirInterface],
        ['dropSourceSpecificMembership', source, facts.other, facts.theirInterface],
        ['dropMembership', facts.group, facts.theirInterface],
        ['dropMembership', facts.group, facts.theirInterface],
        ['setMulticastTTL', 0],
        ['setMulticastTTL', 255],
        ['setMulticastTTL', 256],
        ['setMulticastTTL', 'x'],
        ['setMulticastLoopback', false],
        ['setMulticastInterface', facts.theirInterface],
        ['setMulticastInterface', 'nonsense'],
        ['setMulticastInterface', 7],
      ];
      const script = `
        const socket = require('node:dgram').createSocket('${facts.type}');
        (${told.toString()})(socket, JSON.parse(process.argv[1])).then((said) => console.log(JSON.stringify(said)));`;
      const { stdout, stderr } = await netns.namespace.run(process.execPath, ['-e', script, JSON.stringify(calls)]);
      expect(stderr).to.equal('');
      const ours = calls.map((call) => call.map((word) => (word === facts.theirInterface ? facts.ourInterface : word)));
      const said = await told(nodeDgram(live.me.udp).createSocket(facts.type), ours);
      expect(said).to.deep.equal(JSON.parse(stdout));
      await live.close();
    });

    it('keeps a snooping bridge informed: of the join, whenever it asks, and of the leave', async function () {
      this.timeout(40_000);
      const { namespace } = netns;
      bridge(namespace, 3, 2);
      const live = new LiveHost(namespace, { ...DUAL, peer: [], recording, services: [] });
      const { socket } = await socketOf(live, facts);
      socket.addMembership(facts.group);
      const joined = await membership(namespace, facts.group, true);
      expect(joined).to.contain('port tap0');
      // Twice as long as the bridge believes in a member that does not answer.
      await pause(4_000);
      expect(await entries(namespace, facts.group)).to.contain('port tap0');
      socket.dropMembership(facts.group);
      await membership(namespace, facts.group, false);
      socket.addSourceSpecificMembership(facts.theirs, facts.group, facts.ourInterface);
      const specific = await membership(namespace, facts.group, true);
      expect(specific).to.contain('filter_mode include').and.to.contain(facts.theirs);
      socket.close();
      await membership(namespace, facts.group, false);
      await live.close();
    });

    it('speaks the older version with an older querier', async function () {
      this.timeout(40_000);
      const { namespace } = netns;
      bridge(namespace, 2, 1);
      const live = new LiveHost(namespace, { ...DUAL, peer: [], recording, services: [] });
      const machine = () => {
        const { multicast } = live.me;
        return (version === 'IPv4' ? multicast.igmp(live.device) : multicast.mld(live.device))?.groups.generation;
      };
      await until(() => machine() === 2, 15_000);
      const { socket } = await socketOf(live, facts);
      socket.addMembership(facts.group);
      expect(await membership(namespace, facts.group, true)).to.contain('port tap0');
      await pause(4_000);
      expect(await entries(namespace, facts.group)).to.contain('port tap0');
      socket.dropMembership(facts.group);
      await membership(namespace, facts.group, false);
      const old =
        version === 'IPv4' ? 'igmp.type == 0x16 || igmp.type == 0x17' : 'icmpv6.type == 131 || icmpv6.type == 132';
      const sent = await recording.tshark(`(${old}) && frame.packet_flags_direction == 2`);
      expect(sent.length).to.be.greaterThan(2);
      socket.close();
      await live.close();
    });

    it('3376-1, 3810/9777, 2710: tshark finds nothing wrong with what we sent: router alert, TTL 1, sources', async function () {
      this.timeout(60_000);
      const reports = version === 'IPv4' ? 'igmp' : '(icmpv6.type == 143 || icmpv6.type == 131 || icmpv6.type == 132)';
      const ours = `${reports} && frame.packet_flags_direction == 2`;
      const alert =
        version === 'IPv4' ? 'ip.opt.ra == 0 && ip.ttl == 1' : 'ipv6.opt.router_alert == 0 && ipv6.hlim == 1';
      const all = await recording.tshark(ours);
      const sound = await recording.tshark(`${ours} && ${alert}`);
      expect(all.length).to.be.greaterThan(10);
      expect(sound.length).to.equal(all.length);
      if (version === 'IPv4') {
        expect(await recording.tshark(`${ours} && igmp.checksum.status != 1`)).to.deep.equal([]);
        expect(await recording.tshark(`${ours} && igmp.type == 0x22 && ip.dst != 224.0.0.22`)).to.deep.equal([]);
        expect(await recording.tshark(`${ours} && igmp.maddr == 224.0.0.1`)).to.deep.equal([]);
      } else {
        expect(await recording.tshark(`${ours} && !(ipv6.src == fe80::/10)`)).to.deep.equal([]);
        expect(await recording.tshark(`${ours} && icmpv6.type == 143 && ipv6.dst != ff02::16`)).to.deep.equal([]);
        expect(await recording.tshark(`${ours} && icmpv6.mldr.mar.multicast_address == ff02::1`)).to.deep.equal([]);
      }
      await recording.expectSound();
    });
  });
}

/** Makes these calls of a socket, and says what each returned or threw; runs in the kernel's Node, too. */
async function told(socket: unknown, calls: readonly (readonly unknown[])[]): Promise<string[]> {
  const at = socket as Record<string, (...rest: unknown[]) => unknown>;
  await new Promise<void>((resolve) => void at['bind']?.(0, resolve));
  const said = calls.map(([name, ...rest]) => {
    try {
      return `${String(name)}: ${String(at[String(name)]?.(...rest))}`;
    } catch (error) {
      const { name: kind, code } = error as NodeJS.ErrnoException;
      return `${String(name)}: ${kind === 'TypeError' ? 'TypeError ' : ''}${String(code)}`;
    }
  });
  at['close']?.();
  return said;
}

/** A bridge that snoops and asks, with a TAP in it; it believes in silent members for two seconds. */
function bridge(namespace: Namespace, igmpVersion: number, mldVersion: number): void {
  for (const scope of ['default', 'all']) namespace.sysctl(`net.ipv6.conf.${scope}.accept_dad`, 0);
  const options = {
    mcast_snooping: 1,
    mcast_querier: 1,
    mcast_igmp_version: igmpVersion,
    mcast_mld_version: mldVersion,
    mcast_startup_query_interval: 50,
    mcast_query_interval: 100,
    mcast_query_response_interval: 50,
    mcast_membership_interval: 200,
    mcast_last_member_interval: 20,
  };
  const settings = Object.entries(options).flatMap(([name, value]) => [name, `${value}`]);
  namespace.ip('link', 'add', 'br0', 'type', 'bridge', ...settings);
  namespace.ip('tuntap', 'add', 'tap0', 'mode', 'tap');
  namespace.ip('link', 'set', 'tap0', 'master', 'br0', 'up');
  namespace.ip('addr', 'add', `${THEIRS}/24`, 'dev', 'br0');
  namespace.ip('addr', 'add', `${THEIRS6}/64`, 'dev', 'br0');
  namespace.ip('link', 'set', 'br0', 'up');
}

/** What the bridge knows of a group. */
async function entries(namespace: Namespace, group: string): Promise<string> {
  const { stdout } = await namespace.run('bridge', ['-d', 'mdb', 'show', 'dev', 'br0']);
  return stdout
    .split('\n')
    .filter((line) => line.includes(` grp ${group} `))
    .join('\n');
}

/** Waits until the bridge knows of a member of a group, or of none. */
async function membership(namespace: Namespace, group: string, isMember: boolean): Promise<string> {
  const end = performance.now() + 8_000;
  for (;;) {
    const known = await entries(namespace, group);
    if ((known !== '') === isMember) return known;
    if (performance.now() > end) throw new Error(`the bridge knows ${known === '' ? 'of no member' : known}`);
    await pause(50);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
